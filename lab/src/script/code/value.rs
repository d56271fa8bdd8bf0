//! Values, and what operators make of them.
//!
//! Sections: the Python language reference, 3 (data model), 6 (expressions).
//! In: operands.
//! Out: a value, or why there is none. Whole numbers have 128 bits; beyond them is an error.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::{self, Write};

/// What an expression stands for.
#[derive(Clone, PartialEq, Debug)]
pub(in super::super) enum Value {
    /// `None`.
    None,
    /// `True` and `False`, which are 1 and 0 to arithmetic.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A fraction.
    Float(f64),
    /// A string.
    Text(String),
    /// A tuple or a list.
    Sequence(Vec<Value>),
}

/// A binary operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Binary {
    Or,
    Xor,
    And,
    Left,
    Right,
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

impl Binary {
    pub(super) fn from_symbol(symbol: &str) -> Option<Binary> {
        SYMBOLS.iter().find(|(_, s)| *s == symbol).map(|&(op, _)| op)
    }

    fn symbol(self) -> &'static str {
        SYMBOLS.iter().find(|(op, _)| *op == self).map_or("", |&(_, symbol)| symbol)
    }
}

impl Value {
    /// Whether a condition holds.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(n) => *n != 0,
            Value::Float(n) => *n != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Sequence(parts) => !parts.is_empty(),
        }
    }

    /// Its type's name.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::Sequence(_) => "tuple",
        }
    }

    /// The whole number that it is; a truth value is one, a fraction is not.
    pub(super) fn whole(&self) -> Option<i128> {
        match self {
            Value::Bool(b) => Some(i128::from(*b)),
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// It as a fraction.
    pub(super) fn fraction(&self) -> Option<f64> {
        match self {
            Value::Float(n) => Some(*n),
            #[expect(clippy::cast_precision_loss, reason = "Python's conversion rounds, too")]
            other => other.whole().map(|n| n as f64),
        }
    }

    /// Equal, as `==` has it: numbers by value, whatever their type.
    pub(super) fn equals(&self, other: &Value) -> bool {
        if let (Some(a), Some(b)) = (self.whole(), other.whole()) {
            return a == b;
        }
        match (self, other, self.fraction(), other.fraction()) {
            (_, _, Some(a), Some(b)) => a == b,
            (Value::Sequence(a), Value::Sequence(b), ..) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (a, b, ..) => a == b,
        }
    }

    /// Which is the larger; `None` for what cannot be compared.
    pub(super) fn order(&self, other: &Value) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.whole(), other.whole()) {
            return Some(a.cmp(&b));
        }
        match (self, other, self.fraction(), other.fraction()) {
            (_, _, Some(a), Some(b)) => a.partial_cmp(&b),
            (Value::Text(a), Value::Text(b), ..) => Some(a.cmp(b)),
            (Value::Sequence(a), Value::Sequence(b), ..) => {
                let differs = a.iter().zip(b).find(|(a, b)| !a.equals(b));
                differs.map_or_else(|| Some(a.len().cmp(&b.len())), |(a, b)| a.order(b))
            }
            _ => None,
        }
    }

    /// `self op other`; an error says what is wrong.
    pub(super) fn combine(&self, op: Binary, other: &Value) -> Result<Value, String> {
        match (op, self, other) {
            (Binary::Modulo, Value::Text(format), _) => return format_text(format, other).map(Value::Text),
            (Binary::Add, Value::Text(a), Value::Text(b)) => return Ok(Value::Text(format!("{a}{b}"))),
            (Binary::Add, Value::Sequence(a), Value::Sequence(b)) => {
                return Ok(Value::Sequence(a.iter().chain(b).cloned().collect()));
            }
            (Binary::And, Value::Bool(a), Value::Bool(b)) => return Ok(Value::Bool(a & b)),
            (Binary::Or, Value::Bool(a), Value::Bool(b)) => return Ok(Value::Bool(a | b)),
            (Binary::Xor, Value::Bool(a), Value::Bool(b)) => return Ok(Value::Bool(a ^ b)),
            _ => {}
        }
        let unsupported = || format!("`{}` does not take {} and {}", op.symbol(), self.kind(), other.kind());
        match (self.whole(), other.whole()) {
            (Some(a), Some(b)) => whole_numbers(op, a, b),
            _ => {
                let (a, b) = (self.fraction().ok_or_else(unsupported)?, other.fraction().ok_or_else(unsupported)?);
                fractions(op, a, b).ok_or_else(unsupported)?
            }
        }
    }
}

fn whole_numbers(op: Binary, a: i128, b: i128) -> Result<Value, String> {
    let shift = || u32::try_from(b).ok().filter(|bits| *bits < 128);
    let by_zero = b == 0 && matches!(op, Binary::Divide | Binary::FloorDivide | Binary::Modulo);
    if by_zero {
        return Err("division by zero".to_string());
    }
    let number = match op {
        Binary::Or => Some(a | b),
        Binary::Xor => Some(a ^ b),
        Binary::And => Some(a & b),
        Binary::Left => shift().and_then(|bits| a.checked_mul(1_i128.checked_shl(bits).filter(|unit| *unit > 0)?)),
        Binary::Right => shift().map(|bits| a >> bits),
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide => {
            let quotient = Value::Int(a).fraction().zip(Value::Int(b).fraction()).map(|(a, b)| a / b);
            return quotient.map(Value::Float).ok_or_else(|| TOO_LARGE.to_string());
        }
        // Python rounds down, and the remainder has the sign of the divisor.
        Binary::FloorDivide => a.checked_div(b).map(|q| if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q }),
        Binary::Modulo => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
        Binary::Power if b < 0 => return Err("a power with a negative exponent is outside this subset".to_string()),
        Binary::Power => u32::try_from(b).ok().and_then(|exponent| a.checked_pow(exponent)),
    };
    number.map(Value::Int).ok_or_else(|| TOO_LARGE.to_string())
}

fn fractions(op: Binary, a: f64, b: f64) -> Option<Result<Value, String>> {
    let number = match op {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide | Binary::FloorDivide | Binary::Modulo if b == 0.0 => {
            return Some(Err("division by zero".to_string()));
        }
        Binary::Divide => a / b,
        Binary::FloorDivide => floor(a / b),
        Binary::Modulo => a - floor(a / b) * b,
        _ => return None,
    };
    Some(Ok(Value::Float(number)))
}

/// The largest whole number that is not above `n`.
fn floor(n: f64) -> f64 {
    // Beyond 2^53 there are no fractions.
    if !(-9e15..9e15).contains(&n) {
        return n;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the range is checked above")]
    let whole = n as i64 as f64;
    if whole > n { whole - 1.0 } else { whole }
}

/// `'rtt=%d' % value`.
fn format_text(format: &str, value: &Value) -> Result<String, String> {
    let mut values = match value {
        Value::Sequence(parts) => parts.iter(),
        other => core::slice::from_ref(other).iter(),
    };
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        let conversion = loop {
            match chars.next() {
                Some(c) if c.is_ascii_digit() || "-+ #.".contains(c) => spec.push(c),
                // Lengths of C's that Python reads over.
                Some('l' | 'h' | 'L') => {}
                Some(c) => break c,
                None => return Err("a format that ends behind its `%`".to_string()),
            }
        };
        if conversion == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or_else(|| "more conversions in the format than values".to_string())?;
        out.push_str(&convert(value, conversion, &spec)?);
    }
    if values.next().is_some() {
        return Err("more values than conversions in the format".to_string());
    }
    Ok(out)
}

fn convert(value: &Value, conversion: char, spec: &str) -> Result<String, String> {
    let wrong = || format!("`%{spec}{conversion}` does not take {}", value.kind());
    let whole = || value.whole().or_else(|| value.fraction().and_then(truncate)).ok_or_else(wrong);
    let text = match conversion {
        'd' | 'i' | 'u' => whole()?.to_string(),
        'x' => format!("{:x}", value.whole().ok_or_else(wrong)?),
        'X' => format!("{:X}", value.whole().ok_or_else(wrong)?),
        'f' | 'F' => {
            let places = spec.split_once('.').map_or(Ok(6), |(_, places)| places.parse()).map_err(|_| wrong())?;
            format!("{:.*}", usize::min(places, 30), value.fraction().ok_or_else(wrong)?)
        }
        's' => value.to_string(),
        'r' => format!("{value:#}"),
        _ => return Err(format!("the conversion `%{conversion}` is outside this subset")),
    };
    let flags_end = spec.find(|c: char| c.is_ascii_digit() && c != '0').unwrap_or(spec.len());
    let (flags, width) = spec.split_at(flags_end);
    let width = width.split('.').next().unwrap_or_default();
    let width = if width.is_empty() { 0 } else { width.parse::<usize>().map_err(|_| wrong())?.min(200) };
    Ok(if flags.contains('-') {
        format!("{text:<width$}")
    } else if flags.contains('0') && !text.starts_with('-') {
        format!("{text:0>width$}")
    } else {
        format!("{text:>width$}")
    })
}

/// A fraction without what is behind its point.
pub(super) fn truncate(n: f64) -> Option<i128> {
    // As far as `int()` is of use to a script.
    let is_near = n > -1e30 && n < 1e30;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked above")]
    is_near.then_some(n as i128)
}

/// As `str()` has it; with `#`, as `repr()` has it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("None"),
            Value::Bool(true) => f.write_str("True"),
            Value::Bool(false) => f.write_str("False"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Float(n) => write!(f, "{n:?}"),
            Value::Text(text) if f.alternate() => write!(f, "'{text}'"),
            Value::Text(text) => f.write_str(text),
            Value::Sequence(parts) => {
                f.write_char('(')?;
                for (i, part) in parts.iter().enumerate() {
                    write!(f, "{}{part:#}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(if parts.len() == 1 { ",)" } else { ")" })
            }
        }
    }
}

const SYMBOLS: [(Binary, &str); 12] = [
    (Binary::Or, "|"),
    (Binary::Xor, "^"),
    (Binary::And, "&"),
    (Binary::Left, "<<"),
    (Binary::Right, ">>"),
    (Binary::Add, "+"),
    (Binary::Subtract, "-"),
    (Binary::Multiply, "*"),
    (Binary::Divide, "/"),
    (Binary::FloorDivide, "//"),
    (Binary::Modulo, "%"),
    (Binary::Power, "**"),
];

const TOO_LARGE: &str = "a number of more than 128 bits";
