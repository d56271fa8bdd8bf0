//! Sockets: what tokio's do over the kernel, ours do over a host.

mod host;
mod kin;
mod semantics;
