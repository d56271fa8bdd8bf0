//! The subcommand `serve`: static files over HTTP/1.1, over our own TCP.
//!
//! Sections: none of an RFC's that this file implements; axum and tower-http speak HTTP.
//! In: a directory, a device.
//! Out: files, ranges of them, 404s; a line for each request.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST, RANGE, USER_AGENT};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::ListenerExt;
use jiff::Zoned;
use serde::Serialize;
use tidegate::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tower_http::services::ServeDir;

use crate::failure::Failure;
use crate::on::{self, Options, Stop, plain};

/// Serve a directory over HTTP/1.1, on our own TCP
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory; / is its index.html
    dir: PathBuf,
    /// The port
    #[arg(long, short, default_value_t = 80)]
    port: u16,
    /// Log requests as JSON, one object a line
    #[arg(long)]
    json: bool,
    /// Log nothing
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    #[command(flatten)]
    host: Options,
}

/// Serves until somebody says stop.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let opened = args.host.open()?;
    // The directory stays ours whatever rights are given up: relative paths need none above it.
    let refused = |e| Failure::refused(format_args!("cannot serve {}: {}", args.dir.display(), plain(&e)));
    std::env::set_current_dir(&args.dir).map_err(refused)?;
    let (host, capture) = opened.start(&args.host)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut stop = Stop::new()?;
        let any = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), args.port);
        let listener = host.bind(any).await?;
        if !args.quiet {
            eprintln!("serving {} on port {}; Ctrl-C ends", args.dir.display(), args.port);
        }
        let log = Log { json: args.json, quiet: args.quiet };
        let files = ServeDir::new(".").with_buf_chunk_size(CHUNK);
        let app = Router::new().fallback_service(files).layer(middleware::from_fn_with_state(log, logged));
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        let (end, ended) = oneshot::channel::<()>();
        let serving = axum::serve(Accepting(listener).tap_io(|_| {}), service)
            .with_graceful_shutdown(async move { ended.await.unwrap_or_default() });
        let serving = tokio::spawn(serving.into_future());
        stop.asked().await;
        let _ = end.send(());
        tokio::select! {
            outcome = serving => outcome??,
            () = stop.asked() => on::abort(&host).await,
        }
        on::finish(&host, &mut stop, PATIENCE, args.host.transit()).await;
        Ok::<(), Failure>(())
    });
    drop(host);
    on::report(capture.as_ref());
    outcome
}

/// What axum takes connections from.
struct Accepting(TcpListener);

impl axum::serve::Listener for Accepting {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, peer)) => {
                    // A response's last, short segment waits for nobody.
                    let _ = stream.set_nodelay(true);
                    return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
                }
                // Too many connections: some will end.
                Err(error) => {
                    eprintln!("tidegate: {}", plain(&error));
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[derive(Clone, Copy)]
struct Log {
    json: bool,
    quiet: bool,
}

/// One request, as `--json` tells it.
#[derive(Serialize)]
struct Entry<'a> {
    time: String,
    peer: SocketAddr,
    method: &'a str,
    path: &'a str,
    host: Option<&'a str>,
    range: Option<&'a str>,
    agent: Option<&'a str>,
    status: u16,
    bytes: Option<u64>,
}

/// Passes a request on, and writes its line once the answer begins.
async fn logged(
    State(log): State<Log>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    if log.quiet {
        return Ok(next.run(request).await);
    }
    let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    let version = request.version();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes: Option<u64> = length.and_then(|length| length.parse().ok());
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let now = Zoned::now();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let line = if log.json {
        let entry = Entry {
            time: now.timestamp().to_string(),
            peer,
            method: method.as_str(),
            path,
            host: header(HOST),
            range: header(RANGE),
            agent: header(USER_AGENT),
            status,
            bytes,
        };
        serde_json::to_string(&entry).expect("an entry is plain data")
    } else {
        let bytes = bytes.map_or("-".to_owned(), |bytes| bytes.to_string());
        let time = now.strftime("%d/%b/%Y:%H:%M:%S %z");
        format!("{} - - [{time}] \"{method} {path} {version:?}\" {status} {bytes}", peer.ip())
    };
    // A log that nobody reads any more is no reason to refuse files.
    let _ = writeln!(io::stdout().lock(), "{line}");
    Ok(response)
}

/// Bytes of a file that are read at a time: as many as a burst has.
const CHUNK: usize = 64 * 1024;
/// How long the peers have to close, too, once everything is sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until the next try to accept.
const RETRY: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  tidegate serve www --dev tun:tide0 --addr 10.9.0.2/24 --user nobody
  tidegate serve www --dev unix:/tmp/link --addr 10.9.0.2/24 --loss 1% --delay 25ms --pcap serve.pcapng";
