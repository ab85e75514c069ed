//! Giving something up, and going on: what was given up must stay away wherever something else is promised.

use super::{Driver, Violation};
use crate::cluster::Program;
use std::time::Duration;
use types::CHUNK_BYTES;

/// Chunks of a file that are written.
const CHUNKS: u64 = 5;
/// Longer than a write waits to be sent, and its commit after it.
const ON_ITS_WAY: u64 = 2_500;

impl Driver<'_> {
    /// Whether it has a file open of which it was told that something was lost.
    pub(super) fn holds_doubtful(&self) -> bool {
        let oracle = self.stage.oracle.borrow();
        self.held.iter().any(|held| oracle.files.get(&held.file).is_some_and(|file| file.doubtful))
    }

    /// Begins something, most often in a chunk that is new, does not hear the master any more in the middle of it, and waits as long as it ever does.
    pub(super) async fn lose_touch(&mut self, program: &Program) -> Result<(), Violation> {
        if self.held.is_empty() || self.chance.percent(40) {
            self.open(program).await?;
        }
        let Some(at) = self.some_held() else { return Ok(()) };
        let (file, handle) = (self.held[at].file, self.held[at].handle);
        let stage = self.stage;
        let (net, master) = (stage.cluster.world().net(), stage.cluster.hosts()[0].clone());
        let host = self.stage.cluster.host_of_client(self.number);
        let (cut_before, early) = (self.chance.percent(20), self.chance.percent(70));
        let most = if early { ON_ITS_WAY / 10 } else { ON_ITS_WAY };
        let pause = Duration::from_millis(self.chance.below(most));
        let cut = || {
            stage.trace.note(format_args!("{host} does not hear the master any more"));
            net.partition(&master, &host);
        };
        if cut_before {
            cut();
        }
        let offset = self.chance.below(CHUNKS) * CHUNK_BYTES + self.chance.below(CHUNK_BYTES / 512);
        self.write_at(program, file, handle, offset).await?;
        if !cut_before {
            tokio::time::sleep(pause).await;
            cut();
        }
        let ended = match self.chance.below(4) {
            0 => self.flush(program).await,
            1 => self.truncate(program).await,
            _ => self.fsync(program).await,
        };
        net.unblock(&master, &host);
        net.unblock(&host, &master);
        ended?;
        if self.chance.percent(50) { self.go_on(program).await } else { Ok(()) }
    }

    /// What shows whether what was given up stays away.
    pub(super) async fn go_on(&mut self, program: &Program) -> Result<(), Violation> {
        match self.chance.below(100) {
            0..25 => self.truncate(program).await,
            25..50 => self.write(program).await,
            50..70 => self.fsync(program).await,
            70..75 => self.punch(program).await,
            75..80 => self.flush(program).await,
            _ => self.read(program).await,
        }
    }
}
