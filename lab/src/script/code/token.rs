//! Characters to words, numbers, strings and operators; lines to statements.
//!
//! Sections: the Python language reference, 2 (lexical analysis).
//! In: the text of a code block.
//! Out: tokens with their places, a [`Token::End`] behind each statement and at the end.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::ast::{Code, Place};
use super::super::lexer::SyntaxError;

/// The smallest part of a statement.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    Name(String),
    Int(i128),
    Float(f64),
    Text(String),
    Symbol(&'static str),
    /// The end of a statement.
    End,
}

/// All tokens of a block, each with its place in the script.
pub(super) fn tokens(code: &Code) -> Result<Vec<(Place, Token)>, SyntaxError> {
    let mut scan = Scan { rest: &code.text, place: code.place, open: 0, all: Vec::new() };
    while !scan.rest.is_empty() {
        scan.token()?;
    }
    scan.push(scan.place, Token::End);
    Ok(scan.all)
}

struct Scan<'a> {
    rest: &'a str,
    place: Place,
    /// Parentheses that are open: a line that ends in one goes on.
    open: u32,
    all: Vec<(Place, Token)>,
}

impl Scan<'_> {
    fn token(&mut self) -> Result<(), SyntaxError> {
        let place = self.place;
        let rest = self.rest;
        let Some(first) = rest.chars().next() else { return Ok(()) };
        match first {
            '\n' => {
                self.skip(1);
                if self.open == 0 {
                    self.push(place, Token::End);
                }
            }
            ';' => {
                self.skip(1);
                self.push(place, Token::End);
            }
            c if c.is_whitespace() => self.skip(c.len_utf8()),
            '#' => self.skip(rest.find('\n').unwrap_or(rest.len())),
            '\\' => {
                let blanks = rest.get(1..).unwrap_or_default();
                let line = blanks.trim_start_matches([' ', '\t', '\r']);
                if !line.starts_with('\n') {
                    return Err(error(place, "the end of the line behind a backslash", "something else"));
                }
                self.skip(2 + blanks.len() - line.len());
            }
            '"' | '\'' => {
                let text = self.text(first)?;
                self.push(place, Token::Text(text));
            }
            c if c.is_ascii_digit()
                || c == '.' && rest.get(1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())) =>
            {
                self.number(place)?;
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let word = take_while(rest, |c| c.is_ascii_alphanumeric() || c == '_').to_owned();
                self.skip(word.len());
                self.push(place, Token::Name(word));
            }
            _ => {
                let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) else {
                    return Err(error(place, "an expression of Python", &format!("`{first}`")));
                };
                match *symbol {
                    "(" | "[" => self.open += 1,
                    ")" | "]" => self.open = self.open.saturating_sub(1),
                    _ => {}
                }
                self.skip(symbol.len());
                self.push(place, Token::Symbol(symbol));
            }
        }
        Ok(())
    }

    fn number(&mut self, place: Place) -> Result<(), SyntaxError> {
        let bad = || error(place, "a number", "another one than Python's subset has");
        let rest = self.rest;
        for (prefix, radix) in [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2)] {
            if let Some(digits) = rest.strip_prefix(prefix) {
                let digits = take_while(digits, |c| c.is_ascii_alphanumeric());
                let number = i128::from_str_radix(digits, radix).map_err(|_| bad())?;
                self.skip(prefix.len() + digits.len());
                self.push(place, Token::Int(number));
                return Ok(());
            }
        }
        let mut end = take_while(rest, |c| c.is_ascii_digit() || c == '.').len();
        let tail = rest.get(end..).unwrap_or_default();
        if let Some(exponent) = tail.strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let digits = take_while(exponent.get(sign..).unwrap_or_default(), |c| c.is_ascii_digit()).len();
            end += 1 + sign + digits;
        }
        let digits = rest.get(..end).unwrap_or_default().to_owned();
        // A word may not begin where a number ends; Python 2's 10L is no number any more, nor is 010.
        let goes_on = rest.get(end..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
        let is_octal = digits.len() > 1 && digits.starts_with('0') && digits.chars().all(|c| c.is_ascii_digit());
        if goes_on || is_octal && digits.contains(|c| c != '0') {
            return Err(bad());
        }
        self.skip(end);
        let token = match digits.parse() {
            Ok(number) => Token::Int(number),
            Err(_) => Token::Float(digits.parse().map_err(|_| bad())?),
        };
        self.push(place, token);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Result<String, SyntaxError> {
        let place = self.place;
        self.skip(1);
        let mut text = String::new();
        loop {
            let mut chars = self.rest.chars();
            let (c, width) = match (chars.next(), chars.next()) {
                (Some('\\'), Some(escaped)) => {
                    let c = match escaped {
                        'n' => '\n',
                        't' => '\t',
                        '\\' | '\'' | '"' => escaped,
                        _ => return Err(error(self.place, "one of Python's escapes \\n \\t \\\\ \\' \\\"", "another")),
                    };
                    (c, 1 + escaped.len_utf8())
                }
                (Some('\n') | None, _) => return Err(error(place, "a string that ends on its line", "its beginning")),
                (Some(c), _) if c == quote => {
                    self.skip(1);
                    return Ok(text);
                }
                (Some(c), _) => (c, c.len_utf8()),
            };
            text.push(c);
            self.skip(width);
        }
    }

    fn push(&mut self, place: Place, token: Token) {
        self.all.push((place, token));
    }

    fn skip(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for c in passed.chars() {
            if c == '\n' {
                self.place = Place { line: self.place.line.saturating_add(1), column: 1 };
            } else {
                self.place.column = self.place.column.saturating_add(1);
            }
        }
        self.rest = rest;
    }
}

pub(super) fn error(place: Place, expected: &str, found: &str) -> SyntaxError {
    SyntaxError { place, expected: expected.to_owned(), found: found.to_owned() }
}

fn take_while(text: &str, is_part: impl Fn(char) -> bool) -> &str {
    text.get(..text.find(|c| !is_part(c)).unwrap_or(text.len())).unwrap_or_default()
}

/// Operators and punctuation, a longer one before one that it begins with.
const SYMBOLS: [&str; 37] = [
    "**=", "//=", "<<=", ">>=", "**", "//", "<<", ">>", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "&=",
    "|=", "^=", "+", "-", "*", "/", "%", "&", "|", "^", "~", "<", ">", "=", "(", ")", "[", "]", ",",
];
