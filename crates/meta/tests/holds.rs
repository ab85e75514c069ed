//! Limits of healing and holds of what edits made dispensable.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use common::{Fs, labels, load};
use meta::Effect;
use types::{
    Expression, HOLDS_MAX, Hold, HoldCause, HoldId, Holder, LIMITS_MAX, Limit, LimitScope, Op, ServerId,
    Status, Timestamp,
};

const SERVER: ServerId = ServerId([3; 16]);

fn cluster() -> Fs {
    let mut fs = Fs::default();
    fs.ok(Op::RegisterServer { server: SERVER, name: "tiger".into(), address: "10.0.0.1:9422".into() });
    fs.define("default", "2*any");
    fs
}

fn pair(from: &str, to: &str) -> LimitScope {
    LimitScope::Pair { from: Expression::new(from).unwrap(), to: Expression::new(to).unwrap() }
}

fn until(seconds: i64) -> Timestamp {
    Timestamp::new(seconds, 0)
}

#[test]
fn a_limit_takes_the_place_of_the_one_before_and_goes_with_its_server() {
    let mut fs = cluster();
    let set = |scope: &LimitScope, copies| Op::SetLimit {
        scope: scope.clone(),
        limit: Some(Limit { copies: Some(copies), bytes_per_s: None }),
    };
    let (of_server, of_pair) = (LimitScope::Server(SERVER), pair("ssd", "site=home"));
    for scope in [&of_server, &of_pair] {
        assert_eq!(fs.refused(Op::SetLimit { scope: scope.clone(), limit: None }), Status::NotFound);
        fs.ok(set(scope, 2));
        assert_eq!(fs.effects, [Effect::LimitsSet]);
        fs.ok(set(scope, 3));
        assert_eq!(fs.meta.limit(scope).unwrap().copies, Some(3));
    }
    assert_eq!(fs.refused(set(&LimitScope::Server(ServerId([9; 16])), 2)), Status::NotFound);
    for limit in [Limit::default(), Limit { copies: Some(0), ..Limit::default() }] {
        let op = Op::SetLimit { scope: of_pair.clone(), limit: Some(limit) };
        assert_eq!(fs.refused(op), Status::Invalid);
    }
    for number in fs.meta.limits().count()..LIMITS_MAX {
        fs.ok(set(&pair(&format!("l{number}"), "any"), 1));
    }
    assert_eq!(fs.refused(set(&pair("one", "more"), 1)), Status::TooBig);
    fs.ok(Op::Forget { holder: Holder::Server(SERVER) });
    assert_eq!(fs.meta.limit(&of_server), None);
    fs.ok(Op::SetLimit { scope: of_pair.clone(), limit: None });
    assert_eq!(fs.meta.limit(&of_pair), None);
    assert_eq!(fs.meta.recomputed_digest(), fs.meta.digest());
}

#[test]
fn a_hold_is_made_once_for_each_cause_and_lasts_as_long_as_the_longest() {
    let mut fs = cluster();
    let photos = fs.define("photos", "3*any");
    let before = Box::new(fs.meta.class(photos).unwrap().clone());
    let cause = HoldCause::Class { class: photos, before };
    let hold = |cause: &HoldCause, seconds| Op::Hold { cause: cause.clone(), until: until(seconds) };
    fs.ok(hold(&cause, 4_000_000_000));
    let id = HoldId(fs.log.len() as u64);
    assert_eq!(fs.effects, [Effect::Held { hold: id }]);
    let since = fs.meta.held(id).unwrap().since;
    fs.ok(hold(&cause, 4_000_000_009));
    fs.ok(hold(&cause, 4_000_000_001));
    let lasts = Hold { cause: cause.clone(), since, until: until(4_000_000_009) };
    let loaded = load(&fs.checkpoint()).unwrap();
    for meta in [&fs.meta, &loaded] {
        assert_eq!(meta.holds().collect::<Vec<_>>(), [(id, &lasts)]);
    }
    fs.ok(Op::EndHold { hold: id });
    assert_eq!(fs.effects, [Effect::HoldEnded { hold: id }]);
    assert_eq!(fs.refused(Op::EndHold { hold: id }), Status::NotFound);
    assert_eq!(fs.meta.recomputed_digest(), fs.meta.digest());
}

#[test]
fn a_hold_ends_with_its_class_its_server_or_when_there_are_too_many() {
    let mut fs = cluster();
    let photos = fs.define("photos", "3*any");
    let before = Box::new(fs.meta.class(photos).unwrap().clone());
    let of_class = HoldCause::Class { class: photos, before };
    let of_labels = |words: &str| HoldCause::Labels { holder: Holder::Server(SERVER), before: labels(words) };
    fs.ok(Op::Hold { cause: of_class.clone(), until: until(5_000_000_000) });
    fs.ok(Op::DeleteClass { class: photos });
    assert_eq!(fs.meta.hold_for(&of_class), None);
    assert_eq!(fs.refused(Op::Hold { cause: of_class, until: until(5_000_000_000) }), Status::NotFound);
    for number in 0..=HOLDS_MAX {
        fs.ok(Op::Hold {
            cause: of_labels(&format!("l{number}")),
            until: until(4_000_000_000 + number as i64),
        });
    }
    assert_eq!(fs.meta.holds().count(), HOLDS_MAX);
    assert!(fs.meta.hold_for(&of_labels("l0")).is_none() && fs.meta.hold_for(&of_labels("l1")).is_some());
    fs.ok(Op::Forget { holder: Holder::Server(SERVER) });
    assert_eq!(fs.meta.holds().count(), 0);
    assert_eq!(fs.meta.recomputed_digest(), fs.meta.digest());
}
