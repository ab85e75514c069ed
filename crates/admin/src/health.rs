//! `muskox health`: the verdict of `muskox status`, and every reason for it with the next step.
//!
//! # Invariants
//! 1. The verdict and its reasons are those of `status`: there is one judgement.

use crate::API_VERSION;
use crate::status::{Verdict, verdict, warnings};
use crate::units::{counted, printable};
use rpc::admin::{ClusterStatus, Severity, Warning};
use serde::Serialize;

/// The code of a reason, and what it is about, which may be empty.
fn parts(warning: &Warning) -> (&str, &str) {
    warning.code.split_once(' ').unwrap_or((&warning.code, ""))
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "NOTE",
        Severity::Warning => "WARN",
        Severity::Critical => "CRIT",
    }
}

/// The whole text, ending in a newline.
pub fn render(status: &ClusterStatus) -> String {
    let all = warnings(status);
    let reasons = all.iter().filter(|one| one.severity > Severity::Note).count() as u64;
    let mut lines = vec![match verdict(status) {
        Verdict::Healthy => "HEALTHY   nothing needs anybody".to_owned(),
        other => format!("{other}   {}", counted(reasons, "reason")),
    }];
    for warning in &all {
        let (code, subject) = parts(warning);
        lines.push(
            format!("{} {code}   {}", word(warning.severity), printable(subject.as_bytes()))
                .trim_end()
                .into(),
        );
        lines.push(format!("     why   {}", printable(warning.message.as_bytes())));
        lines.push(format!("     next  {}", printable(warning.next.as_bytes())));
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
    }
    #[derive(Serialize)]
    struct Check<'a> {
        code: &'a str,
        subject: &'a str,
        severity: &'static str,
        why: &'a str,
        next: &'a str,
    }
    let all = warnings(status);
    let check = |warning| {
        let (code, subject) = parts(warning);
        let severity = match warning.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        Check { code, subject, severity, why: &warning.message, next: &warning.next }
    };
    crate::json_text(&Document {
        api_version: API_VERSION,
        kind: "Health",
        verdict: verdict(status).to_string(),
        checks: all.iter().map(check).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc::admin::{ChunkCounts, ServerState, ServerStatus};

    fn cluster(missing: u64, warnings: Vec<Warning>) -> ClusterStatus {
        let server = ServerStatus { name: "cs1".into(), state: ServerState::Up, ..ServerStatus::default() };
        let chunks = ChunkCounts { missing, ..ChunkCounts::default() };
        ClusterStatus { servers: vec![server], chunks, warnings, ..ClusterStatus::default() }
    }

    fn unmet() -> Warning {
        Warning {
            code: "CLASS_UNSATISFIABLE photos".into(),
            severity: Severity::Warning,
            message: "class photos cannot be met".into(),
            next: "muskox class show photos".into(),
        }
    }

    #[test]
    fn a_healthy_cluster_has_a_short_answer() {
        assert_eq!(render(&cluster(0, Vec::new())), "HEALTHY   nothing needs anybody\nnext  muskox status\n");
    }

    #[test]
    fn every_reason_has_its_code_what_it_is_about_why_and_a_next_step_the_worst_first() {
        let text = render(&cluster(3, vec![unmet()]));
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
        let text = render(&cluster(0, vec![note]));
        assert!(text.starts_with("HEALTHY") && text.contains("NOTE CLASS_UNSATISFIABLE   photos"), "{text}");
    }

    #[test]
    fn programs_get_code_and_subject_apart() {
        let document: serde_json::Value =
            serde_json::from_str(&json(&cluster(0, vec![unmet()]))).expect("JSON");
        assert_eq!((&document["kind"], &document["verdict"]), (&"Health".into(), &"DEGRADED".into()));
        let check = &document["checks"][0];
        assert_eq!((&check["code"], &check["subject"]), (&"CLASS_UNSATISFIABLE".into(), &"photos".into()));
        assert_eq!(check["severity"], "warning");
    }
}
