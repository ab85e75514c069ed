//! A disk that an operator adds while the server runs.
//!
//! # Invariants
//! 1. What is refused changes nothing: the list stays as it was, and no directory is stamped.
//! 2. Whoever adds a directory says that its device is mounted: an empty one is stamped.

use super::refusal::Refusal;
use super::slot::{Found, State};
use super::{Disks, Slot};
use crate::config::DISK_OPEN_MAX;
use codec::control::{DISKS_MAX, DiskRefusal};
use std::sync::Arc;
use types::ClusterId;

impl Disks {
    /// Takes a directory into service, also one that was removed before. It is told to masters when links register anew
    /// ([`Disks::tell_anew`]). `true`: the slot is new, and somebody has to look after it.
    pub(crate) async fn add(
        &self,
        path: &str,
        cluster: Option<ClusterId>,
    ) -> Result<(Arc<Slot>, bool), Refusal> {
        let path = trimmed(path);
        let refuse =
            |kind, reason: &str, next: &str| Err(Refusal::new(kind, format!("{path}: {reason}"), next));
        if !path.starts_with('/') {
            return refuse(DiskRefusal::Absent, "it is not a path from the root", "write the whole path");
        }
        let Some(open) = &self.open_added else {
            return refuse(DiskRefusal::Foreign, "this server takes no disks", "see the chunkserver's log");
        };
        let _alone = self.adding.lock().await;
        let all = self.all();
        let is_below =
            |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'));
        let overlaps =
            |slot: &&Arc<Slot>| is_below(path, &slot.config.path) || is_below(&slot.config.path, path);
        if let Some(other) = all.iter().filter(|slot| !slot.is_closed()).find(overlaps) {
            let reason = format!("it and the disk {} are one below the other", other.config.path);
            return refuse(DiskRefusal::Foreign, &reason, "give each disk a directory of its own");
        }
        let known = all.iter().find(|slot| slot.config.path == path);
        let slot = match known {
            Some(slot) if slot.is_closed() => Arc::clone(slot),
            Some(slot) if slot.is_refused() => {
                // Its reason may have gone a moment ago.
                let _ = tokio::time::timeout(DISK_OPEN_MAX, self.look_again(slot, cluster)).await;
                return match slot.why_not_served() {
                    Some(refusal) if refusal.refusal == DiskRefusal::Blank => {
                        self.take(slot, false, cluster).await
                    }
                    Some(refusal) => Err(refusal),
                    None => Ok((Arc::clone(slot), false)),
                };
            }
            Some(_) => {
                return refuse(
                    DiskRefusal::Duplicate,
                    "it is a disk of this server already",
                    "muskox disk ls",
                );
            }
            None if all.len() >= DISKS_MAX => {
                return refuse(
                    DiskRefusal::Duplicate,
                    "the server has as many disks as it can",
                    "use another server",
                );
            }
            None => Slot::new(&self.env, all.len(), open(path), cluster),
        };
        self.take(&slot, known.is_none(), cluster).await
    }

    /// Opens the directory of a slot that does not serve, and puts it on the list.
    async fn take(
        &self,
        slot: &Arc<Slot>,
        is_new: bool,
        cluster: Option<ClusterId>,
    ) -> Result<(Arc<Slot>, bool), Refusal> {
        let path = &slot.config.path;
        let look = async { (slot.looking.lock().await, slot.next_look(cluster).await.0) };
        let Ok((_alone, found)) = tokio::time::timeout(DISK_OPEN_MAX, look).await else {
            return Err(Refusal::opening(path));
        };
        let disk = match &found {
            Found::Open(disk) => Some(disk.id()),
            Found::Blank(_) => None,
            Found::Refused(refusal) => return Err(refusal.clone()),
        };
        if let Some(disk) = disk
            && self.get(disk).is_some_and(|holder| !Arc::ptr_eq(&holder, slot))
        {
            return Err(Refusal::duplicate(path, disk));
        }
        if let Err(error) = self.list.add(disk, path).await {
            let reason =
                format!("{path}: the list of disks in the data directory cannot be written: {error}");
            return Err(Refusal::new(
                DiskRefusal::Unreadable,
                reason,
                "see that its filesystem has room, and try again",
            ));
        }
        if is_new {
            self.all.write().expect("nothing panics while it is held").push(Arc::clone(slot));
        }
        if slot.is_refused() {
            // An id that was drawn and never stamped is no disk's.
            slot.set(State::Refused(Refusal::opening(path)));
        }
        self.settle(slot, found, true);
        tracing::info!(path, disk = ?slot.id(), "a disk was added");
        match slot.why_not_served() {
            Some(refusal) => Err(refusal),
            None => Ok((Arc::clone(slot), is_new)),
        }
    }
}

/// Without slashes at the end: one directory, one name.
fn trimmed(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => path,
        trimmed => trimmed,
    }
}
