//! Congestion control behind one small interface: a sample in, a window out.
//!
//! Sections: RFC 5681 3.1; MAY-18.
//! In: what each acknowledgement delivered, and what was lost.
//! Out: cwnd and ssthresh, in segments.

/// Which congestion controller a connection uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CcKind {
    /// RFC 5681.
    #[default]
    Reno,
}

impl CcKind {
    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            CcKind::Reno => "reno",
        }
    }

    /// The controller of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "reno" => Some(CcKind::Reno),
            _ => None,
        }
    }
}
