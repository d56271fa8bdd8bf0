//! Applications: small state machines over a stack, as programs over a socket interface.
//!
//! Sections: RFC 9293 3.9.1 (the calls they make).
//! In: their host's stack, its events, and the time.
//! Out: calls on the stack; when they want to run again; whether they are done, and what went wrong.

pub mod content;
pub mod http_client;
pub mod http_server;
pub mod pump;
pub mod script;

pub use content::Content;
pub use http_client::HttpClient;
pub use http_server::HttpServer;
pub use pump::Pump;
pub use script::Script;

use alloc::vec::Vec;
use core::fmt;

use tidegate_proto::net::{Event, SocketError, SocketId, Stack};
use tidegate_proto::tcp::CloseReason;
use tidegate_proto::time::Instant;

/// A program that runs on a host.
#[derive(Clone, Debug)]
pub enum App {
    /// Downloads a file, again and again.
    Client(HttpClient),
    /// Serves one.
    Server(HttpServer),
    /// Sends and receives bytes, both ways at once.
    Pump(Pump),
    /// Plays a list of calls.
    Script(Script),
}

/// What went wrong for an application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// A call was refused.
    Call(SocketError),
    /// The connection ended this way although the application needed it.
    Ended(CloseReason),
    /// The byte at this offset of the stream is not the one that was written there.
    WrongByte(u64),
    /// The peer ended the stream after so many of the expected bytes.
    Short {
        /// Bytes that came.
        got: u64,
        /// Bytes that should have come.
        expected: u64,
    },
    /// More bytes came than were written: so many.
    TooLong(u64),
    /// The HTTP head makes no sense, or says that something is wrong: this status, 0 if none.
    BadHead(u16),
}

impl From<SocketError> for Trouble {
    fn from(e: SocketError) -> Self {
        match e {
            SocketError::Connection(tidegate_proto::tcp::ConnError::Closed(why)) => Trouble::Ended(why),
            other => Trouble::Call(other),
        }
    }
}

/// What an application gets when it is its turn.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Its host.
    pub stack: &'a mut Stack,
    /// What has happened on the host's sockets since the last turn, in order.
    pub events: &'a [(SocketId, Event)],
    /// The time.
    pub now: Instant,
}

impl App {
    /// Does everything that can be done now.
    pub fn turn(&mut self, turn: &mut Turn<'_>) {
        match self {
            App::Client(app) => app.turn(turn),
            App::Server(app) => app.turn(turn),
            App::Pump(app) => app.turn(turn),
            App::Script(app) => app.turn(turn),
        }
    }

    /// When it wants a turn although nothing has happened.
    pub fn wake_at(&self) -> Option<Instant> {
        match self {
            App::Client(app) => app.wake_at(),
            App::Server(app) => app.wake_at(),
            App::Pump(app) => app.wake_at(),
            App::Script(app) => app.wake_at(),
        }
    }

    /// True when it has nothing left to do of its own accord. A server is always content to stop.
    pub fn is_finished(&self) -> bool {
        match self {
            App::Client(app) => app.is_finished(),
            App::Server(app) => app.is_finished(),
            App::Pump(app) => app.is_finished(),
            App::Script(app) => app.is_finished(),
        }
    }

    /// Its connections, as far as it still holds them.
    pub fn sockets(&self) -> Vec<SocketId> {
        match self {
            App::Client(app) => app.socket().into_iter().collect(),
            App::Server(app) => app.sockets().collect(),
            App::Pump(app) => app.socket().into_iter().collect(),
            App::Script(app) => app.socket().into_iter().collect(),
        }
    }

    /// The first thing that went wrong.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            App::Client(app) => app.trouble(),
            App::Server(_) => None,
            App::Pump(app) => app.trouble(),
            App::Script(app) => app.trouble(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Call(SocketError::NetworkUnreachable) => f.write_str("no interface leads there"),
            Trouble::Call(SocketError::InvalidAddress) => f.write_str("TCP cannot reach an address of that kind"),
            Trouble::Call(error) => write!(f, "the call was refused: {error:?}"),
            Trouble::Ended(CloseReason::Refused) => f.write_str("connection refused"),
            Trouble::Ended(CloseReason::Reset) => f.write_str("the peer reset the connection"),
            Trouble::Ended(CloseReason::TimedOut) => f.write_str("the peer stopped answering and TCP gave up"),
            Trouble::Ended(CloseReason::Aborted) => f.write_str("the connection was aborted on this side"),
            Trouble::Ended(CloseReason::Normal) => f.write_str("the connection was closed already"),
            Trouble::WrongByte(at) => write!(f, "byte {at} of the stream is not the one that was sent"),
            Trouble::Short { got, expected } => write!(f, "the stream ended after {got} of {expected} bytes"),
            Trouble::TooLong(by) => write!(f, "{by} bytes came that nobody had sent"),
            Trouble::BadHead(0) => f.write_str("the HTTP head makes no sense"),
            Trouble::BadHead(status) => write!(f, "the server answered with status {status}"),
        }
    }
}
