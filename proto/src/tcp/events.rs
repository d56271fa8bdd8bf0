//! Events that wait for the application.
//!
//! Sections: RFC 9293 3.9.1.8 (asynchronous reports).
//! In: what happened.
//! Out: each kind of event once, however often it happened in between.

use super::{CloseReason, Event, SoftError};

/// A set, not a queue: an event says "look", and one look finds everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Events {
    connected: bool,
    urgent: bool,
    readable: bool,
    peer_fin: bool,
    writable: bool,
    soft_error: Option<SoftError>,
    closed: Option<CloseReason>,
}

impl Events {
    /// Something happened.
    pub(super) fn raise(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::Urgent => self.urgent = true,
            Event::Readable => self.readable = true,
            Event::PeerFin => self.peer_fin = true,
            Event::Writable => self.writable = true,
            Event::SoftError(error) => self.soft_error = Some(error),
            Event::Closed(reason) => self.closed = Some(reason),
        }
    }

    /// The next event, in the order of a connection's life.
    pub(super) fn poll(&mut self) -> Option<Event> {
        let take = core::mem::take::<bool>;
        if take(&mut self.connected) {
            Some(Event::Connected)
        } else if take(&mut self.urgent) {
            Some(Event::Urgent)
        } else if take(&mut self.readable) {
            Some(Event::Readable)
        } else if take(&mut self.peer_fin) {
            Some(Event::PeerFin)
        } else if take(&mut self.writable) {
            Some(Event::Writable)
        } else if let Some(error) = self.soft_error.take() {
            Some(Event::SoftError(error))
        } else {
            self.closed.take().map(Event::Closed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_comes_once_and_closed_comes_last() {
        let mut events = Events::default();
        for event in [Event::Closed(CloseReason::Normal), Event::Readable, Event::Readable, Event::Connected] {
            events.raise(event);
        }
        assert_eq!(events.poll(), Some(Event::Connected));
        assert_eq!(events.poll(), Some(Event::Readable));
        assert_eq!(events.poll(), Some(Event::Closed(CloseReason::Normal)));
        assert_eq!(events.poll(), None);
    }
}
