//! `muskox task ls`, and how far a task is.

use crate::units::{age, count, counted, percent};
use crate::{API_VERSION, table};
use rpc::admin::TaskStatus;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    tasks: Vec<Task<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task<'a> {
    id: u64,
    what: &'a str,
    looked: u64,
    changed: u64,
    total: Option<u64>,
    since_ms_ago: u64,
}

/// How far it is, in a few words.
pub fn progress(task: &TaskStatus) -> String {
    let part = match task.total {
        0 => String::new(),
        total => format!(" ({})", percent(task.looked.min(total), total)),
    };
    format!("{} looked at{part}, {} changed", counted(task.looked, "inode"), count(task.changed))
}

/// All tasks as a table.
pub fn list(tasks: &[TaskStatus]) -> String {
    if tasks.is_empty() {
        return "no task is under way\nnext  muskox status\n".into();
    }
    let row = |task: &TaskStatus| {
        vec![task.task.to_string(), task.what.clone(), progress(task), age(task.since_ms_ago)]
    };
    let rows: Vec<Vec<String>> = tasks.iter().map(row).collect();
    let mut lines = table::lines(&["TASK", "WHAT", "PROGRESS", "SINCE"], &rows);
    lines.push(format!("next  muskox task cancel {}   (what it did stays)\n", tasks[0].task));
    lines.join("\n")
}

/// All tasks, for programs.
pub fn json(tasks: &[TaskStatus]) -> String {
    let tasks = tasks.iter().map(|task| Task {
        id: task.task.0,
        what: &task.what,
        looked: task.looked,
        changed: task.changed,
        total: (task.total > 0).then_some(task.total),
        since_ms_ago: task.since_ms_ago,
    });
    crate::json_text(&Document { api_version: API_VERSION, kind: "Tasks", tasks: tasks.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::TaskId;

    #[test]
    fn tasks_say_how_far_they_are() {
        let task = TaskStatus {
            task: TaskId(1_031),
            what: "class photos for /photos and all below".into(),
            path: b"/photos".to_vec(),
            looked: 18_204,
            changed: 3,
            total: 20_000,
            since_ms_ago: 2_000,
        };
        let text = list(std::slice::from_ref(&task));
        assert!(
            text.contains(
                "1031  class photos for /photos and all below  18,204 inodes looked at (91 %), 3 changed  2 s"
            ),
            "{text}"
        );
        assert!(text.ends_with("next  muskox task cancel 1031   (what it did stays)\n"), "{text}");
        assert!(!progress(&TaskStatus { total: 0, ..task.clone() }).contains('%'));
        assert!(list(&[]).starts_with("no task is under way\nnext"));
        let value: serde_json::Value = serde_json::from_str(&json(&[task])).expect("it is JSON");
        assert_eq!((&value["tasks"][0]["id"], &value["kind"]), (&1_031.into(), &"Tasks".into()));
    }
}
