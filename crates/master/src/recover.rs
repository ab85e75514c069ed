//! Recovery: what a master finds in its data directory, and the beginning of its reign.
//!
//! Newest usable checkpoint, then the rest of the log, then a new term: stable in the term file before
//! the record that announces it, and that record stable before anybody is served.
//!
//! # Invariants
//! 1. Nothing that was stable is missing afterwards, or the start is refused and nothing was changed.
//! 2. What is unusual and not refused (a damaged checkpoint, a cut tail) is in `warnings`.

use crate::checkpoint::{self, BuildError};
use crate::config::{CHECKPOINT_FOLDER, Config, LOG_FOLDER, LOG_SEGMENT_BYTES_MIN};
use crate::core::record_time;
use crate::error::{StartError, chain};
use crate::folder::Folder;
use crate::predefined;
use crate::term::{TermFile, TermFileError};
use codec::admin::{Severity, Warning};
use env::{Dir, Env};
use journal::{Entry, Journal, Needed, OpenError, Options, Recovery};
use meta::Meta;
use std::io;
use std::sync::Arc;
use types::{ClassId, ClusterId, LogIndex, Op, Record, TERM_MAX, Term};

/// What the core begins with.
pub(crate) struct Recovered {
    pub(crate) meta: Meta,
    pub(crate) journal: Journal,
    pub(crate) cluster: ClusterId,
    pub(crate) term: Term,
    pub(crate) terms: TermFile,
    /// Records and bytes of log since the newest checkpoint.
    pub(crate) since_checkpoint: (u64, u64),
    /// The record of the newest checkpoint.
    pub(crate) checkpoint: Option<LogIndex>,
    pub(crate) warnings: Vec<Warning>,
}

/// Recovers what is there, or begins a new cluster. Blocks.
pub(crate) fn recover(env: &Env, config: &Config) -> Result<Recovered, StartError> {
    let data = &config.data;
    let log_folder = Folder::make(data, LOG_FOLDER).map_err(failed("make the folder of the log"))?;
    let checkpoints =
        Folder::make(data, CHECKPOINT_FOLDER).map_err(failed("make the folder of checkpoints"))?;
    let mut terms = read_terms(env, data, log_folder.as_ref(), checkpoints.as_ref())?;
    let mut warnings = Vec::new();

    let loaded = checkpoint::load(checkpoints.as_ref(), terms.cluster).map_err(failed("list checkpoints"))?;
    let instead =
        if loaded.checkpoint.is_some() { "an older one was used" } else { "the whole log was replayed" };
    for bad in &loaded.bad {
        tracing::error!(file = %bad.file, why = %bad.why, instead, "a checkpoint is damaged");
        warnings.push(Warning {
            code: "CHECKPOINT_DAMAGED".into(),
            severity: Severity::Warning,
            message: format!("the checkpoint {} could not be used: {}; {instead}", bad.file, bad.why),
            next: "check the disk of the master's data directory (smartctl, dmesg)".into(),
            amount: 1,
        });
    }
    let (header, meta) = loaded.checkpoint.unzip();
    let mut meta = meta.unwrap_or_default();
    let checkpoint = header.map(|header| header.index);

    let mut options = Options::new(terms.cluster, Arc::clone(&env.seed));
    options.segment_bytes = config.log_segment_bytes.max(LOG_SEGMENT_BYTES_MIN);
    let base = checkpoint.unwrap_or(LogIndex(0));
    let stable = terms.beginnings.last().map_or(LogIndex(0), |beginning| beginning.found);
    let from = LogIndex(base.0 + 1);
    options.needed = Needed { first: from, last: stable.max(base) };
    let (mut journal, found) = Journal::open(log_folder, options).map_err(open_error)?;
    report_cuts(&found, &mut warnings);
    let mut since_checkpoint = (0, 0);
    journal
        .replay(from, |entry| {
            since_checkpoint.0 += 1;
            since_checkpoint.1 += checkpoint::replay_entry(&mut meta, entry)?;
            Ok(())
        })
        .map_err(|error: BuildError| damaged(chain(&error)))?;
    if meta.applied().1 != found.last {
        return Err(damaged(format!(
            "the log ends with record {}, but replaying it ends with {}",
            found.last,
            meta.applied().1
        )));
    }
    if let Some(cluster) = meta.cluster()
        && cluster != terms.cluster
    {
        return Err(damaged(format!("the term file is of cluster {}, the log of {cluster}", terms.cluster)));
    }
    if terms.established && meta.cluster().is_none() {
        return Err(damaged("the term file names a cluster, but its log and checkpoints are gone".into()));
    }

    let term = next_term(&terms, &meta, &found)?;
    terms.begin(term, found.last);
    terms.write(data.as_ref()).map_err(failed("write the term file"))?;
    begin_reign(env, config, &mut meta, &mut journal, terms.cluster, term)?;
    if !terms.established {
        terms.established = true;
        terms.write(data.as_ref()).map_err(failed("write the term file"))?;
    }
    let cluster = terms.cluster;
    Ok(Recovered { meta, journal, cluster, term, terms, since_checkpoint, checkpoint, warnings })
}

/// The term file; a new one only where nothing else is.
fn read_terms(
    env: &Env,
    data: &Arc<dyn Dir>,
    log: &dyn Dir,
    checkpoints: &dyn Dir,
) -> Result<TermFile, StartError> {
    match TermFile::read(data.as_ref()) {
        Ok(Some(terms)) => {
            // Whoever made it may have been stopped before its name was durable; the log must not outlive it.
            data.sync_dir("").map_err(failed("sync the data directory"))?;
            Ok(terms)
        }
        Ok(None) => {
            let empty = |dir: &dyn Dir| dir.list("").map(|list| list.is_empty());
            let nothing =
                empty(log).and_then(|l| Ok(l && empty(checkpoints)?)).map_err(failed("list folders"))?;
            if !nothing {
                return Err(damaged("there is a log or a checkpoint, but no term file".into()));
            }
            // Before the log: a stop while that is made must not leave a log without terms.
            let fresh = TermFile::fresh(ClusterId(env.seed.next_id()));
            fresh.write(data.as_ref()).map_err(failed("write the term file"))?;
            Ok(fresh)
        }
        Err(TermFileError::Io(source)) => Err(StartError::Io { what: "read the term file", source }),
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn report_cuts(found: &Recovery, warnings: &mut Vec<Warning>) {
    for cut in &found.cuts {
        tracing::warn!(
            segment = %cut.segment, index = %cut.index, bytes = cut.bytes, kept_as = %cut.kept_as,
            "the end of the log was torn; it was cut and kept aside"
        );
        warnings.push(Warning {
            code: "LOG_TAIL_CUT".into(),
            severity: Severity::Warning,
            message: format!(
                "{} bytes from record {} on, which could not be read, were cut from the log's end; kept as {}",
                cut.bytes, cut.index, cut.kept_as
            ),
            next: "after a loss of power nothing: what was answered as durable is there. Else check the disk of the \
                   master's data directory (smartctl, dmesg)"
                .into(),
            amount: 1,
        });
    }
}

fn next_term(terms: &TermFile, meta: &Meta, found: &Recovery) -> Result<Term, StartError> {
    let highest = terms.term.max(meta.term()).max(found.term);
    if highest.0 >= TERM_MAX {
        return Err(StartError::TermsExhausted);
    }
    Ok(Term(highest.0 + 1))
}

/// Logs the first records of the reign and makes them stable.
fn begin_reign(
    env: &Env,
    config: &Config,
    meta: &mut Meta,
    journal: &mut Journal,
    cluster: ClusterId,
    term: Term,
) -> Result<(), StartError> {
    let mut ops = Vec::new();
    if meta.cluster().is_none() {
        ops.push(Op::NewCluster { cluster });
    }
    ops.push(Op::NewTerm { term });
    if meta.class(ClassId::DEFAULT).is_none() {
        ops.extend(predefined::classes(config.goal));
    }
    let mut records = Vec::new();
    for op in ops {
        let index = LogIndex(meta.applied().1.0 + 1);
        let record = Record { term, index, at: record_time(env, meta), origin: None, op };
        let outcome = meta.apply(&record);
        if let Err(status) = outcome.reply {
            return Err(damaged(format!("a new term could not begin: {status}")));
        }
        let mut bytes = Vec::new();
        codec::record::encode(&record, &mut bytes);
        records.push((index, bytes));
    }
    let entries: Vec<Entry<'_>> =
        records.iter().map(|(index, bytes)| Entry { term, index: *index, bytes }).collect();
    // One append is found again whole or not at all.
    journal.append(&entries).map_err(failed("write the first records of the term"))?;
    journal.syncer().sync().map(drop).map_err(failed("sync the first records of the term"))
}

fn open_error(error: OpenError) -> StartError {
    match error {
        OpenError::Io(source) => StartError::Io { what: "open the log", source },
        other => StartError::Log(other),
    }
}

fn damaged(what: String) -> StartError {
    StartError::Damaged { what }
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Io { what, source }
}
