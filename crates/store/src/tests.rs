//! Promises of a disk.

mod basic;
mod cuts;
mod damage;
mod disks;
mod files;
mod fill;
mod fuzz;
mod golden;
mod held;
mod kill;
mod mend;
mod model;
mod power;
mod remove;
mod room;
mod rot;
mod tidy;
