//! The plain carrier: length-prefixed messages on a simulated stream, in place of gRPC.
//!
//! ```text
//! 0  4  "MXP1"      4  1  service: 1 control, 2 admin
//! then, in both directions:   4 length (little-endian)   n message
//! ```

use codec::Message;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// The first four bytes of the plain carrier.
pub(crate) const MAGIC: [u8; 4] = *b"MXP1";
/// The byte that asks for the control service.
pub(crate) const CONTROL: u8 = 1;
/// The byte that asks for the admin service.
pub(crate) const ADMIN: u8 = 2;

/// Writes one message.
pub(crate) async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut whole = Vec::with_capacity(4 + bytes.len());
    whole.extend_from_slice(&length.to_le_bytes());
    whole.extend_from_slice(bytes);
    stream.write_all(&whole).await?;
    stream.flush().await
}

/// Reads one message of at most `max` bytes; `None` at the end of the stream.
pub(crate) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(Some(bytes))
}

/// Moves messages between a stream and two queues until either side ends.
pub(crate) async fn pump<Out: Message, In: Message>(
    stream: impl AsyncRead + AsyncWrite + Send,
    mut outgoing: mpsc::Receiver<Out>,
    incoming: mpsc::Sender<In>,
    message_bytes_max: usize,
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async move {
        while let Some(message) = outgoing.recv().await {
            send(&mut writer, &message.to_bytes()).await?;
        }
        writer.shutdown().await
    };
    let read = async move {
        loop {
            let received = tokio::select! {
                biased;
                () = incoming.closed() => return Ok(()),
                received = receive(&mut reader, message_bytes_max) => received?,
            };
            let Some(bytes) = received else { return Ok(()) };
            let message = In::decode(&bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            if incoming.send(message).await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::select! {
        biased;
        read = read => read,
        write = write => write,
    }
}
