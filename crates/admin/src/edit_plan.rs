//! What an edit of a class or of labels, or another class for files, would take.

use crate::API_VERSION;
use crate::units::{age, count, counted, size};
use rpc::admin::EditPlan;
use serde::Serialize;

/// Copies are taken to need so long as long as none was timed: a whole chunk at 64 MiB/s.
const COPY_MS_ASSUMED: u64 = 1_000;

/// How long the copies take, and whether that rests on a measurement.
pub(crate) fn estimate(plan: &EditPlan) -> (u64, bool) {
    let (each_ms, measured) = match plan.timed {
        0 => (COPY_MS_ASSUMED, false),
        _ => (plan.copy_ms, true),
    };
    (plan.add.saturating_mul(each_ms) / plan.at_once.max(1), measured)
}

/// Whether nothing would be made, dropped, or wanted in vain.
pub fn is_nothing(plan: &EditPlan) -> bool {
    plan.chunks == 0
}

/// The whole text, ending in a newline. `next`: the command that does it.
pub fn render(plan: &EditPlan, next: &str) -> String {
    let mut lines = vec![summary(plan)];
    lines.extend(details(plan));
    lines.push(format!("next  {next}"));
    lines.join("\n") + "\n"
}

/// In one line.
pub fn summary(plan: &EditPlan) -> String {
    if is_nothing(plan) {
        return "plan: no chunk is concerned: nothing is copied, nothing goes".into();
    }
    format!(
        "plan: {}: {} to add ({}), {} to drop ({})",
        counted(plan.chunks, "chunk"),
        counted(plan.add, "replica"),
        size(plan.add_bytes),
        count(plan.drop),
        size(plan.drop_bytes),
    )
}

/// The time that the replicas to add take, and where that is known from.
pub(crate) fn takes(plan: &EditPlan) -> String {
    let (ms, measured) = estimate(plan);
    let ground = match measured {
        true => format!(
            "measured: {} of late took {} ms each, up to {} at once",
            counted(plan.timed, "copy").replace("copys", "copies"),
            count(plan.copy_ms),
            plan.at_once
        ),
        false => format!(
            "assumed: none was timed since the master's start; 1 s each, up to {} at once",
            plan.at_once
        ),
    };
    format!("about {} ({ground})", age(ms.max(1_000)))
}

fn details(plan: &EditPlan) -> Vec<String> {
    let mut lines = Vec::new();
    if plan.add > 0 {
        lines.push(format!("  takes       {}", takes(plan)));
        lines.push(format!("  room        {} are free on the disks in service", size(plan.room_bytes)));
        lines.push(
            "  meanwhile   each replica stays, is read and takes writes until a better one is complete"
                .into(),
        );
    }
    if plan.drop > 0 {
        lines.push(match plan.hold_ms {
            0 => {
                "  drops       at once: hold-surplus-seconds is 0, so taking it back copies them anew".into()
            }
            ms => {
                format!("  drops       after {}: an edit that is taken back before copies nothing", age(ms))
            }
        });
    }
    if plan.lacking > 0 {
        lines.push(format!("  cannot be   {} that no disk can take", counted(plan.lacking, "replica")));
    }
    if plan.amiss > 0 {
        lines.push(format!(
            "  stay        {} where they are not wanted: no disk is better",
            counted(plan.amiss, "replica")
        ));
    }
    lines.extend(plan.unmet.iter().map(|unmet| format!("  cannot be met: {unmet}")));
    lines
}

/// The same for programs.
pub fn json(plan: &EditPlan) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        api_version: &'static str,
        kind: &'static str,
        chunks: u64,
        replicas_to_add: u64,
        bytes_to_add: u64,
        replicas_to_drop: u64,
        bytes_to_drop: u64,
        replicas_lacking: u64,
        replicas_amiss: u64,
        room_bytes: u64,
        hold_ms: u64,
        estimate_ms: u64,
        estimate_from: &'static str,
        unmet: Vec<String>,
    }
    let (estimate_ms, measured) = estimate(plan);
    crate::json_text(&Document {
        api_version: API_VERSION,
        kind: "EditPlan",
        chunks: plan.chunks,
        replicas_to_add: plan.add,
        bytes_to_add: plan.add_bytes,
        replicas_to_drop: plan.drop,
        bytes_to_drop: plan.drop_bytes,
        replicas_lacking: plan.lacking,
        replicas_amiss: plan.amiss,
        room_bytes: plan.room_bytes,
        hold_ms: plan.hold_ms,
        estimate_ms,
        estimate_from: if measured { "measured" } else { "assumed" },
        unmet: plan.unmet.iter().map(ToString::to_string).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> EditPlan {
        EditPlan {
            chunks: 40,
            add: 80,
            add_bytes: 5 << 30,
            drop: 40,
            drop_bytes: 2 << 30,
            room_bytes: 1 << 40,
            hold_ms: 3_600_000,
            timed: 9,
            copy_ms: 500,
            at_once: 8,
            ..EditPlan::default()
        }
    }

    #[test]
    fn a_plan_reads_like_this() {
        let text = render(&plan(), "muskox class edit photos --keep any");
        for line in [
            &format!(
                "plan: 40 chunks: 80 replicas to add ({}), 40 to drop ({})\n",
                size(5 << 30),
                size(2 << 30)
            ),
            "  takes       about 5 s (measured: 9 copies of late took 500 ms each, up to 8 at once)\n",
            &format!(
                "  drops       after {}: an edit that is taken back before copies nothing\n",
                age(3_600_000)
            ),
            "next  muskox class edit photos --keep any\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        let nothing = render(&EditPlan::default(), "muskox class ls");
        assert_eq!(
            nothing,
            "plan: no chunk is concerned: nothing is copied, nothing goes\nnext  muskox class ls\n"
        );
    }

    #[test]
    fn what_rests_on_no_measurement_and_what_cannot_be_is_said() {
        let (timed, hold_ms, lacking, amiss) = (0, 0, 3, 2);
        let text = render(&EditPlan { timed, hold_ms, lacking, amiss, ..plan() }, "muskox class ls");
        for words in [
            "about 10 s (assumed: none was timed",
            "drops       at once",
            "3 replicas that no disk",
            "2 replicas where",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn programs_get_numbers_and_what_the_estimate_rests_on() {
        let document: serde_json::Value = serde_json::from_str(&json(&plan())).expect("JSON");
        assert_eq!((&document["kind"], &document["replicasToAdd"]), (&"EditPlan".into(), &80.into()));
        assert_eq!((&document["estimateMs"], &document["estimateFrom"]), (&5_000.into(), &"measured".into()));
    }
}
