//! Socket options by Linux's names and numbers.
//!
//! Sections: Linux `socket(7)`, `tcp(7)`, `ip(7)`, `ipv6(7)`; RFC 9293 3.9.1 (MUST-17, MUST-24, MUST-48, MUST-49).
//! In: an option and a value.
//! Out: settings of the socket and its connection, read back as the kernel would read them back.

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use super::sock::{Domain, Role, Sock};
use super::{Errno, Fd, Sockets};
use crate::tcp::cc::CcKind;
use crate::tcp::{Config, State, TcpInfo};
use crate::time::{Duration, Instant};

/// An option.
///
/// SO_REUSEPORT lets sockets bind to one port; a second listener for the same address is refused all the same, since
/// the stack does not spread connections over several.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are Linux's, without their prefix where that leaves them clear")]
pub enum Opt {
    ReuseAddr,
    Type,
    Error,
    SndBuf,
    RcvBuf,
    KeepAlive,
    OobInline,
    Linger,
    ReusePort,
    RcvLowat,
    SndLowat,
    AcceptConn,
    Protocol,
    Domain,
    NoDelay,
    MaxSeg,
    Cork,
    KeepIdle,
    KeepIntvl,
    KeepCnt,
    SynCnt,
    Linger2,
    WindowClamp,
    Info,
    QuickAck,
    Congestion,
    UserTimeout,
    NotSentLowat,
    IpTos,
    IpTtl,
    IpMtu,
    Ipv6UnicastHops,
    Ipv6V6Only,
    Ipv6Tclass,
}

/// The value of an option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Most of them: a number, or 0 and 1.
    Int(i32),
    /// SO_LINGER.
    Linger {
        /// Whether `close` waits, or resets.
        on: bool,
        /// How long it waits, seconds; 0 resets.
        seconds: u32,
    },
    /// TCP_CONGESTION.
    Name(String),
    /// TCP_INFO.
    Info(Box<TcpInfo>),
}

/// Each option with its level, its number, and its name.
const TABLE: [(Opt, i32, i32, &str); 34] = [
    (Opt::ReuseAddr, SOL_SOCKET, 2, "SO_REUSEADDR"),
    (Opt::Type, SOL_SOCKET, 3, "SO_TYPE"),
    (Opt::Error, SOL_SOCKET, 4, "SO_ERROR"),
    (Opt::SndBuf, SOL_SOCKET, 7, "SO_SNDBUF"),
    (Opt::RcvBuf, SOL_SOCKET, 8, "SO_RCVBUF"),
    (Opt::KeepAlive, SOL_SOCKET, 9, "SO_KEEPALIVE"),
    (Opt::OobInline, SOL_SOCKET, 10, "SO_OOBINLINE"),
    (Opt::Linger, SOL_SOCKET, 13, "SO_LINGER"),
    (Opt::ReusePort, SOL_SOCKET, 15, "SO_REUSEPORT"),
    (Opt::RcvLowat, SOL_SOCKET, 18, "SO_RCVLOWAT"),
    (Opt::SndLowat, SOL_SOCKET, 19, "SO_SNDLOWAT"),
    (Opt::AcceptConn, SOL_SOCKET, 30, "SO_ACCEPTCONN"),
    (Opt::Protocol, SOL_SOCKET, 38, "SO_PROTOCOL"),
    (Opt::Domain, SOL_SOCKET, 39, "SO_DOMAIN"),
    (Opt::NoDelay, IPPROTO_TCP, 1, "TCP_NODELAY"),
    (Opt::MaxSeg, IPPROTO_TCP, 2, "TCP_MAXSEG"),
    (Opt::Cork, IPPROTO_TCP, 3, "TCP_CORK"),
    (Opt::KeepIdle, IPPROTO_TCP, 4, "TCP_KEEPIDLE"),
    (Opt::KeepIntvl, IPPROTO_TCP, 5, "TCP_KEEPINTVL"),
    (Opt::KeepCnt, IPPROTO_TCP, 6, "TCP_KEEPCNT"),
    (Opt::SynCnt, IPPROTO_TCP, 7, "TCP_SYNCNT"),
    (Opt::Linger2, IPPROTO_TCP, 8, "TCP_LINGER2"),
    (Opt::WindowClamp, IPPROTO_TCP, 10, "TCP_WINDOW_CLAMP"),
    (Opt::Info, IPPROTO_TCP, 11, "TCP_INFO"),
    (Opt::QuickAck, IPPROTO_TCP, 12, "TCP_QUICKACK"),
    (Opt::Congestion, IPPROTO_TCP, 13, "TCP_CONGESTION"),
    (Opt::UserTimeout, IPPROTO_TCP, 18, "TCP_USER_TIMEOUT"),
    (Opt::NotSentLowat, IPPROTO_TCP, 25, "TCP_NOTSENT_LOWAT"),
    (Opt::IpTos, IPPROTO_IP, 1, "IP_TOS"),
    (Opt::IpTtl, IPPROTO_IP, 2, "IP_TTL"),
    (Opt::IpMtu, IPPROTO_IP, 14, "IP_MTU"),
    (Opt::Ipv6UnicastHops, IPPROTO_IPV6, 16, "IPV6_UNICAST_HOPS"),
    (Opt::Ipv6V6Only, IPPROTO_IPV6, 26, "IPV6_V6ONLY"),
    (Opt::Ipv6Tclass, IPPROTO_IPV6, 67, "IPV6_TCLASS"),
];

impl Opt {
    /// The option that a program means by level and number; one that we do not have is `ENOPROTOOPT`.
    pub fn from_number(level: i32, number: i32) -> Result<Opt, Errno> {
        let row = TABLE.iter().find(|row| (row.1, row.2) == (level, number));
        row.map(|row| row.0).ok_or(Errno::ENOPROTOOPT)
    }

    /// The option of this name: `SO_REUSEADDR`.
    pub fn from_name(name: &str) -> Result<Opt, Errno> {
        TABLE.iter().find(|row| row.3 == name).map(|row| row.0).ok_or(Errno::ENOPROTOOPT)
    }

    /// Its level and number.
    pub fn number(self) -> (i32, i32) {
        let row = self.row();
        (row.1, row.2)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().3
    }

    fn row(self) -> &'static (Opt, i32, i32, &'static str) {
        TABLE.iter().find(|row| row.0 == self).expect("every option has its row")
    }

    const fn is_ipv6s(self) -> bool {
        matches!(self, Opt::Ipv6UnicastHops | Opt::Ipv6V6Only | Opt::Ipv6Tclass)
    }
}

impl Sockets {
    /// `setsockopt`.
    pub(super) fn take_option(&mut self, fd: Fd, option: Opt, value: &Value, now: Instant) -> Result<(), Errno> {
        let state = self.state_of(self.table.get(fd).ok_or(Errno::EBADF)?);
        let sock = self.table.get_mut(fd).ok_or(Errno::EBADF)?;
        if option.is_ipv6s() && sock.domain == Domain::V4 {
            return Err(Errno::ENOPROTOOPT);
        }
        match (option, value) {
            (Opt::Linger, Value::Linger { on, seconds }) => {
                // Like Linux: the time of a linger that is off stays as it was.
                sock.linger = (*on, if *on { *seconds } else { sock.linger.1 });
                Ok(())
            }
            (Opt::Congestion, Value::Name(name)) => {
                let kind = CcKind::from_name(name).ok_or(Errno::ENOENT)?;
                self.change(fd, |config| config.congestion = kind, now)
            }
            (Opt::Linger | Opt::Congestion, _) => Err(Errno::EINVAL),
            (_, Value::Int(value)) => self.take_number(fd, option, *value, state, now),
            _ => Err(Errno::EINVAL),
        }
    }

    /// An option whose value is a number. Ranges and rounding are the kernel's.
    fn take_number(&mut self, fd: Fd, option: Opt, value: i32, state: State, now: Instant) -> Result<(), Errno> {
        let on = value != 0;
        let sock = self.table.get_mut(fd).ok_or(Errno::EBADF)?;
        match option {
            Opt::ReuseAddr => sock.reuse_addr = on,
            Opt::ReusePort => sock.reuse_port = on,
            Opt::OobInline => sock.oob_inline = on,
            Opt::RcvLowat => sock.rcv_lowat = if value < 0 { i32::MAX } else { value.max(1) },
            Opt::Ipv6V6Only if sock.has_port => return Err(Errno::EINVAL),
            Opt::Ipv6V6Only => sock.v6_only = on,
            Opt::QuickAck => {
                sock.quick_ack = on;
                if let Role::Connection(id) = sock.role {
                    self.stack.set_quick_ack(id, on, now)?;
                }
            }
            Opt::Linger2 => {
                sock.no_fin_wait = value < 0;
                let timeout = match value {
                    ..=0 => self.stack.config().tcp.fin_timeout,
                    seconds => Duration::from_secs(u64::from(seconds.unsigned_abs()).min(LONGEST_FIN_TIMEOUT)),
                };
                self.change(fd, |config| config.fin_timeout = timeout, now)?;
            }
            Opt::WindowClamp if !on && state != State::Closed => return Err(Errno::EINVAL),
            _ => {
                let change = setting(option, value)?;
                self.change(fd, change, now)?;
            }
        }
        Ok(())
    }

    /// Changes the settings of the socket, and of the listener or connection behind it.
    fn change(&mut self, fd: Fd, change: impl Fn(&mut Config), now: Instant) -> Result<(), Errno> {
        let sock = self.table.get_mut(fd).ok_or(Errno::EBADF)?;
        change(&mut sock.config);
        let role = sock.role.clone();
        match role {
            Role::Idle => {}
            Role::Listening(listeners) => {
                for listener in listeners {
                    self.stack.configure(listener, &change, now)?;
                }
            }
            Role::Connection(id) => self.stack.configure(id, &change, now)?,
        }
        Ok(())
    }

    /// `getsockopt`.
    pub(super) fn read_option(&mut self, fd: Fd, option: Opt, now: Instant) -> Result<Value, Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        if option.is_ipv6s() && sock.domain == Domain::V4 {
            return Err(Errno::EOPNOTSUPP);
        }
        let value = match option {
            Opt::Error => self.take_pending(fd).map_or(0, Errno::number),
            Opt::Linger => return Ok(Value::Linger { on: sock.linger.0, seconds: sock.linger.1 }),
            Opt::Congestion => return Ok(Value::Name(sock.config.congestion.name().to_string())),
            Opt::Info => {
                let state = self.state_of(sock);
                let info = self.connection_of(sock).map(|connection| connection.info(now));
                return Ok(Value::Info(Box::new(info.unwrap_or(TcpInfo { state, ..TcpInfo::default() }))));
            }
            Opt::QuickAck => {
                i32::from(self.connection_of(sock).map_or(sock.quick_ack, |connection| connection.is_quick_ack()))
            }
            Opt::AcceptConn => i32::from(matches!(sock.role, Role::Listening(_))),
            Opt::IpMtu => {
                let connection = self.connection_of(sock).filter(|connection| connection.state() != State::Closed);
                i32::from(connection.ok_or(Errno::ENOTCONN)?.config().mtu)
            }
            Opt::MaxSeg => {
                let info = self.connection_of(sock).map(|connection| connection.info(now));
                let current = info.filter(|info| info.state.is_synchronized()).map(|info| info.snd_mss);
                i32::from(current.or(sock.config.max_segment).unwrap_or(DEFAULT_MSS))
            }
            Opt::SndBuf | Opt::RcvBuf => {
                let config = &sock.config;
                let buffers = self.connection_of(sock).map(|connection| connection.buffers());
                let (snd_buf, rcv_buf) = buffers.unwrap_or((config.snd_buf, config.rcv_buf));
                i32::try_from(if option == Opt::SndBuf { snd_buf } else { rcv_buf }).unwrap_or(i32::MAX)
            }
            Opt::IpTtl | Opt::Ipv6UnicastHops => {
                i32::from(sock.config.ttl.unwrap_or(self.stack.config().host.default_ttl))
            }
            _ => number_of(sock, option),
        };
        Ok(Value::Int(value))
    }
}

/// What this value of an option does to the settings.
fn setting(option: Opt, value: i32) -> Result<impl Fn(&mut Config), Errno> {
    let on = value != 0;
    let unsigned = u32::try_from(value);
    let within =
        |range: core::ops::RangeInclusive<i32>| if range.contains(&value) { Ok(()) } else { Err(Errno::EINVAL) };
    match option {
        Opt::KeepIdle | Opt::KeepIntvl => within(1..=LONGEST_KEEPALIVE)?,
        Opt::KeepCnt | Opt::SynCnt => within(1..=MOST_PROBES)?,
        Opt::MaxSeg if on => within(SMALLEST_MSS..=LARGEST_MSS)?,
        Opt::UserTimeout => within(0..=i32::MAX)?,
        // -1 is the host's default; a hop limit may be 0, a TTL may not.
        Opt::IpTtl if !on => return Err(Errno::EINVAL),
        Opt::IpTtl | Opt::Ipv6UnicastHops | Opt::Ipv6Tclass => within(-1..=255)?,
        Opt::SndBuf
        | Opt::RcvBuf
        | Opt::KeepAlive
        | Opt::NoDelay
        | Opt::MaxSeg
        | Opt::Cork
        | Opt::WindowClamp
        | Opt::NotSentLowat
        | Opt::IpTos => {}
        _ => return Err(Errno::ENOPROTOOPT),
    }
    let byte = value.to_le_bytes()[0];
    let seconds = Duration::from_secs(u64::from(value.unsigned_abs()));
    Ok(move |config: &mut Config| match option {
        // Like Linux: twice what was asked for, because buffers hold more than payload; a negative number is a large one.
        Opt::SndBuf => {
            config.snd_buf = (unsigned.unwrap_or(u32::MAX).min(LARGEST_BUFFER) * 2).max(SMALLEST_SND_BUF);
            config.snd_buf_locked = true;
        }
        Opt::RcvBuf => {
            config.rcv_buf = (unsigned.unwrap_or(u32::MAX).min(LARGEST_BUFFER) * 2).max(SMALLEST_RCV_BUF);
            config.rcv_buf_locked = true;
        }
        //= 9293/MUST-24
        Opt::KeepAlive => config.keepalive = on,
        Opt::KeepIdle => config.keepalive_time = seconds,
        Opt::KeepIntvl => config.keepalive_interval = seconds,
        Opt::KeepCnt => config.keepalive_probes = byte,
        Opt::SynCnt => config.syn_retries = byte,
        //= 9293/MUST-17
        Opt::NoDelay => config.nagle = !on,
        Opt::Cork => config.cork = on,
        Opt::MaxSeg => config.max_segment = u16::try_from(value).ok().filter(|mss| *mss > 0),
        Opt::WindowClamp => config.window_clamp = on.then(|| unsigned.unwrap_or(0).max(SMALLEST_RCV_BUF / 2)),
        Opt::UserTimeout => {
            config.user_timeout = on.then(|| Duration::from_millis(u64::from(value.unsigned_abs())));
        }
        Opt::NotSentLowat => config.notsent_lowat = on.then(|| value.cast_unsigned()),
        //= 9293/MUST-49
        Opt::IpTtl | Opt::Ipv6UnicastHops => config.ttl = u8::try_from(value).ok(),
        // The two bits of ECN are TCP's.
        //= 9293/MUST-48
        Opt::IpTos => config.dscp = byte >> 2,
        Opt::Ipv6Tclass => config.dscp = u8::try_from(value).unwrap_or(0) >> 2,
        _ => {}
    })
}

/// What an option that stands in the socket or its settings reads back as.
fn number_of(sock: &Sock, option: Opt) -> i32 {
    let config = &sock.config;
    let int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let seconds = |span: Duration| i32::try_from(span.as_secs()).unwrap_or(i32::MAX);
    match option {
        Opt::ReuseAddr => i32::from(sock.reuse_addr),
        Opt::ReusePort => i32::from(sock.reuse_port),
        Opt::OobInline => i32::from(sock.oob_inline),
        Opt::Ipv6V6Only => i32::from(sock.v6_only),
        Opt::RcvLowat => sock.rcv_lowat,
        Opt::SndLowat => 1,
        Opt::Type => SOCK_STREAM,
        Opt::Protocol => IPPROTO_TCP,
        Opt::Domain if sock.domain == Domain::V4 => AF_INET,
        Opt::Domain => AF_INET6,
        Opt::KeepAlive => i32::from(config.keepalive),
        Opt::NoDelay => i32::from(!config.nagle),
        Opt::Cork => i32::from(config.cork),
        Opt::KeepIdle => seconds(config.keepalive_time),
        Opt::KeepIntvl => seconds(config.keepalive_interval),
        Opt::KeepCnt => i32::from(config.keepalive_probes),
        Opt::SynCnt => i32::from(config.syn_retries),
        Opt::Linger2 if sock.no_fin_wait => -1,
        Opt::Linger2 => seconds(config.fin_timeout),
        Opt::WindowClamp => int(config.window_clamp.unwrap_or(0)),
        Opt::UserTimeout => {
            config.user_timeout.map_or(0, |timeout| i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        }
        Opt::NotSentLowat => config.notsent_lowat.unwrap_or(0).cast_signed(),
        Opt::IpTos | Opt::Ipv6Tclass => i32::from(config.dscp) << 2,
        Opt::Error
        | Opt::SndBuf
        | Opt::RcvBuf
        | Opt::Linger
        | Opt::Congestion
        | Opt::Info
        | Opt::QuickAck
        | Opt::AcceptConn
        | Opt::IpMtu
        | Opt::MaxSeg
        | Opt::IpTtl
        | Opt::Ipv6UnicastHops => 0,
    }
}

const SOL_SOCKET: i32 = 1;
const IPPROTO_IP: i32 = 0;
const IPPROTO_TCP: i32 = 6;
const IPPROTO_IPV6: i32 = 41;
const SOCK_STREAM: i32 = 1;
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;

/// `net.core.wmem_max` and `rmem_max` as recent kernels have them, bytes.
const LARGEST_BUFFER: u32 = 4_194_304;
/// `SOCK_MIN_SNDBUF` and `SOCK_MIN_RCVBUF` on 64-bit machines, bytes.
const SMALLEST_SND_BUF: u32 = 4_608;
const SMALLEST_RCV_BUF: u32 = 2_304;
/// `MAX_TCP_KEEPIDLE` and `MAX_TCP_KEEPINTVL`, seconds.
const LONGEST_KEEPALIVE: i32 = 32_767;
/// `MAX_TCP_KEEPCNT` and `MAX_TCP_SYNCNT`.
const MOST_PROBES: i32 = 127;
/// `TCP_MIN_MSS` and `MAX_TCP_WINDOW`.
const SMALLEST_MSS: i32 = 88;
const LARGEST_MSS: i32 = 32_767;
/// `TCP_FIN_TIMEOUT_MAX`, seconds.
const LONGEST_FIN_TIMEOUT: u64 = 120;
/// RFC 9293 MUST-15: what TCP_MAXSEG says before a peer has said more.
const DEFAULT_MSS: u16 = 536;
