//! Every transition of RFC 9293's Figure 5 that a peer can cause, with the Linux kernel as that peer: both roles, both
//! versions of IP; and transfers with the kernel's controllers, options and MTUs. Each scene prints a row of a table.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use rustix::net::sockopt;
use tidegate::clock;
use tidegate::dev::{Offload, Tun};
use tidegate::proto::net::SocketId;
use tidegate::proto::tcp::{CloseReason, Read, State};
use tidegate::proto::time::{Duration, Instant};
use tidegate::proto::wire::frame::Link;

use crate::namespace::{Namespace, for_root};
use crate::rig::Rig;

const KERNEL: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1))];
const OURS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2)), IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2))];

/// Our stack, the kernel in a namespace, and the link between them.
struct Scene {
    namespace: Namespace,
    rig: Rig<Tun>,
    began: Instant,
    bytes: usize,
}

/// Who opens the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opens {
    We,
    TheKernel,
}

impl Scene {
    fn new(mtu: u16, settings: &[&str]) -> Option<Scene> {
        let namespace = for_root()?;
        for setting in settings {
            assert!(namespace.inside().command(&["sysctl", "-qw", setting]), "{setting}");
        }
        let tun = namespace.run(|| Tun::open("tide0", Link::Ip, Offload::Kernel)).expect("root may make one");
        namespace.ip(&["link", "set", "tide0", "mtu", &mtu.to_string(), "up"]);
        namespace.ip(&["addr", "add", "10.9.0.1/24", "dev", "tide0"]);
        if mtu >= 1280 {
            namespace.ip(&["addr", "add", "fd09::1/64", "dev", "tide0", "nodad"]);
        }
        let rig = Rig::new(tun, &OURS);
        Some(Scene { namespace, rig, began: clock::now(), bytes: 0 })
    }

    /// A connection, and the kernel's end of it.
    fn connect(&mut self, version: usize, opens: Opens, port: u16) -> (SocketId, TcpStream) {
        match opens {
            Opens::We => {
                let to = SocketAddr::new(KERNEL[version], port);
                let listener = self.namespace.run(move || TcpListener::bind(to).expect("a free port"));
                let socket = self.rig.connect(to);
                let (stream, _) = listener.accept().expect("it is there");
                (socket, stream)
            }
            Opens::TheKernel => {
                let to = SocketAddr::new(OURS[version], port);
                let listener = self.rig.stack.listen(to, 8).expect("a free port");
                let peer = self.namespace.spawn(move || TcpStream::connect(to).expect("we listen"));
                let socket = self.rig.accept(listener);
                let stream = self.rig.join(peer);
                self.rig.stack.close(listener, clock::now()).expect("it is ours");
                (socket, stream)
            }
        }
    }

    /// Drives our side until the connection is in this state.
    fn until(&mut self, socket: SocketId, state: State) {
        self.rig.until(|stack| (stack.state(socket) == state).then_some(()));
    }

    fn close(&mut self, socket: SocketId) {
        self.rig.stack.close(socket, clock::now()).expect("it is ours");
    }

    fn write(&mut self, socket: SocketId, data: &[u8]) {
        let mut taken = self.rig.stack.write(socket, data, clock::now()).expect("open");
        // The send buffer grows as the path shows what it carries.
        while taken < data.len() {
            taken += self.rig.until(|stack| {
                let more = stack.write(socket, &data[taken..], clock::now()).expect("open");
                (more > 0).then_some(more)
            });
        }
        self.bytes += taken;
    }

    /// One row of the table.
    fn row(&self, name: &str) {
        let nanos = clock::now().since(self.began).as_nanos();
        let again = self.rig.stack.counters().retrans_segs;
        println!("| {name} | {} | {}.{:03} | {again} |", self.bytes, nanos / 1_000_000_000, nanos / 1_000_000 % 1000);
    }
}

/// Runs a scene with both roles and both versions of IP.
fn everywhere(name: &str, play: impl Fn(&mut Scene, SocketId, TcpStream)) {
    let Some(mut scene) = Scene::new(1500, &[]) else { return };
    let mut port = 8000;
    for version in [0, 1] {
        for opens in [Opens::We, Opens::TheKernel] {
            port += 1;
            let (socket, stream) = scene.connect(version, opens, port);
            play(&mut scene, socket, stream);
            scene.rig.stack.release(socket, clock::now());
        }
    }
    scene.row(name);
}

fn end_of(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("closed in order");
    all
}

#[test]
fn we_close_half_and_the_kernel_goes_on() {
    everywhere("half-close by us", |scene, socket, mut stream| {
        scene.write(socket, b"the end of mine");
        scene.close(socket);
        scene.until(socket, State::FinWait2);
        let inside = scene.namespace.spawn(move || {
            let mut request = Vec::new();
            stream.read_to_end(&mut request).expect("closed in order");
            stream.write_all(&[5; 100_000]).expect("half open");
            request
        });
        let answer = scene.rig.receive_all(socket);
        assert_eq!(answer.len(), 100_000);
        scene.bytes += answer.len();
        assert_eq!(scene.rig.join(inside), b"the end of mine");
        scene.until(socket, State::TimeWait);
    });
}

#[test]
fn the_kernel_closes_half_and_we_go_on() {
    everywhere("half-close by the kernel", |scene, socket, stream| {
        stream.shutdown(Shutdown::Write).expect("connected");
        scene.until(socket, State::CloseWait);
        scene.write(socket, &[6; 50_000]);
        let peer = scene.namespace.spawn(move || end_of(stream));
        scene.close(socket);
        assert_eq!(scene.rig.join(peer).len(), 50_000);
        scene.until(socket, State::Closed);
        assert_eq!(scene.rig.stack.close_reason(socket), Some(CloseReason::Normal));
    });
}

/// Both FINs are on their way before either arrives: FIN-WAIT-1, CLOSING, TIME-WAIT.
#[test]
fn both_close_at_once() {
    everywhere("simultaneous close", |scene, socket, stream| {
        // The kernel's FIN waits in the device's queue while ours is made.
        stream.shutdown(Shutdown::Write).expect("connected");
        scene.close(socket);
        let now = clock::now();
        let fin = scene.rig.stack.poll_transmit(now).expect("our FIN");
        assert_eq!(scene.rig.stack.state(socket), State::FinWait1);
        scene.rig.hand_over(fin);
        scene.until(socket, State::TimeWait);
        drop(stream);
    });
}

#[test]
fn the_kernel_resets() {
    everywhere("reset by the kernel", |scene, socket, stream| {
        sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).expect("a socket");
        drop(stream);
        scene.until(socket, State::Closed);
        assert_eq!(scene.rig.stack.close_reason(socket), Some(CloseReason::Reset));
    });
}

#[test]
fn we_reset() {
    everywhere("reset by us", |scene, socket, mut stream| {
        scene.rig.stack.abort(socket, clock::now()).expect("it is ours");
        let peer = scene.namespace.spawn(move || stream.read(&mut [0]).expect_err("reset").kind());
        assert_eq!(scene.rig.join(peer), ErrorKind::ConnectionReset);
    });
}

#[test]
fn nobody_listens() {
    let Some(mut scene) = Scene::new(1500, &[]) else { return };
    for version in [0, 1] {
        let to = SocketAddr::new(KERNEL[version], 81);
        let socket = scene.rig.stack.connect(None, to, clock::now()).expect("there is a way");
        scene.until(socket, State::Closed);
        assert_eq!(scene.rig.stack.close_reason(socket), Some(CloseReason::Refused));
        let to = SocketAddr::new(OURS[version], 81);
        let peer = scene.namespace.spawn(move || TcpStream::connect(to).expect_err("refused").kind());
        assert_eq!(scene.rig.join(peer), ErrorKind::ConnectionRefused);
    }
    scene.row("refused, both ways");
}

/// The kernel stops reading until its window is closed, and then reads on; and so do we.
#[test]
fn windows_close_and_open() {
    everywhere("zero window, both ways", |scene, socket, mut stream| {
        const LEN: usize = 8 << 20;
        let data = vec![9; LEN];
        let mut written = 0;
        scene.rig.until(|stack| {
            written += stack.write(socket, &data[written..], clock::now()).expect("open");
            stack.info(socket, clock::now()).is_some_and(|info| info.snd_wnd == 0).then_some(())
        });
        let kernel_writes = stream.try_clone().expect("a duplicate");
        let reader = scene.namespace.spawn(move || {
            let mut all = vec![0; LEN];
            stream.read_exact(&mut all).expect("it all comes");
            all.iter().all(|&byte| byte == 9)
        });
        scene.rig.until(|stack| {
            written += stack.write(socket, &data[written..], clock::now()).expect("open");
            (written == LEN).then_some(())
        });
        assert!(scene.rig.join(reader));
        let writer = scene.namespace.spawn(move || (&kernel_writes).write_all(&vec![8; LEN]).expect("open"));
        // We do not read until nothing more comes.
        let mut last = 0;
        let mut since = clock::now();
        scene.rig.until(|stack| {
            let here = stack.connection(socket).map_or(0, |connection| connection.readable());
            if here != last {
                (last, since) = (here, clock::now());
            }
            (here > 0 && clock::now().since(since) > Duration::from_millis(1)).then_some(())
        });
        let (mut read, mut buffer) = (0, vec![0; 1 << 20]);
        scene.rig.until(|stack| {
            while let Ok(Read::Data(n)) = stack.read(socket, &mut buffer, clock::now()) {
                read += n;
            }
            (read == LEN).then_some(())
        });
        scene.rig.join(writer);
        scene.bytes += 2 * LEN;
    });
}

/// Nobody says anything for a while, and keep-alive asks: the kernel answers, and the connection lives. It answers no
/// oftener than every 500 ms (tcp_invalid_ratelimit).
#[test]
fn keep_alive_is_answered() {
    everywhere("keep-alive", |scene, socket, stream| {
        let change = |config: &mut tidegate::proto::tcp::Config| {
            config.keepalive = true;
            config.keepalive_time = Duration::from_millis(600);
            config.keepalive_interval = Duration::from_millis(600);
            config.keepalive_probes = 2;
        };
        scene.rig.stack.configure(socket, change, clock::now()).expect("it is ours");
        let until = clock::now() + Duration::from_millis(1500);
        scene.rig.until(|_| (clock::now() >= until).then_some(()));
        assert_eq!(scene.rig.stack.state(socket), State::Established);
        drop(stream);
        scene.until(socket, State::CloseWait);
    });
}

/// The kernel is cut off in the middle: the user timeout ends the connection.
#[test]
fn a_peer_that_vanishes() {
    let Some(mut scene) = Scene::new(1500, &[]) else { return };
    for version in [0, 1] {
        let (socket, stream) = scene.connect(version, Opens::We, 8000);
        let short = |config: &mut tidegate::proto::tcp::Config| config.user_timeout = Some(Duration::from_secs(1));
        scene.rig.stack.configure(socket, short, clock::now()).expect("it is ours");
        scene.namespace.ip(&["link", "set", "tide0", "down"]);
        scene.write(socket, b"is anybody there?");
        scene.until(socket, State::Closed);
        assert_eq!(scene.rig.stack.close_reason(socket), Some(CloseReason::TimedOut));
        scene.namespace.ip(&["link", "set", "tide0", "up"]);
        if version == 0 {
            scene.namespace.ip(&["addr", "replace", "fd09::1/64", "dev", "tide0", "nodad"]);
        }
        drop(stream);
    }
    scene.row("vanishing peer");
}

/// More come than our listener's queue holds: the rest get in when there is room.
#[test]
fn a_listener_overflows() {
    let Some(mut scene) = Scene::new(1500, &[]) else { return };
    for version in [0, 1] {
        let to = SocketAddr::new(OURS[version], 80);
        let listener = scene.rig.stack.listen(to, 1).expect("a free port");
        let peers: Vec<_> = (0..6).map(|_| scene.namespace.spawn(move || TcpStream::connect(to).map(drop))).collect();
        let until = clock::now() + Duration::from_millis(200);
        scene.rig.until(|_| (clock::now() >= until).then_some(()));
        assert!(scene.rig.stack.counters().listen_overflows > 0);
        for _ in 0..6 {
            let socket = scene.rig.accept(listener);
            scene.rig.stack.release(socket, clock::now());
        }
        for peer in peers {
            scene.rig.join(peer).expect("it got in");
        }
        scene.rig.stack.close(listener, clock::now()).expect("it is ours");
    }
    scene.row("listener overflow");
}

/// 4 MiB in each direction at once.
fn exchange(scene: &mut Scene, socket: SocketId, stream: TcpStream) {
    const LEN: usize = 4 << 20;
    let (mut reads, mut writes) = (stream.try_clone().expect("a duplicate"), stream);
    let writer = scene.namespace.spawn(move || {
        writes.write_all(&vec![3; LEN]).expect("open");
        writes.shutdown(Shutdown::Write).expect("open");
    });
    let reader = scene.namespace.spawn(move || {
        let mut all = Vec::new();
        reads.read_to_end(&mut all).expect("closed in order");
        all.len() == LEN && all.iter().all(|&byte| byte == 4)
    });
    let data = vec![4; LEN];
    let (mut written, mut read, mut buffer) = (0, 0, vec![0; 1 << 18]);
    scene.rig.until(|stack| {
        if written < LEN {
            written += stack.write(socket, &data[written..], clock::now()).expect("open");
            if written == LEN {
                stack.close(socket, clock::now()).expect("it is ours");
            }
        }
        loop {
            match stack.read(socket, &mut buffer, clock::now()).expect("open") {
                Read::Data(n) => {
                    assert!(buffer[..n].iter().all(|&byte| byte == 3));
                    read += n;
                }
                Read::Eof => return (written == LEN).then_some(()),
                Read::Pending => return None,
            }
        }
    });
    assert_eq!(read, LEN);
    assert!(scene.rig.join(reader));
    scene.rig.join(writer);
    scene.bytes += 2 * LEN;
    scene.rig.stack.release(socket, clock::now());
}

/// The kernel's controllers by socket option, before the connection begins.
#[test]
fn the_kernels_controllers() {
    for name in ["cubic", "bbr", "reno"] {
        let Some(mut scene) = Scene::new(1500, &[]) else { return };
        for version in [0, 1] {
            let to = SocketAddr::new(KERNEL[version], 8000);
            let known = scene.namespace.run(move || {
                let listener = TcpListener::bind(to).expect("a free port");
                sockopt::set_tcp_congestion(&listener, name).map(|()| listener)
            });
            let Ok(listener) = known else {
                println!("skipped: this kernel has no {name}");
                continue;
            };
            let socket = scene.rig.connect(to);
            let (stream, _) = listener.accept().expect("it is there");
            exchange(&mut scene, socket, stream);
        }
        scene.row(&format!("both directions, kernel with {name}"));
    }
}

#[test]
fn the_kernels_options() {
    for (name, settings) in [
        ("without timestamps", &["net.ipv4.tcp_timestamps=0"][..]),
        ("without SACK", &["net.ipv4.tcp_sack=0"]),
        (
            "without timestamps, SACK and window scale",
            &["net.ipv4.tcp_timestamps=0", "net.ipv4.tcp_sack=0", "net.ipv4.tcp_window_scaling=0"],
        ),
        ("with ECN", &["net.ipv4.tcp_ecn=1"]),
    ] {
        let Some(mut scene) = Scene::new(1500, settings) else { return };
        for (version, opens, port) in
            [(0, Opens::We, 1), (0, Opens::TheKernel, 2), (1, Opens::We, 3), (1, Opens::TheKernel, 4)]
        {
            let (socket, stream) = scene.connect(version, opens, 8000 + port);
            exchange(&mut scene, socket, stream);
        }
        scene.row(&format!("both directions, kernel {name}"));
    }
}

#[test]
fn every_mtu() {
    for mtu in [576, 1280, 1500, 9000, 65_521] {
        let Some(mut scene) = Scene::new(mtu, &[]) else { return };
        for version in 0..if mtu < 1280 { 1 } else { 2 } {
            for (opens, port) in [(Opens::We, 8000), (Opens::TheKernel, 8001)] {
                let (socket, stream) = scene.connect(version, opens, port);
                exchange(&mut scene, socket, stream);
            }
        }
        scene.row(&format!("both directions, MTU {mtu}"));
    }
}
