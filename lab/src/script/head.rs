//! What the head of a script and its commands say: settings of the run and of the stack.
//!
//! Sections: the options of packetdrill; Linux's names of settings.
//! In: `--name=value` lines; commands in backticks.
//! Out: changed settings, or why the script is not applicable.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use tidegate_proto::net::{SYSCTLS, StackConfig};
use tidegate_proto::time::Duration;

use super::ast::{HeadOption, HeadValue};
use super::run::{Settings, Stop};

/// The settings of one run.
pub(super) struct Head {
    pub(super) stack: StackConfig,
    pub(super) ipv6: bool,
    pub(super) mapped: bool,
    pub(super) tolerance: Duration,
    pub(super) strict_segments: bool,
    pub(super) mtu: Option<u16>,
    pub(super) local_ip: Option<IpAddr>,
    pub(super) remote_ip: Option<IpAddr>,
    pub(super) bind_port: u16,
    pub(super) connect_port: u16,
}

impl Head {
    pub(super) fn new(settings: &Settings) -> Self {
        Head {
            stack: settings.stack.clone(),
            ipv6: settings.ipv6,
            mapped: settings.mapped,
            tolerance: settings.tolerance,
            strict_segments: settings.strict_segments,
            mtu: settings.mtu,
            local_ip: None,
            remote_ip: None,
            bind_port: PORT,
            connect_port: PORT,
        }
    }

    /// One line of the head.
    pub(super) fn take(&mut self, option: &HeadOption) -> Result<(), Stop> {
        let unusable = || Stop::NotApplicable(format!("the option {option}"));
        let plain = match &option.value {
            Some(HeadValue::Plain(plain)) => plain.as_str(),
            Some(HeadValue::Define(..)) => return Ok(()),
            Some(HeadValue::Text(text)) => core::str::from_utf8(text).map_err(|_| unusable())?,
            None => "",
        };
        let port = || plain.parse().map_err(|_| unusable());
        match (option.name.as_str(), plain) {
            ("ip_version", "ipv4") => (self.ipv6, self.mapped) = (false, false),
            ("ip_version", "ipv6") => (self.ipv6, self.mapped) = (true, false),
            ("ip_version", "ipv4-mapped-ipv6") => (self.ipv6, self.mapped) = (false, true),
            ("tolerance_usecs", micros) => {
                self.tolerance = Duration::from_micros(micros.parse().map_err(|_| unusable())?);
            }
            ("mtu", mtu) => self.mtu = Some(mtu.parse().map_err(|_| unusable())?),
            ("local_ip", ip) => self.local_ip = Some(ip.parse().map_err(|_| unusable())?),
            ("remote_ip", ip) => self.remote_ip = Some(ip.parse().map_err(|_| unusable())?),
            ("bind_port", _) => self.bind_port = port()?,
            ("connect_port", _) => self.connect_port = port()?,
            ("strict_segments", "" | "true" | "1") => self.strict_segments = true,
            // Nobody routes here, no buffer of the runner's waits to be freed, and time has no jitter that would grow
            // with it.
            ("gateway_ip" | "netmask_ip" | "speed" | "tolerance_percent", _)
            | ("send_omit_free" | "debug" | "verbose" | "no_cleanup", "") => {}
            ("code_format", "python") | ("code_sockopt", "" | "TCP_INFO") => {}
            // Timestamps tick in milliseconds unless a script measures them otherwise.
            ("tcp_ts_tick_usecs", "1000") => {}
            _ => return Err(unusable()),
        }
        Ok(())
    }

    /// A command: each of its lines is honoured, or the script is not applicable.
    pub(super) fn command(stack: &mut StackConfig, command: &str) -> Result<(), Stop> {
        for words in commands(command) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            one_command(stack, &words)?;
        }
        Ok(())
    }
}

fn one_command(stack: &mut StackConfig, words: &[&str]) -> Result<(), Stop> {
    let refused = || Stop::NotApplicable(format!("the command `{}`", words.join(" ")));
    let (program, rest) = words.split_first().ok_or_else(refused)?;
    let name = program.rsplit('/').next().unwrap_or_default();
    match (name, rest) {
        ("sysctl", rest) => {
            let settings: Vec<&&str> = rest.iter().filter(|word| !matches!(**word, "-q" | "-w" | "-qw")).collect();
            settings.iter().try_for_each(|setting| take_setting(stack, setting).ok_or_else(refused)?)
        }
        ("set_sysctls.py", settings) => {
            settings.iter().try_for_each(|setting| take_setting(stack, setting).ok_or_else(refused)?)
        }
        ("defaults.sh", []) => {
            for (name, value) in DEFAULTS {
                // What the stack does not have is not missed: these are the kernel's settings, not the script's.
                let _ = stack.set_sysctl(name, value);
            }
            Ok(())
        }
        // What earlier scripts changed is restored; there were none.
        (name, []) if name.starts_with("sysctl_restore_") && name.ends_with(".sh") => Ok(()),
        // Nothing of earlier connections is kept here, and there is no queue behind the stack that would pace or drop.
        ("ip", ["tcp_metrics", "flush", ..]) | ("sync" | "true" | ":", _) => Ok(()),
        ("tc", ["qdisc", "add" | "replace" | "change", .., "pfifo" | "fq" | "pfifo_fast" | "noqueue"]) => Ok(()),
        // How much a device takes at once shows in no segment.
        ("ethtool", ["-K", _, features @ ..]) if features.iter().all(|word| OFFLOADS.contains(word)) => Ok(()),
        _ => Err(refused()),
    }
}

/// `net.ipv4.tcp_sack=0` or `/proc/sys/net/ipv4/tcp_sack=0`; `None` for something else.
fn take_setting(stack: &mut StackConfig, setting: &str) -> Option<Result<(), Stop>> {
    let (name, value) = setting.split_once('=')?;
    let name = name.trim_start_matches('/').replace('/', ".");
    let name = name.strip_prefix("proc.sys.").unwrap_or(&name);
    let bare = name.strip_prefix("net.ipv4.").unwrap_or(name);
    // The kernel takes numbers of any base, and so does the shell.
    let value = match value.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
        Some(number) => number.to_string(),
        None => value.to_owned(),
    };
    if !SYSCTLS.iter().any(|sysctl| sysctl.name == bare) && INDIFFERENT.contains(&bare) {
        return Some(Ok(()));
    }
    Some(stack.set_sysctl(name, &value).map_err(|e| Stop::NotApplicable(e.to_string())))
}

/// The commands of a piece of shell, each as its words: what scripts use of it, which is quotes, comments, sums in
/// `$((...))` and redirections.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, '\\') => match chars.next() {
                Some('\n') | None => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            (_, '$') if chars.peek() == Some(&'(') => {
                let sum: String = chars.by_ref().skip_while(|c| *c == '(').take_while(|c| *c != ')').collect();
                chars.next_if_eq(&')');
                let value = product(&sum).map_or_else(|| format!("$(({sum}))"), |n| n.to_string());
                word.get_or_insert_default().push_str(&value);
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '#') if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, '\n' | ';' | '&') => {
                words.extend(word.take());
                all.push(core::mem::take(&mut words));
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    all.push(words);
    for words in &mut all {
        let mut skip = false;
        words.retain(|word| {
            let redirects = word.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('>');
            let keep = !redirects && !skip;
            skip = redirects && word.ends_with('>');
            keep
        });
    }
    // `2>&1` is cut in two by its ampersand.
    all.retain(|words| !words.is_empty() && words.as_slice() != ["1"]);
    all
}

/// `15*1024*1024`.
fn product(text: &str) -> Option<u64> {
    text.split('*').try_fold(1_u64, |all, factor| all.checked_mul(factor.trim().parse().ok()?))
}

/// Settings of what a stack in user space does not have (the kernel's memory, its queues and its caches), or of when
/// the kernel batches work: no script sees them in a packet.
const INDIFFERENT: [&str; 16] = [
    "tcp_autocorking",
    "tcp_backlog_ack_defer",
    "tcp_fack",
    "tcp_limit_output_bytes",
    "tcp_low_latency",
    "tcp_mem",
    "tcp_metrics_save",
    "tcp_min_tso_segs",
    "tcp_moderate_rcvbuf",
    "tcp_no_metrics_save",
    "tcp_no_ssthresh_metrics_save",
    "tcp_tso_rtt_log",
    "tcp_tso_win_divisor",
    "net.core.optmem_max",
    "net.core.rmem_max",
    "net.core.wmem_max",
];

/// What `defaults.sh` of the public scripts sets.
const DEFAULTS: &[(&str, &str)] = &[
    ("tcp_rmem", "4096 540000 15728640"),
    ("tcp_wmem", "4096 262144 4194304"),
    ("tcp_timestamps", "1"),
    ("tcp_syn_retries", "5"),
    ("tcp_synack_retries", "5"),
    ("tcp_frto", "2"),
    ("tcp_sack", "1"),
    ("tcp_dsack", "1"),
    ("tcp_reordering", "3"),
    ("tcp_congestion_control", "cubic"),
    ("tcp_slow_start_after_idle", "0"),
    ("tcp_early_retrans", "4"),
    ("tcp_recovery", "1"),
    ("tcp_ecn", "0"),
    ("tcp_pacing_ss_ratio", "200"),
    ("tcp_pacing_ca_ratio", "120"),
    ("tcp_notsent_lowat", "4294967295"),
    ("tcp_fastopen", "3"),
    ("tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"),
    ("tcp_syncookies", "1"),
];

const OFFLOADS: [&str; 14] = [
    "tso",
    "gso",
    "gro",
    "lro",
    "sg",
    "tx",
    "rx",
    "on",
    "off",
    "tx-tcp-segmentation",
    "rx-gro-list",
    "generic-segmentation-offload",
    "tcp-segmentation-offload",
    "generic-receive-offload",
];

/// The port of either end, unless the script names another; packetdrill's.
const PORT: u16 = 8080;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        commands(text)
    }

    #[test]
    fn a_piece_of_shell_is_its_commands() {
        let text = "./defaults.sh\n# a comment; nothing\n./set_sysctls.py /proc/sys/net/ipv4/tcp_wmem=\"4096 $((256*1024)) 8\" \\\n  b=2\n\
                    ip tcp_metrics flush all > /dev/null 2>&1; sync && echo 'a # b' >x\n";
        let expected: &[&[&str]] = &[
            &["./defaults.sh"],
            &["./set_sysctls.py", "/proc/sys/net/ipv4/tcp_wmem=4096 262144 8", "b=2"],
            &["ip", "tcp_metrics", "flush", "all"],
            &["sync"],
            &["echo", "a # b"],
        ];
        assert_eq!(words(text), expected);
    }

    #[test]
    fn settings_are_taken_or_refused() {
        let take = |command: &str| {
            let mut stack = StackConfig::default();
            let outcome = Head::command(&mut stack, command);
            let why = if let Err(Stop::NotApplicable(why)) = outcome { Some(why) } else { None };
            (stack, why)
        };
        let (stack, why) = take("sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0");
        assert_eq!((stack.tcp.sack, stack.tcp.timestamps, why), (false, false, None));
        let (stack, why) = take("../common/defaults.sh\n./set_sysctls.py /proc/sys/net/ipv4/tcp_syn_retries=0x6");
        assert_eq!((stack.tcp.syn_retries, stack.tcp.rcv_buf_max, why), (6, 15_728_640, None));
        assert_eq!(take("sysctl -q net.ipv4.tcp_min_tso_segs=4").1, None);
        assert_eq!(take("/tmp/sysctl_restore_${PPID}.sh").1, None);
        assert_eq!(take("sysctl net.ipv4.tcp_sack").1.as_deref(), Some("the command `sysctl net.ipv4.tcp_sack`"));
        assert_eq!(
            take("sysctl -q net.ipv4.tcp_sack=2").1.as_deref(),
            Some("net.ipv4.tcp_sack cannot be \"2\": it takes 0 or 1")
        );
        assert_eq!(take("iptables -A INPUT").1.as_deref(), Some("the command `iptables -A INPUT`"));
    }
}
