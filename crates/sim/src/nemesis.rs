//! What goes wrong, drawn from the seed.

use crate::chance::Chance;
use crate::cluster::{CLIENTS, SERVERS, Stop};
use crate::driver::{Stage, Violation};
use std::time::Duration;

/// Which faults a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// None but delays that differ from message to message.
    Delays,
    /// Connections break, processes are killed and started again.
    Kills,
    /// Machines lose power too.
    PowerCuts,
}

/// Who is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Master,
    Server(usize),
    Client(usize),
    AllRoles,
    Everybody,
}

/// The source of faults.
pub(crate) struct Nemesis<'a> {
    stage: &'a Stage,
    faults: Faults,
    chance: Chance,
}

impl<'a> Nemesis<'a> {
    /// Nothing has gone wrong yet.
    pub(crate) fn new(stage: &'a Stage, faults: Faults, chance: Chance) -> Self {
        Self { stage, faults, chance }
    }

    /// Breaks things for ever; dropping the future leaves them broken.
    pub(crate) async fn run(&mut self) -> Result<(), Violation> {
        loop {
            let pause = self.chance.within(50, 4000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match self.chance.below(100) {
                0..25 => self.change_delays(),
                _ if self.faults == Faults::Delays => {}
                25..40 => self.break_connections(),
                40..45 => self.checkpoint().await,
                _ => self.strike().await?,
            }
        }
    }

    fn change_delays(&mut self) {
        let base = Duration::from_micros(self.chance.below(3_000));
        let jitter = Duration::from_micros(self.chance.below(30_000));
        self.stage.trace.note(format_args!("delays are {base:?} + {jitter:?}"));
        self.stage.cluster.world().net().set_default_delay(base, jitter);
    }

    fn break_connections(&mut self) {
        let mut hosts = self.stage.cluster.hosts();
        hosts.extend(self.stage.cluster.clients().map(|number| self.stage.cluster.host_of_client(number)));
        let (one, other) = (self.chance.pick(&hosts).clone(), self.chance.pick(&hosts).clone());
        self.stage.trace.note(format_args!("connections between {one} and {other} break"));
        self.stage.cluster.world().net().kill_connections(&one, &other);
    }

    async fn checkpoint(&self) {
        let built = self.stage.cluster.checkpoint().await;
        self.stage.trace.note(format_args!("checkpoint: {built:?}"));
    }

    async fn strike(&mut self) -> Result<(), Violation> {
        let target = match self.chance.below(100) {
            0..25 => Target::Master,
            25..70 => Target::Server(self.chance.below(SERVERS as u64) as usize),
            70..85 => Target::Client(self.chance.below(CLIENTS as u64) as usize),
            85..95 => Target::AllRoles,
            _ => Target::Everybody,
        };
        let power = self.faults == Faults::PowerCuts && self.chance.percent(50);
        let how = if power { Stop::PowerCut } else { Stop::Kill };
        self.stop(target, how).await;
        if self.chance.percent(30) {
            let second = Target::Server(self.chance.below(SERVERS as u64) as usize);
            self.stop(second, how).await;
        }
        let away = if self.chance.percent(10) { 40_000 } else { 6_000 };
        tokio::time::sleep(Duration::from_millis(self.chance.below(away))).await;
        let mut order: Vec<usize> = (0..=SERVERS).collect();
        while !order.is_empty() {
            let next = order.remove(self.chance.below(order.len() as u64) as usize);
            self.stage.trace.note(format_args!("role {next} is up"));
            let started = match next {
                SERVERS => self.stage.cluster.start_master().await,
                server => self.stage.cluster.start_server(server).await,
            };
            started.map_err(|reason| self.stage.violation(reason))?;
        }
        Ok(())
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
