//! The chunk table: what is known of each chunk's replicas, 24 bytes per chunk with up to two of them.
//!
//! # Layout of an entry
//! ```text
//! bytes  field
//! 8      chunk id; 0 = the slot is vacant
//! 7      version: counter (4), term (3)
//! 4      two disk numbers (0xFFFF = none), or, spilled, the number of a longer set
//! 3      bits: state of the first (3) and second (3) replica, spilled (1), open (1), health (3), quiet (1), unsettled (1), stage (2), 9 free
//! 2      storage class
//! ```
//! Entries live in pages of fixed size, so that growth copies nothing and wastes at most one page.
//!
//! # Invariants
//! 1. `counts` equals a recount of the health of all entries, by the goal that a class had for the stage when the entry was last put.
//! 2. A set of up to two replicas is never spilled; a spilled one has an own place in `spill`.
//! 3. The order of a set is kept: of an open chunk it is the order of the chain.
//! 4. A replica on a disk that is to go is sound like any other, and does not count for the goal.

use types::{ChunkId, ChunkSlot, ClassId, Stage, Term, Version};

/// Most replicas of one chunk that are remembered, stale ones included. What exceeds it stays on its
/// disk and is told again with the disk's next report.
pub(crate) const REPLICAS_KNOWN_MAX: usize = 16;
/// Entries of a page.
const PAGE: usize = 4096;
const NONE: u16 = u16::MAX;

/// What a replica is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ReplicaState {
    /// Complete, at the chunk's version, on a disk that serves and has said so since it registered.
    Current = 0,
    /// Was current when last heard of.
    Absent = 1,
    /// Of a lower version, incomplete or of no use: never read, never a member, kept.
    Stale = 2,
    /// Was stale when last heard of.
    StaleAbsent = 3,
    /// Takes all writes of the chunk's version as the last of its chain, and lacks what was written before: never read, not
    /// counted. One at most, behind those that are current.
    Filling = 4,
    /// Current, but for pages that do not match their checksums.
    Damaged = 5,
    /// At the chunk's version or above, but its machine lost power while it was being written: neither read nor written before
    /// it was made equal to others, or there are no others to wait for.
    Doubtful = 6,
    /// Of a lower version and damaged: left behind by a raise that it could not follow. As stale, but not given up before another
    /// replica was read whole, for its bytes may be the last ones of some page.
    Kept = 7,
}

impl ReplicaState {
    fn from_bits(bits: u32) -> Self {
        match bits & 7 {
            0 => Self::Current,
            1 => Self::Absent,
            2 => Self::Stale,
            4 => Self::Filling,
            5 => Self::Damaged,
            6 => Self::Doubtful,
            7 => Self::Kept,
            _ => Self::StaleAbsent,
        }
    }
}

/// One replica in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    /// Dense number of the disk.
    pub(crate) disk: u16,
    /// Its worth.
    pub(crate) state: ReplicaState,
}

/// A chunk's replicas, by value.
#[derive(Clone, Copy)]
pub(crate) struct ReplicaSet {
    items: [Replica; REPLICAS_KNOWN_MAX],
    len: u8,
}

impl Default for ReplicaSet {
    fn default() -> Self {
        Self { items: [Replica { disk: NONE, state: ReplicaState::Stale }; REPLICAS_KNOWN_MAX], len: 0 }
    }
}

impl std::ops::Deref for ReplicaSet {
    type Target = [Replica];
    fn deref(&self) -> &[Replica] {
        &self.items[..usize::from(self.len)]
    }
}

impl std::ops::DerefMut for ReplicaSet {
    fn deref_mut(&mut self) -> &mut [Replica] {
        &mut self.items[..usize::from(self.len)]
    }
}

impl ReplicaSet {
    /// Sets the state of a disk's replica; adds it at the end if there is room.
    pub(crate) fn set(&mut self, disk: u16, state: ReplicaState) {
        if let Some(replica) = self.iter_mut().find(|replica| replica.disk == disk) {
            replica.state = state;
        } else if usize::from(self.len) < REPLICAS_KNOWN_MAX {
            self.items[usize::from(self.len)] = Replica { disk, state };
            self.len += 1;
        } else if state == ReplicaState::Current {
            // A good replica takes the place of a bad one: a full set must not hide it.
            if let Some(bad) = self.iter_mut().rev().find(|replica| replica.state != ReplicaState::Current) {
                *bad = Replica { disk, state };
            }
        }
    }

    /// Forgets a disk's replica.
    pub(crate) fn remove(&mut self, disk: u16) {
        if let Some(at) = self.iter().position(|replica| replica.disk == disk) {
            let len = usize::from(self.len);
            self.items.copy_within(at + 1..len, at);
            self.len -= 1;
        }
    }

    /// The state of a disk's replica.
    pub(crate) fn state(&self, disk: u16) -> Option<ReplicaState> {
        self.iter().find(|replica| replica.disk == disk).map(|replica| replica.state)
    }

    /// Disks with replicas that have all writes of the version, in order, damaged ones among them.
    pub(crate) fn current(&self) -> impl Iterator<Item = u16> + '_ {
        let is_current = |one: &&Replica| matches!(one.state, ReplicaState::Current | ReplicaState::Damaged);
        self.iter().filter(is_current).map(|replica| replica.disk)
    }

    /// Disks with replicas of lower versions.
    pub(crate) fn left_behind(&self) -> impl Iterator<Item = u16> + '_ {
        let is_behind = |one: &&Replica| matches!(one.state, ReplicaState::Stale | ReplicaState::Kept);
        self.iter().filter(is_behind).map(|replica| replica.disk)
    }

    /// Those that are current, and those that may be when they are heard of.
    pub(crate) fn may_be_current(&self) -> impl Iterator<Item = u16> + '_ {
        use ReplicaState::{Absent, Current, Damaged, Doubtful};
        let may_be = |one: &&Replica| matches!(one.state, Absent | Current | Damaged | Doubtful);
        self.iter().filter(may_be).map(|one| one.disk)
    }

    /// Those that are not believed before they were compared.
    pub(crate) fn doubtful(&self) -> impl Iterator<Item = u16> + '_ {
        self.of(ReplicaState::Doubtful)
    }

    /// Who takes part in a raise: those that are current, and those that may follow them.
    pub(crate) fn members(&self) -> impl Iterator<Item = u16> + '_ {
        let doubtful = self.doubtful().filter(|_| self.current().next().is_some());
        self.current().chain(doubtful)
    }

    /// Disks that are written: those with current replicas, then the one that is being filled.
    pub(crate) fn chain(&self) -> impl Iterator<Item = u16> + '_ {
        self.current().chain(self.of(ReplicaState::Filling))
    }

    /// Those that are not damaged as far as is known: they count.
    pub(crate) fn sound(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        self.of(ReplicaState::Current)
    }

    /// Those that are.
    pub(crate) fn damaged(&self) -> impl Iterator<Item = u16> + '_ {
        self.of(ReplicaState::Damaged)
    }

    /// Those that were left behind with damage.
    pub(crate) fn kept(&self) -> impl Iterator<Item = u16> + '_ {
        self.of(ReplicaState::Kept)
    }

    /// In the order in which they are to be read.
    pub(crate) fn readable(&self) -> impl Iterator<Item = u16> + '_ {
        self.sound().chain(self.damaged())
    }

    fn of(&self, state: ReplicaState) -> impl Iterator<Item = u16> + Clone + '_ {
        self.iter().filter(move |replica| replica.state == state).map(|replica| replica.disk)
    }
}

/// How a chunk stands against its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Health {
    Ok = 0,
    Undergoal = 1,
    Endangered = 2,
    Missing = 3,
    Overgoal = 4,
    /// Enough, but some of those that are needed are on disks that are to go.
    Leaving = 5,
}

impl Health {
    /// All of them, in order of their numbers.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] =
        [Self::Ok, Self::Undergoal, Self::Endangered, Self::Missing, Self::Overgoal, Self::Leaving];

    /// Of so many sound replicas, of which so many stay, where `goal` are wanted; `damaged`: there is one besides.
    fn of(sound: usize, staying: usize, damaged: bool, goal: usize) -> Self {
        match sound {
            0 if damaged => Self::Endangered,
            0 => Self::Missing,
            _ if staying >= goal && sound > goal => Self::Overgoal,
            _ if staying >= goal => Self::Ok,
            _ if sound >= goal => Self::Leaving,
            1 => Self::Endangered,
            _ => Self::Undergoal,
        }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    chunk: [u8; 8],
    version: [u8; 7],
    set: [u8; 4],
    bits: [u8; 3],
    class: [u8; 2],
}

const _: () = assert!(size_of::<Entry>() == 24);

const VACANT: Entry = Entry { chunk: [0; 8], version: [0; 7], set: [0xFF; 4], bits: [0; 3], class: [0; 2] };
const SPILLED: u32 = 1 << 6;
const OPEN: u32 = 1 << 7;
const HEALTH_SHIFT: u32 = 8;
const QUIET: u32 = 1 << 11;
const UNSETTLED: u32 = 1 << 12;
const STAGE_SHIFT: u32 = 13;
const STAGE: u32 = 3 << STAGE_SHIFT;
const _: () = assert!(Stage::COUNT == 4);

impl Entry {
    fn class(&self) -> ClassId {
        ClassId(u16::from_le_bytes(self.class))
    }
    fn stage(&self) -> Stage {
        Stage::from_number((self.bits() >> STAGE_SHIFT) as usize)
    }
    fn chunk(&self) -> ChunkId {
        ChunkId(u64::from_le_bytes(self.chunk))
    }
    fn bits(&self) -> u32 {
        u32::from_le_bytes([self.bits[0], self.bits[1], self.bits[2], 0])
    }
    fn set_bits(&mut self, mask: u32, value: u32) {
        let [a, b, c, _] = ((self.bits() & !mask) | (value & mask)).to_le_bytes();
        self.bits = [a, b, c];
    }
    fn version(&self) -> Version {
        let [a, b, c, d, e, f, g] = self.version;
        Version { counter: u32::from_le_bytes([a, b, c, d]), term: Term(u32::from_le_bytes([e, f, g, 0])) }
    }
    fn set_version(&mut self, version: Version) {
        let [a, b, c, d] = version.counter.to_le_bytes();
        let [e, f, g, _] = version.term.0.to_le_bytes();
        self.version = [a, b, c, d, e, f, g];
    }
    fn health(&self) -> usize {
        ((self.bits() >> HEALTH_SHIFT) & 7) as usize
    }
}

/// A goal, of which there are at most nine.
fn byte(goal: usize) -> u8 {
    u8::try_from(goal).unwrap_or(u8::MAX)
}

/// See the module.
pub(crate) struct ChunkTable {
    pages: Vec<Box<[Entry; PAGE]>>,
    spill: Vec<Box<[Replica]>>,
    spill_free: Vec<u32>,
    counts: [u64; 6],
    /// By class, and by the number of the stage; those of one that are 0 or not here are those of class 0.
    goals: Vec<[u8; Stage::COUNT]>,
    /// Disks that are to go; none beyond the end.
    leaving: Vec<bool>,
}

impl ChunkTable {
    /// An empty table; each chunk wants `goal` replicas until its class is told.
    pub(crate) fn new(goal: usize) -> Self {
        Self {
            pages: Vec::new(),
            spill: Vec::new(),
            spill_free: Vec::new(),
            counts: [0; 6],
            goals: vec![[byte(goal); Stage::COUNT]],
            leaving: Vec::new(),
        }
    }

    fn entry(&self, slot: ChunkSlot) -> Option<&Entry> {
        let index = slot.0 as usize;
        let entry = &self.pages.get(index / PAGE)?[index % PAGE];
        (entry.chunk().0 != 0).then_some(entry)
    }

    fn entry_mut(&mut self, slot: ChunkSlot) -> Option<&mut Entry> {
        let index = slot.0 as usize;
        let entry = &mut self.pages.get_mut(index / PAGE)?[index % PAGE];
        (entry.chunk().0 != 0).then_some(entry)
    }

    /// Puts a chunk without replicas into a slot; what was there is forgotten.
    pub(crate) fn insert(&mut self, slot: ChunkSlot, chunk: ChunkId, version: Version, class: ClassId) {
        self.remove(slot);
        let index = slot.0 as usize;
        while self.pages.len() <= index / PAGE {
            self.pages.push(Box::new([VACANT; PAGE]));
        }
        let entry = &mut self.pages[index / PAGE][index % PAGE];
        *entry = VACANT;
        entry.chunk = chunk.0.to_le_bytes();
        entry.set_version(version);
        entry.class = class.0.to_le_bytes();
        let health = Health::Missing as u32;
        entry.set_bits(u32::MAX, health << HEALTH_SHIFT);
        self.counts[health as usize] += 1;
    }

    /// Makes a slot vacant.
    pub(crate) fn remove(&mut self, slot: ChunkSlot) {
        if self.entry(slot).is_none() {
            return;
        }
        self.put(slot, &ReplicaSet::default());
        if let Some(entry) = self.entry_mut(slot) {
            let health = entry.health();
            *entry = VACANT;
            self.counts[health] -= 1;
        }
    }

    /// The chunk in a slot.
    pub(crate) fn chunk(&self, slot: ChunkSlot) -> Option<ChunkId> {
        self.entry(slot).map(Entry::chunk)
    }

    /// Its version by the metadata.
    pub(crate) fn version(&self, slot: ChunkSlot) -> Option<Version> {
        self.entry(slot).map(Entry::version)
    }

    /// Sets the version.
    pub(crate) fn set_version(&mut self, slot: ChunkSlot, version: Version) {
        if let Some(entry) = self.entry_mut(slot) {
            entry.set_version(version);
        }
    }

    /// Its class; 0 of a slot that is vacant.
    pub(crate) fn class(&self, slot: ChunkSlot) -> ClassId {
        self.entry(slot).map(Entry::class).unwrap_or_default()
    }

    /// Sets the class. The chunk counts by its goal once it is put again.
    pub(crate) fn set_class(&mut self, slot: ChunkSlot, class: ClassId) {
        if let Some(entry) = self.entry_mut(slot) {
            entry.class = class.0.to_le_bytes();
        }
    }

    /// Sets what chunks of a class want; `None`: the same as class 0. They count by it once they are put again.
    pub(crate) fn set_goals(&mut self, class: ClassId, goals: Option<[usize; Stage::COUNT]>) {
        let at = usize::from(class.0);
        if at >= self.goals.len() {
            self.goals.resize(at + 1, [0; Stage::COUNT]);
        }
        self.goals[at] = goals.unwrap_or_default().map(byte);
    }

    fn goal(&self, entry: &Entry) -> usize {
        let stage = entry.stage().number();
        let own = self.goals.get(usize::from(entry.class().0)).map(|goals| goals[stage]);
        usize::from(own.filter(|goal| *goal > 0).unwrap_or(self.goals[0][stage]))
    }

    /// In which stage its file is; the first one of a slot that is vacant.
    pub(crate) fn stage(&self, slot: ChunkSlot) -> Stage {
        self.entry(slot).map(Entry::stage).unwrap_or_default()
    }

    /// Sets the stage. The chunk counts by its goal once it is put again.
    pub(crate) fn set_stage(&mut self, slot: ChunkSlot, stage: Stage) {
        if let Some(entry) = self.entry_mut(slot) {
            entry.set_bits(STAGE, (stage.number() as u32) << STAGE_SHIFT);
        }
    }

    /// Whether a disk is to go. Chunks on it count by that once they are put again.
    pub(crate) fn set_leaving(&mut self, disk: u16, leaving: bool) {
        let at = usize::from(disk);
        if at >= self.leaving.len() {
            self.leaving.resize(at + 1, false);
        }
        self.leaving[at] = leaving;
    }

    /// The same, asked.
    pub(crate) fn is_leaving(&self, disk: u16) -> bool {
        self.leaving.get(usize::from(disk)).copied().unwrap_or(false)
    }

    /// Sound replicas that count for the goal.
    pub(crate) fn staying(&self, set: &ReplicaSet) -> usize {
        set.sound().filter(|disk| !self.is_leaving(*disk)).count()
    }

    fn judge(&self, set: &ReplicaSet, goal: usize) -> Health {
        Health::of(set.sound().count(), self.staying(set), set.damaged().next().is_some(), goal)
    }

    /// Slots there are, vacant ones included.
    pub(crate) fn end(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// Whether the current replicas are a chain that may be handed out as it is.
    pub(crate) fn is_open(&self, slot: ChunkSlot) -> bool {
        self.entry(slot).is_some_and(|entry| entry.bits() & OPEN != 0)
    }

    /// Opens or closes the chain.
    pub(crate) fn set_open(&mut self, slot: ChunkSlot, open: bool) {
        if let Some(entry) = self.entry_mut(slot) {
            entry.set_bits(OPEN, if open { OPEN } else { 0 });
        }
    }

    /// Whether the present version was made in this reign and never granted to anybody.
    pub(crate) fn is_quiet(&self, slot: ChunkSlot) -> bool {
        self.entry(slot).is_some_and(|entry| entry.bits() & QUIET != 0)
    }

    /// Notes whether the present version is one that nobody may write under.
    pub(crate) fn set_quiet(&mut self, slot: ChunkSlot, quiet: bool) {
        if let Some(entry) = self.entry_mut(slot) {
            entry.set_bits(QUIET, if quiet { QUIET } else { 0 });
        }
    }

    /// Whether its replicas may differ, so that all reads go to one of them until they were compared.
    pub(crate) fn is_unsettled(&self, slot: ChunkSlot) -> bool {
        self.entry(slot).is_some_and(|entry| entry.bits() & UNSETTLED != 0)
    }

    /// Sets or clears that.
    pub(crate) fn set_unsettled(&mut self, slot: ChunkSlot, unsettled: bool) {
        if let Some(entry) = self.entry_mut(slot) {
            entry.set_bits(UNSETTLED, if unsettled { UNSETTLED } else { 0 });
        }
    }

    /// How the chunk stands against its goal.
    pub(crate) fn health(&self, slot: ChunkSlot) -> Option<Health> {
        self.entry(slot).map(|entry| self.judge(&self.replicas(slot), self.goal(entry)))
    }

    /// The replicas, in order.
    pub(crate) fn replicas(&self, slot: ChunkSlot) -> ReplicaSet {
        let mut set = ReplicaSet::default();
        let Some(entry) = self.entry(slot) else { return set };
        let bits = entry.bits();
        if bits & SPILLED != 0 {
            let long = &self.spill[u32::from_le_bytes(entry.set) as usize];
            set.items[..long.len()].copy_from_slice(long);
            set.len = long.len() as u8;
            return set;
        }
        let [a, b, c, d] = entry.set;
        for (disk, shift) in [(u16::from_le_bytes([a, b]), 0), (u16::from_le_bytes([c, d]), 3)] {
            if disk != NONE {
                set.set(disk, ReplicaState::from_bits(bits >> shift));
            }
        }
        set
    }

    /// Replaces the replicas and keeps the health counts.
    pub(crate) fn put(&mut self, slot: ChunkSlot, set: &ReplicaSet) {
        let Some(entry) = self.entry(slot) else { return };
        let goal = self.goal(entry);
        let old_spill = (entry.bits() & SPILLED != 0).then(|| u32::from_le_bytes(entry.set));
        let old_health = entry.health();
        if let Some(index) = old_spill {
            self.spill[index as usize] = Box::default();
            self.spill_free.push(index);
        }
        let (words, bits) = if set.len() <= 2 {
            let pick = |at: usize| set.get(at).map_or((NONE, 0), |one| (one.disk, one.state as u32));
            let ((first, first_state), (second, second_state)) = (pick(0), pick(1));
            let [a, b] = first.to_le_bytes();
            let [c, d] = second.to_le_bytes();
            ([a, b, c, d], first_state | second_state << 3)
        } else {
            let index = self.spill_free.pop().unwrap_or_else(|| {
                self.spill.push(Box::default());
                (self.spill.len() - 1) as u32
            });
            self.spill[index as usize] = Box::from(&set[..]);
            (index.to_le_bytes(), SPILLED)
        };
        let health = self.judge(set, goal);
        if let Some(entry) = self.entry_mut(slot) {
            entry.set = words;
            entry.set_bits(0x7F | 7 << HEALTH_SHIFT, bits | (health as u32) << HEALTH_SHIFT);
        }
        self.counts[old_health] -= 1;
        self.counts[health as usize] += 1;
    }

    /// Chunks of this health.
    pub(crate) fn count(&self, health: Health) -> u64 {
        self.counts[health as usize]
    }

    /// Health recounted from every entry, and whether it is what the goals of now make of it: for tests of invariant 1.
    #[cfg(test)]
    pub(crate) fn recount(&self) -> ([u64; 6], bool) {
        let (mut counts, mut fresh) = ([0; 6], true);
        for slot in self.slots() {
            let stored = self.entry(slot).map_or(0, Entry::health);
            counts[stored] += 1;
            fresh &= self.health(slot).is_some_and(|health| health as usize == stored);
        }
        (counts, fresh)
    }

    /// All slots in use.
    #[cfg(test)]
    pub(crate) fn slots(&self) -> impl Iterator<Item = ChunkSlot> + '_ {
        (0..self.end() as u32).map(ChunkSlot).filter(|slot| self.entry(*slot).is_some())
    }
}
