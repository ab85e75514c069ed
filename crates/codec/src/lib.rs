//! Generated prost types of log records, session, data and control messages, and their checked conversion to `types`.
