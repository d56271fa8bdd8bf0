//! The language: what every construct means, what is no script, and that scripts survive being printed.

use std::boxed::Box;
use std::format;
use std::net::SocketAddr;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::collection::vec as several;
use proptest::option::of as perhaps;
use proptest::prelude::*;

use super::*;
use tidegate_proto::time::Duration;

/// The only event of a script of one line.
fn event(line: &str) -> Event {
    let script = parse(line, &[]).unwrap_or_else(|e| panic!("{line}: {e}"));
    let [event] = script.events.as_slice() else { panic!("{line}: one event") };
    event.clone()
}

fn packet(line: &str) -> Packet {
    match event(line).action {
        Action::Packet(packet) => packet,
        other => panic!("{line}: {other:?}"),
    }
}

fn tcp(line: &str) -> Tcp {
    match packet(line).transport {
        Transport::Tcp(tcp) => tcp,
        other => panic!("{line}: {other:?}"),
    }
}

fn call(line: &str) -> Call {
    match event(line).action {
        Action::Call(call) => call,
        other => panic!("{line}: {other:?}"),
    }
}

/// The argument of a call, as it is read.
fn argument(text: &str) -> Expr {
    call(&format!("0 f({text}) = 0")).arguments.remove(0)
}

#[test]
fn times() {
    let ms = Duration::from_millis;
    for (text, when) in [
        ("+0", When::After(ms(0))),
        ("+.01", When::After(ms(10))),
        ("+0.25", When::After(ms(250))),
        ("0.000", When::At(ms(0))),
        ("12", When::At(ms(12_000))),
        ("1.000000001", When::At(Duration::from_nanos(1_000_000_001))),
        ("*", When::Any),
        ("1~2.5", When::Between(ms(1000), ms(2500))),
        ("+.1 ~ +.2", When::AfterBetween(ms(100), ms(200))),
    ] {
        assert_eq!(event(&format!("{text} > . 1:1(0)")).when, when, "{text}");
    }
    let blocking = call("+0...0.100 read(4, ..., 10) = 5");
    assert_eq!(blocking.until, Some(ms(100)));
    assert_eq!(call("0.200...0.300 accept(3, ..., ...) = 4").until, Some(ms(300)));
    assert_eq!(call("+0 f() = 0").until, None);
}

#[test]
fn comments_and_spaces_are_nothing() {
    let bare = parse("+0 < S 0:0(0) win 1000 <mss 1000>\n+0 > S. 0:0(0) ack 1 <...>", &[]).unwrap();
    let dressed = "// intent\n/* a\n * b **/ +0<S 0:0(0)win 1000<mss 1000>// x\n\n\t+0 >\nS. 0:0(0) ack 1 <...> // end";
    assert_eq!(unplaced(parse(dressed, &[]).unwrap()), unplaced(bare));
}

#[test]
fn flags_of_every_form() {
    for (text, bits) in [
        ("S", 0x02),
        ("S.", 0x12),
        (".", 0x10),
        ("P.", 0x18),
        ("FPU.", 0x39),
        ("R", 0x04),
        ("-", 0),
        ("SEW", 0xc2),
        ("SEWA", 0x1c2),
        ("EP.", 0x58),
        // The counter of AccECN is AE, CWR, ECE from its highest bit.
        (".0", 0x10),
        (".5", 0x10 | 0x140),
        ("P.7", 0x18 | 0x1c0),
    ] {
        assert_eq!(tcp(&format!("0 > {text} 1:1(0)")).flags, Flags(bits), "{text}");
    }
}

#[test]
fn a_segment_says_all_that_a_segment_can() {
    let got = tcp("+0 < 80 > 8080 P. 1:1001(1000) ack 7 win 65535 urg 3 \
         <mss 1460,sackOK,TS val 100 ecr 4294967295,nop,wscale 14>");
    let expected = Tcp {
        ports: Some((80, 8080)),
        flags: Flags(0x18),
        range: Range { start: 1, len: 1000 },
        ack: Some(7),
        win: Some(65_535),
        urg: Some(3),
        options: Options::These(vec![
            TcpOption::Mss(1460),
            TcpOption::SackPermitted,
            TcpOption::Timestamps { val: 100, ecr: u32::MAX },
            TcpOption::Nop,
            TcpOption::WindowScale(14),
        ]),
        damage: vec![],
    };
    assert_eq!(got, expected);
}

#[test]
fn options_by_name_and_by_number() {
    let options = |text: &str| tcp(&format!("0 > . 1:1(0) ack 1 {text}")).options;
    let one = |option| Options::These(vec![option]);
    for (text, expected) in [
        ("", Options::These(vec![])),
        ("<...>", Options::Any),
        ("<eol>", one(TcpOption::Eol)),
        ("<sack 1:2 3:5>", one(TcpOption::Sack(vec![(1, 2), (3, 5)]))),
        (
            "<md5 000102030405060708090a0b0c0d0e0f>",
            one(TcpOption::Md5(std::array::from_fn(|i| u8::try_from(i).unwrap()))),
        ),
        ("<FO>", one(TcpOption::FastOpen(vec![]))),
        ("<FO 0aff>", one(TcpOption::FastOpen(vec![0x0a, 0xff]))),
        ("<FOEXP 12345678>", one(TcpOption::FastOpenExperimental(vec![0x12, 0x34, 0x56, 0x78]))),
        ("<unknown-253 0x0102>", one(TcpOption::Unknown(253, vec![1, 2]))),
        ("<unknown-9>", one(TcpOption::Unknown(9, vec![]))),
    ] {
        assert_eq!(options(text), expected, "{text}");
    }
}

#[test]
fn fields_of_the_ip_header() {
    for (text, tos, flow_label, ttl) in [
        ("[ect0]", Some(Tos::Ect0), None, None),
        ("(ce)", Some(Tos::Ce), None, None),
        ("[noecn]", Some(Tos::NoEcn), None, None),
        ("[ect01]", Some(Tos::Ect01), None, None),
        ("[tos 0xb8]", Some(Tos::Byte(0xb8)), None, None),
        ("[ttl 255]", None, None, Some(255)),
        ("[ect1, flowlabel 0xfffff]", Some(Tos::Ect1), Some(0xf_ffff), None),
    ] {
        assert_eq!(packet(&format!("0 > {text} . 1:1(0)")).ip, IpInfo { tos, flow_label, ttl }, "{text}");
    }
}

#[test]
fn other_packets() {
    let Transport::Icmp(icmp) = packet("0 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]").transport else {
        panic!("ICMP")
    };
    let quoted = Some(Quoted::Tcp(Range { start: 1, len: 1460 }));
    let expected =
        Icmp { kind: "unreachable".into(), code: Some("frag_needed".into()), mtu: Some(1200), id: None, quoted };
    assert_eq!(icmp, expected);
    let Transport::Icmp(echo) = packet("0 < icmp echo_request id 7 [raw (56)]").transport else { panic!("ICMP") };
    assert_eq!((echo.code, echo.id, echo.quoted), (None, Some(7), Some(Quoted::Raw(56))));
    assert_eq!(packet("0 < udp 53 > 5353 (100)").transport, Transport::Udp(Udp { ports: Some((53, 5353)), len: 100 }));

    let nested =
        packet("0 < ipv4 [ttl 9] 1.1.1.1 > 2.2.2.2: ipv6 2001::1>::2: gre: mpls (label 3, tc 1, [S], ttl 4): . 1:1(0)");
    let info = IpInfo { ttl: Some(9), ..IpInfo::default() };
    let layers = vec![
        Layer::Ip { info, source: [1, 1, 1, 1].into(), destination: [2, 2, 2, 2].into() },
        Layer::Ip { info: IpInfo::default(), source: "2001::1".parse().unwrap(), destination: "::2".parse().unwrap() },
        Layer::Gre(None),
        Layer::Mpls(vec![Label { label: 3, tc: 1, bottom: true, ttl: 4 }]),
    ];
    assert_eq!(nested.layers, layers);
    let gre = packet("0 < gre flags [checksum present, key present], sum 1, off 2, key=3, seq 4: . 1:1(0)");
    assert_eq!(gre.layers, [Layer::Gre(Some(Gre { flags: 0xa000, sum: 1, off: 2, key: 3, seq: 4 }))]);

    let damage = tcp("0 < S 0:0(0) <mss 1460> {trun tcp 4-8; mut ip ihl; ins tcp 2 3}").damage;
    let expected = [
        Damage { kind: DamageKind::Truncate, header: Header::Tcp, field: DamageField::Span(4, 8) },
        Damage { kind: DamageKind::Mutate, header: Header::Ip, field: DamageField::Ihl },
        Damage { kind: DamageKind::Insert, header: Header::Tcp, field: DamageField::Offset(2, 3) },
    ];
    assert_eq!(damage, expected);
}

#[test]
fn calls_and_their_results() {
    let connect = call("0 connect(3, ..., ...) = -1 EINPROGRESS (Operation  now in progress)");
    assert_eq!(connect.name, "connect");
    assert_eq!(connect.arguments, [Expr::Int(3), Expr::Any, Expr::Any]);
    assert_eq!(connect.result, Expr::Int(-1));
    assert_eq!(connect.errno.as_deref(), Some("EINPROGRESS"));
    assert_eq!(connect.note.as_deref(), Some("Operation now in progress"));
    let fcntl = call("0 fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)");
    assert_eq!((fcntl.result, fcntl.errno, fcntl.note.as_deref()), (Expr::Int(2), None, Some("flags O_RDWR")));
}

#[test]
fn arguments_of_every_form() {
    let word = |name: &str| Expr::Word(name.into());
    let boxed = |name: &str| Box::new(Expr::Word(name.into()));
    let seven = || Box::new(Expr::Int(7));
    let addr = |text: &str| Expr::SockAddr(text.parse::<SocketAddr>().unwrap());
    for (text, expected) in [
        ("...", Expr::Any),
        ("-5", Expr::Int(-5)),
        ("0x7fffffffffffffff", Expr::Int(i64::MAX)),
        ("\"a\\n\\x00\\\"\\101\" \"b\"", Expr::Text(b"a\n\0\"Ab".to_vec())),
        ("\"abc\"...", Expr::TextPrefix(b"abc".to_vec())),
        ("A|B|1", Expr::Or(vec![word("A"), word("B"), Expr::Int(1)])),
        ("x=A|B", Expr::Assign("x".into(), Box::new(Expr::Or(vec![word("A"), word("B")])))),
        ("[]", Expr::List(vec![])),
        ("[1, [2]]", Expr::List(vec![Expr::Int(1), Expr::List(vec![Expr::Int(2)])])),
        ("{1, x=2}", Expr::Group(vec![Expr::Int(1), Expr::Assign("x".into(), Box::new(Expr::Int(2)))])),
        ("inet_addr(\"1.2.3.4\")", Expr::InetAddr([1, 2, 3, 4].into())),
        ("inet6_addr(\"::1\")", Expr::Inet6Addr(1_u128.into())),
        ("{sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr(\"1.2.3.4\")}", addr("1.2.3.4:80")),
        ("{sa_family=AF_INET6, sin_port=htons(80), sin_addr=inet_addr(\"fd00::1\")}", addr("[fd00::1]:80")),
        (
            "{msg_name(...)=..., msg_iov(1)=[{..., 9}], msg_flags=0, msg_control=[{cmsg_level=A, cmsg_type=B, cmsg_data=7}]}",
            Expr::MsgHdr {
                iov_len: 1,
                iov: vec![Expr::Iovec(9)],
                flags: Box::new(Expr::Int(0)),
                control: Some(vec![Expr::Cmsg { level: boxed("A"), kind: boxed("B"), data: seven() }]),
            },
        ),
        ("{scm_sec=1,scm_nsec=2}", Expr::Timestamping { sec: 1, nsec: 2 }),
        (
            "{ee_errno=1, ee_origin=2, ee_type=3, ee_code=4, ee_info=5, ee_data=6}",
            Expr::ExtendedError(Box::new([1, 2, 3, 4, 5, 6].map(Expr::Int))),
        ),
        ("{fd=7, events=A}", Expr::PollFd { fd: seven(), events: boxed("A"), revents: None }),
        ("{fd=7, events=A, revents=B}", Expr::PollFd { fd: seven(), events: boxed("A"), revents: Some(boxed("B")) }),
        ("{events=A, u64=7}", Expr::EpollEvent { events: boxed("A"), data: EpollData::U64, value: seven() }),
        ("{onoff=1, linger=0}", Expr::Linger { onoff: 1, linger: 0 }),
        ("{(label 1, tc 2, ttl 3)}", Expr::Mpls(vec![Label { label: 1, tc: 2, bottom: false, ttl: 3 }])),
        (
            "{flags 0x2000, sum 0, off 0, key 5, seq 0}",
            Expr::Gre(Gre { flags: 0x2000, sum: 0, off: 0, key: 5, seq: 0 }),
        ),
    ] {
        assert_eq!(argument(text), expected, "{text}");
    }
}

#[test]
fn the_head_commands_and_code() {
    let text = "--ip_version=ipv4 // v4\n--send_omit_free\n--mss=-1\n--name=\"a b\"\n--define=CLEAN=`rm x`\n--define=TXT=\"t\"\n\
                --define=OP=SO_X\n--define=N=5\n`./defaults.sh`\n+0 `a \\` b`\n+0 f(OP, TXT, N) = 0\n0.5 %{ assert a % 2 == '}'\n}%\nCLEAN";
    let script = parse(text, &[]).unwrap();
    let names: Vec<_> = script.options.iter().map(|option| option.name.as_str()).collect();
    assert_eq!(names, ["ip_version", "send_omit_free", "mss", "name", "define", "define", "define", "define"]);
    assert_eq!(script.options[0].value, Some(HeadValue::Plain("ipv4".into())));
    assert_eq!(script.options[1].value, None);
    assert_eq!(script.options[2].value, Some(HeadValue::Plain("-1".into())));
    assert_eq!(script.options[3].value, Some(HeadValue::Text(b"a b".to_vec())));
    assert_eq!(script.before.as_deref(), Some("./defaults.sh"));
    assert_eq!(script.after.as_deref(), Some("rm x"));
    assert_eq!(script.events[0].action, Action::Command("a \\` b".into()));
    let Action::Call(call) = &script.events[1].action else { panic!("a call") };
    assert_eq!(call.arguments, [Expr::Word("SO_X".into()), Expr::Text(b"t".to_vec()), Expr::Int(5)]);
    let Action::Code(code) = &script.events[2].action else { panic!("code") };
    assert_eq!(code.text, " assert a % 2 == '}'\n");
    assert_eq!((script.events[2].place, code.place), (Place { line: 12, column: 1 }, Place { line: 12, column: 7 }));
}

#[test]
fn the_callers_definitions_outdo_the_scripts() {
    let script = "--define=N=5\n0 f(N) = 0";
    let with = parse(script, &[("N".into(), Definition::Word("6".into()))]).unwrap();
    let Action::Call(call) = &with.events[0].action else { panic!("a call") };
    assert_eq!(call.arguments, [Expr::Int(6)]);
}

#[test]
fn what_is_no_script() {
    for (text, line, column, expected, found) in [
        ("", 1, 1, "an event", "the end of the script"),
        ("foo", 1, 1, "the time of an event", "`foo`"),
        ("+x", 1, 2, "a time in seconds", "`x`"),
        ("-1 f() = 0", 1, 1, "the time of an event", "`-`"),
        ("0 f() = 0\n  0.1 !", 2, 7, "a packet (`<` or `>`), a system call, a command in backticks, or `%{`", "`!`"),
        ("* f() = 0", 1, 1, "a single point in time, unless a packet is expected", "another time"),
        ("1~2 < . 1:1(0)", 1, 1, "a single point in time, unless a packet is expected", "another time"),
        ("2~1 > . 1:1(0)", 1, 3, "the later end of a range of times", "an earlier one"),
        ("1...0.5 f() = 0", 1, 1, "a call that ends after it began", "an earlier end"),
        ("0.1234567891 f() = 0", 1, 1, "a time in seconds, with nine decimals at the most", "`0`"),
        ("0 > X 1:1(0)", 1, 5, "flags out of FSRPUEWA, then a dot", "`X`"),
        ("0 > SS 1:1(0)", 1, 5, "flags out of FSRPUEWA, then a dot", "`SS`"),
        ("0 > 1:1(0)", 1, 6, "`>`", "`:`"),
        ("0 > .8 1:1(0)", 1, 5, "a counter of 0 to 7 and none of its flags E, W, A", "`8`"),
        ("0 > E.1 1:1(0)", 1, 5, "a counter of 0 to 7 and none of its flags E, W, A", "`1`"),
        ("0 > . 1:2(0)", 1, 7, "a range whose ends are as far apart as its payload is long", "`1:2(0)`"),
        ("0 > . 1:4294967296(0)", 1, 9, "the sequence number behind the last byte", "`4294967296`"),
        ("0 > . 1:1(0) win 65536", 1, 18, "a window of 16 bits", "`65536`"),
        ("0 > . 1:1(0) ack", 1, 17, "an acknowledgment number of 32 bits", "the end of the script"),
        ("0 < . 1:1(0) <...>", 1, 15, "the options to inject", "`...`"),
        ("0 < [ect01] . 1:1(0)", 1, 5, "one codepoint to inject", "`ect01`"),
        (
            "0 > . 1:1(0) <mss 1,>",
            1,
            21,
            "an option: mss, sackOK, TS, nop, wscale, sack, eol, FO, FOEXP, md5 or unknown-KIND",
            "`>`",
        ),
        ("0 > . 1:1(0) <FO 123>", 1, 18, "an even number of hexadecimal digits", "`123`"),
        ("0 > . 1:1(0) <unknown-1>", 1, 15, "`eol` or `nop` for the kinds without a length", "their number"),
        ("0 < . 1:1(0) <sack 1:2 2:3 3:4 4:5 5:6>", 1, 15, "options of 40 bytes at the most", "more"),
        (
            "0 > [ttl 1, ttl 2] . 1:1(0)",
            1,
            13,
            "`noecn`, `ect0`, `ect1`, `ce`, `ect01`, `tos`, `flowlabel` or `ttl`, each once",
            "`ttl`",
        ),
        ("0 f(1 2) = 0", 1, 7, "`,` or `)`", "`2`"),
        ("0 f(1)", 1, 7, "`=`", "the end of the script"),
        ("0 f(\"a) = 0", 1, 12, "`\"`", "the end of the script"),
        ("0 f({sa_family=AF_UNIX}) = 0", 1, 16, "`AF_INET` or `AF_INET6`", "`AF_UNIX`"),
        ("0 f(inet_addr(\"1.2.3\")) = 0", 1, 15, "an IPv4 address", "another string"),
        ("0 `a", 1, 5, "a closing backtick", "the end of the script"),
        ("0 %{ a", 1, 7, "`}%`", "the end of the script"),
        ("0 f() = 0 /* open", 1, 11, "the time of an event", "`/`"),
        ("0 f() = 0\n`a`\n0 f() = 0", 3, 1, "the end of the script behind a command without a time", "`0`"),
        ("--define=C=`x`\n0 f(C) = 0", 2, 5, "an expression", "`C`, which is defined as a command"),
        (
            "0 < gre flags 0, sum 65536, off 0, key 0, seq 0: . 1:1(0)",
            1,
            22,
            "a number that the field can hold",
            "`65536`",
        ),
        ("--define=N", 1, 11, "`=`", "the end of the script"),
        ("--a=\n?", 2, 1, "a value", "`?`"),
    ] {
        let error = parse(text, &[]).expect_err(text);
        let expected = SyntaxError { place: Place { line, column }, expected: expected.into(), found: found.into() };
        assert_eq!(error, expected, "{text}");
    }
    let error = parse("0 f(1 2) = 0", &[]).unwrap_err();
    assert_eq!(error.to_string(), "line 1, column 7: expected `,` or `)`, found `2`");
    assert!(parse(&format!("0 f({}", "[".repeat(100_000)), &[]).is_err(), "deep nesting is refused, not followed");
}

proptest! {
    #[test]
    fn whatever_is_printed_parses_to_the_same(script in script()) {
        let text = script.to_string();
        let parsed = parse(&text, &[]).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(unplaced(parsed), script, "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\PC|\n|[-+.~<>(){}\\[\\]`%\"|=*:,/0-9SPaf]){0,80}") {
        let _ = parse(&text, &[]);
    }

    #[test]
    fn no_broken_script_makes_the_parser_panic(script in script(), at in 0_usize..400, with in "\\PC{0,2}") {
        let text: Vec<char> = script.to_string().chars().collect();
        let cut = at.min(text.len());
        let broken: String = text[..cut].iter().copied().chain(with.chars()).chain(text[cut..].iter().copied().skip(1)).collect();
        let _ = parse(&broken, &[]);
    }
}

/// A script without its places.
fn unplaced(mut script: Script) -> Script {
    for option in &mut script.options {
        option.place = Place::default();
    }
    for event in &mut script.events {
        event.place = Place::default();
        if let Action::Code(code) = &mut event.action {
            code.place = Place::default();
        }
    }
    script
}

fn script() -> impl Strategy<Value = Script> {
    let commands = (perhaps(command()), perhaps(command()));
    (several(head_option(), 0..3), commands, several(an_event(), 1..5))
        .prop_map(|(options, (before, after), events)| Script { options, before, events, after })
}

fn command() -> impl Strategy<Value = String> {
    "[a-z./= ]{1,12}"
}

/// A word that means nothing by itself.
fn word() -> impl Strategy<Value = String> {
    "[A-Z][A-Z_0-9]{2,8}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    several(any::<u8>(), 0..6)
}

fn head_option() -> impl Strategy<Value = HeadOption> {
    // What is defined here is never used below, where the words are capitals.
    let definition = prop_oneof![
        word().prop_map(Definition::Word),
        bytes().prop_map(Definition::Text),
        command().prop_map(Definition::Command)
    ];
    let value = prop_oneof![
        Just(None),
        "[a-z0-9.:-]{1,8}".prop_map(|plain| Some(HeadValue::Plain(plain))),
        bytes().prop_map(|text| Some(HeadValue::Text(text)))
    ];
    let plain = ("o[a-z_]{1,8}", value);
    let define = ("w_[a-z]{1,4}", definition);
    let place = Place::default();
    prop_oneof![
        plain.prop_map(move |(name, value)| HeadOption { place, name, value }),
        define.prop_map(move |(word, definition)| HeadOption {
            place,
            name: "define".into(),
            value: Some(HeadValue::Define(word, definition)),
        })
    ]
}

fn time() -> impl Strategy<Value = Duration> {
    (0..100_000_000_000_u64).prop_map(Duration::from_nanos)
}

fn an_event() -> impl Strategy<Value = Event> {
    let single = prop_oneof![time().prop_map(When::At), time().prop_map(When::After)];
    let ranged = prop_oneof![
        Just(When::Any),
        (time(), time()).prop_map(|(a, b)| When::Between(a.min(b), a.max(b))),
        (time(), time()).prop_map(|(a, b)| When::AfterBetween(a.min(b), a.max(b)))
    ];
    let code = "( |\n)?((a|b [<>=]= 1|assert c == 'x'|d -= 2) ?[\n;] ?){0,3}"
        .prop_map(|text| Action::Code(Code { place: Place::default(), text }));
    let action = prop_oneof![
        a_packet(Direction::In).prop_map(Action::Packet),
        a_packet(Direction::Out).prop_map(Action::Packet),
        command().prop_map(Action::Command),
        code
    ];
    let place = Place::default();
    prop_oneof![
        (single, action).prop_map(move |(when, action)| Event { place, when, action }),
        (ranged, a_packet(Direction::Out)).prop_map(move |(when, packet)| Event {
            place,
            when,
            action: Action::Packet(packet)
        }),
        (time(), perhaps(time()), a_call()).prop_map(move |(at, blocks, call)| {
            let until = blocks.map(|more| Duration::from_nanos(at.as_nanos() + more.as_nanos()));
            Event { place, when: When::After(at), action: Action::Call(Call { until, ..call }) }
        })
    ]
}

fn a_call() -> impl Strategy<Value = Call> {
    let errno = perhaps("E[A-Z]{2,8}");
    let note = perhaps("[a-z]{1,5}( [a-z]{1,5}){0,2}");
    ("[a-z_0-9]{1,8}", several(an_expr(), 0..4), an_expr(), errno, note).prop_map(
        |(name, arguments, result, errno, note)| {
            // A letter first, and no word that the language knows.
            Call { until: None, name: format!("x{name}"), arguments, result, errno, note }
        },
    )
}

fn an_expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        Just(Expr::Any),
        any::<i64>().prop_map(Expr::Int),
        word().prop_map(Expr::Word),
        bytes().prop_map(Expr::Text),
        bytes().prop_map(Expr::TextPrefix),
        any::<u32>().prop_map(|n| Expr::InetAddr(n.into())),
        any::<u128>().prop_map(|n| Expr::Inet6Addr(n.into())),
        (any::<bool>(), any::<u128>(), any::<u16>()).prop_map(|(is_v4, ip, port)| {
            let v4 = std::net::Ipv4Addr::from(u32::try_from(ip >> 96).unwrap());
            let ip = if is_v4 { v4.into() } else { std::net::Ipv6Addr::from(ip).into() };
            Expr::SockAddr(SocketAddr::new(ip, port))
        }),
        (any::<i64>(), any::<i64>()).prop_map(|(sec, nsec)| Expr::Timestamping { sec, nsec }),
        any::<i64>().prop_map(Expr::Iovec),
        (any::<i64>(), any::<i64>()).prop_map(|(onoff, linger)| Expr::Linger { onoff, linger }),
        several(a_label(), 1..3).prop_map(Expr::Mpls),
        a_gre().prop_map(Expr::Gre)
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let operand = inner
            .clone()
            .prop_filter("parts of an alternative", |expr| !matches!(expr, Expr::Or(_) | Expr::Assign(..)));
        let member = prop_oneof![Just(EpollData::Fd), Just(EpollData::Ptr), Just(EpollData::U32), Just(EpollData::U64)];
        prop_oneof![
            several(operand, 2..4).prop_map(Expr::Or),
            (word(), boxed()).prop_map(|(name, value)| Expr::Assign(name, value)),
            several(inner.clone(), 0..4).prop_map(Expr::List),
            several(inner.clone(), 1..4)
                .prop_filter("a buffer", |parts| !matches!(parts[..], [Expr::Any, Expr::Int(_)]))
                .prop_map(Expr::Group),
            (any::<i64>(), several(inner.clone(), 0..3), boxed(), perhaps(several(inner.clone(), 0..3)))
                .prop_map(|(iov_len, iov, flags, control)| Expr::MsgHdr { iov_len, iov, flags, control }),
            (boxed(), boxed(), boxed()).prop_map(|(level, kind, data)| Expr::Cmsg { level, kind, data }),
            prop::array::uniform6(inner.clone()).prop_map(|fields| Expr::ExtendedError(Box::new(fields))),
            (boxed(), boxed(), perhaps(boxed())).prop_map(|(fd, events, revents)| Expr::PollFd { fd, events, revents }),
            (boxed(), member, boxed()).prop_map(|(events, data, value)| Expr::EpollEvent { events, data, value })
        ]
    })
}

fn a_label() -> impl Strategy<Value = Label> {
    (0..1_u32 << 20, 0..8_u8, any::<bool>(), any::<u8>()).prop_map(|(label, tc, bottom, ttl)| Label {
        label,
        tc,
        bottom,
        ttl,
    })
}

fn a_gre() -> impl Strategy<Value = Gre> {
    any::<(u16, u16, u16, u32, u32)>().prop_map(|(flags, sum, off, key, seq)| Gre { flags, sum, off, key, seq })
}

fn ip_info(direction: Direction) -> impl Strategy<Value = IpInfo> {
    let tos = prop_oneof![
        Just(Tos::NoEcn),
        Just(Tos::Ect0),
        Just(Tos::Ect1),
        Just(Tos::Ce),
        Just(if direction == Direction::Out { Tos::Ect01 } else { Tos::Ect0 }),
        any::<u8>().prop_map(Tos::Byte)
    ];
    (perhaps(tos), perhaps(0..1_u32 << 20), perhaps(any::<u8>())).prop_map(|(tos, flow_label, ttl)| IpInfo {
        tos,
        flow_label,
        ttl,
    })
}

fn a_packet(direction: Direction) -> impl Strategy<Value = Packet> {
    let ip = (ip_info(Direction::In), any::<bool>(), any::<u128>(), any::<u128>());
    let layer = prop_oneof![
        ip.prop_map(|(info, is_v4, a, b)| {
            let v4 = |ip: u128| std::net::Ipv4Addr::from(u32::try_from(ip >> 96).unwrap()).into();
            let v6 = |ip: u128| std::net::Ipv6Addr::from(ip).into();
            let (source, destination) = if is_v4 { (v4(a), v4(b)) } else { (v6(a), v6(b)) };
            Layer::Ip { info, source, destination }
        }),
        perhaps(a_gre()).prop_map(Layer::Gre),
        several(a_label(), 0..3).prop_map(Layer::Mpls)
    ];
    let udp = (perhaps(any::<(u16, u16)>()), any::<u16>()).prop_map(|(ports, len)| Udp { ports, len });
    let quoted = prop_oneof![
        a_range().prop_map(Quoted::Tcp),
        any::<u16>().prop_map(Quoted::Udp),
        any::<u16>().prop_map(Quoted::Raw)
    ];
    let icmp = (word(), perhaps(word()), perhaps(any::<u32>()), perhaps(any::<u16>()), perhaps(quoted))
        .prop_map(|(kind, code, mtu, id, quoted)| Icmp { kind, code, mtu, id, quoted });
    let transport = prop_oneof![
        4 => a_segment(direction).prop_map(Transport::Tcp),
        1 => udp.prop_map(Transport::Udp),
        1 => icmp.prop_map(Transport::Icmp)
    ];
    (several(layer, 0..2), ip_info(direction), transport).prop_map(move |(layers, ip, transport)| Packet {
        direction,
        layers,
        ip,
        transport,
    })
}

fn a_range() -> impl Strategy<Value = Range> {
    any::<(u32, u16)>().prop_map(|(start, len)| Range { start: start.min(u32::MAX - u32::from(len)), len })
}

fn a_segment(direction: Direction) -> impl Strategy<Value = Tcp> {
    let fixed = [
        TcpOption::Nop,
        TcpOption::Eol,
        TcpOption::SackPermitted,
        TcpOption::Md5([7; 16]),
        TcpOption::FastOpen(vec![]),
        TcpOption::Unknown(253, vec![]),
    ];
    let option = prop_oneof![
        prop::sample::select(fixed.to_vec()),
        any::<u16>().prop_map(TcpOption::Mss),
        any::<u8>().prop_map(TcpOption::WindowScale),
        several(any::<(u32, u32)>(), 1..4).prop_map(TcpOption::Sack),
        any::<(u32, u32)>().prop_map(|(val, ecr)| TcpOption::Timestamps { val, ecr }),
        bytes().prop_map(TcpOption::FastOpen),
        bytes().prop_map(TcpOption::FastOpenExperimental),
        (2..=255_u8, bytes()).prop_map(|(kind, data)| TcpOption::Unknown(kind, data))
    ];
    let these = several(option, 0..4)
        .prop_filter("40 bytes", |options| options.iter().map(TcpOption::len).sum::<usize>() <= 40)
        .prop_map(Options::These);
    let options = match direction {
        Direction::In => these.boxed(),
        Direction::Out => prop_oneof![Just(Options::Any), these].boxed(),
    };
    let field = prop_oneof![
        Just(DamageField::Mss),
        Just(DamageField::Ihl),
        Just(DamageField::SourcePort),
        any::<(u16, u16)>().prop_map(|(a, b)| DamageField::Span(a, b)),
        any::<(u16, u16)>().prop_map(|(a, b)| DamageField::Offset(a, b))
    ];
    let kind = prop_oneof![Just(DamageKind::Mutate), Just(DamageKind::Truncate), Just(DamageKind::Insert)];
    let header = prop_oneof![Just(Header::Ip), Just(Header::Tcp)];
    let damage = (kind, header, field).prop_map(|(kind, header, field)| Damage { kind, header, field });
    let numbers = (perhaps(any::<u32>()), perhaps(any::<u16>()), perhaps(any::<u16>()));
    let flags = (0..0x200_u16).prop_map(Flags);
    (perhaps(any::<(u16, u16)>()), flags, a_range(), numbers, options, several(damage, 0..2)).prop_map(
        |(ports, flags, range, (ack, win, urg), options, damage)| Tcp {
            ports,
            flags,
            range,
            ack,
            win,
            urg,
            options,
            damage,
        },
    )
}
