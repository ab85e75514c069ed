//! Servers that carry out orders: each takes its time, by the bytes that are moved and what one disk moves in a second; some are refused,
//! and some are not answered for minutes.

use crate::books::{Cause, Count, Flight};
use crate::cluster::{disk_number, slot_of};
use crate::world::{HOP_MS, Task, World};
use fleet::{Event, Order, OrderId};
use types::{ChunkSlot, DiskId, ReplicaAddress, Status, Unsettled, Version};

/// Of a replica of a lower version only what differs is moved: this part of it.
const DIFFERENT_PART: u64 = 10;
/// Orders of a million that are refused, copies and others, and that hang.
const COPIES_REFUSED: u64 = 4_000;
const OTHERS_REFUSED: u64 = 500;
const HANGING: u64 = 100;

/// The disk of an order.
fn disk_of(what: &Order) -> DiskId {
    match what {
        Order::Raise { disk, .. }
        | Order::Delete { disk, .. }
        | Order::Copy { disk, .. }
        | Order::Fill { disk, .. }
        | Order::Feed { disk, .. }
        | Order::Repair { disk, .. }
        | Order::MendTorn { disk, .. }
        | Order::Mend { disk, .. }
        | Order::Pace { disk, .. }
        | Order::Verify { disk, .. }
        | Order::Close { disk, .. } => *disk,
    }
}

/// The chunk of an order, and its kind for the trace.
fn subject(what: &Order) -> (Option<u32>, u64) {
    match what {
        Order::Raise { chunk, .. } => (Some(slot_of(*chunk)), 1),
        Order::Delete { chunk, .. } => (Some(slot_of(*chunk)), 2),
        Order::Copy { chunk, .. } => (Some(slot_of(*chunk)), 3),
        Order::Fill { chunk, .. } => (Some(slot_of(*chunk)), 4),
        Order::Feed { chunk, .. } => (Some(slot_of(*chunk)), 5),
        Order::Verify { chunk, .. } => (Some(slot_of(*chunk)), 6),
        Order::Close { .. } => (None, 7),
        Order::Repair { chunk, .. } => (Some(slot_of(*chunk)), 8),
        Order::MendTorn { .. } | Order::Mend { .. } => panic!("nothing is torn nor rots: {what:?}"),
        Order::Pace { .. } => panic!("nothing is limited: {what:?}"),
    }
}

impl World {
    /// The fleet orders something: it is checked, and due when the server comes to its end.
    pub(crate) fn order(&mut self, order: OrderId, what: Order) {
        let disk = disk_number(disk_of(&what));
        let (slot, kind) = subject(&what);
        self.watch(slot.unwrap_or(u32::MAX), || format!("ordered: {what:?}"));
        let mixed = [self.now_ms, kind, u64::from(disk), slot.map_or(0, u64::from)];
        self.trace = mixed
            .iter()
            .fold(self.trace, |trace, one| (trace ^ one).wrapping_mul(0x0100_0000_01B3).rotate_left(17));
        match &what {
            Order::Delete { disk: id, chunk, version, .. } => {
                self.check_delete(*id, *chunk, *version).unwrap_or_else(|why| self.violated(why));
                let slot = slot_of(*chunk);
                if let Some(replica) = self.cluster.chunks[slot as usize].on_mut(disk) {
                    replica.going = true;
                    self.cluster.recount(slot);
                }
            }
            Order::Close { .. } => self.check_close(disk).unwrap_or_else(|why| self.violated(why)),
            _ => {}
        }
        let took_ms = match &what {
            Order::Copy { sources, .. } | Order::Feed { sources, .. } => {
                let cause = self.check_copy(&what);
                self.begin_flight(order, slot.unwrap_or_default(), disk, cause, sources)
            }
            _ => self.dice.between(2, 30),
        };
        let number = self.cluster.disk(disk).server;
        let server = &self.cluster.servers[usize::from(number)];
        let (link, up) = (server.link, server.up);
        if !up {
            let flight = self.flight_over(order);
            self.books.add(Count::Failed, u64::from(flight.is_some()));
            return self.never_carried_out(&what);
        }
        let is_copy = matches!(what, Order::Copy { .. } | Order::Feed { .. });
        let refused = if is_copy { COPIES_REFUSED } else { OTHERS_REFUSED };
        let fails = !self.calm && self.dice.in_a_million(refused);
        let hangs = !self.calm && self.dice.in_a_million(HANGING);
        let more_ms = if hangs { self.dice.between(30_000, 900_000) } else { 0 };
        let mut at_ms = self.now_ms + HOP_MS + took_ms + more_ms;
        if let Some(slot) = slot {
            // A disk does one thing after the other with a chunk.
            let turn = self.turns.entry((disk, slot)).or_insert(0);
            at_ms = at_ms.max(*turn + 1);
            *turn = at_ms;
        }
        let task = Task::Obey { server: number, link, order, what: Box::new(what), fails };
        self.put_off(at_ms - self.now_ms, task);
    }

    fn begin_flight(
        &mut self,
        order: OrderId,
        slot: u32,
        to: u16,
        cause: Cause,
        sources: &[ReplicaAddress],
    ) -> u64 {
        let chunk = self.cluster.chunk(slot);
        let has_one = chunk.on(to).is_some();
        let bytes = u64::from(chunk.bytes) / if has_one { DIFFERENT_PART } else { 1 };
        let from = sources.first().map_or(to, |source| disk_number(source.disk));
        let idle_ms = self.cluster.disk(from).busy_ms.max(self.cluster.disk(to).busy_ms).max(self.now_ms);
        let end_ms = idle_ms + bytes / self.plan.bytes_per_ms + 1;
        self.cluster.disk_mut(from).busy_ms = end_ms;
        self.cluster.disk_mut(to).busy_ms = end_ms;
        let coming = if has_one { 0 } else { bytes };
        self.cluster.disk_mut(to).coming += coming;
        self.books.ordered(cause);
        self.books.add(Count::Bytes, bytes);
        self.flights.insert(order, Flight { to, bytes: coming, cause });
        end_ms - self.now_ms
    }

    /// A copy is under way no longer.
    fn flight_over(&mut self, order: OrderId) -> Option<Flight> {
        let flight = self.flights.remove(&order)?;
        self.cluster.disk_mut(flight.to).coming -= flight.bytes;
        Some(flight)
    }

    fn never_carried_out(&mut self, what: &Order) {
        if let Order::Delete { disk, chunk, .. } = what {
            let slot = slot_of(*chunk);
            if let Some(replica) = self.cluster.chunks[slot as usize].on_mut(disk_number(*disk)) {
                replica.going = false;
                self.cluster.recount(slot);
            }
        }
    }

    /// A server comes to an order.
    pub(crate) fn obey(&mut self, server: u16, link: u32, order: OrderId, what: Order, fails: bool) {
        let flight = self.flight_over(order);
        let disk = disk_number(disk_of(&what));
        if let Some(slot) = subject(&what).0
            && self.turns.get(&(disk, slot)) == Some(&self.now_ms)
        {
            self.turns.remove(&(disk, slot));
        }
        if !self.is_linked(server, link) {
            self.books.add(Count::Failed, u64::from(flight.is_some()));
            return;
        }
        let status = match what {
            Order::Close { .. } => self.close(disk),
            _ if fails || !self.cluster.serves(disk) => Err(Status::Io),
            _ => self.carry(&what, flight.as_ref()),
        };
        if status.is_err() {
            self.never_carried_out(&what);
            self.books.add(Count::Failed, u64::from(flight.is_some()));
        } else if let Order::Copy { disk, chunk, version, .. } | Order::Feed { disk, chunk, version, .. } =
            &what
        {
            let (disk, slot) = (*disk, Some(ChunkSlot(slot_of(*chunk))));
            let born = Box::new(Event::ReplicaBorn { disk, slot, chunk: *chunk, version: *version });
            self.put_off(HOP_MS, Task::Hear { server, link, event: born });
        }
        self.watch(subject(&what).0.unwrap_or(u32::MAX), || format!("{status:?}: {what:?}"));
        let event = Box::new(Event::OrderDone { order, status, unsettled: Unsettled::default() });
        self.put_off(HOP_MS, Task::Hear { server, link, event });
    }

    fn carry(&mut self, what: &Order, flight: Option<&Flight>) -> Result<(), Status> {
        let disk = disk_number(disk_of(what));
        let slot = subject(what).0.unwrap_or_default();
        let found = self.cluster.chunk(slot).on(disk).copied();
        match what {
            Order::Raise { from, to, .. } => match found {
                None => Err(Status::NoChunk),
                Some(replica) if replica.filling => Err(Status::Io),
                Some(replica) if replica.version == *to => Ok(()),
                Some(replica) if replica.version >= *from && replica.version < *to => {
                    self.cluster.put(slot, disk, *to, false);
                    Ok(())
                }
                Some(_) => Err(Status::WrongVersion),
            },
            Order::Verify { version, .. } => match found {
                None => Err(Status::NoChunk),
                Some(replica) if replica.version == *version && !replica.filling => Ok(()),
                Some(_) => Err(Status::WrongVersion),
            },
            Order::Delete { version, .. } => match found {
                None => Err(Status::NoChunk),
                Some(replica) if replica.version > *version => Err(Status::WrongVersion),
                Some(_) => {
                    self.cluster.take_away(slot, disk);
                    self.books.add(Count::Removed, 1);
                    Ok(())
                }
            },
            Order::Fill { version, .. } => match found {
                Some(old) if old.version > *version || old.version == *version && !old.filling => {
                    Err(Status::WrongVersion)
                }
                _ => {
                    self.cluster.put(slot, disk, *version, true);
                    Ok(())
                }
            },
            Order::Copy { version, sources, .. } => {
                if found.is_some_and(|old| old.version > *version) {
                    return Err(Status::WrongVersion);
                }
                self.read_one(slot, *version, sources)?;
                self.land(slot, disk, *version, flight);
                Ok(())
            }
            Order::Feed { version, sources, .. } => {
                if !found.is_some_and(|one| one.filling && one.version == *version) {
                    return Err(Status::WrongVersion);
                }
                self.read_one(slot, *version, sources)?;
                self.land(slot, disk, *version, flight);
                Ok(())
            }
            // Who took a version that was not recorded is compared with others; here nothing differs.
            Order::Repair { version, source, .. } => match found {
                Some(replica) if replica.version == *version => source
                    .iter()
                    .try_for_each(|source| self.read_one(slot, *version, std::slice::from_ref(source))),
                _ => Err(Status::WrongVersion),
            },
            Order::Close { .. } | Order::MendTorn { .. } | Order::Mend { .. } | Order::Pace { .. } => {
                Err(Status::Invalid)
            }
        }
    }

    /// Whether one of the sources has that version of the chunk and can be reached.
    fn read_one(&self, slot: u32, version: Version, sources: &[ReplicaAddress]) -> Result<(), Status> {
        let has = |source: &ReplicaAddress| {
            let disk = disk_number(source.disk);
            let replica = self.cluster.chunk(slot).on(disk);
            self.cluster.serves(disk) && replica.is_some_and(|one| one.version == version && !one.filling)
        };
        if sources.iter().any(has) { Ok(()) } else { Err(Status::ChainBroken) }
    }

    /// A copy is there: what it was good for comes into the books.
    fn land(&mut self, slot: u32, disk: u16, version: Version, flight: Option<&Flight>) {
        let before = self.cluster.debt(slot);
        self.cluster.put(slot, disk, version, false);
        let after = self.cluster.debt(slot);
        let Some(Flight { cause, .. }) = flight else { return };
        if version < self.cluster.chunk(slot).version {
            return self.books.add(Count::Overtaken, 1);
        }
        self.books.made(*cause);
        let chunk = &mut self.cluster.chunks[slot as usize];
        chunk.asked = chunk.asked.saturating_sub(u8::from(after < before));
        if *cause != Cause::Balance && after == before {
            self.books.add(if before == 0 { Count::Crossed } else { Count::StandIns }, 1);
        }
    }

    fn close(&mut self, disk: u16) -> Result<(), Status> {
        self.cluster.disk_mut(disk).dead = true;
        self.cluster.recount_disk(disk);
        Ok(())
    }
}
