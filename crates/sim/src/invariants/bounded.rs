//! Every call ends, with a result or an error, in bounded time, whatever happens to the cluster.

use crate::cluster::CLIENT_TIMEOUT;
use std::future::Future;
use std::time::Duration;

/// Requests to the master that one call makes one after the other, at most, each with a timeout of its own: the way to a
/// file, the file, and storing what is unsent before it is changed.
const STEPS_MAX: u32 = 6;
/// Longest call.
const CALL_MAX: Duration = CLIENT_TIMEOUT.saturating_mul(STEPS_MAX);

/// What a call came to, or a sentence if it does not end.
pub(crate) async fn bounded<T>(call: impl Future<Output = T>) -> Result<T, String> {
    let ended = tokio::time::timeout(CALL_MAX, call).await;
    ended.map_err(|_| format!("did not end within {CALL_MAX:?}"))
}
