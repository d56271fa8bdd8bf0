//! Where an HTTP/1 head begins, and its first line.
//!
//! Sections: RFC 9112 3 (request line), 4 (status line).
//! In: the captured part of a segment's payload.
//! Out: the first line, and the head's length if the segment holds all of it.

use alloc::string::String;

/// A head that begins with a segment.
#[derive(Debug)]
pub(super) struct Head {
    /// Its first line, printable ASCII only.
    pub(super) line: String,
    pub(super) is_response: bool,
    /// Bytes up to and with the blank line, if captured.
    pub(super) len: Option<u32>,
}

impl Head {
    /// The head that begins at the payload's first byte, if one does.
    pub(super) fn begin(payload: &[u8]) -> Option<Head> {
        if !begins(payload) {
            return None;
        }
        let is_response = payload.starts_with(VERSION);
        let line = payload.split(|&b| b == b'\r' || b == b'\n').next()?;
        // What a peer wrote must not steer a reader's terminal.
        let line = line.iter().take(LINE).map(|&b| if matches!(b, 0x20..=0x7e) { char::from(b) } else { '.' });
        let len = payload.windows(4).position(|four| four == b"\r\n\r\n").and_then(|at| u32::try_from(at + 4).ok());
        Some(Head { line: line.collect(), is_response, len })
    }
}

/// True if a head begins with the payload's first byte.
pub(crate) fn begins(payload: &[u8]) -> bool {
    payload.starts_with(VERSION) || METHODS.iter().any(|method| payload.starts_with(method))
}

/// What a status line begins with.
const VERSION: &[u8] = b"HTTP/1.";
/// The methods of RFC 9110 9.1, and PATCH of RFC 5789.
const METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH "];
/// How much of a line is kept, bytes.
const LINE: usize = 200;
