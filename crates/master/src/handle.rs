//! Starting a master and holding it.

use crate::checkpoint::Built;
use crate::config::{CONTROL_RUNTIME, Config, INBOX_MESSAGES_MAX};
use crate::core::{Core, Message};
use crate::port::Door;
use crate::recover::recover;
use crate::{Fatal, StartError};
use env::{Env, Runtime, Task};
use rpc::admin::AdminApi;
use rpc::control::{ControlHandler, ServerEnd};
use rpc::port::{PortCounters, PortOptions};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The role.
pub struct Master;

/// A running master. Dropping it ends the role at once, as a crash would.
pub struct MasterHandle {
    address: String,
    door: Door,
    control: ControlHandler,
    task: JoinHandle<Result<(), Fatal>>,
    /// Ends when the port and its connections have.
    port_ended: oneshot::Receiver<()>,
    _runtime: Runtime,
}

impl Master {
    /// Recovers the metadata, takes a new term and begins to serve. Needs a tokio runtime, on which the core and
    /// the sessions live; chunkservers and operators are served on a runtime of `env.workers`, and what may wait
    /// for the disk runs on its queues.
    pub async fn start(env: Env, config: Config) -> Result<MasterHandle, StartError> {
        let lock = config.data.lock("lock").map_err(|source| StartError::Locked { source })?;
        let runtime = env.workers.runtime(CONTROL_RUNTIME);
        let (net, listen) = (Arc::clone(&env.net), config.listen.clone());
        let listener = Task::spawn(runtime.handle(), async move { net.listen(&listen).await })
            .await
            .and_then(|listener| listener)
            .map_err(|source| StartError::Listen { address: config.listen.clone(), source })?;
        let queue = env.workers.queue("recovery", 1);
        let recovered = queue
            .call({
                let (env, config) = (env.clone(), config.clone());
                move || recover(&env, &config)
            })
            .await
            .map_err(|source| StartError::Io { what: "run the recovery", source })??;
        drop(queue);
        let address = config.advertise.clone().unwrap_or_else(|| listener.address());
        tracing::info!(
            name = %config.name, %address, cluster = %recovered.cluster, term = %recovered.term,
            records = recovered.since_checkpoint.0, "the master begins its reign"
        );
        let (inbox, messages) = mpsc::channel(INBOX_MESSAGES_MAX);
        let door = Door {
            inbox: inbox.clone(),
            cluster: recovered.cluster,
            term: recovered.term,
            counters: Arc::default(),
            address: address.clone(),
            clock: Arc::clone(&env.clock),
            control: runtime.handle().clone(),
        };
        let core = Core::new(env, config, address.clone(), recovered, inbox);
        let services = door.services(Handle::current());
        let control = services.control.clone().expect("the master serves control links");
        let (ending, port_ended) = oneshot::channel();
        let mut port = Task::spawn(runtime.handle(), async move {
            let _ending = ending;
            rpc::port::serve(listener, services, PortOptions::default(), Arc::<PortCounters>::default()).await
        });
        // When the core ends, all connections end with it, and then the lock goes.
        let task = tokio::spawn(async move {
            let _lock = lock;
            let ended = tokio::select! {
                biased;
                ended = core.run(messages) => ended,
                lost = &mut port => Err(Fatal::Listener {
                    reason: lost
                        .and_then(|lost| lost)
                        .err()
                        .map_or_else(|| "it ended".into(), |error| error.to_string()),
                }),
            };
            port.end().await;
            ended
        });
        Ok(MasterHandle { address, door, control, task, port_ended, _runtime: runtime })
    }
}

impl MasterHandle {
    /// The address to tell others, with the port that was taken.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The cluster it serves.
    pub fn cluster(&self) -> types::ClusterId {
        self.door.cluster
    }

    /// Its term.
    pub fn term(&self) -> types::Term {
        self.door.term
    }

    /// Operators' questions, asked in memory.
    pub fn admin(&self) -> Arc<dyn AdminApi> {
        self.door.admin()
    }

    /// A chunkserver's control link in memory.
    pub fn attach(&self) -> ServerEnd {
        let (server, master) = rpc::control::pair();
        (self.control)(master);
        server
    }

    /// Builds a checkpoint now. An error is a sentence.
    pub async fn checkpoint(&self) -> Result<Built, String> {
        let (send, receive) = oneshot::channel();
        let answer = Box::new(move |result| {
            // Whoever asked may have given up waiting.
            let _ = send.send(result);
        });
        let gone = || "the master has stopped".to_owned();
        self.door.inbox.send(Message::Checkpoint { answer }).await.map_err(|_| gone())?;
        receive.await.map_err(|_| gone())?
    }

    /// Waits until the role ends by itself.
    pub async fn ended(&mut self) -> Fatal {
        match (&mut self.task).await {
            Ok(Err(fatal)) => fatal,
            Ok(Ok(())) | Err(_) => Fatal::Core,
        }
    }

    /// Makes everything stable, then ends.
    pub async fn shutdown(mut self) -> Result<(), Fatal> {
        let (done, _) = oneshot::channel();
        // If the core has ended already, its result says why.
        let _ = self.door.inbox.send(Message::Stop { done }).await;
        (&mut self.task).await.unwrap_or(Err(Fatal::Core))
    }

    /// Ends at once, as a crash would, and waits until nothing runs any more.
    pub async fn kill(mut self) {
        self.task.abort();
        // However it ended, it has ended.
        let _ = (&mut self.task).await;
        let _ = (&mut self.port_ended).await;
    }
}

impl Drop for MasterHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}
