//! Records of the changelog as bytes.

use crate::Malformed;
use types::Record;

/// Appends the bytes of a record.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    let _ = (record, out);
    unimplemented!()
}

/// Reads and checks a record.
pub fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
    let _ = bytes;
    unimplemented!()
}
