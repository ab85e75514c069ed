//! Replicas with a version above the metadata's: a raise gave it to them and was not recorded, in this reign or an earlier one.
//!
//! Nobody was ever granted such a version, so nothing acknowledged is on these replicas alone: all who have at least the
//! metadata's version hold every acknowledged write, and all of them are raised to a fresh one. What they may differ by is
//! what was under way: writes that nobody acknowledged, and the cuts of an edit that nobody recorded. Of this reign the cuts are
//! remembered; of an earlier one they are not, so there the whole chunk is compared, and who had the highest version is
//! followed. (`docs/decisions/0007-unfinished-raises.md`.)
//!
//! # Invariants
//! 1. After a raise of the chunk was recorded all its members hold the same bytes, whatever was cut on whom.
//! 2. While one that had the highest version of an earlier reign is a member, and did not lose power, no other is the donor.
//! 3. Nobody who has the metadata's version, and is here or may come back soon after the start, is left behind for one that has more.

use super::Remains;
use crate::fleet::Fleet;
use crate::raise::Purposes;
use crate::table::ReplicaState;
use crate::{Command, ReportedReplica};
use std::cmp::Reverse;
use types::{BlockRange, ChunkSlot, Version};

impl Fleet {
    /// A complete replica on this disk has a version above the metadata's. The raise that gave it to it is repeated, to a fresh
    /// version, for others may have taken the same without being heard.
    pub(crate) fn found_ahead(
        &mut self,
        slot: ChunkSlot,
        disk: u16,
        seen: &ReportedReplica,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(recorded) = self.table.version(slot) else { return };
        let mut set = self.table.replicas(slot);
        // Others are read rather: this one refuses who asks for the version on record.
        set.remove(disk);
        set.set(disk, if seen.damaged { ReplicaState::Damaged } else { ReplicaState::Current });
        self.put_replicas(slot, &set);
        self.table.set_open(slot, false);
        if seen.marked {
            self.set_unsettled(slot, true);
            if seen.torn {
                self.healing.set_torn(slot);
            }
        }
        let (version, is_earlier) = (seen.version, seen.version.term != self.term);
        let fresh = || Remains { since_ms: now_ms, base: recorded, first: version, ..Remains::default() };
        let remains = self.raises.remains.entry(slot).or_insert_with(fresh);
        remains.minted = remains.minted.max(version);
        remains.taken.insert(disk, version);
        if is_earlier {
            remains.earlier.insert(disk, version);
        }
        // Whoever became current by another way since may differ by what that way or this one cut.
        if is_earlier || remains.base != recorded || version < remains.first {
            remains.compared = vec![BlockRange::ALL];
        }
        self.healing.set_unfinished(slot, true, now_ms);
        self.repeat_raise(slot, now_ms, out);
    }

    /// Repeats the unfinished raise of an earlier reign as soon as all are here who may have taken part in it.
    pub(crate) fn take_up(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        if self.raises.is_of_earlier_reign(slot) {
            self.repeat_raise(slot, now_ms, out);
        }
    }

    fn repeat_raise(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        let waits = self.raises.is_running(slot)
            || self.waits_for_witnesses(slot, now_ms)
            || self.is_out_of_reach(slot, now_ms)
            || self.waits_for_torn(slot, now_ms);
        if !waits {
            let members: Vec<u16> = self.table.replicas(slot).members().collect();
            self.start_raise(slot, &members, Purposes::default(), now_ms, out);
        }
    }

    /// Whether the raise that is to be repeated is one of an earlier reign, and somebody who may have taken part in it is to be
    /// waited for: at a start everybody comes back one after the other.
    pub(crate) fn waits_for_witnesses(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let here: Vec<u16> = self.table.replicas(slot).members().collect();
        self.raises.is_of_earlier_reign(slot) && self.may_be_bettered(slot, &here, now_ms)
    }
}

impl super::Raises {
    fn is_of_earlier_reign(&self, slot: ChunkSlot) -> bool {
        self.remains.get(&slot).is_some_and(|remains| !remains.earlier.is_empty())
    }

    /// How well a disk's replica suits as donor by what it had of an earlier reign: the lowest suits best.
    pub(super) fn rank(&self, slot: ChunkSlot, disk: u16) -> Reverse<Version> {
        let remains = self.remains.get(&slot);
        Reverse(remains.and_then(|remains| remains.earlier.get(&disk)).copied().unwrap_or_default())
    }
}
