//! What is told of a day: a line for each hour, and one for the whole.

use crate::books::{Books, Count};
use crate::world::World;

/// Above the lines.
pub(crate) const HEAD: &str = "hour | losses returns | edits: labels classes files marks | copies ordered: lost marked asked misplaced balance | \
made failed | GB | removed | fewest good: anywhere reachable | under goal: s, chunk·h | wall s | MB";

/// Of this process.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() / 1024
}

/// What the books say of a time.
pub(crate) fn line(world: &World, books: &Books) -> String {
    use Count::*;
    let number = |count| books.get(count);
    let (anywhere, reachable) = books.lowest;
    format!(
        "{:>4} | {} {} | {} {} {} {} | {}: {} {} {} {} {} | {} {} | {} | {} | {} {} | {} {:.1} | {} | {}",
        world.now_ms / 3_600_000,
        number(Losses),
        number(Returns),
        number(LabelEdits),
        number(ClassEdits),
        number(FileEdits),
        number(Marks),
        books.copies_ordered(),
        number(OrderedLost),
        number(OrderedMarked),
        number(OrderedAsked),
        number(OrderedMisplaced),
        number(OrderedBalance),
        books.copies_needed() + number(MadeBalance),
        number(Failed),
        number(Bytes) >> 30,
        number(Removed),
        anywhere,
        reachable,
        number(UnderMs) / 1_000,
        number(UnderChunkMs) as f64 / 3_600_000.0,
        world.begun.elapsed().as_secs(),
        resident_mb(),
    )
}

/// The two sides of the bound.
pub(crate) fn bound(books: &Books) -> String {
    use Count::*;
    let number = |count| books.get(count);
    format!(
        "copies made, balance left out: {} <= {} called for (lost {}, stale {}, asked {}, marked {}, stood in {}) + {} crossed (of {} under way \
at returns and edits); for balance {}; overtaken {}; raises {}, grants {}",
        books.copies_needed(),
        books.called_for(),
        number(Lost),
        number(Stale),
        number(Asked),
        number(Marked),
        number(StandIns),
        number(Crossed),
        number(Crossing),
        number(MadeBalance),
        number(Overtaken),
        number(Raises),
        number(Writes),
    )
}
