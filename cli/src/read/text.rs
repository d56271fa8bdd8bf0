//! Segments in text: what tcpdump prints, or an article that quotes it.
//!
//! Sections: none; tcpdump 4.99's one-line format, with and without -v, -e, -S, -#, -t, -tt, -tttt, -ttttt.
//! In: lines in which a record may begin anywhere: numbered or not, several on a line, with prose around them, the
//! same one quoted more than once.
//! Out: a [`Record`] each, with absolute numbers: tcpdump's relative ones are undone by the table it keeps.

use std::collections::hash_map::{DefaultHasher, HashMap};
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::io::{self, BufRead, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::Record;
use tidegate_proto::wire::{Flags, Header, Options, SackBlock, Seq, Timestamps};

/// Reads records out of text.
pub(crate) struct Text<R> {
    source: R,
    /// Read, but more of their payload may follow on lines of its own.
    held: VecDeque<Record>,
    numbers: Numbers,
    quoted: Quoted,
    clock: Clock,
    /// The stamp of a record whose addresses stand on the next line (-v).
    stamp: Option<Stamp>,
    last_number: u64,
    /// Records that name a host where an address is needed.
    named: u64,
    ended: bool,
}

impl<R: BufRead> Text<R> {
    pub(crate) fn new(source: R) -> Self {
        Text {
            source,
            held: VecDeque::new(),
            numbers: Numbers::default(),
            quoted: Quoted::default(),
            clock: Clock::default(),
            stamp: None,
            last_number: 0,
            named: 0,
            ended: false,
        }
    }

    /// One line without its end, or `None` at the end of the text. A line longer than any capture's is cut.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        self.source.by_ref().take(LINE).read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line);
        Ok((!line.is_empty()).then(|| text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    fn scan(&mut self, line: &str) {
        let mut from = 0;
        for (at, _) in line.match_indices(ANCHOR) {
            let Some(head) = line.get(from..at) else { continue };
            let stamp = Stamp::in_words(head).or(self.stamp.take());
            let Some((src, dst)) = sockets(head) else {
                self.named += u64::from(names_hosts(head));
                continue;
            };
            let body = line.get(at + ANCHOR.len()..).unwrap_or_default();
            let until = body.find(ANCHOR).unwrap_or(body.len());
            let Some((printed, used)) = Printed::parse(body.get(..until).unwrap_or_default()) else { continue };
            from = at + ANCHOR.len() + used;
            self.take(stamp, src, dst, &printed);
        }
        if from == 0 {
            self.stamp = Stamp::in_words(line);
        }
    }

    fn take(&mut self, stamp: Option<Stamp>, src: SocketAddr, dst: SocketAddr, printed: &Printed) {
        if stamp.as_ref().is_some_and(|stamp| !self.quoted.is_new(stamp, src, dst, printed)) {
            return;
        }
        let (seq, ack) = self.numbers.absolute(src, dst, printed);
        let mut options = printed.options.clone();
        for block in &mut options.sack {
            let base = self.numbers.peer_base(src, dst, printed);
            (block.start, block.end) = (block.start + base, block.end + base);
        }
        let header = Header {
            src_port: src.port(),
            dst_port: dst.port(),
            seq: Seq(seq),
            ack: Seq(ack),
            flags: printed.flags,
            window: printed.window,
            urgent: printed.urgent,
            options,
        };
        let number = stamp.as_ref().and_then(|stamp| stamp.number).filter(|&n| n > self.last_number);
        self.last_number = number.unwrap_or(self.last_number + 1);
        let ip_header = if src.is_ipv4() { 20 } else { 40 };
        self.held.push_back(Record {
            number: self.last_number,
            time: self.clock.at(stamp),
            src,
            dst,
            header,
            header_len: ip_header + 20 + printed.options_len.next_multiple_of(4),
            payload_len: printed.len,
            payload: printed.payload.clone(),
            interface: 0,
            cause: None,
            note: None,
            verdict: None,
        });
    }

    /// A line of payload that belongs to the last record (-v).
    fn take_payload(&mut self, line: &str) {
        if let Some(record) = self.held.back_mut() {
            let room = PAYLOAD.saturating_sub(record.payload.len());
            let mut payload = record.payload.to_vec();
            payload.extend(line.bytes().take(room.saturating_sub(2)));
            payload.extend(b"\r\n".iter().take(room));
            record.payload = Bytes::from(payload);
        }
    }
}

impl<R: BufRead> Iterator for Text<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<io::Result<Record>> {
        while self.held.len() < 2 && !self.ended {
            self.ended = self.clock.shows_differences;
            match self.line() {
                Ok(Some(line)) => match line.strip_prefix('\t') {
                    Some(payload) if !payload.starts_with("0x") && !payload.contains(ANCHOR) => {
                        self.take_payload(payload);
                    }
                    _ => self.scan(&line),
                },
                Ok(None) => self.ended = true,
                Err(e) => {
                    self.ended = true;
                    return Some(Err(e));
                }
            }
        }
        if self.clock.shows_differences {
            self.held.clear();
            self.clock.shows_differences = false;
            let why = "the times are differences (tcpdump -ttt), which do not say when what was captured: print it without -ttt";
            return Some(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        let record = self.held.pop_front().map(Ok);
        record.or_else(|| match std::mem::take(&mut self.named) {
            0 => None,
            n => {
                let (segments, them) = if n == 1 { ("segment", "it") } else { ("segments", "them") };
                let why = format!("{n} {segments} left out for want of addresses: print {them} with tcpdump -n");
                Some(Err(io::Error::other(why)))
            }
        })
    }
}

/// What stands between `Flags [` and the end of a record.
#[derive(Debug, Default)]
struct Printed {
    flags: Flags,
    seq: Option<u32>,
    ack: Option<u32>,
    window: u16,
    urgent: u16,
    options: Options,
    options_len: u32,
    len: u32,
    payload: Bytes,
}

impl Printed {
    /// The record and how many bytes of `text` it took.
    fn parse(text: &str) -> Option<(Printed, usize)> {
        let (letters, mut rest) = text.split_once(']')?;
        let mut printed = Printed { flags: flags(letters)?, ..Printed::default() };
        let mut has_length = false;
        while let Some(field) = rest.strip_prefix(", ") {
            if let Some(list) = field.strip_prefix("options [") {
                let (list, behind) = list.split_once(']')?;
                (printed.options, printed.options_len) = options(list);
                rest = behind;
                continue;
            }
            let end = field.find([',', ':', ' ']).unwrap_or(field.len());
            let (name, value) = field.split_at(end);
            let value = value.strip_prefix(' ')?;
            let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            let (number, behind) = value.split_at(digits);
            match name {
                "seq" => printed.seq = Some(number.parse().ok()?),
                "ack" => printed.ack = Some(number.parse().ok()?),
                "win" => printed.window = number.parse().ok()?,
                "urg" => printed.urgent = number.parse().ok()?,
                "length" => {
                    (printed.len, has_length) = (number.parse().ok()?, true);
                    rest = behind;
                    break;
                }
                "cksum" => {}
                _ => return None,
            }
            // The end of a range, or a checksum and what is thought of it: the length says it better.
            rest = behind.get(behind.find(',').unwrap_or(behind.len())..)?;
        }
        if !has_length {
            return None;
        }
        let used = text.len() - rest.len();
        let line = rest.strip_prefix(": HTTP: ").map(|line| without_next_stamp(line).trim_end()).unwrap_or_default();
        if !line.is_empty() {
            let mut payload: Vec<u8> = line.bytes().take(PAYLOAD).collect();
            payload.extend(b"\r\n");
            printed.payload = Bytes::from(payload);
        }
        Some((printed, used))
    }
}

/// `line` up to the number and the stamp of the record behind it, if one is.
fn without_next_stamp(line: &str) -> &str {
    let Some(stamp) = words(line).find(|(_, word)| Time::parse(word).is_some()) else { return line };
    let mut end = stamp.0;
    // A record's own number, and an article's number of the line before it. What is left needs its two words at
    // least: a request's method and target, or a version and a status.
    for _ in 0..2 {
        let before: Vec<_> = words(line.get(..end).unwrap_or_default()).collect();
        match before.as_slice() {
            [_, _, .., (at, word)] if word.bytes().all(|b| b.is_ascii_digit()) => end = *at,
            _ => break,
        }
    }
    line.get(..end).unwrap_or(line)
}

/// The words of a text and where they begin.
fn words(text: &str) -> impl DoubleEndedIterator<Item = (usize, &str)> {
    text.split_ascii_whitespace().map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// tcpdump's letters.
fn flags(letters: &str) -> Option<Flags> {
    let mut flags = Flags::NONE;
    if letters == "none" {
        return Some(flags);
    }
    for letter in letters.chars() {
        flags |= match letter {
            'F' => Flags::FIN,
            'S' => Flags::SYN,
            'R' => Flags::RST,
            'P' => Flags::PSH,
            '.' => Flags::ACK,
            'U' => Flags::URG,
            'E' => Flags::ECE,
            'W' => Flags::CWR,
            'e' => Flags::AE,
            _ => return None,
        };
    }
    Some(flags)
}

/// The options that we understand, and how many bytes all of them took.
fn options(list: &str) -> (Options, u32) {
    let mut options = Options::default();
    let mut len = 0;
    for option in list.split(',') {
        let mut words = option.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
        len += match name {
            "nop" | "eol" => 1,
            "mss" => {
                options.mss = number().and_then(|n| u16::try_from(n).ok());
                4
            }
            "wscale" => {
                options.window_scale = number().and_then(|n| u8::try_from(n).ok());
                3
            }
            "sackOK" => {
                options.sack_permitted = true;
                2
            }
            "TS" => {
                let mut next = || words.by_ref().find_map(|word| word.parse::<u32>().ok());
                if let (Some(val), Some(ecr)) = (next(), next()) {
                    options.timestamps = Some(Timestamps { val, ecr });
                }
                10
            }
            "sack" => {
                let blocks = option.split('{').skip(1).filter_map(|block| block.strip_suffix('}')?.split_once(':'));
                for (start, end) in blocks {
                    if let (Ok(start), Ok(end)) = (start.parse(), end.parse()) {
                        // A header has no room for more than four.
                        let _ = options.sack.try_push(SackBlock { start: Seq(start), end: Seq(end) });
                    }
                }
                2 + 8 * u32::try_from(options.sack.len()).unwrap_or(0)
            }
            "md5" => 18,
            "tfo" | "exp-tfo" | "uto" | "mptcp" => 4,
            _ => 2,
        };
    }
    (options, len.min(40))
}

/// `SRC.PORT > DST.PORT:` at the end of `head`.
fn sockets(head: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = words(head).rev().map(|(_, word)| word);
    let dst = socket(words.next()?.strip_suffix(':')?)?;
    (words.next()? == ">").then_some(())?;
    Some((socket(words.next()?)?, dst))
}

/// `host.domain.port > host.domain.port:` at the end of `head`.
fn names_hosts(head: &str) -> bool {
    let mut words = words(head).rev().map(|(_, word)| word);
    let is_socket = |word: Option<&str>| word.is_some_and(|word| word.contains('.'));
    is_socket(words.next().and_then(|word| word.strip_suffix(':')))
        && words.next() == Some(">")
        && is_socket(words.next())
}

fn socket(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.rsplit_once('.')?;
    let ip = ip.parse::<Ipv4Addr>().map(IpAddr::V4).or_else(|_| ip.parse::<Ipv6Addr>().map(IpAddr::V6)).ok()?;
    let port = port.parse().ok().or_else(|| SERVICES.iter().find(|(name, _)| *name == port).map(|(_, port)| *port))?;
    Some(SocketAddr::new(ip, port))
}

/// What stands before a record's addresses: its time, and perhaps its number.
#[derive(Clone, Debug)]
struct Stamp {
    time: Time,
    number: Option<u64>,
}

/// A time as printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Time {
    /// Since midnight of an unknown day, or of one that is named before it.
    OfDay { day: Option<u64>, nanos: u64 },
    /// Since the epoch (-tt).
    Epoch(u64),
}

impl Stamp {
    /// The last stamp among the words of `text`.
    fn in_words(text: &str) -> Option<Stamp> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let at = words.iter().rposition(|word| Time::parse(word).is_some())?;
        let mut before = words.get(..at)?.iter().rev();
        let mut time = Time::parse(words.get(at)?)?;
        let mut number = before.next();
        if let (Time::OfDay { day, .. }, Some(date)) = (&mut time, number.and_then(|word| days_to(word))) {
            *day = Some(date);
            number = before.next();
        }
        Some(Stamp { time, number: number.and_then(|word| word.parse().ok()) })
    }
}

impl Time {
    /// `10:09:11.163215` or `1700000000.163215`, with six digits or nine behind the point.
    fn parse(word: &str) -> Option<Time> {
        let (whole, fraction) = word.split_once('.')?;
        if !matches!(fraction.len(), 6 | 9) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let unit = if fraction.len() == 6 { 1_000 } else { 1 };
        let nanos = fraction.parse::<u64>().ok()? * unit;
        if let Ok(seconds) = whole.parse::<u64>() {
            return Some(Time::Epoch(seconds.checked_mul(SECOND)?.checked_add(nanos)?));
        }
        let mut parts = whole.split(':').map(|part| (part.len() == 2).then(|| part.parse::<u64>().ok())?);
        let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
        let valid = hours < 24 && minutes < 60 && seconds <= 60 && parts.next().is_none();
        valid.then_some(Time::OfDay { day: None, nanos: ((hours * 60 + minutes) * 60 + seconds) * SECOND + nanos })
    }
}

/// Days from the epoch to a date like `2018-03-07`.
fn days_to(date: &str) -> Option<u64> {
    let date: jiff::civil::Date = date.parse().ok()?;
    let epoch = jiff::civil::date(1970, 1, 1);
    u64::try_from(epoch.until(date).ok()?.get_days()).ok()
}

/// Turns printed times into instants.
#[derive(Debug, Default)]
struct Clock {
    /// The latest time of day, and how many midnights lie before it.
    latest: u64,
    days: u64,
    now: Instant,
    /// The first stamp was zero (-ttt, -ttttt).
    from_zero: Option<bool>,
    /// And a later one was smaller than the one before it (-ttt).
    shows_differences: bool,
}

impl Clock {
    /// A record without a stamp (-t) has the time of the one before it.
    fn at(&mut self, stamp: Option<Stamp>) -> Instant {
        let nanos = match stamp.map(|stamp| stamp.time) {
            None => return self.now,
            Some(Time::Epoch(nanos)) => nanos,
            Some(Time::OfDay { day: Some(day), nanos }) => day.saturating_mul(DAY).saturating_add(nanos),
            Some(Time::OfDay { day: None, nanos }) => {
                let from_zero = *self.from_zero.get_or_insert(nanos == 0);
                self.shows_differences |= from_zero && nanos < self.latest;
                if nanos.saturating_add(DAY / 2) < self.latest {
                    self.days += 1;
                    self.latest = 0;
                }
                self.latest = self.latest.max(nanos);
                self.days.saturating_mul(DAY).saturating_add(nanos)
            }
        };
        self.now = Instant::ZERO + Duration::from_nanos(nanos);
        self.now
    }
}

/// Records seen lately, so that one that is quoted again counts once. tcpdump's microseconds tell apart what differs.
#[derive(Debug, Default)]
struct Quoted {
    seen: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Quoted {
    fn is_new(&mut self, stamp: &Stamp, src: SocketAddr, dst: SocketAddr, printed: &Printed) -> bool {
        let mut hasher = DefaultHasher::new();
        let numbers = (printed.flags, printed.seq, printed.ack, printed.window, printed.len);
        (stamp.time, src, dst, numbers, printed.options.timestamps).hash(&mut hasher);
        let hash = hasher.finish();
        if !self.seen.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > QUOTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }
}

/// tcpdump's table of bases. It never forgets; ours starts anew when it has grown too large, which costs the absolute
/// numbers of conversations under way, not the relative ones.
#[derive(Debug, Default)]
struct Numbers {
    bases: HashMap<(SocketAddr, SocketAddr), Bases>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bases {
    /// What relative numbers count from: of the lower socket, and of the higher.
    base: [u32; 2],
    /// The number behind everything each has sent, absolute: what its bare acknowledgements carry unprinted.
    next: [u32; 2],
    /// The text was printed with -S. Decided by the first record that shows it.
    absolute: Option<bool>,
}

impl Numbers {
    fn absolute(&mut self, src: SocketAddr, dst: SocketAddr, printed: &Printed) -> (u32, u32) {
        let Some(ack) = printed.ack else { return (printed.seq.unwrap_or(0), 0) };
        let (key, me, peer) = key(src, dst);
        let size = printed.len + u32::from(printed.flags.has(Flags::SYN)) + u32::from(printed.flags.has(Flags::FIN));
        if self.bases.len() >= TABLE && !self.bases.contains_key(&key) {
            self.bases.clear();
        }
        match self.bases.get_mut(&key) {
            Some(bases) if !printed.flags.has(Flags::SYN) => {
                let is_absolute = *bases.absolute.get_or_insert_with(|| {
                    let expected = bases.next[peer];
                    let distance = |n: u32| Seq(n).distance(Seq(expected)).unsigned_abs();
                    distance(ack) < distance(ack.wrapping_add(bases.base[peer]))
                });
                let full = |n: u32, base: u32| if is_absolute { n } else { n.wrapping_add(base) };
                let seq = printed.seq.map_or(bases.next[me], |seq| full(seq, bases.base[me]));
                let end = seq.wrapping_add(size);
                if Seq(end).distance(Seq(bases.next[me])) > 0 {
                    bases.next[me] = end;
                }
                (seq, full(ack, bases.base[peer]))
            }
            _ => {
                let seq = printed.seq.unwrap_or(0);
                let mut bases = Bases::default();
                (bases.base[me], bases.next[me]) = (seq, seq.wrapping_add(size));
                (bases.base[peer], bases.next[peer]) = (ack.wrapping_sub(1), ack);
                self.bases.insert(key, bases);
                (seq, ack)
            }
        }
    }

    /// What SACK blocks count from: the peer's base, unless they are absolute.
    fn peer_base(&self, src: SocketAddr, dst: SocketAddr, printed: &Printed) -> u32 {
        let (key, _, peer) = key(src, dst);
        let bases = self.bases.get(&key).filter(|bases| bases.absolute == Some(false) && printed.ack.is_some());
        bases.map_or(0, |bases| bases.base[peer])
    }
}

/// The same key for both directions, and which of its two the sender and the receiver are.
fn key(src: SocketAddr, dst: SocketAddr) -> ((SocketAddr, SocketAddr), usize, usize) {
    if src <= dst { ((src, dst), 0, 1) } else { ((dst, src), 1, 0) }
}

/// What every TCP record contains.
const ANCHOR: &str = "Flags [";
/// The longest line read as one, bytes.
const LINE: u64 = 1 << 20;
/// How much payload is kept per record: enough for a head's first lines.
const PAYLOAD: usize = 2048;
/// How many records are remembered for the case that they are quoted again.
const QUOTED: usize = 1 << 16;
/// How many conversations the table of bases holds.
const TABLE: usize = 1 << 18;
const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;
/// Names that tcpdump prints instead of ports when it is not given -n.
const SERVICES: [(&str, u16); 6] =
    [("http", 80), ("https", 443), ("http-alt", 8080), ("ssh", 22), ("domain", 53), ("smtp", 25)];

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<Record> {
        Text::new(text.as_bytes()).map(|record| record.expect("text in memory")).collect()
    }

    const CAPTURE: &str = include_str!("../../tests/fixtures/seed-capture.txt");
    const ARTICLE: &str = include_str!("../../tests/fixtures/seed-article.zh.txt");

    /// The article quotes most segments twice, several on a line, with numbers and prose around them.
    #[test]
    fn the_article_holds_the_same_records_as_its_capture() {
        let (capture, article) = (records(CAPTURE), records(ARTICLE));
        assert_eq!(capture.len(), 46);
        let unnumbered = |records: &[Record]| -> Vec<Record> {
            records.iter().map(|record| Record { number: 0, ..record.clone() }).collect()
        };
        assert_eq!(unnumbered(&capture), unnumbered(&article));
        let numbers: Vec<u64> = article.iter().map(|record| record.number).collect();
        assert_eq!(numbers, (1..=26).chain(29..=48).collect::<Vec<u64>>());
    }

    #[test]
    fn relative_numbers_become_absolute() {
        let records = records(CAPTURE);
        let third = &records[2].header;
        assert_eq!((third.seq, third.ack), (Seq(3_124_300_131), Seq(2_508_684_483)));
        let last = &records[25].header;
        assert_eq!((last.seq, last.ack), (Seq(3_124_300_130 + 153), Seq(2_508_684_482 + 65_802)));
    }

    #[test]
    fn absolute_numbers_stay() {
        let text = "\
10:09:11.163215 IP 1.0.0.1.5000 > 1.0.0.2.80: Flags [S], seq 3124300130, win 29200, length 0
10:09:11.163355 IP 1.0.0.2.80 > 1.0.0.1.5000: Flags [S.], seq 2508684482, ack 3124300131, win 28960, length 0
10:09:11.163390 IP 1.0.0.1.5000 > 1.0.0.2.80: Flags [.], ack 2508684483, win 229, length 0
10:09:11.163458 IP 1.0.0.1.5000 > 1.0.0.2.80: Flags [P.], seq 3124300131:3124300282, ack 2508684483, win 229, length 151
";
        let records = records(text);
        assert_eq!((records[2].header.seq, records[2].header.ack), (Seq(3_124_300_131), Seq(2_508_684_483)));
        assert_eq!((records[3].header.seq, records[3].payload_len), (Seq(3_124_300_131), 151));
    }

    #[test]
    fn every_way_to_print_the_time_is_read() {
        let record = "IP 1.0.0.1.1 > 1.0.0.2.2: Flags [S], seq 7, win 1, length 0";
        for (stamp, nanos) in [
            ("10:09:11.163215", 36_551_163_215_000),
            ("1700000000.163215", 1_700_000_000_163_215_000),
            ("1970-01-02 00:00:01.000001", 86_401_000_001_000),
            ("    3  00:00:00.000000009", 9),
            ("", 0),
        ] {
            let found = records(&format!("{stamp} {record}\n"));
            assert_eq!(found.iter().map(|r| r.time.as_nanos()).collect::<Vec<_>>(), [nanos], "{stamp}");
        }
    }

    #[test]
    fn a_verbose_record_stands_on_several_lines() {
        let text = "\
10:09:11.163458 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto TCP (6), length 203)
    1.0.0.1.5000 > 1.0.0.2.80: Flags [P.], cksum 0x1234 (correct), seq 1:28, ack 1, win 229, length 27: HTTP, length: 27
\tGET / HTTP/1.1
\tHost: b
\t
";
        let records = records(text);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].time.as_nanos(), 36_551_163_458_000);
        assert_eq!(&records[0].payload[..], b"GET / HTTP/1.1\r\nHost: b\r\n\r\n");
    }

    #[test]
    fn ipv6_and_sack_are_read() {
        let text = "\
1.000000 IP6 2001:db8::1.5000 > 2001:db8::2.80: Flags [.], seq 100:110, ack 200, win 9, length 10
2.000000 IP6 2001:db8::2.80 > 2001:db8::1.5000: Flags [.], ack 11, win 9, options [nop,nop,sack 1 {21:31}], length 0
";
        let records = records(text);
        assert_eq!(records[1].header.ack, Seq(111));
        assert_eq!(records[1].header.options.sack[0], SackBlock { start: Seq(121), end: Seq(131) });
        assert_eq!((records[0].header_len, records[1].header_len), (60, 72));
    }

    #[test]
    fn times_since_the_first_record_are_read_and_differences_are_not() {
        let text = |stamps: [&str; 3]| -> String {
            let record = |(at, stamp): (usize, &str)| {
                format!(" 00:00:00.{stamp} IP 1.0.0.1.1 > 1.0.0.2.2: Flags [S], seq {at}, win 1, length 0\n")
            };
            stamps.into_iter().enumerate().map(record).collect()
        };
        let since = records(&text(["000000", "000140", "000175"]));
        assert_eq!(since[2].time.since(since[0].time), Duration::from_micros(175));
        let between = text(["000000", "000140", "000035"]);
        let error = Text::new(between.as_bytes()).find_map(Result::err).expect("35 us after 140 us");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn names_instead_of_addresses_are_complained_about() {
        let text = "\
1.000000 IP a.example.5000 > b.example.http: Flags [S], seq 7, win 9, length 0
2.000000 IP 1.0.0.1.5000 > 1.0.0.2.http: Flags [S], seq 7, win 9, length 0
";
        let mut found = Text::new(text.as_bytes());
        assert_eq!(found.next().expect("one").expect("has addresses").dst.port(), 80);
        let complaint = found.next().expect("the other").expect_err("has none").to_string();
        assert!(complaint.starts_with("1 segment left out"), "{complaint}");
        assert!(found.next().is_none());
    }

    #[test]
    fn midnight_passes() {
        let record = |stamp: &str, seq: u32| {
            format!("{stamp} IP 1.0.0.1.1 > 1.0.0.2.2: Flags [S], seq {seq}, win 1, length 0\n")
        };
        let records = records(&(record("23:59:59.000000", 1) + &record("00:00:01.000000", 2)));
        assert_eq!(records[1].time.since(records[0].time), Duration::from_secs(2));
    }
}
