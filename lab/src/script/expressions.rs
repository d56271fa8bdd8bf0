//! Arguments and results of system calls.
//!
//! Sections: the language of packetdrill; nothing of an RFC's.
//! In: the text of an argument.
//! Out: an [`Expr`], or what was expected.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ast::{Definition, EpollData, Expr};
use super::lexer::{Lexer, Result};
use super::packets;

/// A word, or the word that it stands for.
pub(super) fn word(lexer: &mut Lexer<'_>, what: &str) -> Result<String> {
    let place = lexer.place();
    let word = lexer.word(what)?;
    match lexer.definition(word) {
        None => Ok(word.to_owned()),
        Some(Definition::Word(other)) => Ok(other.clone()),
        Some(Definition::Text(_) | Definition::Command(_)) => {
            Err(lexer.senseless(place, what, &format!("`{word}`, which is defined as something else")))
        }
    }
}

/// Expressions with commas between them, up to and with `end`.
pub(super) fn list(lexer: &mut Lexer<'_>, end: &str) -> Result<Vec<Expr>> {
    let mut all = Vec::new();
    if lexer.eat(end) {
        return Ok(all);
    }
    loop {
        all.push(expression(lexer)?);
        if lexer.eat(end) {
            return Ok(all);
        }
        if !lexer.eat(",") {
            return Err(lexer.error(&format!("`,` or `{end}`")));
        }
    }
}

pub(super) fn expression(lexer: &mut Lexer<'_>) -> Result<Expr> {
    lexer.enter()?;
    let mut parts = vec![operand(lexer)?];
    while lexer.eat("|") {
        parts.push(operand(lexer)?);
    }
    lexer.leave();
    Ok(match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            Expr::Or(parts)
        }
    })
}

fn operand(lexer: &mut Lexer<'_>) -> Result<Expr> {
    if lexer.eat("...") {
        return Ok(Expr::Any);
    }
    if lexer.sees("\"") {
        return text(lexer);
    }
    if lexer.eat("[") {
        return list(lexer, "]").map(Expr::List);
    }
    if lexer.eat("{") {
        return structure(lexer);
    }
    if lexer.sees_char(|c| c.is_ascii_digit() || c == '-') {
        return lexer.integer("a number").map(Expr::Int);
    }
    named(lexer)
}

/// A string, or several one behind the other, which are one.
fn text(lexer: &mut Lexer<'_>) -> Result<Expr> {
    let mut all = lexer.text()?;
    while lexer.sees("\"") {
        all.extend(lexer.text()?);
    }
    Ok(if lexer.eat("...") { Expr::TextPrefix(all) } else { Expr::Text(all) })
}

/// What begins with a word.
fn named(lexer: &mut Lexer<'_>) -> Result<Expr> {
    let place = lexer.place();
    let name = lexer.word("a number, a word, a string, `...`, `[` or `{`")?;
    match lexer.definition(name).cloned() {
        Some(Definition::Text(text)) => return Ok(Expr::Text(text)),
        Some(Definition::Word(word)) => return Ok(word.parse().map_or(Expr::Word(word), Expr::Int)),
        Some(Definition::Command(_)) => {
            return Err(lexer.senseless(place, "an expression", &format!("`{name}`, which is defined as a command")));
        }
        None => {}
    }
    match name {
        "inet_addr" => address(lexer, "an IPv4 address").map(Expr::InetAddr),
        "inet6_addr" => address(lexer, "an IPv6 address").map(Expr::Inet6Addr),
        _ if lexer.eat("=") => Ok(Expr::Assign(name.to_owned(), Box::new(expression(lexer)?))),
        _ => Ok(Expr::Word(name.to_owned())),
    }
}

/// `("1.2.3.4")`.
fn address<A: core::str::FromStr>(lexer: &mut Lexer<'_>, what: &str) -> Result<A> {
    lexer.expect("(")?;
    let place = lexer.place();
    let text = lexer.text()?;
    let address = core::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    let address = address.ok_or_else(|| lexer.senseless(place, what, "another string"))?;
    lexer.expect(")")?;
    Ok(address)
}

/// What stands in braces: its first word says which structure it is.
fn structure(lexer: &mut Lexer<'_>) -> Result<Expr> {
    let structure = match lexer.peek_word() {
        Some("sa_family") => socket_address(lexer)?,
        Some("msg_name") => message(lexer)?,
        Some("cmsg_level") => Expr::Cmsg {
            level: boxed(lexer, "cmsg_level")?,
            kind: boxed_next(lexer, "cmsg_type")?,
            data: boxed_next(lexer, "cmsg_data")?,
        },
        Some("scm_sec") => Expr::Timestamping { sec: count(lexer, "scm_sec")?, nsec: next_count(lexer, "scm_nsec")? },
        Some("ee_errno") => Expr::ExtendedError(Box::new([
            field(lexer, "ee_errno")?,
            next_field(lexer, "ee_origin")?,
            next_field(lexer, "ee_type")?,
            next_field(lexer, "ee_code")?,
            next_field(lexer, "ee_info")?,
            next_field(lexer, "ee_data")?,
        ])),
        Some("fd") => Expr::PollFd {
            fd: boxed(lexer, "fd")?,
            events: boxed_next(lexer, "events")?,
            revents: if lexer.sees(",") { Some(boxed_next(lexer, "revents")?) } else { None },
        },
        Some("events") => epoll_event(lexer)?,
        Some("onoff") => Expr::Linger { onoff: count(lexer, "onoff")?, linger: next_count(lexer, "linger")? },
        Some("flags" | "Flags") => Expr::Gre(packets::gre(lexer)?),
        _ if lexer.sees("(") => Expr::Mpls(packets::labels(lexer)?),
        _ => return group(lexer),
    };
    lexer.expect("}")?;
    Ok(structure)
}

/// `...,1000}` is a buffer; anything else a list in braces.
fn group(lexer: &mut Lexer<'_>) -> Result<Expr> {
    if lexer.sees("}") {
        return Err(lexer.error("an expression"));
    }
    let mut parts = list(lexer, "}")?;
    Ok(match parts.as_slice() {
        &[Expr::Any, Expr::Int(len)] => Expr::Iovec(len),
        _ => Expr::Group(core::mem::take(&mut parts)),
    })
}

fn socket_address(lexer: &mut Lexer<'_>) -> Result<Expr> {
    lexer.expect_word("sa_family")?;
    lexer.expect("=")?;
    let is_v4 = lexer.eat_word("AF_INET");
    if !is_v4 && !lexer.eat_word("AF_INET6") {
        return Err(lexer.error("`AF_INET` or `AF_INET6`"));
    }
    lexer.expect(",")?;
    lexer.expect_word("sin_port")?;
    lexer.expect("=")?;
    lexer.expect_word("htons")?;
    lexer.expect("(")?;
    let port = lexer.number("a port")?;
    lexer.expect(")")?;
    lexer.expect(",")?;
    lexer.expect_word("sin_addr")?;
    lexer.expect("=")?;
    let ip: IpAddr = if is_v4 {
        lexer.expect_word("inet_addr")?;
        address::<Ipv4Addr>(lexer, "an IPv4 address")?.into()
    } else {
        // The original names IPv6 addresses by the function of IPv4.
        if !lexer.eat_word("inet6_addr") {
            lexer.expect_word("inet_addr")?;
        }
        address::<Ipv6Addr>(lexer, "an IPv6 address")?.into()
    };
    Ok(Expr::SockAddr(SocketAddr::new(ip, port)))
}

fn message(lexer: &mut Lexer<'_>) -> Result<Expr> {
    lexer.expect_word("msg_name")?;
    for symbol in ["(", "...", ")", "=", "...", ","] {
        lexer.expect(symbol)?;
    }
    lexer.expect_word("msg_iov")?;
    lexer.expect("(")?;
    let iov_len = lexer.integer("how many buffers there are")?;
    lexer.expect(")")?;
    lexer.expect("=")?;
    lexer.expect("[")?;
    let iov = list(lexer, "]")?;
    let flags = boxed_next(lexer, "msg_flags")?;
    let control = if lexer.eat(",") {
        lexer.expect_word("msg_control")?;
        lexer.expect("=")?;
        lexer.expect("[")?;
        Some(list(lexer, "]")?)
    } else {
        None
    };
    Ok(Expr::MsgHdr { iov_len, iov, flags, control })
}

fn epoll_event(lexer: &mut Lexer<'_>) -> Result<Expr> {
    let events = boxed(lexer, "events")?;
    lexer.expect(",")?;
    let members = [("fd", EpollData::Fd), ("ptr", EpollData::Ptr), ("u32", EpollData::U32), ("u64", EpollData::U64)];
    let Some((name, data)) = members.into_iter().find(|(name, _)| lexer.peek_word() == Some(name)) else {
        return Err(lexer.error("`fd`, `ptr`, `u32` or `u64`"));
    };
    Ok(Expr::EpollEvent { events, data, value: boxed(lexer, name)? })
}

fn field(lexer: &mut Lexer<'_>, name: &str) -> Result<Expr> {
    lexer.expect_word(name)?;
    lexer.expect("=")?;
    expression(lexer)
}

fn next_field(lexer: &mut Lexer<'_>, name: &str) -> Result<Expr> {
    lexer.expect(",")?;
    field(lexer, name)
}

fn boxed(lexer: &mut Lexer<'_>, name: &str) -> Result<Box<Expr>> {
    field(lexer, name).map(Box::new)
}

fn boxed_next(lexer: &mut Lexer<'_>, name: &str) -> Result<Box<Expr>> {
    next_field(lexer, name).map(Box::new)
}

fn count(lexer: &mut Lexer<'_>, name: &str) -> Result<i64> {
    lexer.expect_word(name)?;
    lexer.expect("=")?;
    lexer.integer("a number")
}

fn next_count(lexer: &mut Lexer<'_>, name: &str) -> Result<i64> {
    lexer.expect(",")?;
    count(lexer, name)
}
