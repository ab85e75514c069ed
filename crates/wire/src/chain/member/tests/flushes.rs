//! Flushes, and who answers for what.

use super::*;

#[test]
fn after_a_restart_nothing_is_written_before_a_raise_but_a_flush_is_possible() {
    let mut head = Member::new(verifier(0), Origin::Unknown);
    let mut out = Vec::new();
    assert_eq!(refused(head.write(&from_client(1, None), &mut out)).status, Status::Gap);
    let flush = FlushInput { chain_sequence: ChainSequence(0), held: &[verifier(0)], next: None };
    let Admission::Taken { op, chain_sequence } = head.flush(&flush) else { panic!("refused") };
    assert_eq!(chain_sequence, ChainSequence(0));
    head.applied(op, Ok(()), &mut out);
    assert_eq!(out[0].result, Ok(vec![witness(0)]));
}

#[test]
fn a_flush_tells_that_power_was_lost_in_between() {
    let mut head = Member::new(verifier(0), Origin::Unknown);
    let before = Verifier { boot: 1, ..verifier(0) };
    let flush = FlushInput { chain_sequence: ChainSequence(0), held: &[before, verifier(1)], next: None };
    assert_eq!(refused(head.flush(&flush)).status, Status::LostTail);
}

#[test]
fn a_flush_does_not_ask_a_replica_for_what_the_one_before_it_on_its_disk_held() {
    let mut head = Member::new(verifier(0), Origin::Beginning);
    let before = Verifier { boot: 1, made: 3, ..verifier(0) };
    let flush = FlushInput { chain_sequence: ChainSequence(0), held: &[before, verifier(1)], next: None };
    assert!(matches!(head.flush(&flush), Admission::Taken { .. }), "the writer hears under what it answers");
}

#[test]
fn a_flush_ahead_of_the_writes_it_covers_is_refused() {
    let mut follower = Member::new(verifier(1), Origin::Beginning);
    take(&mut follower, &from_head(1));
    let flush = FlushInput { chain_sequence: ChainSequence(2), held: &[], next: None };
    assert_eq!(refused(follower.flush(&flush)).status, Status::Gap);
}
