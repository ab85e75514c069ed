//! Starting a master and holding it.

use crate::{Config, Fatal, StartError};
use env::Env;

/// The role.
pub struct Master;

/// A running master. Dropping it ends the role at once, as a crash would.
pub struct MasterHandle {
    address: String,
}

impl Master {
    /// Recovers the metadata, takes a new term and begins to serve. Needs a tokio runtime; everything runs
    /// on tasks of that runtime and on queues of `env.workers`.
    pub async fn start(env: Env, config: Config) -> Result<MasterHandle, StartError> {
        let _ = (env, config);
        unimplemented!("lands with the core")
    }
}

impl MasterHandle {
    /// The address to tell others, with the port that was taken.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the role ends by itself.
    pub async fn ended(&mut self) -> Fatal {
        unimplemented!("lands with the core")
    }

    /// Writes and syncs what is pending, then ends.
    pub async fn shutdown(self) -> Result<(), Fatal> {
        unimplemented!("lands with the core")
    }
}
