//! A program that is a list of calls, each waiting for the one before.
//!
//! Sections: RFC 9293 3.9.1 (OPEN, SEND, RECEIVE, CLOSE, ABORT).
//! In: [`Step`]s.
//! Out: what each call gave, and when: the [`Done`] list.

use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use tidegate_proto::net::{Event, SocketError, SocketId};
use tidegate_proto::tcp::{self, CloseReason, ConnError, Read, SoftError, State};
use tidegate_proto::time::{Duration, Instant};

use super::{Content, Trouble, Turn};

/// One line of a script. It works on the script's one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing, until so much time has passed since the step before.
    Wait(Duration),
    /// Nothing, until this time.
    Until(Instant),
    /// A passive open.
    Listen(SocketAddr),
    /// Waits for a connection to the listener.
    Accept,
    /// An active open; does not wait for its outcome. While the sockets are still taken, it tries again every second.
    Connect {
        /// Our socket.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
    /// Waits until the connection is established.
    Connected,
    /// Writes this text in one call.
    Say(&'static str),
    /// Writes so many bytes of the script's text, waiting for room where there is none.
    Write(u64),
    /// Reads until so many bytes have come, and compares them with the peer's text.
    Read(u64),
    /// One read call of at most so many bytes; waits until it gives something.
    ReadOnce(usize),
    /// Waits for the peer's end of stream; nothing else may come.
    Eof,
    /// Closes our side.
    Close,
    /// Aborts.
    Abort,
    /// Lets go of the connection: closes, and cares no more.
    Release,
    /// Waits until the connection is over, however it ends.
    Over,
    /// The passive open ends.
    StopListening,
}

/// What a call gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gave {
    /// It was done.
    Fine,
    /// So many bytes.
    Bytes(u64),
    /// The connection is over for this reason.
    Ended(CloseReason),
    /// It was refused.
    Refused(SocketError),
    /// Nothing yet, but the stack says that something is wrong.
    Warned(SoftError),
}

/// A call that has returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// When.
    pub at: Instant,
    /// Which.
    pub step: Step,
    /// With what result.
    pub gave: Gave,
}

/// The program.
#[derive(Clone, Debug)]
pub struct Script {
    steps: Vec<Step>,
    writes: Content,
    reads: Content,
    next: usize,
    /// Since when the current step is the current one.
    since: Option<Instant>,
    /// How far the current step has come, bytes.
    progress: u64,
    written: u64,
    read: u64,
    listener: Option<SocketId>,
    socket: Option<SocketId>,
    /// When to open again what was refused.
    retry: Option<Instant>,
    done: Vec<Done>,
    trouble: Option<Trouble>,
}

impl Script {
    /// A program whose [`Step::Write`]s take from `writes` and whose [`Step::Read`]s are compared with `reads`.
    pub fn new(steps: &[Step], writes: Content, reads: Content) -> Self {
        Script {
            steps: Vec::from(steps),
            writes,
            reads,
            next: 0,
            since: None,
            progress: 0,
            written: 0,
            read: 0,
            listener: None,
            socket: None,
            retry: None,
            done: Vec::new(),
            trouble: None,
        }
    }

    /// The calls that have returned, in order.
    pub fn done(&self) -> &[Done] {
        &self.done
    }

    /// How its connection ended, once a step has seen that.
    pub fn ended(&self) -> Option<CloseReason> {
        self.done.iter().rev().find_map(|d| match d.gave {
            Gave::Ended(why) => Some(why),
            _ => None,
        })
    }

    /// Its connection, while it has one.
    pub fn socket(&self) -> Option<SocketId> {
        self.socket
    }

    pub(super) fn turn(&mut self, turn: &mut Turn<'_>) {
        for (socket, event) in turn.events {
            if let Event::Tcp(tcp::Event::SoftError(error)) = event
                && Some(*socket) == self.socket
                && let Some(&step) = self.steps.get(self.next)
            {
                self.done.push(Done { at: turn.now, step, gave: Gave::Warned(*error) });
            }
        }
        while let Some(&step) = self.steps.get(self.next) {
            let since = *self.since.get_or_insert(turn.now);
            let gave = match self.play(step, since, turn) {
                Ok(None) => return,
                Ok(Some(gave)) => gave,
                Err(error) => self.fail(step, error),
            };
            self.done.push(Done { at: turn.now, step, gave });
            self.next += 1;
            self.since = None;
            self.progress = 0;
        }
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        match (self.steps.get(self.next)?, self.since) {
            (_, None) => Some(Instant::ZERO),
            (Step::Wait(time), Some(since)) => Some(since + *time),
            (Step::Until(at), _) => Some(*at),
            (Step::Connect { .. }, _) => self.retry,
            _ => None,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.next >= self.steps.len()
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Plays one step: `None` if it must wait.
    fn play(&mut self, step: Step, since: Instant, turn: &mut Turn<'_>) -> Result<Option<Gave>, SocketError> {
        let now = turn.now;
        let socket = self.socket.ok_or(SocketError::BadSocket);
        Ok(match step {
            Step::Wait(time) => (now >= since + time).then_some(Gave::Fine),
            Step::Until(at) => (now >= at).then_some(Gave::Fine),
            Step::Listen(local) => {
                self.listener = Some(turn.stack.listen(local, BACKLOG)?);
                Some(Gave::Fine)
            }
            Step::Accept => {
                self.socket = turn.stack.accept(self.listener.ok_or(SocketError::BadSocket)?, now);
                self.socket.map(|_| Gave::Fine)
            }
            Step::Connect { local, remote } => {
                match turn.stack.connect(Some(local), remote, now) {
                    Err(SocketError::AddressInUse) => self.retry = Some(now + RETRY),
                    opened => self.socket = Some(opened?),
                }
                self.socket.map(|_| Gave::Fine)
            }
            Step::Connected => match turn.stack.state(socket?) {
                State::SynSent | State::SynReceived => None,
                State::Closed => Some(Gave::Ended(turn.stack.close_reason(socket?).ok_or(SocketError::BadSocket)?)),
                _ => Some(Gave::Fine),
            },
            Step::Say(text) => {
                let written = turn.stack.write(socket?, text.as_bytes(), now)?;
                Some(Gave::Bytes(u64::try_from(written).unwrap_or(u64::MAX)))
            }
            Step::Write(count) => self.write(count, socket?, turn)?,
            Step::Read(count) => self.read(count, socket?, turn)?,
            Step::ReadOnce(size) => match turn.stack.read(socket?, &mut vec![0; size], now)? {
                Read::Data(n) => Some(Gave::Bytes(u64::try_from(n).unwrap_or(u64::MAX))),
                Read::Pending => None,
                Read::Eof => Some(Gave::Bytes(0)),
            },
            Step::Eof => match turn.stack.read(socket?, &mut [0; 1], now)? {
                Read::Eof => Some(Gave::Bytes(0)),
                Read::Pending => None,
                Read::Data(_) => {
                    self.trouble.get_or_insert(Trouble::TooLong(1));
                    Some(Gave::Bytes(1))
                }
            },
            Step::Close => {
                turn.stack.close(socket?, now)?;
                Some(Gave::Fine)
            }
            Step::Abort => {
                turn.stack.abort(socket?, now)?;
                Some(Gave::Fine)
            }
            Step::Release => {
                turn.stack.release(socket?, now);
                self.socket = None;
                Some(Gave::Fine)
            }
            Step::Over => turn.stack.close_reason(socket?).map(Gave::Ended),
            Step::StopListening => {
                if let Some(listener) = self.listener.take() {
                    turn.stack.release(listener, now);
                }
                Some(Gave::Fine)
            }
        })
    }

    fn write(&mut self, count: u64, socket: SocketId, turn: &mut Turn<'_>) -> Result<Option<Gave>, SocketError> {
        let mut buffer = vec![0; CALL_SIZE];
        while self.progress < count {
            let rest = usize::try_from(count - self.progress).unwrap_or(usize::MAX);
            let piece = &mut buffer[..rest.min(CALL_SIZE)];
            self.writes.fill(self.written, piece);
            let n = turn.stack.write(socket, piece, turn.now)?;
            if n == 0 {
                return Ok(None);
            }
            let n = u64::try_from(n).unwrap_or(u64::MAX);
            self.progress += n;
            self.written += n;
        }
        Ok(Some(Gave::Bytes(count)))
    }

    fn read(&mut self, count: u64, socket: SocketId, turn: &mut Turn<'_>) -> Result<Option<Gave>, SocketError> {
        let mut buffer = vec![0; CALL_SIZE];
        while self.progress < count {
            let rest = usize::try_from(count - self.progress).unwrap_or(usize::MAX);
            let n = match turn.stack.read(socket, &mut buffer[..rest.min(CALL_SIZE)], turn.now)? {
                Read::Data(n) => n,
                Read::Pending => return Ok(None),
                Read::Eof => {
                    self.trouble.get_or_insert(Trouble::Short { got: self.progress, expected: count });
                    return Ok(Some(Gave::Bytes(self.progress)));
                }
            };
            if let Some(at) = self.reads.first_difference(self.read, &buffer[..n]) {
                self.trouble.get_or_insert(Trouble::WrongByte(at));
            }
            let n = u64::try_from(n).unwrap_or(u64::MAX);
            self.progress += n;
            self.read += n;
        }
        Ok(Some(Gave::Bytes(count)))
    }

    /// A connection that is over does not stop the program: the steps that follow meet the same answer.
    fn fail(&mut self, step: Step, error: SocketError) -> Gave {
        match error {
            SocketError::Connection(ConnError::Closed(why)) => {
                if step != Step::Over {
                    self.trouble.get_or_insert(Trouble::Ended(why));
                }
                Gave::Ended(why)
            }
            other => {
                self.trouble.get_or_insert(Trouble::Call(other));
                Gave::Refused(other)
            }
        }
    }
}

/// How long a program waits before it tries the same sockets again.
const RETRY: Duration = Duration::from_secs(1);
/// Room for a few connections in a row.
const BACKLOG: usize = 8;
/// One read or write call.
const CALL_SIZE: usize = 64 * 1024;
