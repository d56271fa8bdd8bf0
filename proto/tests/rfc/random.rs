//! Random peers: every state, any segment, any call, any time, and what must hold after each step.
//!
//! Sections: RFC 9293 3.3.1, 3.4; all rules that the fixture checks on every segment.
//! In: seeds.
//! Out: no panic, no broken rule, the right bytes; the same output from the same input, however often it is asked for.

use tidegate_proto::tcp::{Read, State};
use tidegate_proto::wire::Flags;

use crate::play::{Corner, Play, Role, Setup, peer_bytes};

/// Numbers that look random and are the same everywhere (xorshift, Marsaglia 2003).
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// What happens next. Its numbers are relative to where the connection stands then.
#[derive(Clone, Debug)]
enum Step {
    Segment { flags: Flags, seq: i64, len: i64, ack: i64, window: u16, options: &'static str },
    Write(usize),
    WriteUrgent(usize),
    Read,
    Close,
    Wait(u64),
    NextTimer,
}

const OFFSETS: [i64; 17] =
    [0, 0, 0, 0, 0, 1, -1, 2, 10, -10, 500, -500, 1000, 60_000, 70_000, i32::MAX as i64, i32::MIN as i64];

/// Mostly what an honest peer might send, reordered and repeated; sometimes anything at all.
fn step(dice: &mut Dice) -> Step {
    match dice.roll(20) {
        0..=10 => {
            let flags = match dice.roll(12) {
                0 => Flags(dice.roll(512) as u16 & !Flags::RST.0),
                1 => Flags::ACK | Flags::FIN,
                2 => Flags::ACK | Flags::URG,
                3 => Flags::SYN,
                _ => Flags::ACK,
            };
            Step::Segment {
                flags,
                seq: dice.pick(&OFFSETS),
                len: dice.pick(&[0, 0, 0, 1, 10, 500, 1000, 3000]),
                ack: dice.pick(&OFFSETS),
                window: dice.pick(&[65_535, 65_535, 65_535, 0, 1, 500, 1000, 5000]),
                options: dice.pick(&["", "", "", "sack 500:900", "sack -5:70000 3:2", "mss 1", "wscale 14"]),
            }
        }
        11 | 12 => Step::Write(dice.roll(5000) as usize),
        13 => Step::WriteUrgent(1 + dice.roll(50) as usize),
        14 | 15 => Step::Read,
        16 if dice.roll(6) == 0 => Step::Close,
        16 | 17 => Step::Wait(dice.roll(300)),
        _ => Step::NextTimer,
    }
}

/// One conversation and what it has read so far.
#[derive(Clone)]
struct Run {
    play: Play,
    read: i64,
}

impl Run {
    fn step(&mut self, step: &Step) {
        let p = &mut self.play;
        p.forget();
        match *step {
            Step::Segment { flags, seq, len, ack, window, options } => {
                let (seq, ack) = self.near(seq, ack);
                self.play.window = window;
                self.play.inject_flags_with(flags, seq, len, ack, options);
            }
            Step::Write(len) => drop(p.write_some(len)),
            Step::WriteUrgent(len) => drop(p.write_urgent_some(len)),
            Step::Read => self.read(),
            Step::Close => p.close(),
            Step::Wait(millis) => p.wait(millis),
            Step::NextTimer => drop(p.next_timer()),
        }
    }

    /// Nothing is left to disagree about: the next SYN would open another connection.
    fn is_over(&self) -> bool {
        matches!(self.play.state(), State::Closed | State::Listen | State::TimeWait)
    }

    /// Numbers this far from RCV.NXT and from SND.UNA or SND.NXT.
    fn near(&self, seq: i64, ack: i64) -> (i64, i64) {
        let Some(info) = self.play.subject.info(self.play.now) else { return (seq, ack) };
        // An even offset counts from SND.NXT, an odd one from SND.UNA.
        let from = if ack % 2 == 0 { info.snd_nxt.0 } else { info.snd_una.0 };
        (info.rcv_nxt.0 + seq, from + ack)
    }

    fn read(&mut self) {
        let mut out = [0; 700];
        if let Ok(Read::Data(n)) = self.play.subject.read(&mut out, self.play.now) {
            assert!(out[..n] == peer_bytes(1 + self.read, n), "the stream's bytes (I-01)\n{}", self.play.story());
            self.read += n as i64;
        }
        self.play.drain();
    }

    /// What must hold between any two steps.
    fn check(&self, before: &Run) {
        let (p, now) = (&self.play, self.play.now);
        let (Some(old), Some(new)) = (before.play.subject.info(before.play.now), p.subject.info(now)) else { return };
        let rule = |holds: bool, rule: &str| assert!(holds, "{rule}\n{old:?}\n{new:?}\n{}", p.story());
        rule(new.snd_una <= new.snd_nxt && new.snd_nxt <= new.snd_end, "UNA <= NXT <= end (I-05)");
        rule(old.snd_una <= new.snd_una && old.rcv_nxt <= new.rcv_nxt, "UNA and RCV.NXT never go back (I-05)");
        rule(new.snd_cwnd >= 1 && new.snd_ssthresh >= 2, "cwnd and ssthresh have floors (I-22)");
        let rto = new.rto.as_millis();
        rule((200..=120_000).contains(&rto), "RTO within its bounds (I-18)");
        rule(new.memory < 1_000_000, "memory is bounded (I-27)");
    }
}

fn start(dice: &mut Dice) -> Run {
    let syn =
        dice.pick(&["mss 1000", "mss 1000,wscale 7", "mss 536,sackOK", "mss 1000,sackOK,TS,wscale 3", "mss 1000,TS"]);
    let setup = Setup::default().peer(syn).config(|c| {
        (c.rcv_buf, c.rcv_buf_max) = dice.pick(&[(131_072, 6_291_456), (8000, 8000), (20_000, 60_000)]);
        c.snd_buf = dice.pick(&[10_000, 4_194_304]);
        c.quick_acks = dice.pick(&[0, 16]);
        c.nagle = dice.roll(2) == 0;
    });
    let role = dice.pick(&[Role::Active, Role::Passive, Role::HostActive, Role::HostPassive6]);
    let corner = Corner::ALL[dice.roll(Corner::ALL.len() as u64) as usize];
    Run { play: setup.open(role, corner), read: 0 }
}

/// Thousands of conversations with peers that are honest at times.
#[test]
fn random_peers_break_no_rule() {
    for seed in 1..=1500 {
        let mut dice = Dice::new(seed);
        let mut run = start(&mut dice);
        for _ in 0..80 {
            let before = run.clone();
            run.step(&step(&mut dice));
            if run.is_over() {
                break;
            }
            run.check(&before);
        }
    }
}

/// I-41, I-43: a copy that is fed the same gives the same.
#[test]
fn a_copy_behaves_the_same() {
    for seed in 1..=200 {
        let mut dice = Dice::new(seed);
        let mut run = start(&mut dice);
        for _ in 0..60 {
            if run.is_over() {
                break;
            }
            let next = step(&mut dice);
            let mut copy = run.clone();
            run.step(&next);
            copy.step(&next);
            let (one, two) = (run.play.forget(), copy.play.forget());
            assert_eq!(format!("{one:?}"), format!("{two:?}"), "{next:?}\n{}", run.play.story());
            assert_eq!(run.play.subject.next_timeout(), copy.play.subject.next_timeout());
        }
    }
}

/// The contract: between its deadlines a connection has nothing to say, however often it is asked.
#[test]
fn asking_too_often_changes_nothing() {
    for seed in 1..=200 {
        let mut dice = Dice::new(seed);
        let mut run = start(&mut dice);
        for _ in 0..60 {
            run.step(&step(&mut dice));
            if run.is_over() {
                break;
            }
            let mut copy = run.clone();
            copy.play.forget();
            for _ in 0..3 {
                if copy.play.subject.next_timeout().is_none_or(|at| at > copy.play.now + MILLI) {
                    copy.play.now += MILLI;
                    copy.play.subject.on_timeout(copy.play.now);
                    copy.play.drain();
                }
            }
            copy.play.expect_nothing();
            assert_eq!(run.play.subject.next_timeout(), copy.play.subject.next_timeout(), "{}", run.play.story());
        }
    }
}

const MILLI: tidegate_proto::time::Duration = tidegate_proto::time::Duration::from_millis(1);
