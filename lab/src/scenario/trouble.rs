//! Stories that do not end well, as they should not.
//!
//! Sections: RFC 9293 3.5.2 (resets), 3.9.1.5 (ABORT), 3.8.3 (R1, R2), MUST-46, MUST-57.
//! In: settings.
//! Out: stages.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::time::Duration;
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::eth::{self, MacAddr};
use tidegate_proto::wire::{Ecn, Flags, Header, Options, Seq, frame, ip, ipv4, ipv6};

use super::open::PORT;
use super::{Settings, Stage};
use crate::app::script::Step;
use crate::world::Happening;

/// Nobody listens on the port that A calls: RST.
pub(super) fn connection_refused(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    stage.add_scripts(&[Step::Until(stage.start), Step::Connect { local, remote }, Step::Over], &[]);
    stage
}

/// A has enough in mid-transfer and aborts: RST, and what was under way is lost.
pub(super) fn reset_in_transfer(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    stage.add_scripts(
        &[Step::Until(stage.start), Step::Connect { local, remote }, Step::Connected, Step::Read(20_000), Step::Abort],
        &[Step::Listen(remote), Step::Accept, Step::Write(200_000), Step::Over],
    );
    stage
}

/// B loses power while A sends: A tries again and again, ever more slowly, tells its program after R1 and gives up
/// after R2.
pub(super) fn peer_vanishes(settings: &Settings) -> Stage {
    // As if a router stood between them: on one link A would soon find nobody to answer its ARP, and send nothing.
    let mut settings = settings.clone();
    settings.stack.host.neighbour_lifetime = Duration::from_secs(86_400);
    let mut stage = Stage::new(&settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    stage.add_scripts(
        &[Step::Until(stage.start), Step::Connect { local, remote }, Step::Connected, Step::Write(100_000), Step::Over],
        &[Step::Listen(remote), Step::Accept, Step::Read(100_000)],
    );
    let in_transfer = Stage::FIRST_SYN + settings.link.delay * 6 + Duration::from_micros(200);
    stage.world.schedule(in_transfer, Happening::Vanish(stage.b.host));
    stage
}

/// A program wants to call a multicast address: TCP refuses. Another puts such a SYN on the link with its own hands:
/// B drops it without a word.
pub(super) fn multicast(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let group = match settings.ipv6 {
        false => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)),
        true => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
    };
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    let to_group = SocketAddr::new(group, PORT);
    stage.add_scripts(
        &[Step::Until(stage.start), Step::Connect { local, remote: to_group }],
        &[Step::Listen(remote), Step::Wait(Duration::from_secs(1)), Step::StopListening],
    );
    stage.world.schedule(Stage::FIRST_SYN, Happening::Inject(stage.a, hand_made_syn(local, to_group)));
    stage
}

fn hand_made_syn(from: SocketAddr, to: SocketAddr) -> Bytes {
    let protocol = ip::protocol::TCP;
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ip::Header::V4(ipv4::Header { ttl: 1, ..ipv4::Header::atomic(src, dst, protocol) })
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => ip::Header::V6(ipv6::Header {
            src,
            dst,
            protocol,
            hop_limit: 1,
            dscp: 0,
            ecn: Ecn::NotEct,
            flow_label: 0,
            fragment: None,
        }),
        _ => unreachable!("both addresses are of one version"),
    };
    let link = eth::Header {
        dst: ip::multicast_mac(to.ip()),
        src: MacAddr([0x02, 0x00, 192, 168, 131, 132]),
        ethertype: ip.ethertype(),
    };
    let tcp = Header {
        src_port: from.port(),
        dst_port: to.port(),
        seq: Seq(1_000),
        flags: Flags::SYN,
        window: 65_535,
        options: Options { mss: Some(1460), ..Options::default() },
        ..Header::default()
    };
    Bytes::copy_from_slice(&frame::emit_tcp(Some(&link), &ip, &tcp, &[[0_u8; 0]], portable))
}
