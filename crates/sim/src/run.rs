//! One seed from its beginning to its end.

use crate::chance::Chance;
use crate::cluster::{CLIENTS, Cluster, SERVERS, Stop};
use crate::driver::{Driver, Stage, Violation};
use crate::invariants;
use crate::losses;
use crate::nemesis::{Faults, Nemesis};
use crate::oracle::{Oracle, TREES};
use crate::trace::Trace;
use std::cell::{Cell, RefCell};
use std::time::Duration;
use types::{FileKind, InodeId, NodeSpec, Owner};

/// Rounds of faults and a look.
const ROUNDS: usize = 2;
/// Operations of each client in a round.
const OPERATIONS: u64 = 60;
/// After the faults stop: longer than any call of a client, so that nothing is on its way any more.
const SETTLE: Duration = Duration::from_secs(45);

/// How late a server hears the master that is about to be killed.
const LATE: Duration = Duration::from_secs(1);

/// What a run is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// What may go wrong.
    pub faults: Faults,
    /// Every event goes to stderr.
    pub aloud: bool,
    /// Replicas wanted of each chunk.
    pub goal: usize,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// A hash over every event, its result and its simulated time.
    pub trace: u64,
    /// Events.
    pub events: u64,
}

impl Plan {
    /// The plan of a seed, which decides on the faults too.
    pub fn new(seed: u64) -> Self {
        Self { seed, faults: Faults::of(seed), aloud: false, goal: 2 }
    }

    /// Runs it. An error says what was broken, what came before, and how to see it again.
    pub fn run(self) -> Result<Report, String> {
        let Self { seed, faults, goal, .. } = self;
        let wanted = if goal == 2 { String::new() } else { format!("MUSKOX_SIM_GOAL={goal} ") };
        let replay = format!(
            "{wanted}MUSKOX_SIM_FAULTS={faults} MUSKOX_SIM_SEED={seed} cargo test -p sim --test seeds -- --nocapture replay"
        );
        on_stage(self, &replay, async |stage| Box::pin(self.play(stage)).await)
    }

    async fn play(self, stage: &Stage) -> Result<(), Violation> {
        let mut chance = Chance::named(self.seed, "plan");
        stage.cluster.checkpoint_every(chance.within(20, 400));
        stage.cluster.start().await.map_err(Violation)?;
        let roots = make_trees(stage).await?;
        let mut drivers: Vec<Driver<'_>> = (0..CLIENTS)
            .map(|number| {
                let chance = Chance::named(self.seed, &format!("client{number}"));
                Driver::new(stage, number, chance, roots)
            })
            .collect();
        let mut nemesis = Nemesis::new(stage, self.faults, self.seed);
        let mut losses = Chance::named(self.seed, "losses");
        for round in 0..ROUNDS {
            stage.trace.note(format_args!("round {round}"));
            if chance.percent(50) {
                (0..CLIENTS).for_each(|number| drivers[number].take_tree((number + round) % TREES));
            }
            stage.set_calm(self.faults == Faults::Delays);
            Box::pin(self.disturb(stage, &mut drivers, &mut nemesis)).await?;
            self.calm_down(stage, &mut drivers).await?;
            settle(stage, &mut drivers).await?;
            if losses.percent(30) {
                losses::lose_a_disk(stage, &mut losses).await?;
                look(stage, &mut drivers).await?;
                invariants::check_quiet(stage).await?;
            }
            if self.faults.cut_power() && chance.percent(50) {
                stage.set_calm(false);
                nemesis.cut_all().await?;
                stage.set_calm(true);
                settle(stage, &mut drivers).await?;
            }
        }
        self.stress(stage, &mut drivers).await
    }

    /// The end: a kill, nonsense and rot, none of which may be seen by anybody.
    async fn stress(self, stage: &Stage, drivers: &mut [Driver<'_>]) -> Result<(), Violation> {
        let mut chance = Chance::named(self.seed, "stress");
        stage.trace.note(format_args!("stress"));
        invariants::restart::check(stage).await?;
        invariants::garbage::send(stage, &mut chance).await?;
        invariants::rot::flip(stage, &mut chance).await?;
        if self.faults.destroy() {
            kill_who_mends(stage, drivers, &mut chance).await?;
        } else {
            look(stage, drivers).await?;
        }
        invariants::healed::wait(stage).await?;
        look(stage, drivers).await?;
        if chance.percent(20) {
            invariants::unknown::check(stage, &mut chance).await?;
        }
        Ok(())
    }

    async fn disturb(
        self,
        stage: &Stage,
        drivers: &mut [Driver<'_>],
        nemesis: &mut Nemesis<'_>,
    ) -> Result<(), Violation> {
        let [one, two] = drivers else { return Err(Violation("there are two clients".into())) };
        let work = async { tokio::try_join!(one.run(OPERATIONS), two.run(OPERATIONS)).map(drop) };
        tokio::select! {
            biased;
            done = work => done,
            broken = nemesis.run() => broken,
        }?;
        stage.trace.note(format_args!("the faults stop"));
        nemesis.stop_all().await
    }

    async fn calm_down(self, stage: &Stage, drivers: &mut [Driver<'_>]) -> Result<(), Violation> {
        stage.cluster.start().await.map_err(Violation)?;
        tokio::time::sleep(SETTLE).await;
        for driver in &mut *drivers {
            driver.finish().await?;
        }
        tokio::time::sleep(SETTLE).await;
        stage.set_calm(true);
        Ok(())
    }
}

/// Lets something play on a stage of its own, on one thread with simulated time. `replay`: the command that shows it again.
pub(crate) fn on_stage(
    plan: Plan,
    replay: &str,
    play: impl AsyncFnOnce(&Stage) -> Result<(), Violation>,
) -> Result<Report, String> {
    let Plan { seed, faults, aloud, goal } = plan;
    let panics = crate::panics::count();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    let (outcome, report, tail) = runtime.block_on(async {
        let stage = Stage {
            cluster: Cluster::new(seed, goal),
            oracle: RefCell::new(Oracle::new()),
            trace: Trace::new(aloud),
            calm: Cell::new(true),
            settled: Cell::new(false),
            lost: RefCell::default(),
            editing: Cell::new(None),
            edits: Cell::new(0),
            master_is_full: Cell::new(false),
            suspect: Cell::new(None),
            faults,
            removals: RefCell::default(),
            numbers: RefCell::default(),
        };
        let outcome = play(&stage).await;
        let (trace, events) = stage.trace.digest();
        (outcome, Report { trace, events }, stage.trace.tail())
    });
    drop(runtime);
    let broken = match outcome {
        Err(Violation(what)) => what,
        Ok(()) if crate::panics::count() != panics => "a task panicked".to_owned(),
        Ok(()) => return Ok(report),
    };
    Err(format!("seed {seed} ({faults:?}): {broken}\nbefore it:\n{tail}replay: {replay}\n"))
}

/// The rot is met while one server hears the master late, and the master is killed in the middle of what it does about it: replicas
/// may have taken the version of a raise that no record names.
async fn kill_who_mends(
    stage: &Stage,
    drivers: &mut [Driver<'_>],
    chance: &mut Chance,
) -> Result<(), Violation> {
    let (cluster, net, hosts) = (&stage.cluster, stage.cluster.world().net(), stage.cluster.hosts());
    let late = &hosts[1 + chance.below(SERVERS as u64) as usize];
    net.set_delay(&hosts[0], late, LATE, Duration::ZERO);
    look(stage, drivers).await?;
    tokio::time::sleep(LATE.mul_f64(chance.below(150) as f64 / 100.0)).await;
    stage.trace.note(format_args!("the master is killed while {late} hears it late"));
    cluster.stop_master(Stop::Kill).await;
    net.forget_delay(&hosts[0], late);
    cluster.start_master().await.map_err(Violation)
}

async fn look(stage: &Stage, drivers: &mut [Driver<'_>]) -> Result<(), Violation> {
    for driver in &mut *drivers {
        Box::pin(driver.look()).await?;
    }
    stage.oracle.borrow_mut().collect();
    Ok(())
}

/// Looks at everything before and after replicas are compared, and takes leave of the files of which nobody was told what is in them.
async fn settle(stage: &Stage, drivers: &mut [Driver<'_>]) -> Result<(), Violation> {
    look(stage, drivers).await?;
    invariants::healed::wait(stage).await?;
    invariants::check_quiet(stage).await?;
    for driver in &mut *drivers {
        Box::pin(driver.look_at_uncertain()).await?;
    }
    for driver in &mut *drivers {
        Box::pin(driver.drop_uncertain()).await?;
    }
    stage.oracle.borrow_mut().collect();
    invariants::healed::wait(stage).await
}

/// Makes the directories of the trees, durably.
async fn make_trees(stage: &Stage) -> Result<[InodeId; TREES], Violation> {
    let program = stage.cluster.program(0).await.map_err(Violation)?;
    let mut roots = [InodeId::ROOT; TREES];
    for (tree, root) in roots.iter_mut().enumerate() {
        let node = NodeSpec {
            kind: FileKind::Directory,
            mode: 0o755,
            owner: Owner::default(),
            device: 0,
            target: Vec::new(),
        };
        let made = program.client.make(InodeId::ROOT, format!("t{tree}").as_bytes(), node).await;
        let known = made.map_err(|status| Violation(format!("a directory cannot be made: {status:?}")))?;
        *root = known.attributes.inode.id;
    }
    let log = crate::driver::appends::make(&program.client, false).await;
    log.map_err(|status| Violation(format!("the log cannot be made: {status:?}")))?;
    let synced = program.client.fsync_directory(InodeId::ROOT).await;
    synced.map_err(|status| Violation(format!("no barrier: {status:?}")))?;
    Ok(roots)
}
