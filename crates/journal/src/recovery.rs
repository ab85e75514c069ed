//! Finding the tail of a log that was not stopped cleanly.
//!
//! Every batch says what was durable when it was written. So the highest such index among all batches
//! that can be read, wherever they stand, divides what is found: a record at or below it must be there,
//! and everything above may be torn. See `docs/format/changelog.md`, "Recovery".
//!
//! # Invariants
//! 1. Nothing is changed on disk before it is clear that the log can be used.
//! 2. Cut bytes are durable under another name before they leave the segment.
//! 3. At any moment a kill or a power cut leaves a log that recovers to the same records.

use crate::format::{BATCH_HEADER_BYTES, Binding, DATA_OFFSET};
use crate::segment::{
    Scan, Window, first_header, parse_segment_name, read_stamp, remains_after, scan, segment_name,
};
use crate::shared::{Ready, Span, State, make_ready, spare_name, write_zeroes};
use crate::{Cut, OpenError, Options, Recovery};
use env::{Dir, EntryKind, File, OpenMode};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use types::{LogIndex, Term};

/// Piece in which cut bytes are copied.
const COPY_BYTES: usize = 1 << 20;
/// Cut files of one place that are told apart by a number.
const CUT_NAMES_MAX: u32 = 10_000;

/// A segment's file, as found.
struct Candidate {
    segment: u64,
    name: String,
    file: Arc<dyn File>,
    binding: Binding,
    /// How much fits in, and how much did when it was made.
    bytes: u64,
    made: u64,
    /// What the first batch begins with, if there is one.
    first: Option<LogIndex>,
}

impl Candidate {
    /// It had all its bytes before it got its name. Zeroes may be missing: behind them there was nothing.
    fn check_length(&self, end: u64, remains: bool) -> Result<(), OpenError> {
        let (found, made) = (self.bytes, self.made);
        if found < made && (remains || found - end < BATCH_HEADER_BYTES as u64) {
            return Err(OpenError::Short { file: self.name.clone(), found, made });
        }
        Ok(())
    }
}

/// A segment that holds records of the log.
struct Used {
    number: usize,
    first: LogIndex,
    scan: Scan,
}

/// The segment that is appended to next.
pub(crate) struct Current {
    pub(crate) binding: Binding,
    pub(crate) file: Arc<dyn File>,
    pub(crate) bytes: u64,
    /// Where the next batch goes.
    pub(crate) offset: u64,
}

/// What an opened log starts from.
pub(crate) struct Recovered {
    pub(crate) current: Current,
    pub(crate) state: State,
    pub(crate) recovery: Recovery,
}

/// The log as understood, before anything is changed.
struct Survey {
    candidates: Vec<Candidate>,
    used: Vec<Used>,
    spares: Vec<String>,
    /// The first record that the log does not have.
    next: LogIndex,
    term: Term,
    /// The highest index of which any batch, or the caller, says that it was durable.
    stable: LogIndex,
    /// Candidates that hold something that is not part of the log.
    beyond: Vec<usize>,
    /// The segments after the tail are empty and of the right size; if not, all of them go.
    keep_ready: bool,
}

/// Opens what is in `dir`.
pub(crate) fn recover(dir: &Arc<dyn Dir>, options: &Options) -> Result<Recovered, OpenError> {
    let (survey, mut recovery) = usable(&**dir, options)?;
    recovery.cuts = cut(&**dir, &survey)?;
    // What was written before a kill is in the page cache only; from here on it counts as durable.
    for used in &survey.used {
        if used.scan.next.0 > survey.stable.0 + 1 {
            survey.candidates[used.number].file.sync_data()?;
        }
    }
    arrange(dir, options, survey, recovery)
}

/// What opening the log in `dir` would find, or why it would be refused. Nothing is changed, so that no cut is told.
pub fn inspect(dir: &dyn Dir, options: &Options) -> Result<Recovery, OpenError> {
    usable(dir, options).map(|(_, recovery)| recovery)
}

/// What is there, if the log can be used.
fn usable(dir: &dyn Dir, options: &Options) -> Result<(Survey, Recovery), OpenError> {
    let survey = survey(dir, options)?;
    if survey.stable >= survey.next {
        return Err(damaged(&survey));
    }
    let first = survey.used.first().map_or(survey.next, |used| used.first);
    if first > options.needed.first {
        return Err(OpenError::Gap { first, needed: options.needed.first });
    }
    let fresh = survey.candidates.is_empty();
    let last = LogIndex(survey.next.0 - 1);
    let recovery = Recovery { first, last, term: survey.term, fresh, cuts: Vec::new() };
    Ok((survey, recovery))
}

/// Reads everything; changes nothing.
fn survey(dir: &dyn Dir, options: &Options) -> Result<Survey, OpenError> {
    let (candidates, spares) = candidates(dir, options)?;
    let mut survey = Survey {
        candidates: Vec::new(),
        used: Vec::new(),
        spares,
        next: LogIndex(options.after.1.0 + 1),
        term: options.after.0,
        stable: options.needed.last,
        beyond: Vec::new(),
        keep_ready: true,
    };
    for (number, candidate) in candidates.iter().enumerate() {
        let Candidate { name, file, binding, first, .. } = candidate;
        // Segments are filled one after the other: behind an empty one there is no part of the log.
        let in_log = survey.beyond.is_empty() && survey.used.len() == number;
        match *first {
            Some(first) if number == 0 && first != survey.next => {
                // What was before it has been recycled.
                (survey.next, survey.term) = (first, Term(0));
            }
            Some(found) if in_log && found < survey.next => {
                let before = LogIndex(survey.next.0 - 1);
                return Err(OpenError::Overlap { file: name.clone(), found, before });
            }
            _ => {}
        }
        if in_log && *first == Some(survey.next) {
            let scan = scan(name, &**file, binding, survey.next, survey.term)?;
            candidate.check_length(scan.end, scan.remains)?;
            survey.used.push(Used { number, first: survey.next, scan });
            (survey.next, survey.term) = (scan.next, scan.term);
            survey.stable = survey.stable.max(scan.stable);
        } else {
            candidate.check_length(DATA_OFFSET, true)?;
            let mut window = Window::new(&**file)?;
            let remains = remains_after(&mut window, binding, DATA_OFFSET, survey.next)?;
            survey.stable = survey.stable.max(remains.stable);
            if remains.any {
                survey.beyond.push(number);
            }
        }
    }
    let ready = candidates.iter().skip(survey.used.len());
    survey.keep_ready =
        survey.beyond.is_empty() && ready.clone().all(|candidate| candidate.bytes == options.segment_bytes);
    survey.candidates = candidates;
    Ok(survey)
}

/// The files of the log, checked to be ours and without a gap.
fn candidates(dir: &dyn Dir, options: &Options) -> Result<(Vec<Candidate>, Vec<String>), OpenError> {
    let mut segments = Vec::new();
    let mut spares = Vec::new();
    for entry in dir.list("")? {
        if entry.kind != EntryKind::File {
            continue;
        }
        if let Some(segment) = parse_segment_name(&entry.name) {
            segments.push((segment, entry.name));
        } else if entry.name.starts_with("spare-") {
            spares.push(entry.name);
        }
    }
    segments.sort();
    spares.sort();
    let mut candidates: Vec<Candidate> = Vec::new();
    for (segment, name) in segments {
        if let Some(before) = candidates.last()
            && before.segment + 1 != segment
        {
            return Err(OpenError::Missing { file: segment_name(before.segment + 1) });
        }
        let file = dir.open(&name, OpenMode::ReadWrite)?;
        let Some(stamp) = read_stamp(&name, &*file, segment, options.cluster)? else {
            return Err(OpenError::Stamp { file: name });
        };
        let binding = Binding::new(segment, stamp.salt);
        let bytes = stamp.bytes.min(file.len()?);
        let first = first_header(&*file, &binding)?.map(|header| header.first);
        let made = stamp.bytes;
        candidates.push(Candidate { segment, name, file, binding, bytes, made, first });
    }
    Ok((candidates, spares))
}

fn damaged(survey: &Survey) -> OpenError {
    let (file, offset) = match survey.used.last() {
        Some(used) => (survey.candidates[used.number].name.clone(), used.scan.end),
        None => (survey.candidates.first().map_or_else(String::new, |c| c.name.clone()), DATA_OFFSET),
    };
    OpenError::Damaged { file, offset, index: survey.next, stable: survey.stable }
}

/// Takes out of the way what is not part of the log, keeping it aside.
fn cut(dir: &dyn Dir, survey: &Survey) -> Result<Vec<Cut>, OpenError> {
    let mut cuts = Vec::new();
    if let Some(used) = survey.used.last()
        && used.scan.remains
    {
        cuts.push(cut_tail(dir, &survey.candidates[used.number], used.scan.end, survey.next)?);
    }
    if survey.keep_ready {
        return Ok(cuts);
    }
    // From the last one down, each durably, so that no gap appears whenever this is interrupted.
    for number in (survey.used.len()..survey.candidates.len()).rev() {
        let candidate = &survey.candidates[number];
        if survey.beyond.contains(&number) {
            let kept_as = free_cut_name(dir, survey.next, candidate.segment)?;
            dir.rename(&candidate.name, &kept_as)?;
            let bytes = candidate.file.len()?;
            let segment = candidate.name.clone();
            cuts.push(Cut { segment, index: survey.next, offset: 0, bytes, kept_as });
        } else {
            dir.rename(&candidate.name, &spare_name(candidate.segment))?;
        }
        dir.sync_dir("")?;
    }
    Ok(cuts)
}

/// Copies the end of a segment aside, then overwrites it with zeroes: later records must not meet it.
fn cut_tail(dir: &dyn Dir, candidate: &Candidate, from: u64, index: LogIndex) -> io::Result<Cut> {
    let end = candidate.file.len()?;
    let kept_as = free_cut_name(dir, index, candidate.segment)?;
    let copy = dir.open(&kept_as, OpenMode::CreateNew)?;
    copy.set_len(end.saturating_sub(from))?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = from;
    while at < end {
        let count = candidate.file.read_at(&mut buffer, at)?;
        if count == 0 {
            break;
        }
        if buffer[..count].iter().any(|byte| *byte != 0) {
            copy.write_at(&buffer[..count], at - from)?;
        }
        at += count as u64;
    }
    copy.sync_data()?;
    dir.sync_dir("")?;
    write_zeroes(&*candidate.file, from, end)?;
    candidate.file.sync_data()?;
    Ok(Cut { segment: candidate.name.clone(), index, offset: from, bytes: end - from, kept_as })
}

fn free_cut_name(dir: &dyn Dir, index: LogIndex, segment: u64) -> io::Result<String> {
    for number in 0..CUT_NAMES_MAX {
        let name = match number {
            0 => format!("cut-{index}-{segment:016x}"),
            _ => format!("cut-{index}-{segment:016x}-{number}"),
        };
        if !dir.exists(&name)? {
            return Ok(name);
        }
    }
    Err(io::Error::other("too many files of cut tails; look at them and move them away"))
}

/// Chooses the segment to append to and hands everything over.
fn arrange(
    dir: &Arc<dyn Dir>,
    options: &Options,
    survey: Survey,
    recovery: Recovery,
) -> Result<Recovered, OpenError> {
    let mut segments: VecDeque<Span> = VecDeque::new();
    let mut spares = survey.spares;
    let mut ready = VecDeque::new();
    let mut next_segment = 1;
    let mut current = None;
    for (number, candidate) in survey.candidates.into_iter().enumerate() {
        let Candidate { segment, file, binding, bytes, .. } = candidate;
        match survey.used.get(number) {
            Some(used) => {
                segments.push_back(Span { segment, first: used.first });
                if number + 1 == survey.used.len() {
                    current = Some(Current { binding, file, bytes, offset: used.scan.end });
                }
            }
            None if survey.keep_ready => ready.push_back(Ready { segment, binding, file, bytes }),
            None => {
                // It was renamed; its number is free, and its file a spare if it held nothing.
                let spare = spare_name(segment);
                if !survey.beyond.contains(&number) && !spares.contains(&spare) {
                    spares.push(spare);
                }
                continue;
            }
        }
        next_segment = segment + 1;
    }
    let current = match current {
        Some(current) => current,
        None => {
            let ready = match ready.pop_front() {
                Some(ready) => ready,
                None => {
                    next_segment += 1;
                    make_ready(&**dir, options, next_segment - 1, spares.pop())?
                }
            };
            segments.push_back(Span { segment: ready.segment, first: LogIndex(recovery.last.0 + 1) });
            Current::begin(ready)
        }
    };
    let state = State { unsynced: Vec::new(), segments, ready, spares, next_segment };
    Ok(Recovered { current, state, recovery })
}

impl Current {
    /// A segment that has no record yet.
    pub(crate) fn begin(ready: Ready) -> Self {
        let Ready { binding, file, bytes, .. } = ready;
        Self { binding, file, bytes, offset: DATA_OFFSET }
    }
}
