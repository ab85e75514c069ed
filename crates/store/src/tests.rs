//! Promises of a disk.

mod basic;
mod damage;
mod disks;
mod files;
mod fill;
mod fuzz;
mod golden;
mod kill;
mod model;
mod power;
mod rot;
mod tidy;
