//! Why a master refused a change, as operators see it: a code, what, why, and the next step.

use crate::{Exit, Failure};
use rpc::admin::{Refusal, RefusalKind};

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let Refusal { kind, subject, why, near } = refusal;
        let (code, exit, what, next) = match kind {
            RefusalKind::NoSuchClass => {
                ("E0201", Exit::NotFound, format!("there is no class {subject}"), "muskox class ls".to_owned())
            }
            RefusalKind::ClassExists => (
                "E0202",
                Exit::Failed,
                format!("there is a class {subject} already"),
                format!("muskox class edit {subject}   (or take another name)"),
            ),
            RefusalKind::ClassInUse => (
                "E0203",
                Exit::Refused,
                format!("class {subject} is in use"),
                format!("muskox class xchg {subject} default / -r   (and delete it when the task is done)"),
            ),
            RefusalKind::ClassStays => (
                "E0204",
                Exit::Refused,
                format!("class {subject} keeps its name and is not deleted: what has no other class has it"),
                format!("muskox class clone {subject} NAME"),
            ),
            RefusalKind::BadExpression => (
                "E0205",
                Exit::Usage,
                format!("{subject} cannot be read"),
                "write labels joined by &, |, ! and (), with numbers and commas, such as '2*ssd,backup'".to_owned(),
            ),
            RefusalKind::UnknownLabel => (
                "E0206",
                Exit::Refused,
                subject,
                "muskox disk ls   (shows the labels there are; --allow-unsatisfiable takes it as it is)".to_owned(),
            ),
            RefusalKind::BadClass => (
                "E0207",
                Exit::Usage,
                format!("class {subject} contradicts itself"),
                format!("muskox class show {subject}   (and change one of the two)"),
            ),
            RefusalKind::NoSuchDisk => (
                "E0208",
                Exit::NotFound,
                format!("there is no disk {subject}"),
                "muskox disk ls   (write SERVER:PATH as it stands there)".to_owned(),
            ),
            RefusalKind::NoSuchServer => {
                ("E0209", Exit::NotFound, format!("there is no server {subject}"), "muskox server ls".to_owned())
            }
            RefusalKind::Ambiguous => (
                "E0210",
                Exit::Usage,
                format!("several are called {subject}"),
                "write the id instead of the name".to_owned(),
            ),
            RefusalKind::BadLabels => (
                "E0211",
                Exit::Usage,
                format!("{subject} cannot have these labels"),
                "give a key one value, and at most 64 labels in all".to_owned(),
            ),
            RefusalKind::Unsatisfiable => (
                "E0212",
                Exit::Refused,
                format!("class {subject} cannot be met"),
                "muskox disk label SERVER:PATH LABEL   (or add disks; --allow-unsatisfiable takes it as it is)"
                    .to_owned(),
            ),
            RefusalKind::NoSuchTask => (
                "E0213",
                Exit::NotFound,
                format!("there is no task {subject}: it is done, or was cancelled"),
                "muskox task ls".to_owned(),
            ),
            RefusalKind::ClassChanged => (
                "E0214",
                Exit::Failed,
                format!("class {subject} was changed meanwhile by somebody else"),
                format!("muskox class show {subject}   (then try again)"),
            ),
            RefusalKind::TooMany => (
                "E0215",
                Exit::Failed,
                format!("there are as many {subject} as there can be"),
                match subject.as_str() {
                    "limits" => "muskox limit ls   (muskox limit rm takes one away)".into(),
                    "classes" => "muskox class ls   (muskox class delete takes one away)".into(),
                    _ => "try again when one of them has ended   (muskox task ls, muskox status)".into(),
                },
            ),
            RefusalKind::Connected => (
                "E0224",
                Exit::Refused,
                format!("server {subject} is connected"),
                format!("muskox server remove {subject} --wait   (then switch it off)"),
            ),
            RefusalKind::WouldLose => (
                "E0225",
                Exit::Refused,
                format!("server {subject} may hold the last replicas of chunks"),
                "bring it back, or the other disks that have these chunks: muskox status".to_owned(),
            ),
            RefusalKind::NotConnected => (
                "E0228",
                Exit::Unreachable,
                format!("server {subject} is not connected"),
                format!("start its chunkserver, and see its log: muskox server ls   ({subject} must be up)"),
            ),
            RefusalKind::NoSuchCode => {
                ("E0242", Exit::NotFound, format!("there is no health code {subject}"), "muskox health".to_owned())
            }
            RefusalKind::NotRaised => (
                "E0243",
                Exit::Refused,
                format!("nothing has the health code {subject} now, so there is nothing to mute"),
                format!("muskox health mute {subject} --sticky   (mutes it for whatever comes)"),
            ),
            RefusalKind::NoSuchLimit => {
                ("E0244", Exit::NotFound, format!("nothing limits {subject}"), "muskox limit ls".to_owned())
            }
            RefusalKind::NoSuchHold => (
                "E0245",
                Exit::NotFound,
                format!("there is no hold {subject}: its time is over, or it was ended"),
                "muskox class hold ls".to_owned(),
            ),
            RefusalKind::DiskNotTaken => {
                let next = if near.is_empty() { "muskox disk ls".to_owned() } else { near };
                return Self::new("E0229", Exit::Refused, format!("{subject} is not added"), next).because(why);
            }
        };
        let meant = if near.is_empty() { String::new() } else { format!("did you mean {near}?") };
        let why = [why, meant].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        Self::new(code, exit, what, next).because(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_refusal_has_a_code_of_its_own_and_a_next_step() {
        let mut codes = BTreeSet::new();
        for kind in RefusalKind::ALL {
            let refusal = Refusal { kind: *kind, subject: "photos".into(), ..Refusal::default() };
            let failure = Failure::from(refusal);
            assert!(codes.insert(failure.code), "{} twice", failure.code);
            assert!(failure.what.contains("photos") && !failure.next.is_empty(), "{failure}");
            assert!(!matches!(failure.exit, Exit::Done | Exit::Degraded | Exit::Critical));
        }
        assert_eq!(codes.len(), 23);
    }

    #[test]
    fn the_reason_and_what_was_meant_are_said() {
        let failure = Failure::from(Refusal {
            kind: RefusalKind::UnknownLabel,
            subject: "keep '2*sdd'".into(),
            why: "no disk has the label sdd (character 3)".into(),
            near: "ssd".into(),
        });
        let text = failure.to_string();
        assert!(
            text.starts_with(
                "E0206 keep '2*sdd': no disk has the label sdd (character 3); did you mean ssd?\n"
            ),
            "{text}"
        );
        assert!(text.contains("next: muskox disk ls") && failure.exit == Exit::Refused, "{text}");
    }
}
