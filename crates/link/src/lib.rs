//! Connections that carry frames: pools, deadlines, back-pressure.
