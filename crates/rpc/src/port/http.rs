//! A word to somebody who points a browser or a scraper at the port.

use env::Stream;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The whole exchange takes no longer.
const EXCHANGE_MAX: Duration = Duration::from_secs(2);
/// Bytes of a request that are read before the connection is closed, so that the answer is not lost to a reset.
const REQUEST_BYTES_MAX: u64 = 8 << 10;

const ANSWER: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\
Connection: close\r\n\r\nThis is a port of MuskoxFS. Ask it with: muskox status --master\n";

/// Answers and closes.
pub(super) async fn answer(stream: Stream) {
    // A peer that hangs up or dawdles loses its answer and nobody else loses anything.
    let _ = match stream {
        Stream::Tcp(stream) => tokio::time::timeout(EXCHANGE_MAX, exchange(stream)).await,
        Stream::Simulated(stream) => tokio::time::timeout(EXCHANGE_MAX, exchange(stream)).await,
    };
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(REQUEST_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}
