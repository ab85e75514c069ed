//! What the log says of a server that registers: its name and address, its disks' counters, first labels.
//!
//! Labels that a server brings from its configuration are first values: they are taken when the server, or the disk, is
//! first seen. From then on the metadata's count.

use super::Core;
use fleet::ServerInfo;
use types::{DiskId, Holder, Label, Labels, Op, Status};

impl Core {
    /// Records a registration. `stamped`: the disks that bear these counters now. An error is the first refusal.
    pub(super) fn record_registration(
        &mut self,
        info: &ServerInfo,
        stamped: impl Iterator<Item = (DiskId, u64)>,
    ) -> Result<(), Status> {
        let server = info.server;
        let holder = Holder::Server(server);
        let new = self.meta.server(server).is_none();
        let (name, address) = (info.name.clone(), info.address.clone());
        self.log(None, Op::RegisterServer { server, name, address }).reply?;
        if new {
            self.record_first_labels(holder, &info.labels)?;
        }
        for (disk, registrations) in stamped {
            let report = info.disks.iter().find(|one| one.disk == disk);
            let new = self.meta.disk(disk).is_none();
            let path = report.map_or_else(String::new, |report| report.path.clone());
            self.log(None, Op::RegisterDisk { server, disk, registrations, path }).reply?;
            if let Some(report) = report.filter(|_| new) {
                self.record_first_labels(Holder::Disk(disk), &report.labels)?;
            }
        }
        Ok(())
    }

    fn record_first_labels(&mut self, holder: Holder, words: &[String]) -> Result<(), Status> {
        let labels = checked_labels(words);
        if labels.is_empty() {
            return Ok(());
        }
        tracing::info!(%holder, %labels, "first labels");
        self.log(None, Op::SetLabels { holder, labels }).reply.map(|_| ())
    }
}

/// The labels among these words; those that are none, or that contradict one before, are left out.
pub(super) fn checked_labels(words: &[String]) -> Labels {
    let mut labels = Labels::default();
    for word in words {
        let added = Label::new(word).map_err(|error| error.to_string());
        let added = added.and_then(|label| labels.insert(label).map_err(|error| error.to_string()));
        if let Err(why) = added {
            tracing::warn!(%word, %why, "a label that a chunkserver was given is not used");
        }
    }
    labels
}
