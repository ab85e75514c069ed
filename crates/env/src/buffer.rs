//! Large buffers that are used again.
//!
//! A fresh megabyte per payload costs page faults and clearing at every frame. Large payloads lie in buffers of one size that return to
//! a store of this process when the last holder of the bytes lets go. What nobody needed for a while is freed ([`trim`]).

use bytes::Bytes;
use std::sync::{Mutex, MutexGuard};

/// Bytes of each buffer: the longest payload of a frame.
pub const BUFFER_BYTES: usize = 1 << 20;

/// Buffers in use and kept for later use together, beyond which none is kept: a client is to stay below 300 MiB, with 48 MiB of
/// writes under way, 64 MiB of read-ahead, and its inodes.
const TOGETHER_MAX: usize = 48;
/// Smaller payloads are allocated exactly.
const POOLED_BYTES_MIN: usize = 256 << 10;

static STORE: Store = Store::new();

struct Store {
    kept: Mutex<Kept>,
}

struct Kept {
    buffers: Vec<Vec<u8>>,
    /// How many are shared with somebody.
    in_use: usize,
    /// The fewest that lay here since the last trim: so many were not needed.
    spare: usize,
}

/// An empty buffer with room for `bytes`.
pub fn take(bytes: usize) -> Vec<u8> {
    STORE.take(bytes)
}

/// A buffer with `bytes` bytes of which nobody knows what they are: all of them are to be written.
pub fn filled(bytes: usize) -> Vec<u8> {
    STORE.filled(bytes)
}

/// The filled buffer as shared bytes; one of the store comes back when they are dropped.
pub fn share(buffer: Vec<u8>) -> Bytes {
    STORE.share(buffer)
}

/// Frees what was not needed since the last call. To be called every few seconds.
pub fn trim() {
    STORE.trim();
}

impl Store {
    const fn new() -> Self {
        Self { kept: Mutex::new(Kept { buffers: Vec::new(), in_use: 0, spare: 0 }) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nothing panics while it is held")
    }

    fn take(&self, bytes: usize) -> Vec<u8> {
        let mut buffer = self.pooled(bytes).unwrap_or_else(|| Vec::with_capacity(bytes));
        buffer.clear();
        buffer
    }

    fn filled(&self, bytes: usize) -> Vec<u8> {
        let Some(mut buffer) = self.pooled(bytes) else { return vec![0; bytes] };
        // What was filled before need not be cleared.
        buffer.resize(bytes, 0);
        buffer
    }

    /// One of the store, if that is what so many bytes lie in; what was in it before still is.
    fn pooled(&self, bytes: usize) -> Option<Vec<u8>> {
        if !(POOLED_BYTES_MIN..=BUFFER_BYTES).contains(&bytes) {
            return None;
        }
        let mut kept = self.kept();
        let buffer = kept.buffers.pop();
        kept.spare = kept.spare.min(kept.buffers.len());
        drop(kept);
        Some(buffer.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES)))
    }

    fn share(&'static self, buffer: Vec<u8>) -> Bytes {
        if buffer.capacity() != BUFFER_BYTES {
            return buffer.into();
        }
        self.kept().in_use += 1;
        Bytes::from_owner(Pooled { buffer, store: self })
    }

    fn trim(&self) {
        let mut kept = self.kept();
        let left = kept.buffers.len() - kept.spare;
        let freed = kept.buffers.split_off(left);
        kept.spare = left;
        drop(kept);
        drop(freed);
    }
}

struct Pooled {
    buffer: Vec<u8>,
    store: &'static Store,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut kept = self.store.kept();
        kept.in_use -= 1;
        if kept.in_use + kept.buffers.len() < TOGETHER_MAX {
            kept.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: usize = BUFFER_BYTES;

    #[test]
    fn a_large_buffer_comes_back_and_what_nobody_needs_is_freed() {
        static STORE: Store = Store::new();
        let kept = || STORE.kept().buffers.len();
        let mut buffer = STORE.take(WHOLE);
        buffer.extend_from_slice(b"payload");
        let place = buffer.as_ptr();
        let bytes = STORE.share(buffer);
        let slice = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(&slice[..], b"ay");
        drop(slice);
        let again = STORE.take(300 << 10);
        assert!(again.is_empty() && again.as_ptr() == place);
        let share = |count| -> Vec<Bytes> { (0..count).map(|_| STORE.share(STORE.take(WHOLE))).collect() };
        let more = share(TOGETHER_MAX + 9);
        drop((STORE.share(again), more));
        assert_eq!(kept(), TOGETHER_MAX);
        STORE.trim();
        assert_eq!(kept(), TOGETHER_MAX, "they were in use a moment before");
        let (long, short) = (share(TOGETHER_MAX / 2), share(TOGETHER_MAX));
        drop(short);
        assert_eq!(kept(), TOGETHER_MAX / 2, "many are in use");
        drop(long);
        assert_eq!(kept(), TOGETHER_MAX);
        STORE.trim();
        drop(share(5));
        STORE.trim();
        assert_eq!(kept(), 5);
        STORE.trim();
        STORE.trim();
        assert_eq!(kept(), 0);
    }

    #[test]
    fn a_buffer_is_as_long_as_it_is_wanted_whatever_was_in_it() {
        static STORE: Store = Store::new();
        for bytes in [WHOLE / 2, WHOLE, WHOLE - 1, 7, WHOLE + 7] {
            let mut buffer = STORE.filled(bytes);
            assert_eq!(buffer.len(), bytes);
            buffer.fill(1);
            assert_eq!(STORE.share(buffer).len(), bytes);
            assert!(STORE.take(bytes).is_empty());
        }
    }

    #[test]
    fn small_and_oversized_buffers_are_their_own() {
        for bytes in [0, POOLED_BYTES_MIN - 1, WHOLE + 1] {
            assert!(take(bytes).capacity() < WHOLE || bytes > WHOLE);
        }
    }
}
