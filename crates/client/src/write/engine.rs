//! Carries out what a file's pipeline decides: one task per file that has something to do.
//!
//! The task ends when nothing is left, and a later write starts another. Callers only wait for the
//! pipeline to get on, so that giving up a call changes nothing.

use super::append;
use super::pipeline::{Action, Effect, Event, Moment};
use crate::data;
use crate::inodes::{Cached, Inode, State};
use crate::shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use types::{Attributes, DirtyChunk, Reply, Request, Status, Timestamp, TruncateGeneration};

/// Shortest wait for a timer: clocks and timers may differ by a little.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// Lets the file's task look at its pipeline again, and starts it if there is none.
pub(crate) fn wake(shared: &Arc<Shared>, inode: &Arc<Inode>, state: &mut State) {
    let Some(writer) = &mut state.writer else { return };
    if writer.engine {
        inode.kick.notify_one();
    } else {
        writer.engine = true;
        shared.runtime.spawn(run(Arc::clone(shared), Arc::clone(inode)));
    }
}

async fn run(shared: Arc<Shared>, inode: Arc<Inode>) {
    let mut tasks: JoinSet<Event> = JoinSet::new();
    let mut actions = Vec::new();
    loop {
        let (term, session) = shared.session.epoch();
        let pressure = shared.budget.pressure_changes();
        let now = shared.env.clock.now();
        let moment = Moment { now, term, session, pressure: shared.budget.is_pressed() };
        let (wake, done) = {
            let mut state = inode.state();
            let Some(writer) = &mut state.writer else { return };
            let wake = writer.pipeline.decide(moment, &mut actions);
            let done = actions.is_empty() && tasks.is_empty() && writer.pipeline.is_idle();
            writer.engine = !done;
            apply_effects(&shared, &inode, &mut state);
            (wake, done)
        };
        if done {
            break;
        }
        for action in actions.drain(..) {
            tasks.spawn(perform(Arc::clone(&shared), Arc::clone(&inode), action));
        }
        let sleep = wake.map(|at| at.since(shared.env.clock.now()).max(SLEEP_MIN));
        tokio::select! {
            biased;
            Some(joined) = tasks.join_next() => {
                let mut next = Some(joined);
                while let Some(joined) = next {
                    handle(&shared, &inode, joined);
                    next = tasks.try_join_next();
                }
                inode.progress.ring();
            }
            () = inode.kick.notified() => {}
            () = pressure => {}
            () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {}
        }
    }
    inode.progress.ring();
    shared.leave(&inode);
}

fn handle(shared: &Arc<Shared>, inode: &Arc<Inode>, joined: Result<Event, tokio::task::JoinError>) {
    let mut state = inode.state();
    let Some(writer) = &mut state.writer else { return };
    match joined {
        Ok(event) => writer.pipeline.handle(event, shared.env.clock.now()),
        Err(error) => {
            tracing::error!(%error, inode = %inode.reference.id, "a writing task stopped; its data is given up");
            writer.pipeline.fail(Status::Io);
        }
    }
    apply_effects(shared, inode, &mut state);
}

/// Tells the caches and the budget, under the same lock under which the pipeline changed.
pub(crate) fn apply_effects(shared: &Shared, inode: &Inode, state: &mut State) {
    let Some(writer) = &mut state.writer else { return };
    for effect in writer.pipeline.take_effects() {
        match effect {
            Effect::Changed { offset, length } => {
                shared.cache.changed(inode.reference.id, offset, length);
                if length == u64::MAX {
                    state.locations.clear();
                }
            }
            Effect::Located(location) => state.locations.put(location, shared.env.clock.now()),
            Effect::Raised { index, version } => state.locations.raised(index, version),
            Effect::Lost(status) => {
                state.losses.note(status);
                state.appends.gave_up();
                shared.lost(status);
            }
            Effect::Freed(bytes) => shared.budget.give(bytes),
            Effect::Attributes(attributes) => {
                state.changed_at = shared.session.answered();
                let before = state.cached.map(|cached| cached.attributes.change_counter);
                if before.is_some_and(|before| before > attributes.change_counter) {
                    continue;
                }
                // Only this client wrote since the kernel's pages were right: they still are.
                if before.is_some_and(|before| {
                    state.pages_at == Some(before) && attributes.change_counter == before + 1
                }) {
                    state.pages_at = Some(attributes.change_counter);
                }
                state.cached = Some(Cached { attributes, at: Some(shared.env.clock.now()) });
            }
        }
    }
}

async fn perform(shared: Arc<Shared>, inode: Arc<Inode>, action: Action) -> Event {
    match action {
        Action::Grant { index, serial, failed, known } => {
            let request = Request::Grant { inode: inode.reference, index, failed };
            let granted = async {
                let grant = match shared.session.call(request).await? {
                    Reply::Grant(grant) if grant.index == index && grant.inode == inode.reference => *grant,
                    _ => return Err(Status::BadMessage),
                };
                let another = known.is_some_and(|known| known != grant.capability.chunk);
                // After the grant: were the lock lost between the two, the version would be raised once more.
                if inode.state().appends.is_held()
                    && append::confirm(&shared, &inode).await == Err(Status::Busy)
                {
                    return Err(Status::Io);
                }
                let generation = if another { Some(generation(&shared, &inode).await?) } else { None };
                Ok((grant, generation))
            };
            Event::Granted { index, serial, result: granted.await }
        }
        Action::Write(job) => Event::Written {
            index: job.grant.index,
            extent: job.extent,
            attempt: job.attempt,
            version: job.grant.capability.version,
            result: data::write(&shared.pool, &job).await,
        },
        Action::Flush { serial, grant, held } => Event::Flushed {
            index: grant.index,
            serial,
            version: grant.capability.version,
            result: data::flush(&shared.pool, &grant, held).await,
        },
        Action::Attributes { serial, changes, caller } => {
            let request = Request::SetAttributes { inode: inode.reference, changes, caller };
            Event::Attributes { serial, result: attributes(&shared, request).await }
        }
        Action::Commit { serial, truncate_generation, length, modified, chunks, durable } => {
            let modified = modified.or_else(|| told_modified(&inode, &chunks));
            let request = Request::Commit {
                inode: inode.reference,
                truncate_generation,
                length,
                modified,
                accessed: None,
                chunks,
                clear_privileges: false,
                durable,
            };
            Event::Committed { serial, result: attributes(&shared, request).await }
        }
    }
}

async fn attributes(shared: &Shared, request: Request) -> Result<Attributes, Status> {
    match shared.session.call(request).await? {
        Reply::Attributes(attributes) => Ok(attributes),
        _ => Err(Status::BadMessage),
    }
}

/// A commit that names chunks without a new write must not move the time.
fn told_modified(inode: &Inode, chunks: &[DirtyChunk]) -> Option<Timestamp> {
    let cached = inode.state().cached?;
    (!chunks.is_empty()).then_some(cached.attributes.modified)
}

async fn generation(shared: &Shared, inode: &Inode) -> Result<TruncateGeneration, Status> {
    let request = Request::GetAttributes { inode: inode.reference };
    attributes(shared, request).await.map(|attributes| attributes.truncate_generation)
}
