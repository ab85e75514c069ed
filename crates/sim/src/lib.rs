//! A whole cluster on one thread from one seed. (Another colleague is writing this crate now, in the worktree `sim`: leave it to them.)
