//! The namespace as a deterministic state machine.
