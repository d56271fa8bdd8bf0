//! Packet lines: headers around it, IP fields, then TCP, UDP or ICMP.
//!
//! Sections: the language of packetdrill; RFC 9293 3.1 for what a segment can say.
//! In: the text behind `<` or `>`.
//! Out: a [`Packet`], or what was expected.

use alloc::format;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ast::{
    Damage, DamageField, DamageKind, Direction, Flags, Gre, Header, Icmp, IpInfo, Label, Layer, Options, Packet,
    Quoted, Range, Tcp, TcpOption, Tos, Transport, Udp,
};
use super::expressions;
use super::lexer::{Lexer, Result};

pub(super) fn packet(lexer: &mut Lexer<'_>, direction: Direction) -> Result<Packet> {
    let mut layers = Vec::new();
    while let Some(layer) = layer(lexer)? {
        layers.push(layer);
    }
    let place = lexer.place();
    let ip = ip_info(lexer)?;
    if ip.tos == Some(Tos::Ect01) && direction == Direction::In {
        return Err(lexer.senseless(place, "one codepoint to inject", "`ect01`"));
    }
    let transport = if lexer.eat_word("udp") {
        Transport::Udp(udp(lexer)?)
    } else if lexer.eat_word("icmp") {
        Transport::Icmp(icmp(lexer)?)
    } else {
        Transport::Tcp(tcp(lexer, direction)?)
    };
    Ok(Packet { direction, layers, ip, transport })
}

fn layer(lexer: &mut Lexer<'_>) -> Result<Option<Layer>> {
    if lexer.eat_word("ipv4") {
        return ip_layer(lexer, "an IPv4 address", |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)).map(Some);
    }
    if lexer.eat_word("ipv6") {
        return ip_layer(lexer, "an IPv6 address", |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)).map(Some);
    }
    if lexer.eat_word("gre") || lexer.eat_word("GREv0") {
        if lexer.eat(":") {
            return Ok(Some(Layer::Gre(None)));
        }
        lexer.eat(",");
        let gre = gre(lexer)?;
        lexer.expect(":")?;
        return Ok(Some(Layer::Gre(Some(gre))));
    }
    if lexer.eat_word("mpls") {
        let labels = labels(lexer)?;
        lexer.expect(":")?;
        return Ok(Some(Layer::Mpls(labels)));
    }
    Ok(None)
}

fn ip_layer(lexer: &mut Lexer<'_>, what: &str, read: impl Fn(&str) -> Option<IpAddr>) -> Result<Layer> {
    let info = ip_info(lexer)?;
    let place = lexer.place();
    let first = lexer.piece(|c| c.is_ascii_hexdigit() || ".:".contains(c));
    let source = read(first).ok_or_else(|| lexer.senseless(place, what, &format!("`{first}`")))?;
    lexer.expect(">")?;
    let place = lexer.place();
    let second = lexer.piece(|c| c.is_ascii_hexdigit() || ".:".contains(c));
    // The colon behind the second address is the layer's.
    let destination = second.strip_suffix(':').and_then(read);
    let destination =
        destination.ok_or_else(|| lexer.senseless(place, &format!("{what} and a colon"), &format!("`{second}`")))?;
    Ok(Layer::Ip { info, source, destination })
}

/// The fields of a GRE header, the commas between them optional.
pub(super) fn gre(lexer: &mut Lexer<'_>) -> Result<Gre> {
    if !lexer.eat_word("flags") {
        lexer.expect_word("Flags")?;
    }
    let flags = if lexer.eat("[") { gre_flags(lexer)? } else { lexer.number("flags of 16 bits")? };
    let (sum, off) = (gre_field(lexer, "sum")?, gre_field(lexer, "off")?);
    let (key, seq) = (gre_field(lexer, "key")?, gre_field(lexer, "seq")?);
    Ok(Gre { flags, sum, off, key, seq })
}

fn gre_field<T: TryFrom<i64>>(lexer: &mut Lexer<'_>, name: &str) -> Result<T> {
    lexer.eat(",");
    lexer.expect_word(name)?;
    lexer.eat("=");
    lexer.number("a number that the field can hold")
}

fn gre_flags(lexer: &mut Lexer<'_>) -> Result<u16> {
    let mut flags = 0;
    loop {
        let flag = if lexer.eat_word("none") {
            0
        } else if lexer.eat_word("checksum") {
            0x8000
        } else if lexer.eat_word("key") {
            0x2000
        } else if lexer.eat_word("sequence") {
            lexer.eat("#");
            0x1000
        } else {
            return Err(lexer.error("`none`, `checksum present`, `key present` or `sequence# present`"));
        };
        if flag != 0 {
            lexer.expect_word("present")?;
        }
        flags |= flag;
        if !lexer.eat(",") {
            lexer.expect("]")?;
            return Ok(flags);
        }
    }
}

/// The labels of an MPLS stack.
pub(super) fn labels(lexer: &mut Lexer<'_>) -> Result<Vec<Label>> {
    let mut labels = Vec::new();
    while lexer.eat("(") {
        lexer.expect_word("label")?;
        let place = lexer.place();
        let label = lexer.number("a label of 20 bits")?;
        lexer.expect(",")?;
        lexer.expect_word("tc")?;
        let tc = lexer.number("a traffic class of 3 bits")?;
        if label >= 1 << 20 || tc >= 1 << 3 {
            return Err(lexer.senseless(place, "a label of 20 bits, a class of 3", "a larger number"));
        }
        lexer.expect(",")?;
        let bottom = lexer.eat("[");
        if bottom {
            lexer.expect_word("S")?;
            lexer.expect("]")?;
            lexer.expect(",")?;
        }
        lexer.expect_word("ttl")?;
        let ttl = lexer.number("a time to live of 8 bits")?;
        lexer.expect(")")?;
        labels.push(Label { label, tc, bottom, ttl });
    }
    Ok(labels)
}

/// IP fields in brackets or parentheses, each of them once.
fn ip_info(lexer: &mut Lexer<'_>) -> Result<IpInfo> {
    let mut info = IpInfo::default();
    let end = if lexer.eat("[") {
        "]"
    } else if lexer.eat("(") {
        ")"
    } else {
        return Ok(info);
    };
    loop {
        let tos =
            [("noecn", Tos::NoEcn), ("ect0", Tos::Ect0), ("ect1", Tos::Ect1), ("ce", Tos::Ce), ("ect01", Tos::Ect01)];
        let named = tos.into_iter().find(|(name, _)| lexer.peek_word() == Some(name));
        if let (Some((name, tos)), None) = (named, info.tos) {
            lexer.expect_word(name)?;
            info.tos = Some(tos);
        } else if info.tos.is_none() && lexer.eat_word("tos") {
            info.tos = Some(Tos::Byte(lexer.number("a byte")?));
        } else if info.flow_label.is_none() && lexer.eat_word("flowlabel") {
            let place = lexer.place();
            let label = lexer.number("a flow label of 20 bits")?;
            if label >= 1 << 20 {
                return Err(lexer.senseless(place, "a flow label of 20 bits", "a larger number"));
            }
            info.flow_label = Some(label);
        } else if info.ttl.is_none() && lexer.eat_word("ttl") {
            info.ttl = Some(lexer.number("a TTL of 8 bits")?);
        } else {
            return Err(lexer.error("`noecn`, `ect0`, `ect1`, `ce`, `ect01`, `tos`, `flowlabel` or `ttl`, each once"));
        }
        if !lexer.eat(",") {
            lexer.expect(end)?;
            return Ok(info);
        }
    }
}

fn ports(lexer: &mut Lexer<'_>) -> Result<Option<(u16, u16)>> {
    if !lexer.sees_char(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let source = lexer.number("a port")?;
    lexer.expect(">")?;
    Ok(Some((source, lexer.number("a port")?)))
}

fn udp(lexer: &mut Lexer<'_>) -> Result<Udp> {
    Ok(Udp { ports: ports(lexer)?, len: payload(lexer)? })
}

/// `(1000)`.
fn payload(lexer: &mut Lexer<'_>) -> Result<u16> {
    lexer.expect("(")?;
    let len = lexer.number("a payload of 0 to 65535 bytes")?;
    lexer.expect(")")?;
    Ok(len)
}

fn icmp(lexer: &mut Lexer<'_>) -> Result<Icmp> {
    let kind = expressions::word(lexer, "the type of an ICMP message")?;
    let code = match lexer.peek_word() {
        Some("mtu" | "id") | None => None,
        Some(_) => Some(expressions::word(lexer, "a code")?),
    };
    let mtu = if lexer.eat_word("mtu") { Some(lexer.number("an MTU")?) } else { None };
    let id = if lexer.eat_word("id") { Some(lexer.number("an identifier of 16 bits")?) } else { None };
    let quoted = if lexer.eat("[") { Some(quoted(lexer)?) } else { None };
    Ok(Icmp { kind, code, mtu, id, quoted })
}

fn quoted(lexer: &mut Lexer<'_>) -> Result<Quoted> {
    let quoted = if lexer.eat_word("udp") {
        Quoted::Udp(payload(lexer)?)
    } else if lexer.eat_word("raw") {
        Quoted::Raw(payload(lexer)?)
    } else {
        Quoted::Tcp(range(lexer)?)
    };
    lexer.expect("]")?;
    Ok(quoted)
}

fn tcp(lexer: &mut Lexer<'_>, direction: Direction) -> Result<Tcp> {
    let ports = ports(lexer)?;
    let flags = flags(lexer)?;
    let range = range(lexer)?;
    let ack = if lexer.eat_word("ack") { Some(lexer.number("an acknowledgment number of 32 bits")?) } else { None };
    let win = if lexer.eat_word("win") { Some(lexer.number("a window of 16 bits")?) } else { None };
    let urg = if lexer.eat_word("urg") { Some(lexer.number("an urgent pointer of 16 bits")?) } else { None };
    let options = options(lexer, direction)?;
    let damage = if lexer.eat("{") { damage(lexer)? } else { Vec::new() };
    Ok(Tcp { ports, flags, range, ack, win, urg, options, damage })
}

/// Letters, the dot of ACK, and behind it the counter of AccECN; or a dash for none.
fn flags(lexer: &mut Lexer<'_>) -> Result<Flags> {
    let place = lexer.place();
    if lexer.eat("-") {
        return Ok(Flags::default());
    }
    let letters = match lexer.peek_word() {
        Some(_) => expressions::word(lexer, "flags")?,
        None => Default::default(),
    };
    let mut flags = Flags::default();
    for letter in letters.chars() {
        let bit = Flags::LETTERS.iter().find(|(c, _)| *c == letter).map(|&(_, bit)| bit);
        match bit {
            Some(bit) if !flags.has(Flags(bit)) => flags.0 |= bit,
            _ => return Err(lexer.senseless(place, "flags out of FSRPUEWA, then a dot", &format!("`{letters}`"))),
        }
    }
    let dot = lexer.piece(|c| c == '.');
    match (dot, letters.is_empty()) {
        (".", _) => flags.0 |= Flags::ACK.0,
        ("", false) => {}
        _ => return Err(lexer.senseless(place, "flags: some of FSRPUEWA, a dot for ACK, or `-` for none", "none")),
    }
    let counter = if dot.is_empty() { "" } else { lexer.piece(|c| c.is_ascii_digit()) };
    if !counter.is_empty() {
        let bits = counter.parse::<u16>().ok().filter(|&n| n < 8 && flags.0 >> Flags::ACE_SHIFT == 0);
        let Some(bits) = bits else {
            return Err(lexer.senseless(
                place,
                "a counter of 0 to 7 and none of its flags E, W, A",
                &format!("`{counter}`"),
            ));
        };
        flags.0 |= bits << Flags::ACE_SHIFT;
    }
    Ok(flags)
}

/// `1:1001(1000)`, whose numbers must agree.
fn range(lexer: &mut Lexer<'_>) -> Result<Range> {
    let place = lexer.place();
    let start: u32 = lexer.number("a sequence number of 32 bits")?;
    lexer.expect(":")?;
    let end: u32 = lexer.number("the sequence number behind the last byte")?;
    let len = payload(lexer)?;
    if start.checked_add(u32::from(len)) != Some(end) {
        let found = format!("`{start}:{end}({len})`");
        return Err(lexer.senseless(place, "a range whose ends are as far apart as its payload is long", &found));
    }
    Ok(Range { start, len })
}

fn options(lexer: &mut Lexer<'_>, direction: Direction) -> Result<Options> {
    if !lexer.eat("<") {
        return Ok(Options::These(Vec::new()));
    }
    let place = lexer.place();
    if lexer.eat("...") {
        lexer.expect(">")?;
        return match direction {
            Direction::Out => Ok(Options::Any),
            Direction::In => Err(lexer.senseless(place, "the options to inject", "`...`")),
        };
    }
    let mut options = Vec::new();
    loop {
        options.push(option(lexer)?);
        if !lexer.eat(",") {
            lexer.expect(">")?;
            break;
        }
    }
    if options.iter().map(TcpOption::len).sum::<usize>() > 40 {
        return Err(lexer.senseless(place, "options of 40 bytes at the most", "more"));
    }
    Ok(Options::These(options))
}

fn option(lexer: &mut Lexer<'_>) -> Result<TcpOption> {
    const NAMES: &str = "an option: mss, sackOK, TS, nop, wscale, sack, eol, FO, FOEXP, md5 or unknown-KIND";
    let place = lexer.place();
    Ok(match lexer.word(NAMES)? {
        "nop" => TcpOption::Nop,
        "eol" => TcpOption::Eol,
        "mss" => TcpOption::Mss(lexer.number("a segment size of 16 bits")?),
        "wscale" => TcpOption::WindowScale(lexer.number("a shift count of 8 bits")?),
        "sackOK" => TcpOption::SackPermitted,
        "sack" => TcpOption::Sack(sack_blocks(lexer)?),
        "md5" => {
            let place = lexer.place();
            let digest = lexer.hex()?.try_into();
            TcpOption::Md5(
                digest.map_err(|_| lexer.senseless(place, "32 hexadecimal digits", "another number of them"))?,
            )
        }
        "TS" => {
            lexer.expect_word("val")?;
            let val = lexer.number("a timestamp of 32 bits")?;
            lexer.expect_word("ecr")?;
            TcpOption::Timestamps { val, ecr: lexer.number("a timestamp of 32 bits")? }
        }
        "FO" => TcpOption::FastOpen(lexer.hex()?),
        "FOEXP" => TcpOption::FastOpenExperimental(lexer.hex()?),
        "unknown" => {
            lexer.expect("-")?;
            let kind = lexer.number("the kind of an option")?;
            if kind < 2 {
                return Err(lexer.senseless(place, "`eol` or `nop` for the kinds without a length", "their number"));
            }
            TcpOption::Unknown(kind, if lexer.eat("0x") { lexer.hex()? } else { Vec::new() })
        }
        other => return Err(lexer.senseless(place, NAMES, &format!("`{other}`"))),
    })
}

fn sack_blocks(lexer: &mut Lexer<'_>) -> Result<Vec<(u32, u32)>> {
    let mut blocks = Vec::new();
    loop {
        let left = lexer.number("the left edge of a block")?;
        lexer.expect(":")?;
        blocks.push((left, lexer.number("the right edge of a block")?));
        if !lexer.sees_char(|c| c.is_ascii_digit()) {
            return Ok(blocks);
        }
    }
}

fn damage(lexer: &mut Lexer<'_>) -> Result<Vec<Damage>> {
    let mut all = Vec::new();
    loop {
        let kind = if lexer.eat_word("mut") {
            DamageKind::Mutate
        } else if lexer.eat_word("trun") {
            DamageKind::Truncate
        } else if lexer.eat_word("ins") {
            DamageKind::Insert
        } else {
            return Err(lexer.error("`mut`, `trun` or `ins`"));
        };
        let header = if lexer.eat_word("ip") {
            Header::Ip
        } else if lexer.eat_word("tcp") {
            Header::Tcp
        } else {
            return Err(lexer.error("`ip` or `tcp`"));
        };
        all.push(Damage { kind, header, field: damage_field(lexer)? });
        if !lexer.eat(";") {
            lexer.expect("}")?;
            return Ok(all);
        }
    }
}

fn damage_field(lexer: &mut Lexer<'_>) -> Result<DamageField> {
    for (name, field) in
        [("mss", DamageField::Mss), ("ihl", DamageField::Ihl), ("source_port", DamageField::SourcePort)]
    {
        if lexer.eat_word(name) {
            return Ok(field);
        }
    }
    let first = lexer.number("`mss`, `ihl`, `source_port`, or a position")?;
    let is_span = lexer.eat("-");
    let second = lexer.number("the end of a span, or a size")?;
    Ok(if is_span { DamageField::Span(first, second) } else { DamageField::Offset(first, second) })
}

impl TcpOption {
    /// How many bytes of the header it takes.
    pub(super) fn len(&self) -> usize {
        match self {
            TcpOption::Nop | TcpOption::Eol => 1,
            TcpOption::Mss(_) => 4,
            TcpOption::WindowScale(_) => 3,
            TcpOption::SackPermitted => 2,
            TcpOption::Sack(blocks) => 2 + 8 * blocks.len(),
            TcpOption::Md5(_) => 18,
            TcpOption::Timestamps { .. } => 10,
            TcpOption::FastOpen(cookie) => 2 + cookie.len(),
            TcpOption::FastOpenExperimental(cookie) => 4 + cookie.len(),
            TcpOption::Unknown(_, data) => 2 + data.len(),
        }
    }
}
