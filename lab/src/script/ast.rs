//! A script as values.
//!
//! Sections: the language of packetdrill; nothing of an RFC's.
//! In: what the parser has read.
//! Out: plain values, for the printer and for whoever runs the script.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidegate_proto::time::Duration;

/// A whole script.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Script {
    /// The `--name=value` lines at the head.
    pub options: Vec<HeadOption>,
    /// A command before all events, without a time.
    pub before: Option<String>,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// A command after all events, without a time.
    pub after: Option<String>,
}

/// Where in the text something begins; both count from 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// One option of the head.
#[derive(Clone, PartialEq, Debug)]
pub struct HeadOption {
    /// Where it stands.
    pub place: Place,
    /// The name, without its dashes.
    pub name: String,
    /// What follows the equals sign.
    pub value: Option<HeadValue>,
}

/// The value of an option.
#[derive(Clone, PartialEq, Debug)]
pub enum HeadValue {
    /// A number, a word, an address.
    Plain(String),
    /// A string in quotes.
    Text(Vec<u8>),
    /// `--define=NAME=VALUE`: what a word stands for from here on.
    Define(String, Definition),
}

/// What a defined word stands for.
#[derive(Clone, PartialEq, Debug)]
pub enum Definition {
    /// Another word, or a number.
    Word(String),
    /// A string.
    Text(Vec<u8>),
    /// A command.
    Command(String),
}

/// One line: when, and what.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Where its time begins.
    pub place: Place,
    /// When it happens.
    pub when: When,
    /// What happens.
    pub action: Action,
}

/// The time of an event.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum When {
    /// `+0.1`: so long after the event before it.
    After(Duration),
    /// `0.1`: so long after the start.
    At(Duration),
    /// `*`: whenever the packet comes.
    Any,
    /// `0.1~0.2`.
    Between(Duration, Duration),
    /// `+0.1~+0.2`.
    AfterBetween(Duration, Duration),
}

/// What an event is.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// A packet to inject or to expect.
    Packet(Packet),
    /// A system call.
    Call(Call),
    /// A command in backticks.
    Command(String),
    /// A code block.
    Code(Code),
}

/// The text between `%{` and `}%`.
#[derive(Clone, PartialEq, Debug)]
pub struct Code {
    /// Where the text begins.
    pub place: Place,
    /// The text as it stands.
    pub text: String,
}

/// A system call and what it must give.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// For a call that blocks: when it must return, counted as the event's time is.
    pub until: Option<Duration>,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// The result.
    pub result: Expr,
    /// The name of the error that goes with a result of -1.
    pub errno: Option<String>,
    /// The words in parentheses at the end.
    pub note: Option<String>,
}

/// An argument or a result.
#[derive(Clone, PartialEq, Debug)]
pub enum Expr {
    /// `...`: whatever it is.
    Any,
    /// A number, decimal or with `0x`.
    Int(i64),
    /// A name of the system's: `SOCK_STREAM`.
    Word(String),
    /// A string.
    Text(Vec<u8>),
    /// `"..."...`: the beginning of a string.
    TextPrefix(Vec<u8>),
    /// `a|b`, two parts or more.
    Or(Vec<Expr>),
    /// `name=value`.
    Assign(String, Box<Expr>),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{a, b}`.
    Group(Vec<Expr>),
    /// `inet_addr("1.2.3.4")`.
    InetAddr(Ipv4Addr),
    /// `inet6_addr("::1")`.
    Inet6Addr(Ipv6Addr),
    /// `{sa_family=..., sin_port=..., sin_addr=...}`.
    SockAddr(SocketAddr),
    /// `{msg_name(...)=..., msg_iov(1)=[...], msg_flags=0, msg_control=[...]}`.
    MsgHdr {
        /// The number in parentheses behind `msg_iov`.
        iov_len: i64,
        /// The vectors.
        iov: Vec<Expr>,
        /// The flags.
        flags: Box<Expr>,
        /// The control messages, if the script names them.
        control: Option<Vec<Expr>>,
    },
    /// `{cmsg_level=..., cmsg_type=..., cmsg_data=...}`.
    Cmsg {
        /// The level.
        level: Box<Expr>,
        /// The type.
        kind: Box<Expr>,
        /// The content.
        data: Box<Expr>,
    },
    /// `{scm_sec=..., scm_nsec=...}`.
    Timestamping {
        /// Seconds.
        sec: i64,
        /// Nanoseconds.
        nsec: i64,
    },
    /// `{ee_errno=..., ee_origin=..., ee_type=..., ee_code=..., ee_info=..., ee_data=...}`, in this order.
    ExtendedError(Box<[Expr; 6]>),
    /// `{..., 1000}`: a buffer of this length.
    Iovec(i64),
    /// `{fd=..., events=..., revents=...}`.
    PollFd {
        /// The descriptor.
        fd: Box<Expr>,
        /// What is asked for.
        events: Box<Expr>,
        /// What must come back.
        revents: Option<Box<Expr>>,
    },
    /// `{events=..., fd=...}`.
    EpollEvent {
        /// The events.
        events: Box<Expr>,
        /// Which member of the union is named.
        data: EpollData,
        /// Its value.
        value: Box<Expr>,
    },
    /// `{onoff=1, linger=0}`.
    Linger {
        /// Whether.
        onoff: i64,
        /// How many seconds.
        linger: i64,
    },
    /// `{(label 1, tc 0, [S], ttl 1)}`.
    Mpls(Vec<Label>),
    /// `{flags [key present], sum 0, off 0, key 1, seq 0}`.
    Gre(Gre),
}

/// The member of `epoll_data` that a script names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EpollData {
    /// `fd`.
    Fd,
    /// `ptr`.
    Ptr,
    /// `u32`.
    U32,
    /// `u64`.
    U64,
}

/// A packet, and which way it goes.
#[derive(Clone, PartialEq, Debug)]
pub struct Packet {
    /// Which way.
    pub direction: Direction,
    /// Headers around it, the outermost first.
    pub layers: Vec<Layer>,
    /// Fields of its IP header.
    pub ip: IpInfo,
    /// What it carries.
    pub transport: Transport,
}

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// `<`: to the stack under test.
    In,
    /// `>`: from the stack under test.
    Out,
}

/// A header around a packet.
#[derive(Clone, PartialEq, Debug)]
pub enum Layer {
    /// `ipv4 1.1.1.1 > 2.2.2.2:` or the same with `ipv6`; both addresses are of one version.
    Ip {
        /// Fields of this header.
        info: IpInfo,
        /// From.
        source: IpAddr,
        /// To.
        destination: IpAddr,
    },
    /// `gre:` with or without its fields.
    Gre(Option<Gre>),
    /// `mpls (label 1, tc 0, [S], ttl 1):`.
    Mpls(Vec<Label>),
}

/// One label of an MPLS stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// The label, 20 bits.
    pub label: u32,
    /// Traffic class, 3 bits.
    pub tc: u8,
    /// It is the bottom of the stack.
    pub bottom: bool,
    /// Time to live.
    pub ttl: u8,
}

/// The fields of a GRE header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gre {
    /// Flags: 0x8000 checksum, 0x2000 key, 0x1000 sequence number present.
    pub flags: u16,
    /// Checksum.
    pub sum: u16,
    /// Offset.
    pub off: u16,
    /// Key.
    pub key: u32,
    /// Sequence number.
    pub seq: u32,
}

/// What a script says of an IP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IpInfo {
    /// The DiffServ byte, or its ECN bits.
    pub tos: Option<Tos>,
    /// The flow label of IPv6, 20 bits.
    pub flow_label: Option<u32>,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
}

/// What a script says of the DiffServ byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tos {
    /// `noecn`: not ECN-capable.
    NoEcn,
    /// `ect0`.
    Ect0,
    /// `ect1`.
    Ect1,
    /// `ce`: congestion experienced.
    Ce,
    /// `ect01`: either of the two codepoints; only to expect.
    Ect01,
    /// `tos 0x..`: the whole byte.
    Byte(u8),
}

/// What a packet carries.
#[derive(Clone, PartialEq, Debug)]
pub enum Transport {
    /// A TCP segment.
    Tcp(Tcp),
    /// A UDP datagram.
    Udp(Udp),
    /// An ICMP message.
    Icmp(Icmp),
}

/// A TCP segment.
#[derive(Clone, PartialEq, Debug)]
pub struct Tcp {
    /// Source and destination port, where the script names them.
    pub ports: Option<(u16, u16)>,
    /// Its flags.
    pub flags: Flags,
    /// Sequence numbers and payload.
    pub range: Range,
    /// The acknowledgment number, relative to the peer's first.
    pub ack: Option<u32>,
    /// The window as it stands in the header.
    pub win: Option<u16>,
    /// The urgent pointer.
    pub urg: Option<u16>,
    /// Its options.
    pub options: Options,
    /// What is broken about it.
    pub damage: Vec<Damage>,
}

/// The flags of a segment, as the low nine bits of the thirteenth and fourteenth byte of its header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// The letter of each flag, in the order in which they print; the dot of ACK comes last.
    pub(super) const LETTERS: [(char, u16); 8] =
        [('F', 0x01), ('S', 0x02), ('R', 0x04), ('P', 0x08), ('U', 0x20), ('E', 0x40), ('W', 0x80), ('A', 0x100)];
    /// FIN.
    pub const FIN: Flags = Flags(0x01);
    /// SYN.
    pub const SYN: Flags = Flags(0x02);
    /// RST.
    pub const RST: Flags = Flags(0x04);
    /// ACK.
    pub const ACK: Flags = Flags(0x10);
    /// The lowest bit of the three that AccECN counts in: ECE, CWR, AE.
    pub(super) const ACE_SHIFT: u16 = 6;

    /// True if all of `other` is in `self`.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Sequence numbers, relative to the sender's first, and the payload between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first number.
    pub start: u32,
    /// Payload bytes; the number behind the last one fits in 32 bits.
    pub len: u16,
}

/// The options of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Options {
    /// `<...>`: whatever they are; only to expect.
    Any,
    /// These, in this order; none for a segment without options.
    These(Vec<TcpOption>),
}

/// One option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TcpOption {
    /// `nop`.
    Nop,
    /// `eol`.
    Eol,
    /// `mss 1460`.
    Mss(u16),
    /// `wscale 7`.
    WindowScale(u8),
    /// `sackOK`.
    SackPermitted,
    /// `sack 1:1001 2001:3001`.
    Sack(Vec<(u32, u32)>),
    /// `md5 00112233445566778899aabbccddeeff`.
    Md5([u8; 16]),
    /// `TS val 1 ecr 2`.
    Timestamps {
        /// TSval.
        val: u32,
        /// TSecr.
        ecr: u32,
    },
    /// `FO 0123456789abcdef`: Fast Open (kind 34), an empty cookie asks for one.
    FastOpen(Vec<u8>),
    /// `FOEXP`: the same in its experimental form (kind 254).
    FastOpenExperimental(Vec<u8>),
    /// `unknown-253 0x0102`: any other, by kind and content, as tcpdump names it.
    Unknown(u8, Vec<u8>),
}

/// Something broken: `{mut tcp 4-8; trun ip 10-20}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damage {
    /// How.
    pub kind: DamageKind,
    /// In which header.
    pub header: Header,
    /// Where in it.
    pub field: DamageField,
}

/// How a packet is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DamageKind {
    /// `mut`: bits are changed.
    Mutate,
    /// `trun`: bytes are left out.
    Truncate,
    /// `ins`: bytes are added.
    Insert,
}

/// A header to break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// `ip`.
    Ip,
    /// `tcp`.
    Tcp,
}

/// Where a header is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DamageField {
    /// `mss`.
    Mss,
    /// `ihl`.
    Ihl,
    /// `source_port`.
    SourcePort,
    /// `4-8`: from one position to another.
    Span(u16, u16),
    /// `4 8`: an offset and a size.
    Offset(u16, u16),
}

/// A UDP datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Udp {
    /// Source and destination port, where the script names them.
    pub ports: Option<(u16, u16)>,
    /// Payload bytes.
    pub len: u16,
}

/// An ICMP message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Icmp {
    /// The name of its type: `unreachable`.
    pub kind: String,
    /// The name of its code: `frag_needed`.
    pub code: Option<String>,
    /// The MTU that it tells.
    pub mtu: Option<u32>,
    /// The identifier of an echo.
    pub id: Option<u16>,
    /// The packet that it quotes.
    pub quoted: Option<Quoted>,
}

/// What an ICMP message quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quoted {
    /// `[1:1461(1460)]`: a segment of the connection.
    Tcp(Range),
    /// `[udp (100)]`.
    Udp(u16),
    /// `[raw (100)]`: so many bytes.
    Raw(u16),
}
