//! The one-line language of the suite: a segment as tcpdump would print it, with relative numbers.
//!
//! Sections: none of an RFC's.
//! In: `P. 1:1001 ack 1 win 65535 urg 4 <mss 1000,sack 2001:3001> why data`.
//! Out: a [`Line`] to inject or to hold against what was sent; and the text of a real segment.

use std::fmt::Write as _;

use tidegate_proto::tcp::Cause;
use tidegate_proto::wire::{Flags, Header, Options, SackBlock, Seq, Timestamps};

/// One segment as a script writes it. What is absent is, in an expectation, not looked at; except options, where
/// `<>` means none.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) flags: Flags,
    /// Flags that may or may not be set: `p` for PSH, `a` for ACK.
    pub(crate) any: Flags,
    /// First number and the one after the last byte of payload; `*` leaves it open.
    pub(crate) seq: Option<(i64, i64)>,
    pub(crate) ack: Option<i64>,
    pub(crate) win: Option<u16>,
    pub(crate) urg: Option<u16>,
    pub(crate) options: Option<Vec<Opt>>,
    /// Options to inject beside those that the fixture adds by itself.
    pub(crate) beside: Vec<Opt>,
    pub(crate) why: Option<String>,
}

/// One option as a script writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Opt {
    Mss(u16),
    SackOk,
    /// Value and echo, relative to each side's clock. `*` is anything when expected; injected, an echo of nothing.
    Ts(Option<i64>, Option<i64>),
    WScale(u8),
    Sack(Vec<(i64, i64)>),
    /// Bytes that no rule made; only for what goes into a whole host.
    Raw(Vec<u8>),
}

/// Where the numbers of one direction start: sequence, acknowledgement, and both timestamp clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) ts_val: u32,
    pub(crate) ts_ecr: u32,
}

impl Origin {
    pub(crate) fn relative(origin: Seq, seq: Seq) -> i64 {
        i64::from(seq.distance(origin))
    }

    pub(crate) fn absolute(origin: Seq, number: i64) -> Seq {
        Seq(origin.0.wrapping_add(number as u32))
    }
}

impl Line {
    pub(crate) fn parse(text: &str) -> Line {
        let (before, rest) = text.split_once('<').unwrap_or((text, ""));
        let (options, after) = rest.split_once('>').unwrap_or(("", ""));
        let mut words = before.split_whitespace().chain(after.split_whitespace());
        let (flags, any) = parse_flags(words.next().expect("a line starts with flags"));
        let seq = match words.next().expect("a sequence number or range follows the flags") {
            "*" => None,
            range => {
                let (first, end) = range.split_once(':').unwrap_or((range, range));
                Some((number(first), number(end)))
            }
        };
        let mut line =
            Line { flags, any, seq, ack: None, win: None, urg: None, options: None, beside: Vec::new(), why: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value: {text}"));
            match word {
                "ack" => line.ack = Some(number(value())),
                "win" => line.win = Some(number(value()) as u16),
                "urg" => line.urg = Some(number(value()) as u16),
                "why" => line.why = Some(value().to_owned()),
                _ => panic!("`{word}` in `{text}`"),
            }
        }
        if text.contains('<') {
            let options = options.split(',').map(str::trim).filter(|word| !word.is_empty());
            line.options = Some(options.map(parse_option).collect());
        }
        line
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.seq.map_or(0, |(first, end)| (end - first) as usize)
    }

    /// The header to inject. Options that only bytes can say are left out of it.
    pub(crate) fn header(&self, origin: Origin, window: u16) -> Header {
        let (first, _) = self.seq.expect("an injected segment has a sequence number");
        Header {
            src_port: 0,
            dst_port: 0,
            seq: Origin::absolute(origin.seq, first),
            ack: self.ack.map_or(Seq(0), |ack| Origin::absolute(origin.ack, ack)),
            flags: self.flags,
            window: self.win.unwrap_or(window),
            urgent: self.urg.unwrap_or(0),
            options: to_options(self.options.as_deref().unwrap_or_default(), origin),
        }
    }

    /// Adds the options that stand beside the agreed ones to a header to inject.
    pub(crate) fn add_beside(&self, header: &mut Header, origin: Origin) {
        let more = to_options(&self.beside, origin);
        let all = &mut header.options;
        all.mss = all.mss.or(more.mss);
        all.window_scale = all.window_scale.or(more.window_scale);
        all.sack.extend(more.sack);
    }

    /// What in a sent segment differs from this expectation.
    pub(crate) fn differences(
        &self,
        header: &Header,
        payload: usize,
        cause: Cause,
        origin: Origin,
    ) -> Vec<&'static str> {
        let mask = !self.any.0;
        let first = Origin::relative(origin.seq, header.seq);
        let mut found = Vec::new();
        let mut check = |same: bool, what| {
            if !same {
                found.push(what)
            }
        };
        check(header.flags.0 & mask == self.flags.0 & mask, "flags");
        check(self.seq.is_none_or(|seq| seq == (first, first + payload as i64)), "sequence");
        check(self.ack.is_none_or(|ack| Origin::relative(origin.ack, header.ack) == ack), "ack");
        check(self.win.is_none_or(|win| header.window == win), "window");
        check(self.urg.is_none_or(|urg| header.urgent == urg), "urgent pointer");
        check(self.options.as_ref().is_none_or(|wanted| same_options(wanted, &header.options, origin)), "options");
        check(self.why.as_ref().is_none_or(|why| *why == cause_name(cause) || *why == cause.name()), "cause");
        found
    }
}

/// The cause's name, with its number where it has one: `retransmit-timeout#2`.
pub(crate) fn cause_name(cause: Cause) -> String {
    match cause.count() {
        Some(n) => format!("{}#{n}", cause.name()),
        None => cause.name().to_owned(),
    }
}

/// A segment as one line.
pub(crate) fn show(header: &Header, payload: usize, origin: Origin) -> String {
    let first = Origin::relative(origin.seq, header.seq);
    let mut text = format!("{} {first}", header.flags);
    if payload > 0 {
        write!(text, ":{}", first + payload as i64).expect("a string takes everything");
    }
    if header.flags.has(Flags::ACK) {
        write!(text, " ack {}", Origin::relative(origin.ack, header.ack)).expect("a string takes everything");
    }
    write!(text, " win {}", header.window).expect("a string takes everything");
    if header.flags.has(Flags::URG) || header.urgent != 0 {
        write!(text, " urg {}", header.urgent).expect("a string takes everything");
    }
    let options = show_options(&header.options, origin);
    if !options.is_empty() {
        write!(text, " <{}>", options.join(",")).expect("a string takes everything");
    }
    text
}

fn show_options(options: &Options, origin: Origin) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(options.mss.map(|mss| format!("mss {mss}")));
    out.extend(options.sack_permitted.then(|| "sackOK".to_owned()));
    out.extend(options.timestamps.map(|ts| {
        let (val, ecr) = relative_ts(ts, origin);
        format!("TS val {val} ecr {ecr}")
    }));
    out.extend(options.window_scale.map(|shift| format!("wscale {shift}")));
    if !options.sack.is_empty() {
        let blocks = relative_sack(options, origin).iter().map(|(a, b)| format!("{a}:{b}")).collect::<Vec<_>>();
        out.push(format!("sack {}", blocks.join(" ")));
    }
    out
}

fn same_options(wanted: &[Opt], options: &Options, origin: Origin) -> bool {
    let count = usize::from(options.mss.is_some())
        + usize::from(options.sack_permitted)
        + usize::from(options.timestamps.is_some())
        + usize::from(options.window_scale.is_some())
        + usize::from(!options.sack.is_empty());
    wanted.len() == count
        && wanted.iter().all(|option| match option {
            Opt::Mss(mss) => options.mss == Some(*mss),
            Opt::SackOk => options.sack_permitted,
            Opt::WScale(shift) => options.window_scale == Some(*shift),
            Opt::Sack(blocks) => relative_sack(options, origin) == *blocks,
            Opt::Ts(val, ecr) => options.timestamps.is_some_and(|ts| {
                let (v, e) = relative_ts(ts, origin);
                val.is_none_or(|val| val == v) && ecr.is_none_or(|ecr| ecr == e)
            }),
            Opt::Raw(_) => false,
        })
}

fn relative_ts(ts: Timestamps, origin: Origin) -> (i64, i64) {
    let ecr = if ts.ecr == 0 { 0 } else { i64::from(ts.ecr.wrapping_sub(origin.ts_ecr).cast_signed()) };
    (i64::from(ts.val.wrapping_sub(origin.ts_val).cast_signed()), ecr)
}

fn relative_sack(options: &Options, origin: Origin) -> Vec<(i64, i64)> {
    let number = |seq| Origin::relative(origin.ack, seq);
    options.sack.iter().map(|block| (number(block.start), number(block.end))).collect()
}

fn to_options(wanted: &[Opt], origin: Origin) -> Options {
    let mut options = Options::default();
    for option in wanted {
        match option {
            Opt::Mss(mss) => options.mss = Some(*mss),
            Opt::SackOk => options.sack_permitted = true,
            Opt::WScale(shift) => options.window_scale = Some(*shift),
            Opt::Ts(val, ecr) => {
                let val = val.expect("a value to send");
                let ecr = ecr.map_or(0, |ecr| origin.ts_ecr.wrapping_add(ecr as u32));
                options.timestamps = Some(Timestamps { val: origin.ts_val.wrapping_add(val as u32), ecr });
            }
            Opt::Sack(blocks) => {
                let seq = |number| Origin::absolute(origin.ack, number);
                options.sack = blocks.iter().map(|(a, b)| SackBlock { start: seq(*a), end: seq(*b) }).collect();
            }
            Opt::Raw(_) => {}
        }
    }
    options
}

fn parse_flags(word: &str) -> (Flags, Flags) {
    let (mut flags, mut any) = (Flags::NONE, Flags::NONE);
    for letter in if word == "none" { "" } else { word }.chars() {
        match letter {
            'F' => flags |= Flags::FIN,
            'S' => flags |= Flags::SYN,
            'R' => flags |= Flags::RST,
            'P' => flags |= Flags::PSH,
            'p' => any |= Flags::PSH,
            'a' => any |= Flags::ACK,
            '.' => flags |= Flags::ACK,
            'U' => flags |= Flags::URG,
            'E' => flags |= Flags::ECE,
            'W' => flags |= Flags::CWR,
            _ => panic!("`{letter}` is no flag"),
        }
    }
    (flags, any)
}

fn parse_option(text: &str) -> Opt {
    let words = text.split_whitespace().collect::<Vec<_>>();
    let star = |word: &str| (word != "*").then(|| number(word));
    match *words.as_slice() {
        ["mss", mss] => Opt::Mss(number(mss) as u16),
        ["sackOK"] => Opt::SackOk,
        ["TS"] => Opt::Ts(None, None),
        ["TS", "val", val, "ecr", ecr] => Opt::Ts(star(val), star(ecr)),
        ["wscale", shift] => Opt::WScale(number(shift) as u8),
        ["sack", ref blocks @ ..] => Opt::Sack(
            blocks
                .iter()
                .map(|block| block.split_once(':').expect("start:end"))
                .map(|(a, b)| (number(a), number(b)))
                .collect(),
        ),
        ["raw", ref bytes @ ..] => {
            Opt::Raw(bytes.iter().map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits")).collect())
        }
        _ => panic!("`{text}` is no option"),
    }
}

fn number(word: &str) -> i64 {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is no number"))
}
