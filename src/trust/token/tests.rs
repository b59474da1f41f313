//! The examples of RFC 7515, keys as `openssl` writes them, and everything that must not pass.

use ring::hmac;
use serde_json::json;

use super::*;

/// RFC 7515 §A.1.1, §A.2.1, §A.3.1: header, key set, signature.
const RFC_HS256: [&str; 3] = [
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
    r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
];
const RFC_RS256: [&str; 3] = [
    "eyJhbGciOiJSUzI1NiJ9",
    r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
];
const RFC_ES256: [&str; 3] = [
    "eyJhbGciOiJFUzI1NiJ9",
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
];
const RFC_PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// A second before it ends.
const RFC_NOW: Timestamp = Timestamp(1_300_819_379_000);

const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAz/1dp7DEqTfewJcUgL4g
XCjfcSWnHxr4Q1Wb6iglwUcv9B5jdrct0/uIf0gmHHOAhj+TN2InF5lB3yUqWuNz
XXubix8doD7FwRkckICfpSdSmEEDk/VUOpYMBPLxH3d7Wks+WPBJYJKflSuok1qD
9kdSxvYaTcs+g6goIMYcSR7Vtfz1qOCl1kleRXdGgG3Alj5Bv/R4xAB1HievL4xl
X79OoTIujF6oARqD3Sf6jykxb2Hg1xXhJ3aKR1jqOfjfgTMhia2I4/Lqg9RbP+0q
7y9b+6pDp7tKlhXpfLH68+EVL0wKj69AOnn5g0wEJLFO5Sz3bYWF1rkFIm3+BJKg
tQIDAQAB
-----END PUBLIC KEY-----
";
const EC_PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExGbX3K10vwMv7WypC++qSmP9RrS6
SwDE3mZTOWRBcIg9ShbSORsQ0f7zK9O5KP2jTkDehqBiOwPByGC+nPdNjg==
-----END PUBLIC KEY-----
";
/// `{"sub":"u1","exp":4000000000}`, signed with their private keys by OpenSSL.
const BY_RSA: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1MSIsImV4cCI6NDAwMDAwMDAwMH0.WP8-JfS23aubsmyCqsOx9v6SOOKj38b4NGyAGPwldR5zSLrKnG-CgAaHxmuvheGCaOxi6sjkUlRTle7hv4w-f7HYzDIJ4CIjbiJJ0zKkb967_l5H6tzl3u1GBOplCmvHG4SLAoyLBUgEwtAsJRQvth8JmguouVmaSbRMmwvWGLvd3IOlFvpxPC0zELuQxVRQmX9gtWXhfW2_IpNzcZtkZZl56sfT20Wsv6f3T8T3wJcqtcyauygFNvNMSbO1p_W3vDNOVNMzlDS3JA6iSVm9K27VYW-Cfhm7KP6Nl6XeBuov6YCrf-UauJRGbIm1DLpfTLhlt9-tgT5T8jFod3uTiQ";
const BY_EC: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1MSIsImV4cCI6NDAwMDAwMDAwMH0.K5Ja31t2Axsz2DLISTt7XYL325Yi2GpH1rkoxqjA-UxDjQ8RPusGjwweuHb_FPdyK53ODaK-qP6NmKI1am2Mww";

const SECRET: &str = "a secret of the shop that is long enough";
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn terms(now: Timestamp) -> Terms<'static> {
    Terms { issuer: None, audience: None, leeway: Duration::ZERO, now }
}

fn of_rfc([header, key, signature]: [&str; 3]) -> (String, TokenKeys) {
    let keys = TokenKeys::parse_set(&format!("{{\"keys\":[{key}]}}")).unwrap();
    (format!("{header}.{RFC_PAYLOAD}.{signature}"), keys)
}

fn part(json: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// A token signed as `header` says it is not: always by HMAC with `secret`.
fn signed(header: &serde_json::Value, claims: &serde_json::Value, secret: &[u8]) -> String {
    let text = format!("{}.{}", part(header), part(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// What becomes of these claims, well signed.
fn claimed(claims: serde_json::Value, terms: &Terms<'_>) -> Result<String, Refused> {
    let token = signed(&json!({"alg": "HS256"}), &claims, SECRET.as_bytes());
    verify(&token, &TokenKeys::parse(SECRET).unwrap(), terms)
}

#[test]
fn the_examples_of_the_standard_verify_and_no_changed_byte_of_them_does() {
    for example in [RFC_HS256, RFC_RS256, RFC_ES256] {
        let (token, keys) = of_rfc(example);
        let claims = verify(&token, &keys, &terms(RFC_NOW)).expect(example[0]);
        assert!(claims.contains("\"iss\":\"joe\""), "{claims}");
        let late = Timestamp(RFC_NOW.0 + 1_000);
        assert_eq!(verify(&token, &keys, &terms(late)), Err(Refused::Expired));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last letter's spare bits must be 0, so it never stands for another.
            assert!(verify(&changed, &keys, &terms(RFC_NOW)).is_err(), "{at}");
        }
    }
}

#[test]
fn keys_are_read_as_openssl_writes_them_several_in_one_file() {
    let keys = TokenKeys::parse(&format!("{RSA_PEM}\n{EC_PEM}")).unwrap();
    for token in [BY_RSA, BY_EC] {
        assert!(verify(token, &keys, &terms(NOW)).expect(token).contains("u1"));
    }
    let rsa_alone = TokenKeys::parse(RSA_PEM).unwrap();
    assert_eq!(verify(BY_EC, &rsa_alone, &terms(NOW)), Err(Refused::Algorithm));
}

#[test]
fn a_token_cannot_choose_how_it_is_verified() {
    let rsa = TokenKeys::parse(RSA_PEM).unwrap();
    let claims = json!({"sub": "eve", "exp": 4_000_000_000_u32});
    // The public key as an HMAC secret: with and without its last line's end.
    for secret in [RSA_PEM, RSA_PEM.trim_end()] {
        let token = signed(&json!({"alg": "HS256"}), &claims, secret.as_bytes());
        assert_eq!(verify(&token, &rsa, &terms(NOW)), Err(Refused::Algorithm));
        let token = signed(&json!({"alg": "RS256"}), &claims, secret.as_bytes());
        assert_eq!(verify(&token, &rsa, &terms(NOW)), Err(Refused::Signature));
    }
    let keys = TokenKeys::parse(SECRET).unwrap().and(rsa);
    for none in ["none", "None", "NONE", "", "HS384", "hs256"] {
        let token = signed(&json!({"alg": none}), &claims, SECRET.as_bytes());
        assert_eq!(verify(&token, &keys, &terms(NOW)), Err(Refused::Algorithm), "{none}");
        let bare = token.rsplit_once('.').unwrap().0;
        assert_eq!(verify(&format!("{bare}."), &keys, &terms(NOW)), Err(Refused::Algorithm));
    }
    let token = signed(&json!({"alg": "HS256"}), &claims, b"another secret of the same length....");
    assert_eq!(verify(&token, &keys, &terms(NOW)), Err(Refused::Signature));
    let token = signed(&json!({"alg": "HS256", "crit": ["exp"]}), &claims, SECRET.as_bytes());
    assert_eq!(verify(&token, &keys, &terms(NOW)), Err(Refused::Malformed));
}

#[test]
fn times_are_those_of_our_clock_and_are_numbers() {
    let now = NOW.0 / 1000;
    let (bare, patient) = (terms(NOW), Terms { leeway: Duration::from_secs(30), ..terms(NOW) });
    for (claims, strict, lenient) in [
        (json!({"exp": now + 1}), None, None),
        (json!({"exp": now}), Some(Refused::Expired), None),
        (json!({"exp": now - 30}), Some(Refused::Expired), Some(Refused::Expired)),
        (json!({"exp": now + 1, "nbf": now}), None, None),
        (json!({"exp": now + 1, "nbf": now + 30}), Some(Refused::NotYet), None),
        (json!({"exp": now + 1, "nbf": now + 31}), Some(Refused::NotYet), Some(Refused::NotYet)),
        (json!({"exp": now as f64 + 0.5}), None, None),
        (json!({}), Some(Refused::Expired), Some(Refused::Expired)),
        (json!({"exp": null}), Some(Refused::Expired), Some(Refused::Expired)),
        (json!({"exp": "4000000000"}), Some(Refused::Malformed), Some(Refused::Malformed)),
        (
            json!({"exp": now + 1, "nbf": "never"}),
            Some(Refused::Malformed),
            Some(Refused::Malformed),
        ),
        (json!([now + 1]), Some(Refused::Malformed), Some(Refused::Malformed)),
    ] {
        assert_eq!(claimed(claims.clone(), &bare).err(), strict, "{claims}");
        assert_eq!(claimed(claims.clone(), &patient).err(), lenient, "{claims} with leeway");
    }
}

#[test]
fn a_token_for_or_by_somebody_else_is_refused_where_it_is_asked_for() {
    let (issuer, audience) = (Some("https://login.shop"), Some("shop"));
    let asked = Terms { issuer, audience, ..terms(NOW) };
    let exp = 4_000_000_000_u32;
    for (claims, refused) in [
        (json!({"exp": exp, "iss": "https://login.shop", "aud": "shop"}), None),
        (json!({"exp": exp, "iss": "https://login.shop", "aud": ["a", "shop"]}), None),
        (json!({"exp": exp, "iss": "https://login.shop", "aud": []}), Some(Refused::Audience)),
        (json!({"exp": exp, "iss": "https://login.shop"}), Some(Refused::Audience)),
        (json!({"exp": exp, "iss": "https://evil", "aud": "shop"}), Some(Refused::Issuer)),
        (json!({"exp": exp, "aud": "shop"}), Some(Refused::Issuer)),
        (json!({"exp": exp, "iss": 7, "aud": "shop"}), Some(Refused::Malformed)),
    ] {
        assert_eq!(claimed(claims.clone(), &asked).err(), refused, "{claims}");
    }
    assert!(claimed(json!({"exp": exp, "iss": "anybody"}), &terms(NOW)).is_ok());
}

#[test]
fn a_named_key_is_the_one_that_is_meant() {
    let k = URL_SAFE_NO_PAD.encode(SECRET);
    let other = URL_SAFE_NO_PAD.encode("x".repeat(32));
    let set = json!({"keys": [
        {"kty": "oct", "kid": "old", "k": other},
        {"kty": "oct", "kid": "new", "k": k, "alg": "HS256", "use": "sig"},
        {"kty": "oct", "kid": "for-512", "k": k, "alg": "HS512"},
        {"kty": "oct", "kid": "to-encrypt", "k": k, "use": "enc"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "AA"},
    ]});
    let keys = TokenKeys::parse_set(&set.to_string()).unwrap();
    assert_eq!(format!("{keys:?}"), "2 keys");
    let claims = json!({"exp": 4_000_000_000_u32});
    for (kid, refused) in [
        (json!("new"), None),
        (json!(null), None),
        (json!("old"), Some(Refused::Signature)),
        (json!("for-512"), Some(Refused::UnknownKey)),
    ] {
        let token = signed(&json!({"alg": "HS256", "kid": kid}), &claims, SECRET.as_bytes());
        assert_eq!(verify(&token, &keys, &terms(NOW)).err(), refused, "{kid}");
    }
}

#[test]
fn a_file_that_holds_no_good_key_says_so_and_not_what_is_in_it() {
    let faults = [
        (TokenKeys::parse("hunter2\n").unwrap_err(), "line 1: 7 bytes; expected at least 32"),
        (TokenKeys::parse("# nothing\n").unwrap_err(), "no secret in it"),
        (
            TokenKeys::parse("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
                .unwrap_err(),
            "no PUBLIC KEY in it",
        ),
        (
            TokenKeys::parse("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
                .unwrap_err(),
            "key 1: expected RSA of 2048 bits or more, or EC on P-256",
        ),
        (TokenKeys::parse_set("{\"keys\":\"hunter2\"}").unwrap_err(), "line 1, column"),
        (TokenKeys::parse_set("{\"keys\":[]}").unwrap_err(), "no key for HS256"),
        (
            TokenKeys::parse_set(r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#).unwrap_err(),
            "key 1: expected RSA of 2048",
        ),
        (
            TokenKeys::parse_set(r#"{"keys":[{"kty":"oct","k":"aHVudGVyMg"}]}"#).unwrap_err(),
            "key 1: 7 bytes",
        ),
    ];
    for (said, wanted) in faults {
        assert!(said.contains(wanted), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("aHVudGVyMg"), "{said}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_refused_or_verified_and_never_panics(token in "\\PC{0,80}", file in "\\PC{0,80}") {
        let keys = TokenKeys::parse(SECRET).unwrap().and(TokenKeys::parse(EC_PEM).unwrap());
        proptest::prop_assert!(verify(&token, &keys, &terms(NOW)).is_err());
        let _ = (TokenKeys::parse(&file), TokenKeys::parse_set(&file));
    }

    #[test]
    fn keys_cut_anywhere_are_faults_and_never_a_panic(cut in 0..400_usize, by in 0..=255_u8) {
        let body: String = RSA_PEM.lines().filter(|line| !line.starts_with('-')).collect();
        let mut der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        let at = cut % der.len();
        der[at] = by;
        let text = base64::engine::general_purpose::STANDARD.encode(&der[..(at + 200).min(der.len())]);
        let _ = TokenKeys::parse(&format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"));
    }
}
