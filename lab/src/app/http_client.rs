//! A client that downloads one file again and again, a new connection each time, as the article's script did.
//!
//! Sections: RFC 9112 (enough of it for GET).
//! In: where the file is, and how long it is said to be.
//! Out: one [`Download`] each; every byte is compared with what the server must have sent.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use tidegate_proto::net::{SocketError, SocketId};
use tidegate_proto::tcp::{Read, State};
use tidegate_proto::time::{Duration, Instant};

use super::{Content, Trouble, Turn};

/// What a client fetches, and how fast it thinks.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Its own address.
    pub local: IpAddr,
    /// The server.
    pub server: SocketAddr,
    /// The file's path.
    pub path: String,
    /// What the file must contain.
    pub content: Content,
    /// How often it is fetched.
    pub downloads: u64,
    /// When the first connection is opened.
    pub start: Instant,
    /// From the established connection to the request.
    pub before_request: Duration,
    /// From the last byte of the response to the close.
    pub before_close: Duration,
    /// From the close to the next connection.
    pub between: Duration,
}

/// One finished download.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Download {
    /// The client's port.
    pub port: u16,
    /// When the connection was opened.
    pub started: Instant,
    /// When the last byte was read, or the trouble came.
    pub ended: Instant,
    /// Bytes of the file that came.
    pub bytes: u64,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// The client.
#[derive(Clone, Debug)]
pub struct HttpClient {
    config: ClientConfig,
    doing: Doing,
    current: Download,
    begun: u64,
    downloads: Vec<Download>,
    /// Bytes of files received so far, all downloads together.
    received: u64,
}

#[derive(Clone, Debug)]
enum Doing {
    /// Waiting to open the next connection.
    Resting { until: Instant },
    /// The connection is being established.
    Connecting { socket: SocketId },
    /// Getting ready to ask.
    BeforeRequest { socket: SocketId, until: Instant },
    /// The head is coming in.
    Head { socket: SocketId, bytes: Vec<u8> },
    /// The file is coming in.
    Body { socket: SocketId, length: u64 },
    /// All is here.
    BeforeClose { socket: SocketId, until: Instant },
    /// All downloads are done.
    Done,
}

impl HttpClient {
    /// A client that opens its first connection at `config.start`.
    pub fn new(config: ClientConfig) -> Self {
        let doing = match config.downloads {
            0 => Doing::Done,
            _ => Doing::Resting { until: config.start },
        };
        let current = Download { port: 0, started: Instant::ZERO, ended: Instant::ZERO, bytes: 0, trouble: None };
        HttpClient { config, doing, current, begun: 0, downloads: Vec::new(), received: 0 }
    }

    /// The downloads that have ended, well or not.
    pub fn downloads(&self) -> &[Download] {
        &self.downloads
    }

    /// Bytes of files received so far, all downloads together.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The connection that is open.
    pub fn socket(&self) -> Option<SocketId> {
        match self.doing {
            Doing::Connecting { socket }
            | Doing::BeforeRequest { socket, .. }
            | Doing::Head { socket, .. }
            | Doing::Body { socket, .. }
            | Doing::BeforeClose { socket, .. } => Some(socket),
            Doing::Resting { .. } | Doing::Done => None,
        }
    }

    pub(super) fn turn(&mut self, turn: &mut Turn<'_>) {
        loop {
            match self.proceed(turn) {
                Ok(true) => {}
                Ok(false) => return,
                Err(trouble) => self.give_up(trouble, turn),
            }
        }
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.doing {
            Doing::Resting { until } | Doing::BeforeRequest { until, .. } | Doing::BeforeClose { until, .. } => {
                Some(until)
            }
            _ => None,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.doing, Doing::Done)
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.downloads.iter().find_map(|d| d.trouble.as_ref())
    }

    /// One step: `false` when it must wait.
    fn proceed(&mut self, turn: &mut Turn<'_>) -> Result<bool, Trouble> {
        let now = turn.now;
        match &mut self.doing {
            Doing::Resting { until } | Doing::BeforeRequest { until, .. } | Doing::BeforeClose { until, .. }
                if *until > now =>
            {
                return Ok(false);
            }
            Doing::Resting { .. } => self.open(turn)?,
            &mut Doing::Connecting { socket } => match turn.stack.state(socket) {
                State::SynSent | State::SynReceived => return Ok(false),
                State::Closed => return Err(ended(turn, socket)),
                _ => self.doing = Doing::BeforeRequest { socket, until: now + self.config.before_request },
            },
            &mut Doing::BeforeRequest { socket, .. } => {
                turn.stack.write(socket, request(&self.config).as_bytes(), now)?;
                self.doing = Doing::Head { socket, bytes: Vec::new() };
            }
            Doing::Head { socket, bytes } => {
                let mut buffer = [0; READ_SIZE];
                let n = match turn.stack.read(*socket, &mut buffer, now)? {
                    Read::Data(n) => n,
                    Read::Pending => return Ok(false),
                    Read::Eof => return Err(Trouble::BadHead(0)),
                };
                bytes.extend_from_slice(&buffer[..n]);
                if let Some((head, length)) = parse_head(bytes)? {
                    let body = bytes.split_off(head);
                    self.doing = Doing::Body { socket: *socket, length };
                    self.take(&body, length)?;
                }
            }
            &mut Doing::Body { socket, length } => {
                if self.current.bytes == length {
                    self.current.ended = now;
                    self.doing = Doing::BeforeClose { socket, until: now + self.config.before_close };
                    return Ok(true);
                }
                let mut buffer = [0; READ_SIZE];
                match turn.stack.read(socket, &mut buffer, now)? {
                    Read::Data(n) => self.take(&buffer[..n], length)?,
                    Read::Pending => return Ok(false),
                    Read::Eof => return Err(Trouble::Short { got: self.current.bytes, expected: length }),
                }
            }
            &mut Doing::BeforeClose { socket, .. } => {
                turn.stack.release(socket, now);
                self.rest(now);
            }
            Doing::Done => return Ok(false),
        }
        Ok(true)
    }

    fn open(&mut self, turn: &mut Turn<'_>) -> Result<(), Trouble> {
        let port = port_of(self.begun);
        self.begun += 1;
        self.current = Download { port, started: turn.now, ended: turn.now, bytes: 0, trouble: None };
        let local = SocketAddr::new(self.config.local, port);
        let socket = turn.stack.connect(Some(local), self.config.server, turn.now)?;
        self.doing = Doing::Connecting { socket };
        Ok(())
    }

    /// Takes bytes of the file and compares them.
    fn take(&mut self, bytes: &[u8], length: u64) -> Result<(), Trouble> {
        if let Some(at) = self.config.content.first_difference(self.current.bytes, bytes) {
            return Err(Trouble::WrongByte(at));
        }
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.current.bytes += count;
        self.received += count;
        match self.current.bytes.checked_sub(length) {
            None | Some(0) => Ok(()),
            Some(more) => Err(Trouble::TooLong(more)),
        }
    }

    /// Notes the download and waits for the next.
    fn rest(&mut self, now: Instant) {
        self.downloads.push(self.current.clone());
        self.doing = match self.begun < self.config.downloads {
            true => Doing::Resting { until: now + self.config.between },
            false => Doing::Done,
        };
    }

    fn give_up(&mut self, trouble: Trouble, turn: &mut Turn<'_>) {
        if let Some(socket) = self.socket() {
            turn.stack.release(socket, turn.now);
        }
        self.current.trouble = Some(trouble);
        self.current.ended = turn.now;
        self.rest(turn.now);
    }
}

fn ended(turn: &Turn<'_>, socket: SocketId) -> Trouble {
    match turn.stack.close_reason(socket) {
        Some(why) => Trouble::Ended(why),
        None => Trouble::Call(SocketError::BadSocket),
    }
}

/// The article's ports, 37584, 37586 and on; even ones of Linux's ephemeral range, round and round.
fn port_of(download: u64) -> u16 {
    const LOW: u64 = 32_768;
    const EVEN_PORTS: u64 = (61_000 - LOW) / 2;
    let index = ((37_584 - LOW) / 2 + download % EVEN_PORTS) % EVEN_PORTS;
    u16::try_from(LOW + 2 * index).expect("an ephemeral port")
}

/// For the article's file and addresses this request is 151 bytes long, as its wget's was.
fn request(config: &ClientConfig) -> String {
    let host = match config.server.ip() {
        IpAddr::V4(v4) => format!("{v4}"),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    format!(
        "GET {} HTTP/1.1\r\n\
         User-Agent: tidegate-lab/0.1 (wget)\r\n\
         Accept: */*\r\n\
         Accept-Encoding: identity\r\n\
         Host: {host}\r\n\
         Connection: Keep-Alive\r\n\r\n",
        config.path
    )
}

/// The length of a complete response head at the start of `bytes`, and of the body that it announces.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, u64)>, Trouble> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Trouble::BadHead(0)),
    };
    let status = response.code.unwrap_or(0);
    let length = response
        .headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case("content-length"))
        .and_then(|h| core::str::from_utf8(h.value).ok()?.trim().parse().ok());
    match (status, length) {
        (200, Some(length)) => Ok(Some((head, length))),
        _ => Err(Trouble::BadHead(status)),
    }
}

/// One read call.
const READ_SIZE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ClientConfig {
        ClientConfig {
            local: IpAddr::from([192, 168, 131, 132]),
            server: SocketAddr::from(([192, 168, 131, 138], 80)),
            path: "/file_64KB".into(),
            content: Content::new(1),
            downloads: 1,
            start: Instant::ZERO,
            before_request: Duration::ZERO,
            before_close: Duration::ZERO,
            between: Duration::ZERO,
        }
    }

    #[test]
    fn the_articles_request_has_151_bytes() {
        assert_eq!(request(&config()).len(), 151);
    }

    #[test]
    fn ports_begin_with_the_articles_and_stay_in_range() {
        assert_eq!([port_of(0), port_of(1)], [37_584, 37_586]);
        assert_eq!(port_of((61_000 - 37_584) / 2), 32_768);
        assert_eq!(port_of((61_000 - 32_768) / 2), 37_584);
    }

    #[test]
    fn heads_are_understood() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(parse_head(head), Ok(Some((head.len(), 12))));
        assert_eq!(parse_head(&head[..20]), Ok(None));
        assert_eq!(parse_head(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Err(Trouble::BadHead(404)));
        assert_eq!(parse_head(b"nonsense"), Err(Trouble::BadHead(0)));
    }
}
