//! What a capture at A cannot show: losses, drops at B with their reasons, true states, the programs' calls.
//!
//! Sections: none.
//! In: the moments of a world.
//! Out: lines for people, in either language, bounded in number.

use std::collections::BTreeMap;

use tidegate_lab::app::App;
use tidegate_lab::app::script::{Done, Gave, Step};
use tidegate_lab::glimpse::Glimpse;
use tidegate_lab::link::{Fate, Loss, Passage};
use tidegate_lab::scenario::{Scenario, Stage};
use tidegate_lab::world::{Change, HostId, Moment, Sighting, Way};
use tidegate_proto::tcp::Verdict;
use tidegate_proto::time::Instant;
use tidegate_proto::wire::{Flags, FourTuple, Seq};

use super::time_of_day;
use crate::explain::render::WIDTH;
use crate::explain::sentences::{self as say, Lang};
use crate::explain::{layout, reasons, states};

/// Collects what happened behind the scene.
pub(super) struct Behind {
    lang: Lang,
    a: HostId,
    /// Of downloads without number, the ladders show the states well enough.
    one_story: bool,
    /// Initial sequence numbers by sender, so that numbers read as in the capture above.
    origins: BTreeMap<FourTuple, Seq>,
    events: Lines,
    states: Lines,
}

/// Lines up to a bound, and how many more there were.
#[derive(Default)]
struct Lines {
    /// When, and what.
    kept: Vec<(String, String)>,
    more: u64,
}

impl Lines {
    fn push(&mut self, at: Instant, line: String) {
        if self.kept.len() < MOST_LINES { self.kept.push((time_of_day(at), line)) } else { self.more += 1 }
    }
}

impl Behind {
    pub(super) fn new(scenario: &Scenario, stage: &Stage, lang: Lang) -> Self {
        let one_story = scenario.name != "article";
        Behind {
            lang,
            a: stage.a.host,
            one_story,
            origins: BTreeMap::new(),
            events: Lines::default(),
            states: Lines::default(),
        }
    }

    pub(super) fn on_moment(&mut self, moment: &Moment) {
        match moment {
            Moment::Frame(sighting) => self.on_frame(sighting),
            Moment::State(change) if self.one_story => self.on_change(change),
            Moment::State(_) => {}
        }
    }

    /// Everything that was collected, under its headings.
    pub(super) fn tell(&self, stage: &Stage) -> String {
        let mut out = String::new();
        let calls = self.calls(stage);
        let parts = [(&say::LAB_CALLS, &calls), (&say::LAB_BEHIND, &self.events), (&say::LAB_STATES, &self.states)];
        for (title, lines) in parts {
            if lines.kept.is_empty() {
                continue;
            }
            out += &format!("\n{}\n\n", title.say(self.lang, &[]));
            for (time, line) in &lines.kept {
                out += &layout::wrap(line, &format!("  {time}  "), WIDTH);
            }
            if lines.more > 0 {
                out += &layout::wrap(&say::LAB_MORE.say(self.lang, &[("n", &lines.more)]), "  ", WIDTH);
            }
        }
        out
    }

    fn on_frame(&mut self, sighting: &Sighting) {
        let Some(segment) = self.describe(sighting) else { return };
        let (at, host) = (sighting.at, self.name(sighting.port.host));
        match &sighting.way {
            Way::Out(passages) => {
                self.on_passages(passages, &segment, at);
            }
            // What A says stands beside the rows of the ladder.
            Way::In(_) if sighting.port.host == self.a => {}
            Way::In(Verdict::Accepted) => {}
            Way::In(Verdict::Answered(why) | Verdict::Dropped(why)) => {
                let sentence = match sighting.way {
                    Way::In(Verdict::Answered(_)) => &say::LAB_ANSWERED,
                    _ => &say::LAB_DROPPED,
                };
                let why = reasons::drop(*why).say(self.lang, &[]);
                self.events.push(at, sentence.say(self.lang, &[("segment", &segment), ("host", &host), ("why", &why)]));
            }
        }
    }

    fn on_passages(&mut self, passages: &[Passage], segment: &str, at: Instant) {
        let lost: Vec<Loss> = passages
            .iter()
            .filter_map(|p| match p.fate {
                Fate::Lost(why) => Some(why),
                Fate::Arrives(_) => None,
            })
            .collect();
        if let Some(why) = lost.first() {
            let why = self.loss(*why);
            let (n, all) = (lost.len(), passages.len());
            let sentence = if all == 1 { &say::LAB_LOST } else { &say::LAB_LOST_SOME };
            let values: &[(&str, &dyn std::fmt::Display)] =
                &[("segment", &segment), ("why", &why), ("n", &n), ("all", &all)];
            self.events.push(at, sentence.say(self.lang, values));
        }
        for passage in passages {
            let Fate::Arrives(arrival) = passage.fate else { continue };
            if passage.corrupted {
                self.events.push(at, say::LAB_DAMAGED.say(self.lang, &[("segment", &segment)]));
            }
            if let Some(copy) = passage.copy {
                let later = copy.since(arrival);
                let values: &[(&str, &dyn std::fmt::Display)] = &[("segment", &segment), ("later", &later)];
                self.events.push(at, say::LAB_DOUBLED.say(self.lang, values));
            }
            if passage.held {
                let later = arrival.since(at);
                let values: &[(&str, &dyn std::fmt::Display)] = &[("segment", &segment), ("later", &later)];
                self.events.push(at, say::LAB_HELD.say(self.lang, values));
            }
        }
    }

    fn on_change(&mut self, change: &Change) {
        let host = self.name(change.host);
        let (from, to) = (states::name(change.from, self.lang), states::name(change.to, self.lang));
        let values: &[(&str, &dyn std::fmt::Display)] = &[("host", &host), ("from", &from), ("to", &to)];
        self.states.push(change.at, say::LAB_STATE.say(self.lang, values));
    }

    /// A segment in a few words: `A > B [P.] seq 1:22`, numbers as tcpdump counts them.
    fn describe(&mut self, sighting: &Sighting) -> Option<String> {
        let tcp = Glimpse::of(&sighting.bytes).tcp?;
        let sender_is_a = (sighting.port.host == self.a) == sighting.is_out();
        let (from, to) = if sender_is_a { ("A", "B") } else { ("B", "A") };
        let (key, seq, flags) = (tcp.key(), tcp.header.seq, tcp.header.flags);
        if flags.has(Flags::SYN) && sighting.is_out() {
            self.origins.insert(key, seq);
        }
        let origin = self.origins.get(&key).copied().unwrap_or_default();
        // What is nowhere near this conversation is shown as it stands in the header.
        let relative = |seq: Seq, origin: Seq| match seq.distance(origin) {
            0.. => u64::from(seq.0.wrapping_sub(origin.0)),
            _ => u64::from(seq.0),
        };
        let start = relative(seq, origin);
        let range = match tcp.payload {
            0 if flags.any(Flags::SYN | Flags::FIN) => format!(", seq {start}"),
            0 => String::new(),
            n => format!(", seq {start}:{}", start + u64::try_from(n).unwrap_or(0)),
        };
        let ack = match self.origins.get(&key.reversed()) {
            Some(&origin) if flags.has(Flags::ACK) => format!(", ack {}", relative(tcp.header.ack, origin)),
            _ => String::new(),
        };
        Some(format!("{from} > {to} [{flags}]{range}{ack}"))
    }

    fn calls(&self, stage: &Stage) -> Lines {
        let mut all: Vec<(Instant, &'static str, &Done)> = Vec::new();
        for (host, name) in [(stage.a.host, "A"), (stage.b.host, "B")] {
            for app in stage.world.apps(host) {
                if let App::Script(script) = app {
                    all.extend(script.done().iter().map(|done| (done.at, name, done)));
                }
            }
        }
        all.sort_by_key(|(at, name, _)| (*at, *name));
        let mut lines = Lines::default();
        for (at, name, done) in all {
            if let Some(call) = call(done) {
                lines.push(at, format!("{name}: {call}"));
            }
        }
        lines
    }

    fn name(&self, host: HostId) -> &'static str {
        if host == self.a { "A" } else { "B" }
    }

    fn loss(&self, why: Loss) -> String {
        let sentence = match why {
            Loss::Dice => &say::LAB_LOSS_DICE,
            Loss::QueueFull => &say::LAB_LOSS_QUEUE,
            Loss::Script => &say::LAB_LOSS_SCRIPT,
            Loss::TooLarge => &say::LAB_LOSS_TOO_LARGE,
            Loss::NobodyThere => &say::LAB_LOSS_NOBODY,
        };
        sentence.say(self.lang, &[])
    }
}

/// A call that says something to a reader, as programs write it.
fn call(done: &Done) -> Option<String> {
    let call = match done.step {
        Step::Wait(_) | Step::Until(_) | Step::Connected | Step::StopListening => return None,
        Step::Listen(at) => format!("listen({at})"),
        Step::Accept => "accept()".to_owned(),
        Step::Connect { remote, .. } => format!("connect({remote})"),
        Step::Say(text) => format!("write({text:?})"),
        Step::Write(n) => format!("write({n} bytes)"),
        Step::Read(_) | Step::ReadOnce(_) | Step::Eof => "read()".to_owned(),
        Step::Close => "shutdown(write)".to_owned(),
        Step::Abort => "abort()".to_owned(),
        Step::Release => "close()".to_owned(),
        Step::Over => "the connection is over".to_owned(),
    };
    Some(match done.gave {
        Gave::Fine => call,
        Gave::Bytes(0) => format!("{call} = end of stream"),
        Gave::Bytes(n) => format!("{call} = {n}"),
        Gave::Ended(why) => format!("{call}: {why:?}"),
        Gave::Refused(why) => format!("{call}: {why:?}"),
        Gave::Warned(why) => format!("warned: {why:?}"),
    })
}

/// So many lines under each heading.
const MOST_LINES: usize = 40;
