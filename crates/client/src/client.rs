//! The public face: one method per operation of a filesystem.
//!
//! Names and directories: `names`. Attributes: `attributes`. Open files: `files`.

mod attributes;
mod files;
mod names;

use crate::house;
use crate::inodes::{Inode, Leaving, Writer};
use crate::session::Session;
use crate::shared::Shared;
use crate::{ClientError, ClientOptions};
use env::Env;
use link::{Pool, PoolOptions};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use types::{InodeId, Reply, Request, Status};

/// Smallest buffers: a few extents.
const BUFFER_BYTES_MIN: u64 = 4 << 20;
/// Files that are synced at the same time when all are.
const AT_A_TIME: usize = 64;
/// How long the master may take to hear that a session ends.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);

/// A mounted filesystem without a kernel. Methods may be called from any task; the `try_` methods,
/// [`Client::remember`], [`Client::forget`] and [`Client::release`] from any thread, without a runtime.
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// Opens a session with the first master that answers. Background tasks run on the current runtime.
    pub async fn connect(env: Env, mut options: ClientOptions) -> Result<Arc<Self>, ClientError> {
        options.write_buffer_bytes = options.write_buffer_bytes.max(BUFFER_BYTES_MIN);
        options.read_cache_bytes = options.read_cache_bytes.max(BUFFER_BYTES_MIN);
        let session = Arc::new(Session::new(env.clone(), &options));
        let greeter = Arc::clone(&session);
        let pool = Pool::new(env.clone(), PoolOptions::default(), move || greeter.hello());
        let shared = Arc::new(Shared::new(env, options, Arc::clone(&session), pool));
        let holder: Weak<Shared> = Arc::downgrade(&shared);
        session.open(holder).await?;
        tokio::spawn(Arc::clone(&session).keep());
        tokio::spawn(house::forget(Arc::downgrade(&shared)));
        tokio::spawn(house::trim(Arc::downgrade(&shared)));
        let client = Self { shared };
        if let Err(status) = client.shared.inode(InodeId::ROOT).await {
            let address = client.shared.options.masters.join(",");
            let message = "the root directory cannot be had".to_owned();
            return Err(ClientError::Refused { address, status, message });
        }
        Ok(Arc::new(client))
    }

    /// A request that is answered with `Done`.
    async fn done(&self, request: Request) -> Result<(), Status> {
        match self.shared.session.call(request).await? {
            Reply::Done => Ok(()),
            _ => Err(Status::BadMessage),
        }
    }

    /// Inodes in memory.
    pub fn inodes_known(&self) -> usize {
        self.shared.inodes.len()
    }

    /// syncfs(2): everything written and answered so far is on stable storage. An error: since the last call
    /// writes to some file were lost, in the background or just now. Its handles are told all the same.
    pub async fn sync_all(&self) -> Result<(), Status> {
        let mut pending = self.shared.inodes.all();
        pending.retain(|inode| {
            let state = inode.state();
            let has_more = |w: &Writer| !w.pipeline.is_clean() || w.pipeline.is_unsynced();
            state.leaving != Leaving::Failed && state.writer.as_deref().is_some_and(has_more)
        });
        let outcome = self
            .for_each(pending, |shared, inode| async move {
                match shared.sync(&inode, None).await {
                    // It is no more.
                    Err(Status::Stale) => Ok(()),
                    synced => synced,
                }
            })
            .await;
        self.done(Request::Barrier).await?;
        self.shared.take_losses().and(outcome)
    }

    /// Stores what is unsent, ends the session and all background tasks. An error says that some of it could not be stored.
    pub async fn close(&self) -> Result<(), Status> {
        let all = self.shared.inodes.all();
        let outcome =
            self.for_each(all, |shared, inode| async move { shared.settle(&inode, None).await }).await;
        // A master that does not hear of it ends the session when it falls silent.
        if !matches!(tokio::time::timeout(GOODBYE_WAIT, self.done(Request::Goodbye)).await, Ok(Ok(()))) {
            tracing::info!("the master was not told that this session ends");
        }
        self.shared.session.close();
        self.shared.pool.clear();
        outcome
    }

    /// Does something to inodes, several at a time: what each waits for, all may wait for. The first failure.
    async fn for_each<F>(
        &self,
        inodes: Vec<Arc<Inode>>,
        act: impl Fn(Arc<Shared>, Arc<Inode>) -> F,
    ) -> Result<(), Status>
    where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (mut acting, mut outcome) = (JoinSet::new(), Ok(()));
        let ended = |done: Result<_, JoinError>| done.unwrap_or(Err(Status::Io));
        for inode in inodes {
            if acting.len() == AT_A_TIME
                && let Some(done) = acting.join_next().await
            {
                outcome = outcome.and(ended(done));
            }
            acting.spawn(act(Arc::clone(&self.shared), inode));
        }
        while let Some(done) = acting.join_next().await {
            outcome = outcome.and(ended(done));
        }
        outcome
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.session.close();
    }
}
