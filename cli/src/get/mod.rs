//! The subcommand `get`: files over HTTP/1.1, over our own TCP, as wget fetches them.
//!
//! Sections: none of an RFC's that this file implements; hyper speaks HTTP.
//! In: URLs, a device.
//! Out: files, a progress bar, wget's exit status.

mod fetch;
mod names;
mod output;
mod url;

use std::process::ExitCode;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use self::fetch::{Fetch, Trouble};
use self::names::Resolve;
use self::output::Output;
use self::url::Url;
use crate::failure::Failure;
use crate::on::{self, Options, Stop};

/// Fetch files over HTTP/1.1, on our own TCP; as wget, exit status included
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// `http://HOST[:PORT]/PATH`; several are fetched one after the other
    #[arg(required = true, value_name = "URL", value_parser = Url::parse)]
    urls: Vec<Url>,
    /// Write everything to this file; - is standard output
    #[arg(short = 'O', value_name = "FILE")]
    output: Option<String>,
    /// Go on with files that are there in part
    #[arg(short = 'c', long = "continue", conflicts_with = "output")]
    resume: bool,
    /// A further header, such as "Accept: text/html"; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// The address of a name: HOST:ADDR; may be repeated. /etc/hosts is read as well
    #[arg(long, value_name = "HOST:ADDR", value_parser = Resolve::parse)]
    resolve: Vec<Resolve>,
    /// How often a transfer that breaks is taken up again
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
    /// Redirects to follow
    #[arg(long, value_name = "N", default_value_t = 20)]
    max_redirect: u32,
    /// Seconds without an answer before a try is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Say nothing, unless something goes wrong
    #[arg(long, short)]
    quiet: bool,
    /// One JSON object for each URL on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: Options,
}

/// Fetches, and tells by wget's numbers how it went.
pub(crate) fn run(args: Args) -> ExitCode {
    match fetch_all(&args) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(trouble)) => ExitCode::from(trouble),
        Err(failure) => failure.report(),
    }
}

/// The exit status of several: the lowest number, as wget has it.
fn fetch_all(args: &Args) -> Result<Option<u8>, Failure> {
    let opened = args.host.open()?;
    let mut outputs = Vec::new();
    for url in &args.urls {
        let output = match (&args.output, outputs.is_empty()) {
            // One file for all.
            (Some(_), false) => continue,
            (Some(name), true) => Output::named(name),
            (None, _) => Output::of(url, args.resume),
        };
        match output {
            Ok(output) => outputs.push(output),
            Err(error) => {
                eprintln!("tidegate: {error}");
                return Ok(Some(fetch::FILE));
            }
        }
    }
    let (host, capture) = opened.start(&args.host)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        let mut stop = Stop::new()?;
        let mut fetch = Fetch::new(host.clone(), args);
        let mut worst: Option<u8> = None;
        for (n, url) in args.urls.iter().enumerate() {
            let output = if args.output.is_some() { &mut outputs[0] } else { &mut outputs[n] };
            let outcome = tokio::select! {
                outcome = fetch.url(url, output) => outcome,
                () = stop.asked() => Err(Trouble::interrupted()),
            };
            if let Err(trouble) = outcome {
                output.discard_if_empty();
                eprintln!("tidegate: {}: {trouble}", url);
                if trouble.is_interrupt {
                    worst = Some(trouble.status);
                    break;
                }
                worst = Some(worst.map_or(trouble.status, |worst| worst.min(trouble.status)));
            }
        }
        drop(fetch);
        on::finish(&host, &mut stop, PATIENCE, args.host.transit()).await;
        Ok::<_, Failure>(worst)
    });
    drop(host);
    on::report(capture.as_ref());
    status
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let example = "expected a header, such as \"Accept: text/html\"";
    let (name, value) = text.split_once(':').ok_or(example)?;
    let name = name.trim().parse().map_err(|_| example)?;
    let value = value.trim().parse().map_err(|_| example)?;
    Ok((name, value))
}

/// How long the peer has to close, too.
const PATIENCE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Exit status: 0 all is there; 1 something else; 2 usage; 3 a file; 4 the network; 6 not authorised; 7 no HTTP; 8 the
server said no; 130 interrupted: -c goes on from there.

Examples:
  tidegate get http://10.9.0.1/file_64KB --dev tun:tide0 --addr 10.9.0.2/24
  tidegate get -O - http://[fd09::1]:8080/ --dev unix:/tmp/link --addr fd09::2/64";
