//! Decoders take any bytes.

use crate::header::Header;
use crate::stamp::Stamp;
use crate::table::{TABLE_PAGES, TablePage};
use crate::testing::*;
use proptest::prelude::*;

/// Bytes of a valid thing with some of them changed, or any bytes at all.
fn spoiled(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = valid.len();
    let changed = proptest::collection::vec((0..length, any::<u8>()), 0..8).prop_map(move |changes| {
        let mut bytes = valid.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![changed, proptest::collection::vec(any::<u8>(), 0..length + 100)]
}

fn table() -> Vec<u8> {
    TablePage::holes(1).encode(CHUNK, 1)
}

fn stamp() -> Vec<u8> {
    Stamp { cluster: CLUSTER, disk: DISK, registrations: 3 }.encode()
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn headers(bytes in spoiled(vec![0; 4096])) {
        let _ = Header::choose(&bytes, CHUNK, CLUSTER);
    }

    #[test]
    fn tables(bytes in spoiled(table()), page in 0..TABLE_PAGES) {
        let _ = TablePage::decode(&bytes, CHUNK, page);
    }

    #[test]
    fn stamps(bytes in spoiled(stamp())) {
        let _ = Stamp::decode(&bytes);
    }
}
