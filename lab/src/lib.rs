//! Worlds to run stacks in: seeded links, a virtual clock, applications, scenarios, invariants.
#![no_std]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod adapter;
pub mod app;
pub mod capture;
pub mod glimpse;
pub mod invariants;
pub mod link;
pub mod rng;
#[cfg(test)]
mod sample;
pub mod scenario;
pub mod script;
mod states;
pub mod world;
