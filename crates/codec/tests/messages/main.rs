//! What every message promises: it comes back equal, old bytes stay readable, hostile bytes are refused.

mod golden;
mod hostile;
mod round_trip;
mod samples;
mod strategies;
