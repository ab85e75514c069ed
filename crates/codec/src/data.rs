//! Bodies of data-plane frames: HELLO, PING, WRITE, READ, FLUSH.
