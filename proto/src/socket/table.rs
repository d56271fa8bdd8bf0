//! Descriptors: small numbers for sockets, the lowest free one first.
//!
//! Sections: POSIX.1-2017 2.14 (file descriptor allocation).
//! In: a socket to keep.
//! Out: its number, until it is closed.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;

use super::Errno;
use super::sock::Sock;

/// A descriptor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fd(pub u32);

impl fmt::Display for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Sockets by descriptor.
#[derive(Clone, Debug)]
pub(super) struct Table {
    socks: Vec<Option<Box<Sock>>>,
    free: BinaryHeap<Reverse<u32>>,
    limit: u32,
}

impl Table {
    /// An empty table for up to `limit` sockets.
    pub(super) const fn new(limit: u32) -> Self {
        Table { socks: Vec::new(), free: BinaryHeap::new(), limit }
    }

    pub(super) fn insert(&mut self, sock: Box<Sock>) -> Result<Fd, Errno> {
        if let Some(Reverse(number)) = self.free.pop() {
            if let Some(place) = self.socks.get_mut(number as usize) {
                *place = Some(sock);
            }
            return Ok(Fd(number));
        }
        let number = u32::try_from(self.socks.len()).ok().filter(|number| *number < self.limit).ok_or(Errno::EMFILE)?;
        self.socks.push(Some(sock));
        Ok(Fd(number))
    }

    pub(super) fn remove(&mut self, fd: Fd) -> Option<Box<Sock>> {
        let sock = self.socks.get_mut(fd.0 as usize)?.take()?;
        self.free.push(Reverse(fd.0));
        Some(sock)
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty() && self.socks.len() >= self.limit as usize
    }

    pub(super) fn len(&self) -> usize {
        self.socks.len() - self.free.len()
    }

    /// Every socket, the lowest descriptor first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Fd, &Sock)> {
        (0..).zip(&self.socks).filter_map(|(number, sock)| Some((Fd(number), sock.as_deref()?)))
    }

    pub(super) fn get(&self, fd: Fd) -> Option<&Sock> {
        self.socks.get(fd.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, fd: Fd) -> Option<&mut Sock> {
        self.socks.get_mut(fd.0 as usize)?.as_deref_mut()
    }
}
