//! What a stack has seen, and what it holds.
//!
//! Sections: RFC 4022 (TCP-MIB); the kernel's `TcpExt` names.
//! In: events, as they happen.
//! Out: [`Counters`], [`Population`].

/// Fields, and the name of each as the kernel's `nstat` prints it.
macro_rules! counters {
    ($($field:ident = $name:literal,)*) => {
        /// Counters, under the kernel's MIB names in this language's spelling. What the kernel counts apart for IPv6 is
        /// in the same counter here.
        #[derive(Clone, Default, PartialEq, Eq, Debug)]
        pub struct Counters {
            $(#[doc = concat!("`", $name, "`.")] pub $field: u64,)*
        }

        impl Counters {
            /// Each counter under the kernel's MIB name, as `nstat` prints it: `TcpRetransSegs`.
            pub fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($name, self.$field),)*].into_iter()
            }
        }
    };
}

counters! {
    active_opens = "TcpActiveOpens",
    passive_opens = "TcpPassiveOpens",
    attempt_fails = "TcpAttemptFails",
    estab_resets = "TcpEstabResets",
    in_segs = "TcpInSegs",
    out_segs = "TcpOutSegs",
    retrans_segs = "TcpRetransSegs",
    in_errs = "TcpInErrs",
    in_csum_errors = "TcpInCsumErrors",
    out_rsts = "TcpOutRsts",
    listen_overflows = "TcpExtListenOverflows",
    listen_drops = "TcpExtListenDrops",
    req_q_full_drop = "TcpExtTCPReqQFullDrop",
    time_wait_reused = "TcpExtTWRecycled",
    time_wait_overflow = "TcpExtTCPTimeWaitOverflow",
    time_wait_killed = "TcpExtTWKilled",
    challenge_acks = "TcpExtTCPChallengeACK",
    memory_pressures = "TcpExtTCPMemoryPressures",
    in_hdr_errors = "IpInHdrErrors",
    in_addr_errors = "IpInAddrErrors",
    in_unknown_protos = "IpInUnknownProtos",
    out_no_routes = "IpOutNoRoutes",
    frag_oks = "IpFragOKs",
    frag_fails = "IpFragFails",
    frag_creates = "IpFragCreates",
    reasm_reqds = "IpReasmReqds",
    reasm_oks = "IpReasmOKs",
    reasm_fails = "IpReasmFails",
    reasm_timeout = "IpReasmTimeout",
    reasm_overlaps = "IpExtReasmOverlaps",
    out_discards = "IpOutDiscards",
    icmp_in_echos = "IcmpInEchos",
    icmp_out_echo_reps = "IcmpOutEchoReps",
    icmp_in_errors = "IcmpInErrors",
    icmp_in_redirects = "IcmpInRedirects",
    icmp_out_time_excds = "IcmpOutTimeExcds",
    icmp_out_parm_probs = "IcmpOutParmProbs",
    icmp_out_rate_limit_global = "IcmpOutRateLimitGlobal",
}

/// How much a stack holds (I-28: all zero when everything is over).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Population {
    /// Connections with a TCB of their own.
    pub connections: usize,
    /// Half-open records in SYN queues.
    pub half_open: usize,
    /// TIME-WAIT records.
    pub time_wait: usize,
    /// Listeners.
    pub listeners: usize,
    /// Timers armed.
    pub timers: usize,
    /// Bytes charged for buffers.
    pub memory: usize,
}
