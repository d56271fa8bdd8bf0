//! What the scenes are about, in words.
//!
//! Sections: none; the sentences stand in `explain/sentences.rs`.
//! In: a scene's name and the settings it is played with.
//! Out: one line for the list; a paragraph on what to look at.

use tidegate_lab::scenario::{ALL, Scenario, Settings, Stage};

use crate::explain::layout;
use crate::explain::render::WIDTH;
use crate::explain::sentences::{self as say, Lang, Sentence};

/// Every scene with its line.
pub(super) fn list(lang: Lang) -> String {
    let mut out = say::LAB_SCENES.say(lang, &[]) + "\n";
    let longest = ALL.iter().map(|s| s.name.len()).max().unwrap_or(0);
    for scenario in ALL {
        let lead = format!("  {:longest$}  ", scenario.name);
        out += &layout::wrap(&words(scenario).0.say(lang, &[]), &lead, WIDTH);
    }
    out
}

/// What a scene is about and what to look at.
pub(super) fn introduction(scenario: &Scenario, settings: &Settings, stage: &Stage, lang: Lang) -> String {
    let (line, look) = words(scenario);
    let what = format!("http://{}{}", url_host(stage), tidegate_lab::scenario::file_path(settings.size));
    let look = look.say(lang, &[("a", &stage.a_ip), ("b", &stage.b_ip), ("what", &what)]);
    layout::wrap(&format!("{}: {}", scenario.name, line.say(lang, &[])), "", WIDTH) + &layout::wrap(&look, "", WIDTH)
}

fn url_host(stage: &Stage) -> String {
    if stage.b_ip.is_ipv6() { format!("[{}]", stage.b_ip) } else { stage.b_ip.to_string() }
}

fn words(scenario: &Scenario) -> (&'static Sentence, &'static Sentence) {
    match scenario.name {
        "article" => (&say::SCENE_ARTICLE, &say::LOOK_ARTICLE),
        "simultaneous-open" => (&say::SCENE_SIMULTANEOUS_OPEN, &say::LOOK_SIMULTANEOUS_OPEN),
        "simultaneous-close" => (&say::SCENE_SIMULTANEOUS_CLOSE, &say::LOOK_SIMULTANEOUS_CLOSE),
        "half-close" => (&say::SCENE_HALF_CLOSE, &say::LOOK_HALF_CLOSE),
        "connection-refused" => (&say::SCENE_CONNECTION_REFUSED, &say::LOOK_CONNECTION_REFUSED),
        "reset-in-transfer" => (&say::SCENE_RESET_IN_TRANSFER, &say::LOOK_RESET_IN_TRANSFER),
        "zero-window" => (&say::SCENE_ZERO_WINDOW, &say::LOOK_ZERO_WINDOW),
        "full-duplex" => (&say::SCENE_FULL_DUPLEX, &say::LOOK_FULL_DUPLEX),
        "byte-stream" => (&say::SCENE_BYTE_STREAM, &say::LOOK_BYTE_STREAM),
        "lost-syn" => (&say::SCENE_LOST_SYN, &say::LOOK_LOST_SYN),
        "lost-third-ack" => (&say::SCENE_LOST_THIRD_ACK, &say::LOOK_LOST_THIRD_ACK),
        "old-duplicate-syn" => (&say::SCENE_OLD_DUPLICATE_SYN, &say::LOOK_OLD_DUPLICATE_SYN),
        "lost-last-ack" => (&say::SCENE_LOST_LAST_ACK, &say::LOOK_LOST_LAST_ACK),
        "old-segment" => (&say::SCENE_OLD_SEGMENT, &say::LOOK_OLD_SEGMENT),
        "peer-vanishes" => (&say::SCENE_PEER_VANISHES, &say::LOOK_PEER_VANISHES),
        "multicast" => (&say::SCENE_MULTICAST, &say::LOOK_MULTICAST),
        other => unreachable!("a test asks for the words of {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_has_its_words() {
        for lang in [Lang::En, Lang::Zh] {
            let list = list(lang);
            assert_eq!(
                list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).count(),
                ALL.len()
            );
            for scenario in ALL {
                assert!(list.contains(scenario.name));
                assert!(!words(scenario).1.text(lang).is_empty());
            }
        }
    }
}
