//! Text in columns, for a terminal that shows East Asian characters two columns wide.
//!
//! Sections: none.
//! In: cells and sentences.
//! Out: padded cells, wrapped lines, ladders.

use tidegate_proto::trace::flow::End;

/// How many columns `text` takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// Padded on the right to `columns`.
pub(super) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Padded on the left to `columns`.
pub(super) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` behind `lead`, in lines of at most `columns`, the further ones indented as far as the first. Latin text
/// breaks at spaces, Chinese anywhere but before what may not begin a line.
pub(crate) fn wrap(text: &str, lead: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    let mut before = lead.to_owned();
    let room = columns.saturating_sub(width(lead));
    for piece in pieces(text) {
        if !line.is_empty() && width(&line) + width(piece.trim_end()) > room {
            out += &format!("{before}{}\n", line.trim_end());
            before = " ".repeat(width(lead));
            line.clear();
        }
        line += piece;
    }
    out + &format!("{before}{}\n", line.trim_end())
}

/// The parts of a text between which a line may break, spaces at their ends.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        let Some(&(_, next)) = chars.peek() else { break };
        let between_words = c == ' ' && next != ' ';
        let beside_wide = (is_wide(c) || is_wide(next)) && c != ' ' && next != ' ';
        if between_words || (beside_wide && !NOT_FIRST.contains(next) && !NOT_LAST.contains(c)) {
            pieces.push(text.get(start..end).unwrap_or_default());
            start = end;
        }
    }
    pieces.push(text.get(start..).unwrap_or_default());
    pieces
}

/// East Asian wide and fullwidth characters, by the blocks that our sentences draw from.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f | 0xff00..=0xff60 | 0xffe0..=0xffe6)
}

/// One row of a ladder.
#[derive(Debug, Default)]
pub(super) struct Rung {
    pub(super) number: String,
    pub(super) time: String,
    pub(super) a: String,
    /// Between the rails.
    pub(super) text: String,
    /// Which end the arrow starts from; without one the text stands alone.
    pub(super) from: Option<End>,
    pub(super) b: String,
    /// Worth a colour.
    pub(super) unusual: bool,
}

/// The widths of a ladder's columns, the same for all phases of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    number: usize,
    time: usize,
    a: usize,
    text: usize,
}

impl Columns {
    /// Wide enough for all of `rungs`.
    pub(super) fn of<'a>(rungs: impl Iterator<Item = &'a Rung> + Clone) -> Self {
        let widest = |cell: fn(&Rung) -> &str| rungs.clone().map(|rung| width(cell(rung))).max().unwrap_or(0);
        Columns {
            number: widest(|rung| &rung.number),
            time: widest(|rung| &rung.time),
            a: widest(|rung| &rung.a),
            text: widest(|rung| &rung.text).max(NARROWEST),
        }
    }

    /// One line of the ladder, with its end of line.
    pub(super) fn draw(&self, rung: &Rung) -> String {
        let padding = self.text.saturating_sub(width(&rung.text));
        let between = match rung.from {
            Some(End::A) => format!("|-- {} {}>|", rung.text, "-".repeat(padding + 2)),
            Some(End::B) => format!("|<- {} {}|", rung.text, "-".repeat(padding + 3)),
            None => format!("|   {}    |", left(&rung.text, self.text)),
        };
        let line = format!(
            "{}  {}  {}  {between}  {}",
            right(&rung.number, self.number),
            right(&rung.time, self.time),
            left(&rung.a, self.a),
            rung.b
        );
        format!("{}\n", line.trim_end())
    }
}

/// A table: the first column to the left, the others to the right.
pub(super) fn table(rows: &[Vec<String>], indent: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let cell = if at == 0 { left(cell, width) } else { format!("   {}", right(cell, width)) };
            line += &cell;
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// The ladder's middle is at least this wide.
const NARROWEST: usize = 44;
/// Closing marks: none begins a line.
const NOT_FIRST: &str = "，。；：、！？）》」』”’,.;:!?)]}";
/// Opening marks: none ends a line.
const NOT_LAST: &str = "（《「『“‘([{";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_is_two_columns_wide() {
        assert_eq!(width("同步已发送 *"), 12);
        assert_eq!(left("时间等待", 10), "时间等待  ");
    }

    #[test]
    fn no_line_begins_with_a_closing_mark() {
        assert_eq!(wrap("甲乙丙丁。戊", "- ", 10), "- 甲乙丙\n  丁。戊\n");
        assert_eq!(wrap("one two three", "", 8), "one two\nthree\n");
    }
}
