//! Hosts that do not answer, on an Ethernet.

use std::net::IpAddr;

use tidegate_proto::net::{Cidr, IfaceConfig, Stack, StackConfig};
use tidegate_proto::socket::{Domain, Errno, Fd, Ready, Sockets};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::eth::MacAddr;

/// A host on an empty wire.
fn alone() -> (Sockets, Fd, Instant) {
    let now = Instant::ZERO + Duration::from_secs(1);
    let mut stack = Stack::new(StackConfig::default(), [3; 32], now);
    let addrs = vec![
        Cidr { addr: IpAddr::from([10, 0, 0, 1]), prefix: 24 },
        Cidr { addr: IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]), prefix: 64 },
    ];
    let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
    stack.add_interface(IfaceConfig { mac, mtu: 1500, addrs, max_burst: 0, checksum_offload: false });
    let mut sockets = Sockets::new(stack, 10);
    let fd = sockets.socket(Domain::V6).unwrap();
    (sockets, fd, now)
}

/// Nobody has the address: the connection attempt ends when the questions do, not when the SYNs do.
#[test]
fn a_neighbour_that_does_not_exist() {
    for to in ["[::ffff:10.0.0.9]:80", "[fd00::9]:80"] {
        let (mut sockets, fd, start) = alone();
        let mut now = start;
        assert_eq!(sockets.connect(fd, to.parse().unwrap(), now), Err(Errno::EINPROGRESS));
        let mut wakes = Vec::new();
        while wakes.is_empty() {
            while sockets.poll_transmit(now).is_some() {}
            wakes.extend(std::iter::from_fn(|| sockets.poll_wake()));
            let next = sockets.next_timeout().filter(|_| wakes.is_empty()).unwrap_or(now);
            now = now.max(next);
            sockets.on_timeout(now);
        }
        assert!(now.since(start) <= Duration::from_secs(4), "{:?}", now.since(start));
        assert!(sockets.readiness(fd).has(Ready::ERR | Ready::HUP | Ready::OUT));
        assert_eq!(sockets.connect(fd, to.parse().unwrap(), now), Err(Errno::EHOSTUNREACH));
        assert_eq!(sockets.take_error(fd), Ok(None));
        // And then all is as before.
        assert_eq!(sockets.connect(fd, to.parse().unwrap(), now), Err(Errno::EINPROGRESS));
    }
}
