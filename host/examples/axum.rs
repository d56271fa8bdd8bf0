//! axum over our own TCP: a web server on one host, asked by another, both in this process and without privileges.
//!
//! With a [`Tun`](tidegate::dev::Tun) in place of the channel's end, the kernel is the other host.
//!
//! `cargo run -p tidegate --example axum`

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tidegate::Host;
use tidegate::dev::channel;
use tidegate::net::{TcpListener, TcpStream};
use tidegate::proto::wire::frame::Link;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// What axum takes connections from.
struct Accepting(TcpListener);

impl axum::serve::Listener for Accepting {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                // axum knows no failure here. What there can be passes: too many connections.
                Err(error) => {
                    eprintln!("accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (near, far) = channel(Link::Ip, 1500, 256);
    let client = Host::builder().addr("10.9.0.1/24")?.start(near)?;
    let server = Host::builder().addr("10.9.0.2/24")?.start(far)?;

    let app = Router::new()
        .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| format!("Hello, {}!\n", peer.ip())))
        .route("/echo", post(async |body: String| body));
    let listener = Accepting(server.bind("10.9.0.2:80").await?);
    let (stop, stopped) = oneshot::channel::<()>();
    // `tap_io` is what lets axum tell a request's peer for listeners that are not its own.
    let serving = axum::serve(listener.tap_io(|_| {}), app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
    let serving = tokio::spawn(serving.into_future());

    println!("{}", ask(&client, "GET / HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n").await?);
    let head = "POST /echo HTTP/1.1\r\nHost: server\r\nConnection: close\r\nContent-Length: 6\r\n\r\n";
    println!("{}", ask(&client, &format!("{head}again\n")).await?);

    stop.send(()).map_err(|()| "the server is gone")?;
    serving.await??;
    let aborted = server.shutdown(Duration::from_secs(5)).await;
    println!("{} connections served, {aborted} of them aborted", server.counters().passive_opens);
    Ok(())
}

/// One request, and everything that the server answers.
async fn ask(host: &Host, request: &str) -> io::Result<String> {
    let mut stream = host.connect("10.9.0.2:80").await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
