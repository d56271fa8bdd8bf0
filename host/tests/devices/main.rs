//! Devices, with a stack over each of them: against each other without privileges, and against the kernel with them.
#![cfg(target_os = "linux")]
#![allow(missing_docs, unreachable_pub)]

mod decorators;
mod driver;
mod endings;
mod kernel;
mod links;
mod namespace;
mod rig;
