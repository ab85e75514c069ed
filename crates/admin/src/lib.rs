//! Operator commands, tables and JSON.
