//! TCP in user space over real links: the crate to depend on.
//!
//! This is the one room with a clock, threads and devices; the protocol itself is [`proto`], which has none of them.
//!
//! | room | what lives there |
//! |---|---|
//! | [`dev`] | what carries frames: TUN and TAP, a UNIX socket, a channel to any packet source |
//! | [`Host`] | a stack over a device, with addresses of its own: a cheap handle that opens sockets (Linux) |
//! | [`net`] | sockets under tokio's names (Linux) |
//! | [`rt`] | the driver: a stack, its device and the clock, kept together by one lock (Linux) |
//! | [`clock`] | the time that a stack is told |
//!
//! Linux is what this is tested on. TUN and TAP exist only there; the rest builds on other systems and is untested.
#![cfg_attr(test, allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss))]

pub mod clock;
pub mod dev;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
pub mod net;
#[cfg(target_os = "linux")]
pub mod rt;

#[cfg(target_os = "linux")]
pub use host::{Builder, Entered, Host, Within};
pub use tidegate_lab as lab;
pub use tidegate_proto as proto;
