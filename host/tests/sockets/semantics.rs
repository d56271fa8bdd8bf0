//! One body for each rule, run over tokio's sockets and over ours.

use std::future::Future;
use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::time::timeout;

use crate::kin::{Kernel, Kin, Listener, Ours, Stream, told};

/// Runs a body over both, on one thread and on two.
macro_rules! over_both {
    ($($(#[$about:meta])* $name:ident;)*) => {
        mod both {
            $(
                $(#[$about])*
                mod $name {
                    use crate::kin::{Kernel, Ours};

                    #[tokio::test]
                    async fn kernel() {
                        super::super::$name(Kernel).await;
                    }

                    #[tokio::test]
                    async fn ours() {
                        super::super::$name(Ours::new()).await;
                    }

                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn ours_on_two_threads() {
                        super::super::$name(Ours::new()).await;
                    }
                }
            )*
        }
    };
}

over_both! {
    an_echo;
    half_close_leaves_the_other_direction_open;
    halves_meet_again_and_a_dropped_writer_ends_the_stream;
    what_is_peeked_stays;
    vectored_writes_are_one_write;
    trying_says_would_block;
    cancelled_calls_lose_nothing;
    a_busy_stream_leaves_others_their_turn;
    options_read_back;
}

/// Both ends of a new connection: ours that connected, and theirs that was accepted.
async fn pair<K: Kin>(kin: &K) -> (K::Stream, K::Stream) {
    let listener = kin.bind().await.expect("a free port");
    let to = listener.local_addr().expect("bound");
    let (near, far) = tokio::join!(kin.connect(to), listener.accept());
    let (far, peer) = far.expect("a connection");
    let near = near.expect("a listener");
    assert_eq!((near.peer_addr().unwrap(), near.local_addr().unwrap()), (to, peer));
    assert_eq!((far.peer_addr().unwrap(), far.local_addr().unwrap()), (peer, to));
    (near, far)
}

async fn an_echo<K: Kin>(kin: K) {
    let (mut near, mut far) = pair(&kin).await;
    let echo = tokio::spawn(async move {
        let (mut buffer, mut all) = (vec![0; 100_000], 0);
        loop {
            let n = far.read(&mut buffer).await.expect("no reset");
            if n == 0 {
                far.shutdown().await.expect("connected");
                return all;
            }
            far.write_all(&buffer[..n]).await.expect("connected");
            all += n;
        }
    });
    let data: Vec<u8> = (0..3_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let mut received = Vec::new();
    let (mut read, mut write) = tokio::io::split(&mut near);
    let both = async {
        tokio::join!(
            async {
                write.write_all(&data).await.expect("connected");
                write.shutdown().await.expect("connected");
            },
            read.read_to_end(&mut received)
        )
    };
    timeout(Duration::from_secs(60), both).await.expect("no wake-up is lost").1.expect("no reset");
    assert!(received == data);
    assert_eq!(echo.await.expect("no panic"), data.len());
}

/// No step of a test takes this long unless a wake-up was lost.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("a lost wake-up")
}

async fn half_close_leaves_the_other_direction_open<K: Kin>(kin: K) {
    let (mut near, mut far) = pair(&kin).await;
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut received = Vec::new();
    soon(far.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"question");
    assert_eq!(near.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    far.write_all(b"answer").await.unwrap();
    drop(far);
    received.clear();
    soon(near.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"answer");
    assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0, "the end stays the end");
}

async fn halves_meet_again_and_a_dropped_writer_ends_the_stream<K: Kin>(kin: K) {
    let (near, mut far) = pair(&kin).await;
    let (other, _kept) = pair(&kin).await;
    let ((read, write), (other_read, other_write)) = (near.into_split(), other.into_split());
    let (read, other_write) = K::Stream::reunite(read, other_write).expect_err("of two connections");
    let near = K::Stream::reunite(read, write).expect("of one");
    drop(K::Stream::reunite(other_read, other_write).expect("of one"));

    let (read, write) = near.into_split();
    K::Stream::forget(write);
    assert!(timeout(Duration::from_millis(60), far.read(&mut [0])).await.is_err(), "nothing was shut");
    drop(read);
    assert_eq!(soon(far.read(&mut [0])).await.unwrap(), 0);

    let (near, mut far) = pair(&kin).await;
    let (mut read, write) = near.into_split();
    drop(write);
    assert_eq!(soon(far.read(&mut [0])).await.unwrap(), 0);
    far.write_all(b"still here").await.unwrap();
    let mut received = [0; 10];
    soon(read.read_exact(&mut received)).await.unwrap();
    assert_eq!(&received, b"still here");
}

async fn what_is_peeked_stays<K: Kin>(kin: K) {
    let (mut near, far) = pair(&kin).await;
    near.write_all(b"hello").await.unwrap();
    let mut buffer = [0; 8];
    while soon(far.peek(&mut buffer)).await.unwrap() < 5 {}
    assert_eq!(far.peek(&mut buffer[..2]).await.unwrap(), 2);
    assert_eq!(far.try_read(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"hello");
    drop(near);
    assert_eq!(soon(far.peek(&mut buffer)).await.unwrap(), 0);
}

async fn vectored_writes_are_one_write<K: Kin>(kin: K) {
    let (mut near, mut far) = pair(&kin).await;
    assert!(AsyncWrite::is_write_vectored(&near));
    let parts = [&b"ab"[..], b"", b"cde"].map(IoSlice::new);
    assert_eq!(near.write_vectored(&parts).await.unwrap(), 5);
    let mut received = [0; 5];
    soon(far.read_exact(&mut received)).await.unwrap();
    assert_eq!(&received, b"abcde");
}

async fn trying_says_would_block<K: Kin>(kin: K) {
    let (mut near, far) = pair(&kin).await;
    let blocked = far.try_read(&mut [0; 4]).unwrap_err();
    assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
    assert_eq!(far.try_io(Interest::READABLE, || Ok(())).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(soon(far.ready(Interest::WRITABLE)).await.unwrap().is_writable());
    near.write_all(b"x").await.unwrap();
    let ready = soon(far.ready(Interest::READABLE)).await.unwrap();
    assert!(ready.is_readable() && !ready.is_read_closed());
    assert_eq!(far.try_io(Interest::READABLE, || far.try_read(&mut [0; 4])).unwrap(), 1);
    // Until both buffers are full, and again when there is room.
    let block = [7; 65_536];
    let mut sent = 0;
    loop {
        match near.try_write(&block) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if timeout(Duration::from_millis(300), near.ready(Interest::WRITABLE)).await.is_err() {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    let mut far = far;
    let mut rest = vec![0; sent];
    soon(far.read_exact(&mut rest)).await.unwrap();
    assert!(soon(near.ready(Interest::WRITABLE)).await.unwrap().is_writable());
    drop(near);
    while soon(far.ready(Interest::READABLE)).await.is_ok() {
        match far.try_read(&mut [0; 4]) {
            Ok(n) => return assert_eq!(n, 0, "the end"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

async fn cancelled_calls_lose_nothing<K: Kin>(kin: K) {
    let listener = kin.bind().await.unwrap();
    let to = listener.local_addr().unwrap();
    for _ in 0..20 {
        assert!(timeout(Duration::from_micros(50), listener.accept()).await.is_err());
    }
    let (near, far) = tokio::join!(kin.connect(to), soon(listener.accept()));
    let (mut near, mut far) = (near.unwrap(), far.unwrap().0);
    let mut received = Vec::new();
    for n in 0..200_u8 {
        let mut byte = [0];
        if let Ok(read) = timeout(Duration::from_micros(20), far.read(&mut byte)).await {
            assert_eq!(read.unwrap(), 1);
            received.push(byte[0]);
        }
        near.write_all(&[n]).await.unwrap();
    }
    drop(near);
    soon(far.read_to_end(&mut received)).await.unwrap();
    assert!(received.iter().copied().eq(0..200));
}

/// A task that only ever finds its stream ready gives way all the same.
async fn a_busy_stream_leaves_others_their_turn<K: Kin>(kin: K) {
    let (mut near, mut far) = pair(&kin).await;
    near.write_all(&[1; 50_000]).await.unwrap();
    while soon(far.peek(&mut [0; 20_000])).await.unwrap() < 20_000 {}
    let reads = async {
        let mut count = 0;
        for _ in 0..2000 {
            far.read_exact(&mut [0; 8]).await.unwrap();
            count += 1;
        }
        count
    };
    let (mut turns, mut reads) = (0, std::pin::pin!(reads));
    let count = std::future::poll_fn(|cx| {
        turns += 1;
        reads.as_mut().poll(cx)
    });
    assert_eq!(soon(count).await, 2000);
    assert!(turns > 2, "{turns} turns: the budget was never used up");
}

async fn options_read_back<K: Kin>(kin: K) {
    let (near, _far) = pair(&kin).await;
    assert!(!near.nodelay().unwrap());
    near.set_nodelay(true).unwrap();
    assert!(near.nodelay().unwrap());
    assert_eq!(near.ttl().unwrap(), 64);
    near.set_ttl(9).unwrap();
    assert_eq!(near.ttl().unwrap(), 9);
    assert_eq!(told(&near.set_ttl(0).unwrap_err()), told(&std::io::Error::from_raw_os_error(22)));
    assert!(near.take_error().unwrap().is_none());
}

/// Everything that can go wrong, told in the same words by both.
async fn errors<K: Kin>(kin: K) -> Vec<(Option<i32>, ErrorKind, String)> {
    let mut all = Vec::new();
    all.push(told(&soon(kin.connect(kin.closed_port())).await.unwrap_err()));
    let (mut near, far) = pair(&kin).await;
    far.set_zero_linger().unwrap();
    drop(far);
    all.push(told(&soon(near.read(&mut [0])).await.unwrap_err()));
    all.push(told(&near.write(b"x").await.unwrap_err()));
    all.push(told(&near.peer_addr().unwrap_err()));
    // Closing with something unread resets.
    let (mut near, far) = pair(&kin).await;
    near.write_all(b"never read").await.unwrap();
    soon(far.ready(Interest::READABLE)).await.unwrap();
    drop(far);
    all.push(told(&soon(near.read(&mut [0])).await.unwrap_err()));
    all
}

#[tokio::test]
async fn errors_are_the_kernels() {
    assert_eq!(errors(Ours::new()).await, errors(Kernel).await);
}

#[tokio::test]
async fn without_a_host_the_error_names_the_fix() {
    let error = tidegate::net::TcpStream::connect("10.9.0.2:80").await.unwrap_err();
    assert!(error.to_string().contains("Host::make_default()"), "{error}");
    let ours = Ours::new();
    let listener = ours.server.within(tidegate::net::TcpListener::bind("10.9.0.2:80")).await.unwrap();
    let connect = async { tidegate::net::TcpStream::connect("10.9.0.2:80").await };
    let (near, far) = tokio::join!(ours.client.within(connect), listener.accept());
    assert_eq!(near.unwrap().local_addr().unwrap(), far.unwrap().1);
    let _entered = ours.client.enter();
    assert!(tidegate::net::TcpSocket::new_v4().is_ok());
}

/// Chunks are shown and taken where they arrived, and sent as they are.
#[tokio::test]
async fn bytes_cross_without_copies() {
    use bytes::Bytes;
    use tokio::io::AsyncBufReadExt;
    let (near, mut far) = pair(&Ours::new()).await;
    let data = Bytes::from((0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    let (mut rest, mut received) = (data.clone(), Vec::new());
    let send = async {
        near.send_bytes(&mut rest).await.unwrap();
        near.shutdown(std::net::Shutdown::Write).unwrap();
    };
    let receive = async {
        loop {
            let shown = far.fill_buf().await.unwrap();
            let len = shown.len().min(1000);
            if len == 0 {
                return;
            }
            received.extend_from_slice(&shown[..len]);
            far.consume(len);
            received.extend_from_slice(&far.recv_bytes().await.unwrap());
        }
    };
    soon(async { tokio::join!(send, receive) }).await;
    assert!(received == data && rest.is_empty());
}

#[test]
fn sockets_go_anywhere() {
    fn anywhere<T: Send + Sync + Unpin + 'static>() {}
    anywhere::<tidegate::net::TcpStream>();
    anywhere::<tidegate::net::TcpListener>();
    anywhere::<tidegate::net::TcpSocket>();
    anywhere::<tidegate::net::tcp::OwnedReadHalf>();
    anywhere::<tidegate::net::tcp::OwnedWriteHalf>();
    anywhere::<tidegate::Host>();
}
