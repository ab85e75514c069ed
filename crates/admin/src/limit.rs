//! `muskox limit ls`, and what is told once a limit was changed.

use crate::units::{exact_size, printable};
use crate::{API_VERSION, table};
use rpc::admin::{ClusterStatus, LimitStatus, LimitTarget};
use serde::Serialize;
use types::Limit;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    limits: Vec<Value<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Value<'a> {
    server: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    copies: Option<u32>,
    bytes_per_second: Option<u64>,
    places: u32,
    running: u32,
    writing: Option<u32>,
    holds_up: bool,
}

/// What a limit is about, as it is typed.
pub fn words(target: &LimitTarget) -> String {
    match target {
        LimitTarget::Server(name) => format!("--server {}", printable(name.as_bytes())),
        LimitTarget::Pair { from, to } => format!("--from '{from}' --to '{to}'"),
    }
}

/// How much it allows, in a few words.
fn amount(limit: Limit) -> [String; 2] {
    let none = || "-".to_owned();
    [
        limit.copies.map_or_else(none, |copies| copies.to_string()),
        limit.bytes_per_s.map_or_else(none, |rate| format!("{}/s", exact_size(rate))),
    ]
}

/// All limits as a table.
pub fn list(status: &ClusterStatus) -> String {
    if status.limits.is_empty() {
        return "no limit is set: each server reads and writes four copies at a time, as fast as it goes\nnext  muskox limit set --server NAME --rate 50MiB\n".into();
    }
    let row = |one: &LimitStatus| {
        let what = match &one.target {
            LimitTarget::Server(name) => format!("server {}", printable(name.as_bytes())),
            LimitTarget::Pair { from, to } => format!("{from} -> {to}"),
        };
        let running = match one.target {
            LimitTarget::Server(_) => {
                format!("{} read, {} written of {}", one.running, one.writing, one.places)
            }
            LimitTarget::Pair { .. } => format!("{} of {}", one.running, one.places),
        };
        let [copies, rate] = amount(one.limit);
        vec![what, copies, rate, running, if one.holds_up { "yes" } else { "no" }.into()]
    };
    let rows: Vec<Vec<String>> = status.limits.iter().map(row).collect();
    let mut lines = table::lines(&["OF", "COPIES", "RATE", "NOW", "SLOWS HEALING"], &rows);
    lines.push(format!("next  muskox limit rm {}\n", words(&status.limits[0].target)));
    lines.join("\n")
}

/// All limits, for programs.
pub fn json(status: &ClusterStatus) -> String {
    let limits = status.limits.iter().map(|one| {
        let (server, from, to) = match &one.target {
            LimitTarget::Server(name) => (Some(name.as_str()), None, None),
            LimitTarget::Pair { from, to } => (None, Some(from.as_str()), Some(to.as_str())),
        };
        Value {
            server,
            from,
            to,
            copies: one.limit.copies,
            bytes_per_second: one.limit.bytes_per_s,
            places: one.places,
            running: one.running,
            writing: server.map(|_| one.writing),
            holds_up: one.holds_up,
        }
    });
    let limits = limits.collect();
    crate::json_text(&Document { api_version: API_VERSION, kind: "Limits", limits })
}

/// A limit was set, or taken away.
pub fn changed(target: &LimitTarget, limit: Option<Limit>) -> String {
    let what = match limit.map(amount) {
        None => "is limited no longer".to_owned(),
        Some([copies, rate]) => format!("copies at a time: {copies}   bytes: {rate}   effective now"),
    };
    format!("{}   {what}\nnext  muskox limit ls\n", words(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> ClusterStatus {
        let limit = Limit { copies: Some(2), bytes_per_s: Some(10 << 20) };
        let one = |target| LimitStatus { target, limit, places: 2, running: 2, writing: 1, holds_up: true };
        let pair = LimitTarget::Pair { from: "ssd".into(), to: "site=home".into() };
        ClusterStatus {
            limits: vec![one(LimitTarget::Server("falcon".into())), one(pair)],
            ..ClusterStatus::default()
        }
    }

    #[test]
    fn limits_are_listed_with_what_they_do() {
        let text = list(&status());
        for words in ["server falcon", "2 read, 1 written of 2", "ssd -> site=home", "2 of 2", "10MiB/s"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(text.ends_with("next  muskox limit rm --server falcon\n"), "{text}");
        assert!(list(&ClusterStatus::default()).contains("next  muskox limit set"));
        let value: serde_json::Value = serde_json::from_str(&json(&status())).expect("it is JSON");
        assert_eq!((&value["apiVersion"], &value["kind"]), (&API_VERSION.into(), &"Limits".into()));
        assert_eq!(value["limits"][0]["server"], "falcon");
        assert_eq!(value["limits"][1]["bytesPerSecond"], 10 << 20);
        assert!(value["limits"][1]["writing"].is_null());
    }

    #[test]
    fn a_change_is_told_with_what_holds_now() {
        let server = LimitTarget::Server("falcon".into());
        let text = changed(&server, Some(Limit { copies: None, bytes_per_s: Some(1 << 20) }));
        assert_eq!(
            text,
            "--server falcon   copies at a time: -   bytes: 1MiB/s   effective now\nnext  muskox limit ls\n"
        );
        assert!(changed(&server, None).contains("limited no longer"));
    }
}
