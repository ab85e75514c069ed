//! What this server may do now: its cluster, the highest term, where it is registered, and the lease.
//!
//! # Invariants
//! 1. The highest term and the cluster are durable before they are used here.
//! 2. Requests are admitted only at the term at which this server is registered, which is the highest known.
//! 3. The lease counts from when the heartbeat was sent that was answered, on this machine's monotonic clock.

use crate::identity::Identity;
use env::{Clock, Dir, Instant};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use types::{ClusterId, ServerId, Status, Term};

/// See the module.
pub(crate) struct Standing {
    clock: Arc<dyn Clock>,
    data: Arc<dyn Dir>,
    state: Mutex<State>,
}

struct State {
    identity: Identity,
    registered: Option<Registered>,
}

#[derive(Clone, Copy)]
struct Registered {
    term: Term,
    lease: Option<Duration>,
    heard: Instant,
}

/// Why a master's word is not followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdopted {
    #[error("its term {term} is below {highest}, which this server has seen")]
    OldTerm { term: Term, highest: Term },
    #[error("it belongs to cluster {theirs}, this server to {ours}; check the masters' addresses")]
    OtherCluster { theirs: ClusterId, ours: ClusterId },
    #[error("the identity file cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Standing {
    pub(crate) fn new(clock: Arc<dyn Clock>, data: Arc<dyn Dir>, identity: Identity) -> Self {
        Self { clock, data, state: Mutex::new(State { identity, registered: None }) }
    }

    pub(crate) fn server(&self) -> ServerId {
        self.lock().identity.server
    }

    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.lock().identity.cluster
    }

    pub(crate) fn highest_term(&self) -> Term {
        self.lock().identity.term
    }

    /// The term at which this server is registered.
    pub(crate) fn registered_term(&self) -> Option<Term> {
        self.lock().registered.map(|registered| registered.term)
    }

    /// A master said its cluster and term; both are durable afterwards. Blocks for an fsync at each new term.
    pub(crate) fn adopt(&self, cluster: ClusterId, term: Term) -> Result<(), NotAdopted> {
        let mut state = self.lock();
        let ours = state.identity;
        if let Some(ours) = ours.cluster.filter(|ours| *ours != cluster) {
            return Err(NotAdopted::OtherCluster { theirs: cluster, ours });
        }
        if term < ours.term {
            return Err(NotAdopted::OldTerm { term, highest: ours.term });
        }
        if ours.cluster.is_none() || term > ours.term {
            // What an older term allowed ends here, also if the file cannot be written.
            state.registered = state.registered.filter(|registered| registered.term >= term);
            let next = Identity { cluster: Some(cluster), term, ..ours };
            next.store(&*self.data)?;
            state.identity = next;
        }
        Ok(())
    }

    /// The server is registered with the master of `term`; requests are served from now on. The registration
    /// was sent at `sent`.
    pub(crate) fn registered(&self, term: Term, lease: Option<Duration>, sent: Instant) {
        let mut state = self.lock();
        if term == state.identity.term {
            state.registered = Some(Registered { term, lease, heard: sent });
        }
    }

    /// The master of `term` answered a heartbeat that was sent at `sent`.
    pub(crate) fn heard(&self, term: Term, sent: Instant) {
        let mut state = self.lock();
        if let Some(registered) = state.registered.as_mut().filter(|registered| registered.term == term) {
            registered.heard = registered.heard.max(sent);
        }
    }

    /// Whether a read with a capability of `term` may be served.
    pub(crate) fn admit_read(&self, term: Term) -> Result<(), Status> {
        self.admit(term).map(|_| ())
    }

    /// Whether a write or flush with a capability of `term` may be served.
    pub(crate) fn admit_write(&self, term: Term) -> Result<(), Status> {
        let registered = self.admit(term)?;
        let silence = self.clock.now().since(registered.heard);
        if registered.lease.is_some_and(|lease| silence > lease) { Err(Status::TryAgain) } else { Ok(()) }
    }

    /// A higher term than ours is not adopted from a frame: only a master is believed about it.
    fn admit(&self, term: Term) -> Result<Registered, Status> {
        let state = self.lock();
        if term < state.identity.term {
            return Err(Status::WrongTerm);
        }
        state.registered.filter(|registered| registered.term == term).ok_or(Status::TryAgain)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::Env;

    fn standing() -> (Env, Standing, env::SimDisk) {
        let (env, world) = Env::simulated(1);
        let disk = world.disk("data");
        let identity = Identity::load_or_make(&*disk.dir(), &*env.seed).ok().unwrap();
        let standing = Standing::new(Arc::clone(&env.clock), disk.dir(), identity);
        (env, standing, disk)
    }

    const CLUSTER: ClusterId = ClusterId([4; 16]);

    #[test]
    fn nothing_is_admitted_before_the_registration_at_the_highest_term() {
        let (_, standing, _disk) = standing();
        assert_eq!(standing.admit_read(Term(1)), Err(Status::TryAgain));
        standing.adopt(CLUSTER, Term(2)).unwrap();
        assert_eq!(standing.admit_read(Term(2)), Err(Status::TryAgain));
        standing.registered(Term(2), None, standing.clock.now());
        assert_eq!(standing.admit_read(Term(2)), Ok(()));
        assert_eq!(standing.admit_write(Term(1)), Err(Status::WrongTerm));
        assert_eq!(standing.admit_write(Term(3)), Err(Status::TryAgain));
        standing.adopt(CLUSTER, Term(5)).unwrap();
        assert_eq!(standing.admit_read(Term(2)), Err(Status::WrongTerm));
    }

    #[test]
    fn a_term_is_remembered_over_a_loss_of_power_and_an_older_one_refused() {
        let (env, standing, disk) = standing();
        standing.adopt(CLUSTER, Term(9)).unwrap();
        disk.power_cut();
        let identity = Identity::load_or_make(&*disk.dir(), &*env.seed).ok().unwrap();
        let again = Standing::new(env.clock, disk.dir(), identity);
        assert!(matches!(again.adopt(CLUSTER, Term(8)), Err(NotAdopted::OldTerm { .. })));
        assert!(matches!(again.adopt(ClusterId([1; 16]), Term(10)), Err(NotAdopted::OtherCluster { .. })));
        assert_eq!(again.highest_term(), Term(9));
    }

    #[test]
    fn writes_end_with_the_lease_and_reads_go_on() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (_, standing, _disk) = standing();
            standing.adopt(CLUSTER, Term(1)).unwrap();
            standing.registered(Term(1), Some(Duration::from_secs(10)), standing.clock.now());
            tokio::time::sleep(Duration::from_secs(9)).await;
            assert_eq!(standing.admit_write(Term(1)), Ok(()));
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(standing.admit_write(Term(1)), Err(Status::TryAgain));
            assert_eq!(standing.admit_read(Term(1)), Ok(()));
            standing.heard(Term(1), standing.clock.now());
            assert_eq!(standing.admit_write(Term(1)), Ok(()));
        });
    }
}
