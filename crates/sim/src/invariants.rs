//! What must hold whatever was done and whatever broke: one file per promise (`design.md` §3).
//!
//! | promise | where it is checked |
//! | --- | --- |
//! | 1 an acknowledged change survives `kill -9` | `restart`, and the oracle's `tree` |
//! | 2 what an fsync covers is on stable storage, on min-write replicas | `synced` at each fsync, `durable`, and the oracle's `content` |
//! | 3 no read returns wrong bytes | `rot`, and the oracle's `content` |
//! | 4 no stale replica is read; what is there is found | `located`, `readable` |
//! | 5 the last good replica stays | `last_good` |
//! | 6 what the master does not know is kept; nothing is numbered twice | `unknown`, `numbered` |
//! | 9 checkpoint and log give the live state | `replay`, `restart` |
//! | 10 no bytes from a socket cause a panic | `garbage` |
//! | 12 replicas of one version are equal | `twins` |
//! | 13 redundancy never drops by the system's own action | `redundancy` after each step |
//! | 14 a loss is reported once | `once` |
//! | 15 every call ends, and takes effect once | `bounded`, and the oracle's `tree` |
//! | 16 what was cut reads as zeroes; appends neither overlap nor vanish | the oracle's `content` and `log` |
//! | what was lost is made anew when faults stop | `healed` |
//!
//! The quiet ones look at a copy of everything after each round; those that break something run at the end.

pub(crate) mod bounded;
mod durable;
pub(crate) mod garbage;
pub(crate) mod healed;
mod last_good;
mod located;
pub(crate) mod numbered;
pub(crate) mod once;
mod readable;
pub(crate) mod redundancy;
mod replay;
pub(crate) mod restart;
pub(crate) mod rot;
pub(crate) mod synced;
mod twins;
pub(crate) mod unknown;

use crate::driver::{Stage, Violation};
use crate::quiet::Quiet;

/// All that can be seen without touching anything. Nothing may be under way.
pub(crate) async fn check_quiet(stage: &Stage) -> Result<(), Violation> {
    redundancy::check(stage)?;
    let checked = async {
        let quiet = Quiet::look(stage).await?;
        replay::check(&quiet, &stage.cluster).await?;
        last_good::check(&quiet)?;
        readable::check(&quiet, stage)?;
        twins::check(&quiet)?;
        durable::check(&quiet)?;
        let mut numbers = std::mem::take(&mut *stage.numbers.borrow_mut());
        numbered::check(&quiet, &stage.cluster, &mut numbers).await?;
        *stage.numbers.borrow_mut() = numbers;
        located::check(&quiet, &stage.cluster).await
    };
    checked.await.map_err(|reason: String| stage.violation(reason))
}
