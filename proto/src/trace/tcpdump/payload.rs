//! A hint of what a segment carries: the first line of protocols made of text.
//!
//! Sections: RFC 9110 9; RFC 7826 13; RFC 4253 4.2. FTP and SMTP are recognised by port alone.
//! In: the ports and the data.
//! Out: `: HTTP: GET / HTTP/1.1` and the like; all the lines with `-v`.

use super::bytes::{Captured, CutShort};
use super::line::Line;
use super::put;

/// Prints the hint, if one of the ports has a printer.
pub(super) fn print(line: &mut Line, ports: [u16; 2], data: Captured, length: u32) -> Result<(), CutShort> {
    let Some(text) = PROTOCOLS.iter().find(|text| text.ports.iter().any(|port| ports.contains(port))) else {
        return Ok(());
    };
    line.protocol = text.protocol;
    if text.protocol == "ssh" {
        return print_ssh(line, data, length);
    }
    put!(line, ": {}", text.name);
    if !text.methods.is_empty() && !is_message(text.methods, data, length) {
        return Ok(());
    }
    if !line.options.verbose {
        return print_line(line, ": ", data, 0, length).map(drop);
    }
    put!(line, ", length: {length}");
    let mut at = 0;
    while at < length {
        match print_line(line, "\n\t", data, at, length)? {
            Some(end) => at = end,
            None => break,
        }
    }
    Ok(())
}

/// True if the data starts with a known method, or with a status line.
fn is_message(methods: &[&str], data: Captured, length: u32) -> bool {
    let Some((first, next)) = token(data, 0, length) else { return false };
    let is_method = |method: &&str| first.eq_ignore_ascii_case(method.as_bytes());
    if methods.iter().any(is_method) {
        return true;
    }
    token(data, next, length).is_some_and(|(second, _)| second.len() == 3 && second.iter().all(u8::is_ascii_digit))
}

/// The word at `at`, and where the next one starts.
fn token(data: Captured<'_>, at: u32, length: u32) -> Option<(&[u8], u32)> {
    let mut end = at;
    while end < length {
        match data.u8(end).ok()? {
            b' ' | b'\t'..=b'\r' => break,
            byte if byte.is_ascii_graphic() => end += 1,
            _ => return None,
        }
    }
    let word_length = end - at;
    if word_length == 0 || word_length > LONGEST_TOKEN {
        return None;
    }
    let mut next = end;
    while next < length && data.u8(next) == Ok(b' ') {
        next += 1;
    }
    Some((data.slice(at, word_length).ok()?, next))
}

/// Prints the line of text at `at` and returns where the next one starts; `None` if this is the last one to show.
fn print_line(line: &mut Line, prefix: &str, data: Captured, at: u32, length: u32) -> Result<Option<u32>, CutShort> {
    let (end, next) = match end_of_line(data, at, length)? {
        End::Binary => return Ok(None),
        End::Line { end, next } => (end, Some(next)),
        End::Data => (length, None),
    };
    put!(line, "{prefix}");
    line.write_bytes(data.slice(at, end - at)?);
    if next.is_none() {
        line.cut_short();
    }
    Ok(next)
}

/// How a line of text ends.
enum End {
    /// At `end`; the next one starts at `next`.
    Line { end: u32, next: u32 },
    /// With the data.
    Data,
    /// It is none.
    Binary,
}

fn end_of_line(data: Captured, at: u32, length: u32) -> Result<End, CutShort> {
    for end in at..length {
        match data.u8(end)? {
            b'\n' => return Ok(End::Line { end, next: end + 1 }),
            // A return without a newline is no text, and neither is one at the very end.
            b'\r' if end + 1 < length && data.u8(end + 1)? == b'\n' => return Ok(End::Line { end, next: end + 2 }),
            b'\t' | b' '..=b'~' => {}
            _ => return Ok(End::Binary),
        }
    }
    Ok(End::Data)
}

/// The version line with which SSH starts, and nothing else of it.
fn print_ssh(line: &mut Line, data: Captured, length: u32) -> Result<(), CutShort> {
    // Like tcpdump: a segment shorter than this is missing something.
    for (at, expected) in (0..).zip(*b"SSH-") {
        if data.u8(at)? != expected {
            return Ok(());
        }
    }
    if let End::Line { end, .. } = end_of_line(data, 0, length)? {
        put!(line, ": SSH: ");
        line.write_bytes(data.slice(0, end)?);
    }
    Ok(())
}

/// A protocol made of lines of text.
struct Text {
    ports: &'static [u16],
    protocol: &'static str,
    name: &'static str,
    /// First words that make a message; empty if every line is shown.
    methods: &'static [&'static str],
}

/// tcpdump's buffer for a word.
const LONGEST_TOKEN: u32 = 127;

/// In the order in which tcpdump asks.
const PROTOCOLS: [Text; 5] = [
    Text { ports: &[25], protocol: "smtp", name: "SMTP", methods: &[] },
    Text { ports: &[22], protocol: "ssh", name: "SSH", methods: &[] },
    Text { ports: &[21], protocol: "ftp", name: "FTP", methods: &[] },
    Text { ports: &[80, 8080], protocol: "http", name: "HTTP", methods: HTTP_METHODS },
    Text { ports: &[554, 8554], protocol: "rtsp", name: "RTSP", methods: RTSP_METHODS },
];

const HTTP_METHODS: &[&str] = &[
    "GET",
    "PUT",
    "COPY",
    "HEAD",
    "LOCK",
    "MOVE",
    "POLL",
    "POST",
    "BCOPY",
    "BMOVE",
    "MKCOL",
    "TRACE",
    "LABEL",
    "MERGE",
    "DELETE",
    "SEARCH",
    "UNLOCK",
    "REPORT",
    "UPDATE",
    "NOTIFY",
    "BDELETE",
    "CONNECT",
    "OPTIONS",
    "CHECKIN",
    "PROPFIND",
    "CHECKOUT",
    "CCM_POST",
    "SUBSCRIBE",
    "PROPPATCH",
    "BPROPFIND",
    "BPROPPATCH",
    "UNCHECKOUT",
    "MKACTIVITY",
    "MKWORKSPACE",
    "UNSUBSCRIBE",
    "RPC_CONNECT",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];

const RTSP_METHODS: &[&str] = &[
    "OPTIONS",
    "DESCRIBE",
    "ANNOUNCE",
    "SETUP",
    "PLAY",
    "PAUSE",
    "TEARDOWN",
    "GET_PARAMETER",
    "SET_PARAMETER",
    "REDIRECT",
    "RECORD",
];
