//! The other end of the wire: connect, ask, follow.
