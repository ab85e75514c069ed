//! What is told once something was done with classes.

use crate::API_VERSION;
use serde::Serialize;
use types::TaskId;

/// What became of the classes of a file: name and word of each.
pub fn imported(done: &[(String, &str)]) -> String {
    let mut text: String = done.iter().map(|(name, what)| format!("class {name}   {what}\n")).collect();
    text.push_str("next  muskox class ls\n");
    text
}

/// The same for programs.
pub fn imported_json(done: &[(String, &str)]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Imported<'a> {
        api_version: &'static str,
        kind: &'static str,
        classes: Vec<One<'a>>,
    }
    #[derive(Serialize)]
    struct One<'a> {
        name: &'a str,
        done: &'a str,
    }
    let classes = done.iter().map(|(name, what)| One { name, done: what }).collect();
    crate::json_text(&Imported { api_version: API_VERSION, kind: "ClassesImported", classes })
}

/// A class was given to a path. `task`: nobody waited for it.
pub fn given(class: &str, path: &str, task: Option<TaskId>) -> String {
    match task {
        Some(task) => {
            format!("task {task} gives class {class} to {path} and all below\nnext  muskox task ls\n")
        }
        None => format!("{path}   class {class}\nnext  muskox class get {path}\n"),
    }
}

/// The same for programs. `changed`: inodes that were seen to change.
pub fn given_json(class: &str, path: &str, changed: u64, task: Option<TaskId>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Given<'a> {
        api_version: &'static str,
        kind: &'static str,
        path: &'a str,
        class: &'a str,
        changed: u64,
        task: Option<u64>,
    }
    let task = task.map(|task| task.0);
    crate::json_text(&Given { api_version: API_VERSION, kind: "ClassGiven", path, class, changed, task })
}

/// The class of a path, for programs.
pub fn class_of_json(path: &str, class: &str) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Of<'a> {
        api_version: &'static str,
        kind: &'static str,
        path: &'a str,
        class: &'a str,
    }
    crate::json_text(&Of { api_version: API_VERSION, kind: "ClassOf", path, class })
}
