//! Promises of a disk.

mod basic;
mod damage;
mod disks;
mod golden;
mod model;
mod power;
