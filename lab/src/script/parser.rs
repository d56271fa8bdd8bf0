//! A script from its text: the head, the events and their times, system calls.
//!
//! Sections: the language of packetdrill; nothing of an RFC's.
//! In: text, and what the caller defines its words to mean.
//! Out: a [`Script`], or the first place where there is none.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::ast::{Action, Call, Code, Definition, Direction, Event, HeadOption, HeadValue, Place, Script, When};
use super::lexer::{Lexer, Result};
use super::{expressions, packets};

/// Reads a script. `definitions` outdo the `--define` options at its head.
pub fn parse(text: &str, definitions: &[(String, Definition)]) -> Result<Script> {
    let mut lexer = Lexer::new(text, definitions);
    let mut script = Script::default();
    while lexer.eat("--") {
        script.options.push(head_option(&mut lexer)?);
    }
    script.before = command(&mut lexer)?;
    while !lexer.is_end() && script.after.is_none() {
        script.after = command(&mut lexer)?;
        if script.after.is_none() {
            script.events.push(event(&mut lexer)?);
        }
    }
    if !lexer.is_end() {
        return Err(lexer.error("the end of the script behind a command without a time"));
    }
    if script.events.is_empty() {
        return Err(lexer.error("an event"));
    }
    Ok(script)
}

/// What follows the two dashes.
fn head_option(lexer: &mut Lexer<'_>) -> Result<HeadOption> {
    let place = lexer.place();
    let name = lexer.word("the name of an option")?.to_owned();
    if !lexer.eat("=") {
        return Ok(HeadOption { place, name, value: None });
    }
    if lexer.sees("\"") {
        let value = Some(HeadValue::Text(lexer.text()?));
        return Ok(HeadOption { place, name, value });
    }
    let start = lexer.place();
    let plain = lexer.piece(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c)).to_owned();
    if plain.is_empty() {
        return Err(lexer.error("a value"));
    }
    if name != "define" {
        return Ok(HeadOption { place, name, value: Some(HeadValue::Plain(plain)) });
    }
    if !is_word(&plain) {
        return Err(lexer.senseless(start, "a word to define", &plain));
    }
    lexer.expect("=")?;
    let definition = definition(lexer)?;
    lexer.define(&plain, definition.clone());
    Ok(HeadOption { place, name, value: Some(HeadValue::Define(plain, definition)) })
}

/// What a word shall stand for.
fn definition(lexer: &mut Lexer<'_>) -> Result<Definition> {
    if lexer.sees("\"") {
        return Ok(Definition::Text(lexer.text()?));
    }
    if lexer.sees("`") {
        return Ok(Definition::Command(lexer.command()?));
    }
    let word = lexer.piece(|c| c.is_ascii_alphanumeric() || c == '_');
    if word.is_empty() {
        return Err(lexer.error("a word, a number, a string or a command"));
    }
    Ok(Definition::Word(word.to_owned()))
}

/// A command, if one comes next: in backticks, or a word that stands for one.
fn command(lexer: &mut Lexer<'_>) -> Result<Option<String>> {
    if lexer.sees("`") {
        return lexer.command().map(Some);
    }
    let Some(word) = lexer.peek_word() else { return Ok(None) };
    let Some(Definition::Command(command)) = lexer.definition(word).cloned() else { return Ok(None) };
    lexer.word("a command")?;
    Ok(Some(command))
}

fn event(lexer: &mut Lexer<'_>) -> Result<Event> {
    let place = lexer.place();
    let when = when(lexer)?;
    let action = action(lexer)?;
    let waits = matches!(when, When::Any | When::Between(..) | When::AfterBetween(..));
    if waits && !matches!(&action, Action::Packet(packet) if packet.direction == Direction::Out) {
        return Err(lexer.senseless(place, "a single point in time, unless a packet is expected", "another time"));
    }
    if let (Action::Call(Call { until: Some(until), .. }), When::At(start) | When::After(start)) = (&action, when)
        && *until < start
    {
        return Err(lexer.senseless(place, "a call that ends after it began", "an earlier end"));
    }
    Ok(Event { place, when, action })
}

fn when(lexer: &mut Lexer<'_>) -> Result<When> {
    if lexer.eat("*") {
        return Ok(When::Any);
    }
    let relative = lexer.eat("+");
    if !lexer.sees_char(|c| c.is_ascii_digit() || c == '.') {
        return Err(lexer.error(if relative { "a time in seconds" } else { "the time of an event" }));
    }
    let from = lexer.seconds()?;
    if !lexer.eat("~") {
        return Ok(if relative { When::After(from) } else { When::At(from) });
    }
    if relative {
        lexer.expect("+")?;
    }
    let place = lexer.place();
    let to = lexer.seconds()?;
    if to < from {
        return Err(lexer.senseless(place, "the later end of a range of times", "an earlier one"));
    }
    Ok(if relative { When::AfterBetween(from, to) } else { When::Between(from, to) })
}

fn action(lexer: &mut Lexer<'_>) -> Result<Action> {
    if lexer.eat("<") {
        return packets::packet(lexer, Direction::In).map(Action::Packet);
    }
    if lexer.eat(">") {
        return packets::packet(lexer, Direction::Out).map(Action::Packet);
    }
    if lexer.eat("%{") {
        return code(lexer).map(Action::Code);
    }
    if let Some(command) = command(lexer)? {
        return Ok(Action::Command(command));
    }
    if lexer.sees("...") || lexer.peek_word().is_some() {
        return call(lexer).map(Action::Call);
    }
    Err(lexer.error("a packet (`<` or `>`), a system call, a command in backticks, or `%{`"))
}

fn code(lexer: &mut Lexer<'_>) -> Result<Code> {
    let place: Place = lexer.here();
    let text = lexer.until("}%")?.to_owned();
    let code = Code { place, text };
    // What the evaluator does not know is refused before anything runs.
    super::code::parse(&code)?;
    Ok(code)
}

fn call(lexer: &mut Lexer<'_>) -> Result<Call> {
    let until = if lexer.eat("...") { Some(lexer.seconds()?) } else { None };
    let name = expressions::word(lexer, "the name of a system call")?;
    lexer.expect("(")?;
    let arguments = expressions::list(lexer, ")")?;
    lexer.expect("=")?;
    let result = expressions::expression(lexer)?;
    let errno = match lexer.peek_word() {
        Some(word) if !matches!(lexer.definition(word), Some(Definition::Command(_))) => {
            Some(expressions::word(lexer, "the name of an error")?)
        }
        _ => None,
    };
    let note = if lexer.eat("(") { Some(note(lexer)?) } else { None };
    Ok(Call { until, name, arguments, result, errno, note })
}

/// The words in parentheses behind a result, single spaces between them.
fn note(lexer: &mut Lexer<'_>) -> Result<String> {
    let place = lexer.place();
    let words: Vec<&str> = lexer.until(")")?.split_whitespace().collect();
    if words.is_empty() {
        return Err(lexer.senseless(place, "what the error means", "nothing"));
    }
    Ok(words.join(" "))
}

/// True for what a word of the language can be.
fn is_word(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
