//! A disk is lost for ever, at a moment at which every chunk has all its replicas.

use crate::chance::Chance;
use crate::cluster::{DISKS, Place, SERVERS};
use crate::driver::{Stage, Violation};
use crate::invariants::healed;

/// Takes one disk away, the suspect if there is one, and puts a blank one in its place, then waits until everything is as it should be.
pub(crate) async fn lose_a_disk(stage: &Stage, chance: &mut Chance) -> Result<(), Violation> {
    let (server, disk) = (chance.below(SERVERS as u64) as usize, chance.below(DISKS as u64) as usize);
    // What rotted elsewhere is not repaired before it is read.
    let place = stage.suspect.take().unwrap_or(Place { server, disk });
    stage.trace.note(format_args!("{place} is lost for ever"));
    stage.cluster.replace_disk(place);
    stage.cluster.start().await.map_err(|reason| stage.violation(reason))?;
    healed::wait(stage).await
}
