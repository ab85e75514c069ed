//! Marks: servers and disks that are to go, servers that are away on purpose, and those that are gone.
//!
//! # Invariants
//! 1. What the fleet knows of a mark is what the metadata has; it learns of it from the record alone, and at the start.
//! 2. A maintenance that is over leaves the metadata by itself.
//! 3. A server is forgotten only when it is not connected, and no chunk may have its last replica there.

use super::Core;
use super::classes::refuse;
use codec::admin::{Changed, MarkWish, Refusal, RefusalKind};
use fleet::{Event, Removing};
use rpc::admin::AdminError;
use types::{DiskId, Holder, Mark, Op, ServerId, Timestamp};

/// Whole seconds of a maintenance, at most: a hundred years.
const MAINTENANCE_S_MAX: u64 = 100 * 366 * 86_400;

impl Core {
    fn mark_of(&self, holder: Holder) -> Mark {
        match holder {
            Holder::Server(server) => self.meta.server(server).map(|known| known.mark),
            Holder::Disk(disk) => self.meta.disk(disk).map(|known| known.mark),
        }
        .unwrap_or_default()
    }

    /// Tells the fleet what the metadata has.
    pub(super) fn tell_mark(&mut self, holder: Holder) {
        let mark = self.mark_of(holder);
        let removing = match mark {
            Mark::Removing { drain_only, with } => Some(Removing { drain_only, with }),
            Mark::None | Mark::Maintenance { .. } => None,
        };
        self.tell(Event::Removing { holder, removing });
        if let Holder::Server(server) = holder {
            let until_ms = match mark {
                Mark::Maintenance { until } => Some(self.away_until_ms(until)),
                Mark::None | Mark::Removing { .. } => None,
            };
            self.tell(Event::Maintenance { server, until_ms });
        }
    }

    /// A moment of the wall clock by the clock of the fleet.
    fn away_until_ms(&self, until: Option<Timestamp>) -> u64 {
        until.map_or(u64::MAX, |until| self.now_ms().saturating_add(self.left_ms(until)).max(1))
    }

    /// From now until then.
    pub(super) fn left_ms(&self, until: Timestamp) -> u64 {
        let now = self.record_time();
        let seconds = until.seconds().saturating_sub(now.seconds());
        let ms =
            seconds.saturating_mul(1_000) + (i64::from(until.nanos()) - i64::from(now.nanos())) / 1_000_000;
        u64::try_from(ms).unwrap_or(0)
    }

    /// How long a server's maintenance lasts yet, if it is in one.
    pub(super) fn maintenance_of(&self, server: ServerId) -> Option<codec::admin::Maintenance> {
        match self.mark_of(Holder::Server(server)) {
            Mark::Maintenance { until } => {
                Some(codec::admin::Maintenance { left_ms: until.map(|until| self.left_ms(until)) })
            }
            Mark::None | Mark::Removing { .. } => None,
        }
    }

    /// Another mark, as an operator wants it.
    pub(super) fn change_mark(
        &mut self,
        name: &str,
        disk: bool,
        wish: MarkWish,
    ) -> Result<Changed, AdminError> {
        let holder = self.find_named(name, disk)?;
        let before = self.mark_of(holder);
        let mark = match (wish, before) {
            (MarkWish::Remove { drain_only, with }, _) => {
                Mark::Removing { drain_only, with: self.replacement(holder, &with)? }
            }
            (MarkWish::Maintain { for_s }, _) => {
                Mark::Maintenance { until: for_s.map(|s| self.in_seconds(s)) }
            }
            (MarkWish::Keep, Mark::Removing { .. }) | (MarkWish::Maintained, Mark::Maintenance { .. }) => {
                Mark::None
            }
            (MarkWish::Keep | MarkWish::Maintained, _) => before,
        };
        self.log_change(Op::SetMark { holder, mark })?;
        let holder = self.name_of(holder);
        tracing::info!(%holder, ?before, ?mark, "a mark was changed");
        Ok(Changed::Done)
    }

    /// The disk that is to take another one's place.
    fn replacement(&self, holder: Holder, with: &str) -> Result<Option<DiskId>, AdminError> {
        if with.is_empty() {
            return Ok(None);
        }
        let found = self.find_named(with, true)?;
        let name = self.name_of(found);
        match found {
            Holder::Disk(disk) if found != holder && self.mark_of(found) == Mark::None => Ok(Some(disk)),
            _ => {
                let (kind, near) =
                    (RefusalKind::DiskNotTaken, "muskox disk ls   (name one that stays)".to_owned());
                let why = "it is to go itself".to_owned();
                Err(AdminError::NotDone(Refusal { kind, subject: name, why, near }))
            }
        }
    }

    /// So many seconds from now.
    pub(super) fn in_seconds(&self, seconds: u64) -> Timestamp {
        let now = self.record_time();
        // A hundred years fit.
        let seconds = seconds.min(MAINTENANCE_S_MAX) as i64;
        Timestamp::new(now.seconds().saturating_add(seconds), now.nanos())
    }

    /// Takes away marks of maintenance whose time is over.
    pub(super) fn end_maintenance(&mut self) {
        let is_over = |mark: Mark| match mark {
            Mark::Maintenance { until: Some(until) } => self.left_ms(until) == 0,
            _ => false,
        };
        let over: Vec<ServerId> =
            self.meta.servers().filter(|(_, known)| is_over(known.mark)).map(|(server, _)| server).collect();
        for server in over {
            let holder = Holder::Server(server);
            // A log without room is tried again at the next tick.
            if self.log_change(Op::SetMark { holder, mark: Mark::None }).is_ok() {
                tracing::info!(server = %self.name_of(holder), "its maintenance is over");
            }
        }
    }

    /// The fleet had a disk closed that holds nothing that is needed.
    pub(super) fn disk_closed(&mut self, disk: DiskId) {
        let name = self.name_of(Holder::Disk(disk));
        match self.log_change(Op::Forget { holder: Holder::Disk(disk) }) {
            Ok(()) => tracing::info!(disk = %name, id = %disk, "a disk was removed: nothing on it is needed"),
            Err(error) => tracing::warn!(disk = %name, %error, "a closed disk could not be forgotten yet"),
        }
    }

    /// Forgets a server that is gone for good, with its disks.
    pub(super) fn forget_server(&mut self, name: &str) -> Result<Changed, AdminError> {
        let holder = self.find_named(name, false)?;
        let Holder::Server(server) = holder else { return Err(refuse(RefusalKind::NoSuchServer, name)) };
        let name = self.name_of(holder);
        if self.fleet.servers().any(|view| view.server == server && view.up) {
            return Err(refuse(RefusalKind::Connected, name));
        }
        let only = self.fleet.only_on(server);
        if only > 0 {
            let why = format!(
                "{only} chunks have no other good replica that can be reached, and may have one there"
            );
            let (kind, near) = (RefusalKind::WouldLose, String::new());
            return Err(AdminError::NotDone(Refusal { kind, subject: name, why, near }));
        }
        let disks: Vec<DiskId> =
            self.meta.disks().filter(|(_, known)| known.server == server).map(|(disk, _)| disk).collect();
        for disk in disks {
            self.log_change(Op::Forget { holder: Holder::Disk(disk) })?;
        }
        self.log_change(Op::Forget { holder })?;
        tracing::info!(server = %name, id = %server, "a server was forgotten");
        Ok(Changed::Done)
    }
}
