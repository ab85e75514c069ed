//! Checkpoint and log give the live state: its digest is the same, and is right, and all references and counts agree.

use crate::cluster::Cluster;
use crate::quiet::{Quiet, replayed};

/// Compares the running master with what its disk says, by way of an old checkpoint and of a new one.
pub(super) async fn check(quiet: &Quiet, cluster: &Cluster) -> Result<(), String> {
    if quiet.meta.digest() != quiet.meta.recomputed_digest() {
        return Err(format!("the digest after record {} is not that of the state", quiet.applied));
    }
    if let Some(finding) = quiet.meta.check().first() {
        return Err(format!("the state after record {} contradicts itself: {finding}", quiet.applied));
    }
    // The master compares the new checkpoint's digest with its own.
    let built = cluster.checkpoint().await.map_err(|reason| format!("no checkpoint: {reason}"))?;
    let again = replayed(cluster, built.index)?;
    if again.digest() != built.digest {
        return Err(format!("the checkpoint of record {} is read back as another state", built.index));
    }
    if built.index == quiet.applied && again.digest() != quiet.meta.digest() {
        return Err(format!("the log up to record {} gives another state than the master's", built.index));
    }
    Ok(())
}
