//! A stack over a packet source that is no device: here a tunnel, as a WireGuard library would be one.
//!
//! Two hosts have one end of a [`channel`] each. The other ends belong to the tunnel, which carries packets from one to
//! the other and prints each of them; where it prints, a real one would encrypt and send a datagram.
//!
//! `cargo run -p tidegate --example tunnel`

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tidegate::clock;
use tidegate::dev::{ChannelEnd, Device, Room, channel};
use tidegate::proto::net::{Cidr, IfaceId, SocketId, Stack, StackConfig, TxFrame};
use tidegate::proto::tcp::{Read, State};
use tidegate::proto::trace::tcpdump::{Frame, LinkType, Options, Printer, TimeStyle};
use tidegate::proto::wire::eth::MacAddr;
use tidegate::proto::wire::frame::Link;

/// A stack and its device.
struct Host {
    stack: Stack,
    device: ChannelEnd,
    iface: IfaceId,
    queue: VecDeque<TxFrame>,
}

impl Host {
    fn new(device: ChannelEnd, addr: IpAddr) -> Self {
        // In earnest the seed comes from the system's random source: every secret of the stack is derived from it.
        let mut stack = Stack::new(StackConfig::default(), [1; 32], clock::now());
        let addrs = vec![Cidr { addr, prefix: 24 }];
        let iface = stack.add_interface(device.capabilities().interface(MacAddr::default(), addrs));
        Host { stack, device, iface, queue: VecDeque::new() }
    }

    /// The contract of a stack, once: every frame at hand, timers, output.
    fn turn(&mut self) -> io::Result<()> {
        let (now, mut arrived) = (clock::now(), Vec::new());
        self.device.receive(&mut arrived, 64)?;
        for frame in arrived {
            self.stack.receive(self.iface, frame, now);
        }
        if self.stack.next_timeout().is_some_and(|at| at <= now) {
            self.stack.on_timeout(now);
        }
        self.queue.extend(std::iter::from_fn(|| self.stack.poll_transmit(now)));
        self.device.send(&mut self.queue)?;
        // This program asks for states and does not wait for events.
        while self.stack.poll_event().is_some() {}
        Ok(())
    }
}

/// Carries everything that waits at `from` over to `to`.
fn carry(from: &ChannelEnd, to: &ChannelEnd, printer: &mut Printer) -> io::Result<()> {
    while let Some(packet) = from.try_recv_packet()? {
        let original_len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let frame = Frame { number: 0, time_ns: 0, utc_offset: 0, link: LinkType::Raw, bytes: &packet, original_len };
        let mut line = String::new();
        printer.print(&mut line, &frame);
        print!("{line}");
        assert_eq!(to.try_send_packet(&packet)?, Room::Free, "these few packets fit in the channel");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [(ours, at_a), (theirs, at_b)] = [(); 2].map(|()| channel(Link::Ip, 1420, 64));
    let (mut a, mut b) = (Host::new(ours, [10, 9, 0, 1].into()), Host::new(theirs, [10, 9, 0, 2].into()));
    let mut printer = Printer::new(Options { time: TimeStyle::None, ..Options::default() });

    let to = SocketAddr::from(([10, 9, 0, 2], 80));
    let listener = b.stack.listen(to, 1)?;
    let client = a.stack.connect(None, to, clock::now())?;

    let (mut server, mut heard) = (None::<SocketId>, Vec::new());
    while a.stack.state(client) != State::TimeWait {
        a.turn()?;
        b.turn()?;
        carry(&at_a, &at_b, &mut printer)?;
        carry(&at_b, &at_a, &mut printer)?;
        if a.stack.state(client) == State::Established {
            a.stack.write(client, b"Hello from the other end of a tunnel.\n", clock::now())?;
            a.stack.close(client, clock::now())?;
        }
        server = server.or_else(|| b.stack.accept(listener, clock::now()));
        if let Some(server) = server {
            let mut buffer = [0; 1024];
            match b.stack.read(server, &mut buffer, clock::now())? {
                Read::Data(n) => heard.extend_from_slice(&buffer[..n]),
                Read::Eof => b.stack.close(server, clock::now())?,
                Read::Pending => {}
            }
        }
    }
    print!("B has heard: {}", String::from_utf8_lossy(&heard));
    Ok(())
}
