//! A web server that has one file, as the article's apache2 had.
//!
//! Sections: RFC 9112 (enough of it for GET).
//! In: connections to its port; requests.
//! Out: the file, or 404; it closes a connection after its client has.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use tidegate_proto::net::{SocketError, SocketId, Stack};
use tidegate_proto::tcp::Read;
use tidegate_proto::time::{Duration, Instant};

use super::{Content, Turn};

/// What a server serves, and how fast it thinks.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where it listens.
    pub local: SocketAddr,
    /// The file's path: `/file_64KB`.
    pub path: String,
    /// The file's length, bytes.
    pub size: u64,
    /// The file's content.
    pub content: Content,
    /// From a request to the first byte of its response.
    pub processing: Duration,
    /// From the client's end of stream to the server's close.
    pub think: Duration,
}

/// The server.
#[derive(Clone, Debug)]
pub struct HttpServer {
    config: ServerConfig,
    listener: Option<SocketId>,
    sessions: BTreeMap<SocketId, Session>,
    refused: Option<SocketError>,
}

/// One connection.
#[derive(Clone, Debug)]
struct Session {
    /// Bytes of a request head that is not complete.
    head: Vec<u8>,
    doing: Doing,
    /// The client has closed its side.
    eof: bool,
}

#[derive(Clone, Debug)]
enum Doing {
    /// Waiting for a request.
    Reading,
    /// Thinking about one until then.
    Processing { until: Instant, found: bool },
    /// Sending one.
    Sending(Response),
    /// Everything is sent and the client has closed: waiting until then.
    Leaving { until: Instant },
}

/// A response on its way out.
#[derive(Clone, Debug)]
struct Response {
    head: Vec<u8>,
    /// Bytes of the head that are written.
    head_sent: usize,
    content: Content,
    /// The next byte of the file to write.
    offset: u64,
    /// The file's length, or 0 where there is none.
    end: u64,
}

impl HttpServer {
    /// A server that starts to listen at its first turn.
    pub fn new(config: ServerConfig) -> Self {
        HttpServer { config, listener: None, sessions: BTreeMap::new(), refused: None }
    }

    /// The connections that are open, from the server's point of view.
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.sessions.keys().copied()
    }

    pub(super) fn turn(&mut self, turn: &mut Turn<'_>) {
        if self.listener.is_none() && self.refused.is_none() {
            match turn.stack.listen(self.config.local, BACKLOG) {
                Ok(socket) => self.listener = Some(socket),
                Err(error) => self.refused = Some(error),
            }
        }
        let Some(listener) = self.listener else { return };
        while let Some(socket) = turn.stack.accept(listener, turn.now) {
            self.sessions.insert(socket, Session { head: Vec::new(), doing: Doing::Reading, eof: false });
        }
        let config = &self.config;
        self.sessions.retain(|&socket, session| {
            let open = session.proceed(config, socket, turn.stack, turn.now).unwrap_or(false);
            if !open {
                turn.stack.release(socket, turn.now);
            }
            open
        });
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        if self.listener.is_none() && self.refused.is_none() {
            return Some(Instant::ZERO);
        }
        self.sessions.values().filter_map(Session::wake_at).min()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.refused.is_none() && self.sessions.is_empty()
    }
}

impl Session {
    /// Goes on until it must wait: `false` when the connection may be let go.
    fn proceed(
        &mut self,
        config: &ServerConfig,
        socket: SocketId,
        stack: &mut Stack,
        now: Instant,
    ) -> Result<bool, SocketError> {
        loop {
            self.read(socket, stack, now)?;
            match &mut self.doing {
                Doing::Reading => match parse_request(&self.head) {
                    Some((length, path)) => {
                        let found = path == config.path;
                        self.head.drain(..length);
                        self.doing = Doing::Processing { until: now + config.processing, found };
                    }
                    None if self.head.len() >= LONGEST_HEAD => {
                        self.head.clear();
                        self.doing = Doing::Processing { until: now + config.processing, found: false };
                    }
                    None if self.eof => self.doing = Doing::Leaving { until: now + config.think },
                    None => return Ok(true),
                },
                Doing::Processing { until, .. } if *until > now => return Ok(true),
                Doing::Processing { found, .. } => {
                    let end = if *found { config.size } else { 0 };
                    let head = response_head(*found, end);
                    let content = config.content;
                    self.doing = Doing::Sending(Response { head, head_sent: 0, content, offset: 0, end });
                }
                Doing::Sending(response) => {
                    if !response.send(socket, stack, now)? {
                        return Ok(true);
                    }
                    self.doing = Doing::Reading;
                }
                Doing::Leaving { until } => return Ok(*until > now),
            }
        }
    }

    fn read(&mut self, socket: SocketId, stack: &mut Stack, now: Instant) -> Result<(), SocketError> {
        let mut buffer = [0; 4096];
        while !self.eof && self.head.len() < LONGEST_HEAD {
            match stack.read(socket, &mut buffer, now)? {
                Read::Data(n) => self.head.extend_from_slice(&buffer[..n]),
                Read::Eof => self.eof = true,
                Read::Pending => break,
            }
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        match self.doing {
            Doing::Processing { until, .. } | Doing::Leaving { until } => Some(until),
            Doing::Reading | Doing::Sending(_) => None,
        }
    }
}

impl Response {
    /// Writes head and file together, as a program that gathers its output does: `true` when all is written.
    fn send(&mut self, socket: SocketId, stack: &mut Stack, now: Instant) -> Result<bool, SocketError> {
        let mut buffer = vec![0; WRITE_SIZE];
        while self.head_sent < self.head.len() || self.offset < self.end {
            let rest = &self.head[self.head_sent..];
            let from_head = rest.len().min(WRITE_SIZE);
            let from_file = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX).min(WRITE_SIZE - from_head);
            buffer[..from_head].copy_from_slice(&rest[..from_head]);
            self.content.fill(self.offset, &mut buffer[from_head..from_head + from_file]);
            let written = stack.write(socket, &buffer[..from_head + from_file], now)?;
            self.head_sent += written.min(from_head);
            self.offset += u64::try_from(written.saturating_sub(from_head)).unwrap_or(0);
            if written < from_head + from_file {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The length and the path of a complete GET request at the start of `bytes`.
fn parse_request(bytes: &[u8]) -> Option<(usize, String)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let path = request.path.filter(|_| request.method == Some("GET")).unwrap_or("");
            Some((length, String::from(path)))
        }
        Ok(httparse::Status::Partial) => None,
        // Nonsense is answered like an unknown path; all of it is taken.
        Err(_) => Some((bytes.len(), String::new())),
    }
}

/// For the article's file this head is 264 bytes long, as its apache2's was.
fn response_head(found: bool, size: u64) -> Vec<u8> {
    let status = if found { "200 OK" } else { "404 Not Found" };
    let head = format!(
        "HTTP/1.1 {status}\r\n\
         Date: Thu, 01 Jan 2026 10:09:11 GMT\r\n\
         Server: tidegate-lab/0.1 (virtual)\r\n\
         Last-Modified: Thu, 01 Jan 2026 10:00:00 GMT\r\n\
         ETag: \"{size:x}-of-tidegate-lab\"\r\n\
         Accept-Ranges: bytes\r\n\
         Content-Length: {size}\r\n\
         Connection: Keep-Alive\r\n\
         Content-Type: text/plain\r\n\r\n"
    );
    head.into_bytes()
}

/// apache2's ListenBacklog.
const BACKLOG: usize = 511;
/// One write call of the server.
const WRITE_SIZE: usize = 128 * 1024;
/// A request head longer than this is not read any further.
const LONGEST_HEAD: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_for_the_articles_file_has_264_bytes() {
        assert_eq!(response_head(true, 65_536).len(), 264);
    }

    #[test]
    fn requests_are_recognized_once_they_are_complete() {
        assert_eq!(parse_request(b"GET /a HTTP/1.1\r\nHost: b\r\n"), None);
        assert_eq!(parse_request(b"GET /a HTTP/1.1\r\nHost: b\r\n\r\nGET"), Some((28, "/a".into())));
        assert_eq!(parse_request(b"PUT /a HTTP/1.1\r\n\r\n"), Some((19, String::new())));
        assert_eq!(parse_request(b"\x00\x01"), Some((2, String::new())));
    }
}
