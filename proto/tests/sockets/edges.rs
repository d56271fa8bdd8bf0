//! Wakes: what an edge-triggered `epoll` would report, edge by edge.

use tidegate_proto::socket::{Edges, Errno, Shutdown};

use crate::world::World;

#[test]
fn a_reader_hears_of_every_arrival_and_of_nothing_else() {
    let mut w = World::new();
    let (_, a, b) = w.pair();
    let edge = |w: &mut World| {
        w.run(1);
        !w.b.woken(b).is_empty()
    };
    assert!(!edge(&mut w));
    w.a.send(a, "a").unwrap();
    assert!(edge(&mut w) && !edge(&mut w));
    w.a.send(a, "b").unwrap();
    assert!(edge(&mut w), "unread data does not hide news");
    w.b.recv(b, 1).unwrap();
    assert!(!edge(&mut w));
    w.b.recv(b, 1).unwrap();
    w.a.send_oob(a, "o").unwrap();
    assert!(edge(&mut w));
    assert_eq!(w.b.poll(b), "PRI|OUT");
    w.a.shutdown(a, Shutdown::Write).unwrap();
    assert!(edge(&mut w) && !edge(&mut w));
    assert_eq!(w.b.recv(b, 9).as_deref(), Ok(""));
    w.b.send(b, "zzz").unwrap();
    assert!(!edge(&mut w), "an acknowledgement is no news to a writer who was not kept waiting");
    w.b.shutdown(b, Shutdown::Write).unwrap();
    assert!(edge(&mut w));
}

#[test]
fn a_listener_and_a_connecting_socket() {
    let mut w = World::new();
    let listener = w.b.listener(8);
    let to = w.b.addr_of(listener);
    let clients = [w.a.open(), w.a.open()];
    for client in clients {
        let before = w.a.sockets.edges(client);
        assert_eq!(w.a.connect(client, to), Err(Errno::EINPROGRESS));
        w.run(1);
        let after = w.a.sockets.edges(client);
        assert_eq!((after.output, w.a.poll(client).as_str()), (before.output + 1, "OUT"));
        assert_eq!(w.b.woken(listener), ["IN"]);
    }
    let (first, _) = w.b.accept(listener).unwrap();
    w.run(1);
    assert_eq!(w.b.woken(listener), [""; 0]);
    w.a.reset(clients[0]);
    w.run(1);
    let edges = w.b.sockets.edges(first);
    assert!(edges.input > 0 && edges.output > 0);
    // A descriptor that is used again starts anew.
    w.b.close(first);
    let (second, _) = w.b.accept(listener).unwrap();
    assert_eq!(first, second);
    assert_eq!(w.b.sockets.edges(second), Edges::default());
}
