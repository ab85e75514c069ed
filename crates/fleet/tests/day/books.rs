//! What happened in a day, and the bound on copies.
//!
//! Each copy is explained when it is ordered (`why`). Besides, what calls for copies is counted where it happens, by others than those who
//! order them, and at every hour there may not be more copies than that:
//!
//! ```text
//! copies made  <=  replicas lost past their hold-off     (Lost: on a disk that failed; on a server that is silent for too long)
//!                + replicas left behind by a raise       (Stale: written while they were away, or refused to follow)
//!                + replicas that an edit asks for        (Asked: of a class, of labels, of the class or stage of files)
//!                + replicas on disks that are to go      (Marked)
//!                + replicas that only stand in           (StandIns: no disk with the label could be had at that moment)
//!                + copies that were under way when their cause went away   (Crossed, which is bounded by those under way then)
//! ```
//!
//! and a copy for balance lowers the difference between two disks. A copy that failed is ordered anew, so more are ordered than made.

/// What a copy was ordered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A replica was lost and not waited for any longer.
    Lost,
    /// One is on a disk that is to go.
    Marked,
    /// An edit asks for more.
    Asked,
    /// One is not where the class wants it.
    Misplaced,
    /// The disk that it is on is fuller than the one that gets it.
    Balance,
}

/// A copy that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) to: u16,
    pub(crate) bytes: u64,
    pub(crate) cause: Cause,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Count {
    /// Servers that fell silent, and disks that failed, for a while or for good.
    Losses,
    Returns,
    LabelEdits,
    ClassEdits,
    FileEdits,
    Marks,
    Writes,
    Raises,
    OrderedLost,
    OrderedMarked,
    OrderedAsked,
    OrderedMisplaced,
    OrderedBalance,
    MadeLost,
    MadeMarked,
    MadeAsked,
    MadeMisplaced,
    MadeBalance,
    /// Copies that were not made: refused, not answered, or lost with a link.
    Failed,
    /// Made, and of a version that was overtaken meanwhile.
    Overtaken,
    Bytes,
    Removed,
    Lost,
    Stale,
    Asked,
    Marked,
    StandIns,
    Crossed,
    /// Copies under way when something came back or was taken back.
    Crossing,
    /// Time during which some chunk was under its goal.
    UnderMs,
    /// The same, summed over chunks.
    UnderChunkMs,
}

const COUNTS: usize = Count::UnderChunkMs as usize + 1;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Books {
    counts: [u64; COUNTS],
    /// Fewest good replicas of any chunk that exist, and that can be reached.
    pub(crate) lowest: (usize, usize),
}

impl Default for Books {
    fn default() -> Self {
        Self { counts: [0; COUNTS], lowest: (usize::MAX, usize::MAX) }
    }
}

impl Cause {
    fn after(self, first: Count) -> usize {
        first as usize + self as usize
    }
}

impl Books {
    pub(crate) fn add(&mut self, count: Count, more: u64) {
        self.counts[count as usize] += more;
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    pub(crate) fn ordered(&mut self, cause: Cause) {
        self.counts[cause.after(Count::OrderedLost)] += 1;
    }

    pub(crate) fn made(&mut self, cause: Cause) {
        self.counts[cause.after(Count::MadeLost)] += 1;
    }

    /// What came since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut counts = self.counts;
        counts.iter_mut().zip(before.counts).for_each(|(now, before)| *now -= before);
        Self { counts, lowest: self.lowest }
    }

    fn sum(&self, counts: &[Count]) -> u64 {
        counts.iter().map(|count| self.get(*count)).sum()
    }

    pub(crate) fn copies_ordered(&self) -> u64 {
        use Count::{OrderedAsked, OrderedBalance, OrderedLost, OrderedMarked, OrderedMisplaced};
        self.sum(&[OrderedLost, OrderedMarked, OrderedAsked, OrderedMisplaced, OrderedBalance])
    }

    /// Copies made for another reason than balance.
    pub(crate) fn copies_needed(&self) -> u64 {
        self.sum(&[Count::MadeLost, Count::MadeMarked, Count::MadeAsked, Count::MadeMisplaced])
    }

    /// The right side of the bound, less what crossed.
    pub(crate) fn called_for(&self) -> u64 {
        self.sum(&[Count::Lost, Count::Stale, Count::Asked, Count::Marked, Count::StandIns])
    }

    /// The bound of the module's description.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (made, most) = (self.copies_needed(), self.called_for() + self.get(Count::Crossed));
        if made > most {
            return Err(format!("{made} copies were made, and only {most} called for"));
        }
        let (crossed, crossing) = (self.get(Count::Crossed), self.get(Count::Crossing));
        if crossed > crossing {
            return Err(format!("{crossed} copies were of no use, and only {crossing} under way then"));
        }
        Ok(())
    }
}

#[test]
fn a_copy_that_nothing_calls_for_breaks_the_bound() {
    let mut books = Books::default();
    books.add(Count::Lost, 1);
    books.made(Cause::Lost);
    assert_eq!(books.check(), Ok(()));
    books.made(Cause::Misplaced);
    assert!(books.check().is_err_and(|why| why.contains("only 1 called for")));
}
