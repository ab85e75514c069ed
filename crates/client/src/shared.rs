//! What the tasks of one client share, and the small steps that many operations take.

use crate::budget::Budget;
use crate::directories::Directories;
use crate::inodes::{Inode, Inodes, Leaving, State, Writer};
use crate::losses::{Call, Losses, Told};
use crate::read::ahead::Ahead;
use crate::read::cache::Cache;
use crate::read::replica::Replicas;
use crate::session::{Holder, Session};
use crate::write::engine;
use crate::write::late::Late;
use crate::write::pipeline::{Pipeline, Rules};
use crate::{ClientOptions, FileHandle, Known, OpenFlags};
use env::{Env, Instant};
use link::Pool;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use types::{
    AppendClaim, Attributes, FileKind, InodeId, InodeRef, LogIndex, News, Reply, Request, Status,
    TruncateGeneration,
};

/// One open handle.
pub(crate) struct Open {
    /// The file.
    pub(crate) inode: Arc<Inode>,
    /// How it was opened.
    pub(crate) flags: OpenFlags,
    /// The pattern of its reads.
    pub(crate) ahead: Mutex<Ahead>,
    /// Lost writes that it was told of.
    told: Mutex<Told>,
}

impl Open {
    /// Reports lost writes that this handle was not told of; each is reported once.
    pub(crate) fn report(&self, state: &mut State, call: Call) -> Result<(), Status> {
        self.told.lock().expect("nothing panics while it is held").report(&mut state.losses, call)
    }
}

/// A handle whose open has not succeeded yet.
pub(crate) struct NewHandle<'a> {
    shared: &'a Arc<Shared>,
    handle: Option<FileHandle>,
}

impl NewHandle<'_> {
    /// The open succeeded.
    pub(crate) fn keep(mut self) -> FileHandle {
        self.handle.take().expect("it is taken once, by value")
    }
}

impl Drop for NewHandle<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle {
            self.shared.remove_handle(handle);
        }
    }
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) options: ClientOptions,
    pub(crate) runtime: Handle,
    pub(crate) session: Arc<Session>,
    pub(crate) pool: Pool,
    pub(crate) inodes: Inodes,
    pub(crate) directories: Directories,
    pub(crate) budget: Budget,
    pub(crate) cache: Cache,
    pub(crate) replicas: Replicas,
    pub(crate) late: Late,
    handles: Mutex<BTreeMap<FileHandle, Arc<Open>>>,
    next_handle: AtomicU64,
    next_writer: AtomicU32,
    /// Of all files, for syncfs.
    losses: Mutex<Losses>,
}

impl Shared {
    /// Nothing is known yet.
    pub(crate) fn new(env: Env, options: ClientOptions, session: Arc<Session>, pool: Pool) -> Self {
        Self {
            runtime: Handle::current(),
            session,
            pool,
            inodes: Inodes::new(options.inodes_max),
            directories: Directories::default(),
            budget: Budget::new(options.write_buffer_bytes),
            cache: Cache::new(options.read_cache_bytes, options.attribute_ttl),
            replicas: Replicas::default(),
            late: Late::default(),
            handles: Mutex::default(),
            next_handle: AtomicU64::new(1),
            next_writer: AtomicU32::new(0),
            losses: Mutex::default(),
            env,
            options,
        }
    }

    /// Monotonic time.
    pub(crate) fn now(&self) -> Instant {
        self.env.clock.now()
    }

    // ---- handles ----

    /// Makes a handle, which goes again if the open is given up.
    pub(crate) fn new_handle(self: &Arc<Self>, inode: &Arc<Inode>, flags: OpenFlags) -> NewHandle<'_> {
        let mut state = inode.state();
        state.opens += 1;
        (state.leaving, state.tried_again) = (Leaving::No, None);
        let told = Mutex::new(Told::new(&state.losses));
        if flags.write {
            self.writer(&mut state);
        }
        drop(state);
        let handle = FileHandle(self.next_handle.fetch_add(1, Ordering::Relaxed));
        let open = Open { inode: Arc::clone(inode), flags, ahead: Mutex::default(), told };
        self.handles.lock().expect("nothing panics while it is held").insert(handle, Arc::new(open));
        NewHandle { shared: self, handle: Some(handle) }
    }

    /// A handle, as long as it is not released.
    pub(crate) fn handle(&self, handle: FileHandle) -> Result<Arc<Open>, Status> {
        let handles = self.handles.lock().expect("nothing panics while it is held");
        handles.get(&handle).map(Arc::clone).ok_or(Status::Invalid)
    }

    /// Takes a handle away.
    pub(crate) fn remove_handle(self: &Arc<Self>, handle: FileHandle) {
        let removed = self.handles.lock().expect("nothing panics while it is held").remove(&handle);
        if let Some(open) = removed {
            let mut state = open.inode.state();
            state.opens -= 1;
            if state.opens == 0 {
                state.locations.clear();
            }
            drop(state);
            self.leave(&open.inode);
        }
    }

    // ---- inodes ----

    /// The inode of a number; one that is not known is asked for.
    pub(crate) async fn inode(&self, id: InodeId) -> Result<Arc<Inode>, Status> {
        if let Some(inode) = self.inodes.get(id) {
            return Ok(inode);
        }
        let at = self.now();
        match self.session.call(Request::Reopen { inode: id }).await? {
            Reply::Attributes(attributes) if attributes.inode.id == id => {
                let inode = self.inodes.enter(attributes.inode);
                Inodes::told(&inode, attributes, at);
                Ok(inode)
            }
            _ => Err(Status::BadMessage),
        }
    }

    /// Its number and generation.
    pub(crate) async fn reference(&self, id: InodeId) -> Result<InodeRef, Status> {
        Ok(self.inode(id).await?.reference)
    }

    /// Lets go of an inode that nobody holds; unsynced writes are synced first, in the background.
    pub(crate) fn leave(self: &Arc<Self>, inode: &Arc<Inode>) {
        if self.inodes.leave(inode, false, self.session.stable(), self.now()) {
            return;
        }
        let (shared, inode) = (Arc::clone(self), Arc::clone(inode));
        self.runtime.spawn(async move { shared.sync_and_leave(&inode).await });
    }

    async fn sync_and_leave(self: &Arc<Self>, inode: &Arc<Inode>) {
        loop {
            let written =
                |inode: &Inode| inode.state().writer.as_ref().map(|writer| writer.pipeline.last_write());
            let before = written(inode);
            let synced = self.sync(inode, None).await;
            match synced {
                Ok(_) => {}
                // It was removed meanwhile: nobody can open it again, and nobody needs to be told.
                Err(Status::Stale) => Inodes::removed(inode),
                // It is told once.
                Err(_) if inode.state().tried_again.is_some() => {}
                Err(status) => {
                    tracing::warn!(%status, inode = %inode.reference.id, "writes to a forgotten file are not durable");
                }
            }
            // What was written since it began did not fail yet.
            let failed = synced.is_err() && written(inode) == before;
            if !failed {
                inode.state().leaving = Leaving::No;
            }
            if self.inodes.leave(inode, failed, self.session.stable(), self.now()) {
                return;
            }
        }
    }

    /// Lets go of an inode that is not open, although the kernel may ask for it again by its number.
    pub(crate) async fn let_go(self: &Arc<Self>, inode: &Arc<Inode>) {
        inode.state().lookups = 0;
        if !self.inodes.leave(inode, false, self.session.stable(), self.now()) {
            self.sync_and_leave(inode).await;
        }
    }

    /// Whether an inode is neither open nor being written, and (unless `hurry`) was not asked about for a while.
    pub(crate) fn is_idle(&self, inode: &Inode, hurry: bool) -> bool {
        let state = inode.state();
        let recent = state.cached.and_then(|cached| cached.at).filter(|_| !hurry);
        inode.reference.id != InodeId::ROOT
            && !state.is_held()
            && !state.is_left_over()
            && state.tried_again.is_none()
            && recent.is_none_or(|at| self.now().since(at) > self.options.attribute_ttl)
    }

    /// Attributes asked for at most `age` ago.
    pub(crate) fn cached(&self, inode: &Inode, age: Duration) -> Option<Known> {
        let now = self.now();
        let state = inode.state();
        let cached = state.cached?;
        let old = now.since(cached.at?);
        (old <= age).then(|| Known {
            attributes: state.shown(cached.attributes),
            valid_for: self.options.attribute_ttl.saturating_sub(old),
        })
    }

    /// Attributes asked for at most `age` ago, or now. Of a directory that is no more, the last ones, without a name.
    pub(crate) async fn attributes(&self, inode: &Inode, age: Duration) -> Result<Known, Status> {
        if let Some(known) = self.cached(inode, age) {
            return Ok(known);
        }
        let at = self.now();
        match self.told(inode, Request::GetAttributes { inode: inode.reference }).await {
            Err(Status::Stale) if Inodes::removed_directory(inode, at) => {
                self.cached(inode, Duration::MAX).ok_or(Status::Stale)
            }
            told => told,
        }
    }

    /// Takes in what an answer tells of inodes besides its own. Those that are not known here do not matter.
    pub(crate) fn take_news(&self, news: &[News], at: Instant) {
        for News { attributes, .. } in news {
            if let Some(inode) = self.inodes.get(attributes.inode.id)
                && inode.reference == attributes.inode
            {
                self.take_in(&inode, *attributes, at);
            }
        }
    }

    /// A request that is answered with the inode's attributes.
    pub(crate) async fn told(&self, inode: &Inode, request: Request) -> Result<Known, Status> {
        let at = self.now();
        let mutation = request.is_mutation();
        match self.session.call(request).await? {
            Reply::Attributes(attributes) => {
                if mutation {
                    inode.state().changed_at = self.session.answered();
                }
                Ok(self.take_in(inode, attributes, at))
            }
            _ => Err(Status::BadMessage),
        }
    }

    /// Keeps attributes, and shows them.
    pub(crate) fn take_in(&self, inode: &Inode, attributes: Attributes, at: Instant) -> Known {
        Inodes::told(inode, attributes, at);
        if attributes.kind == FileKind::Directory {
            self.directories.seen(&attributes, at);
        }
        let state = inode.state();
        let latest = state.cached.map_or(attributes, |cached| cached.attributes);
        let old = self.now().since(at);
        Known { attributes: state.shown(latest), valid_for: self.options.attribute_ttl.saturating_sub(old) }
    }

    // ---- writers ----

    /// The inode's writer, made if there is none.
    pub(crate) fn writer<'a>(&self, state: &'a mut crate::inodes::State) -> &'a mut Pipeline {
        let generation =
            state.cached.map_or(TruncateGeneration(0), |cached| cached.attributes.truncate_generation);
        let new = || {
            let rules = Rules {
                delay: self.options.write_delay,
                timeout: self.options.timeout,
                writer: self.next_writer.fetch_add(1, Ordering::Relaxed),
            };
            Box::new(Writer { pipeline: Pipeline::new(rules, generation), engine: false })
        };
        &mut state.writer.get_or_insert_with(new).pipeline
    }

    /// Waits until every write made before is stored and committed. With a handle, what was lost is reported then.
    pub(crate) async fn settle(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        open: Option<&Open>,
    ) -> Result<(), Status> {
        let settled = self.store(inode).await;
        match open {
            Some(open) => open.report(&mut inode.state(), Call::Close).and(settled),
            None => settled,
        }
    }

    async fn store(self: &Arc<Self>, inode: &Arc<Inode>) -> Result<(), Status> {
        let (stamp, before) = {
            let mut state = inode.state();
            let before = state.losses.count();
            let Some(writer) = &mut state.writer else { return Ok(()) };
            let stamp = writer.pipeline.want_flush();
            if writer.pipeline.is_flushed(stamp) {
                return Ok(());
            }
            engine::wake(self, inode, &mut state);
            (stamp, before)
        };
        self.wait(inode, before, |pipeline| pipeline.is_flushed(stamp).then_some(Ok(()))).await
    }

    /// Waits until every write made before, and the attributes, are on stable storage. With a handle, what was lost is reported then.
    pub(crate) async fn sync(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        open: Option<&Open>,
    ) -> Result<(), Status> {
        let (sync, before) = {
            let mut state = inode.state();
            let sync = self.writer(&mut state).want_sync();
            engine::wake(self, inode, &mut state);
            (sync, state.losses.count())
        };
        let synced = self.wait(inode, before, |pipeline| pipeline.sync_outcome(sync)).await;
        match open {
            Some(open) => open.report(&mut inode.state(), Call::Sync).and(synced),
            None => synced,
        }
    }

    /// Fails if something was lost since the count was `before`: what is waited for will not come.
    async fn wait(
        &self,
        inode: &Inode,
        before: u64,
        outcome: impl Fn(&Pipeline) -> Option<Result<(), Status>>,
    ) -> Result<(), Status> {
        loop {
            let progress = inode.progress.next();
            {
                let state = inode.state();
                state.losses.since(before)?;
                match state.writer.as_ref().map(|writer| outcome(&writer.pipeline)) {
                    None => return Ok(()),
                    Some(Some(outcome)) => return outcome,
                    Some(None) => {}
                }
            }
            progress.await;
        }
    }
}

impl Holder for Shared {
    fn appending(&self) -> Vec<AppendClaim> {
        let claim = |inode: &Arc<Inode>| {
            let forfeits = inode.state().appends.claim()?;
            Some(AppendClaim { inode: inode.reference, forfeits })
        };
        self.inodes.all().iter().filter_map(claim).collect()
    }

    fn held(&self) -> Vec<InodeRef> {
        let open = |inode: &Arc<Inode>| {
            let state = inode.state();
            state.is_held() || state.appends.is_held()
        };
        self.inodes.all().iter().filter(|inode| open(inode)).map(|inode| inode.reference).collect()
    }

    fn gone(&self, inodes: Vec<InodeRef>) {
        for inode in inodes.into_iter().filter_map(|gone| self.inodes.get(gone.id)) {
            self.lose(&inode, Status::Stale);
        }
    }

    fn reopened(&self, lost: Option<LogIndex>, anew: bool) {
        self.cache.clear();
        self.directories.clear();
        if lost.is_some_and(|stable| self.inodes.tail_lost(stable)) {
            self.lost(Status::Io);
        }
        for inode in self.inodes.all() {
            let mut state = inode.state();
            state.locations.clear();
            if let Some(cached) = &mut state.cached {
                // Kept for its length; too old to be shown.
                cached.at = None;
                if lost.is_some() || anew {
                    cached.attributes.change_counter = 0;
                }
            }
            state.pages_at = None;
            let file = state.opens > 0
                || state.cached.is_some_and(|cached| cached.attributes.kind == types::FileKind::File);
            let missing = file && lost.is_some_and(|stable| state.changed_at > stable);
            state.changed_at = LogIndex(0);
            let appended = anew && state.appends.ended() && state.is_dirty();
            state.appends.reconnected();
            drop(state);
            if missing || appended {
                tracing::warn!(inode = %inode.reference.id, "acknowledged changes of a file are lost");
                self.lose(&inode, Status::Io);
            }
            inode.kick.notify_one();
        }
    }
}

impl Shared {
    /// Writes to some file were lost; the next syncfs says so. Nobody misses those to a file that is no more.
    pub(crate) fn lost(&self, status: Status) {
        if status != Status::Stale {
            self.losses.lock().expect("nothing panics while it is held").note(status);
        }
    }

    /// Reports losses of all files since the last time.
    pub(crate) fn take_losses(&self) -> Result<(), Status> {
        self.losses.lock().expect("nothing panics while it is held").take()
    }

    /// What was promised about the file's content does not hold; each open handle is told once, or else the
    /// next one to be opened.
    pub(crate) fn lose(&self, inode: &Inode, status: Status) {
        let mut state = inode.state();
        self.writer(&mut state).fail(status);
        engine::apply_effects(self, inode, &mut state);
        drop(state);
        inode.progress.ring();
        inode.kick.notify_one();
    }
}
