//! Operator commands, tables and JSON.
//!
//! Everything here turns an answer into text, or an error into what an operator can do about it; the
//! binary parses arguments, connects and prints.
//!
//! # Invariants
//! 1. Every output and every error ends in a next step.
//! 2. `status` fits 24 lines; what is left out is counted.
//! 3. JSON carries [`API_VERSION`]; keys are only ever added.
//! 4. The master judges; what is shown here is what it says, and the verdict that of its worst warning that nobody muted.
//!
//! # Elsewhere
//! Asking the master: `rpc::admin`.

pub mod chunk;
pub mod class;
pub mod edit_plan;
pub mod error;
pub mod explain;
pub mod file_info;
pub mod health;
pub mod hold;
pub mod hosts;
pub mod limit;
pub mod locate;
mod refusal;
pub mod removal;
pub mod status;
mod table;
pub mod task;
pub mod trash;
pub mod units;

pub use error::{Exit, Failure};

/// The version of all JSON output.
pub const API_VERSION: &str = "muskox/v1";

/// A document as indented JSON, ending in a newline.
pub(crate) fn json_text(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document)
        .expect("documents are structs of strings, numbers and lists, which JSON can always hold");
    text.push('\n');
    text
}

/// Something was done, for programs.
pub fn done_json(kind: &'static str, subject: &str) -> String {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Done<'a> {
        api_version: &'static str,
        kind: &'static str,
        subject: &'a str,
    }
    json_text(&Done { api_version: API_VERSION, kind, subject })
}
