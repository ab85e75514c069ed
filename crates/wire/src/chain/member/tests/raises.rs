//! What outlives a raise of the version, and what does not.

use super::*;

/// A member whose replica was raised.
fn raised(before: Closed) -> Member {
    Member::new(verifier(0), Origin::Beginning).successor(verifier(0), Origin::Beginning, before)
}

#[test]
fn what_a_raise_reported_is_reported_again_until_a_frame_of_the_new_version_comes() {
    let before = Closed { unacknowledged: vec![(0, 5)], forgot: true, ..Closed::default() };
    let mut tail = raised(before.clone());
    assert_eq!(tail.report(), before);
    take(&mut tail, &from_client(1, None));
    let report = tail.report();
    assert_eq!((report.unacknowledged, report.recent, report.forgot), (vec![], vec![(4096, 4106)], false));
    let mut other = raised(before);
    other.settled();
    assert_eq!(other.report(), Closed::default());
    assert!(Member::new(verifier(0), Origin::Unknown).report().forgot);
}

#[test]
fn a_late_answer_to_a_frame_of_the_version_before_is_no_answer_to_one_of_this() {
    let mut out = Vec::new();
    for late in [Ok(vec![witness(1)]), Err(Refusal { status: Status::Io, failed: None })] {
        let mut head = Member::new(verifier(0), Origin::Beginning);
        let old = take(&mut head, &from_client(1, Some(disk(1))));
        head.applied(old, Ok(()), &mut out);
        head.close(Status::TryAgain, &mut out);
        let mut raised = head.successor(verifier(0), Origin::Beginning, head.report());
        let new = take(&mut raised, &from_client(2, Some(disk(1))));
        out.clear();
        raised.applied(new, Ok(()), &mut out);
        raised.answered(old, late, &mut out);
        assert_eq!(out, []);
        assert!(raised.is_open());
        raised.answered(new, Ok(vec![witness(1)]), &mut out);
        assert!(out.remove(0).result.is_ok());
    }
}
