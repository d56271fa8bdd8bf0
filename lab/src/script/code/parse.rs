//! Statements and expressions, with Python's precedence.
//!
//! Sections: the Python language reference, 6 (expressions), 7 (simple statements).
//! In: the tokens of a block.
//! Out: its statements; or the first place where something stands that the subset does not have.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::ast::{Code, Place};
use super::super::lexer::SyntaxError;
use super::token::{Token, error, tokens};
use super::value::Binary;

/// One simple statement.
#[derive(Clone, PartialEq, Debug)]
pub(in super::super) enum Statement {
    /// `assert test, message`.
    Assert { place: Place, test: Expr, message: Option<Expr> },
    /// `a = b = value`.
    Assign { names: Vec<String>, value: Expr },
    /// `a += value`.
    Change { place: Place, name: String, op: Binary, value: Expr },
    /// An expression, for what it prints.
    Evaluate(Expr),
    /// `pass`.
    Pass,
}

/// An expression, and where its operator or its first token stands.
#[derive(Clone, PartialEq, Debug)]
pub(in super::super) struct Expr {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Name(String),
    Sequence(Vec<Expr>),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Plus(Box<Expr>),
    Invert(Box<Expr>),
    Binary(Binary, Box<[Expr; 2]>),
    And(Box<[Expr; 2]>),
    Or(Box<[Expr; 2]>),
    /// `a < b <= c`: the first operand, then each comparison with the next.
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    /// `a if test else b`: test, a, b.
    Choice(Box<[Expr; 3]>),
    Call(Function, Vec<Expr>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
    Is,
    IsNot,
}

/// The functions that a block may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Abs,
    Bool,
    Float,
    Int,
    Len,
    Max,
    Min,
    Print,
    Str,
    Sum,
}

/// The statements of a block.
pub(in super::super) fn parse(code: &Code) -> Result<Vec<Statement>, SyntaxError> {
    let mut parser = Parser { tokens: tokens(code)?, at: 0, depth: 0 };
    let mut statements = Vec::new();
    while parser.at < parser.tokens.len() {
        if !parser.eat(&Token::End) {
            statements.push(parser.statement()?);
            parser.end()?;
        }
    }
    Ok(statements)
}

struct Parser {
    tokens: Vec<(Place, Token)>,
    at: usize,
    depth: u32,
}

type Result1 = Result<Expr, SyntaxError>;

impl Parser {
    fn statement(&mut self) -> Result<Statement, SyntaxError> {
        let place = self.place();
        if self.eat_name("assert") {
            let test = self.expression()?;
            let message = if self.eat_symbol(",") { Some(self.expression()?) } else { None };
            return Ok(Statement::Assert { place, test, message });
        }
        if self.eat_name("pass") {
            return Ok(Statement::Pass);
        }
        let first = self.sequence()?;
        if let Some(op) = self.augmented() {
            let Kind::Name(name) = first.kind else {
                return Err(error(first.place, "a name to change", "another expression"));
            };
            return Ok(Statement::Change { place, name, op, value: self.sequence()? });
        }
        let (mut names, mut value) = (Vec::new(), first);
        while self.eat_symbol("=") {
            let Kind::Name(name) = value.kind else {
                return Err(error(value.place, "a name to assign to", "another expression"));
            };
            names.push(name);
            value = self.sequence()?;
        }
        Ok(if names.is_empty() { Statement::Evaluate(value) } else { Statement::Assign { names, value } })
    }

    fn augmented(&mut self) -> Option<Binary> {
        let Some((_, Token::Symbol(symbol))) = self.tokens.get(self.at) else { return None };
        let op = symbol.strip_suffix('=').and_then(Binary::from_symbol)?;
        self.at += 1;
        Some(op)
    }

    /// Expressions with commas between them are a tuple.
    fn sequence(&mut self) -> Result1 {
        let first = self.expression()?;
        if !self.sees(",") {
            return Ok(first);
        }
        let place = first.place;
        let mut all = Vec::from([first]);
        while self.eat_symbol(",") {
            if self.is_at_end() || self.sees(")") || self.sees("]") || self.sees("=") {
                break;
            }
            all.push(self.expression()?);
        }
        Ok(Expr { place, kind: Kind::Sequence(all) })
    }

    fn expression(&mut self) -> Result1 {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error(self.place(), "an expression that is less deep", "more parentheses"));
        }
        let value = self.disjunction()?;
        let place = self.place();
        let value = if self.eat_name("if") {
            let test = self.disjunction()?;
            if !self.eat_name("else") {
                return Err(self.unexpected("`else`"));
            }
            let other = self.expression()?;
            Expr { place, kind: Kind::Choice(Box::new([test, value, other])) }
        } else {
            value
        };
        self.depth -= 1;
        Ok(value)
    }

    fn disjunction(&mut self) -> Result1 {
        let mut left = self.conjunction()?;
        loop {
            let place = self.place();
            if !self.eat_name("or") {
                return Ok(left);
            }
            left = Expr { place, kind: Kind::Or(Box::new([left, self.conjunction()?])) };
        }
    }

    fn conjunction(&mut self) -> Result1 {
        let mut left = self.negation()?;
        loop {
            let place = self.place();
            if !self.eat_name("and") {
                return Ok(left);
            }
            left = Expr { place, kind: Kind::And(Box::new([left, self.negation()?])) };
        }
    }

    fn negation(&mut self) -> Result1 {
        let place = self.place();
        let mut nots = 0;
        while self.eat_name("not") {
            nots += 1;
        }
        let mut operand = self.comparison()?;
        for _ in 0..nots {
            operand = Expr { place, kind: Kind::Not(Box::new(operand)) };
        }
        Ok(operand)
    }

    fn comparison(&mut self) -> Result1 {
        let first = self.binary(0)?;
        let place = self.place();
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison_sign()? {
            rest.push((comparison, self.binary(0)?));
        }
        Ok(if rest.is_empty() { first } else { Expr { place, kind: Kind::Compare(Box::new(first), rest) } })
    }

    fn comparison_sign(&mut self) -> Result<Option<Comparison>, SyntaxError> {
        for (symbol, comparison) in COMPARISONS {
            if self.eat_symbol(symbol) {
                return Ok(Some(comparison));
            }
        }
        if self.eat_name("in") {
            return Ok(Some(Comparison::In));
        }
        if self.eat_name("is") {
            return Ok(Some(if self.eat_name("not") { Comparison::IsNot } else { Comparison::Is }));
        }
        // Here `not` can only begin `not in`.
        if self.eat_name("not") {
            return if self.eat_name("in") { Ok(Some(Comparison::NotIn)) } else { Err(self.unexpected("`in`")) };
        }
        Ok(None)
    }

    /// Operators of this level and those that bind tighter.
    fn binary(&mut self, level: usize) -> Result1 {
        let Some(symbols) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let place = self.place();
            let Some(symbol) = symbols.iter().find(|symbol| self.sees(symbol)) else { return Ok(left) };
            self.at += 1;
            let op = Binary::from_symbol(symbol).expect("the levels hold binary operators only");
            left = Expr { place, kind: Kind::Binary(op, Box::new([left, self.binary(level + 1)?])) };
        }
    }

    fn unary(&mut self) -> Result1 {
        let place = self.place();
        let make: fn(Box<Expr>) -> Kind = if self.eat_symbol("-") {
            Kind::Minus
        } else if self.eat_symbol("+") {
            Kind::Plus
        } else if self.eat_symbol("~") {
            Kind::Invert
        } else {
            return self.power();
        };
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error(place, "an expression that is less deep", "more signs"));
        }
        let operand = self.unary()?;
        self.depth -= 1;
        Ok(Expr { place, kind: make(Box::new(operand)) })
    }

    fn power(&mut self) -> Result1 {
        let base = self.atom()?;
        let place = self.place();
        if !self.eat_symbol("**") {
            return Ok(base);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error(place, "an expression that is less deep", "more powers"));
        }
        let exponent = self.unary()?;
        self.depth -= 1;
        Ok(Expr { place, kind: Kind::Binary(Binary::Power, Box::new([base, exponent])) })
    }

    fn atom(&mut self) -> Result1 {
        const WHAT: &str = "a number, a string, a name or a parenthesis";
        let place = self.place();
        let kind = match self.tokens.get(self.at).map(|(_, token)| token.clone()) {
            Some(Token::Int(n)) => Kind::Int(n),
            Some(Token::Float(n)) => Kind::Float(n),
            Some(Token::Text(text)) => return Ok(Expr { place, kind: Kind::Text(self.texts(text)) }),
            Some(Token::Name(name)) => return self.named(place, &name),
            Some(Token::Symbol("(")) => return self.group(place, ")"),
            Some(Token::Symbol("[")) => return self.group(place, "]"),
            _ => return Err(self.unexpected(WHAT)),
        };
        self.at += 1;
        Ok(Expr { place, kind })
    }

    /// Strings one behind the other are one.
    fn texts(&mut self, mut text: String) -> String {
        self.at += 1;
        while let Some((_, Token::Text(more))) = self.tokens.get(self.at) {
            text.push_str(more);
            self.at += 1;
        }
        text
    }

    fn named(&mut self, place: Place, name: &str) -> Result1 {
        let kind = match name {
            "None" => Kind::None,
            "True" => Kind::Bool(true),
            "False" => Kind::Bool(false),
            _ if KEYWORDS.contains(&name) => {
                return Err(self.unexpected("an assertion, an assignment or an expression"));
            }
            _ => Kind::Name(name.into()),
        };
        self.at += 1;
        if !self.sees("(") {
            return Ok(Expr { place, kind });
        }
        let Some(&(_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            return Err(error(place, &format!("one of the functions {}", known.join(", ")), &format!("`{name}`")));
        };
        self.at += 1;
        let mut arguments = Vec::new();
        while !self.eat_symbol(")") {
            arguments.push(self.expression()?);
            if !self.eat_symbol(",") && !self.sees(")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(Expr { place, kind: Kind::Call(function, arguments) })
    }

    /// Behind an opening parenthesis or bracket.
    fn group(&mut self, place: Place, end: &str) -> Result1 {
        self.at += 1;
        if self.eat_symbol(end) {
            return Ok(Expr { place, kind: Kind::Sequence(Vec::new()) });
        }
        let inner = self.sequence()?;
        if !self.eat_symbol(end) {
            return Err(self.unexpected(&format!("`,` or `{end}`")));
        }
        let is_list = end == "]" && !matches!(inner.kind, Kind::Sequence(_));
        Ok(if is_list { Expr { place, kind: Kind::Sequence(Vec::from([inner])) } } else { inner })
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        if self.eat(&Token::End) { Ok(()) } else { Err(self.unexpected("an operator or the end of the statement")) }
    }

    fn eat(&mut self, token: &Token) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|(_, next)| next == token);
        self.at += usize::from(is);
        is
    }

    fn eat_symbol(&mut self, symbol: &str) -> bool {
        let is = self.sees(symbol);
        self.at += usize::from(is);
        is
    }

    fn eat_name(&mut self, name: &str) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|(_, next)| matches!(next, Token::Name(n) if n == name));
        self.at += usize::from(is);
        is
    }

    fn sees(&self, symbol: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|(_, next)| matches!(next, Token::Symbol(s) if *s == symbol))
    }

    fn is_at_end(&self) -> bool {
        self.tokens.get(self.at).is_none_or(|(_, next)| *next == Token::End)
    }

    fn place(&self) -> Place {
        self.tokens.get(self.at).or(self.tokens.last()).map_or_else(Place::default, |(place, _)| *place)
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        let found = match self.tokens.get(self.at) {
            Some((_, Token::Name(name))) => format!("`{name}`"),
            Some((_, Token::Int(n))) => format!("`{n}`"),
            Some((_, Token::Float(n))) => format!("`{n}`"),
            Some((_, Token::Text(_))) => "a string".into(),
            Some((_, Token::Symbol(symbol))) => format!("`{symbol}`"),
            Some((_, Token::End)) | None => "the end of the statement".into(),
        };
        error(self.place(), expected, &found)
    }
}

/// Binary operators by precedence, the loosest first.
const LEVELS: [&[&str]; 6] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "//", "%"]];

const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessEqual),
    (">=", Comparison::GreaterEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

const FUNCTIONS: [(&str, Function); 10] = [
    ("abs", Function::Abs),
    ("bool", Function::Bool),
    ("float", Function::Float),
    ("int", Function::Int),
    ("len", Function::Len),
    ("max", Function::Max),
    ("min", Function::Min),
    ("print", Function::Print),
    ("str", Function::Str),
    ("sum", Function::Sum),
];

/// Words of Python that are no names, and that the subset has no use for here.
const KEYWORDS: [&str; 32] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
    "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
    "return", "try", "while", "with", "yield",
];

/// So deep may expressions nest: no text may exhaust the stack of whoever parses it.
const MAX_DEPTH: u32 = 64;
