//! `explain`: the class of a file and where it comes from, and for its chunks where they are, where they should be, and what
//! is in the way.
//!
//! Chunks of which the same is to be said are one group, so that a large file makes a short answer. What is said of a chunk
//! comes from the fleet.
//!
//! # Invariants
//! 1. All chunks are judged by the time at which the question came, in bounded steps (`looks`).

use super::Core;
use super::classes::{parts, unmet};
use super::looks::{Look, STEP_CHUNKS_MAX};
use super::removal::kind;
use super::status::words;
use codec::admin::{
    ChunkGroup, CopyStage, ExplainTarget, ExplainedCopy, ExplainedPart, ExplainedPlace, ExplainedReplica,
    Explanation, FileTarget, GROUPS_MAX, Hindrance, RANGES_MAX, Role, ServerAbsence, Worth,
};
use fleet::{At, CopyView, Explained, PlaceView, ReplicaView};
use tokio::sync::oneshot;
use types::{ChunkIndex, ChunkSlot, ClassId, DiskId, FileKind, Holder, InodeRef, Mark, Status};

/// Answers an operator who wants to know why.
pub(crate) type ExplainAnswerer = oneshot::Sender<Result<Explanation, Status>>;

/// An explanation that is being made.
struct Explaining {
    inode: InodeRef,
    next: ChunkIndex,
    ranges: usize,
    asked_ms: u64,
    explanation: Explanation,
    answer: ExplainAnswerer,
}

impl Look for Explaining {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn step(mut self: Box<Self>, core: &Core) -> Option<Box<dyn Look>> {
        match core.chunks_from(self.inode, self.next) {
            Ok(found) => {
                let last = found.last().map(|(index, _)| *index);
                self.add(core, &found);
                if let Some(next) = last.and_then(|last| last.0.checked_add(1)).map(ChunkIndex) {
                    self.next = next;
                    return Some(self);
                }
                // Whoever asked may have given up waiting.
                drop(self.answer.send(Ok(self.explanation)));
            }
            // It was removed meanwhile.
            Err(status) => drop(self.answer.send(Err(status))),
        }
        None
    }
}

impl Explaining {
    fn add(&mut self, core: &Core, found: &[(ChunkIndex, ChunkSlot)]) {
        let slots: Vec<ChunkSlot> = found.iter().map(|(_, slot)| *slot).collect();
        let part = core.part_of(self.inode);
        let explained = core.fleet.explain(&slots, self.asked_ms);
        for ((index, _), explained) in found.iter().zip(explained) {
            self.explanation.chunks += 1;
            let group = core.group_of(*index, part, &explained, self.asked_ms);
            let groups = &mut self.explanation.groups;
            let Some(like) = groups.iter_mut().find(|other| is_alike(other, &group)) else {
                if groups.len() < GROUPS_MAX && self.ranges < RANGES_MAX {
                    self.ranges += 1;
                    groups.push(group);
                } else {
                    self.explanation.left_out += 1;
                }
                continue;
            };
            match like.ranges.last_mut().filter(|(_, last)| last.0 + 1 == index.0) {
                Some((_, last)) => *last = *index,
                None if self.ranges < RANGES_MAX => {
                    self.ranges += 1;
                    like.ranges.push((*index, *index));
                }
                None => {
                    self.explanation.left_out += 1;
                    continue;
                }
            }
            like.chunks += 1;
            absorb_times(like, &group);
        }
    }
}

/// Whether the same is to be said of both, but for how long it lasts.
fn is_alike(one: &ChunkGroup, other: &ChunkGroup) -> bool {
    let stage =
        |group: &ChunkGroup| group.copy.as_ref().map(|copy| (copy.from.clone(), copy.to.clone(), copy.stage));
    let kind = |group: &ChunkGroup| group.hindrance.map(|hindrance| hindrance.kind);
    (&one.part, &one.replicas, &one.places) == (&other.part, &other.replicas, &other.places)
        && (kind(one), stage(one)) == (kind(other), stage(other))
}

/// A group takes over the times of an equal one: the longest count.
fn absorb_times(group: &mut ChunkGroup, other: &ChunkGroup) {
    if let (Some(one), Some(other)) = (&mut group.hindrance, &other.hindrance) {
        one.wait_ms = one.wait_ms.max(other.wait_ms);
    }
    if let (Some(one), Some(other)) = (&mut group.copy, &other.copy) {
        one.since_ms_ago = one.since_ms_ago.max(other.since_ms_ago);
    }
}

impl Core {
    /// Begins an explanation; it is given when all chunks were looked at.
    pub(super) fn explain_wanted(&mut self, target: ExplainTarget, answer: ExplainAnswerer) {
        if self.looks.is_full() {
            return drop(answer.send(Err(Status::TryAgain)));
        }
        match self.begin_explanation(target) {
            Ok((explanation, inode)) => {
                let asked_ms = self.now_ms();
                let next = ChunkIndex(0);
                self.looks.begin(Explaining { inode, next, ranges: 0, asked_ms, explanation, answer });
            }
            Err(status) => drop(answer.send(Err(status))),
        }
    }

    fn begin_explanation(&self, wanted: ExplainTarget) -> Result<(Explanation, InodeRef), Status> {
        let parent = self.parent_meant(&wanted)?;
        let (path, attributes) = self.find_file(wanted.target)?;
        let inode = attributes.inode;
        let class = self.meta.class_of(inode)?;
        let (levels, above) = self.inherited(class, parent)?;
        let definition = self.meta.class(class).ok_or(Status::Stale)?;
        let unmet = unmet(definition, &mut self.fleet.prospect());
        let part = |name: &str, wants: &types::Expression| ExplainedPart {
            name: name.to_owned(),
            wants: wants.to_string(),
            unmet: unmet.iter().filter(|one| one.part == name).cloned().collect(),
        };
        let parts =
            parts(definition).into_iter().filter_map(|(name, wants)| Some(part(name, wants?))).collect();
        let explanation = Explanation {
            path,
            attributes,
            class: definition.name.to_string(),
            levels,
            above: above
                .and_then(|above| self.meta.class(above))
                .map_or_else(String::new, |c| c.name.to_string()),
            parts,
            spread: definition.spread.to_string(),
            chunks: 0,
            groups: Vec::new(),
            left_out: 0,
        };
        Ok((explanation, inode))
    }

    /// The directory that a file lies in, if one is known.
    fn parent_meant(&self, wanted: &ExplainTarget) -> Result<Option<InodeRef>, Status> {
        match &wanted.target {
            FileTarget::Path(path) => {
                let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
                parts.retain(|part| !part.is_empty() && *part != b".");
                if parts.pop().is_none() {
                    return Ok(None);
                }
                Ok(Some(self.find_file(FileTarget::Path(parts.join(&b'/')))?.1.inode))
            }
            FileTarget::Inode(inode) => {
                let attributes = self.meta.reopen(*inode)?;
                if attributes.kind == FileKind::Directory {
                    let parent = self.meta.parent_of(attributes.inode)?.inode;
                    return Ok(Some(parent).filter(|parent| *parent != attributes.inode));
                }
                let Some(parent) = wanted.parent else { return Ok(None) };
                Ok(Some(self.meta.reopen(parent)?)
                    .filter(|found| found.kind == FileKind::Directory)
                    .map(|a| a.inode))
            }
        }
    }

    /// How many directories up the class is found without another one between, and the class above those.
    fn inherited(&self, class: ClassId, parent: Option<InodeRef>) -> Result<(u32, Option<ClassId>), Status> {
        let (mut levels, mut at) = (0, parent);
        while let Some(directory) = at {
            let found = self.meta.class_of(directory)?;
            if found != class {
                return Ok((levels, Some(found)));
            }
            levels += 1;
            let above = self.meta.parent_of(directory)?.inode;
            at = Some(above).filter(|above| *above != directory);
        }
        Ok((levels, None))
    }

    /// The next chunks of a file; anything else has none.
    fn chunks_from(&self, inode: InodeRef, next: ChunkIndex) -> Result<Vec<(ChunkIndex, ChunkSlot)>, Status> {
        if self.meta.attributes(inode)?.kind != FileKind::File {
            return Ok(Vec::new());
        }
        let views = self.meta.chunks_after(inode, next, STEP_CHUNKS_MAX)?;
        Ok(views.into_iter().map(|view| (view.index, view.slot)).collect())
    }

    /// By which part of its class a file's chunks live where they do.
    pub(super) fn part_of(&self, inode: InodeRef) -> &'static str {
        let class = self.meta.class_of(inode).ok().and_then(|class| self.meta.class(class));
        let (Some(class), Ok(stage)) = (class, self.meta.stage(inode)) else { return "keep" };
        match () {
            () if stage.trashed && class.trash.is_some() => "trash",
            () if stage.archived && class.archive.is_some() => "archive",
            () => "keep",
        }
    }

    /// What is said of one chunk.
    pub(super) fn group_of(
        &self,
        index: ChunkIndex,
        part: &str,
        explained: &Explained,
        asked_ms: u64,
    ) -> ChunkGroup {
        let hindrance = explained.hindrance.map(|(obstacle, until_ms)| Hindrance {
            kind: kind(obstacle),
            // Beyond a year it is until somebody ends it.
            wait_ms: until_ms.map(|until| until.saturating_sub(asked_ms)).filter(|ms| *ms < 366 * 86_400_000),
        });
        // The order of a chain, and which of two like places a replica fills, make no difference to anybody.
        let mut replicas: Vec<_> =
            explained.replicas.iter().map(|one| self.replica_told(one, asked_ms)).collect();
        replicas.sort_by(|one, other| one.disk.cmp(&other.disk));
        let mut places: Vec<_> = explained.places.iter().map(|one| self.place_told(one)).collect();
        let is_like = |one: &ExplainedPlace, other: &ExplainedPlace| {
            (&one.condition, one.lagging) == (&other.condition, other.lagging)
        };
        for like in places.chunk_by_mut(is_like) {
            like.sort_by(|one, other| (!one.held, &one.disk).cmp(&(!other.held, &other.disk)));
        }
        ChunkGroup {
            ranges: vec![(index, index)],
            chunks: 1,
            part: part.to_owned(),
            replicas,
            places,
            hindrance,
            copy: explained.copy.map(|copy| self.copy_told(&copy, asked_ms)),
        }
    }

    fn disk_told(&self, disk: DiskId) -> String {
        self.name_of(Holder::Disk(disk))
    }

    fn replica_told(&self, replica: &ReplicaView, asked_ms: u64) -> ExplainedReplica {
        let disk = self.meta.disk(replica.disk);
        let server = disk.and_then(|disk| self.meta.server(disk.server));
        let of_server = server.map(|known| known.labels.clone()).unwrap_or_default();
        let labels = disk.map_or_else(Default::default, |known| known.labels.over(&of_server));
        let is_away = matches!(replica.worth, fleet::Worth::Away | fleet::Worth::StaleAway);
        let in_maintenance = server.is_some_and(|known| matches!(known.mark, Mark::Maintenance { .. }));
        ExplainedReplica {
            disk: self.disk_told(replica.disk),
            labels: words(&labels),
            worth: worth(replica.worth),
            role: role(replica.role),
            away: match (is_away, in_maintenance) {
                (false, _) => ServerAbsence::Here,
                (true, false) => ServerAbsence::Away,
                (true, true) => ServerAbsence::Maintenance,
            },
            held_ms: replica.held_until_ms.map(|until| until.saturating_sub(asked_ms)),
            read_last: replica.read_last,
        }
    }

    fn place_told(&self, place: &PlaceView) -> ExplainedPlace {
        let told = ExplainedPlace {
            condition: place.condition.to_string(),
            lagging: place.lagging,
            ..ExplainedPlace::default()
        };
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        match place.at {
            At::Held { disk, off_label, off_spread } => {
                ExplainedPlace { disk: self.disk_told(disk), held: true, off_label, off_spread, ..told }
            }
            At::Free(disk) => ExplainedPlace { disk: self.disk_told(disk), ..told },
            At::Nowhere(lack) => ExplainedPlace {
                lack_away: small(lack.away),
                lack_leaving: small(lack.leaving),
                lack_full: small(lack.full),
                lack_near: small(lack.near),
                ..told
            },
        }
    }

    fn copy_told(&self, copy: &CopyView, asked_ms: u64) -> ExplainedCopy {
        ExplainedCopy {
            from: self.disk_told(copy.from),
            to: self.disk_told(copy.to),
            stage: match copy.stage {
                fleet::CopyStage::Raising => CopyStage::Raising,
                fleet::CopyStage::Joining => CopyStage::Joining,
                fleet::CopyStage::Copying => CopyStage::Copying,
                fleet::CopyStage::Feeding => CopyStage::Feeding,
            },
            since_ms_ago: copy.sent_ms.map(|sent| asked_ms.saturating_sub(sent)),
        }
    }
}

fn worth(worth: fleet::Worth) -> Worth {
    match worth {
        fleet::Worth::Good => Worth::Good,
        fleet::Worth::Away => Worth::Away,
        fleet::Worth::Stale => Worth::Stale,
        fleet::Worth::StaleAway => Worth::StaleAway,
        fleet::Worth::Filling => Worth::Filling,
        fleet::Worth::Damaged => Worth::Damaged,
        fleet::Worth::Doubtful => Worth::Doubtful,
        fleet::Worth::Kept => Worth::Kept,
    }
}

fn role(role: fleet::Role) -> Role {
    match role {
        fleet::Role::Fits => Role::Fits,
        fleet::Role::StandsIn => Role::StandsIn,
        fleet::Role::Leaving => Role::Leaving,
        fleet::Role::Surplus => Role::Surplus,
        fleet::Role::None => Role::None,
    }
}
