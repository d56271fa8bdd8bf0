//! Characters to words, numbers and strings. What a character means depends on where it stands (`1:1001` is a range
//! here and an address there), so the parser asks for what it expects.
//!
//! Sections: the language of packetdrill; nothing of an RFC's.
//! In: a script's text, and what its words stand for.
//! Out: words, numbers, strings; or where something else stood.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use tidegate_proto::time::Duration;

use super::ast::{Definition, Place};

/// A script that is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Where.
    pub place: Place,
    /// What the language has there.
    pub expected: String,
    /// What stood there.
    pub found: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyntaxError { place, expected, found } = self;
        write!(f, "line {}, column {}: expected {expected}, found {found}", place.line, place.column)
    }
}

impl core::error::Error for SyntaxError {}

pub(super) type Result<T> = core::result::Result<T, SyntaxError>;

/// A place in the text that moves forward.
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// Bytes that have been read.
    at: usize,
    /// How many expressions are open, one in the other.
    depth: u32,
    definitions: Vec<(String, Definition)>,
}

/// So deep may expressions nest: no script needs more, and no text may exhaust the stack of whoever parses it.
const MAX_DEPTH: u32 = 64;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, definitions: &[(String, Definition)]) -> Self {
        Lexer { text, at: 0, depth: 0, definitions: definitions.to_vec() }
    }

    /// From here on `name` stands for `definition`. The first definition counts, so the caller's outdo the script's.
    pub(super) fn define(&mut self, name: &str, definition: Definition) {
        self.definitions.push((name.to_owned(), definition));
    }

    /// What a word stands for.
    pub(super) fn definition(&self, word: &str) -> Option<&Definition> {
        self.definitions.iter().find(|(name, _)| name == word).map(|(_, definition)| definition)
    }

    /// The next thing, behind spaces and comments.
    pub(super) fn place(&mut self) -> Place {
        self.skip();
        self.place_of(self.at)
    }

    /// Exactly here, whatever comes.
    pub(super) fn here(&self) -> Place {
        self.place_of(self.at)
    }

    /// True if nothing is left.
    pub(super) fn is_end(&mut self) -> bool {
        self.skip();
        self.rest().is_empty()
    }

    /// True if `symbol` comes next.
    pub(super) fn sees(&mut self, symbol: &str) -> bool {
        self.skip();
        self.rest().starts_with(symbol)
    }

    /// True if one of these characters comes next.
    pub(super) fn sees_char(&mut self, is_one: impl Fn(char) -> bool) -> bool {
        self.skip();
        self.rest().starts_with(is_one)
    }

    /// Takes `symbol` if it comes next.
    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let sees = self.sees(symbol);
        if sees {
            self.at += symbol.len();
        }
        sees
    }

    /// Takes `symbol`, which must come next.
    pub(super) fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.eat(symbol) { Ok(()) } else { Err(self.error(&format!("`{symbol}`"))) }
    }

    /// The word that comes next, if one does.
    pub(super) fn peek_word(&mut self) -> Option<&'a str> {
        self.skip();
        let word = prefix(self.rest(), |c| c.is_ascii_alphanumeric() || c == '_');
        (!word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit())).then_some(word)
    }

    /// Takes a word; `what` it is, if it is missing.
    pub(super) fn word(&mut self, what: &str) -> Result<&'a str> {
        let word = self.peek_word().ok_or_else(|| self.error(what))?;
        self.at += word.len();
        Ok(word)
    }

    /// Takes this word if it comes next.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let sees = self.peek_word() == Some(word);
        if sees {
            self.at += word.len();
        }
        sees
    }

    /// Takes this word, which must come next.
    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.eat_word(word) { Ok(()) } else { Err(self.error(&format!("`{word}`"))) }
    }

    /// A number, decimal or with `0x`, perhaps negative.
    pub(super) fn integer(&mut self, what: &str) -> Result<i64> {
        self.skip();
        let start = self.at;
        let negative = self.eat("-");
        let hex = self.rest().strip_prefix("0x");
        let (digits, radix, lead) = match hex {
            Some(rest) => (prefix(rest, |c| c.is_ascii_hexdigit()), 16, 2),
            None => (prefix(self.rest(), |c| c.is_ascii_digit()), 10, 0),
        };
        let number = i128::from_str_radix(digits, radix).ok().map(|n| if negative { -n } else { n });
        if let Some(number) = number.and_then(|n| i64::try_from(n).ok()) {
            self.at += lead + digits.len();
            return Ok(number);
        }
        self.at = start;
        Err(self.error(what))
    }

    /// A number that the type has.
    pub(super) fn number<T: TryFrom<i64>>(&mut self, what: &str) -> Result<T> {
        self.skip();
        let start = self.at;
        let number = self.integer(what)?;
        T::try_from(number).map_err(|_| {
            self.at = start;
            self.error(what)
        })
    }

    /// Seconds with up to nine decimals. A dot without a digit behind it is none of theirs.
    pub(super) fn seconds(&mut self) -> Result<Duration> {
        self.skip();
        let whole = prefix(self.rest(), |c| c.is_ascii_digit());
        let behind = self.rest().strip_prefix(whole).unwrap_or_default();
        let decimals = behind.strip_prefix('.').map_or("", |rest| prefix(rest, |c| c.is_ascii_digit()));
        let nanos = (!whole.is_empty() || !decimals.is_empty())
            .then(|| {
                let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
                let fraction: u64 = if decimals.is_empty() { 0 } else { decimals.parse().ok()? };
                let unit = 10_u64.pow(9_u32.checked_sub(u32::try_from(decimals.len()).ok()?)?);
                seconds.checked_mul(1_000_000_000)?.checked_add(fraction.checked_mul(unit)?)
            })
            .flatten()
            .ok_or_else(|| self.error("a time in seconds, with nine decimals at the most"))?;
        self.at += whole.len() + if decimals.is_empty() { 0 } else { 1 + decimals.len() };
        Ok(Duration::from_nanos(nanos))
    }

    /// The bytes of a hexadecimal number, two digits each; none if there is no digit.
    pub(super) fn hex(&mut self) -> Result<Vec<u8>> {
        self.skip();
        let word = prefix(self.rest(), |c| c.is_ascii_alphanumeric());
        let bytes = hex_bytes(word).ok_or_else(|| self.error("an even number of hexadecimal digits"))?;
        self.at += word.len();
        Ok(bytes)
    }

    /// Everything up to `end`, which is taken too.
    pub(super) fn until(&mut self, end: &str) -> Result<&'a str> {
        let Some((text, _)) = self.rest().split_once(end) else {
            self.at = self.text.len();
            return Err(self.error(&format!("`{end}`")));
        };
        self.at += text.len() + end.len();
        Ok(text)
    }

    /// Characters that are in one piece, without spaces before them.
    pub(super) fn piece(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let piece = prefix(self.rest(), is_part);
        self.at += piece.len();
        piece
    }

    /// A string in quotes, with C's escapes.
    pub(super) fn text(&mut self) -> Result<Vec<u8>> {
        self.expect("\"")?;
        let mut out = Vec::new();
        loop {
            match self.next_char() {
                Some('"') => return Ok(out),
                Some('\\') => {
                    let byte = self.escape().ok_or_else(|| self.error("an escape of C: \\n, \\t, \\x00 ..."))?;
                    out.push(byte);
                }
                Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => return Err(self.error("`\"`")),
            }
        }
    }

    /// A command in backticks, as it stands.
    pub(super) fn command(&mut self) -> Result<String> {
        self.expect("`")?;
        let start = self.at;
        loop {
            match self.next_char() {
                Some('`') => return Ok(self.text.get(start..self.at - 1).unwrap_or_default().to_owned()),
                Some('\\') => {
                    self.next_char();
                }
                Some(_) => {}
                None => return Err(self.error("a closing backtick")),
            }
        }
    }

    /// An expression opens in another.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.error("an expression that is less deep")) } else { Ok(()) }
    }

    /// It has been read.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The error of having found something else here.
    pub(super) fn error(&mut self, expected: &str) -> SyntaxError {
        self.skip();
        let found = match self.rest().chars().next() {
            None => "the end of the script".to_owned(),
            Some(_) => {
                let word = prefix(self.rest(), |c| c.is_ascii_alphanumeric() || c == '_');
                let end = if word.is_empty() { 1 } else { word.chars().count().min(20) };
                format!("`{}`", self.rest().chars().take(end).collect::<String>())
            }
        };
        SyntaxError { place: self.place_of(self.at), expected: expected.to_owned(), found }
    }

    /// Something that can be read and means nothing.
    pub(super) fn senseless(&self, place: Place, expected: &str, found: &str) -> SyntaxError {
        SyntaxError { place, expected: expected.to_owned(), found: found.to_owned() }
    }

    /// The rest of an escape, behind its backslash.
    fn escape(&mut self) -> Option<u8> {
        let octal = prefix(self.rest(), |c| c.is_digit(8));
        if !octal.is_empty() {
            let digits = octal.get(..3).unwrap_or(octal);
            self.at += digits.len();
            return u8::from_str_radix(digits, 8).ok();
        }
        match self.next_char()? {
            'n' => Some(b'\n'),
            't' => Some(b'\t'),
            'r' => Some(b'\r'),
            c @ ('\\' | '"' | '\'') => u8::try_from(c).ok(),
            'x' => {
                let digits = self.rest().get(..2)?;
                let &[byte] = hex_bytes(digits)?.as_slice() else { return None };
                self.at += digits.len();
                Some(byte)
            }
            _ => None,
        }
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Passes over spaces and comments; a comment without an end stays, where nothing expects it.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if let Some(end) = trimmed.strip_prefix("/*").and_then(|comment| comment.find("*/")) {
                self.at += end + 4;
            } else {
                return;
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn place_of(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        Place { line: count(before.matches('\n').count()), column: count(line.chars().count()) }
    }
}

/// The longest beginning of such characters.
fn prefix(text: &str, is_part: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The bytes that pairs of hexadecimal digits name.
fn hex_bytes(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|n| u8::try_from(n).ok());
    pairs.iter().map(|&[a, b]| Some(digit(a)? << 4 | digit(b)?)).collect()
}
