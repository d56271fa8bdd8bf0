//! The article's scene: A keeps downloading a file from B's web server.
//!
//! Sections: RFC 9293 3.5, 3.6, 3.8; RFC 9112.
//! In: how often, how large a file, over which link.
//! Out: the stage with server and client.

use alloc::format;
use alloc::string::String;

use tidegate_proto::time::Duration;

use super::{Settings, Stage};
use crate::app::http_client::ClientConfig;
use crate::app::http_server::ServerConfig;
use crate::app::{App, Content, HttpClient, HttpServer};

/// The pauses between the segments of the article's capture, where they are the programs' own: some tens of
/// microseconds before the request, 0.3 ms from the last byte to the close, 3.7 ms to the next run of wget.
pub(super) fn article(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let server = stage.b_socket(80);
    let path = file_path(settings.size);
    stage.world.add_app(
        stage.b.host,
        App::Server(HttpServer::new(ServerConfig {
            local: server,
            path: path.clone(),
            size: settings.size,
            content: FILE,
            processing: Duration::from_micros(200),
            think: settings.think,
        })),
    );
    stage.world.add_app(
        stage.a.host,
        App::Client(HttpClient::new(ClientConfig {
            local: stage.a_ip,
            server,
            path,
            content: FILE,
            downloads: settings.downloads,
            start: stage.start,
            before_request: Duration::from_micros(68),
            before_close: Duration::from_micros(302),
            between: Duration::from_micros(3_687),
        })),
    );
    stage
}

/// The path of a file of that size: `/file_64KB` for 65,536, as the article names it.
pub fn file_path(size: u64) -> String {
    for (shift, unit) in [(30, "GB"), (20, "MB"), (10, "KB")] {
        if size >= 1 << shift && size.is_multiple_of(1 << shift) {
            return format!("/file_{}{unit}", size >> shift);
        }
    }
    format!("/file_{size}B")
}

/// The file.
const FILE: Content = Content::new(0xf11e);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_their_size() {
        for (size, name) in [(65_536, "64KB"), (1 << 20, "1MB"), (3 << 30, "3GB"), (1_000, "1000B"), (0, "0B")] {
            assert_eq!(file_path(size), alloc::format!("/file_{name}"));
        }
    }
}
