//! Captures of a world, with reasons.
//!
//! Sections: none of an RFC; the pcapng file format.
//! In: the moments of a world, in order.
//! Out: the bytes of a pcapng file, in pieces, as they come.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::comment::Reason;
use tidegate_proto::trace::pcapng::{Direction, Interface, InterfaceId, Packet, Writer};
use tidegate_proto::wire::frame::Link;

use crate::link::{Fate, Loss, Passage};
use crate::world::{Moment, Port, Sighting, Way};

/// Which frames get a comment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Reasons {
    /// Every one.
    All,
    /// All but plain data and plain acknowledgements.
    #[default]
    Unusual,
    /// None.
    None,
}

/// A capture file in the making: the frames at some ports, each port an interface of the file.
#[derive(Clone, Debug)]
pub struct Capture {
    writer: Writer,
    sides: Vec<(Port, InterfaceId)>,
    reasons: Reasons,
    epoch: Duration,
}

impl Capture {
    /// A file for the Ethernet frames at `sides`, each with a name. The world's time zero is `epoch` after 1970.
    pub fn new(sides: &[(Port, &str)], reasons: Reasons, epoch: Duration) -> Self {
        Self::framed(Link::Ethernet, sides, reasons, epoch)
    }

    /// As `new`, for frames that start with what `link` says.
    pub fn framed(link: Link, sides: &[(Port, &str)], reasons: Reasons, epoch: Duration) -> Self {
        let mut writer = Writer::new("tidegate");
        let sides = sides
            .iter()
            .map(|(port, name)| {
                let interface = Interface { name: String::from(*name), link, snap_len: 0 };
                (*port, writer.add_interface(&interface))
            })
            .collect();
        Capture { writer, sides, reasons, epoch }
    }

    /// Takes down what happened, if it happened at one of the ports.
    pub fn on_moment(&mut self, moment: &Moment) {
        let Moment::Frame(sighting) = moment else { return };
        let Some((_, interface)) = self.sides.iter().find(|(port, _)| *port == sighting.port) else { return };
        let comments = self.comments(sighting);
        let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
        self.writer.packet(&Packet {
            interface: *interface,
            time: Instant::ZERO + self.epoch + sighting.at.since(Instant::ZERO),
            direction: if sighting.is_out() { Direction::Outbound } else { Direction::Inbound },
            bytes: &sighting.bytes,
            comments: &comments,
        });
    }

    /// What was written since the last call.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.writer.take_bytes()
    }

    fn comments(&self, sighting: &Sighting) -> Vec<String> {
        let mut out = Vec::new();
        if self.reasons == Reasons::None {
            return out;
        }
        if let Some(reason) = reason_of(sighting)
            && (self.reasons == Reasons::All || reason.is_unusual())
        {
            out.push(reason.to_string());
        }
        if let Way::Out(passages) = &sighting.way {
            out.extend(adventure(passages));
        }
        out
    }
}

/// Why its host sent a frame, or what became of it there; `None` for a frame that no stack made.
pub fn reason_of(sighting: &Sighting) -> Option<Reason> {
    match &sighting.way {
        Way::Out(_) => sighting.origin.cause.map(|cause| Reason::Sent { cause, note: sighting.origin.note }),
        Way::In(verdict) => Some(Reason::Received(*verdict)),
    }
}

/// What the link did with a frame, if it was more than carrying it.
fn adventure(passages: &[Passage]) -> Option<String> {
    let lost: Vec<Loss> = passages
        .iter()
        .filter_map(|p| match p.fate {
            Fate::Lost(why) => Some(why),
            Fate::Arrives(_) => None,
        })
        .collect();
    let count = |what: fn(&Passage) -> bool| passages.iter().filter(|p| what(p)).count();
    let mut parts = Vec::new();
    if let Some(why) = lost.first() {
        let which = match (lost.len(), passages.len()) {
            (_, 1) => String::from("lost"),
            (n, all) => format!("{n} of {all} segments lost"),
        };
        parts.push(format!("{which}, {}", why.phrase()));
    }
    for (n, what) in [
        (count(|p| p.copy.is_some()), "doubled"),
        (count(|p| p.corrupted), "damaged"),
        (count(|p| p.held), "held back"),
    ] {
        match (n, passages.len()) {
            (0, _) => {}
            (_, 1) => parts.push(String::from(what)),
            (n, all) => parts.push(format!("{n} of {all} segments {what}")),
        }
    }
    (!parts.is_empty()).then(|| format!("on the link: {}", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_part_of_the_story() {
        let fine = Passage { fate: Fate::Arrives(Instant::ZERO), copy: None, corrupted: false, held: false };
        let lost = Passage::lost(Loss::Dice);
        for (passages, text) in [
            (&[fine][..], None),
            (&[lost], Some("on the link: lost, by chance")),
            (&[fine, lost, lost], Some("on the link: 2 of 3 segments lost, by chance")),
            (&[Passage { corrupted: true, held: true, ..fine }], Some("on the link: damaged; held back")),
        ] {
            assert_eq!(adventure(passages).as_deref(), text);
        }
    }
}
