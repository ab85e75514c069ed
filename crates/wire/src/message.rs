//! The messages of the data plane, and HELLO, as plain values with checked encoding.

pub use codec::data::{
    FailedEdge, Flush, FlushAnswer, Hello, HelloAnswer, Read, ReadAnswer, Role, VALUES_MAX, Values,
    ValuesAnswer, Write, WriteAnswer, page_span,
};
pub use codec::{Malformed, Message};

#[cfg(test)]
mod tests;
