//! Worlds to run stacks in: seeded links, a virtual clock, applications, scenarios, invariants.
#![no_std]

extern crate alloc;
