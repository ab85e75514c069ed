//! `muskox class hold ls`: what edits made dispensable, and how long it stays.

use crate::units::{age, count, printable};
use crate::{API_VERSION, table};
use rpc::admin::{ClusterStatus, HoldStatus};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    holds: Vec<Value<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Value<'a> {
    id: u64,
    what: &'a str,
    before: &'a str,
    since_ms_ago: u64,
    left_ms: u64,
    replicas: u64,
}

/// All holds as a table.
pub fn list(status: &ClusterStatus) -> String {
    let Some(first) = status.holds.first() else {
        return "no edit holds anything\nnext  muskox class ls\n".into();
    };
    let row = |one: &HoldStatus| {
        vec![
            one.hold.to_string(),
            printable(one.what.as_bytes()),
            printable(one.before.as_bytes()),
            age(one.since_ms_ago),
            age(one.left_ms),
            count(one.replicas),
        ]
    };
    let rows: Vec<Vec<String>> = status.holds.iter().map(row).collect();
    let mut lines = table::lines(&["HOLD", "EDITED", "WANTED BEFORE", "SINCE", "LEFT", "REPLICAS"], &rows);
    lines.push(format!("next  muskox class hold end {}   (what it keeps goes then)\n", first.hold));
    lines.join("\n")
}

/// All holds, for programs.
pub fn json(status: &ClusterStatus) -> String {
    let holds = status.holds.iter().map(|one| Value {
        id: one.hold.0,
        what: &one.what,
        before: &one.before,
        since_ms_ago: one.since_ms_ago,
        left_ms: one.left_ms,
        replicas: one.replicas,
    });
    let holds = holds.collect();
    crate::json_text(&Document { api_version: API_VERSION, kind: "Holds", holds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::HoldId;

    #[test]
    fn holds_are_listed_with_the_command_that_ends_one() {
        let hold = HoldStatus {
            hold: HoldId(77),
            what: "class photos".into(),
            before: "3*ssd".into(),
            since_ms_ago: 60_000,
            left_ms: 3_600_000,
            replicas: 1_200,
        };
        let status = ClusterStatus { holds: vec![hold], ..ClusterStatus::default() };
        let text = list(&status);
        for words in ["77", "class photos", "3*ssd", "1,200", "next  muskox class hold end 77"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(list(&ClusterStatus::default()).contains("no edit holds anything"));
        let value: serde_json::Value = serde_json::from_str(&json(&status)).expect("it is JSON");
        assert_eq!((&value["apiVersion"], &value["kind"]), (&API_VERSION.into(), &"Holds".into()));
        assert_eq!((&value["holds"][0]["id"], &value["holds"][0]["leftMs"]), (&77.into(), &3_600_000.into()));
    }
}
