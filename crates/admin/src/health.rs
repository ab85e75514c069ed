//! `muskox health`: the verdict of `muskox status`, every reason for it with the next step, and what is muted.
//!
//! # Invariants
//! 1. The verdict and its reasons are those of `status`: there is one judgement.
//! 2. What is muted is shown, with when that ends; it costs no health and is no reason.

use crate::API_VERSION;
use crate::status::{Verdict, muted, mutes, verdict, warnings};
use crate::units::{age, counted, printable};
use rpc::admin::{ClusterStatus, MuteStatus, Severity, Warning};
use serde::Serialize;

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "NOTE",
        Severity::Warning => "WARN",
        Severity::Critical => "CRIT",
    }
}

/// What is left, in seconds that have begun: a mute for 30 min is not one for 29.
pub(crate) fn whole_s(ms: u64) -> u64 {
    ms.div_ceil(1_000).saturating_mul(1_000)
}

/// When a mute ends.
fn ends(mute: &MuteStatus) -> String {
    let time = mute.left_ms.map(|ms| format!("for {} more", age(whole_s(ms))));
    match (time, mute.sticky) {
        (Some(time), true) => time,
        (None, true) => "until it is unmuted".into(),
        (Some(time), false) => format!("{time}, until it concerns more than {} or nothing", mute.amount),
        (None, false) => format!("until it concerns more than {} or nothing", mute.amount),
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!("   ({})", printable(reason.as_bytes())) }
}

/// A warning as lines: what it is about, why, and what to do.
fn lines_of(head: &str, warning: &Warning, next: &str) -> [String; 3] {
    let (code, subject) = warning.parts();
    let head = format!("{head} {code}   {}", printable(subject.as_bytes()));
    [
        head.trim_end().to_owned(),
        format!("     why   {}", printable(warning.message.as_bytes())),
        format!("     next  {}", printable(next.as_bytes())),
    ]
}

/// The whole text, ending in a newline.
pub fn render(status: &ClusterStatus) -> String {
    let all: Vec<&Warning> = warnings(status).collect();
    let reasons = all.iter().filter(|one| one.severity > Severity::Note).count() as u64;
    let mut lines = vec![match verdict(status) {
        Verdict::Healthy => "HEALTHY   nothing needs anybody".to_owned(),
        other => format!("{other}   {}", counted(reasons, "reason")),
    }];
    for warning in all {
        lines.extend(lines_of(word(warning.severity), warning, &warning.next));
    }
    for mute in status.mutes.iter() {
        let (code, reason) = (mute.code, because(&mute.reason));
        match mute.grown_to {
            Some(grown) => lines.push(format!(
                "NOTE {code} is muted no longer: it concerned {} when it was muted, now {grown}{reason}",
                mute.amount
            )),
            None => lines.push(format!("MUTE {code}   {}{reason}", ends(mute))),
        }
        let under = status.warnings.iter().filter(|one| muted(status, one) == Some(mute));
        for warning in under {
            let next = format!("muskox health unmute {code}   (then: {})", warning.next);
            lines.extend(lines_of(&format!("     {}", word(warning.severity)), warning, &next));
        }
    }
    lines.push(match reasons {
        0 => "next  muskox status".into(),
        _ => "next  muskox health   again, once the steps above are taken".into(),
    });
    lines.join("\n") + "\n"
}

/// The same for programs.
pub fn json(status: &ClusterStatus) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a> {
        api_version: &'static str,
        kind: &'static str,
        verdict: String,
        checks: Vec<Check<'a>>,
        mutes: Vec<Mute<'a>>,
    }
    #[derive(Serialize)]
    struct Check<'a> {
        code: &'a str,
        subject: &'a str,
        severity: &'static str,
        why: &'a str,
        next: &'a str,
        amount: u64,
        muted: bool,
    }
    /// `grownTo`: it ended, since it concerns so many things.
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Mute<'a> {
        code: &'static str,
        since_ms_ago: u64,
        left_ms: Option<u64>,
        amount: u64,
        sticky: bool,
        reason: &'a str,
        grown_to: Option<u64>,
    }
    fn mute(one: &MuteStatus) -> Mute<'_> {
        let MuteStatus { code, since_ms_ago, left_ms, amount, sticky, ref reason, grown_to } = *one;
        Mute { code: code.word(), since_ms_ago, left_ms, amount, sticky, reason, grown_to }
    }
    let check = |warning| {
        let (code, subject) = Warning::parts(warning);
        let severity = match warning.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let muted = muted(status, warning).is_some();
        let Warning { message, next, amount, .. } = warning;
        Check { code, subject, severity, why: message, next, amount: *amount, muted }
    };
    crate::json_text(&Document {
        api_version: API_VERSION,
        kind: "Health",
        verdict: verdict(status).to_string(),
        checks: status.warnings.iter().map(check).collect(),
        mutes: status.mutes.iter().map(mute).collect(),
    })
}

/// What became of a code that was to be muted; the status is that after it.
pub fn muted_text(status: &ClusterStatus, code: &str) -> String {
    match mutes(status).find(|mute| mute.code.word() == code) {
        Some(mute) => {
            format!("{code} is muted {}{}\nnext  muskox health\n", ends(mute), because(&mute.reason))
        }
        // Its time was over at once, or somebody was quicker.
        None => format!("{code} is not muted\nnext  muskox health\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::HealthCode;

    fn cluster(warnings: Vec<Warning>) -> ClusterStatus {
        ClusterStatus { warnings, ..ClusterStatus::default() }
    }

    fn missing() -> Warning {
        Warning {
            code: "CHUNK_MISSING".into(),
            severity: Severity::Critical,
            message: "3 chunks without any replica".into(),
            next: "bring them back".into(),
            amount: 3,
        }
    }

    fn mute(code: &str) -> MuteStatus {
        MuteStatus {
            code: HealthCode::find(code).expect("a code"),
            since_ms_ago: 0,
            left_ms: None,
            amount: 1,
            sticky: false,
            reason: String::new(),
            grown_to: None,
        }
    }

    fn unmet() -> Warning {
        Warning {
            code: "CLASS_UNSATISFIABLE photos".into(),
            severity: Severity::Warning,
            message: "class photos cannot be met".into(),
            next: "muskox class show photos".into(),
            amount: 1,
        }
    }

    #[test]
    fn a_healthy_cluster_has_a_short_answer() {
        assert_eq!(render(&cluster(Vec::new())), "HEALTHY   nothing needs anybody\nnext  muskox status\n");
    }

    #[test]
    fn every_reason_has_its_code_what_it_is_about_why_and_a_next_step_the_worst_first() {
        let text = render(&cluster(vec![missing(), unmet()]));
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
        assert!(
            text.starts_with("CRITICAL   2 reasons\nCRIT CHUNK_MISSING\n     why   3 chunks without"),
            "{text}"
        );
        assert!(
            at("CHUNK_MISSING")
                < at("WARN CLASS_UNSATISFIABLE   photos\n     why   class photos cannot be met\n")
        );
        at("     next  muskox class show photos\n");
    }

    #[test]
    fn a_note_is_told_and_costs_no_health() {
        let note = Warning { severity: Severity::Note, ..unmet() };
        let text = render(&cluster(vec![note]));
        assert!(text.starts_with("HEALTHY") && text.contains("NOTE CLASS_UNSATISFIABLE   photos"), "{text}");
    }

    #[test]
    fn programs_get_code_and_subject_apart() {
        let document: serde_json::Value = serde_json::from_str(&json(&cluster(vec![unmet()]))).expect("JSON");
        assert_eq!((&document["kind"], &document["verdict"]), (&"Health".into(), &"DEGRADED".into()));
        let check = &document["checks"][0];
        assert_eq!((&check["code"], &check["subject"]), (&"CLASS_UNSATISFIABLE".into(), &"photos".into()));
        assert_eq!(check["severity"], "warning");
    }

    #[test]
    fn what_is_muted_is_shown_with_when_that_ends_and_is_no_reason() {
        let long =
            MuteStatus { left_ms: Some(1_800_000), reason: "new fans".into(), ..mute("CHUNK_MISSING") };
        let status = ClusterStatus { mutes: vec![long], ..cluster(vec![missing(), unmet()]) };
        let text = render(&status);
        assert!(text.starts_with("DEGRADED   1 reason\nWARN CLASS_UNSATISFIABLE"), "{text}");
        let muted = "\
MUTE CHUNK_MISSING   for 30 min more, until it concerns more than 1 or nothing   (new fans)
     CRIT CHUNK_MISSING
     why   3 chunks without any replica
     next  muskox health unmute CHUNK_MISSING   (then: bring them back)
next  muskox health   again";
        assert!(text.contains(muted), "{text}");
        let document: serde_json::Value = serde_json::from_str(&json(&status)).expect("JSON");
        assert_eq!(document["verdict"], "DEGRADED");
        assert_eq!(
            (&document["checks"][0]["muted"], &document["checks"][1]["muted"]),
            (&true.into(), &false.into())
        );
        let mute = &document["mutes"][0];
        assert_eq!((&mute["leftMs"], &mute["reason"]), (&1_800_000.into(), &"new fans".into()));
        assert_eq!(verdict(&status), Verdict::Degraded);
    }

    #[test]
    fn how_a_mute_ends_is_said_of_each_kind() {
        let of = |left_ms, sticky| ends(&MuteStatus { left_ms, sticky, ..mute("SERVER_DOWN") });
        assert_eq!(of(None, false), "until it concerns more than 1 or nothing");
        assert_eq!(of(None, true), "until it is unmuted");
        assert_eq!(of(Some(60_000), true), "for 60 s more");
    }

    #[test]
    fn a_mute_that_ended_because_of_more_things_counts_no_longer_and_says_so() {
        let grown = MuteStatus { grown_to: Some(3), ..mute("CHUNK_MISSING") };
        let status = ClusterStatus { mutes: vec![grown], ..cluster(vec![missing()]) };
        let text = render(&status);
        assert!(text.starts_with("CRITICAL   1 reason\nCRIT CHUNK_MISSING\n"), "{text}");
        let said = "NOTE CHUNK_MISSING is muted no longer: it concerned 1 when it was muted, now 3\n";
        assert!(text.contains(said) && !text.contains("MUTE"), "{text}");
        assert!(muted_text(&status, "CHUNK_MISSING").starts_with("CHUNK_MISSING is not muted"));
    }
}
