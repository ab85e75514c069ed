//! Promises of a disk.

mod basic;
mod damage;
mod disks;
