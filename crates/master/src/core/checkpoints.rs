//! When checkpoints are built, and what comes of it.
//!
//! # Invariants
//! 1. A build covers stable records only, and at most one runs.
//! 2. Segments are recycled only below the older of two checkpoints, and only while every checkpoint's digest
//!    was equal to the live one.

use super::{Core, Message, Out};
use crate::checkpoint::{Built, Checkpointer};
use crate::config::CHECKPOINT_FOLDER;
use crate::folder::Folder;
use codec::admin::{Severity, Warning};
use std::sync::Arc;
use types::LogIndex;

/// Checkpoints that are kept.
const CHECKPOINTS_KEPT: usize = 2;
/// After a failure the next build waits so long.
const RETRY_MS: u64 = 60_000;

/// Answers a request for a checkpoint.
pub(crate) type BuildAnswerer = Box<dyn FnOnce(Result<Built, String>) + Send>;

/// What is known about checkpoints.
pub(super) struct Checkpoints {
    builder: Arc<dyn Checkpointer>,
    /// What the log writer had counted, with what recovery found, when the newest checkpoint was begun.
    base: (u64, u64),
    found: (u64, u64),
    running: Option<Running>,
    waiting: Vec<BuildAnswerer>,
    retry_at_ms: Option<u64>,
    pub(super) newest: Option<LogIndex>,
    pub(super) complete_at_ms: Option<u64>,
    distrusted: bool,
}

struct Running {
    index: LogIndex,
    digest: [u8; 16],
    answers: Vec<BuildAnswerer>,
    begun: (u64, u64),
}

impl Checkpoints {
    pub(super) fn new(builder: Arc<dyn Checkpointer>, found: (u64, u64), newest: Option<LogIndex>) -> Self {
        Self {
            builder,
            base: (0, 0),
            found,
            running: None,
            waiting: Vec::new(),
            retry_at_ms: None,
            newest,
            complete_at_ms: None,
            distrusted: false,
        }
    }

    /// Records and bytes since the newest checkpoint.
    fn since(&self, written: (u64, u64)) -> (u64, u64) {
        (self.found.0 + written.0 - self.base.0, self.found.1 + written.1 - self.base.1)
    }
}

impl Core {
    /// Somebody asks for a checkpoint now.
    pub(super) fn checkpoint_wanted(&mut self, answer: BuildAnswerer) {
        self.checkpoints.waiting.push(answer);
        self.begin_checkpoint();
    }

    /// Begins one when enough was written since the last; or, on a full disk, since checkpoints give back old segments.
    pub(super) fn checkpoint_if_due(&mut self) {
        if self.checkpoints.retry_at_ms.is_some() {
            return;
        }
        let (records, bytes) = self.checkpoints.since(self.log.written());
        if records >= self.config.checkpoint_every_records || bytes >= self.config.checkpoint_every_bytes {
            self.begin_checkpoint();
        } else if records > 0 && self.log.no_room().is_some() {
            self.begin_checkpoint();
            // It may not be enough, and must not be done over and over.
            self.checkpoints.retry_at_ms = Some(self.now_ms() + RETRY_MS);
        }
    }

    /// Tries again after a failure, and while the disk is full.
    pub(super) fn retry_checkpoint(&mut self) {
        let now_ms = self.now_ms();
        let due = self.checkpoints.retry_at_ms.take_if(|at| *at <= now_ms).is_some();
        if due || self.log.no_room().is_some() {
            self.checkpoint_if_due();
        }
    }

    /// Notes index and digest of this moment; the build begins when the log is stable up to it.
    fn begin_checkpoint(&mut self) {
        if self.checkpoints.running.is_some() {
            return;
        }
        let answers = std::mem::take(&mut self.checkpoints.waiting);
        let (index, digest) = (self.applied(), self.meta.digest());
        let begun = self.log.written_and_staged();
        self.checkpoints.running = Some(Running { index, digest, answers, begun });
        self.leave_when_stable(index, Out::BuildCheckpoint);
    }

    pub(super) fn build_checkpoint(&mut self) {
        let Some(running) = &self.checkpoints.running else { return };
        tracing::info!(index = %running.index, "a checkpoint is being built");
        let build = self.checkpoints.builder.build(running.index);
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let built = tokio::spawn(build).await.unwrap_or_else(|_| Err("the builder failed".to_owned()));
            // If the core has gone nobody wants to know.
            let _ = inbox.send(Message::Built(built)).await;
        });
    }

    pub(super) fn checkpoint_built(&mut self, result: Result<Built, String>) {
        let Some(Running { index, digest, answers, begun }) = self.checkpoints.running.take() else { return };
        let result = match result {
            Ok(built) if built == (Built { index, digest }) => Ok(built),
            Ok(_) => {
                self.checkpoints.distrusted = true;
                self.warn(
                    "CHECKPOINT_DIGEST",
                    Severity::Critical,
                    format!("the checkpoint of record {index} differs from the state of the running master"),
                    "keep the whole data directory and report it; no log is recycled any longer",
                );
                Err("its digest differs from the running master's".to_owned())
            }
            Err(reason) => {
                // What the builder advises is in the log; here stands what to do about the master.
                let why = reason.lines().next().unwrap_or_default();
                self.warn(
                    "CHECKPOINT_FAILED",
                    Severity::Warning,
                    format!("the checkpoint of record {index} could not be built: {why}"),
                    "check room and health of the disk of the master's data directory",
                );
                Err(reason)
            }
        };
        match &result {
            Ok(_) => {
                tracing::info!(%index, "a checkpoint is complete");
                self.checkpoints.base = begun;
                self.checkpoints.found = (0, 0);
                self.checkpoints.newest = Some(index);
                self.checkpoints.complete_at_ms = Some(self.now_ms());
                self.warnings.retain(|warning| warning.code != "CHECKPOINT_FAILED");
                self.recycle();
            }
            Err(reason) => {
                tracing::error!(%index, %reason, "a checkpoint was not built");
                self.checkpoints.retry_at_ms = Some(self.now_ms() + RETRY_MS);
            }
        }
        for answer in answers {
            answer(result.clone());
        }
        if !self.checkpoints.waiting.is_empty() {
            self.begin_checkpoint();
        }
    }

    /// Drops old checkpoints, and the log that only they needed, on the log thread.
    fn recycle(&self) {
        if self.checkpoints.distrusted {
            return;
        }
        let data = Arc::clone(&self.config.data);
        self.log.recycle(move || {
            let folder = Folder::make(&data, CHECKPOINT_FOLDER)?;
            journal::checkpoint::prune(folder.as_ref(), CHECKPOINTS_KEPT)
        });
    }

    /// Notes what the operator should see; one warning per code.
    pub(super) fn warn(&mut self, code: &str, severity: Severity, message: String, next: &str) {
        self.warnings.retain(|warning| warning.code != code);
        self.warnings.push(Warning { code: code.into(), severity, message, next: next.into(), amount: 1 });
    }
}
