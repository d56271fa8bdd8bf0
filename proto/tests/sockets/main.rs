//! Sockets as programs see them. Two worlds of sockets back to back in virtual time; what they must say is what a Linux
//! kernel (6.18) said to the same calls over its loopback.
#![allow(missing_docs)]

mod data;
mod edges;
mod ending;
mod opening;
mod options;
mod properties;
mod readiness;
mod unreachable;
mod urgent;
mod world;
