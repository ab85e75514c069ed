//! A killed master comes back as it was: what its disk says afterwards is what it answered before.

use crate::cluster::Stop;
use crate::driver::{Stage, Violation};
use crate::quiet::replayed;

/// Kills the master, compares, and starts it again.
pub(crate) async fn check(stage: &Stage) -> Result<(), Violation> {
    let checked = async {
        let built = stage.cluster.checkpoint().await?;
        let status = stage.cluster.status().await.ok_or("the master does not answer")?;
        let before = replayed(&stage.cluster, status.position.applied)?;
        stage.cluster.stop_master(Stop::Kill).await;
        let after = replayed(&stage.cluster, status.position.applied)?;
        if (before.digest(), before.applied()) != (after.digest(), after.applied()) {
            return Err(format!("record {} is another one after a kill", status.position.applied));
        }
        if status.position.applied == built.index && after.digest() != built.digest {
            return Err(format!("the state after record {} is another one after a kill", built.index));
        }
        stage.cluster.start().await
    };
    checked.await.map_err(|reason: String| stage.violation(reason))
}
