//! Bytes from anywhere: decoders refuse or accept, and never panic; what they accept they can encode.

use crate::samples;
use codec::control::{ToMaster, ToServer};
use codec::session::{AnswerMessage, RequestMessage, SessionOpen, SessionOpenAnswer};
use codec::{Malformed, Message, proto, record};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use types::{BODY_BYTES_MAX, InodeId, InodeRef, Name, Request};

fn accepted_values_are_stable<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = M::decode(bytes) {
        assert_eq!(M::decode(&value.to_bytes()), Ok(value));
    }
}

fn decode_as_everything(bytes: &[u8]) {
    if let Ok(value) = record::decode(bytes) {
        let mut again = Vec::new();
        record::encode(&value, &mut again);
        assert_eq!(record::decode(&again), Ok(value));
    }
    accepted_values_are_stable::<SessionOpen>(bytes);
    accepted_values_are_stable::<SessionOpenAnswer>(bytes);
    accepted_values_are_stable::<RequestMessage>(bytes);
    accepted_values_are_stable::<AnswerMessage>(bytes);
    accepted_values_are_stable::<ToMaster>(bytes);
    accepted_values_are_stable::<ToServer>(bytes);
    let _ = proto::ClusterStatus::decode(bytes).map(codec::admin::ClusterStatus::try_from);
    let _ = proto::AdminFileInfo::decode(bytes).map(codec::admin::FileInfoReply::try_from);
    let _ = proto::ClassStatus::decode(bytes).map(codec::admin::ClassStatus::try_from);
    let _ = proto::TaskStatus::decode(bytes).map(codec::admin::TaskStatus::try_from);
    let _ = proto::ChangeQuery::decode(bytes).map(codec::admin::Change::try_from);
    let _ = proto::Changed::decode(bytes).map(codec::admin::Changed::try_from);
    let _ = proto::Refusal::decode(bytes).map(codec::admin::Refusal::try_from);
    let _ = proto::RemovalQuery::decode(bytes).map(codec::admin::RemovalTarget::try_from);
    let _ = proto::Removal::decode(bytes).map(codec::admin::Removal::try_from);
    let _ = proto::EditPlan::decode(bytes).map(codec::admin::EditPlan::try_from);
    let _ = proto::ExplainQuery::decode(bytes).map(codec::admin::ExplainTarget::try_from);
    let _ = proto::Explanation::decode(bytes).map(codec::admin::Explanation::try_from);
    let _ = proto::FileInfoQuery::decode(bytes).map(codec::admin::FileTarget::try_from);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        decode_as_everything(&bytes);
    }

    #[test]
    fn mutated_messages_never_panic(
        which in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let all = samples::all_bytes();
        let mut bytes = which.get(&all).clone();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        decode_as_everything(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        decode_as_everything(&bytes);
    }
}

fn refused(request: proto::request::Request) -> Malformed {
    let message = proto::Request { sequence: 1, answered_below: 1, request: Some(request) };
    RequestMessage::decode(&message.encode_to_vec()).expect_err("it is refused")
}

#[test]
fn names_lists_and_numbers_are_checked() {
    use proto::request::Request as P;
    let parent = Some(proto::InodeRef { id: 1, generation: 1 });
    let lookup = |name: &[u8]| P::Lookup(proto::Lookup { parent, name: name.to_vec() });
    for bad in [&b""[..], b"..", b"a/b", b"a\0b", &[b'x'; 256]] {
        assert_eq!(refused(lookup(bad)).what, "name of a directory entry");
    }
    let nowhere = P::Lookup(proto::Lookup { parent: None, name: b"a".to_vec() });
    assert_eq!(refused(nowhere).what, "parent");
    let many = P::Forget(proto::Forget { inodes: vec![proto::InodeRef::default(); 32_769], as_of: 1 });
    assert_eq!(refused(many).what, "inodes to forget");
    let far = P::Locate(proto::Locate { inode: parent, first: 0, count: u32::MAX });
    assert_eq!(refused(far).what, "chunks to locate");
    let mode =
        P::SetXattr(proto::SetXattr { inode: parent, name: b"user.a".to_vec(), value: vec![], mode: 0 });
    assert_eq!(refused(mode).what, "mode of an extended attribute");
    let kind = P::Create(proto::Create {
        parent,
        name: b"a".to_vec(),
        node: Some(proto::NodeSpec { kind: 9, ..Default::default() }),
        ..Default::default()
    });
    assert_eq!(refused(kind).what, "kind of an inode");
    let term = proto::Record { term: 1 << 24, ..Default::default() };
    assert_eq!(record::decode(&term.encode_to_vec()).expect_err("too high").what, "term");
}

#[test]
fn a_body_longer_than_a_frame_is_refused_unread() {
    let bytes = vec![0; BODY_BYTES_MAX as usize + 1];
    assert_eq!(RequestMessage::decode(&bytes).expect_err("too long").what, "length of a body");
    assert!(record::decode(&vec![0; 2 << 20]).is_err());
}

#[test]
fn the_largest_request_fits_a_frame() {
    let inode = InodeRef { id: InodeId(u64::MAX), generation: types::Generation(u32::MAX) };
    let request =
        Request::Forget { inodes: vec![inode; codec::limits::INODES_MAX], as_of: types::Sequence(7) };
    let message =
        RequestMessage { sequence: types::Sequence(1), answered_below: types::Sequence(1), request };
    assert!(message.to_bytes().len() <= BODY_BYTES_MAX as usize);
    assert_eq!(RequestMessage::decode(&message.to_bytes()), Ok(message));
}

#[test]
fn a_status_of_a_later_release_counts_as_an_error() {
    let bytes = proto::Answer { status: 4_000, ..Default::default() }.encode_to_vec();
    let answer = AnswerMessage::decode(&bytes).expect("understood");
    assert_eq!(answer.outcome, Err(types::Status::Io));
}

#[test]
fn fields_of_a_later_release_are_ignored_and_operations_are_not() {
    let message = RequestMessage {
        sequence: types::Sequence(1),
        answered_below: types::Sequence(1),
        request: Request::Lookup { parent: InodeRef::default(), name: Name::new(b"a").expect("a name") },
    };
    let mut bytes = message.to_bytes().to_vec();
    bytes.extend_from_slice(&[0xf8, 0x3f, 1]); // field 1023, a number
    assert_eq!(RequestMessage::decode(&bytes), Ok(message));
    let unknown = [8, 1, 16, 1, 0xfa, 5, 0]; // term 1, index 1, operation 95
    assert_eq!(record::decode(&unknown).expect_err("unknown").what, "operation");
}
