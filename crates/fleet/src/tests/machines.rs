//! What servers do with orders, and how they are stopped.

use super::*;

/// What is read of a source at first.
fn half_of(replica: &Replica) -> Content {
    replica.content.iter().copied().filter(|write| write % 2 == 0).collect()
}

fn blocks_of(writes: &Content) -> Vec<BlockRange> {
    writes.iter().map(|write| BlockRange { first: block_of(*write), count: 1 }).collect()
}

impl World {
    /// Nothing is under way: all replicas of one version hold the same.
    pub(super) fn check_twins(&self) {
        for mapped in self.map.values() {
            let twins = self.replicas.iter().filter(|((_, of), one)| {
                *of == mapped.chunk && one.version == mapped.version && !one.filling
            });
            let contents: BTreeSet<&Content> = twins.map(|(_, replica)| &replica.content).collect();
            assert!(contents.len() <= 1, "replicas of {} differ: {contents:?}", mapped.chunk);
        }
    }

    /// A server carries out one order; `fail` instead of doing it.
    pub(super) fn obey(&mut self, n: u8, fail: Option<Status>) -> bool {
        let Some((order, what)) = self.machines[usize::from(n)].inbox.pop_front() else { return false };
        // A disk does one thing after the other with a chunk. The next master hears of it, but what it ordered stays.
        if let Order::Raise { chunk, .. } = &what
            && self.machines[usize::from(n)]
                .late
                .iter()
                .any(|late| matches!(late, Order::Raise { chunk: of, .. } if of == chunk))
        {
            self.carry_out_late(n);
        }
        let mut unsettled = Unsettled::default();
        if let (Some(Status::Io), Order::Raise { disk, chunk, .. } | Order::Repair { disk, chunk, .. })
        | (Some(Status::Io), Order::MendTorn { disk, chunk, .. }) = (fail, &what)
        {
            self.refused.insert((*disk, *chunk));
        }
        let status = match (fail, what) {
            (Some(status), _) => Err(status),
            (None, Order::Repair { disk, chunk, version, source, blocks }) => {
                self.repair((disk, chunk), version, source, &blocks)
            }
            (None, Order::Copy { disk, chunk, version, sources }) => {
                let source = sources[0].disk;
                match self.replicas.get(&(source, chunk)) {
                    Some(replica) if replica.version == version => {
                        let (half, order) = (half_of(replica), Some(order));
                        let copying = Copying { order, disk, source, chunk, version, half, fed: false };
                        self.machines[usize::from(n)].copying.push_back(copying);
                        return true;
                    }
                    Some(_) => Err(Status::WrongVersion),
                    None => Err(Status::NoChunk),
                }
            }
            (None, Order::Pace { .. }) => Ok(()),
            (None, Order::Fill { disk, chunk, version }) => match self.replicas.get(&(disk, chunk)) {
                Some(old) if old.version > version || old.version == version && !old.filling => {
                    Err(Status::WrongVersion)
                }
                _ => {
                    let begun = Replica { version, filling: true, ..Replica::default() };
                    self.replicas.insert((disk, chunk), begun);
                    Ok(())
                }
            },
            (None, Order::Feed { disk, chunk, version, sources }) => {
                let source = sources[0].disk;
                match (self.replicas.get(&(disk, chunk)), self.replicas.get(&(source, chunk))) {
                    (Some(one), Some(from))
                        if one.filling && (one.version, from.version) == (version, version) =>
                    {
                        let (half, order) = (half_of(from), Some(order));
                        let copying = Copying { order, disk, source, chunk, version, half, fed: true };
                        self.machines[usize::from(n)].copying.push_back(copying);
                        return true;
                    }
                    _ => Err(Status::WrongVersion),
                }
            }
            (None, Order::Mend { disk, chunk, version, sources }) => {
                self.mend((disk, chunk), version, &sources)
            }
            (None, Order::MendTorn { disk, chunk, version, sources, doubted }) => {
                self.mend_torn((disk, chunk), version, &sources, &doubted)
            }
            (None, Order::Raise { disk, chunk, from, to, cuts }) => {
                match self.replicas.get_mut(&(disk, chunk)) {
                    None => Err(Status::NoChunk),
                    Some(replica) if replica.filling => Err(Status::Io),
                    Some(replica) if replica.version == to => Ok(()),
                    Some(replica)
                        if replica.version == from
                            || !self.strict && replica.version > from && replica.version < to =>
                    {
                        let unfinished = replica.version > from && replica.version.term < to.term;
                        replica.version = to;
                        replica.asleep = false;
                        replica.marked |= unfinished;
                        unsettled = Unsettled {
                            touched: if unfinished {
                                vec![BlockRange::ALL]
                            } else {
                                blocks_of(&replica.touched)
                            },
                            recent: blocks_of(&replica.recent),
                            memory: if replica.torn.is_empty() { replica.memory } else { Memory::Torn },
                            failed: replica.failed,
                        };
                        for range in cuts.iter().flat_map(|cut| cut.from..cut.to) {
                            replica.content.retain(|write| write % 8 != range);
                        }
                        Ok(())
                    }
                    Some(_) => Err(Status::WrongVersion),
                }
            }
            (None, Order::Verify { disk, chunk, version }) => match self.replicas.get(&(disk, chunk)) {
                None => Err(Status::NoChunk),
                Some(replica) if replica.version == version && !replica.filling => Ok(()),
                Some(_) => Err(Status::WrongVersion),
            },
            (None, Order::Close { disk, replicas }) => self.close(disk, replicas),
            (None, Order::Delete { disk, chunk, version, .. }) => match self.replicas.get(&(disk, chunk)) {
                None => Err(Status::NoChunk),
                Some(replica) if replica.version > version => Err(Status::WrongVersion),
                Some(_) => {
                    self.replicas.remove(&(disk, chunk));
                    Ok(())
                }
            },
        };
        self.machines[usize::from(n)].outbox.push_back(Event::OrderDone { order, status, unsettled });
        true
    }

    /// What was under way for a master that is gone ends; the present one is told of it, by a new registration.
    pub(super) fn finish_late(&mut self, n: u8) -> bool {
        let done = self.carry_out_late(n);
        if done && self.machines[usize::from(n)].connected {
            self.disconnect(n);
            self.register(n);
        }
        done
    }

    fn carry_out_late(&mut self, n: u8) -> bool {
        let late: Vec<Order> = self.machines[usize::from(n)].late.drain(..).collect();
        for order in &late {
            let Order::Raise { disk, chunk, from, to, cuts } = order else { continue };
            let Some(replica) = self.replicas.get_mut(&(*disk, *chunk)) else { continue };
            if *from <= replica.version && replica.version < *to && !replica.filling {
                replica.version = *to;
                replica.asleep = false;
                for range in cuts.iter().flat_map(|cut| cut.from..cut.to) {
                    replica.content.retain(|write| write % 8 != range);
                }
            }
        }
        !late.is_empty()
    }

    /// The disk has begun with the first order when the link that brought it breaks.
    pub(super) fn begin_late(&mut self, n: u8) {
        let machine = &mut self.machines[usize::from(n)];
        if let Some((_, order @ Order::Raise { .. })) = machine.inbox.front() {
            machine.late.push_back(order.clone());
        }
    }

    fn repair(
        &mut self,
        key: (DiskId, ChunkId),
        version: Version,
        source: Option<ReplicaAddress>,
        blocks: &[BlockRange],
    ) -> Result<(), Status> {
        let from = match &source {
            None => None,
            Some(source) => {
                let from = self.replicas.get(&(source.disk, key.1)).ok_or(Status::NoChunk)?;
                let machine = self.machines.iter().find(|one| one.id == source.server).unwrap();
                match (machine.connected && !machine.cut_off, from.version == version) {
                    (true, true) => Some(from.content.clone()),
                    (true, false) => return Err(Status::WrongVersion),
                    (false, _) => return Err(Status::ChainBroken),
                }
            }
        };
        let replica = self.replicas.get_mut(&key).ok_or(Status::NoChunk)?;
        if replica.version != version {
            return Err(Status::WrongVersion);
        }
        if let Some(from) = from {
            let within = |write: &u64| {
                let block = block_of(*write);
                blocks.iter().any(|range| (range.first..range.first + range.count).contains(&block))
            };
            replica.content.retain(|write| !within(write));
            replica.content.extend(from.into_iter().filter(within));
        }
        (replica.touched, replica.recent, replica.memory, replica.marked) = Default::default();
        replica.torn.clear();
        Ok(())
    }

    fn mend_torn(
        &mut self,
        key: (DiskId, ChunkId),
        version: Version,
        sources: &[ReplicaAddress],
        doubted: &[ReplicaAddress],
    ) -> Result<(), Status> {
        let connected = |server| self.machines.iter().any(|one| one.id == server && one.connected);
        let asked = |all: &[ReplicaAddress]| -> Result<Vec<&Replica>, Status> {
            let ask = |source: &ReplicaAddress| {
                let replica = self.replicas.get(&(source.disk, key.1)).filter(|_| connected(source.server));
                replica.filter(|one| one.version == version).ok_or(Status::ChainBroken)
            };
            all.iter().map(ask).collect()
        };
        let (sources, doubted) = (asked(sources)?, asked(doubted)?);
        let replica = self.replicas.get(&key).ok_or(Status::NoChunk)?;
        let lacks = |one: &Replica, page: &u64| one.torn.contains(page) || one.damaged.contains(page);
        let recorded =
            |page: &u64| replica.recorded.contains(page) && !doubted.iter().all(|one| lacks(one, page));
        let lost = |page: &&u64| sources.iter().all(|one| lacks(one, page)) && !recorded(page);
        let kept: BTreeSet<u64> = replica.torn.iter().filter(lost).copied().collect();
        let replica = self.replicas.get_mut(&key).ok_or(Status::NoChunk)?;
        if replica.version != version {
            return Err(Status::WrongVersion);
        }
        replica.kept.extend(kept);
        replica.torn.clear();
        Ok(())
    }

    fn mend(
        &mut self,
        key: (DiskId, ChunkId),
        version: Version,
        sources: &[ReplicaAddress],
    ) -> Result<(), Status> {
        let at = |source: &ReplicaAddress| self.replicas.get(&(source.disk, key.1));
        let others: Vec<Replica> =
            sources.iter().filter_map(at).filter(|one| one.version == version).cloned().collect();
        let replica = self.replicas.get_mut(&key).ok_or(Status::NoChunk)?;
        if replica.version != version {
            return Err(Status::WrongVersion);
        }
        replica.damaged.retain(|page| others.iter().all(|other| other.damaged.contains(page)));
        if replica.damaged.is_empty() { Ok(()) } else { Err(Status::Corrupt) }
    }

    /// A page of a replica rots and is found.
    pub(super) fn rot(&mut self, disk: DiskId, chunk: ChunkId, page: u64) {
        let replica = self.replicas.get_mut(&(disk, chunk)).unwrap();
        replica.damaged.insert(page);
        self.meet_damage(disk, chunk);
    }

    /// Damage of a replica is found and told.
    fn meet_damage(&mut self, disk: DiskId, chunk: ChunkId) {
        let machine = self.machines.iter_mut().find(|one| one.disks.contains(&disk)).unwrap();
        if machine.connected {
            machine.outbox.push_back(Event::Damaged { disk, slot: None, chunk });
        }
    }

    /// A server comes to the end of a copy.
    pub(super) fn finish_copy(&mut self, n: u8) -> bool {
        let Some(copying) = self.machines[usize::from(n)].copying.pop_front() else { return false };
        let Copying { order, disk, source, chunk, version, half, fed } = copying;
        let status = match self.replicas.get(&(source, chunk)) {
            Some(replica) if !replica.damaged.is_empty() => {
                self.meet_damage(source, chunk);
                Err(Status::Corrupt)
            }
            Some(replica) if replica.version == version && fed => {
                let (from, replica) = (source, replica.clone());
                let wrote = self.written.contains(&(from, chunk, version));
                self.fed((disk, chunk), &replica, half, wrote)
            }
            Some(replica) if replica.version == version => {
                let rest = replica.content.iter().copied().filter(|write| write % 2 == 1);
                let content: Content = rest.chain(half).collect();
                let old = self.replicas.get(&(disk, chunk)).map(|old| old.version);
                // What is begun or damaged makes way.
                let makes_way = |old: &Replica| old.filling || !old.damaged.is_empty();
                let makes_way = self.replicas.get(&(disk, chunk)).is_some_and(makes_way);
                if old < Some(version) || makes_way && old == Some(version) {
                    self.replicas.insert((disk, chunk), Replica { version, content, ..Replica::default() });
                }
                if old <= Some(version) { Ok(()) } else { Err(Status::WrongVersion) }
            }
            Some(_) => Err(Status::WrongVersion),
            None => Err(Status::NoChunk),
        };
        let machine = &mut self.machines[usize::from(n)];
        if machine.connected && status.is_ok() {
            machine.outbox.push_back(Event::ReplicaBorn { disk, slot: None, chunk, version });
        }
        if let Some(order) = order {
            machine.outbox.push_back(Event::OrderDone { order, status, unsettled: Unsettled::default() });
        }
        true
    }

    /// A replica that took writes has got what it lacked. Not if it was started anew, nor if the source had taken writes
    /// that did not come (`wrote`: it has taken some under this version).
    fn fed(
        &mut self,
        key: (DiskId, ChunkId),
        source: &Replica,
        half: Content,
        wrote: bool,
    ) -> Result<(), Status> {
        let replica = self.replicas.get_mut(&key).ok_or(Status::NoChunk)?;
        if !replica.filling || replica.asleep || source.asleep || replica.version != source.version {
            return Err(Status::WrongVersion);
        }
        if wrote && !source.recent.is_subset(&replica.recent) {
            return Err(Status::TimedOut);
        }
        let rest = source.content.iter().copied().filter(|write| write % 2 == 1);
        replica.content.extend(rest.chain(half));
        replica.filling = false;
        Ok(())
    }

    /// The control stream breaks: what was under way both ways is lost.
    pub(super) fn disconnect(&mut self, n: u8) {
        let machine = &mut self.machines[usize::from(n)];
        machine.connected = false;
        machine.inbox.clear();
        machine.outbox.clear();
        machine.copying.iter_mut().for_each(|copying| copying.order = None);
        let server = machine.id;
        self.tell(Event::ServerGone { server });
    }

    /// A server's process is killed: it forgets what it took. `flushed`: that was on stable storage everywhere.
    pub(super) fn kill(&mut self, n: u8, flushed: bool) {
        self.disconnect(n);
        self.machines[usize::from(n)].copying.clear();
        self.machines[usize::from(n)].late.clear();
        let disks = self.machines[usize::from(n)].disks.clone();
        for (_, replica) in self.replicas.iter_mut().filter(|((on, _), _)| disks.contains(on)) {
            replica.marked |= !replica.recent.is_empty() && !flushed;
            let left = if replica.marked { Memory::Marked } else { Memory::Forgot };
            replica.memory = replica.memory.max(left);
            replica.asleep = true;
            (replica.touched, replica.recent) = Default::default();
        }
        // Who took writes from a member of this server notices that it is gone.
        let lost: BTreeSet<ChunkId> =
            self.replicas.keys().filter(|(on, _)| disks.contains(on)).map(|(_, chunk)| *chunk).collect();
        let followers =
            self.replicas.iter().filter(|((_, of), one)| lost.contains(of) && !one.recent.is_empty());
        let followers: Vec<_> = followers.map(|((disk, chunk), _)| (*disk, *chunk)).collect();
        followers.into_iter().for_each(|(disk, chunk)| self.tell_unsettled(disk, chunk));
    }

    /// A server says that its replica is to be compared, in its header too.
    pub(super) fn tell_unsettled(&mut self, disk: DiskId, chunk: ChunkId) {
        let replica = self.replicas.get_mut(&(disk, chunk)).unwrap();
        replica.marked = true;
        let event = Event::Unsettled { disk, slot: None, chunk, version: replica.version };
        let machine = self.machines.iter_mut().find(|one| one.disks.contains(&disk)).unwrap();
        if machine.connected {
            machine.outbox.push_back(event);
        }
    }
}
