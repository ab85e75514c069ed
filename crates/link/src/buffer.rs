//! Large receive buffers that are used again.
//!
//! A fresh megabyte per payload costs page faults at every frame. Large payloads are read into buffers of one
//! size that return to a shared store when the last holder of the bytes lets go.

use bytes::Bytes;
use std::sync::Mutex;
use types::PAYLOAD_BYTES_MAX;

/// Buffers kept for later use; beyond it they are freed.
const KEPT_MAX: usize = 32;
/// Smaller payloads are allocated exactly.
const POOLED_BYTES_MIN: usize = 256 << 10;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer with room for `bytes`.
pub(crate) fn take(bytes: usize) -> Vec<u8> {
    if bytes < POOLED_BYTES_MIN {
        return Vec::with_capacity(bytes);
    }
    let kept = KEPT.lock().expect("nothing panics while it is held").pop();
    kept.unwrap_or_else(|| Vec::with_capacity(bytes.max(PAYLOAD_BYTES_MAX as usize)))
}

/// The filled buffer as shared bytes; a large one comes back when they are dropped.
pub(crate) fn share(buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() < PAYLOAD_BYTES_MAX as usize {
        return buffer.into();
    }
    Bytes::from_owner(Pooled(buffer))
}

struct Pooled(Vec<u8>);

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let mut kept = KEPT.lock().expect("nothing panics while it is held");
        if kept.len() < KEPT_MAX {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_comes_back() {
        let mut buffer = take(PAYLOAD_BYTES_MAX as usize);
        buffer.extend_from_slice(b"payload");
        let bytes = share(buffer);
        let slice = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(&slice[..], b"ay");
        drop(slice);
        assert!(!KEPT.lock().unwrap().is_empty());
        assert!(take(PAYLOAD_BYTES_MAX as usize).is_empty());
    }
}
