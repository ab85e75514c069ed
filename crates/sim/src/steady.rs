//! A file that is written and synced without a pause, while its chunk loses a replica for good, gets another one, and more
//! goes wrong meanwhile.
//!
//! # Invariants
//! 1. No call of the writer fails; none takes longer than the slowest thing that happens to it, and without further faults
//!    none is held up by the making of the new replica.
//! 2. The chunk is at its goal again while the writer goes on.
//! 3. In the end everything holds what was written, and `invariants` hold.

use crate::chance::Chance;
use crate::cluster::{Program, SERVERS, Stop};
use crate::driver::{Stage, Violation};
use crate::invariants;
use crate::nemesis::Faults;
use crate::run::{Plan, Report, on_stage};
use client::{FileHandle, OpenFlags};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use types::{FileKind, InodeId, NodeSpec, Owner, Status};

const FLAGS: OpenFlags = OpenFlags { read: true, write: true, truncate: false };
const PAGE: u64 = 4096;
/// Nearly all of one chunk.
const FILE_BYTES: u64 = 63 << 20;
/// Where most writes are.
const HOT_BYTES: u64 = 2 << 20;
/// No call may take longer, whatever breaks.
const CALL_MAX: Duration = Duration::from_secs(19);
/// Nor than this without further faults, once the loss itself was noticed.
const CALM_CALL_MAX: Duration = Duration::from_secs(1);
const NOTICED: Duration = Duration::from_secs(5);
/// After the last fault the chunk is whole within this time.
const WHOLE_WITHIN: Duration = Duration::from_secs(300);
/// Writes after it was whole.
const WRITES_AFTER: u64 = 50;

/// A run of one writer.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// Everything follows from it.
    pub seed: u64,
    /// Every event goes to stderr.
    pub aloud: bool,
}

/// The writer, and what the file has to hold.
struct Writer<'a> {
    stage: &'a Stage,
    program: Program,
    handle: FileHandle,
    chance: RefCell<Chance>,
    pages: RefCell<BTreeMap<u64, Vec<u8>>>,
    writes: Cell<u64>,
    slowest: Cell<Duration>,
}

/// Who has what.
struct Roles {
    lost: usize,
    left: usize,
    spare: usize,
}

impl Steady {
    /// Runs it. An error says what was broken, what came before, and how to see it again.
    pub fn run(self) -> Result<Report, String> {
        let replay =
            format!("MUSKOX_SIM_STEADY={} cargo test -p sim --test steady -- --nocapture replay", self.seed);
        let plan = Plan { faults: Faults::Delays, aloud: self.aloud, ..Plan::new(self.seed) };
        on_stage(plan, &replay, async |stage| self.play(stage).await)
    }

    async fn play(self, stage: &Stage) -> Result<(), Violation> {
        let mut chance = Chance::named(self.seed, "steady");
        stage.cluster.start().await.map_err(Violation)?;
        let program = stage.cluster.program(0).await.map_err(Violation)?;
        let inode = make(&program).await.map_err(|status| Violation(format!("no file: {status:?}")))?;
        let opened = program.client.open(inode, FLAGS).await;
        let opened = opened.map_err(|status| Violation(format!("it does not open: {status:?}")))?;
        let writer = Writer {
            stage,
            program,
            handle: opened.handle,
            chance: RefCell::new(Chance::named(self.seed, "writer")),
            pages: RefCell::default(),
            writes: Cell::new(0),
            slowest: Cell::default(),
        };
        for _ in 0..40 {
            writer.write().await?;
        }
        let roles = roles(stage, inode, &mut chance).await?;
        let ended = Cell::new(false);
        let writing = async {
            while !ended.get() {
                writer.write().await?;
            }
            Ok(())
        };
        let breaking = async {
            self.disturb(stage, &writer, &roles, &mut chance).await?;
            whole(stage).await?;
            let until = writer.writes.get() + WRITES_AFTER;
            while writer.writes.get() < until {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            ended.set(true);
            Ok(())
        };
        tokio::try_join!(writing, breaking)?;
        writer.close().await?;
        stage.cluster.start().await.map_err(Violation)?;
        invariants::healed::wait(stage).await?;
        invariants::check_quiet(stage).await?;
        writer.look(inode).await
    }

    /// One server is lost for good. Whatever else breaks is well again in the end.
    async fn disturb(
        self,
        stage: &Stage,
        writer: &Writer<'_>,
        roles: &Roles,
        chance: &mut Chance,
    ) -> Result<(), Violation> {
        pause(chance, 1_000).await;
        let how = if chance.percent(50) { Stop::Kill } else { Stop::PowerCut };
        stage.trace.note(format_args!("{how:?} of server{} for good", roles.lost));
        stage.cluster.stop_server(roles.lost, how);
        if chance.percent(30) {
            tokio::time::sleep(NOTICED).await;
            writer.slowest.set(Duration::ZERO);
            whole(stage).await?;
            let slowest = writer.slowest.get();
            if slowest > CALM_CALL_MAX {
                return Err(
                    stage.violation(format_args!("a call took {slowest:?} while the chunk was filled"))
                );
            }
            return Ok(());
        }
        pause(chance, 12_000).await;
        for _ in 0..chance.within(1, 12) {
            strike(stage, roles, chance).await?;
            pause(chance, 3_000).await;
        }
        stage.trace.note(format_args!("the faults stop"));
        stage.cluster.world().net().heal();
        Ok(())
    }
}

async fn pause(chance: &mut Chance, most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(chance.below(most_ms))).await;
}

/// Something breaks and is put right again.
async fn strike(stage: &Stage, roles: &Roles, chance: &mut Chance) -> Result<(), Violation> {
    let (cluster, net) = (&stage.cluster, stage.cluster.world().net());
    let host = |server: usize| format!("server{server}");
    let (left, spare) = (host(roles.left), host(roles.spare));
    let what = chance.below(100);
    stage.trace.note(format_args!("strike {what}"));
    match what {
        0..40 => {
            let server = if what < 30 { roles.spare } else { roles.left };
            let power = server == roles.spare && chance.percent(50);
            cluster.stop_server(server, if power { Stop::PowerCut } else { Stop::Kill });
            pause(chance, if server == roles.spare { 4_000 } else { 1_000 }).await;
            cluster.start_server(server).await.map_err(Violation)?;
        }
        40..60 => net.kill_connections(&left, &spare),
        60..70 => {
            net.partition(&left, &spare);
            pause(chance, 4_000).await;
            net.heal();
        }
        70..80 => {
            let (base, jitter) = (chance.below(2_000), chance.below(20_000));
            net.set_default_delay(Duration::from_micros(base), Duration::from_micros(jitter));
        }
        80..90 => {
            let server = host(*chance.pick(&[roles.left, roles.spare]));
            net.kill_connections(&server, "master");
        }
        _ => {
            cluster.stop_master(Stop::Kill).await;
            pause(chance, 1_000).await;
            cluster.start_master().await.map_err(Violation)?;
        }
    }
    Ok(())
}

/// Waits until the chunks have all their replicas.
async fn whole(stage: &Stage) -> Result<(), Violation> {
    let whole = async {
        loop {
            if let Some(status) = stage.cluster.status().await
                && let chunks = status.chunks
                && chunks.ok > 0
                && chunks.endangered + chunks.undergoal + chunks.missing + chunks.unknown == 0
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(WHOLE_WITHIN, whole).await;
    stage.trace.note(format_args!("the chunk is whole"));
    waited.map_err(|_| stage.violation(format_args!("not whole within {WHOLE_WITHIN:?} while it is written")))
}

async fn make(program: &Program) -> Result<InodeId, Status> {
    let node = NodeSpec {
        kind: FileKind::File,
        mode: 0o644,
        owner: Owner::default(),
        device: 0,
        target: Vec::new(),
    };
    let made = program.client.create(InodeId::ROOT, b"steady", node, true, FLAGS).await?;
    program.client.release(made.opened.handle);
    Ok(made.known.attributes.inode.id)
}

/// Draws which of the servers with a replica is lost.
async fn roles(stage: &Stage, inode: InodeId, chance: &mut Chance) -> Result<Roles, Violation> {
    let info = stage.cluster.file_info(inode).await.map_err(Violation)?;
    let has = |server: &usize| {
        let replicas = info.chunks.iter().flat_map(|chunk| &chunk.replicas);
        replicas.into_iter().any(|replica| replica.server_name == format!("server{server}"))
    };
    let (mut with, without): (Vec<usize>, Vec<usize>) = (0..SERVERS).partition(has);
    let (2, [spare]) = (with.len(), without.as_slice()) else {
        return Err(stage.violation(format_args!("replicas on {with:?}")));
    };
    let lost = with.remove(chance.below(2) as usize);
    Ok(Roles { lost, left: with[0], spare: *spare })
}

impl Writer<'_> {
    /// Writes somewhere and makes it durable.
    async fn write(&self) -> Result<(), Violation> {
        let (offset, data) = {
            let mut chance = self.chance.borrow_mut();
            let length = if chance.percent(10) { chance.within(1, 300_000) } else { chance.within(1, 9_000) };
            let most = if chance.percent(70) { HOT_BYTES } else { FILE_BYTES };
            let offset = chance.below(most - length);
            let offset = if chance.percent(30) { offset / PAGE * PAGE } else { offset };
            let seed = chance.next();
            (offset, (0..length).map(|at| (seed >> (at % 57)) as u8 ^ at as u8).collect::<Vec<u8>>())
        };
        let begun = Instant::now();
        let stored = async {
            self.program.client.write(self.handle, offset, &data).await?;
            self.program.client.fsync(self.handle).await
        };
        let stored = stored.await;
        let took = begun.elapsed();
        self.stage.trace.note(format_args!("{offset}+{} in {took:?}: {stored:?}", data.len()));
        stored.map_err(|status| self.stage.violation(format_args!("the writer was told {status:?}")))?;
        if took > CALL_MAX {
            return Err(self.stage.violation(format_args!("a write took {took:?}")));
        }
        self.slowest.set(self.slowest.get().max(took));
        self.writes.set(self.writes.get() + 1);
        self.remember(offset, &data);
        Ok(())
    }

    fn remember(&self, offset: u64, data: &[u8]) {
        let mut pages = self.pages.borrow_mut();
        let mut at = 0;
        while at < data.len() {
            let (page, within) = ((offset + at as u64) / PAGE, (offset + at as u64) % PAGE);
            let count = (data.len() - at).min((PAGE - within) as usize);
            let bytes = pages.entry(page).or_insert_with(|| vec![0; PAGE as usize]);
            bytes[within as usize..within as usize + count].copy_from_slice(&data[at..at + count]);
            at += count;
        }
    }

    async fn close(&self) -> Result<(), Violation> {
        let closed = self.program.client.flush(self.handle).await;
        self.program.client.release(self.handle);
        closed.map_err(|status| self.stage.violation(format_args!("close: {status:?}")))
    }

    /// Another client reads what was written.
    async fn look(&self, inode: InodeId) -> Result<(), Violation> {
        let failed = |status: Status| self.stage.violation(format_args!("it cannot be read: {status:?}"));
        let reader = self.stage.cluster.program(1).await.map_err(Violation)?.client;
        reader.lookup(InodeId::ROOT, b"steady").await.map_err(failed)?;
        let handle = reader.open(inode, OpenFlags { write: false, ..FLAGS }).await.map_err(failed)?.handle;
        for (page, expected) in self.pages.take() {
            let found = reader.read(handle, page * PAGE, PAGE as u32).await.map_err(failed)?;
            if found[..] != expected[..found.len()] {
                return Err(self.stage.violation(format_args!("page {page} differs from what was written")));
            }
        }
        Ok(())
    }
}
