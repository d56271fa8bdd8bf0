//! The names of the states, in either language.
//!
//! Sections: RFC 9293 3.3.2; the Chinese names, and SYN-RCVD beside them, are those of the usual Chinese textbooks.
//! In: a [`State`].
//! Out: its name, alone or as a sentence has it.

use tidegate_proto::tcp::State;

use super::sentences::Lang;

/// The name that fits a column.
pub(super) fn short(state: State, lang: Lang) -> &'static str {
    match lang {
        Lang::En => state.name(),
        Lang::Zh => chinese(state),
    }
}

/// The name as it stands in a sentence: in Chinese with the abbreviation before it.
pub(crate) fn name(state: State, lang: Lang) -> String {
    match (lang, state) {
        (Lang::En, _) => state.name().to_owned(),
        (Lang::Zh, State::SynReceived) => format!("SYN-RCVD({})", chinese(state)),
        (Lang::Zh, _) => format!("{}({})", state.name(), chinese(state)),
    }
}

/// Every state's name as sentences call for it: `{fin_wait_1}` and its like.
pub(super) fn values(lang: Lang) -> [(&'static str, String); STATES.len()] {
    STATES.map(|(key, state)| (key, name(state, lang)))
}

fn chinese(state: State) -> &'static str {
    match state {
        State::Closed => "关闭",
        State::Listen => "收听",
        State::SynSent => "同步已发送",
        State::SynReceived => "同步收到",
        State::Established => "已建立连接",
        State::FinWait1 => "终止等待1",
        State::FinWait2 => "终止等待2",
        State::CloseWait => "关闭等待",
        State::Closing => "正在关闭",
        State::LastAck => "最后确认",
        State::TimeWait => "时间等待",
    }
}

/// How sentences call the states.
const STATES: [(&str, State); 10] = [
    ("syn_sent", State::SynSent),
    ("syn_received", State::SynReceived),
    ("established", State::Established),
    ("fin_wait_1", State::FinWait1),
    ("fin_wait_2", State::FinWait2),
    ("close_wait", State::CloseWait),
    ("closing", State::Closing),
    ("last_ack", State::LastAck),
    ("time_wait", State::TimeWait),
    ("closed", State::Closed),
];
