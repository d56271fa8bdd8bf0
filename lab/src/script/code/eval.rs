//! Statements, one after the other.
//!
//! Sections: the Python language reference, 6, 7.
//! In: statements, the names that earlier blocks left, and what the runner knows.
//! Out: names for later blocks and what was printed; or the place where something does not hold.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::super::ast::Place;
use super::parse::{Comparison, Expr, Function, Kind, Statement};
use super::value::{Binary, Value, truncate};

/// What blocks have assigned, and what they have printed.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    assigned: BTreeMap<String, Value>,
    /// One line for each call of `print`.
    pub(in super::super) printed: Vec<String>,
}

/// Why a block ended early.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Raised {
    /// Where.
    pub(in super::super) place: Place,
    /// What does not hold.
    pub(in super::super) what: String,
}

impl Names {
    /// Runs the statements. What `given` knows is set anew before each block, so it outdoes what blocks assigned before.
    pub(in super::super) fn run(
        &mut self,
        statements: &[Statement],
        given: &dyn Fn(&str) -> Option<Value>,
    ) -> Result<(), Raised> {
        self.assigned.retain(|name, _| given(name).is_none());
        statements.iter().try_for_each(|statement| Eval { names: self, given }.statement(statement))
    }
}

struct Eval<'a> {
    names: &'a mut Names,
    given: &'a dyn Fn(&str) -> Option<Value>,
}

impl Eval<'_> {
    fn statement(&mut self, statement: &Statement) -> Result<(), Raised> {
        match statement {
            Statement::Assert { place, test, message } => {
                if self.value(test)?.is_true() {
                    return Ok(());
                }
                let message = match message {
                    Some(message) => format!(": {}", self.value(message)?),
                    None => String::new(),
                };
                Err(Raised {
                    place: *place,
                    what: format!("the assertion does not hold{message}{}", self.sides(test)?),
                })
            }
            Statement::Assign { names, value } => {
                let value = self.value(value)?;
                for name in names {
                    self.names.assigned.insert(name.clone(), value.clone());
                }
                Ok(())
            }
            Statement::Change { place, name, op, value } => {
                let before = self.name(*place, name)?;
                let value = self.value(value)?;
                let after = before.combine(*op, &value).map_err(|what| Raised { place: *place, what })?;
                self.names.assigned.insert(name.clone(), after);
                Ok(())
            }
            Statement::Evaluate(expr) => self.value(expr).map(|_| ()),
            Statement::Pass => Ok(()),
        }
    }

    /// What the operands of a failed comparison were: ` (10 == 11)`.
    fn sides(&mut self, test: &Expr) -> Result<String, Raised> {
        let Kind::Compare(first, rest) = &test.kind else { return Ok(String::new()) };
        let mut text = format!(" ({:#}", self.value(first)?);
        for (comparison, operand) in rest {
            text.push_str(&format!(" {} {:#}", comparison.symbol(), self.value(operand)?));
        }
        text.push(')');
        Ok(text)
    }

    fn value(&mut self, expr: &Expr) -> Result<Value, Raised> {
        let raise = |what: String| Raised { place: expr.place, what };
        Ok(match &expr.kind {
            Kind::None => Value::None,
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Int(n) => Value::Int(*n),
            Kind::Float(n) => Value::Float(*n),
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Name(name) => self.name(expr.place, name)?,
            Kind::Sequence(parts) => {
                Value::Sequence(parts.iter().map(|part| self.value(part)).collect::<Result<_, _>>()?)
            }
            Kind::Not(operand) => Value::Bool(!self.value(operand)?.is_true()),
            Kind::Minus(operand) => Value::Int(0).combine(Binary::Subtract, &self.value(operand)?).map_err(raise)?,
            Kind::Plus(operand) => Value::Int(0).combine(Binary::Add, &self.value(operand)?).map_err(raise)?,
            Kind::Invert(operand) => {
                let value = self.value(operand)?;
                let whole = value.whole().ok_or_else(|| raise(format!("`~` does not take {}", value.kind())))?;
                Value::Int(!whole)
            }
            Kind::Binary(op, operands) => {
                let [a, b] = operands.as_ref();
                let (a, b) = (self.value(a)?, self.value(b)?);
                a.combine(*op, &b).map_err(raise)?
            }
            Kind::And(operands) => {
                let [a, b] = operands.as_ref();
                let first = self.value(a)?;
                if first.is_true() { self.value(b)? } else { first }
            }
            Kind::Or(operands) => {
                let [a, b] = operands.as_ref();
                let first = self.value(a)?;
                if first.is_true() { first } else { self.value(b)? }
            }
            Kind::Compare(first, rest) => self.comparisons(expr.place, first, rest)?,
            Kind::Choice(parts) => {
                let [test, yes, no] = parts.as_ref();
                if self.value(test)?.is_true() { self.value(yes)? } else { self.value(no)? }
            }
            Kind::Call(function, arguments) => {
                let values = arguments.iter().map(|argument| self.value(argument)).collect::<Result<Vec<_>, _>>()?;
                self.call(*function, &values).map_err(raise)?
            }
        })
    }

    /// `a < b <= c`: each holds, and each operand is looked at once.
    fn comparisons(&mut self, place: Place, first: &Expr, rest: &[(Comparison, Expr)]) -> Result<Value, Raised> {
        let mut left = self.value(first)?;
        for (comparison, operand) in rest {
            let right = self.value(operand)?;
            let holds = comparison.holds(&left, &right).ok_or_else(|| {
                let what = format!("`{}` does not take {} and {}", comparison.symbol(), left.kind(), right.kind());
                Raised { place, what }
            })?;
            if !holds {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn name(&self, place: Place, name: &str) -> Result<Value, Raised> {
        let value = self.names.assigned.get(name).cloned().or_else(|| (self.given)(name));
        value.ok_or_else(|| Raised { place, what: format!("the name {name} is not defined") })
    }

    fn call(&mut self, function: Function, values: &[Value]) -> Result<Value, String> {
        let wrong = || {
            let kinds: Vec<&str> = values.iter().map(Value::kind).collect();
            format!("{function:?}({}) is outside this subset", kinds.join(", ")).to_lowercase()
        };
        match (function, values) {
            (Function::Print, values) => {
                let words: Vec<String> = values.iter().map(Value::to_string).collect();
                self.names.printed.push(words.join(" "));
                Ok(Value::None)
            }
            (Function::Abs, [value]) => match value.whole() {
                Some(n) => n.checked_abs().map(Value::Int).ok_or_else(wrong),
                None => value.fraction().map(|n| Value::Float(n.abs())).ok_or_else(wrong),
            },
            (Function::Bool, [value]) => Ok(Value::Bool(value.is_true())),
            (Function::Float, [value]) => value.fraction().map(Value::Float).ok_or_else(wrong),
            (Function::Int, [value]) => {
                let text = if let Value::Text(text) = value { text.trim().parse().ok() } else { None };
                let whole = value.whole().or_else(|| value.fraction().and_then(truncate)).or(text);
                whole.map(Value::Int).ok_or_else(wrong)
            }
            (Function::Str, [value]) => Ok(Value::Text(value.to_string())),
            (Function::Len, [Value::Sequence(parts)]) => Ok(length(parts.len())),
            (Function::Len, [Value::Text(text)]) => Ok(length(text.chars().count())),
            (Function::Sum, [Value::Sequence(parts)]) => {
                parts.iter().try_fold(Value::Int(0), |sum, part| sum.combine(Binary::Add, part))
            }
            (Function::Max, [Value::Sequence(parts)]) => best(parts, Ordering::Greater).ok_or_else(wrong),
            (Function::Min, [Value::Sequence(parts)]) => best(parts, Ordering::Less).ok_or_else(wrong),
            (Function::Max, parts @ [_, _, ..]) => best(parts, Ordering::Greater).ok_or_else(wrong),
            (Function::Min, parts @ [_, _, ..]) => best(parts, Ordering::Less).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

impl Comparison {
    /// Whether it holds; `None` for what cannot be compared so.
    fn holds(self, left: &Value, right: &Value) -> Option<bool> {
        let is_in = || match (left, right) {
            (left, Value::Sequence(parts)) => Some(parts.iter().any(|part| part.equals(left))),
            (Value::Text(part), Value::Text(whole)) => Some(whole.contains(part.as_str())),
            _ => None,
        };
        match self {
            Comparison::Equal => Some(left.equals(right)),
            Comparison::NotEqual => Some(!left.equals(right)),
            Comparison::Less => left.order(right).map(Ordering::is_lt),
            Comparison::LessEqual => left.order(right).map(Ordering::is_le),
            Comparison::Greater => left.order(right).map(Ordering::is_gt),
            Comparison::GreaterEqual => left.order(right).map(Ordering::is_ge),
            Comparison::In => is_in(),
            Comparison::NotIn => is_in().map(|is| !is),
            // Identity means something for these alone.
            Comparison::Is | Comparison::IsNot => {
                let known = |value: &Value| matches!(value, Value::None | Value::Bool(_));
                (known(left) || known(right)).then(|| (left == right) == (self == Comparison::Is))
            }
        }
    }

    const fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
            Comparison::In => "in",
            Comparison::NotIn => "not in",
            Comparison::Is => "is",
            Comparison::IsNot => "is not",
        }
    }
}

/// The largest or the smallest, the first of equals.
fn best(parts: &[Value], wanted: Ordering) -> Option<Value> {
    let (first, rest) = parts.split_first()?;
    let mut best = first;
    for part in rest {
        if part.order(best)? == wanted {
            best = part;
        }
    }
    Some(best.clone())
}

fn length(n: usize) -> Value {
    Value::Int(i128::try_from(n).unwrap_or(i128::MAX))
}
