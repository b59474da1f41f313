//! Content codings: there and back, and the cap.

use super::*;
use proptest::prelude::*;

const CODED: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn json() -> Vec<u8> {
    br#"{"products":[{"sku":"A-1","product_name":"Oat drink"},{"sku":"A-2"}]}"#.repeat(200)
}

#[test]
fn every_coding_gives_back_what_it_took() {
    for coding in Coding::ALL {
        for plain in [json(), b"x".to_vec(), Vec::new()] {
            let coded = encode(coding, &plain).unwrap();
            assert_eq!(decode(coding, &coded, plain.len()).unwrap(), plain, "{coding:?}");
        }
        let coded = encode(coding, &json()).unwrap();
        assert!(coding == Coding::Identity || coded.len() < json().len() / 10, "{coding:?}");
    }
}

#[test]
fn a_body_one_byte_above_the_cap_is_refused() {
    for coding in Coding::ALL {
        let coded = encode(coding, &json()).unwrap();
        let cap = json().len();
        assert!(decode(coding, &coded, cap).is_ok(), "{coding:?}");
        assert_eq!(decode(coding, &coded, cap - 1), Err(EncodingError::TooLarge), "{coding:?}");
    }
}

#[test]
fn a_bomb_is_stopped_at_the_cap() {
    for coding in CODED {
        let bomb = encode(coding, &vec![0; 64 << 20]).unwrap();
        assert_eq!(decode(coding, &bomb, 1 << 20), Err(EncodingError::TooLarge), "{coding:?}");
    }
}

#[test]
fn a_body_cut_short_or_with_more_behind_its_end_is_refused() {
    for coding in CODED {
        let coded = encode(coding, &json()).unwrap();
        for cut in [0, 1, coded.len() / 2, coded.len() - 1] {
            let result = decode(coding, &coded[..cut], 1 << 20);
            assert_eq!(result, Err(EncodingError::Corrupt), "{coding:?} cut at {cut}");
        }
        let longer = [coded.as_slice(), b"more behind"].concat();
        assert_eq!(decode(coding, &longer, 1 << 20), Err(EncodingError::Corrupt), "{coding:?}");
    }
}

#[test]
fn gzip_members_and_zstd_frames_follow_each_other() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let two = [encode(coding, b"oat ").unwrap(), encode(coding, b"milk").unwrap()].concat();
        assert_eq!(decode(coding, &two, 100).unwrap().as_ref(), b"oat milk");
    }
}

#[test]
fn codings_are_known_by_their_names_and_stacks_are_not() {
    for coding in Coding::ALL {
        assert_eq!(Coding::parse(coding.name()), Ok(coding));
    }
    assert_eq!(Coding::parse(""), Ok(Coding::Identity));
    assert_eq!(Coding::parse(" GZip "), Ok(Coding::Gzip));
    assert_eq!(Coding::parse("x-gzip"), Ok(Coding::Gzip));
    for unknown in ["gzip, br", "compress", "gzip;q=1", "aes128gcm", ","] {
        assert_eq!(Coding::parse(unknown), Err(EncodingError::Unknown), "{unknown}");
    }
}

#[test]
fn only_codings_that_we_decode_are_asked_for() {
    for (sent, narrowed) in [
        (None, "identity"),
        (Some(""), "identity"),
        (Some("gzip, deflate, br, zstd"), "gzip, br, zstd"),
        (Some("br;q=1.0, compress;q=0.9, gzip; q=0.5"), "br;q=1.0, gzip; q=0.5"),
        (Some("deflate"), "identity"),
        (Some("*"), "gzip, br, zstd, identity"),
        (Some("br, *;q=0.1"), "br, gzip;q=0.1, zstd;q=0.1, identity;q=0.1"),
        (Some("br, *;q=0"), "br, gzip;q=0, zstd;q=0, identity;q=0"),
        (Some("gzip;q=0, deflate"), "identity"),
        (Some("*;q=0"), "identity"),
        (Some("GZIP , x-gzip"), "GZIP, x-gzip"),
        (Some("identity;q=0, gzip"), "identity;q=0, gzip"),
        (Some(",, ;q=1,"), "identity"),
    ] {
        assert_eq!(narrow_accept_encoding(sent), narrowed, "{sent:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back(plain in prop::collection::vec(any::<u8>(), 0..2_000)) {
        for coding in Coding::ALL {
            let coded = encode(coding, &plain).unwrap();
            prop_assert_eq!(decode(coding, &coded, plain.len()).unwrap(), plain.as_slice());
        }
    }

    #[test]
    fn any_accept_encoding_is_narrowed_to_what_we_decode(header in "[a-zA-Z*,;=.0-9 -]{0,40}") {
        for offer in narrow_accept_encoding(Some(&header)).split(',') {
            let name = offer.split(';').next().unwrap_or_default().trim().to_lowercase();
            prop_assert!(["gzip", "x-gzip", "br", "zstd", "identity"].contains(&name.as_str()));
        }
    }
}
