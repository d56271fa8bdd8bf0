//! packetdrill's language: what a TCP must do, as system calls on one side and packets on the other.
//!
//! Everything is pure: text comes in, a [`Script`] goes out. [`parse`] reads a script and says of one that it cannot
//! read where it stopped and what it expected there; a script prints as text that parses to the same script. [`run`]
//! plays a script against one stack in virtual time and gives a [`Verdict`].
//!
//! | file | what it does |
//! |---|---|
//! | `ast` | a script as values |
//! | `lexer` | characters to words, numbers, strings |
//! | `parser` | the head, times, events, system calls |
//! | `packets` | packet lines |
//! | `expressions` | arguments and results of system calls |
//! | `print` | a script as text |
//! | `head` | options at the head, commands in backticks |
//! | `run` | events at their times; packets injected; the verdict |
//! | `expect` | packets of the stack held against those expected |
//! | `calls`, `polls` | system calls, on BSD sockets; poll and epoll |
//! | `code` | the Python of code blocks |
//! | `segment`, `icmp` | scripted segments and messages from and to bytes |
//! | `damage` | packets that are damaged on their way |
//!
//! Not applicable, with the reason: UDP, encapsulated packets, commands that change the host.

mod ast;
mod calls;
mod code;
mod damage;
mod expect;
mod expressions;
mod head;
mod icmp;
mod lexer;
mod packets;
mod parser;
mod polls;
mod print;
mod run;
mod segment;
#[cfg(test)]
mod tests;

pub use ast::{
    Action, Call, Code, Damage, DamageField, DamageKind, Definition, Direction, EpollData, Event, Expr, Flags, Gre,
    HeadOption, HeadValue, Header, Icmp, IpInfo, Label, Layer, Options, Packet, Place, Quoted, Range, Script, Tcp,
    TcpOption, Tos, Transport, Udp, When,
};
pub use lexer::SyntaxError;
pub use parser::parse;
pub use run::{Passed, Report, Settings, Verdict, play, run};
