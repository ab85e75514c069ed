//! Bytes written by earlier builds still read the same, and today's build writes the same bytes.
//!
//! `testdata/*-v1.txt` holds one line for each sample: its name and its bytes in hexadecimal. With
//! `MUSKOX_GOLDEN=write` in the environment the files are written anew instead; do that only to add lines.

use crate::samples;
use codec::{Message, record};
use std::fmt::Write;
use std::path::PathBuf;

fn check<T: PartialEq + std::fmt::Debug>(
    file: &str,
    samples: Vec<(&'static str, T)>,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Option<T>,
) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    if std::env::var("MUSKOX_GOLDEN").is_ok_and(|v| v == "write") {
        let lines = samples.iter().map(|(name, value)| format!("{name} {}\n", hex(&encode(value))));
        std::fs::write(&path, lines.collect::<String>()).expect("testdata can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("testdata can be read");
    let mut lines = golden.lines();
    for (name, value) in &samples {
        let (golden_name, bytes) =
            lines.next().and_then(|l| l.split_once(' ')).expect("a line for each sample");
        assert_eq!(golden_name, *name);
        assert_eq!(bytes, hex(&encode(value)), "the bytes of {name} have changed");
        assert_eq!(decode(&unhex(bytes)).as_ref(), Some(value), "{name} does not read as it did");
    }
    assert_eq!(lines.next(), None, "a sample is gone from {file}");
}

fn check_messages<M: Message + PartialEq + std::fmt::Debug>(file: &str, samples: Vec<(&'static str, M)>) {
    check(file, samples, |m| m.to_bytes().to_vec(), |bytes| M::decode(bytes).ok());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string grows as needed");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ascii"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

#[test]
fn records_read_as_they_always_did() {
    let encode = |value: &_| {
        let mut bytes = Vec::new();
        record::encode(value, &mut bytes);
        bytes
    };
    check("records-v1.txt", samples::records(), encode, |bytes| record::decode(bytes).ok());
}

#[test]
fn requests_and_answers_read_as_they_always_did() {
    check_messages("requests-v1.txt", samples::requests());
    check_messages("answers-v1.txt", samples::answers());
    check_messages("session-open-v1.txt", samples::session_opens());
    check_messages("session-open-answers-v1.txt", samples::session_open_answers());
}

#[test]
fn control_messages_read_as_they_always_did() {
    check_messages("to-master-v1.txt", samples::to_master());
    check_messages("to-server-v1.txt", samples::to_server());
}
