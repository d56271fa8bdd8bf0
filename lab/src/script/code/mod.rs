//! The Python of code blocks: what scripts use to look at a connection, and no more.
//!
//! Sections: the language of packetdrill; the Python language reference for what each construct means.
//! In: the text of a block, and the names that the runner gives it.
//! Out: nothing where every assertion holds; else where one does not, and what it said. What is outside the subset is
//! refused when the script is read.
//!
//! | file | what it does |
//! |---|---|
//! | `token` | characters to words, numbers, strings, operators |
//! | `parse` | assertions, assignments, calls; expressions with Python's precedence |
//! | `value` | numbers, strings, tuples, and what operators make of them |
//! | `eval` | statements run one after the other |

mod eval;
mod parse;
mod token;
mod value;

#[cfg(test)]
mod tests;

pub(super) use eval::Names;
pub(super) use parse::parse;
pub(super) use value::Value;
