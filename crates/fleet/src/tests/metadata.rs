//! What the metadata does: records that are logged and become stable, chunks that enter and leave the map, a new reign.

use super::*;

impl World {
    /// The records asked for are applied, and stable if `stable`.
    pub(super) fn log_all(&mut self) {
        for (raise, chunk, version) in std::mem::take(&mut self.unlogged) {
            let found = self.map.iter_mut().find(|(_, mapped)| mapped.chunk == chunk);
            let Some((slot, mapped)) = found else {
                self.tell(Event::Logged { raise, result: Err(Status::NotFound) });
                continue;
            };
            let slot = *slot;
            mapped.version = version;
            self.recorded(chunk);
            self.log.0 += 1;
            self.waiting_stable.push((self.log, Event::Logged { raise, result: Ok(()) }));
            self.tell(Event::ChunkVersion { slot, chunk, version });
        }
    }

    pub(super) fn sync(&mut self) {
        self.stable = self.log;
        self.tell(Event::Stable { index: self.stable });
        for (_, event) in std::mem::take(&mut self.waiting_stable) {
            self.tell(event);
        }
    }

    /// The map takes a fresh chunk.
    pub(super) fn commit(
        &mut self,
        place: (InodeRef, ChunkIndex),
        chunk: ChunkId,
        version: Version,
    ) -> Option<ChunkSlot> {
        // A removed chunk does not come back: the inode is gone or its truncate generation is newer.
        if self.gone.contains_key(&chunk)
            || self.map.values().any(|mapped| mapped.place == place)
            || !self.fleet.may_attach(place.0, place.1, chunk, version)
        {
            return None;
        }
        let slot = (0..).map(ChunkSlot).find(|slot| !self.map.contains_key(slot)).unwrap();
        let contents = self.replicas.iter().filter(|((_, on), _)| *on == chunk);
        let content = contents.map(|(_, replica)| replica.content.clone()).next()?;
        let (perhaps, perhaps_cut) = Default::default();
        let (class, stage) = self.class_of(place.0);
        let mapped = Mapped { chunk, version, place, class, stage, content, perhaps, perhaps_cut };
        self.map.insert(slot, mapped);
        self.log.0 += 1;
        self.tell(Event::ChunkBorn { slot, chunk, version, class });
        if stage != Stage::default() {
            self.tell(Event::ChunkStage { slot, stage });
        }
        Some(slot)
    }

    pub(super) fn remove(&mut self, slot: ChunkSlot) -> ChunkId {
        let mapped = self.map.remove(&slot).unwrap();
        self.log.0 += 1;
        self.gone.insert(mapped.chunk, self.log);
        let Mapped { chunk, version, .. } = mapped;
        self.tell(Event::ChunkGone { slot, chunk, version, index: self.log });
        chunk
    }

    pub(super) fn edit(&mut self, slot: ChunkSlot, range: u64) -> Ticket {
        let ticket = self.ticket();
        let mapped = self.map.get_mut(&slot).unwrap();
        mapped.perhaps_cut.insert(range);
        let cuts = vec![Cut { from: range, to: range + 1 }];
        let chunk = mapped.chunk;
        self.cutting.insert(ticket, chunk);
        self.tell(Event::EditWanted { ticket, slot, chunk, cuts });
        ticket
    }

    /// Records an edit that is ready; its stability is told by `sync`.
    pub(super) fn record_edit(&mut self, slot: ChunkSlot, range: u64, ticket: Ticket, version: Version) {
        let mapped = self.map.get_mut(&slot).unwrap();
        mapped.version = version;
        mapped.content.retain(|write| write % 8 != range);
        mapped.perhaps.retain(|write| write % 8 != range);
        let chunk = mapped.chunk;
        self.recorded(chunk);
        self.cutting.remove(&ticket);
        self.log.0 += 1;
        self.waiting_stable.push((self.log, Event::EditLogged { ticket }));
        self.tell(Event::ChunkVersion { slot, chunk, version });
    }

    /// A new reign over the same disks and metadata.
    pub(super) fn restart_master(&mut self) {
        let term = Term(self.fleet.term().0 + 1);
        self.fleet = Fleet::new(term, self.options, self.now_ms);
        self.unlogged.clear();
        self.asked.clear();
        self.cutting.clear();
        self.begun_ms.clear();
        // Every chunk's version was stable before it was acted upon; what was only applied is kept too.
        self.waiting_stable.clear();
        self.stable = self.log;
        for machine in &mut self.machines {
            machine.connected = false;
            machine.inbox.clear();
            machine.outbox.clear();
            machine.copying.iter_mut().for_each(|copying| copying.order = None);
        }
        self.tell_policies();
        self.tell_marks();
        self.tell_limits();
        self.tell_holds();
        for (slot, mapped) in self.map.clone() {
            let mut out = Vec::new();
            let Mapped { chunk, version, class, stage, .. } = mapped;
            self.fleet.handle(Event::ChunkBorn { slot, chunk, version, class }, self.now_ms, &mut out);
            if stage != Stage::default() {
                self.fleet.handle(Event::ChunkStage { slot, stage }, self.now_ms, &mut out);
            }
            assert!(out.is_empty());
        }
        let known = self.machines.iter().flat_map(|one| one.disks.iter().map(|disk| (one.id, *disk)));
        self.tell(Event::KnownDisks(known.collect()));
        self.tell(Event::Stable { index: self.stable });
    }
}
