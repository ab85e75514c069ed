//! Encoding and decoding give back an equal value.

use crate::strategies;
use codec::admin::{
    Change, Changed, ChunkPage, ChunkQuery, ClassStatus, ClusterStatus, EditPlan, ExplainTarget, Explanation,
    FileInfoReply, FileTarget, HoldStatus, Refusal, Removal, RemovalTarget, TaskStatus, TrashPage,
    TrashQuery, Warning,
};
use codec::{Message, proto, record};
use proptest::prelude::*;

fn comes_back<M: Message + PartialEq + std::fmt::Debug>(message: &M) {
    assert_eq!(M::decode(&message.to_bytes()).as_ref(), Ok(message));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_comes_back_equal(value in strategies::record()) {
        let mut bytes = b"kept".to_vec();
        record::encode(&value, &mut bytes);
        prop_assert_eq!(&bytes[..4], b"kept");
        prop_assert_eq!(record::decode(&bytes[4..]), Ok(value));
    }

    #[test]
    fn a_request_comes_back_equal(value in strategies::request_message()) {
        comes_back(&value);
    }

    #[test]
    fn an_answer_comes_back_equal(value in strategies::answer_message()) {
        comes_back(&value);
    }

    #[test]
    fn opening_a_session_comes_back_equal(
        open in strategies::session_open(), answer in strategies::session_open_answer(),
    ) {
        comes_back(&open);
        comes_back(&answer);
    }

    #[test]
    fn control_messages_come_back_equal(up in strategies::to_master(), down in strategies::to_server()) {
        comes_back(&up);
        comes_back(&down);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_operators_ask_and_are_told_comes_back_equal(
        status in strategies::cluster_status(),
        target in strategies::file_target(),
        info in strategies::file_info_reply(),
        class in strategies::class_status(),
        task in strategies::task_status(),
        change in strategies::change(),
        changed in strategies::changed(),
        refusal in strategies::refusal(),
        (wanted, removal) in (strategies::removal_target(), strategies::removal()),
        page in strategies::trash_page(),
        (unclear, explained) in (strategies::explain_target(), strategies::explanation()),
        plan in strategies::edit_plan(),
        (sought, chunks) in (strategies::chunk_query(), strategies::chunk_page()),
    ) {
        prop_assert_eq!(ChunkQuery::try_from(proto::ChunksQuery::from(&sought)), Ok(sought));
        prop_assert_eq!(ChunkPage::try_from(proto::ChunkPage::from(&chunks)), Ok(chunks));
        prop_assert_eq!(ClusterStatus::try_from(proto::ClusterStatus::from(&status)), Ok(status));
        prop_assert_eq!(FileTarget::try_from(proto::FileInfoQuery::from(&target)), Ok(target));
        prop_assert_eq!(FileInfoReply::try_from(proto::AdminFileInfo::from(&info)), Ok(info));
        prop_assert_eq!(ClassStatus::try_from(proto::ClassStatus::from(&class)), Ok(class));
        prop_assert_eq!(TaskStatus::try_from(proto::TaskStatus::from(&task)), Ok(task));
        prop_assert_eq!(Change::try_from(proto::ChangeQuery::from(&change)), Ok(change));
        prop_assert_eq!(Changed::try_from(proto::Changed::from(&changed)), Ok(changed));
        prop_assert_eq!(Refusal::try_from(proto::Refusal::from(&refusal)), Ok(refusal));
        prop_assert_eq!(RemovalTarget::try_from(proto::RemovalQuery::from(&wanted)), Ok(wanted));
        let query = TrashQuery { after: types::InodeId(page.now.to_bits()) };
        prop_assert_eq!(TrashQuery::from(proto::TrashQuery::from(&query)), query);
        prop_assert_eq!(TrashPage::try_from(proto::TrashPage::from(&page)), Ok(page));
        prop_assert_eq!(Removal::try_from(proto::Removal::from(&removal)), Ok(removal));
        prop_assert_eq!(EditPlan::try_from(proto::EditPlan::from(&plan)), Ok(plan));
        prop_assert_eq!(ExplainTarget::try_from(proto::ExplainQuery::from(&unclear)), Ok(unclear));
        prop_assert_eq!(Explanation::try_from(proto::Explanation::from(&explained)), Ok(explained));
    }
}

/// One text that is too long must not keep an operator from all the rest.
#[test]
fn texts_that_are_too_long_for_a_status_arrive_cut() {
    let long = "é".repeat(70_000);
    let warning =
        Warning { code: format!("x{long}"), message: long.clone(), next: long.clone(), ..Warning::default() };
    let hold = HoldStatus { what: long, ..HoldStatus::default() };
    let status = ClusterStatus { warnings: vec![warning], holds: vec![hold], ..ClusterStatus::default() };
    let told = ClusterStatus::try_from(proto::ClusterStatus::from(&status)).expect("it is well formed");
    assert!(told.warnings[0].code.starts_with("xé") && told.warnings[0].code.ends_with("é…"));
    assert!(told.warnings[0].next.ends_with("é…") && told.holds[0].what.ends_with("é…"));
}
