//! How many inodes and bytes have which class, kept current by every change of an inode.

use crate::api::ClassUse;
use types::ClassId;

/// By number of the class. It follows from the inodes, so the digest does not know it.
#[derive(Debug, Default)]
pub(crate) struct Usage(Vec<ClassUse>);

/// What one inode adds to its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) class: u16,
    pub(crate) bytes: u64,
}

impl Usage {
    pub(crate) fn of(&self, class: ClassId) -> ClassUse {
        self.0.get(usize::from(class.0)).copied().unwrap_or_default()
    }

    pub(crate) fn add(&mut self, share: Share) {
        let at = usize::from(share.class);
        if at >= self.0.len() {
            self.0.resize(at + 1, ClassUse::default());
        }
        let used = &mut self.0[at];
        used.inodes += 1;
        used.bytes = used.bytes.wrapping_add(share.bytes);
    }

    /// Of a share that was added. Lengths of sparse files may come to more than 64 bits; what is added is taken again.
    pub(crate) fn take(&mut self, share: Share) {
        let used = &mut self.0[usize::from(share.class)];
        used.inodes -= 1;
        used.bytes = used.bytes.wrapping_sub(share.bytes);
    }
}
