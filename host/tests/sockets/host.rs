//! A host as a whole: its end, its routes, what it tells of itself.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use tidegate::Host;
use tidegate::dev::channel;
use tidegate::proto::net::Cidr;
use tidegate::proto::socket::Errno;
use tidegate::proto::tcp::State;
use tidegate::proto::wire::frame::Link;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::kin::{Kin, Ours};

const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that was written arrives, of connections that are held as of those that were dropped, and the peer's
/// last word can still be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_ends_in_order() {
    let hosts = Ours::new();
    let listener = hosts.bind().await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut readers = Vec::new();
    let mut held = None;
    for is_held in [true, false] {
        let near = hosts.connect(to).await.unwrap();
        let mut far = listener.accept().await.unwrap().0;
        readers.push(tokio::spawn(async move {
            let mut data = Vec::new();
            far.read_to_end(&mut data).await.unwrap();
            if is_held {
                far.write_all(b"so long").await.unwrap();
            }
            data.len()
        }));
        // More than the peer's window: the end begins long before the last byte has gone.
        let written = near.try_write(&vec![7; 1 << 20]).unwrap();
        if is_held {
            held = Some((near, written));
        } else {
            drop(near);
            readers.push(tokio::spawn(async move { written }));
        }
    }
    let own = hosts.client.bind("10.9.0.1:0").await.unwrap();
    let accepting = tokio::spawn(async move { own.accept().await.map(drop) });
    tokio::task::yield_now().await;

    assert_eq!(timeout(PATIENCE, hosts.client.shutdown(PATIENCE)).await.expect("soon"), 0);
    let (mut near, written) = held.unwrap();
    let mut counts = Vec::new();
    for reader in readers {
        counts.push(reader.await.unwrap());
    }
    assert_eq!(counts[0], written);
    assert_eq!(counts[1], counts[2]);
    let mut last = String::new();
    near.read_to_string(&mut last).await.unwrap();
    assert_eq!(last, "so long");

    assert_eq!(accepting.await.unwrap().unwrap_err().raw_os_error(), Some(Errno::EINVAL as i32));
    let refused = hosts.client.connect(to).await.unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::ENETDOWN as i32));
    let states: Vec<State> = hosts.client.sockets().iter().filter(|s| s.fd.is_none()).map(|s| s.state).collect();
    assert_eq!(states, [State::TimeWait; 2]);
    assert_eq!(hosts.client.shutdown(PATIENCE).await, 0, "there is nothing left to end");
}

/// A peer that does not close is reset at the deadline, neither before nor much later, and both programs hear of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_what_has_not_ended() {
    let hosts = Ours::new();
    let listener = hosts.bind().await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut near = hosts.connect(to).await.unwrap();
    let mut far = listener.accept().await.unwrap().0;
    let dropped = hosts.connect(to).await.unwrap();
    let kept = listener.accept().await.unwrap().0;
    drop(dropped);
    let reader = tokio::spawn(async move { near.read_u8().await });

    #[expect(clippy::disallowed_methods, reason = "real time is what is tested")]
    let began = Instant::now();
    let aborted = timeout(PATIENCE, hosts.client.shutdown(Duration::from_millis(200))).await.expect("at the deadline");
    assert_eq!(aborted, 2);
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
    let mut all = Vec::new();
    assert_eq!(timeout(PATIENCE, far.read_to_end(&mut all)).await.expect("a FIN before it").unwrap(), 0);
    let outcome = timeout(PATIENCE, async {
        loop {
            if let Err(error) = far.write_all(b"x").await {
                return error.kind();
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(outcome.await.expect("a reset"), ErrorKind::BrokenPipe);
    drop(kept);
}

/// A second call with less patience makes short work of the first; a call that is cancelled goes on.
#[tokio::test]
async fn of_several_deadlines_the_earliest_counts() {
    let hosts = Ours::new();
    let listener = hosts.bind().await.unwrap();
    let near = hosts.connect(listener.local_addr().unwrap()).await.unwrap();
    let far = listener.accept().await.unwrap().0;
    let first = tokio::spawn({
        let client = hosts.client.clone();
        async move { client.shutdown(Duration::MAX).await }
    });
    assert!(timeout(Duration::from_millis(50), hosts.client.shutdown(PATIENCE * 9)).await.is_err(), "the peer is open");
    assert_eq!(hosts.client.shutdown(Duration::ZERO).await, 1);
    assert_eq!(timeout(PATIENCE, first).await.expect("over, too").unwrap(), 1);
    drop((near, far));
}

/// A host whose device has failed has nothing to wait for.
#[tokio::test]
async fn a_cut_link_is_not_waited_for() {
    let (near, far) = channel(Link::Ip, 1500, 16);
    let host = Host::builder().addr("10.9.0.1/24").unwrap().start(near).unwrap();
    let other = Host::builder().addr("10.9.0.2/24").unwrap().start(far).unwrap();
    let listener = other.bind("10.9.0.2:80").await.unwrap();
    let stream = host.connect("10.9.0.2:80").await.unwrap();
    let accepted = listener.accept().await.unwrap().0;
    // Its FIN arrives; ours goes nowhere.
    drop((accepted, listener, other));
    assert_eq!(timeout(PATIENCE, host.shutdown(PATIENCE * 9)).await.expect("at once"), 1);
    drop(stream);
}

/// Two hosts of different networks, each the other's router.
#[tokio::test]
async fn a_gateway_leads_beyond_the_link() {
    let (near, far) = channel(Link::Ip, 1500, 16);
    let client = Host::builder().addr("10.9.0.1/24").unwrap().addr("fd09::1/64").unwrap();
    let client = client.gateway("10.9.0.2").unwrap().gateway("fe80::2").unwrap().start(near).unwrap();
    let server = Host::builder().addr("192.0.2.1/32").unwrap().addr("2001:db8::1/128").unwrap();
    let v6 = Cidr { addr: "fd09::".parse().unwrap(), prefix: 64 };
    let server = server.gateway("10.9.0.1").unwrap().route(v6, None).start(far).unwrap();
    let listener = server.bind("[::]:80").await.unwrap();
    for to in ["192.0.2.1:80", "[2001:db8::1]:80"] {
        let mut near = client.connect(to).await.unwrap();
        near.write_all(b"x").await.unwrap();
        assert_eq!(listener.accept().await.unwrap().0.read_u8().await.unwrap(), b'x', "{to}");
    }
}

#[tokio::test]
async fn routes_that_lead_nowhere_are_named() {
    let start = |builder: tidegate::Builder| builder.start(channel(Link::Ip, 1500, 16).0).unwrap_err();
    let host = || Host::builder().addr("10.9.0.1/24").unwrap();
    let error = start(host().gateway("10.9.0.1").unwrap());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let told = "the route to 0.0.0.0/0 by way of 10.9.0.1: the gateway is not on the link of the route's interface";
    assert_eq!(error.to_string(), told);
    let error = host().gateway("router").unwrap_err();
    assert_eq!(error.to_string(), "\"router\" is not an address, such as 10.9.0.1 or fe80::1");
    let error = start(host().gateway("fe80::1").unwrap());
    assert!(error.to_string().ends_with("no address of this version of IP"), "{error}");
}

#[tokio::test]
async fn a_host_lists_its_sockets_and_counters() {
    let hosts = Ours::new();
    let listener = hosts.bind().await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut near = hosts.connect(to).await.unwrap();
    near.write_all(b"seven by").await.unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    let own = near.local_addr().unwrap();
    // The driver of the other host has its own thread.
    let settled = async {
        while hosts.server.sockets().iter().all(|listed| listed.state != State::CloseWait) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, settled).await.expect("the FIN arrives, after the data");
    let told = |host: &Host| {
        let sockets = host.sockets().into_iter();
        let told = sockets.map(|s| (s.fd.is_some(), s.state, s.local, s.remote, s.recv_queue, s.info.is_some()));
        told.collect::<Vec<_>>()
    };
    let waiting = (true, State::Listen, to, None, 1, false);
    assert_eq!(told(&hosts.server), [waiting, (false, State::CloseWait, to, Some(own), 8, true)]);
    assert_eq!(hosts.server.sockets()[0].send_queue, 1024);
    let far = listener.accept().await.unwrap().0;
    let listening = (true, State::Listen, to, None, 0, false);
    assert_eq!(told(&hosts.server), [listening, (true, State::CloseWait, to, Some(own), 8, true)]);
    drop((near, far));

    let count = |host: &Host, name| host.counters().by_name().find(|counter| counter.0 == name).expect("a counter").1;
    assert_eq!((count(&hosts.client, "TcpActiveOpens"), count(&hosts.server, "TcpPassiveOpens")), (1, 1));
    assert_eq!((count(&hosts.client, "TcpPassiveOpens"), count(&hosts.client, "TcpRetransSegs")), (0, 0));
    assert_eq!(count(&hosts.server, "TcpExtListenOverflows"), 0);
}
