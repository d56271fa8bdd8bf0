//! URLs of the kind that `get` can fetch.
//!
//! Sections: RFC 3986 3 (components), 5.2 (references); RFC 9110 4.2.1 (http).
//! In: text; a reference in a redirect.
//! Out: host, port, path and query.

use std::fmt;
use std::net::IpAddr;

/// `http://host:port/path?query`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Url {
    pub(super) host: Host,
    pub(super) port: u16,
    /// With the query, and at least a slash.
    pub(super) path: String,
}

/// Whom to ask.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Host {
    Addr(IpAddr),
    Name(String),
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(format!("{scheme} is not spoken here: only http")),
            // As wget: http is meant.
            None => text,
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("names and passwords in URLs are not supported: use --header \"Authorization: ...\"".into());
        }
        let (host, port) = host_and_port(authority)?;
        let path = if path.starts_with('/') { encoded(path) } else { format!("/{}", encoded(path)) };
        Ok(Url { host, port, path })
    }

    /// What a `Location` in the answer to this one means.
    pub(super) fn join(&self, reference: &str) -> Result<Self, String> {
        if reference.contains("://") {
            return Url::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Url::parse(&format!("http://{rest}"));
        }
        let reference = reference.split('#').next().unwrap_or(reference);
        let base = self.path.split('?').next().unwrap_or("/");
        let path = match reference.chars().next() {
            None => self.path.clone(),
            Some('/') => reference.to_owned(),
            Some('?') => format!("{base}{reference}"),
            Some(_) => format!("{}/{reference}", base.rsplit_once('/').map_or("", |(folder, _)| folder)),
        };
        let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        Ok(Url { path: encoded(&format!("{}{query}", without_dots(path))), ..self.clone() })
    }

    /// What the file is called: as wget, the last part of the path with its query, or index.html.
    pub(super) fn file_name(&self) -> String {
        let (path, query) = self.path.split_once('?').map_or((self.path.as_str(), None), |(p, q)| (p, Some(q)));
        let last = path.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or("index.html");
        let name = query.map_or(last.to_owned(), |query| format!("{last}?{query}"));
        let name = decoded(&name).replace(['/', '\0'], "%2F");
        if matches!(name.as_str(), "." | "..") { "index.html".to_owned() } else { name }
    }

    /// The `Host` header's value.
    pub(super) fn authority(&self) -> String {
        match self.port {
            80 => self.host.to_string(),
            port => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Addr(IpAddr::V6(addr)) => write!(f, "[{addr}]"),
            Host::Addr(addr) => addr.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}

fn host_and_port(authority: &str) -> Result<(Host, u16), String> {
    let port = |text: &str| match text {
        "" => Ok(80),
        text => text.parse().ok().filter(|port| *port != 0).ok_or_else(|| format!("{text:?} is no port")),
    };
    if let Some(rest) = authority.strip_prefix('[') {
        let (addr, rest) = rest.split_once(']').ok_or("an IPv6 address ends with ]")?;
        let addr = addr.parse().map_err(|_| format!("{addr:?} is no IPv6 address"))?;
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix(':').ok_or("a port follows a colon")? };
        return Ok((Host::Addr(IpAddr::V6(addr)), port(rest)?));
    }
    let (host, number) = authority.split_once(':').unwrap_or((authority, ""));
    if number.contains(':') {
        return Err(format!("an IPv6 address stands in brackets: [{authority}]"));
    }
    if host.is_empty() {
        return Err("a URL names a host".into());
    }
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.chars().all(is_fine) {
        return Err(format!("{host:?} is no host name"));
    }
    let host = host.parse().map_or_else(|_| Host::Name(host.to_ascii_lowercase()), Host::Addr);
    Ok((host, port(number)?))
}

/// RFC 3986 5.2.4.
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut all = path.split('/').skip(1).peekable();
    while let Some(part) = all.next() {
        let is_last = all.peek().is_none();
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => {
                parts.push(part);
                continue;
            }
        }
        if is_last {
            parts.push("");
        }
    }
    format!("/{}", parts.join("/"))
}

/// What cannot stand in a request line, in percent signs.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            0..=b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x7f.. => {
                out.push_str(&format!("%{byte:02X}"));
            }
            byte => out.push(char::from(byte)),
        }
    }
    out
}

/// Percent signs resolved; what is no UTF-8 then stays as it was.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits =
            behind.first_chunk::<2>().filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let value = digits.and_then(|digits| str::from_utf8(digits).ok()).and_then(|d| u8::from_str_radix(d, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                rest = &behind[2..];
            }
            None => {
                out.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, shown, file) in [
            ("http://10.9.0.1/file_64KB", "http://10.9.0.1/file_64KB", "file_64KB"),
            ("10.9.0.1", "http://10.9.0.1/", "index.html"),
            ("HTTP://Tide.Example:8080/a/b%20c?x=1#top", "http://tide.example:8080/a/b%20c?x=1", "b c?x=1"),
            ("http://[fd09::1]:81/a b/", "http://[fd09::1]:81/a%20b/", "index.html"),
            ("http://h:80/..%2f..", "http://h/..%2f..", "..%2F.."),
            ("http://h?q", "http://h/?q", "index.html?q"),
        ] {
            let url = Url::parse(text).expect(text);
            assert_eq!((url.to_string().as_str(), url.file_name().as_str()), (shown, file));
        }
        for text in ["https://h/", "http://", "http://h:0/", "http://h:x/", "http://[::1/", "http://fd09::1/", "a@b"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn redirects() {
        let base = Url::parse("http://h/a/b?q").expect("fine");
        for (reference, shown) in [
            ("http://x:81/y", "http://x:81/y"),
            ("//x/y", "http://x/y"),
            ("/c", "http://h/c"),
            ("c", "http://h/a/c"),
            ("../c/./d/", "http://h/c/d/"),
            ("../../../c", "http://h/c"),
            ("?z", "http://h/a/b?z"),
            ("", "http://h/a/b?q"),
        ] {
            assert_eq!(base.join(reference).expect(reference).to_string(), shown);
        }
    }
}
