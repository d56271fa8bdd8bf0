//! One URL after another: connections, redirects, ranges, tries.
//!
//! Sections: RFC 9110 14 (ranges), 15.4 (redirects).
//! In: a URL, a file.
//! Out: the file's content; or what went wrong, with wget's number for it.

use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tidegate::{Host, clock};
use tokio::time::timeout;

use super::names::{Resolve, addresses};
use super::output::Output;
use super::url::Url;
use super::{Args, url};
use crate::on::plain;

/// A client, with the connection that it has open.
pub(super) struct Fetch<'a> {
    host: Host,
    headers: &'a [(HeaderName, HeaderValue)],
    resolve: &'a [Resolve],
    tries: u32,
    max_redirect: u32,
    patience: Duration,
    quiet: bool,
    json: bool,
    open: Option<(url::Host, u16, SendRequest<Empty<Bytes>>)>,
}

/// What went wrong, and the exit status for it.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) status: u8,
    pub(super) is_interrupt: bool,
    /// Another try may help.
    may_retry: bool,
    text: String,
}

/// What `--json` says of a URL.
#[derive(Serialize)]
struct Report<'a> {
    url: String,
    file: &'a str,
    status: u16,
    bytes: u64,
    seconds: f64,
    bytes_per_second: f64,
    tries: u32,
    retransmitted_segments: u64,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(host: Host, args: &'a Args) -> Self {
        Fetch {
            host,
            headers: &args.header,
            resolve: &args.resolve,
            tries: args.tries,
            max_redirect: args.max_redirect,
            patience: Duration::from_secs(args.timeout),
            quiet: args.quiet,
            json: args.json,
            open: None,
        }
    }

    /// Fetches one URL, in as many tries as it takes.
    pub(super) async fn url(&mut self, url: &Url, output: &mut Output) -> Result<(), Trouble> {
        let begun = clock::now();
        let retransmitted = self.host.counters().retrans_segs;
        let start = output.begin().map_err(|e| Trouble::file(&e))?;
        // What a file has from an earlier run counts; what another URL has put before does not.
        let base = if output.may_resume() { 0 } else { start };
        let mut have = start - base;
        let mut tries = 1;
        let (status, fetched) = loop {
            let before = have;
            match self.try_once(url, output, base, &mut have).await {
                Ok(status) => break (status, have),
                Err(trouble) if trouble.may_retry && tries < self.tries => {
                    self.open = None;
                    // Whoever makes progress is not failing.
                    tries = if have > before { 1 } else { tries + 1 };
                    self.say(format_args!("{trouble}; trying again"));
                    tokio::time::sleep(Duration::from_secs(u64::from(tries - 1).min(LONGEST_PAUSE))).await;
                }
                Err(trouble) => return Err(trouble),
            }
        };
        let nanos = clock::now().since(begun).as_nanos().max(1);
        #[expect(clippy::cast_precision_loss, reason = "for people: a few digits matter")]
        let (seconds, rate) = (nanos as f64 / 1e9, fetched as f64 * 1e9 / nanos as f64);
        if self.json {
            let report = Report {
                url: url.to_string(),
                file: &output.name,
                status: status.as_u16(),
                bytes: fetched,
                seconds,
                bytes_per_second: rate,
                tries,
                retransmitted_segments: self.host.counters().retrans_segs - retransmitted,
            };
            println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
        }
        self.say(format_args!("{} saved: {fetched} bytes in {seconds:.3} s, {}/s", output.name, amount(rate)));
        Ok(())
    }

    /// One try, from the first byte that is missing. `have` counts what is there.
    async fn try_once(
        &mut self,
        url: &Url,
        output: &mut Output,
        base: u64,
        have: &mut u64,
    ) -> Result<StatusCode, Trouble> {
        let mut at = url.clone();
        let mut redirects = 0;
        let response = loop {
            let response = self.request(&at, *have).await?;
            let Some(location) = location(&response) else { break response };
            if redirects == self.max_redirect {
                return Err(Trouble::new(SERVER, format!("more than {redirects} redirects")));
            }
            redirects += 1;
            at = at.join(location).map_err(|e| Trouble::new(GENERIC, format!("redirected to {location}: {e}")))?;
            self.say(format_args!("redirected to {at}"));
            // Its body, if any, is of no interest, and may be long.
            self.open = None;
        };
        let status = response.status();
        match status {
            StatusCode::RANGE_NOT_SATISFIABLE if *have > 0 => {
                self.open = None;
                return match complete_len(response.headers()) {
                    Some(len) if len > *have => Err(Trouble::new(PROTOCOL, "the server refuses a range that it has")),
                    _ => Ok(status),
                };
            }
            StatusCode::PARTIAL_CONTENT if *have > 0 => {
                if range_start(response.headers()) != Some(*have) {
                    return Err(Trouble::new(PROTOCOL, "the server sends another range than the one asked for"));
                }
            }
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                return Err(Trouble::new(AUTHENTICATION, format!("the server says {status}")));
            }
            status if status.is_success() => {
                // All of it, although a part was asked for.
                if *have > 0 && !output.rewind(base).map_err(|e| Trouble::file(&e))? {
                    return Err(Trouble::new(NETWORK, "the server does not resume, and what was written is gone"));
                }
                *have = 0;
            }
            status => {
                self.open = None;
                return Err(Trouble::new(SERVER, format!("the server says {status}")));
            }
        }
        self.body(response, output, have).await?;
        Ok(status)
    }

    async fn body(&self, response: Response<Incoming>, output: &mut Output, have: &mut u64) -> Result<(), Trouble> {
        let mut body = response.into_body();
        let rest = hyper::body::Body::size_hint(&body).exact();
        let bar = self.bar(rest.map(|rest| rest + *have), &output.name);
        bar.set_position(*have);
        bar.reset_eta();
        loop {
            let frame = timeout(self.patience, body.frame()).await.map_err(|_| self.silence())?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|e| Trouble::transport(&e))?;
            if let Ok(data) = frame.into_data() {
                output.write(&data).map_err(|e| Trouble::file(&e))?;
                *have += u64::try_from(data.len()).expect("a frame fits in memory");
                bar.set_position(*have);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The head of an answer: over the connection that is open, if it goes to the same place and still works.
    async fn request(&mut self, url: &Url, from: u64) -> Result<Response<Incoming>, Trouble> {
        if let Some((host, port, mut sender)) = self.open.take()
            && (&host, port) == (&url.host, url.port)
            && sender.ready().await.is_ok()
            && let Ok(Ok(response)) = timeout(self.patience, sender.send_request(self.head(url, from)?)).await
        {
            self.open = Some((host, port, sender));
            return Ok(response);
        }
        let mut sender = self.connect(url).await?;
        let answer = timeout(self.patience, sender.send_request(self.head(url, from)?)).await;
        let response = answer.map_err(|_| self.silence())?.map_err(|e| Trouble::transport(&e))?;
        self.open = Some((url.host.clone(), url.port, sender));
        Ok(response)
    }

    fn head(&self, url: &Url, from: u64) -> Result<Request<Empty<Bytes>>, Trouble> {
        let mut request = Request::get(&url.path);
        let headers = request.headers_mut().ok_or_else(|| Trouble::new(GENERIC, "the URL cannot be asked for"))?;
        let value = |text: String| {
            HeaderValue::try_from(text).map_err(|_| Trouble::new(GENERIC, "the URL cannot be asked for"))
        };
        headers.insert(header::HOST, value(url.authority())?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        if from > 0 {
            headers.insert(header::RANGE, value(format!("bytes={from}-"))?);
        }
        for (name, value) in self.headers {
            headers.insert(name, value.clone());
        }
        request.body(Empty::new()).map_err(|_| Trouble::new(GENERIC, "the URL cannot be asked for"))
    }

    async fn connect(&self, url: &Url) -> Result<SendRequest<Empty<Bytes>>, Trouble> {
        let addrs = addresses(&url.host, self.resolve);
        if addrs.is_empty() {
            let why = format!("nobody knows {}: use --resolve {}:ADDR or /etc/hosts", url.host, url.host);
            return Err(Trouble::new(NETWORK, why));
        }
        let mut last = None;
        for addr in addrs {
            let to = SocketAddr::new(addr, url.port);
            self.say(format_args!("connecting to {to}"));
            match timeout(self.patience, self.host.connect(to)).await {
                Ok(Ok(stream)) => {
                    let (sender, connection) =
                        handshake(TokioIo::new(stream)).await.map_err(|e| Trouble::transport(&e))?;
                    // What goes wrong on the connection, the request on it learns.
                    tokio::spawn(connection);
                    return Ok(sender);
                }
                Ok(Err(error)) => last = Some(Trouble::new(NETWORK, format!("{to}: {}", plain(&error)))),
                Err(_) => last = Some(self.silence()),
            }
        }
        Err(last.expect("there was an address"))
    }

    fn silence(&self) -> Trouble {
        let text = format!("nothing was heard for {} s", self.patience.as_secs());
        Trouble { may_retry: true, ..Trouble::new(NETWORK, text) }
    }

    fn bar(&self, len: Option<u64>, name: &str) -> ProgressBar {
        if self.quiet || self.json || !io::stderr().is_terminal() {
            return ProgressBar::with_draw_target(len, ProgressDrawTarget::hidden());
        }
        let template = match len {
            Some(_) => "{msg} {percent:>3}% [{bar:30}] {bytes:>10} {bytes_per_sec:>12} {eta}",
            None => "{msg} {bytes:>10} {bytes_per_sec:>12}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is well-formed").progress_chars("=> ");
        ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr()).with_style(style).with_message(name.to_owned())
    }

    fn say(&self, what: fmt::Arguments<'_>) {
        if !self.quiet && !self.json {
            eprintln!("{what}");
        }
    }
}

impl Trouble {
    fn new(status: u8, text: impl Into<String>) -> Self {
        Trouble { status, is_interrupt: false, may_retry: false, text: text.into() }
    }

    fn file(error: &io::Error) -> Self {
        Trouble::new(FILE, plain(error))
    }

    /// The connection broke, or the peer speaks no HTTP.
    fn transport(error: &hyper::Error) -> Self {
        if error.is_parse() {
            return Trouble::new(PROTOCOL, "the server does not speak HTTP");
        }
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            text = error.to_string();
            source = error.source();
        }
        let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
        Trouble { may_retry: true, ..Trouble::new(NETWORK, text) }
    }

    pub(super) fn interrupted() -> Self {
        Trouble { is_interrupt: true, ..Trouble::new(INTERRUPTED, "interrupted") }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn location(response: &Response<Incoming>) -> Option<&str> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    response.headers().get(header::LOCATION).filter(|_| is_redirect).and_then(|value| value.to_str().ok())
}

/// `Content-Range: bytes FIRST-LAST/LEN`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// `Content-Range: bytes */LEN`.
fn complete_len(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_RANGE)?.to_str().ok()?.rsplit_once('/')?.1.trim().parse().ok()
}

/// Bytes, as people read them.
fn amount(bytes: f64) -> String {
    let units = ["B", "KB", "MB", "GB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// wget's exit statuses.
const GENERIC: u8 = 1;
pub(super) const FILE: u8 = 3;
const NETWORK: u8 = 4;
const AUTHENTICATION: u8 = 6;
const PROTOCOL: u8 = 7;
const SERVER: u8 = 8;
/// What a shell says of a program that SIGINT has ended, as it ends wget.
const INTERRUPTED: u8 = 130;
/// Like wget: one second more before each try, up to ten.
const LONGEST_PAUSE: u64 = 10;
