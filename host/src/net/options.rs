//! Socket options under socket2's names, for what tokio's sockets have no calls for.
//!
//! Sections: Linux `socket(7)`, `tcp(7)`, `ip(7)`, `ipv6(7)`.
//! In: a borrowed socket.
//! Out: its options, read and set.

use std::fmt;
use std::io;
use std::time::Duration;

use tidegate_proto::socket::{Opt, Value};

use super::socket::Socket;
use super::{TcpListener, TcpSocket, TcpStream};

/// A socket whose options are to be read or set; the names are socket2's.
///
/// ```no_run
/// # fn example(stream: tidegate::net::TcpStream) -> std::io::Result<()> {
/// use std::time::Duration;
/// use tidegate::net::{SockRef, TcpKeepalive};
///
/// let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_retries(3);
/// SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct SockRef<'a>(&'a Socket);

/// How an idle connection is probed. What is not given stays as it is.
#[derive(Clone, Debug, Default)]
pub struct TcpKeepalive {
    time: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl TcpKeepalive {
    /// With nothing given.
    pub const fn new() -> Self {
        TcpKeepalive { time: None, interval: None, retries: None }
    }

    /// TCP_KEEPIDLE: idle time before the first probe, in whole seconds.
    #[must_use]
    pub const fn with_time(self, time: Duration) -> Self {
        TcpKeepalive { time: Some(time), ..self }
    }

    /// TCP_KEEPINTVL: time between two probes, in whole seconds.
    #[must_use]
    pub const fn with_interval(self, interval: Duration) -> Self {
        TcpKeepalive { interval: Some(interval), ..self }
    }

    /// TCP_KEEPCNT: unanswered probes before the connection ends.
    #[must_use]
    pub const fn with_retries(self, retries: u32) -> Self {
        TcpKeepalive { retries: Some(retries), ..self }
    }
}

/// Two calls of an option that is a number or a flag.
macro_rules! options {
    ($($read:ident, $set:ident: $kind:ident = $option:ident, $about:literal;)*) => {
        impl SockRef<'_> {
            $(
                #[doc = concat!("Reads ", $about)]
                pub fn $read(&self) -> io::Result<options!(@type $kind)> {
                    self.$kind(Opt::$option)
                }

                #[doc = concat!("Sets ", $about)]
                pub fn $set(&self, value: options!(@type $kind)) -> io::Result<()> {
                    self.0.set_option(Opt::$option, value.into())
                }
            )*
        }
    };
    (@type number) => { u32 };
    (@type flag) => { bool };
}

options! {
    keepalive, set_keepalive: flag = KeepAlive, "SO_KEEPALIVE: an idle connection is probed.";
    reuse_address, set_reuse_address: flag = ReuseAddr, "SO_REUSEADDR: what is left of old connections does not keep the port.";
    reuse_port, set_reuse_port: flag = ReusePort, "SO_REUSEPORT: others that have it set may bind to the same port.";
    out_of_band_inline, set_out_of_band_inline: flag = OobInline, "SO_OOBINLINE: the urgent byte is part of the stream.";
    send_buffer_size, set_send_buffer_size: number = SndBuf, "SO_SNDBUF, bytes; it reads as twice what was set.";
    recv_buffer_size, set_recv_buffer_size: number = RcvBuf, "SO_RCVBUF, bytes; it reads as twice what was set.";
    tcp_nodelay, set_tcp_nodelay: flag = NoDelay, "TCP_NODELAY: small segments do not wait for acknowledgements.";
    tcp_cork, set_tcp_cork: flag = Cork, "TCP_CORK: segments that are not full wait, 200 ms at the most.";
    tcp_quickack, set_tcp_quickack: flag = QuickAck, "TCP_QUICKACK: acknowledgements do not wait for company, for now.";
    tcp_mss, set_tcp_mss: number = MaxSeg, "TCP_MAXSEG, bytes.";
    tcp_keepalive_retries, set_tcp_keepalive_retries: number = KeepCnt, "TCP_KEEPCNT: unanswered probes before the connection ends.";
    tcp_syn_retries, set_tcp_syn_retries: number = SynCnt, "TCP_SYNCNT: how often a SYN is sent again.";
    tcp_window_clamp, set_tcp_window_clamp: number = WindowClamp, "TCP_WINDOW_CLAMP: the most that is ever offered as window, bytes.";
    tcp_notsent_lowat, set_tcp_notsent_lowat: number = NotSentLowat, "TCP_NOTSENT_LOWAT: bytes that may wait without having been sent.";
    ttl_v4, set_ttl_v4: number = IpTtl, "IP_TTL: 1 to 255.";
    tos_v4, set_tos_v4: number = IpTos, "IP_TOS; the two bits of ECN are TCP's own.";
    only_v6, set_only_v6: flag = Ipv6V6Only, "IPV6_V6ONLY, before the socket has an address.";
    unicast_hops_v6, set_unicast_hops_v6: number = Ipv6UnicastHops, "IPV6_UNICAST_HOPS: 0 to 255.";
    tclass_v6, set_tclass_v6: number = Ipv6Tclass, "IPV6_TCLASS; the two bits of ECN are TCP's own.";
}

impl SockRef<'_> {
    /// Sets SO_KEEPALIVE and what is given of its times.
    pub fn set_tcp_keepalive(&self, params: &TcpKeepalive) -> io::Result<()> {
        self.set_keepalive(true)?;
        let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let settings = [
            (Opt::KeepIdle, params.time.map(seconds)),
            (Opt::KeepIntvl, params.interval.map(seconds)),
            (Opt::KeepCnt, params.retries),
        ];
        settings
            .into_iter()
            .try_for_each(|(option, value)| value.map_or(Ok(()), |value| self.0.set_option(option, value)))
    }

    /// TCP_KEEPIDLE: idle time before the first probe.
    pub fn tcp_keepalive_time(&self) -> io::Result<Duration> {
        self.seconds(Opt::KeepIdle)
    }

    /// TCP_KEEPINTVL: time between two probes.
    pub fn tcp_keepalive_interval(&self) -> io::Result<Duration> {
        self.seconds(Opt::KeepIntvl)
    }

    /// TCP_USER_TIMEOUT: how long data may stay unacknowledged.
    pub fn tcp_user_timeout(&self) -> io::Result<Option<Duration>> {
        let millis = self.number(Opt::UserTimeout)?;
        Ok((millis > 0).then(|| Duration::from_millis(millis.into())))
    }

    /// Sets TCP_USER_TIMEOUT, in whole milliseconds.
    pub fn set_tcp_user_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let millis = timeout.map_or(0, |timeout| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self.0.set_option(Opt::UserTimeout, millis)
    }

    /// TCP_CONGESTION: the name of the congestion control.
    pub fn tcp_congestion(&self) -> io::Result<String> {
        match self.0.call(|sockets, fd, now| sockets.option(fd, Opt::Congestion, now))? {
            Value::Name(name) => Ok(name),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Sets TCP_CONGESTION. `ENOENT` for a name that is none of ours.
    pub fn set_tcp_congestion(&self, name: &str) -> io::Result<()> {
        let value = Value::Name(name.into());
        self.0.call(|sockets, fd, now| sockets.set_option(fd, Opt::Congestion, &value, now))
    }

    /// SO_ACCEPTCONN: it listens.
    pub fn is_listener(&self) -> io::Result<bool> {
        self.flag(Opt::AcceptConn)
    }

    /// Any option by its name in the socket room, for what has no call of its own.
    pub fn option(&self, option: Opt) -> io::Result<Value> {
        self.0.call(|sockets, fd, now| sockets.option(fd, option, now))
    }

    /// As [`option`](Self::option).
    pub fn set_option(&self, option: Opt, value: &Value) -> io::Result<()> {
        self.0.call(|sockets, fd, now| sockets.set_option(fd, option, value, now))
    }

    fn number(self, option: Opt) -> io::Result<u32> {
        self.0.option(option)
    }

    fn flag(self, option: Opt) -> io::Result<bool> {
        Ok(self.0.option(option)? != 0)
    }

    fn seconds(self, option: Opt) -> io::Result<Duration> {
        Ok(Duration::from_secs(self.number(option)?.into()))
    }
}

impl<'a> From<&'a TcpStream> for SockRef<'a> {
    fn from(stream: &'a TcpStream) -> Self {
        SockRef(&stream.socket)
    }
}

impl<'a> From<&'a TcpListener> for SockRef<'a> {
    fn from(listener: &'a TcpListener) -> Self {
        SockRef(&listener.socket)
    }
}

impl<'a> From<&'a TcpSocket> for SockRef<'a> {
    fn from(socket: &'a TcpSocket) -> Self {
        SockRef(&socket.socket)
    }
}

impl fmt::Debug for SockRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SockRef").field(&self.0).finish()
    }
}
