//! Frame headers: bytes, limits, damage.

use super::*;
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_header_looks_as_it_always_did() {
    let bytes = encode(Kind::Write, false, 0x0102_0304_0506_0708, b"body", 9).unwrap();
    assert_eq!(
        hex(&bytes),
        concat!(
            "4d534b58", // magic
            "2000",     // kind
            "0000",     // flags
            "0807060504030201",
            "04000000", // body bytes
            "09000000", // payload bytes
            "50c93f26", // CRC32C of the body
            "6ce11be0", // CRC32C of the header
            "626f6479"
        )
    );
}

#[test]
fn lengths_above_the_limits_are_refused_on_both_sides() {
    assert!(Header::new(Kind::Read, true, 1, &vec![0; BODY_BYTES_MAX as usize + 1], 0).is_none());
    assert!(Header::new(Kind::Read, true, 1, &[], PAYLOAD_BYTES_MAX as usize + 1).is_none());
    let good = Header::new(Kind::Read, true, 1, &[], 0).unwrap();
    let long = Header { body_bytes: BODY_BYTES_MAX + 1, ..good };
    assert_eq!(Header::decode(&long.encode()), Err(FrameError::BodyTooLong(BODY_BYTES_MAX + 1)));
    let long = Header { payload_bytes: u32::MAX, ..good };
    assert_eq!(Header::decode(&long.encode()), Err(FrameError::PayloadTooLong(u32::MAX)));
}

#[test]
fn every_flipped_bit_of_a_header_is_noticed() {
    let good = Header::new(Kind::Flush, true, 77, b"x", 5).unwrap().encode();
    assert!(Header::decode(&good).is_ok());
    for bit in 0..HEADER_BYTES * 8 {
        let mut bad = good;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::decode(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn kinds_and_flags_of_the_future_are_refused() {
    let mut bytes = Header::new(Kind::Flush, false, 1, &[], 0).unwrap().encode();
    let reseal = |bytes: &mut [u8; HEADER_BYTES]| {
        let crc = crate::crc::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
    };
    bytes[6] = 2;
    reseal(&mut bytes);
    assert_eq!(Header::decode(&bytes), Err(FrameError::Flags(2)));
    bytes[6] = 0;
    bytes[4] = 99;
    reseal(&mut bytes);
    assert_eq!(Header::decode(&bytes), Err(FrameError::Kind(99)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn headers_round_trip(kind in 0..Kind::ALL.len(), answer: bool, id: u64, body: Vec<u8>, payload in 0..=PAYLOAD_BYTES_MAX) {
        let header = Header::new(Kind::ALL[kind], answer, id, &body, payload as usize).unwrap();
        let decoded = Header::decode(&header.encode()).unwrap();
        prop_assert_eq!(decoded, header);
        prop_assert!(decoded.check_body(&body).is_ok());
    }

    #[test]
    fn random_bytes_are_no_header(bytes: [u8; HEADER_BYTES]) {
        prop_assert!(Header::decode(&bytes).is_err());
    }
}
