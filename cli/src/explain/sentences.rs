//! Every sentence that `explain` can say, English and Chinese side by side.
//!
//! Sections: none; the Chinese follows the terms of the usual Chinese textbooks (报文段, 序号, 同步已发送 ...).
//! In: a sentence's name, a language, and values for its placeholders.
//! Out: text.

use clap::ValueEnum;

/// The language of an explanation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Lang {
    /// English
    #[default]
    En,
    /// Chinese
    Zh,
}

/// One sentence in both languages. `{name}` is a placeholder; `{name:one|many}` is the word that fits its value.
#[derive(Debug)]
pub(crate) struct Sentence {
    en: &'static str,
    zh: &'static str,
}

impl Sentence {
    /// The sentence in `lang` with every placeholder replaced.
    pub(crate) fn say(&self, lang: Lang, values: &[(&str, &dyn std::fmt::Display)]) -> String {
        let mut out = String::new();
        let mut rest = self.text(lang);
        while let Some((before, behind)) = rest.split_once('{') {
            let (placeholder, behind) = behind.split_once('}').expect("a test closes every placeholder");
            let (name, forms) = placeholder.split_once(':').unwrap_or((placeholder, ""));
            let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
            debug_assert!(value.is_some(), "no value for {{{name}}} of {:?}", self.en);
            let value = value.unwrap_or_default();
            out += before;
            out += match forms.split_once('|') {
                None => &value,
                Some((one, many)) => {
                    if value == "1" {
                        one
                    } else {
                        many
                    }
                }
            };
            rest = behind;
        }
        out + rest
    }

    /// The sentence as it stands in the table.
    pub(crate) fn text(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }
}

macro_rules! sentences {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        $(pub(crate) const $name: Sentence = Sentence { en: $en, zh: $zh };)*
        #[cfg(test)]
        const ALL: &[(&str, Sentence)] = &[$((stringify!($name), $name)),*];
    };
}

sentences! {
    // Heads.
    HEAD: "Connection {n}: {id}",
        "连接{n}：{id}";
    WHO: "A = {a} opened it (client), B = {b} was called (server). {span}.",
        "A = {a}，主动打开连接（客户）；B = {b}，被动打开连接（服务器）。共{span}。";
    WHO_CROSSED: "A = {a} and B = {b} called each other at the same time; A is the end whose SYN was captured first. {span}.",
        "A = {a}，B = {b}，双方同时主动打开连接；先抓到SYN的一方称为A。共{span}。";
    WHO_DISOWNED: "B = {b} was called (server) and answers A = {a} (client). {span}.",
        "B = {b}，被动打开连接（服务器），应答A = {a}（客户）。共{span}。";
    SPAN: "{records} in {time}", "{records}，历时{time}";
    WHO_MIDDLE: "The capture begins in the middle: no SYN was seen. A = {a} is taken for the client, because its port is the higher one; B = {b}. {span}.",
        "抓包从连接中途开始，没有看到SYN。A = {a}的端口号较大，故当作客户；B = {b}。共{span}。";
    NO_TIMES: "The capture carries no times.",
        "抓包中没有时间。";
    COLUMN_NUMBER: "No.", "序";
    COLUMN_MILLIS: "ms", "毫秒";
    COLUMN_SECONDS: "s", "秒";
    COLUMN_A: "A's state", "A的状态";
    COLUMN_SEGMENT: "flags, seq, ack", "标志, seq, ack";
    COLUMN_B: "B's state", "B的状态";
    INFERRED: "* inferred: the rules of TCP say so, but no captured segment proves it.",
        "* 推断：由TCP的规则得出，抓到的报文段不能证明。";

    // Establishment.
    ESTABLISHMENT: "1. Establishment: {how}", "1. 连接建立：{how}";
    IN_THREE: "three segments", "三次握手";
    IN_CROSSING: "simultaneous open", "同时打开";
    IN_UNSEEN: "before the capture", "在抓包之前";
    IN_VAIN: "no connection", "未能建立连接";
    LISTENS: "B creates its TCB: CLOSED -> LISTEN", "B创建TCB：CLOSED -> LISTEN";
    STEP_SYN: "First, A asks for a connection: SYN = 1, initial sequence number seq = x = {x}. A enters {syn_sent}.",
        "第一步：A向B发送连接请求报文段，SYN = 1，初始序号 seq = x = {x}。A进入{syn_sent}状态。";
    STEP_SYN_ACK: "Second, B agrees: SYN = 1, ACK = 1, ack = x + 1 = {x} + 1 = {x1}, and its own initial sequence number seq = y = {y}. B enters {syn_received}.",
        "第二步：B同意建立连接，SYN = 1，ACK = 1，ack = x + 1 = {x} + 1 = {x1}，并选择自己的初始序号 seq = y = {y}。B进入{syn_received}状态。";
    STEP_THIRD: "Third, A confirms: ACK = 1, seq = x + 1, ack = y + 1. tcpdump prints \"ack 1\", counted from y: ack 1 = {y} + 1 = {y1}. A has entered {established}; B does when this arrives.",
        "第三步：A向B给出确认，ACK = 1，seq = x + 1，ack = y + 1。tcpdump采用相对量的表示方法，ack 1 实际上是 {y} + 1 = {y1}。A已进入{established}状态；B收到后也进入该状态。";
    RELATIVE: "From here on numbers are relative, as tcpdump prints them: A's count from x, B's from y; 1 is the first byte of data.",
        "以下的序号都是相对量，与tcpdump的显示相同：A的从x算起，B的从y算起，1是第一个数据字节。";
    OFFERS: "Both offer: {list}.", "双方各自通告：{list}。";
    OFFER_MSS: "MSS {a} (A) and {b} (B)", "MSS为{a}(A)和{b}(B)";
    OFFER_SCALE: "window scale {a} and {b} (from here on A's win counts times {fa}, B's times {fb})",
        "窗口扩大因子{a}和{b}（此后A的窗口乘以{fa}，B的乘以{fb}）";
    OFFER_SACK: "SACK", "SACK";
    OFFER_TIMESTAMPS: "timestamps", "时间戳";
    BETWEEN: ", ", "、";
    WHY_THREE: "Why does A send once more? An old SYN, long delayed in the network, may reach B after its connection is over. B answers it in good faith, but A, who asked for nothing, sends RST instead of the third segment, and B is not left waiting.",
        "为什么A最后还要发送一次确认？为了防止已失效的连接请求报文段突然又传送到B。B会善意地应答，而A并没有请求连接，不发第三个报文段，而是发送RST，B就不会白白等待。";
    CROSSED_OPEN: "Both ends sent SYN before either had the other's. Each goes from {syn_sent} through {syn_received} to {established}: one connection, not two. A's SYN is seq = x = {x}, B's is seq = y = {y}; A answers with ack = y + 1 = {y1}, B with ack = x + 1 = {x1}.",
        "双方都在收到对方的SYN之前发出了SYN，各自从{syn_sent}经{syn_received}进入{established}：只建立一条连接，而不是两条。A的SYN：seq = x = {x}；B的SYN：seq = y = {y}；A的确认号 ack = y + 1 = {y1}，B的确认号 ack = x + 1 = {x1}。";
    UNSEEN_OPEN: "The handshake is not in the capture, so x and y are unknown and the states at the start are assumed. Relative numbers count from the first ones seen.",
        "抓包中没有握手过程，x和y未知，开始时的状态是假定的。相对序号从最先看到的数算起。";
    REFUSED: "B answers the SYN with RST: nobody listens on port {port}. Its ack = x + 1 = {x1} says which SYN is meant. A gives up; there never was a connection.",
        "B用RST应答SYN：端口{port}上没有进程在收听。ack = x + 1 = {x1}说明应答的是哪一个SYN。A放弃；连接从未建立。";
    DISOWNED: "{by} answers the SYN-ACK with RST: it did not ask for this connection, or no longer wants it. An old SYN that arrives late ends like this. (Textbooks say that A ignores B's answer; really it sends RST, so that B need not wait.)",
        "{by}用RST应答SYN+ACK：它没有请求这条连接，或已不再需要。迟到的、已失效的连接请求就是这样结束的。（教科书说A不理睬B的确认；实际上A发送RST，使B不必等待。）";
    UNANSWERED: "Nobody answered A's SYN.", "A的SYN没有得到应答。";
    UNANSWERED_AGAIN: "Nobody answered: A sent its SYN {n} in {time}.",
        "没有应答：A在{time}内发送SYN {n}。";
    NO_MULTICAST: "{ip} is not the address of one host: TCP knows no broadcast and no multicast, a connection has exactly two ends. A host that gets such a SYN must drop it without a word (RFC 9293 3.9.2.3).",
        "{ip}不是某一台主机的地址：TCP不提供广播或多播服务，每一条TCP连接只能有两个端点。收到这种SYN的主机必须不作应答就丢弃(RFC 9293 3.9.2.3)。";
    HALF_OPEN: "B agreed, but A's third segment was not seen: B stays in {syn_received}.",
        "B已同意，但没有看到A的第三个报文段：B停留在{syn_received}状态。";

    // Transfer.
    TRANSFER: "2. Transfer: {ab} {ab:byte|bytes} from A to B, {ba} {ba:byte|bytes} from B to A", "2. 数据传送：A到B {ab}字节，B到A {ba}字节";
    NO_TRANSFER: "2. Transfer: none", "2. 数据传送：无";
    BYTES: "{n} {n:byte|bytes}", "{n}字节";
    GAP: "... and {list} ...", "…… 另有{list} ……";
    GAP_FROM: "{n} more from {end}", "{end}的{n}个报文段";
    GAP_FROM_DATA: "{n} more from {end} ({bytes} {bytes:byte|bytes})", "{end}的{n}个报文段（{bytes}字节）";
    HTTP_ONE: "HTTP: A asks \"{request}\" in {ab} bytes; B answers \"{status}\" in {ba} bytes.",
        "HTTP：A用{ab}字节请求“{request}”；B用{ba}字节应答“{status}”。";
    HTTP_BODY: "HTTP: A asks \"{request}\" in {ab} bytes; B answers \"{status}\": a head of {head} bytes and a body of {body}.",
        "HTTP：A用{ab}字节请求“{request}”；B应答“{status}”：首部{head}字节，正文{body}字节。";
    HTTP_MANY: "HTTP: {n} {n:request|requests}, the first \"{request}\"; {m} {m:response|responses}.",
        "HTTP：{n}个请求，第一个是“{request}”；{m}个应答。";
    MERGED: "{len} bytes do not fit one segment: they are {pieces}, merged (or not yet split) where the capture was taken. A segment carries {size} bytes, MSS {mss}{less}.",
        "{len}字节装不进一个报文段：它是{pieces}，在抓包处被合并（或尚未拆分）。一个报文段装{size}字节，即MSS {mss}{less}。";
    MERGED_LESS: " - {n} of options", " - {n}字节选项";
    WINDOW: "{end}'s window: win {first} means {first} x {factor} = {bytes} bytes that {peer} may send ahead{more}. The win of a SYN is never scaled.",
        "{end}的窗口：win {first} 表示 {first} x {factor} = {bytes}字节，{peer}可以先发送这么多{more}。SYN报文段中的win从不扩大。";
    WINDOW_PLAIN: "{end}'s window: win {first} means {bytes} bytes that {peer} may send ahead{more}; it is not scaled.",
        "{end}的窗口：win {first} 表示{bytes}字节，{peer}可以先发送这么多{more}；不乘扩大因子。";
    WINDOW_PLAIN_GROWS: ", later {bytes}", "，后来{bytes}";
    WINDOW_GROWS: "; it grows to {max} x {factor} = {bytes}", "；后来增大到 {max} x {factor} = {bytes}";
    WINDOW_RAW: "{end}'s win goes from {first} to at most {max}; by what to multiply it was agreed before the capture.",
        "{end}的win从{first}开始，最大{max}；扩大因子在抓包之前约定，无从得知。";
    CLEAN: "No sign of loss: nothing was sent again.", "没有丢失的迹象：没有重传。";
    AGAIN_TIMEOUT: "{end} sent {n} again because no acknowledgement came in time (retransmission timeout).",
        "{end}超时重传{n}：没有按时收到确认。";
    AGAIN_FAST: "{end} sent {n} again after three duplicate acknowledgements (fast retransmission).",
        "{end}收到三个重复确认后快重传{n}。";
    AGAIN_NEEDLESS: "{end} sent {n} again that had been acknowledged already: the repetition was needless.",
        "{end}重传的{n}此前已被确认：这次重传没有必要。";
    AGAIN_REPAIR: "{end} sent {n} again as part of the repair that followed.",
        "{end}在随后的恢复过程中重传{n}。";
    AGAIN_UNCLEAR: "{end} sent {n} again, and the numbers do not say why.",
        "{end}重传{n}，从序号看不出原因。";
    AGAIN_ASKED: "{end} sent {n} again because {peer}'s SYN came once more.",
        "{end}因为再次收到{peer}的SYN而重传{n}。";
    ONCE: "once", "一次";
    TWICE: "twice", "两次";
    TIMES: "{n} times", "{n}次";
    SEGMENTS: "{n} segments", "{n}个报文段";
    SEGMENT: "1 segment", "1个报文段";
    OUT_OF_ORDER: "{n} of {end} arrived out of order: the network overtook itself.",
        "{end}的{n}失序到达：网络中后发的先到。";
    DOUBLED: "{n} of {end} arrived twice: the network doubled {count:it|them}.",
        "{end}的{n}到达两次：网络中产生了副本。";
    DUPLICATE_ACKS: "{end} acknowledged the same again {times} (duplicate acknowledgements): each says that something arrived which was not the next.",
        "{end}发送重复确认{times}：每个都表示到达的不是所期待的下一个报文段。";
    ZERO_WINDOW: "{end} closed its window (win 0) {times}: its program did not read, and {peer} had to stop.",
        "{end}的窗口关闭(win 0){times}：它的应用进程没有读取，{peer}必须停止发送。";
    PROBES: "{end} probed the closed window {times}.", "{end}探测关闭的窗口{times}。";
    KEEP_ALIVES: "{end} sent keep-alive probes {times}, to see whether {peer} was still there.",
        "{end}发送保活探测报文段{times}，以确认{peer}是否还在。";
    REFUSED_SEGMENTS: "{peer} did not take {n} of {end}: see the {count:note|notes} below {count:it|them}.",
        "{peer}没有接受{end}的{n}：见旁边的注释。";
    UNSEEN: "{n} {n:byte|bytes} of {end} {n:was|were} acknowledged but never captured: the capture has gaps.",
        "{end}有{n}字节被确认却没有抓到：抓包有遗漏。";
    STRAYS: "{n} of {end} {count:carries|carry} numbers of another conversation (an older connection, or a new SYN): the other end does not take {count:it|them}.",
        "{end}的{n}带着另一连接的序号（旧连接的，或新的SYN）：对方不会接受。";

    // Notes beside the rows.
    NOTE_DUPLICATE: "duplicate acknowledgement {n}", "第{n}个重复确认";
    NOTE_BEYOND: "something before it is missing", "它前面缺少报文段";
    NOTE_TIMEOUT: "sent again: timeout", "重传：超时";
    NOTE_FAST: "sent again: fast retransmission", "快重传";
    NOTE_NEEDLESS: "sent again, needlessly", "不必要的重传";
    NOTE_AGAIN: "sent again", "重传";
    NOTE_OUT_OF_ORDER: "out of order", "失序";
    NOTE_DOUBLED: "doubled by the network", "网络中产生的副本";
    NOTE_ZERO_WINDOW: "window closed", "窗口关闭";
    NOTE_WINDOW_UPDATE: "window update", "窗口更新";
    NOTE_PROBE: "window probe", "零窗口探测";
    NOTE_PROBE_ANSWER: "still closed", "窗口仍关闭";
    NOTE_KEEP_ALIVE: "keep-alive probe", "保活探测";
    NOTE_KEEP_ALIVE_ANSWER: "still here", "保活应答";
    NOTE_STRAY: "belongs to another conversation", "属于另一连接";

    NOTE_REFUSED: "{end} does not take it: {why}", "{end}不接受：{why}";
    NOTE_KNEW: "cwnd {cwnd} {cwnd:segment|segments}, {flight} {flight:byte|bytes} in flight, RTO {rto}", "拥塞窗口{cwnd}个报文段，在途{flight}字节，RTO {rto}";

    // Causes, as our own stack gives them.
    CAUSE_DELAYED: "acknowledged late: the delayed-ACK timer ran out", "延迟确认的计时器到期";
    CAUSE_OUT_OF_ORDER: "at once: something arrived out of order", "立即确认：有报文段失序到达";
    CAUSE_GAP_FILLED: "at once: a gap was filled", "立即确认：缺口被补上";
    CAUSE_WINDOW: "the window has opened", "窗口已打开";
    CAUSE_NO_MEMORY: "its host has no memory left for this: it must come again", "主机内存不足，无法保存：须重新发送";
    CAUSE_DUPLICATE: "it had that already", "已经收到过";
    CAUSE_CHALLENGE: "says where it stands: {why}", "说明自己的位置：{why}";
    CAUSE_PROBE_ANSWER: "answers a probe", "应答探测";
    CAUSE_TIME_WAIT: "answers from TIME-WAIT", "在时间等待状态作答";
    CAUSE_SYN_TIMEOUT: "sent again: timeout {n} of the SYN", "重传：SYN第{n}次超时";
    CAUSE_SYN_ACK_TIMEOUT: "sent again: timeout {n} of the SYN-ACK", "重传：SYN+ACK第{n}次超时";
    CAUSE_SYN_ACK_ASKED: "sent again: the SYN came once more", "重传：又收到SYN";
    CAUSE_TIMEOUT: "sent again: retransmission timeout {n}", "重传：第{n}次超时";
    CAUSE_AFTER_TIMEOUT: "sent again: slow start after the timeout", "重传：超时之后的慢开始";
    CAUSE_FAST: "sent again: third duplicate acknowledgement", "快重传：第三个重复确认";
    CAUSE_PATH_MTU: "sent again in smaller segments: it was larger than the path carries", "重传：超过路径 MTU，改用更小的报文段";
    CAUSE_PATH_PROBE: "a larger segment, to find out whether the path carries it", "探测路径能否承载更大的报文段";
    CAUSE_PARTIAL: "sent again: a partial acknowledgement in recovery", "重传：恢复中的部分确认";
    CAUSE_RACK: "sent again: what was sent later has arrived", "重传：后发的段已到达";
    CAUSE_REORDERING_TIMER: "sent again: the reordering timer ran out", "重传：乱序定时器到期";
    CAUSE_TAIL_AGAIN: "sent again: tail loss probe", "重传：尾部丢失探测";
    CAUSE_TAIL_PROBE: "tail loss probe: new data asks after the last", "尾部丢失探测：以新数据探询";
    CAUSE_PROBE: "probe {n} of the closed window", "第{n}次零窗口探测";
    CAUSE_KEEP_ALIVE: "keep-alive probe {n}", "第{n}次保活探测";
    CAUSE_NO_CONNECTION: "there is no such connection", "没有这条连接";
    CAUSE_ABORT: "its program aborted", "应用进程中止了连接";
    CAUSE_UNREAD: "its program closed and left data unread", "应用进程关闭时还有数据未读";
    CAUSE_AFTER_CLOSE: "data came for a program that has gone", "数据到达时应用进程已离开";
    CAUSE_BAD_ACK: "it acknowledges what was never sent", "它确认了从未发送的数据";
    CAUSE_TIMED_OUT: "gave up waiting", "等待超时而放弃";

    // Why a segment was not taken.
    DROP_MALFORMED: "malformed", "格式错误";
    DROP_CHECKSUM: "the checksum is wrong", "检验和错误";
    DROP_OPTIONS: "impossible options", "选项错误";
    DROP_ADDRESS: "not for this host", "不是发给本机的";
    DROP_MARTIAN: "an impossible source address", "源地址不可能";
    DROP_MULTICAST: "TCP has no multicast", "TCP不提供广播或多播";
    DROP_PROTOCOL: "an unknown protocol", "未知协议";
    DROP_FRAGMENT: "a fragment that contradicts others", "与其他分片矛盾的分片";
    DROP_IMPLAUSIBLE: "an ICMP error that cannot be", "不可信的 ICMP 差错";
    DROP_REDIRECT: "a redirect", "ICMP 重定向";
    DROP_NO_CONNECTION: "no such connection", "没有这条连接";
    DROP_RESET: "a reset that means nothing here", "无意义的复位";
    DROP_OVERFLOW: "the listener's queue is full", "收听队列已满";
    DROP_WINDOW: "outside the window", "在窗口之外";
    DROP_DUPLICATE: "received before", "以前收到过";
    DROP_PAWS: "an old timestamp (PAWS)", "时间戳过旧(PAWS)";
    DROP_RESET_INEXACT: "a reset that is not exact", "复位的序号不精确";
    DROP_SYN: "a SYN in an open connection", "已建立的连接中出现SYN";
    DROP_NO_ACK: "no ACK", "没有ACK";
    DROP_ACK_NEW: "it acknowledges what was never sent", "确认了从未发送的数据";
    DROP_ACK_OLD: "a very old acknowledgement", "过旧的确认";
    DROP_FLAGS: "impossible flags", "标志组合不可能";
    DROP_MEMORY: "no room in the buffer", "接收缓存没有空间";
    DROP_CLOSED: "nobody reads any more", "已没有进程读取";
    DROP_ASSASSINATION: "TIME-WAIT ignores resets", "时间等待状态忽略复位";
    DROP_NO_ROUTE: "no way back to the sender", "没有返回发送方的路由";
    DROP_RATE: "answered too often already", "应答过于频繁";

    // Release.
    RELEASE: "3. Release: {how}", "3. 连接释放：{how}";
    RELEASE_THREE: "three segments", "三个报文段";
    RELEASE_FOUR: "four segments", "四个报文段（四次挥手）";
    RELEASE_CROSSED: "both at once", "同时关闭";
    RELEASE_RESET: "by reset", "复位";
    RELEASE_UNFINISHED: "not finished", "未完成";
    RELEASE_NONE: "none", "无";
    STEP_FIN: "First, {p} -> {q}: {p} has nothing more to send, FIN = 1, seq = u = {u}, the number behind its last byte (absolute: {isn} + {u} = {abs}). {p} enters {fin_wait_1}.",
        "第一步：{p} → {q}：{p}没有数据要发送了，FIN = 1，seq = u = {u}，等于已传送数据的最后一个字节的序号加1（绝对值：{isn} + {u} = {abs}）。{p}进入{fin_wait_1}状态。";
    STEP_FIN_RELATIVE: "First, {p} -> {q}: {p} has nothing more to send, FIN = 1, seq = u = {u}, the number behind its last byte. {p} enters {fin_wait_1}.",
        "第一步：{p} → {q}：{p}没有数据要发送了，FIN = 1，seq = u = {u}，等于已传送数据的最后一个字节的序号加1。{p}进入{fin_wait_1}状态。";
    STEP_BOTH: "Second, {q} does two things in one segment: ack = u + 1 = {u1} confirms {p}'s FIN, and FIN = 1 at seq = w = {w} is its own. {q} passes {close_wait} and is in {last_ack}; {p} passes {fin_wait_2} and is in {time_wait}.",
        "第二步：{q} → {p}：一个报文段做两件事：ack = u + 1 = {u1}，确认{p}的FIN；FIN = 1，seq = w = {w}，是{q}自己的连接释放报文段。{q}经过{close_wait}进入{last_ack}状态；{p}经过{fin_wait_2}进入{time_wait}状态。";
    STEP_ACK: "Second, {q} confirms: ack = u + 1 = {u1}, seq = v = {v}. {q} enters {close_wait} and tells its program; {p} enters {fin_wait_2}. The connection is half closed: {q} may still send{more}.",
        "第二步：{q} → {p}：ack = u + 1 = {u1}，seq = v = {v}。{q}进入{close_wait}状态并通知应用进程；{p}进入{fin_wait_2}状态。连接处于半关闭状态：{q}仍可发送{more}。";
    STEP_ACK_MORE: ", and sent {n} {n:byte|bytes}", "，它又发送了{n}字节";
    STEP_SECOND_FIN: "Third, {q}'s program closes: FIN = 1, seq = w = {w}, ack = u + 1 = {u1} once more. {q} enters {last_ack}, {p} enters {time_wait}.",
        "第三步：{q} → {p}：{q}的应用进程释放连接，FIN = 1，seq = w = {w}，重复 ack = u + 1 = {u1}。{q}进入{last_ack}状态，{p}进入{time_wait}状态。";
    STEP_LAST: "{nth}, {p} confirms: seq = u + 1 = {u1}, ack = w + 1 = {w1}. {q} deletes its TCB when this arrives ({closed}); {p} stays in {time_wait} for 2 x MSL, then deletes its own.",
        "第{nth}步：{p} → {q}：seq = u + 1 = {u1}，ack = w + 1 = {w1}。{q}收到后撤销TCB，进入{closed}状态；{p}在{time_wait}状态等待2MSL，然后也撤销TCB。";
    THIRD: "Third", "三";
    FOURTH: "Fourth", "四";
    WHY_THREE_CLOSE: "Why do three segments suffice? After {p}'s FIN, {q} had nothing left to send, and its program closed before {q}'s delayed acknowledgement was due (usually after 40 ms): {q}'s FIN came {gap} after {p}'s. So v = w, and the acknowledgement and the FIN left as one.",
        "为什么三个报文段就够了？收到{p}的FIN之后，{q}没有数据要发送，并且应用进程在延迟确认到期（通常40毫秒）之前就关闭了：{q}的FIN只比{p}的晚{gap}。所以v = w，确认与FIN合在一个报文段中发送。";
    WHY_FOUR_CLOSE: "Why four? {q}'s acknowledgement did not wait for its FIN, which came {gap} after {p}'s: {why}.",
        "为什么是四个？{q}的确认没有等它自己的FIN，后者比{p}的FIN晚{gap}：{why}。";
    WHY_FOUR_DATA: "{q} still had {n} {n:byte|bytes} to send", "{q}还有{n}字节要发送";
    WHY_FOUR_LATE: "its program closed only after the acknowledgement had left", "它的应用进程在确认发出之后才关闭";
    WHY_2MSL: "Why 2 x MSL? The last acknowledgement may be lost; then {q} sends its FIN again, and {p} must still be there to answer and start the timer anew. And after 2 x MSL no segment of this connection is left in the network to disturb the next one.",
        "为什么{p}必须等待2MSL？最后一个ACK报文段可能丢失，这时{q}会重传FIN + ACK报文段，{p}必须还在，才能重传确认并重新启动2MSL计时器。而且经过2MSL，本连接的所有报文段都从网络中消失，不会出现在下一个连接中。";
    ROW_2MSL: "after 2 x MSL: TCB deleted", "经过2MSL：撤销TCB";
    STEP_CROSSED: "Both FINs were under way at once: A's at seq = {a}, B's at seq = {b}, and neither confirms the other. Each end goes from {fin_wait_1} to {closing}, and when its FIN is confirmed to {time_wait}, where it waits for 2 x MSL.",
        "双方的FIN同时在途：A的 seq = {a}，B的 seq = {b}，都没有确认对方。两端都从{fin_wait_1}进入{closing}，自己的FIN被确认后进入{time_wait}，等待2MSL。";
    FIN_AGAIN: "FIN was sent again {n}: it, or its acknowledgement, was lost.",
        "FIN被重传{n}：它或对它的确认丢失了。";
    FIN_AGAIN_LATE: "When {q}'s FIN comes again, {p} is still there, in {time_wait}: it acknowledges once more and restarts the 2 x MSL timer.",
        "{q}的FIN再次到达时，{p}还在{time_wait}状态：再次确认，并重新启动2MSL计时器。";
    HALF_CLOSED: "{p} closed (FIN at seq = u = {u}), {q} did not: the capture ends with the connection half closed.",
        "{p}已关闭（FIN的 seq = u = {u}），{q}没有：抓包结束时连接处于半关闭状态。";
    CLOSING_UNSEEN: "Both ends sent FIN, but not every acknowledgement was captured: the end of the release is not proven.",
        "双方都发送了FIN，但没有抓到全部确认：释放是否完成无法证明。";
    STILL_OPEN: "Neither end closed before the capture ended.", "抓包结束时双方都没有关闭。";
    UNACKNOWLEDGED: "{n} {n:byte|bytes} of {end} {n:was|were} never acknowledged: {peer} had fallen silent, or the capture ended too early.",
        "{end}有{n}字节始终没有得到确认：{peer}已无声息，或抓包结束得太早。";
    RESET_BY: "{by} sent RST: the connection ends at once, without FIN; what was under way is lost, and nobody waits 2 x MSL.",
        "{by}发送RST：连接立即终止，没有FIN；在途的数据丢失，也不等待2MSL。";
    RESET_AFTER_FIN: "{by} sent RST after the release had begun: its program had gone without reading the rest, or the connection existed no more.",
        "释放开始之后{by}发送RST：它的应用进程没有读完就离开了，或连接已不存在。";

    // Summary.
    SUMMARY: "Summary", "小结";
    FROM_TO: "{p} -> {q}", "{p} -> {q}";
    ROW_PAYLOAD: "payload, bytes", "数据，字节";
    ROW_HEADERS: "IP and TCP headers, bytes", "IP和TCP首部，字节";
    ROW_SEGMENTS: "segments captured", "抓到的报文段";
    ROW_WIRE: "segments on the wire", "链路上的报文段";
    ROW_BARE: "bare acknowledgements", "纯确认";
    ROW_AGAIN: "sent again", "重传";
    RTT_OWN: "Smoothed round-trip time (SRTT) as {end} measured it itself, waiting for answers included: {rtt}.",
        "{end}自己测得的平滑往返时间(SRTT，包括等待应答的时间)：{rtt}。";
    RTT_OWN_BOTH: "Smoothed round-trip time (SRTT) as each end measured it itself, waiting for answers included: A {a}, B {b}.",
        "双方自己测得的平滑往返时间(SRTT，包括等待应答的时间)：A {a}，B {b}。";
    RTT_ACKED: "{end}'s segments were acknowledged after {mean} on average{range}: the round trip, and as long as {peer} waited before it acknowledged.",
        "{end}的报文段平均在{mean}之后得到确认{range}：包括往返时间，以及{peer}在确认之前等待的时间。";
    RTT_RANGE: " ({min} to {max})", "（{min}至{max}）";
    HANDSHAKE: "Round-trip time of the handshake: {total}, of which {far} from SYN to SYN-ACK and {near} until A's answer{vantage}.",
        "握手的往返时间：{total}，其中SYN到SYN+ACK {far}，到A的应答{near}{vantage}。";
    NEAR_A: " (captured near A)", "（在A附近抓包）";
    NEAR_B: " (captured near B)", "（在B附近抓包）";
    LIMITED: "{end} was limited by: application {app} %, congestion window {cwnd} %, {peer}'s window {window} %, send buffer {buffer} %{how}.",
        "{end}的发送受限于：应用{app}%，拥塞窗口{cwnd}%，{peer}的窗口{window}%，发送缓存{buffer}%{how}。";
    LIMITED_INFERRED: " (inferred from outside)", "（从外部推断）";
    CLOSED_FIRST: "Closed first: {end}.", "先关闭的一方：{end}。";
    CLOSED_TOGETHER: "Closed first: neither; both FINs were under way at once.", "先关闭的一方：双方同时关闭。";
    ENDED: "Ended: {how}.", "结局：{how}。";
    END_CLOSED: "both ends closed and both were confirmed", "双方都已关闭并得到确认";
    END_CLOSING: "both ends closed; the last acknowledgement was not captured", "双方都已关闭；没有抓到最后的确认";
    END_HALF_CLOSED: "half closed when the capture ended", "抓包结束时处于半关闭状态";
    END_OPEN: "still open when the capture ended", "抓包结束时仍然打开";
    END_RESET: "reset by {by}", "被{by}复位";
    END_REFUSED: "refused", "被拒绝";
    END_DISOWNED: "{by} did not want it", "{by}不要这条连接";
    END_UNANSWERED: "nobody answered", "没有应答";
    END_HALF_OPEN: "the handshake was not completed", "握手没有完成";

    // Many connections.
    OVERVIEW: "{n} connections, {records} segments; the worst first. {how}",
        "共{n}条连接，{records}个报文段；问题最多的在前。{how}";
    OVERVIEW_ONE: "--conn N explains one.", "用 --conn N 解释其中一条。";
    OVERVIEW_ONE_OF_LAB: "With --pcap FILE, tidegate explain FILE --conn N explains one.",
        "加上 --pcap FILE，再用 tidegate explain FILE --conn N 解释其中一条。";
    OVERVIEW_MORE: "... and {n} more, none worse than these.", "……另有{n}条，都不比以上的更差。";
    LINE_COLUMNS: "N", "N";
    LINE_ID: "connection", "连接";
    LINE_TIME: "duration", "历时";
    LINE_AB: "A -> B, bytes", "A -> B，字节";
    LINE_BA: "B -> A, bytes", "B -> A，字节";
    LINE_AGAIN: "again", "重传";
    LINE_END: "ended", "结局";

    // Legend.
    LEGEND: "Flags: S = SYN, opens; P = PSH, hand the data on; F = FIN, closes; . = ACK, confirms; R = RST, resets; U = URG, urgent; E = ECE and W = CWR, congestion marks (ECN).",
        "标志：S = SYN，发起连接；P = PUSH，传送数据；F = FIN，关闭连接；. = ACK，确认；R = RST，复位；U = URG，紧急；E = ECE和W = CWR，拥塞标记(ECN)。";

    // The lab: its frame.
    LAB_SCENES: "Scenes for tidegate lab SCENE:", "tidegate lab SCENE 的场景：";
    LAB_CAPTURE: "The capture at A, as tcpdump -n prints it:", "在A上抓包，按tcpdump -n的格式：";
    LAB_CALLS: "What the programs did", "应用进程做了什么";
    LAB_BEHIND: "What the capture at A cannot show", "A上的抓包看不到的";
    LAB_LOST: "{segment}: lost on the link ({why})", "{segment}：在链路上丢失（{why}）";
    LAB_LOST_SOME: "{segment}: {n} of its {all} segments lost on the link ({why})",
        "{segment}：{all}个报文段中有{n}个在链路上丢失（{why}）";
    LAB_DAMAGED: "{segment}: a bit was flipped on the link", "{segment}：在链路上有一位出错";
    LAB_DOUBLED: "{segment}: doubled on the link; the copy arrives {later} later",
        "{segment}：在链路上被复制，副本晚{later}到达";
    LAB_HELD: "{segment}: held back on the link for {later}", "{segment}：在链路上滞留{later}";
    LAB_DROPPED: "{segment}: {host} drops it: {why}", "{segment}：{host}将其丢弃：{why}";
    LAB_ANSWERED: "{segment}: {host} does not accept it and answers: {why}",
        "{segment}：{host}不接受并作答：{why}";
    LAB_STATE: "{host} goes from {from} to {to}", "{host}从{from}进入{to}";
    LAB_STATES: "The states that both hosts really went through", "两端实际经过的状态";
    LAB_MORE: "... and {n} more; --pcap FILE --reasons all has every one.", "……另有{n}条；--pcap FILE --reasons all 中有全部。";
    LAB_LOSS_DICE: "by chance", "偶然";
    LAB_LOSS_QUEUE: "the queue was full", "队列已满";
    LAB_LOSS_SCRIPT: "as the scene wants it", "场景安排";
    LAB_LOSS_TOO_LARGE: "too large", "过大";
    LAB_LOSS_NOBODY: "nobody is there", "对方已不存在";

    // The lab: its scenes, one line and what to look at.
    SCENE_ARTICLE: "A keeps downloading a file from B: establishment, transfer, release",
        "A不停地从B下载文件：连接建立、数据传送、连接释放";
    LOOK_ARTICLE: "A ({a}) downloads {what} from B ({b}), a new connection each time. Look at the three segments that open each connection, at acknowledgements that stand for several segments at once, and at the segments that release it: three, or four if B thinks before it closes (--think 100ms).",
        "A({a})从B({b})下载{what}，每次新建一条连接。看每条连接开头的三次握手、一个确认代表多个报文段的累积确认，以及释放连接的报文段：三个；如果B过一会儿才关闭（--think 100ms），则是四个。";
    SCENE_SIMULTANEOUS_OPEN: "both hosts call each other at the same moment", "双方同时主动打开";
    LOOK_SIMULTANEOUS_OPEN: "Two SYNs cross on the link. Each end goes from SYN-SENT to SYN-RECEIVED, answers with a SYN-ACK, and one connection comes of it, not two; nobody was ever in LISTEN.",
        "两个SYN在链路上交叉。双方都从SYN-SENT进入SYN-RCVD，以SYN+ACK作答，结果是一条连接而不是两条；没有任何一方处于LISTEN状态。";
    SCENE_SIMULTANEOUS_CLOSE: "both hosts close at the same moment", "双方同时关闭";
    LOOK_SIMULTANEOUS_CLOSE: "Two FINs cross on the link. Each end gets a FIN instead of the acknowledgement it waits for, goes from FIN-WAIT-1 to CLOSING, and both end in TIME-WAIT.",
        "两个FIN在链路上交叉。双方等待确认时收到的却是FIN，于是都从FIN-WAIT-1进入CLOSING，最后都进入TIME-WAIT。";
    SCENE_HALF_CLOSE: "A closes its side; B sends 20,000 bytes over the half-closed connection",
        "A先关闭；B在半关闭的连接上继续发送20,000字节";
    LOOK_HALF_CLOSE: "A's FIN says only that A has no more to send. B, in CLOSE-WAIT, goes on sending for as long as it likes; A, in FIN-WAIT-2, receives and acknowledges. So w is larger than v.",
        "A的FIN只表示A没有数据要发送了。B处于CLOSE-WAIT，仍可继续发送；A处于FIN-WAIT-2，照常接收和确认。所以w大于v。";
    SCENE_CONNECTION_REFUSED: "nobody listens on the port that A calls", "A请求的端口上没有进程在收听";
    LOOK_CONNECTION_REFUSED: "B's TCP answers the SYN with RST at once: its acknowledgement number x + 1 tells A which SYN is meant.",
        "B的TCP立即用RST应答SYN；其中的确认号x + 1说明是对哪一个SYN的应答。";
    SCENE_RESET_IN_TRANSFER: "A has enough in mid-transfer and aborts", "传送途中A异常终止连接";
    LOOK_RESET_IN_TRANSFER: "A's program aborts, and A sends RST: no FIN, no acknowledgement, no TIME-WAIT. What B sends until the RST arrives meets a connection that does not exist, and is answered by RST again.",
        "A的应用进程异常终止，A发送RST：没有FIN，没有确认，也没有TIME-WAIT。RST到达之前B发出的报文段遇到的是不存在的连接，又以RST作答。";
    SCENE_ZERO_WINDOW: "A's program does not read; the window closes, is probed, and opens again", "A的应用进程不读取：窗口关闭、被探测、重新打开";
    LOOK_ZERO_WINDOW: "A's buffer is small and its program reads nothing for two seconds: A's win falls to 0 and B must stop. B probes the closed window at growing intervals, until A's program reads and a window update lets B go on.",
        "A的缓存很小，应用进程两秒内不读取：A的win降到0，B必须停止发送。B以越来越长的间隔探测，直到A的应用进程读取数据，窗口更新使B得以继续。";
    SCENE_FULL_DUPLEX: "50,000 bytes each way at the same time", "双方同时各发送50,000字节";
    LOOK_FULL_DUPLEX: "Both directions carry data at once, each with its own sequence numbers; data segments also acknowledge, so that few bare acknowledgements are needed.",
        "两个方向同时传送数据，各有自己的序号；数据报文段捎带确认，因此很少需要单独的确认。";
    SCENE_BYTE_STREAM: "A writes three times, B reads once", "A写三次，B一次读完";
    LOOK_BYTE_STREAM: "TCP carries a stream of bytes: three writes leave in fewer segments (Nagle's algorithm), and one read of B's takes them all. The borders of the writes are not kept.",
        "TCP面向字节流：三次写入装在较少的报文段中发出（Nagle算法），B一次就全部读出。写入的边界并不保留。";
    SCENE_LOST_SYN: "the first SYN is lost and sent again", "第一个SYN丢失后重传";
    LOOK_LOST_SYN: "Nothing comes back, so after one second (the initial retransmission timeout) A sends the same SYN again, with the same x.",
        "没有应答，一秒（初始的超时重传时间）之后A重传同一个SYN，x不变。";
    SCENE_LOST_THIRD_ACK: "the third segment of the handshake is lost", "三次握手的第三个报文段丢失";
    LOOK_LOST_THIRD_ACK: "A is in ESTABLISHED, B still in SYN-RECEIVED, and A has nothing to say. After a second B sends its SYN-ACK again, A confirms again, and B follows. Had A sent data, its ACK would have done the same.",
        "A已处于ESTABLISHED，B仍处于SYN-RCVD，而A没有数据要发送。一秒之后B重传SYN+ACK，A再次确认，B随后进入ESTABLISHED。如果A发送了数据，数据报文段中的确认也有同样的作用。";
    SCENE_OLD_DUPLICATE_SYN: "an old SYN arrives after its connection is over: the article's first question",
        "已失效的连接请求报文段突然又传送到了B：文章的第一个问题";
    LOOK_OLD_DUPLICATE_SYN: "A's first SYN wanders about for more than a minute; a second one makes the connection meanwhile, which is closed and forgotten when the first arrives. B takes it for a new request and answers. Textbooks say that A ignores this answer; really A sends RST, because it knows of no such connection, and B returns to LISTEN at once. (A real network loses such a wanderer after MSL; this one is held longer.)",
        "A的第一个SYN在网络中滞留一分多钟；其间第二个SYN建立的连接早已释放。第一个到达时，B误以为是新的连接请求，于是作答。教科书说A不理睬B的确认；实际上A没有这样的连接，所以发送RST，B立即回到LISTEN状态。（真实网络中的报文段最多存活MSL；这里故意滞留得更久。）";
    SCENE_LOST_LAST_ACK: "the last acknowledgement is lost: the article's second question", "最后一个ACK丢失：文章的第二个问题";
    LOOK_LOST_LAST_ACK: "B, in LAST-ACK, hears nothing and sends its FIN again. A is still there, in TIME-WAIT: it acknowledges again and starts the 2 x MSL timer anew. Had A gone at once, B could never have closed in order.",
        "B处于LAST-ACK，没有收到确认，于是重传FIN。A还在TIME-WAIT状态：再次确认，并重新启动2MSL计时器。如果A立即释放，B就无法按正常步骤进入CLOSED状态。";
    SCENE_OLD_SEGMENT: "a segment of a former connection arrives in the next one", "旧连接的报文段出现在新连接中";
    LOOK_OLD_SEGMENT: "Both connections have the same two sockets. A copy of the first one's data arrives while the second is open: its timestamp is too old (PAWS), so B drops it and says where it stands. Without timestamps (--sysctl tcp_timestamps=0) its sequence number gives it away, because initial sequence numbers move on (RFC 6528).",
        "两条连接的两个端点完全相同。第一条连接的数据副本在第二条连接期间到达：它的时间戳太旧(PAWS)，B将其丢弃并说明自己的状态。没有时间戳时（--sysctl tcp_timestamps=0）由序号识破，因为初始序号不断前进(RFC 6528)。";
    SCENE_PEER_VANISHES: "B loses power in mid-transfer; A gives up at last", "传送途中B断电；A最终放弃";
    LOOK_PEER_VANISHES: "A sends the same segment again and again, waiting twice as long each time, two minutes at most. After R1 (tcp_retries1) it warns its program, after R2 (tcp_retries2) it gives the connection up, a quarter of an hour later.",
        "A一再重传同一报文段，每次等待的时间加倍，最多两分钟。超过R1(tcp_retries1)时通知应用进程，超过R2(tcp_retries2)时放弃连接，大约在一刻钟之后。";
    SCENE_MULTICAST: "a segment to a multicast address: TCP has none", "发往多播地址的报文段：TCP不提供多播";
    LOOK_MULTICAST: "A's TCP refuses to call a multicast address, so nothing of its own leaves. The SYN that you see was put on the link by hand: B drops it without an answer, because a connection has exactly two ends.",
        "A的TCP拒绝向多播地址建立连接，所以它自己什么也没有发出。看到的SYN是人工放到链路上的：B不作应答就将其丢弃，因为每一条TCP连接只能有两个端点。";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Those that stand for a value. Words that fit a number are English only.
    fn placeholders(text: &str) -> BTreeSet<&str> {
        let parts = text.split('{').skip(1);
        let names = parts.map(|part| part.split_once('}').expect("a placeholder is closed").0);
        names.filter(|name| !name.contains(':')).collect()
    }

    #[test]
    fn a_word_fits_its_number() {
        let words = |n: u32| BYTES.say(Lang::En, &[("n", &n)]);
        assert_eq!([0, 1, 2].map(words), ["0 bytes", "1 byte", "2 bytes"]);
    }

    #[test]
    fn both_languages_say_everything_with_the_same_values() {
        for (name, sentence) in ALL {
            let (en, zh) = (sentence.text(Lang::En), sentence.text(Lang::Zh));
            assert!(!en.is_empty() && !zh.is_empty(), "{name}");
            assert_eq!(placeholders(en), placeholders(zh), "{name}");
        }
    }

    #[test]
    fn the_english_is_plain_ascii_and_the_chinese_is_not_english() {
        // Symbols and names are the same in both.
        let same = ["OFFER_SACK", "FROM_TO", "LINE_COLUMNS"];
        for (name, sentence) in ALL {
            assert!(sentence.text(Lang::En).is_ascii(), "{name}");
            assert_eq!(sentence.text(Lang::En) == sentence.text(Lang::Zh), same.contains(name), "{name}");
        }
    }
}
