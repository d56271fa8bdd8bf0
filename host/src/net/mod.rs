//! Sockets under tokio's names, over a [`Host`](crate::Host) in place of the kernel.
//!
//! What works with `tokio::net` works here: same names, same semantics, same errors (`raw_os_error`, kind and text are
//! the kernel's). The checklist, call by call, is `docs/sockets.md`.
//!
//! | file | what it is |
//! |---|---|
//! | `listener` | [`TcpListener`] |
//! | `stream` | [`TcpStream`] |
//! | `split`, `split_owned` | its halves, borrowed and owned |
//! | `setup` | [`TcpSocket`]: a socket before it connects or listens |
//! | `options` | [`SockRef`]: options under socket2's names |
//! | `socket` | what they stand on: an owned descriptor of a driver |

mod listener;
mod options;
mod setup;
mod socket;
mod split;
mod split_owned;
mod stream;

/// The halves, where tokio has them.
pub mod tcp {
    pub use super::split::{ReadHalf, WriteHalf};
    pub use super::split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
}

pub use listener::TcpListener;
pub use options::{SockRef, TcpKeepalive};
pub use setup::TcpSocket;
pub use stream::TcpStream;
