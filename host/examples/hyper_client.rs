//! hyper over our own TCP, its client and its server: several requests on one connection, between two hosts in this
//! process and without privileges.
//!
//! With a [`Tun`](tidegate::dev::Tun) in place of the channel's end, the kernel is the other host.
//!
//! `cargo run -p tidegate --example hyper_client`

use std::convert::Infallible;
use std::error::Error;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tidegate::Host;
use tidegate::dev::channel;
use tidegate::net::TcpListener;
use tidegate::proto::wire::frame::Link;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (near, far) = channel(Link::Ip, 1500, 256);
    let client = Host::builder().addr("10.9.0.1/24")?.start(near)?;
    let server = Host::builder().addr("10.9.0.2/24")?.start(far)?;
    let serving = tokio::spawn(serve(server.bind("10.9.0.2:80").await?));

    let stream = client.connect("10.9.0.2:80").await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    for path in ["/1", "/1000", "/1000000"] {
        let request = Request::get(path).header(HOST, "server").body(Empty::<Bytes>::new())?;
        sender.ready().await?;
        let mut response = sender.send_request(request).await?;
        let (status, mut len) = (response.status(), 0);
        while let Some(frame) = response.frame().await {
            len += frame?.data_ref().map_or(0, Bytes::len);
        }
        println!("GET {path}: {status}, {len} bytes");
    }
    drop(sender);
    connection.await??;
    serving.await??;
    println!("{} connection opened", client.counters().active_opens);
    Ok(())
}

/// Serves one connection, to its end.
async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (stream, _) = listener.accept().await?;
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await?;
    Ok(())
}

/// As many bytes as the path says.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let len = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
    Ok(Response::new(Full::from(vec![b'x'; len])))
}
