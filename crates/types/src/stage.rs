//! In which part of its life a chunk is: by that, its class says where it lives.
//!
//! # Elsewhere
//! Which file is in which: `meta`. What follows for replicas: `fleet`.

/// Longest path that the trash keeps of a deleted file; of a longer one it keeps the end.
pub const TRASH_PATH_BYTES_MAX: usize = 16 << 10;
/// Longest directory below which deleted files are restored.
pub const RESTORE_PATH_BYTES_MAX: usize = 4 << 10;

/// The stage of a file, and of all its chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    /// The file did not change for as long as its class says.
    pub archived: bool,
    /// The file was deleted, and is kept for a while.
    pub trashed: bool,
}

impl Stage {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// Below [`Stage::COUNT`].
    pub fn number(self) -> usize {
        usize::from(self.archived) | usize::from(self.trashed) << 1
    }

    /// The inverse of the number.
    pub fn from_number(number: usize) -> Self {
        Self { archived: number & 1 != 0, trashed: number & 2 != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in 0..Stage::COUNT {
            assert_eq!(Stage::from_number(number).number(), number);
        }
        assert_eq!(Stage::default().number(), 0);
    }
}
