//! From names to addresses without a resolver: `--resolve` and the hosts file.
//!
//! Sections: `hosts(5)`.
//! In: a host of a URL.
//! Out: its addresses, in order.

use std::fs;
use std::net::IpAddr;

use super::url::Host;

/// A name's address from the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resolve {
    name: String,
    addr: IpAddr,
}

impl Resolve {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let example = "expected a name and its address, such as www.example:10.9.0.1";
        let (name, addr) = text.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or(example)?;
        let addr = addr.trim_matches(['[', ']']).parse().map_err(|_| example)?;
        Ok(Resolve { name: name.to_ascii_lowercase(), addr })
    }
}

/// Every address of `host`; none if nobody knows it.
pub(super) fn addresses(host: &Host, resolve: &[Resolve]) -> Vec<IpAddr> {
    let name = match host {
        Host::Addr(addr) => return vec![*addr],
        Host::Name(name) => name,
    };
    let told: Vec<IpAddr> = resolve.iter().filter(|one| one.name == *name).map(|one| one.addr).collect();
    if told.is_empty() { in_hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), name) } else { told }
}

fn in_hosts(file: &str, name: &str) -> Vec<IpAddr> {
    let addr = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let addr = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(addr)
    };
    file.lines().filter_map(addr).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_before_the_file() {
        let file = "127.0.0.1 localhost\n10.9.0.1 tide.example Tide # tide2\nfd09::1 tide\nbroken tide\n";
        let addrs = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect::<Vec<IpAddr>>();
        assert_eq!(in_hosts(file, "tide"), addrs(&["10.9.0.1", "fd09::1"]));
        assert_eq!(in_hosts(file, "tide2"), addrs(&[]));
        let resolve = ["Tide:10.9.0.7", "tide:[fd09::7]"].map(|text| Resolve::parse(text).expect(text));
        assert_eq!(addresses(&Host::Name("tide".into()), &resolve), addrs(&["10.9.0.7", "fd09::7"]));
        for text in ["tide", ":10.9.0.1", "tide:", "tide:80:10.9.0.1"] {
            assert!(Resolve::parse(text).is_err(), "{text}");
        }
    }
}
