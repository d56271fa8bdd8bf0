//! The kernel's `struct tcp_info`: its fields by name, in its units, from and to its bytes.
//!
//! Sections: Linux `include/uapi/linux/tcp.h` as of 6.18 (layout, units), `tcp(7)` (TCP_INFO).
//! In: a [`TcpInfo`], or the bytes of a `struct tcp_info`.
//! Out: the other one; or one field as a number.

use super::State;
use super::info::{CaState, TcpInfo};
use crate::time::Duration;

/// One field of `struct tcp_info`.
pub struct Field {
    /// The kernel's name: `tcpi_snd_cwnd`.
    pub name: &'static str,
    /// Where it begins, bytes.
    offset: usize,
    /// Of the byte there, so many bits lie before it.
    shift: u32,
    /// How many bits it has; more than 8 are whole bytes.
    bits: u32,
    read: fn(&TcpInfo) -> u64,
    write: fn(&mut TcpInfo, u64),
}

impl core::fmt::Debug for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

impl Field {
    /// Its value in `info`, in the kernel's unit, as far as the field can hold it.
    pub fn value(&self, info: &TcpInfo) -> u64 {
        (self.read)(info).min(u64::MAX >> (64 - self.bits))
    }
}

/// How many bytes the structure has.
pub const SIZE: usize = 280;

impl TcpInfo {
    /// What `getsockopt` with TCP_INFO writes, in the byte order of this machine.
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for field in FIELDS {
            let value = field.value(self) << field.shift;
            let len = field.bits.div_ceil(8) as usize;
            let all = value.to_le_bytes();
            for (at, byte) in all.iter().take(len).enumerate() {
                let at = if cfg!(target_endian = "big") { len - 1 - at } else { at };
                if let Some(place) = bytes.get_mut(field.offset + at) {
                    *place |= byte;
                }
            }
        }
        bytes
    }

    /// The snapshot that these bytes of a `struct tcp_info` tell of. An older kernel's structure is shorter; what it
    /// does not have stays zero, as does what no `struct tcp_info` has.
    pub fn from_bytes(bytes: &[u8]) -> TcpInfo {
        let mut info = TcpInfo::default();
        for field in FIELDS {
            let len = field.bits.div_ceil(8) as usize;
            let Some(part) = bytes.get(field.offset..field.offset + len) else { continue };
            let in_order = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
            let value = if cfg!(target_endian = "big") {
                part.iter().fold(0, in_order)
            } else {
                part.iter().rev().fold(0, in_order)
            };
            (field.write)(&mut info, value >> field.shift & u64::MAX >> (64 - field.bits));
        }
        info
    }

    /// The field of this name, in the kernel's unit.
    pub fn field(&self, name: &str) -> Option<u64> {
        FIELDS.iter().find(|field| field.name == name).map(|field| field.value(self))
    }
}

impl State {
    /// The kernel's number of it.
    pub const fn number(self) -> u8 {
        match self {
            State::Established => 1,
            State::SynSent => 2,
            State::SynReceived => 3,
            State::FinWait1 => 4,
            State::FinWait2 => 5,
            State::TimeWait => 6,
            State::Closed => 7,
            State::CloseWait => 8,
            State::LastAck => 9,
            State::Listen => 10,
            State::Closing => 11,
        }
    }
}

/// A field that is a plain number in both.
macro_rules! plain {
    ($name:literal, $offset:literal, $bits:literal, $field:ident) => {
        Field {
            name: $name,
            offset: $offset,
            shift: 0,
            bits: $bits,
            read: |info| info.$field.into(),
            write: |info, value| info.$field = value.try_into().unwrap_or_default(),
        }
    };
}

/// A field that is a time, in a unit of so many microseconds.
macro_rules! time {
    ($name:literal, $offset:literal, $bits:literal, $field:ident, $unit:literal) => {
        Field {
            name: $name,
            offset: $offset,
            shift: 0,
            bits: $bits,
            read: |info| info.$field.as_micros() / $unit,
            write: |info, value| info.$field = Duration::from_micros(value.saturating_mul($unit)),
        }
    };
}

/// One bit, or a few, of a byte.
macro_rules! bits {
    ($name:literal, $offset:literal, $shift:literal, $bits:literal, $read:expr, $write:expr) => {
        Field { name: $name, offset: $offset, shift: $shift, bits: $bits, read: $read, write: $write }
    };
}

/// Every field, in the order of the structure.
pub const FIELDS: &[Field] = &[
    bits!("tcpi_state", 0, 0, 8, |info| info.state.number().into(), |info, value| {
        let state = State::ALL.into_iter().find(|state| u64::from(state.number()) == value);
        info.state = state.unwrap_or_default();
    }),
    bits!("tcpi_ca_state", 1, 0, 8, |info| info.ca_state as u64, |info, value| {
        let state = CaState::ALL.into_iter().find(|state| *state as u64 == value);
        info.ca_state = state.unwrap_or_default();
    }),
    plain!("tcpi_retransmits", 2, 8, retransmits),
    plain!("tcpi_probes", 3, 8, probes),
    plain!("tcpi_backoff", 4, 8, backoff),
    bits!("tcpi_options", 5, 0, 8, options, set_options),
    // The kernel names the two by whose they are: the peer's is for what we send.
    bits!("tcpi_snd_wscale", 6, 0, 4, |info| info.window_scale.map_or(0, |(_, peer)| peer.into()), |info, value| {
        set_scale(info, |scale| &mut scale.1, value);
    }),
    bits!("tcpi_rcv_wscale", 6, 4, 4, |info| info.window_scale.map_or(0, |(ours, _)| ours.into()), |info, value| {
        set_scale(info, |scale| &mut scale.0, value);
    }),
    bits!("tcpi_delivery_rate_app_limited", 7, 0, 1, |info| info.app_limited.into(), |info, value| {
        info.app_limited = value != 0;
    }),
    bits!("tcpi_fastopen_client_fail", 7, 1, 2, |info| info.fastopen_client_fail.into(), |info, value| {
        info.fastopen_client_fail = value.try_into().unwrap_or_default();
    }),
    time!("tcpi_rto", 8, 32, rto, 1),
    time!("tcpi_ato", 12, 32, ato, 1),
    plain!("tcpi_snd_mss", 16, 32, snd_mss),
    plain!("tcpi_rcv_mss", 20, 32, rcv_mss),
    plain!("tcpi_unacked", 24, 32, unacked),
    plain!("tcpi_sacked", 28, 32, sacked),
    plain!("tcpi_lost", 32, 32, lost),
    plain!("tcpi_retrans", 36, 32, retrans),
    // Forward acknowledgement is gone from the kernel, too.
    bits!("tcpi_fackets", 40, 0, 32, |_| 0, |_, _| {}),
    time!("tcpi_last_data_sent", 44, 32, last_data_sent, 1000),
    // The kernel never kept it.
    bits!("tcpi_last_ack_sent", 48, 0, 32, |_| 0, |_, _| {}),
    time!("tcpi_last_data_recv", 52, 32, last_data_recv, 1000),
    time!("tcpi_last_ack_recv", 56, 32, last_ack_recv, 1000),
    plain!("tcpi_pmtu", 60, 32, pmtu),
    plain!("tcpi_rcv_ssthresh", 64, 32, rcv_ssthresh),
    bits!("tcpi_rtt", 68, 0, 32, |info| info.rtt.map_or(0, Duration::as_micros), |info, value| {
        info.rtt = (value > 0).then(|| Duration::from_micros(value));
    }),
    // Until measured, the kernel's is a quarter of a second.
    bits!("tcpi_rttvar", 72, 0, 32, |info| info.rtt.map_or(250_000, |_| info.rttvar.as_micros()), |info, value| {
        info.rttvar = info.rtt.map_or(Duration::ZERO, |_| Duration::from_micros(value));
    }),
    bits!("tcpi_snd_ssthresh", 76, 0, 32, |info| info.snd_ssthresh.min(NO_THRESHOLD).into(), |info, value| {
        let ssthresh = value.try_into().unwrap_or_default();
        info.snd_ssthresh = if ssthresh == NO_THRESHOLD { u32::MAX } else { ssthresh };
    }),
    plain!("tcpi_snd_cwnd", 80, 32, snd_cwnd),
    plain!("tcpi_advmss", 84, 32, advmss),
    plain!("tcpi_reordering", 88, 32, reordering),
    time!("tcpi_rcv_rtt", 92, 32, rcv_rtt, 1),
    plain!("tcpi_rcv_space", 96, 32, rcv_space),
    plain!("tcpi_total_retrans", 100, 32, total_retrans),
    plain!("tcpi_pacing_rate", 104, 64, pacing_rate),
    plain!("tcpi_max_pacing_rate", 112, 64, max_pacing_rate),
    plain!("tcpi_bytes_acked", 120, 64, bytes_acked),
    plain!("tcpi_bytes_received", 128, 64, bytes_received),
    plain!("tcpi_segs_out", 136, 32, segs_out),
    plain!("tcpi_segs_in", 140, 32, segs_in),
    plain!("tcpi_notsent_bytes", 144, 32, notsent_bytes),
    bits!("tcpi_min_rtt", 148, 0, 32, |info| info.min_rtt.map_or(u64::MAX, Duration::as_micros), |info, value| {
        info.min_rtt = (value < u64::from(u32::MAX)).then(|| Duration::from_micros(value));
    }),
    plain!("tcpi_data_segs_in", 152, 32, data_segs_in),
    plain!("tcpi_data_segs_out", 156, 32, data_segs_out),
    plain!("tcpi_delivery_rate", 160, 64, delivery_rate),
    time!("tcpi_busy_time", 168, 64, busy_time, 1),
    time!("tcpi_rwnd_limited", 176, 64, rwnd_limited, 1),
    time!("tcpi_sndbuf_limited", 184, 64, sndbuf_limited, 1),
    plain!("tcpi_delivered", 192, 32, delivered),
    plain!("tcpi_delivered_ce", 196, 32, delivered_ce),
    plain!("tcpi_bytes_sent", 200, 64, bytes_sent),
    plain!("tcpi_bytes_retrans", 208, 64, bytes_retrans),
    plain!("tcpi_dsack_dups", 216, 32, dsack_dups),
    plain!("tcpi_reord_seen", 220, 32, reord_seen),
    plain!("tcpi_rcv_ooopack", 224, 32, rcv_ooopack),
    plain!("tcpi_snd_wnd", 228, 32, snd_wnd),
    plain!("tcpi_rcv_wnd", 232, 32, rcv_wnd),
    plain!("tcpi_rehash", 236, 32, rehash),
    plain!("tcpi_total_rto", 240, 16, total_rto),
    plain!("tcpi_total_rto_recoveries", 242, 16, total_rto_recoveries),
    time!("tcpi_total_rto_time", 244, 32, total_rto_time, 1000),
    plain!("tcpi_received_ce", 248, 32, received_ce),
    plain!("tcpi_delivered_e1_bytes", 252, 32, delivered_e1_bytes),
    plain!("tcpi_delivered_e0_bytes", 256, 32, delivered_e0_bytes),
    plain!("tcpi_delivered_ce_bytes", 260, 32, delivered_ce_bytes),
    plain!("tcpi_received_e1_bytes", 264, 32, received_e1_bytes),
    plain!("tcpi_received_e0_bytes", 268, 32, received_e0_bytes),
    plain!("tcpi_received_ce_bytes", 272, 32, received_ce_bytes),
    plain!("tcpi_accecn_fail_mode", 276, 16, accecn_fail_mode),
    plain!("tcpi_accecn_opt_seen", 278, 16, accecn_opt_seen),
];

/// TCPI_OPT_TIMESTAMPS, _SACK, _WSCALE, _ECN, _ECN_SEEN, _SYN_DATA.
fn options(info: &TcpInfo) -> u64 {
    let flags = [info.timestamps, info.sack, info.window_scale.is_some(), info.ecn, info.ecn_seen, info.syn_data];
    flags.into_iter().rev().fold(0, |all, flag| all << 1 | u64::from(flag))
}

fn set_options(info: &mut TcpInfo, value: u64) {
    let has = |bit: u32| value >> bit & 1 != 0;
    (info.timestamps, info.sack) = (has(0), has(1));
    info.window_scale = has(2).then_some((0, 0));
    (info.ecn, info.ecn_seen, info.syn_data) = (has(3), has(4), has(5));
}

/// The shifts follow the option's flag, which says whether there are any.
fn set_scale(info: &mut TcpInfo, place: fn(&mut (u8, u8)) -> &mut u8, value: u64) {
    if let Some(scale) = &mut info.window_scale {
        *place(scale) = value.try_into().unwrap_or_default();
    }
}

/// `TCP_INFINITE_SSTHRESH`.
const NO_THRESHOLD: u32 = 0x7fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The fields lie one behind the other; bits share a byte, and only bits do.
    #[test]
    fn the_layout_has_no_holes() {
        let mut end = 0;
        for field in FIELDS {
            assert_eq!(field.offset * 8 + field.shift as usize, end, "{field:?}");
            end += field.bits as usize;
            // Five bits of the eighth byte are nobody's.
            end = if field.name == "tcpi_fastopen_client_fail" { 64 } else { end };
            let size = field.bits.div_ceil(8) as usize;
            assert!(field.offset.is_multiple_of(size), "{field:?} is aligned");
        }
        assert_eq!(end, SIZE * 8);
    }

    #[test]
    fn bytes_tell_what_the_snapshot_told() {
        let mut bytes: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at % 100 + 100).expect("small")).collect();
        // A state and a phase that exist, options with a window scale, and nobody's bits clear.
        (bytes[0], bytes[1], bytes[5], bytes[7]) = (4, 3, 0x3f, 0x05);
        // What the kernel does not keep either.
        bytes[40..44].fill(0);
        bytes[48..52].fill(0);
        // Below the number that stands for no threshold; segment sizes have 16 bits; times end before the universe does.
        for high in [18, 19, 22, 23, 79, 86, 87, 174, 175, 182, 183, 190, 191] {
            bytes[high] = 0;
        }
        let info = TcpInfo::from_bytes(&bytes);
        assert_eq!(info.to_bytes(), bytes.as_slice());
        assert_eq!((info.state, info.ca_state), (State::FinWait1, CaState::Recovery));
        assert_eq!(info.window_scale, Some((106 >> 4, 106 & 15)));
        let older = TcpInfo::from_bytes(&bytes[..104]);
        assert_eq!((older.total_retrans, older.pacing_rate), (info.total_retrans, 0));
    }

    #[test]
    fn units_are_the_kernels() {
        let ms = Duration::from_millis;
        let info = TcpInfo {
            state: State::Established,
            snd_ssthresh: u32::MAX,
            rto: ms(200),
            rtt: Some(ms(30)),
            rttvar: ms(15),
            last_data_sent: ms(7),
            total_retrans: u64::MAX,
            ..TcpInfo::default()
        };
        let field = |name| info.field(name).expect("a field");
        assert_eq!((field("tcpi_rto"), field("tcpi_rtt"), field("tcpi_rttvar")), (200_000, 30_000, 15_000));
        assert_eq!((field("tcpi_snd_ssthresh"), field("tcpi_last_data_sent")), (0x7fff_ffff, 7));
        assert_eq!((field("tcpi_state"), field("tcpi_total_retrans")), (1, u64::from(u32::MAX)));
        assert_eq!(info.field("tcpi_nothing"), None);
    }
}
