//! What goes wrong, drawn from the seed.
//!
//! # Invariants
//! 1. What lasts is on a list ([`Undo`]), and all of it is undone when the faults stop.
//! 2. What destroys stored bytes strikes the suspect alone (`menu`).
//!
//! # Elsewhere
//! What may happen, and how often: `menu`. How: `network`, `disks`, `strikes`.

mod disks;
mod menu;
mod network;
mod strikes;

pub use menu::Faults;

use crate::chance::Chance;
use crate::cluster::{DISKS, Place, SERVERS, Stop};
use crate::driver::{Stage, Violation};
use env::SimDisk;
use menu::{Kind, Menu};
use std::time::Duration;
use tokio::time::Instant;

/// Room on a disk that is not full.
const ROOMY: u64 = 1 << 40;

/// How something that lasts ends.
enum Undo {
    /// Ways between hosts open again.
    Ways(Vec<(String, String)>),
    /// A stalled pair's connections break, and the way opens.
    Stall(String, String),
    /// Delays from one to the other are as everybody's.
    Delay(String, String),
    /// A host's queue goes on.
    Queue(String, String),
    /// A disk of a role has room again.
    Room(usize, SimDisk),
    /// A disk's sectors can be read again.
    Sectors(SimDisk),
    /// A disk's operations succeed.
    Faults(SimDisk),
}

/// The source of faults.
pub(crate) struct Nemesis<'a> {
    stage: &'a Stage,
    faults: Faults,
    menu: Menu,
    chance: Chance,
    lasting: Vec<(Instant, Undo)>,
}

impl<'a> Nemesis<'a> {
    /// Nothing has gone wrong yet.
    pub(crate) fn new(stage: &'a Stage, faults: Faults, seed: u64) -> Self {
        let menu = Menu::new(faults, &mut Chance::named(seed, "menu"));
        stage.trace.note(format_args!("{menu:?}"));
        Self { stage, faults, menu, chance: Chance::named(seed, "nemesis"), lasting: Vec::new() }
    }

    /// Breaks things for ever; dropping the future leaves them broken until [`Nemesis::stop_all`].
    pub(crate) async fn run(&mut self) -> Result<(), Violation> {
        if self.faults.destroy() && self.stage.suspect.get().is_none() {
            let (server, disk) = (self.chance.below(SERVERS as u64), self.chance.below(DISKS as u64));
            let place = Place { server: server as usize, disk: disk as usize };
            self.stage.trace.note(format_args!("the suspect is {place}"));
            self.stage.suspect.set(Some(place));
        }
        loop {
            let pause = self.chance.within(50, 4000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.end_what_is_due();
            self.revive().await?;
            match self.menu.draw(&mut self.chance) {
                Kind::Nothing => {}
                Kind::Delays => self.change_delays(),
                Kind::Break => self.break_connections(),
                Kind::Checkpoint => self.checkpoint().await,
                Kind::Strike => self.strike().await?,
                Kind::LongDelay => self.delay_long(),
                Kind::Partition => self.partition(),
                Kind::Isolate => self.isolate(),
                Kind::Stall => self.stall(),
                Kind::Silence => self.silence(),
                Kind::Clock => self.jump_clock(),
                Kind::Slow => self.slow(),
                Kind::Snag => self.snag(),
                Kind::Pair => self.strike_pair().await?,
                Kind::Hang => self.hang(),
                Kind::Full => self.fill_up(),
                Kind::Fail => self.fail(),
                Kind::Flip => self.flip(),
                Kind::Stray => self.lead_astray(),
            }
        }
    }

    async fn checkpoint(&self) {
        // It would wait for the log, and this would wait for it.
        if self.lasting.iter().any(|(_, undo)| matches!(undo, Undo::Queue(..))) {
            return;
        }
        let built = self.stage.cluster.checkpoint().await;
        self.stage.trace.note(format_args!("checkpoint: {built:?}"));
    }

    /// Something lasts for a while from now on.
    fn undo_later(&mut self, undo: Undo) {
        let longest = if self.chance.percent(15) { 40_000 } else { 8_000 };
        let until = Instant::now() + Duration::from_millis(self.chance.within(100, longest));
        self.lasting.push((until, undo));
    }

    fn end_what_is_due(&mut self) {
        let now = Instant::now();
        let (due, rest) = std::mem::take(&mut self.lasting).into_iter().partition(|(until, _)| *until <= now);
        self.lasting = rest;
        self.undo(due);
    }

    fn undo(&mut self, due: Vec<(Instant, Undo)>) {
        let (world, trace) = (self.stage.cluster.world(), &self.stage.trace);
        for (_, undo) in due {
            match undo {
                Undo::Ways(ways) => {
                    trace.note(format_args!("ways open again: {ways:?}"));
                    self.unblock(&ways);
                }
                Undo::Stall(one, other) => {
                    trace.note(format_args!("{one} and {other} lose their connections"));
                    world.net().kill_connections(&one, &other);
                    self.unblock(&[(one.clone(), other.clone()), (other, one)]);
                }
                Undo::Delay(from, to) => {
                    trace.note(format_args!("from {from} to {to} it takes what it should"));
                    world.net().forget_delay(&from, &to);
                }
                Undo::Queue(host, queue) => {
                    trace.note(format_args!("{queue} of {host} is well"));
                    world.free_queue(&host, &queue);
                }
                Undo::Room(role, disk) => {
                    trace.note(format_args!("a disk of role {role} has room"));
                    disk.set_capacity(ROOMY);
                    disk.set_copies_on_write(false);
                    if role == SERVERS {
                        self.stage.master_is_full.set(false);
                    }
                }
                Undo::Sectors(disk) => {
                    trace.note(format_args!("sectors can be read again"));
                    disk.unspoil();
                }
                Undo::Faults(disk) => {
                    trace.note(format_args!("the suspect does as it is told"));
                    disk.clear_faults();
                }
            }
        }
    }

    /// Ends all that lasts. A disk that failed in service comes back with its server only, so that is started anew.
    pub(crate) async fn stop_all(&mut self) -> Result<(), Violation> {
        let due = std::mem::take(&mut self.lasting);
        self.undo(due);
        if let Some(suspect) = self.stage.suspect.get() {
            self.stage.cluster.disk(suspect).clear_faults();
        }
        if let (Faults::BadDisk, Some(suspect)) = (self.faults, self.stage.suspect.get()) {
            self.stage.cluster.stop_server(suspect.server, Stop::Kill);
        }
        self.revive().await
    }
}
