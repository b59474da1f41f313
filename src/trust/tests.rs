//! Who is believed, and who is not.

use http::HeaderValue;

use super::*;

const SECRET: &str = "a secret of some length";

fn keys() -> Keys {
    Keys {
        peers: Secrets::parse(
            "# of last month\nan older token, still good\n\nthe newer token, 2026\n",
        )
        .unwrap(),
        signing: Secrets::parse(SECRET).unwrap(),
        ..Keys::default()
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn heard(trust: &Trust, headers: &mut HeaderMap, peer: &str) -> Result<Spoken, Vec<&'static str>> {
    let uri = Uri::from_static("/api/v1/search?x=1");
    let origin = Origin {
        method: &Method::POST,
        uri: &uri,
        peer: peer.parse().ok(),
        now: Timestamp::from_seconds(1_000_000),
    };
    hear(trust, &keys(), headers, &origin)
}

fn trust() -> Trust {
    Trust { signature_max_age: Duration::from_secs(300), ..Trust::default() }
}

/// A signature as a peer makes it, spelled out.
fn signature(at: i64, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, text.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

#[test]
fn each_token_of_the_file_is_good_and_no_other_is() {
    for (token, trusted) in [
        ("an older token, still good", true),
        ("the newer token, 2026", true),
        ("# of last month", false),
        ("the newer token, 2025", false),
        ("", false),
    ] {
        let mut head = headers(&[("x-leafrank-token", token), ("x-leafrank-user", "ada")]);
        let heard = heard(&trust(), &mut head, "10.0.0.1");
        assert_eq!(heard.is_ok(), trusted, "{token}");
        assert!(head.is_empty(), "our headers end here");
        if let Ok(spoken) = heard {
            assert_eq!(spoken.user, UserId::parse("ada"));
        }
    }
}

#[test]
fn headers_of_a_stranger_are_taken_off_and_named() {
    let mut head = headers(&[
        ("x-leafrank-user", "ada"),
        ("x-leafrank-mode", "off"),
        ("x-leafrank-new-idea", "1"),
        ("x-kept", "1"),
    ]);
    let mut named = heard(&trust(), &mut head, "10.0.0.1").unwrap_err();
    named.sort_unstable();
    assert_eq!(named, ["mode", "other", "user"]);
    assert_eq!(head.len(), 1);
}

#[test]
fn an_address_is_a_further_condition_and_never_enough() {
    let trust = Trust { addresses: vec![IpAddr::from([10, 0, 0, 7])], ..trust() };
    let with_token = [("x-leafrank-token", "the newer token, 2026"), ("x-leafrank-mode", "off")];
    let there = heard(&trust, &mut headers(&with_token), "10.0.0.7").unwrap();
    assert_eq!((there.trusted, there.mode), (true, Some(Mode::Off)));
    assert!(heard(&trust, &mut headers(&with_token), "10.0.0.8").is_err());
    assert!(heard(&trust, &mut headers(&with_token), "a unix socket").is_err());
    assert!(heard(&trust, &mut headers(&with_token[1..]), "10.0.0.7").is_err());
    let mapped = heard(&trust, &mut headers(&with_token), "::ffff:10.0.0.7");
    assert!(mapped.is_ok(), "an IPv4 peer on an IPv6 socket is the same peer");
}

#[test]
fn a_signature_covers_every_word_the_target_and_the_time() {
    let text = "v1\n1000000\nPOST\n/api/v1/search?x=1\nada\n\noff\n1";
    let good = signature(1_000_000, text);
    let said = [
        ("x-leafrank-user", "ada"),
        ("x-leafrank-mode", "off"),
        ("x-leafrank-explain", "1"),
        ("x-leafrank-signature", good.as_str()),
    ];
    let spoken = heard(&trust(), &mut headers(&said), "10.0.0.1").unwrap();
    assert_eq!((spoken.user, spoken.explain), (UserId::parse("ada"), true));
    for (at, change) in [(0, ("x-leafrank-user", "eve")), (1, ("x-leafrank-session", "s"))] {
        let mut forged = said;
        forged[at] = change;
        assert!(heard(&trust(), &mut headers(&forged), "10.0.0.1").is_err(), "{change:?}");
    }
    for at in [1_000_301, 999_699, i64::MAX, i64::MIN] {
        let stale = signature(at, &text.replace("1000000", &at.to_string()));
        let mut forged = said;
        forged[3].1 = &stale;
        assert!(heard(&trust(), &mut headers(&forged), "10.0.0.1").is_err(), "{at}");
    }
    for broken in ["", "t=1,v1=", "t=1000000", "v1=00", "t=1000000,v1=0", "t=1000000,v1=é0"] {
        let mut forged = headers(&said[..3]);
        let value = HeaderValue::from_bytes(broken.as_bytes()).unwrap();
        forged.insert("x-leafrank-signature", value);
        assert!(heard(&trust(), &mut forged, "10.0.0.1").is_err(), "{broken}");
    }
}

#[test]
fn a_short_secret_is_refused_without_being_shown() {
    let error = Secrets::parse("good enough secret\nshort").unwrap_err();
    assert_eq!(error, "line 2: 5 characters; expected at least 16");
    assert!(Secrets::parse("# nothing\n").is_err());
    assert!(!format!("{:?}", keys()).contains("token"));
}

#[test]
fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
    assert_eq!(bearer(&headers(&[("authorization", "bearer  abc ")])), Some("abc"));
    assert_eq!(bearer(&headers(&[("authorization", "Basic abc")])), None);
}
