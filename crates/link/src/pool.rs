//! One connection per address, made on demand and made again after a loss.

use crate::call::{Link, LinkOptions};
use crate::error::LinkError;
use env::Env;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use wire::message::Hello;

/// How a pool behaves.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// Of each connection.
    pub link: LinkOptions,
    /// After a failed connect, further wishes fail at once for so long; doubled up to `retry_max`.
    pub retry_min: Duration,
    /// See `retry_min`.
    pub retry_max: Duration,
    /// Addresses that are remembered; idle ones are forgotten beyond it.
    pub addresses_max: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            link: LinkOptions::default(),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(2),
            addresses_max: 1_024,
        }
    }
}

/// Makes the HELLO of each new connection.
type MakeHello = Arc<dyn Fn() -> Hello + Send + Sync>;

/// Connections by address. Clones share them.
#[derive(Clone)]
pub struct Pool {
    env: Env,
    hello: MakeHello,
    options: PoolOptions,
    slots: Arc<Mutex<BTreeMap<String, Arc<Slot>>>>,
}

#[derive(Default)]
struct Slot {
    /// Readable without waiting, for callers that keep an order.
    link: Mutex<Option<Link>>,
    /// Held while connecting; others wait for the outcome.
    connecting: tokio::sync::Mutex<Option<Failure>>,
}

struct Failure {
    error: LinkError,
    until: Instant,
    delay: Duration,
}

impl Slot {
    fn live(&self) -> Option<Link> {
        let mut link = self.link.lock().expect("nothing panics while it is held");
        if link.as_ref().is_some_and(|link| link.lost().is_some()) {
            *link = None;
        }
        link.clone()
    }
}

impl Pool {
    /// An empty pool; `hello` is asked for each new connection.
    pub fn new(env: Env, options: PoolOptions, hello: impl Fn() -> Hello + Send + Sync + 'static) -> Self {
        Self { env, hello: Arc::new(hello), options, slots: Arc::default() }
    }

    /// The connection to an address if it stands.
    pub fn get_now(&self, address: &str) -> Option<Link> {
        let slot = self.slots().get(address).map(Arc::clone)?;
        slot.live()
    }

    /// The connection to an address, made if there is none.
    pub async fn get(&self, address: &str) -> Result<Link, LinkError> {
        let slot = self.slot(address);
        if let Some(link) = slot.live() {
            return Ok(link);
        }
        let mut failure = slot.connecting.lock().await;
        if let Some(link) = slot.live() {
            return Ok(link);
        }
        if let Some(failure) = &*failure
            && Instant::now() < failure.until
        {
            return Err(failure.error.clone());
        }
        match Link::connect(&self.env, address, &(self.hello)(), self.options.link).await {
            Ok(link) => {
                *failure = None;
                *slot.link.lock().expect("nothing panics while it is held") = Some(link.clone());
                Ok(link)
            }
            Err(error) => {
                let delay = failure.as_ref().map_or(self.options.retry_min, |last| last.delay * 2);
                let delay = delay.min(self.options.retry_max);
                *failure = Some(Failure { error: error.clone(), until: Instant::now() + delay, delay });
                Err(error)
            }
        }
    }

    /// Forgets all connections; those in use live on until their users drop them.
    pub fn clear(&self) {
        self.slots().clear();
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.slots.lock().expect("nothing panics while it is held")
    }

    fn slot(&self, address: &str) -> Arc<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(address) {
            return Arc::clone(slot);
        }
        if slots.len() >= self.options.addresses_max {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.live().is_some());
        }
        if slots.len() >= self.options.addresses_max {
            // All stand; the first makes room and is closed when its users are done.
            slots.pop_first();
        }
        let slot = Arc::<Slot>::default();
        slots.insert(address.to_owned(), Arc::clone(&slot));
        slot
    }
}
