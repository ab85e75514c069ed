//! Data-plane frames and the sans-I/O machine of a write chain.
