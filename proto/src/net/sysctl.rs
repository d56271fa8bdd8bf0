//! Settings by the kernel's names.
//!
//! Sections: Linux `Documentation/networking/ip-sysctl.rst` (names, units and ranges).
//! In: a name, with or without `net.ipv4.`, and a value as `sysctl` takes it.
//! Out: a changed [`StackConfig`], or one sentence that says what is wrong.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use super::StackConfig;
use super::memory::{MemorySteps, PAGE};
use crate::tcp::MtuProbing;
use crate::tcp::cc::CcKind;
use crate::time::Duration;

/// Why a setting was refused: one sentence with the name, the value and what is expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SysctlError {
    message: String,
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for SysctlError {}

/// One setting: its name, what it expects, what it does.
#[derive(Clone, Copy)]
pub struct Sysctl {
    /// The kernel's name, without `net.ipv4.`.
    pub name: &'static str,
    /// The values that it takes.
    pub expects: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Sets it; `None` if the value is not one that it takes.
    set: fn(&mut StackConfig, &str) -> Option<()>,
}

impl fmt::Debug for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.expects)
    }
}

impl StackConfig {
    /// Sets `name` (`net.ipv4.tcp_sack`, or just `tcp_sack`) to `value`.
    pub fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let name = name.trim();
        let bare = name.strip_prefix("net.ipv4.").unwrap_or(name);
        let Some(sysctl) = SYSCTLS.iter().find(|sysctl| sysctl.name == bare) else {
            let message = match nearest(bare) {
                Some(known) => format!("there is no setting {name}; did you mean {known}?"),
                None => format!("there is no setting {name}"),
            };
            return Err(SysctlError { message });
        };
        let mut changed = self.clone();
        if (sysctl.set)(&mut changed, value.trim()).is_none() {
            let message = format!("{name} cannot be \"{}\": it takes {}", value.trim(), sysctl.expects);
            return Err(SysctlError { message });
        }
        *self = changed;
        Ok(())
    }
}

/// Every setting, by name.
pub const SYSCTLS: &[Sysctl] = &[
    Sysctl {
        name: "icmp_msgs_burst",
        expects: "0 to 1000000",
        about: "ICMP errors that may go at once",
        set: |config, value| set(&mut config.host.icmp_msgs_burst, number(value, 0, 1_000_000)),
    },
    Sysctl {
        name: "icmp_msgs_per_sec",
        expects: "0 to 1000000",
        about: "ICMP errors that this host sends in a second at the most; 0 sends none",
        set: |config, value| set(&mut config.host.icmp_msgs_per_sec, number(value, 0, 1_000_000)),
    },
    Sysctl {
        name: "ip_default_ttl",
        expects: "1 to 255",
        about: "time to live and hop limit of what this host sends",
        set: |config, value| set(&mut config.host.default_ttl, number(value, 1, 255)),
    },
    Sysctl {
        name: "ip_local_port_range",
        expects: "two ports, the lower one first, such as \"32768 60999\"",
        about: "ports that active opens choose from",
        set: |config, value| {
            let [low, high] = numbers(value, 1, 65_535)?;
            (low <= high).then(|| config.host.local_port_range = (low, high))
        },
    },
    Sysctl {
        name: "ip_no_pmtu_disc",
        expects: "0, 1 or 2",
        about: "0: path MTU discovery; 1: routers may cut packets; 2: and their complaints are not heard",
        set: |config, value| set(&mut config.host.no_pmtu_disc, number(value, 0, 2)),
    },
    Sysctl {
        name: "ipfrag_high_thresh",
        expects: "bytes, 0 to 2147483647",
        about: "memory for packets that arrive in pieces, a quarter of it for one source; 0 takes no fragments",
        set: |config, value| set(&mut config.host.ipfrag_high_thresh, number(value, 0, MAX_BUFFER)),
    },
    Sysctl {
        name: "ipfrag_time",
        expects: "seconds, 1 to 3600",
        about: "how long the pieces of an IPv4 packet wait for the rest",
        set: |config, value| set(&mut config.host.ipfrag_time, number(value, 1, 3600).map(Duration::from_secs)),
    },
    Sysctl {
        name: "route.min_pmtu",
        expects: "bytes, 68 to 65535",
        about: "the smallest path MTU that an IPv4 router is believed",
        set: |config, value| set(&mut config.host.min_pmtu, number(value, 68, 65_535)),
    },
    Sysctl {
        name: "route.mtu_expires",
        expects: "seconds, 1 to 86400",
        about: "how long counts what a router has said of a path",
        set: |config, value| set(&mut config.host.mtu_expires, number(value, 1, 86_400).map(Duration::from_secs)),
    },
    Sysctl {
        name: "tcp_abort_on_overflow",
        expects: "0 or 1",
        about: "a full accept queue answers with RST instead of silence",
        set: |config, value| set(&mut config.host.abort_on_overflow, switch(value)),
    },
    Sysctl {
        name: "tcp_base_mss",
        expects: "bytes, 48 to 65535",
        about: "where the search for the path MTU begins, RFC 4821",
        set: |config, value| set(&mut config.tcp.base_mss, number(value, 48, 65_535)),
    },
    Sysctl {
        name: "tcp_congestion_control",
        expects: "the name of a congestion controller: reno, cubic or bbr",
        about: "congestion control of new connections",
        set: |config, value| set(&mut config.tcp.congestion, CcKind::from_name(value)),
    },
    Sysctl {
        name: "tcp_dsack",
        expects: "0 or 1",
        about: "duplicate SACK, RFC 2883",
        set: |config, value| set(&mut config.tcp.dsack, switch(value)),
    },
    Sysctl {
        name: "tcp_early_retrans",
        expects: "0 to 4",
        about: "3 and 4 send tail loss probes, RFC 8985 section 7",
        set: |config, value| set(&mut config.tcp.early_retrans, number(value, 0, 4)),
    },
    Sysctl {
        name: "tcp_fin_timeout",
        expects: "seconds, 1 to 3600",
        about: "how long a connection that nobody holds may stay in FIN-WAIT-2",
        set: |config, value| set(&mut config.tcp.fin_timeout, number(value, 1, 3600).map(Duration::from_secs)),
    },
    Sysctl {
        name: "tcp_frto",
        expects: "0 to 2",
        about: "tells spurious timeouts from losses, RFC 5682; 0 does not",
        set: |config, value| set(&mut config.tcp.frto, number::<u8>(value, 0, 2).map(|n| n > 0)),
    },
    Sysctl {
        name: "tcp_invalid_ratelimit",
        expects: "milliseconds, 0 to 3600000",
        about: "the least time between two answers to unacceptable segments of one connection",
        set: |config, value| {
            set(&mut config.tcp.challenge_ack_interval, number(value, 0, 3_600_000).map(Duration::from_millis))
        },
    },
    Sysctl {
        name: "tcp_keepalive_intvl",
        expects: "seconds, 1 to 32767",
        about: "time between two keep-alive probes",
        set: |config, value| set(&mut config.tcp.keepalive_interval, number(value, 1, 32_767).map(Duration::from_secs)),
    },
    Sysctl {
        name: "tcp_keepalive_probes",
        expects: "1 to 127",
        about: "unanswered keep-alive probes before the connection ends",
        set: |config, value| set(&mut config.tcp.keepalive_probes, number(value, 1, 127)),
    },
    Sysctl {
        name: "tcp_keepalive_time",
        expects: "seconds, 1 to 32767",
        about: "idle time before the first keep-alive probe",
        set: |config, value| set(&mut config.tcp.keepalive_time, number(value, 1, 32_767).map(Duration::from_secs)),
    },
    Sysctl {
        name: "tcp_max_reordering",
        expects: "1 to 65535",
        about: "how many segments reordering may be believed to span",
        set: |config, value| set(&mut config.tcp.max_reordering, number(value, 1, 65_535)),
    },
    Sysctl {
        name: "tcp_max_syn_backlog",
        expects: "1 to 4294967295",
        about: "half-open records per listener at the most",
        set: |config, value| set(&mut config.host.max_syn_backlog, number(value, 1, u64::from(u32::MAX))),
    },
    Sysctl {
        name: "tcp_max_tw_buckets",
        expects: "0 to 4294967295",
        about: "TIME-WAIT records at the most",
        set: |config, value| set(&mut config.host.max_tw_buckets, number(value, 0, u64::from(u32::MAX))),
    },
    Sysctl {
        name: "tcp_mem",
        expects: "three numbers of pages of 4,096 bytes, in ascending order, such as \"98304 131072 196608\"",
        about: "memory of all buffers together: freely given, then grudgingly, then only as tcp_rmem and tcp_wmem promise",
        set: |config, value| {
            let [low, pressure, high] =
                numbers::<usize, 3>(value, 1, MAX_BUFFER)?.map(|pages| pages.saturating_mul(PAGE));
            (low <= pressure && pressure <= high).then(|| config.host.mem = MemorySteps { low, pressure, high })
        },
    },
    Sysctl {
        name: "tcp_moderate_rcvbuf",
        expects: "0 or 1",
        about: "receive buffers grow with what the path delivers",
        set: |config, value| set(&mut config.tcp.moderate_rcvbuf, switch(value)),
    },
    Sysctl {
        name: "tcp_mtu_probe_floor",
        expects: "bytes, 48 to 65535",
        about: "how small segments may become in a black hole",
        set: |config, value| set(&mut config.tcp.mtu_probe_floor, number(value, 48, 65_535)),
    },
    Sysctl {
        name: "tcp_mtu_probing",
        expects: "0, 1 or 2",
        about: "0: never; 1: once a black hole is suspected; 2: always",
        set: |config, value| {
            let all = [MtuProbing::Off, MtuProbing::OnBlackHole, MtuProbing::Always];
            set(&mut config.tcp.mtu_probing, number::<usize>(value, 0, 2).and_then(|n| all.get(n).copied()))
        },
    },
    // The kernel has no name for it: there the queueing discipline decides.
    Sysctl {
        name: "tcp_pacing",
        expects: "0 or 1",
        about: "bursts leave one after the other, at the rate of the window",
        set: |config, value| set(&mut config.tcp.pacing, switch(value)),
    },
    Sysctl {
        name: "tcp_pacing_ca_ratio",
        expects: "1 to 1000",
        about: "percent of a window per round trip that bursts leave at in congestion avoidance",
        set: |config, value| set(&mut config.tcp.pacing_ca_ratio, number(value, 1, 1000)),
    },
    Sysctl {
        name: "tcp_pacing_ss_ratio",
        expects: "1 to 1000",
        about: "percent of a window per round trip that bursts leave at in slow start",
        set: |config, value| set(&mut config.tcp.pacing_ss_ratio, number(value, 1, 1000)),
    },
    Sysctl {
        name: "tcp_probe_interval",
        expects: "seconds, 1 to 86400",
        about: "when a search for the path MTU that has come to its end begins anew",
        set: |config, value| set(&mut config.tcp.probe_interval, number(value, 1, 86_400).map(Duration::from_secs)),
    },
    Sysctl {
        name: "tcp_probe_threshold",
        expects: "bytes, 1 to 65535",
        about: "bounds of the path MTU closer together than that end the search",
        set: |config, value| set(&mut config.tcp.probe_threshold, number(value, 1, 65_535)),
    },
    Sysctl {
        name: "tcp_recovery",
        expects: "0 to 7",
        about: "1 finds losses by SACK and RACK; 2 keeps the reordering window static, 4 waits it out in any case",
        set: |config, value| set(&mut config.tcp.recovery, number(value, 0, 7)),
    },
    Sysctl {
        name: "tcp_reordering",
        expects: "1 to 127",
        about: "so many segments SACKed beyond a gap mean loss on a path that keeps order",
        set: |config, value| set(&mut config.tcp.reordering, number(value, 1, 127)),
    },
    Sysctl {
        name: "tcp_retries1",
        expects: "1 to 255",
        about: "R1: timeouts in a row before the application is told",
        set: |config, value| set(&mut config.tcp.retries1, number(value, 1, 255)),
    },
    Sysctl {
        name: "tcp_retries2",
        expects: "1 to 255",
        about: "R2: timeouts in a row before the connection ends",
        set: |config, value| set(&mut config.tcp.retries2, number(value, 1, 255)),
    },
    Sysctl {
        name: "tcp_rfc1337",
        expects: "0 or 1",
        about: "RST does not end TIME-WAIT",
        set: |config, value| set(&mut config.host.rfc1337, switch(value)),
    },
    Sysctl {
        name: "tcp_rmem",
        expects: "three sizes in bytes, in ascending order, such as \"4096 131072 33554432\"",
        about: "receive buffer: least, default and most",
        set: |config, value| {
            let [least, default, most] = numbers(value, 1, MAX_BUFFER)?;
            (least <= default && default <= most)
                .then(|| (config.tcp.rcv_buf_min, config.tcp.rcv_buf, config.tcp.rcv_buf_max) = (least, default, most))
        },
    },
    Sysctl {
        name: "tcp_rto_max_ms",
        expects: "milliseconds, 1000 to 120000",
        about: "the largest retransmission timeout",
        set: |config, value| set(&mut config.tcp.rto_max, number(value, 1_000, 120_000).map(Duration::from_millis)),
    },
    Sysctl {
        name: "tcp_rto_min_us",
        expects: "microseconds, 1 to 120000000",
        about: "the floor of 4*RTTVAR in the retransmission timeout",
        set: |config, value| set(&mut config.tcp.rto_min, number(value, 1, 120_000_000).map(Duration::from_micros)),
    },
    Sysctl {
        name: "tcp_sack",
        expects: "0 or 1",
        about: "selective acknowledgements, RFC 2018",
        set: |config, value| set(&mut config.tcp.sack, switch(value)),
    },
    Sysctl {
        name: "tcp_slow_start_after_idle",
        expects: "0 or 1",
        about: "cwnd starts over after an idle time, RFC 5681 4.1",
        set: |config, value| set(&mut config.tcp.slow_start_after_idle, switch(value)),
    },
    Sysctl {
        name: "tcp_syn_retries",
        expects: "1 to 127",
        about: "how often a SYN is sent again",
        set: |config, value| set(&mut config.tcp.syn_retries, number(value, 1, 127)),
    },
    Sysctl {
        name: "tcp_synack_retries",
        expects: "0 to 255",
        about: "how often a SYN-ACK is sent again",
        set: |config, value| set(&mut config.tcp.synack_retries, number(value, 0, 255)),
    },
    Sysctl {
        name: "tcp_timestamps",
        expects: "0 or 1",
        about: "timestamps, RFC 7323",
        set: |config, value| set(&mut config.tcp.timestamps, switch(value)),
    },
    Sysctl {
        name: "tcp_tw_reuse",
        expects: "0 or 1",
        about: "active opens may take over TIME-WAIT records whose timestamps are a second old",
        set: |config, value| set(&mut config.host.tw_reuse, switch(value)),
    },
    Sysctl {
        name: "tcp_window_scaling",
        expects: "0 or 1",
        about: "window scale, RFC 7323",
        set: |config, value| set(&mut config.tcp.window_scaling, switch(value)),
    },
    Sysctl {
        name: "tcp_wmem",
        expects: "three sizes in bytes, in ascending order, such as \"4096 16384 33554432\"",
        about: "send buffer: least, default and most",
        set: |config, value| {
            let [least, default, most] = numbers(value, 1, MAX_BUFFER)?;
            (least <= default && default <= most)
                .then(|| (config.tcp.snd_buf_min, config.tcp.snd_buf, config.tcp.snd_buf_max) = (least, default, most))
        },
    },
];

/// Like Linux: buffer sizes are signed 32-bit numbers.
const MAX_BUFFER: u64 = 0x7fff_ffff;

fn set<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn number<T: TryFrom<u64>>(value: &str, least: u64, most: u64) -> Option<T> {
    let number = u64::from_str(value).ok().filter(|number| (least..=most).contains(number))?;
    T::try_from(number).ok()
}

/// Exactly `N` numbers, blanks or tabs between them.
fn numbers<T: TryFrom<u64> + Copy + Default, const N: usize>(value: &str, least: u64, most: u64) -> Option<[T; N]> {
    let mut words = value.split_whitespace();
    let mut all = [T::default(); N];
    for place in &mut all {
        *place = number(words.next()?, least, most)?;
    }
    words.next().is_none().then_some(all)
}

/// A known name that differs from `name` by little: one contains the other, or they share all but a few letters.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_string();
    SYSCTLS
        .iter()
        .map(|sysctl| (distance(&name, sysctl.name), sysctl.name))
        .min()
        .filter(|&(distance, known)| distance <= 3 || known.ends_with(&*name) && name.len() > 3)
        .map(|(_, known)| known)
}

/// Levenshtein's: letters to change, add or leave out.
fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: alloc::vec::Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let here = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = core::mem::replace(&mut row[j + 1], here);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_work_with_and_without_the_kernels_prefix() {
        let mut config = StackConfig::default();
        config.set_sysctl("net.ipv4.tcp_sack", "0").unwrap();
        config.set_sysctl("tcp_timestamps", " 0 ").unwrap();
        config.set_sysctl("tcp_rmem", "4096\t65536 1048576").unwrap();
        config.set_sysctl("ip_local_port_range", "1024 65535").unwrap();
        config.set_sysctl("tcp_fin_timeout", "15").unwrap();
        assert!(!config.tcp.sack && !config.tcp.timestamps);
        assert_eq!((config.tcp.rcv_buf, config.tcp.rcv_buf_max), (65_536, 1_048_576));
        assert_eq!(config.host.local_port_range, (1024, 65_535));
        assert_eq!(config.tcp.fin_timeout, Duration::from_secs(15));
    }

    #[test]
    fn errors_are_one_sentence_with_name_value_and_expectation() {
        let mut config = StackConfig::default();
        for (name, value, message) in [
            ("tcp_sack", "2", "tcp_sack cannot be \"2\": it takes 0 or 1"),
            (
                "net.ipv4.tcp_rmem",
                "4096 1",
                "net.ipv4.tcp_rmem cannot be \"4096 1\": it takes three sizes in bytes, in ascending order, such as \
                 \"4096 131072 33554432\"",
            ),
            ("tcp_sacks", "1", "there is no setting tcp_sacks; did you mean tcp_sack?"),
            ("tw_reuse", "1", "there is no setting tw_reuse; did you mean tcp_tw_reuse?"),
            ("vm.swappiness", "1", "there is no setting vm.swappiness"),
        ] {
            assert_eq!(config.set_sysctl(name, value).unwrap_err().to_string(), message);
        }
        assert_eq!(config, StackConfig::default());
    }

    /// The list is sorted, and every setting refuses nonsense and numbers out of range.
    #[test]
    fn every_setting_looks_at_its_value() {
        assert!(SYSCTLS.is_sorted_by_key(|sysctl| sysctl.name));
        for sysctl in SYSCTLS {
            for value in ["", "yes", "-1", "99999999999", "1 2 3 4", "9 8 7"] {
                let mut config = StackConfig::default();
                assert!(config.set_sysctl(sysctl.name, value).is_err(), "{} = {value}", sysctl.name);
            }
        }
    }
}
