//! `muskox class`: what the classes ask for, who has them, and whether the cluster can give it.

mod file;
mod json;
mod told;

pub use file::{export, import};
pub use json::{json, json_one};
pub use told::{class_of_json, given, given_json, imported, imported_json};

use crate::table;
use crate::units::{count, counted, exact_size, size, span};
use rpc::admin::{ClassStatus, Unmet};
use types::{AgeBy, Expression, StorageClass};

/// Mounts are `noatime`.
const NO_READS: &str = " (mounts tell no reads: as ctime)";
/// What the release does not do yet, so that nobody relies on it.
const NOT_YET: &str = "kept, and not acted upon in this release";

/// `muskox class ls`.
pub fn list(classes: &[ClassStatus]) -> String {
    let rows: Vec<Vec<String>> = classes.iter().map(row).collect();
    let head = ["NAME", "KEEP", "CREATE", "ARCHIVE", "TRASH", "SPREAD", "INODES", "SIZE", "STATE"];
    let mut lines = table::lines(&head, &rows);
    let lacking = classes.iter().find(|class| !class.unmet.is_empty());
    lines.push(match lacking {
        Some(class) => format!("next  muskox class show {}   (what it lacks)", class.class.name),
        None => "next  muskox class set NAME PATH   (what is made below it inherits the class)".into(),
    });
    text(&lines)
}

fn row(status: &ClassStatus) -> Vec<String> {
    let class = &status.class;
    let or_dash = |part: Option<&Expression>| part.map_or_else(|| "-".to_owned(), Expression::to_string);
    vec![
        class.name.to_string(),
        class.keep.to_string(),
        or_dash(class.create.as_ref()),
        or_dash(class.archive.as_ref().map(|archive| &archive.to)),
        or_dash(class.trash.as_ref()),
        class.spread.to_string(),
        count(status.inodes),
        size(status.bytes),
        state(status),
    ]
}

fn state(status: &ClassStatus) -> String {
    match &*status.unmet {
        [] => "ok".into(),
        [first, ..] => format!("lacks {} on {}", counted(first.lacking.into(), "replica"), first.condition),
    }
}

/// `muskox class show`, and what is told of a class that was made or changed.
pub fn show(status: &ClassStatus) -> String {
    let class = &status.class;
    let mut lines = vec![format!(
        "class {} (id {})   {}, {}",
        class.name,
        status.id,
        counted(status.inodes, "inode"),
        size(status.bytes),
    )];
    let mut say = |what: &str, value: String| lines.push(format!("  {what:<13} {value}"));
    if let Some(create) = &class.create {
        say("new chunks", met(status, "create", create.to_string()));
    }
    say("keep", met(status, "keep", class.keep.to_string()));
    say("spread", format!("over {}", spread(class)));
    say("mode", class.mode.word().to_owned());
    say(
        "min-write",
        match class.min_write {
            Some(replicas) => counted(replicas.into(), "replica"),
            None => "1 of one or two replicas, else 2".to_owned(),
        },
    );
    if let Some(archive) = &class.archive {
        let mut value = format!("{} after {} by {}", archive.to, span(archive.after_s), archive.by.word());
        if archive.by == AgeBy::Accessed {
            value.push_str(NO_READS);
        }
        if archive.min_size > 0 {
            value.push_str(&format!(", from {} on", exact_size(archive.min_size)));
        }
        value.push_str(if archive.reversible { ", and back by a write" } else { ", for good" });
        say("archive", met(status, "archive", value));
    }
    if class.trash.is_some() || class.trash_keep_s > 0 {
        let place = class.trash.as_ref().map_or_else(|| "where they are".to_owned(), Expression::to_string);
        let value = match class.trash_keep_s {
            0 => "deleted files are not kept".to_owned(),
            seconds => format!("{place} for {}", span(seconds)),
        };
        say("trash", met(status, "trash", value));
    }
    let archive = class.archive.as_ref().map(|archive| &archive.to);
    let parts = [Some(&class.keep), class.create.as_ref(), archive, class.trash.as_ref()];
    if parts.into_iter().flatten().any(|part| part.as_str().contains('~')) {
        say("lagging (~)", NOT_YET.to_owned());
    }
    if let Some(read_last) = &class.read_last {
        say("read-last", format!("{read_last}   (read only when nothing else is left)"));
    }
    lines.extend(status.unmet.iter().map(|unmet| format!("  lacks         {unmet}")));
    lines.push(match status.unmet.first() {
        Some(unmet) => format!("next  {}", remedy(unmet)),
        None => format!("next  muskox class set {} PATH   (-r: with all that is below)", class.name),
    });
    text(&lines)
}

/// A part of a class, and whether it can be had.
fn met(status: &ClassStatus, part: &str, value: String) -> String {
    let lacks = status.unmet.iter().any(|unmet| unmet.part == part);
    format!("{value}   {}", if lacks { "cannot be met" } else { "ok" })
}

fn spread(class: &StorageClass) -> String {
    match &class.spread {
        types::Spread::Disk => "disks".into(),
        types::Spread::Host => "hosts".into(),
        types::Spread::Label(key) => format!("values of {key}"),
    }
}

/// What helps a class that lacks disks.
fn remedy(unmet: &Unmet) -> String {
    let label = unmet.condition.trim_start_matches('~');
    if label == types::ANY_WORD || unmet.disks >= unmet.wanted {
        "add a server with a disk, or: muskox class edit NAME --spread disk".into()
    } else {
        format!("muskox disk label SERVER:PATH {label}   (or add such a disk, or edit the class)")
    }
}

fn text(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
