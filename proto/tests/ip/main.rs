//! IP as a host speaks it: what arrives in pieces, what is told to senders, which way packets go, how large they may be.
#![allow(missing_docs, clippy::cast_possible_truncation)]

mod fragments;
mod host;
mod path_mtu;
mod routes;
