//! The tonic services behind a typed trait that also has an in-memory carrier.
