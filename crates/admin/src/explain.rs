//! `muskox explain`: where the chunks of a file are, where its class wants them, and what is in the way.

pub(crate) mod json;

pub use json::json;

use crate::file_info::kind_word;
use crate::removal::why;
use crate::units::{age, counted, printable, size};
use rpc::admin::{
    ChunkGroup, CopyStage, ExplainedCopy, ExplainedPlace, ExplainedReplica, Explanation, ObstacleKind, Role,
    ServerAbsence, Worth,
};
use types::{ChunkIndex, FileKind};

/// Groups of chunks shown without `--all`, those with something in the way first.
const GROUPS_SHOWN: usize = 4;
/// Ranges of one group shown without `--all`.
const RANGES_SHOWN: usize = 8;

/// The whole text, ending in a newline. `all`: every group and range.
pub fn render(told: &Explanation, all: bool) -> String {
    let mut lines = vec![format!(
        "{}   {}   {}",
        printable(&told.path),
        match told.attributes.kind {
            FileKind::File => format!("{}, {}", size(told.attributes.length), counted(told.chunks, "chunk")),
            other => kind_word(other).into(),
        },
        origin(told),
    )];
    for part in &told.parts {
        let spread =
            if part.name == "keep" { format!(", spread over {}", told.spread) } else { String::new() };
        let what = if part.name == "create" { "new chunks" } else { &part.name };
        lines.push(format!("  {what:<11} {}{spread}", printable(part.wants.as_bytes())));
        lines.extend(part.unmet.iter().map(|unmet| format!("              cannot be met: {unmet}")));
    }
    let mut groups: Vec<&ChunkGroup> = told.groups.iter().collect();
    groups.sort_by_key(|group| group.hindrance.is_none());
    let shown = if all { groups.len() } else { groups.len().min(GROUPS_SHOWN) };
    lines.extend(groups[..shown].iter().flat_map(|group| describe(group, all)));
    let hidden: u64 = groups[shown..].iter().map(|group| group.chunks).sum();
    if hidden > 0 {
        lines.push(format!("…  {} more in other places   (--all)", counted(hidden, "chunk")));
    }
    if told.left_out > 0 {
        lines.push(format!("…  {} more, too scattered to be told", counted(told.left_out, "chunk")));
    }
    lines.push(next(told));
    lines.join("\n") + "\n"
}

/// The class, and where it comes from.
fn origin(told: &Explanation) -> String {
    let class = printable(told.class.as_bytes());
    let above = match told.above.as_str() {
        "" => String::new(),
        above => format!("; above it: {}", printable(above.as_bytes())),
    };
    match (told.levels, above.as_str()) {
        (0, "") => format!("class {class}"),
        (0, _) => format!("class {class}, its own; its directory has {}", printable(told.above.as_bytes())),
        (levels, _) => match ancestor(&told.path, levels) {
            Some(path) => format!("class {class}, as {path}{above}"),
            None => format!("class {class}, as {} above it{above}", counted(levels.into(), "level")),
        },
    }
}

/// The directory so many levels above a path; `None`: the path does not show it.
fn ancestor(path: &[u8], levels: u32) -> Option<String> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    let kept = parts.len().checked_sub(levels as usize)?;
    let mut above = Vec::new();
    for part in &parts[..kept] {
        above.push(b'/');
        above.extend_from_slice(part);
    }
    Some(if above.is_empty() { "/".into() } else { printable(&above) })
}

fn describe(group: &ChunkGroup, all: bool) -> Vec<String> {
    let shown = if all { group.ranges.len() } else { group.ranges.len().min(RANGES_SHOWN) };
    let mut ranges: Vec<String> = group.ranges[..shown].iter().map(range).collect();
    if shown < group.ranges.len() {
        ranges.push("…".into());
    }
    let mut lines = vec![format!("chunk {}   {}", ranges.join(", "), counted(group.chunks, "chunk"))];
    let heads = |head: &'static str| std::iter::once(head).chain(std::iter::repeat(""));
    let is_sound = |one: &ExplainedReplica| matches!(one.worth, Worth::Good | Worth::Away);
    let any_sound = group.replicas.iter().any(is_sound);
    let replicas = group.replicas.iter().map(|one| replica(one, any_sound));
    lines.extend(heads("is").zip(replicas).map(|(head, text)| format!("  {head:<11} {text}")));
    if group.replicas.is_empty() {
        lines.push("  is          nowhere that is known".into());
    }
    let places = group.places.iter().map(place);
    lines.extend(heads(should(&group.part)).zip(places).map(|(head, text)| format!("  {head:<11} {text}")));
    if let Some(hindrance) = &group.hindrance {
        let wait = hindrance.wait_ms.filter(|ms| *ms > 0).map(|ms| format!(": {} yet", age(ms)));
        lines.push(format!("  in the way  {}{}", why(hindrance.kind), wait.unwrap_or_default()));
    }
    lines.extend(group.copy.as_ref().map(|one| format!("  under way   {}", copy(one))));
    lines
}

fn should(part: &str) -> &'static str {
    match part {
        "archive" => "by archive",
        "trash" => "by trash",
        _ => "by keep",
    }
}

fn range((first, last): &(ChunkIndex, ChunkIndex)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn replica(replica: &ExplainedReplica, any_sound: bool) -> String {
    let mut text = replica.disk.clone();
    if !replica.labels.is_empty() {
        text.push_str(&format!(" [{}]", replica.labels.join(",")));
    }
    let state = match (replica.worth, replica.away) {
        (Worth::Good, _) => "good",
        (Worth::Away, ServerAbsence::Maintenance) => "good when last heard of; its server is in maintenance",
        (Worth::Away, _) => "good when last heard of; it is away",
        (Worth::Stale, _) if !any_sound => "stale: it missed writes; kept while no replica is sound",
        (Worth::Stale, _) => "stale: it missed writes",
        (Worth::StaleAway, _) => "stale, and away",
        (Worth::Filling, _) => "being filled: it takes writes, and what was there before comes",
        (Worth::Damaged, _) => "damaged: some pages do not match their checksums",
        (Worth::Doubtful, _) => "to be compared with others before it is believed",
        (Worth::Kept, _) => "stale and damaged, kept for its pages",
    };
    let role = match replica.role {
        Role::Fits => ", where it should be",
        Role::StandsIn => ", stands in until there is a better one",
        Role::Leaving => ", its disk is to go and it is needed yet",
        Role::Surplus => ", not needed",
        Role::None => "",
    };
    let held = replica.held_ms.map(|ms| format!("; held for {} yet, since an edit", age(ms.max(1_000))));
    let read = if replica.read_last { "; read last" } else { "" };
    printable(format!("{text}   {state}{role}{}{read}", held.unwrap_or_default()).as_bytes())
}

fn place(place: &ExplainedPlace) -> String {
    let lag = if place.lagging { "~" } else { "" };
    let at = match (place.disk.as_str(), place.held) {
        ("", _) => format!("no disk: {}", lack(place)),
        (disk, true) => {
            let off = match (place.off_label, place.off_spread) {
                (true, _) => " (has not the labels)",
                (false, true) => " (too near to another one)",
                (false, false) => "",
            };
            format!("{disk}{off}")
        }
        (disk, false) => format!("not there yet; {disk} would take it"),
    };
    printable(format!("{lag}{}: {at}", place.condition).as_bytes())
}

/// Why no disk can take a replica.
fn lack(place: &ExplainedPlace) -> String {
    let found = [
        (place.lack_away, "away"),
        (place.lack_leaving, "to go"),
        (place.lack_full, "full"),
        (place.lack_near, "too near to another replica"),
    ];
    let told: Vec<String> = found
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} with the labels {what}"))
        .collect();
    if told.is_empty() { "no further one has the labels".into() } else { told.join(", ") }
}

fn copy(copy: &ExplainedCopy) -> String {
    let stage = match copy.stage {
        CopyStage::Raising => "is about to be copied",
        CopyStage::Joining => "joins the chain of a writer",
        CopyStage::Copying => "is being copied",
        CopyStage::Feeding => "is being filled while it is written",
    };
    let since = copy.since_ms_ago.map(|ms| format!(", for {}", age(ms.max(1_000))));
    printable(format!("{stage} from {} to {}{}", copy.from, copy.to, since.unwrap_or_default()).as_bytes())
}

fn next(told: &Explanation) -> String {
    let kinds: Vec<ObstacleKind> =
        told.groups.iter().flat_map(|group| group.hindrance).map(|one| one.kind).collect();
    let path = printable(&told.path);
    let next = if kinds.contains(&ObstacleKind::NoDisk) {
        "muskox disk ls   (label or add a disk, or edit the class)".into()
    } else if kinds.contains(&ObstacleKind::NoReplica) {
        "muskox server ls   (bring back what is away)".into()
    } else if told.attributes.kind == FileKind::Directory || kinds.is_empty() {
        format!("muskox class show {}", printable(told.class.as_bytes()))
    } else {
        format!("muskox explain {path}   (again: it goes on by itself)")
    };
    format!("next  {next}")
}

#[cfg(test)]
mod tests;
