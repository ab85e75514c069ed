//! Who is stopped, how, and for how long.

use super::{Faults, Nemesis};
use crate::cluster::{CLIENTS, SERVERS, Stop};
use crate::driver::Violation;
use std::time::Duration;

/// How long it is waited for an edit in whose middle to strike.
const EDIT_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How far an edit has got at most when it is struck.
const INTO_EDIT_MS: u64 = 2_500;

/// Who is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Master,
    Server(usize),
    Client(usize),
    AllRoles,
    Everybody,
}

impl Nemesis<'_> {
    pub(super) async fn strike(&mut self) -> Result<(), Violation> {
        let target = self.target();
        let power = self.may_cut(target) && self.chance.percent(50);
        let how = if power { Stop::PowerCut } else { Stop::Kill };
        self.stop(target, how).await;
        if !self.faults.destroy() && self.chance.percent(30) {
            let second = Target::Server(self.chance.below(SERVERS as u64) as usize);
            self.stop(second, how).await;
        }
        let away = if self.chance.percent(10) { 40_000 } else { 6_000 };
        tokio::time::sleep(Duration::from_millis(self.chance.below(away))).await;
        let mut order: Vec<usize> = (0..=SERVERS).collect();
        while !order.is_empty() {
            let next = order.remove(self.chance.below(order.len() as u64) as usize);
            self.start(next).await?;
        }
        Ok(())
    }

    /// The master and a client die together, if possible in the middle of an edit, so that nobody repeats it; the chunkservers live on, and
    /// the master is back at once.
    pub(super) async fn strike_pair(&mut self) -> Result<(), Violation> {
        self.snag_all();
        let into = if self.chance.percent(70) { 150 } else { INTO_EDIT_MS };
        let into = Duration::from_millis(self.chance.below(into));
        let editing = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let begun = self.stage.editing.get();
                if let Some((client, number)) = begun {
                    tokio::time::sleep(into).await;
                    // One that is over already is of no use.
                    if self.stage.editing.get() == Some((client, number)) {
                        return client;
                    }
                }
            }
        };
        let client = tokio::time::timeout(EDIT_WITHIN, editing).await;
        let client = client.unwrap_or_else(|_| self.chance.below(CLIENTS as u64) as usize);
        self.stop(Target::Client(client), Stop::Kill).await;
        self.stop(Target::Master, Stop::Kill).await;
        tokio::time::sleep(Duration::from_millis(self.chance.below(100))).await;
        self.start(SERVERS).await
    }

    fn target(&mut self) -> Target {
        let client = |chance: &mut crate::chance::Chance| chance.below(CLIENTS as u64) as usize;
        if let Some(suspect) = self.stage.suspect.get() {
            return match self.chance.below(100) {
                0..30 => Target::Master,
                30..70 => Target::Server(suspect.server),
                _ => Target::Client(client(&mut self.chance)),
            };
        }
        match self.chance.below(100) {
            0..25 => Target::Master,
            25..70 => Target::Server(self.chance.below(SERVERS as u64) as usize),
            70..85 => Target::Client(client(&mut self.chance)),
            85..95 => Target::AllRoles,
            _ => Target::Everybody,
        }
    }

    fn may_cut(&self, target: Target) -> bool {
        match self.faults {
            Faults::Delays | Faults::Kills => false,
            Faults::BadDisk | Faults::Rot => matches!(target, Target::Server(_)),
            _ => true,
        }
    }

    /// Starts a role if it is down; the master is number `SERVERS`.
    async fn start(&self, role: usize) -> Result<(), Violation> {
        self.stage.trace.note(format_args!("role {role} is up"));
        let started = match role {
            SERVERS => self.stage.cluster.start_master().await,
            server => self.stage.cluster.start_server(server).await,
        };
        match started {
            // It is tried again when the disk has room.
            Err(reason) if self.is_full(role) => {
                self.stage.trace.note(format_args!("role {role} on a full disk: {reason}"));
                Ok(())
            }
            started => started.map_err(|reason| self.stage.violation(reason)),
        }
    }

    /// A master that ended by itself is started again, as an init system would. It has no reason to but a full disk.
    pub(super) async fn revive(&self) -> Result<(), Violation> {
        let Some(fatal) = self.stage.cluster.bury_master().await else { return Ok(()) };
        self.stage.trace.note(format_args!("the master ended: {fatal}"));
        if !self.is_full(SERVERS) {
            return Err(self.stage.violation(format_args!("the master ended by itself: {fatal}")));
        }
        self.start(SERVERS).await
    }

    async fn stop(&self, target: Target, how: Stop) {
        self.stage.trace.note(format_args!("{how:?} of {target:?}"));
        let cluster = &self.stage.cluster;
        let all = matches!(target, Target::AllRoles | Target::Everybody);
        let servers = (0..SERVERS).filter(|number| all || target == Target::Server(*number));
        servers.for_each(|number| cluster.stop_server(number, how));
        for number in 0..CLIENTS {
            if target == Target::Everybody || target == Target::Client(number) {
                cluster.stop_client(number);
            }
        }
        let master = all || target == Target::Master;
        if how == Stop::PowerCut && !matches!(target, Target::Client(_)) {
            self.stage.oracle.borrow_mut().power_cut(master);
        }
        if master {
            cluster.stop_master(how).await;
        }
    }

    /// Everything but the clients loses power at the same moment, and comes back.
    pub(crate) async fn cut_all(&self) -> Result<(), Violation> {
        self.stop(Target::Everybody, Stop::PowerCut).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.stage.cluster.start().await.map_err(|reason| self.stage.violation(reason))
    }
}
