//! Stories of the transfer.
//!
//! Sections: RFC 9293 3.8.4, 3.8.6 (windows, zero-window probes), 2.2 (a stream of bytes, both ways at once).
//! In: settings.
//! Out: stages.

use tidegate_proto::tcp;
use tidegate_proto::time::Duration;

use super::open::{A_MOMENT, PORT};
use super::stage::{A_WRITES, B_WRITES};
use super::{Settings, Stage};
use crate::app::pump::{CloseWhen, Open, PumpConfig};
use crate::app::script::Step;
use crate::app::{App, Pump};

/// A has a small buffer and does not read for two seconds: its window closes, B probes, A reads, the window opens.
pub(super) fn zero_window(settings: &Settings) -> Stage {
    let small = tcp::Config { rcv_buf: 16_384, rcv_buf_locked: true, ..settings.stack.tcp.clone() };
    let mut stage = Stage::with(settings, small, settings.stack.tcp.clone());
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    stage.add_scripts(
        &[
            Step::Until(stage.start),
            Step::Connect { local, remote },
            Step::Connected,
            Step::Wait(Duration::from_secs(2)),
            Step::Read(30_000),
            Step::Eof,
            A_MOMENT,
            Step::Close,
            Step::Release,
        ],
        &[Step::Listen(remote), Step::Accept, Step::Write(30_000), Step::Close, Step::Eof, Step::Release],
    );
    stage
}

/// 50,000 bytes each way at the same time: every data segment also acknowledges.
pub(super) fn full_duplex(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    let both = |open, sends, receives, close| {
        App::Pump(Pump::new(PumpConfig {
            open,
            tcp: None,
            send: 50_000,
            sends,
            write_size: 10_000,
            write_gap: Duration::from_micros(100),
            receives,
            expect: 50_000,
            read_size: 65_536,
            read_gap: Duration::ZERO,
            read_after: Duration::ZERO,
            close,
            abort_after: None,
        }))
    };
    let a_opens = Open::Connect { local, remote, at: stage.start };
    stage.world.add_app(stage.a.host, both(a_opens, A_WRITES, B_WRITES, CloseWhen::AllSent));
    stage.world.add_app(stage.b.host, both(Open::Listen(remote), B_WRITES, A_WRITES, CloseWhen::PeerClosed));
    stage
}

/// A writes three times, B reads once: TCP keeps the bytes and their order, not the writes.
pub(super) fn byte_stream(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    stage.add_scripts(
        &[
            Step::Until(stage.start),
            Step::Connect { local, remote },
            Step::Connected,
            Step::Say("one "),
            Step::Say("two "),
            Step::Say("three\n"),
            Step::Wait(Duration::from_millis(200) + settings.link.delay * 4),
            Step::Close,
            Step::Eof,
            Step::Release,
        ],
        &[
            Step::Listen(remote),
            Step::Accept,
            Step::Wait(Duration::from_millis(100) + settings.link.delay * 4),
            Step::ReadOnce(1_000),
            Step::Eof,
            A_MOMENT,
            Step::Close,
            Step::Release,
        ],
    );
    stage
}
