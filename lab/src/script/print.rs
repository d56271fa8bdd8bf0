//! A script as text, one event a line. What is printed parses to the same script.
//!
//! Sections: the language of packetdrill; nothing of an RFC's.
//! In: a [`Script`] or a part of it.
//! Out: text.

use core::fmt::{self, Display, Formatter, Write};
use core::net::{IpAddr, SocketAddr};

use tidegate_proto::time::Duration;

use super::ast::{
    Action, Call, Damage, DamageField, DamageKind, Definition, Direction, EpollData, Event, Expr, Flags, Gre,
    HeadOption, HeadValue, Header, Icmp, IpInfo, Label, Layer, Options, Packet, Quoted, Range, Script, Tcp, TcpOption,
    Tos, Transport, Udp, When,
};

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for option in &self.options {
            writeln!(f, "{option}")?;
        }
        if let Some(command) = &self.before {
            writeln!(f, "`{command}`")?;
        }
        for event in &self.events {
            writeln!(f, "{event}")?;
        }
        match &self.after {
            Some(command) => writeln!(f, "`{command}`"),
            None => Ok(()),
        }
    }
}

impl Display for HeadOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "--{}", self.name)?;
        match &self.value {
            None => Ok(()),
            Some(HeadValue::Plain(plain)) => write!(f, "={plain}"),
            Some(HeadValue::Text(text)) => write!(f, "={}", Text(text)),
            Some(HeadValue::Define(word, Definition::Word(other))) => write!(f, "={word}={other}"),
            Some(HeadValue::Define(word, Definition::Text(text))) => write!(f, "={word}={}", Text(text)),
            Some(HeadValue::Define(word, Definition::Command(command))) => write!(f, "={word}=`{command}`"),
        }
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.when {
            When::After(time) => write!(f, "+{}", Seconds(time))?,
            When::At(time) => write!(f, "{}", Seconds(time))?,
            When::Any => f.write_char('*')?,
            When::Between(from, to) => write!(f, "{}~{}", Seconds(from), Seconds(to))?,
            When::AfterBetween(from, to) => write!(f, "+{}~+{}", Seconds(from), Seconds(to))?,
        }
        match &self.action {
            Action::Packet(packet) => write!(f, " {packet}"),
            Action::Call(call) => write!(f, "{call}"),
            Action::Command(command) => write!(f, " `{command}`"),
            Action::Code(code) => write!(f, " %{{{}}}%", code.text),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(until) = self.until {
            write!(f, "...{}", Seconds(until))?;
        }
        write!(f, " {}({}) = {}", self.name, Separated(&self.arguments, ", "), self.result)?;
        if let Some(errno) = &self.errno {
            write!(f, " {errno}")?;
        }
        match &self.note {
            Some(note) => write!(f, " ({note})"),
            None => Ok(()),
        }
    }
}

impl Display for Packet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.direction == Direction::In { "< " } else { "> " })?;
        for layer in &self.layers {
            write!(f, "{layer} ")?;
        }
        write!(f, "{}", self.ip)?;
        match &self.transport {
            Transport::Tcp(tcp) => write!(f, "{tcp}"),
            Transport::Udp(udp) => write!(f, "{udp}"),
            Transport::Icmp(icmp) => write!(f, "{icmp}"),
        }
    }
}

impl Display for Layer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Ip { info, source, destination } => {
                let version = if matches!(source, IpAddr::V4(_)) { "ipv4" } else { "ipv6" };
                write!(f, "{version} {info}{source} > {destination}:")
            }
            Layer::Gre(None) => f.write_str("gre:"),
            Layer::Gre(Some(gre)) => write!(f, "gre {gre}:"),
            Layer::Mpls(labels) => write!(f, "mpls {}:", Separated(labels, " ")),
        }
    }
}

impl Display for Label {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bottom = if self.bottom { "[S], " } else { "" };
        write!(f, "(label {}, tc {}, {bottom}ttl {})", self.label, self.tc, self.ttl)
    }
}

impl Display for Gre {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "flags {:#x}, sum {}, off {}, key {}, seq {}", self.flags, self.sum, self.off, self.key, self.seq)
    }
}

/// In brackets with a space behind them, or nothing.
impl Display for IpInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut before = "[";
        if let Some(tos) = self.tos {
            f.write_str(before)?;
            match tos {
                Tos::NoEcn => f.write_str("noecn")?,
                Tos::Ect0 => f.write_str("ect0")?,
                Tos::Ect1 => f.write_str("ect1")?,
                Tos::Ce => f.write_str("ce")?,
                Tos::Ect01 => f.write_str("ect01")?,
                Tos::Byte(byte) => write!(f, "tos {byte:#x}")?,
            }
            before = ", ";
        }
        if let Some(label) = self.flow_label {
            write!(f, "{before}flowlabel {label:#x}")?;
            before = ", ";
        }
        if let Some(ttl) = self.ttl {
            write!(f, "{before}ttl {ttl}")?;
            before = ", ";
        }
        if before == "[" { Ok(()) } else { f.write_str("] ") }
    }
}

impl Display for Tcp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_ports(f, self.ports)?;
        write!(f, "{} {}", self.flags, self.range)?;
        if let Some(ack) = self.ack {
            write!(f, " ack {ack}")?;
        }
        if let Some(win) = self.win {
            write!(f, " win {win}")?;
        }
        if let Some(urg) = self.urg {
            write!(f, " urg {urg}")?;
        }
        match &self.options {
            Options::Any => f.write_str(" <...>")?,
            Options::These(options) if options.is_empty() => {}
            Options::These(options) => write!(f, " <{}>", Separated(options, ","))?,
        }
        if self.damage.is_empty() { Ok(()) } else { write!(f, " {{{}}}", Separated(&self.damage, "; ")) }
    }
}

impl Display for Flags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if *self == Flags::default() {
            return f.write_char('-');
        }
        for (letter, _) in Flags::LETTERS.into_iter().filter(|&(_, bit)| self.has(Flags(bit))) {
            f.write_char(letter)?;
        }
        if self.has(Flags::ACK) { f.write_char('.') } else { Ok(()) }
    }
}

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}({})", self.start, u64::from(self.start) + u64::from(self.len), self.len)
    }
}

impl Display for TcpOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TcpOption::Nop => f.write_str("nop"),
            TcpOption::Eol => f.write_str("eol"),
            TcpOption::Mss(mss) => write!(f, "mss {mss}"),
            TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
            TcpOption::SackPermitted => f.write_str("sackOK"),
            TcpOption::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(left, right)| write!(f, " {left}:{right}"))
            }
            TcpOption::Md5(digest) => write!(f, "md5 {}", Hex(digest)),
            TcpOption::Timestamps { val, ecr } => write!(f, "TS val {val} ecr {ecr}"),
            TcpOption::FastOpen(cookie) => write!(f, "FO {}", Hex(cookie)),
            TcpOption::FastOpenExperimental(cookie) => write!(f, "FOEXP {}", Hex(cookie)),
            TcpOption::Unknown(kind, data) if data.is_empty() => write!(f, "unknown-{kind}"),
            TcpOption::Unknown(kind, data) => write!(f, "unknown-{kind} 0x{}", Hex(data)),
        }
    }
}

impl Display for Damage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            DamageKind::Mutate => "mut ",
            DamageKind::Truncate => "trun ",
            DamageKind::Insert => "ins ",
        })?;
        f.write_str(if self.header == Header::Ip { "ip " } else { "tcp " })?;
        match self.field {
            DamageField::Mss => f.write_str("mss"),
            DamageField::Ihl => f.write_str("ihl"),
            DamageField::SourcePort => f.write_str("source_port"),
            DamageField::Span(from, to) => write!(f, "{from}-{to}"),
            DamageField::Offset(at, size) => write!(f, "{at} {size}"),
        }
    }
}

impl Display for Udp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("udp ")?;
        write_ports(f, self.ports)?;
        write!(f, "({})", self.len)
    }
}

impl Display for Icmp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "icmp {}", self.kind)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(mtu) = self.mtu {
            write!(f, " mtu {mtu}")?;
        }
        if let Some(id) = self.id {
            write!(f, " id {id}")?;
        }
        match self.quoted {
            None => Ok(()),
            Some(Quoted::Tcp(range)) => write!(f, " [{range}]"),
            Some(Quoted::Udp(len)) => write!(f, " [udp ({len})]"),
            Some(Quoted::Raw(len)) => write!(f, " [raw ({len})]"),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Any => f.write_str("..."),
            Expr::Int(n) => write!(f, "{n}"),
            Expr::Word(word) => f.write_str(word),
            Expr::Text(text) => write!(f, "{}", Text(text)),
            Expr::TextPrefix(text) => write!(f, "{}...", Text(text)),
            Expr::Or(parts) => write!(f, "{}", Separated(parts, "|")),
            Expr::Assign(name, value) => write!(f, "{name}={value}"),
            Expr::List(parts) => write!(f, "[{}]", Separated(parts, ", ")),
            Expr::Group(parts) => write!(f, "{{{}}}", Separated(parts, ", ")),
            Expr::InetAddr(ip) => write!(f, "inet_addr(\"{ip}\")"),
            Expr::Inet6Addr(ip) => write!(f, "inet6_addr(\"{ip}\")"),
            Expr::SockAddr(addr) => {
                let (family, function) = match addr {
                    SocketAddr::V4(_) => ("AF_INET", "inet_addr"),
                    SocketAddr::V6(_) => ("AF_INET6", "inet6_addr"),
                };
                let (port, ip) = (addr.port(), addr.ip());
                write!(f, "{{sa_family={family}, sin_port=htons({port}), sin_addr={function}(\"{ip}\")}}")
            }
            Expr::MsgHdr { iov_len, iov, flags, control } => {
                let iov = Separated(iov, ", ");
                write!(f, "{{msg_name(...)=..., msg_iov({iov_len})=[{iov}], msg_flags={flags}")?;
                if let Some(control) = control {
                    write!(f, ", msg_control=[{}]", Separated(control, ", "))?;
                }
                f.write_char('}')
            }
            Expr::Cmsg { level, kind, data } => write!(f, "{{cmsg_level={level}, cmsg_type={kind}, cmsg_data={data}}}"),
            Expr::Timestamping { sec, nsec } => write!(f, "{{scm_sec={sec}, scm_nsec={nsec}}}"),
            Expr::ExtendedError(fields) => {
                let [errno, origin, kind, code, info, data] = fields.as_ref();
                write!(f, "{{ee_errno={errno}, ee_origin={origin}, ee_type={kind}, ")?;
                write!(f, "ee_code={code}, ee_info={info}, ee_data={data}}}")
            }
            Expr::Iovec(len) => write!(f, "{{..., {len}}}"),
            Expr::PollFd { fd, events, revents: None } => write!(f, "{{fd={fd}, events={events}}}"),
            Expr::PollFd { fd, events, revents: Some(revents) } => {
                write!(f, "{{fd={fd}, events={events}, revents={revents}}}")
            }
            Expr::EpollEvent { events, data, value } => {
                let member = match data {
                    EpollData::Fd => "fd",
                    EpollData::Ptr => "ptr",
                    EpollData::U32 => "u32",
                    EpollData::U64 => "u64",
                };
                write!(f, "{{events={events}, {member}={value}}}")
            }
            Expr::Linger { onoff, linger } => write!(f, "{{onoff={onoff}, linger={linger}}}"),
            Expr::Mpls(labels) => write!(f, "{{{}}}", Separated(labels, " ")),
            Expr::Gre(gre) => write!(f, "{{{gre}}}"),
        }
    }
}

fn write_ports(f: &mut Formatter<'_>, ports: Option<(u16, u16)>) -> fmt::Result {
    match ports {
        Some((source, destination)) => write!(f, "{source} > {destination} "),
        None => Ok(()),
    }
}

/// A time in seconds, without needless zeros.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write!(f, "{}", nanos / 1_000_000_000)?;
        let mut rest = nanos % 1_000_000_000;
        if rest > 0 {
            f.write_char('.')?;
        }
        let mut unit = 100_000_000;
        while rest > 0 {
            write!(f, "{}", rest / unit)?;
            rest %= unit;
            unit /= 10;
        }
        Ok(())
    }
}

/// A string in quotes.
struct Text<'a>(&'a [u8]);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for &byte in self.0 {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_char('"')
    }
}

/// Two digits a byte.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Several things with something between them.
struct Separated<'a, T>(&'a [T], &'a str);

impl<T: Display> Display for Separated<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(self.1)?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}
