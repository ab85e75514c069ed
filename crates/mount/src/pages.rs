//! Which pages of a file the kernel may have, of files that are appended to.
//!
//! An append lands where the mount says, not where the kernel believes the end to be, and older kernels drop no pages for what passes
//! their cache by. So pages from there on have to be dropped. As a rule there are none, since a log is written and not read; then
//! nobody is told.
//!
//! # Invariants
//! 1. Of a file in `clean` the kernel has no page at or behind that offset, or somebody is about to have them dropped.
//! 2. At most one thread tells the kernel about one file. What is appended meanwhile it tells, too.

use fuser::INodeNo;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

/// The kernel's pages are no larger on any processor.
const LARGEST_PAGE_BYTES: u64 = 64 << 10;

/// See the module.
#[derive(Default)]
pub(crate) struct Pages(Mutex<Table>);

#[derive(Default)]
struct Table {
    clean: HashMap<INodeNo, u64>,
    /// Files that the kernel is being told about, and from where on it is to be told once more.
    telling: HashMap<INodeNo, Option<u64>>,
}

impl Pages {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("nothing panics while it is held")
    }

    /// The kernel asked for these bytes, or gave them, and may keep them. To be called before the request is carried out.
    pub(crate) fn may_be_kept(&self, inode: INodeNo, offset: u64, length: u64) {
        let end =
            offset.saturating_add(length).div_ceil(LARGEST_PAGE_BYTES).saturating_mul(LARGEST_PAGE_BYTES);
        let mut table = self.lock();
        if table.clean.get(&inode).is_some_and(|clean| end > *clean) {
            table.clean.remove(&inode);
        }
    }

    /// Nothing is known of it any more.
    pub(crate) fn forget(&self, inode: INodeNo) {
        self.lock().clean.remove(&inode);
    }

    /// Bytes from `from` on are others since now. True: the caller has to tell the kernel, see [`Pages::next`].
    pub(crate) fn outdated(&self, inode: INodeNo, from: u64) -> bool {
        let mut table = self.lock();
        if table.clean.get(&inode).is_some_and(|clean| *clean <= from) {
            return false;
        }
        table.clean.insert(inode, from);
        match table.telling.get_mut(&inode) {
            Some(more) => {
                *more = Some(more.map_or(from, |more| more.min(from)));
                false
            }
            None => {
                table.telling.insert(inode, Some(from));
                true
            }
        }
    }

    /// From where on pages are to be dropped; `None`: it was told everything.
    pub(crate) fn next(&self, inode: INodeNo) -> Option<u64> {
        let mut table = self.lock();
        let next = table.telling.get_mut(&inode)?.take();
        if next.is_none() {
            table.telling.remove(&inode);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: INodeNo = INodeNo(7);
    const PAGE: u64 = LARGEST_PAGE_BYTES;

    /// What the kernel is told.
    fn told(pages: &Pages) -> Vec<u64> {
        std::iter::from_fn(|| pages.next(LOG)).collect()
    }

    #[test]
    fn the_kernel_is_told_of_the_first_append_and_then_of_none_until_it_may_have_pages_again() {
        let pages = Pages::default();
        assert!(pages.outdated(LOG, 100));
        assert_eq!(told(&pages), [100]);
        assert!((2..1000).all(|n| !pages.outdated(LOG, n * 100)));
        // What lies before, or belongs to another file, is of no interest.
        let pages_before = || {
            let pages = Pages::default();
            assert!(pages.outdated(LOG, 3 * PAGE));
            told(&pages);
            pages
        };
        let pages = pages_before();
        pages.may_be_kept(LOG, PAGE, 2 * PAGE);
        pages.may_be_kept(INodeNo(8), 0, u64::MAX);
        assert!(!pages.outdated(LOG, 3 * PAGE + 1));
        // The end, or a part of its page.
        for (offset, length) in [(3 * PAGE, PAGE), (3 * PAGE, 1), (0, u64::MAX)] {
            let pages = pages_before();
            pages.may_be_kept(LOG, offset, length);
            assert!(pages.outdated(LOG, 3 * PAGE + 100));
            assert_eq!(told(&pages), [3 * PAGE + 100]);
        }
        let pages = pages_before();
        assert!(pages.outdated(LOG, PAGE), "it was cut meanwhile");
        let pages = pages_before();
        pages.forget(LOG);
        assert!(pages.outdated(LOG, 3 * PAGE));
    }

    #[test]
    fn what_is_appended_while_the_kernel_is_told_is_told_by_the_same_thread_at_once() {
        let pages = Pages::default();
        assert!(pages.outdated(LOG, 500));
        assert_eq!(pages.next(LOG), Some(500));
        for at in [700, 600, 900] {
            pages.may_be_kept(LOG, 0, 4096);
            assert!(!pages.outdated(LOG, at), "somebody is at it");
        }
        assert!(pages.outdated(INodeNo(8), 0), "another file waits for nothing");
        assert_eq!(told(&pages), [600]);
        pages.may_be_kept(LOG, 0, 4096);
        assert!(pages.outdated(LOG, 1000));
        assert_eq!(told(&pages), [1000]);
    }
}
