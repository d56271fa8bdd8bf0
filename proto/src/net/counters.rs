//! What a stack has seen, and what it holds.
//!
//! Sections: RFC 4022 (TCP-MIB); the kernel's `TcpExt` names.
//! In: events, as they happen.
//! Out: [`Counters`], [`Population`].

/// Counters, under the kernel's MIB names in this language's spelling (`TCPTimeWaitOverflow` is
/// `time_wait_overflow`).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub struct Counters {
    pub active_opens: u64,
    pub passive_opens: u64,
    pub attempt_fails: u64,
    pub estab_resets: u64,
    pub in_segs: u64,
    pub out_segs: u64,
    pub retrans_segs: u64,
    pub in_errs: u64,
    pub in_csum_errors: u64,
    pub out_rsts: u64,
    pub listen_overflows: u64,
    pub listen_drops: u64,
    pub req_q_full_drop: u64,
    pub time_wait_reused: u64,
    pub time_wait_overflow: u64,
    pub time_wait_killed: u64,
    pub challenge_acks: u64,
    pub memory_pressures: u64,
    pub in_hdr_errors: u64,
    pub in_addr_errors: u64,
    pub in_unknown_protos: u64,
    pub out_no_routes: u64,
    pub frag_oks: u64,
    pub frag_fails: u64,
    pub frag_creates: u64,
    pub reasm_reqds: u64,
    pub reasm_oks: u64,
    pub reasm_fails: u64,
    pub reasm_timeout: u64,
    pub reasm_overlaps: u64,
    pub out_discards: u64,
    pub icmp_in_echos: u64,
    pub icmp_out_echo_reps: u64,
    pub icmp_in_errors: u64,
    pub icmp_in_redirects: u64,
    pub icmp_out_time_excds: u64,
    pub icmp_out_parm_probs: u64,
    pub icmp_out_rate_limit_global: u64,
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
