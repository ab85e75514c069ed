//! Why a call got no answer.

use std::sync::Arc;
use types::Status;
use wire::FrameError;

/// Why a call got no answer. Cheap to clone: one lost connection ends many calls.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody could be reached there.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The other end does not want us.
    #[error("{address} refused: {status}: {message}")]
    Refused {
        /// Where.
        address: String,
        /// Why.
        status: Status,
        /// In its words.
        message: String,
    },
    /// The connection ended; whether the request took effect is unknown.
    #[error("the connection to {address} is lost: {reason}")]
    Lost {
        /// Where.
        address: String,
        /// What ended it.
        reason: Lost,
    },
    /// No answer before the deadline; whether the request took effect is unknown.
    #[error("no answer in time")]
    TimedOut,
    /// Nothing was sent: a body or a payload is above its limit.
    #[error("the frame is above its limit")]
    TooLong,
    /// Nothing was sent: too much is waiting to be sent already.
    #[error("too much is in flight")]
    Full,
}

/// What ended a connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Lost {
    /// The other end closed it.
    #[error("closed by the other end")]
    Closed,
    /// This end closed it.
    #[error("closed by this end")]
    Dropped,
    /// The socket failed.
    #[error("{0}")]
    Io(Arc<std::io::Error>),
    /// The other end sent something that is no frame.
    #[error("bad frame: {0}")]
    BadFrame(FrameError),
    /// The other end broke the rules of the protocol.
    #[error("protocol: {0}")]
    Protocol(&'static str),
    /// Nothing came, not even the answer to a PING.
    #[error("silent for too long")]
    Silent,
}

impl LinkError {
    /// The word for a failed hop.
    pub fn status(&self) -> Status {
        match self {
            Self::Connect { .. } | Self::Lost { .. } => Status::ChainBroken,
            Self::Refused { status, .. } => *status,
            Self::TimedOut => Status::TimedOut,
            Self::TooLong => Status::TooBig,
            Self::Full => Status::TryAgain,
        }
    }

    /// Whether a new connection may help.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Lost { .. } | Self::Refused { .. })
    }
}
