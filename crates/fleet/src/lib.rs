//! The soft half of the chunk table: replicas, the grant machine, garbage.
