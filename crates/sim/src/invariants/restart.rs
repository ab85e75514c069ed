//! A killed master comes back as it was: its log says afterwards what it said before, and the state with which the
//! new reign begins is the one that checkpoint and log give.

use crate::cluster::Stop;
use crate::driver::{Stage, Violation};
use crate::quiet::replayed;

/// Kills the master, compares, starts it again, and compares again.
pub(crate) async fn check(stage: &Stage) -> Result<(), Violation> {
    let checked = async {
        let cluster = &stage.cluster;
        let status = cluster.status().await.ok_or("the master does not answer")?;
        let answered = status.position.applied;
        let before = replayed(cluster, answered)?;
        cluster.stop_master(Stop::Kill).await;
        if replayed(cluster, answered)?.digest() != before.digest() {
            return Err(format!("the state after record {answered} is another one after a kill"));
        }
        cluster.start().await?;
        let status = cluster.status().await.ok_or("the master does not answer")?;
        if status.position.applied <= answered {
            return Err(format!("after a kill the log ends with record {}", status.position.applied));
        }
        // The master compares the digest of what it recovered with that of what is built from its disk.
        let built = cluster.checkpoint().await.map_err(|reason| format!("no checkpoint: {reason}"))?;
        if replayed(cluster, built.index)?.digest() != built.digest {
            return Err(format!("the checkpoint of record {} is read back as another state", built.index));
        }
        Ok(())
    };
    checked.await.map_err(|reason: String| stage.violation(reason))
}
