//! Conversions shared by records and messages.
