//! Content codings: any bytes decode within the cap or are refused; nothing panics.

use leafrank::wire::encoding::{Coding, EncodingError, decode, encode, narrow_accept_encoding};

use crate::fuzz_time;

const CAP_BYTES: usize = 64 * 1024;

#[test]
fn any_bytes_decode_within_the_cap_or_are_refused() {
    bolero::check!().with_test_time(fuzz_time()).for_each(|bytes: &[u8]| {
        for coding in Coding::ALL {
            match decode(coding, bytes, CAP_BYTES) {
                Ok(plain) => assert!(plain.len() <= CAP_BYTES),
                Err(error) => assert_ne!(error, EncodingError::Unknown),
            }
        }
    });
}

#[test]
fn damaged_bodies_never_exceed_the_cap_and_whole_ones_come_back() {
    bolero::check!().with_test_time(fuzz_time()).for_each(|bytes: &[u8]| {
        let (choice, rest) = bytes.split_at(bytes.len().min(3));
        let &[coding, at, flip] = choice else { return };
        let coding = Coding::ALL[usize::from(coding) % Coding::ALL.len()];
        let plain = rest.repeat(8);
        let mut coded = encode(coding, &plain).unwrap();
        assert_eq!(decode(coding, &coded, plain.len()).unwrap(), plain.as_slice());
        if !plain.is_empty() {
            let above = decode(coding, &coded, plain.len() - 1);
            assert_eq!(above, Err(EncodingError::TooLarge));
        }
        if let Some(byte) = coded.get_mut(usize::from(at)) {
            *byte ^= flip;
        }
        if let Ok(damaged) = decode(coding, &coded, CAP_BYTES) {
            assert!(damaged.len() <= CAP_BYTES);
        }
    });
}

#[test]
fn any_header_is_read_without_panic() {
    bolero::check!().with_test_time(fuzz_time() / 5).for_each(|bytes: &[u8]| {
        let header = String::from_utf8_lossy(bytes);
        let narrowed = narrow_accept_encoding(Some(&header));
        assert!(!narrowed.is_empty());
        assert_eq!(narrow_accept_encoding(Some(&narrowed)), narrowed);
        let _ = Coding::parse(&header);
    });
}
