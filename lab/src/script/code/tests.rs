//! The Python of code blocks: what holds, what does not, what is refused.

use std::string::{String, ToString};

use std::format;

use super::super::ast::{Code, Place};
use super::{Names, Value, parse};

fn run(names: &mut Names, text: &str) -> Result<(), String> {
    let code = Code { place: Place { line: 1, column: 1 }, text: text.to_string() };
    let statements = parse(&code).map_err(|e| e.to_string())?;
    let given = |name: &str| match name {
        "tcpi_rtt" => Some(Value::Int(100_000)),
        "tcpi_snd_cwnd" => Some(Value::Int(10)),
        "TCP_CA_Open" => Some(Value::Int(0)),
        _ => None,
    };
    names.run(&statements, &given).map_err(|raised| {
        let Place { line, column } = raised.place;
        format!("{line}:{column}: {}", raised.what)
    })
}

/// Every line was run by Python 3 as well, with the same outcome.
#[test]
fn what_python_says_is_true_is_true() {
    for line in [
        "assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd",
        "assert 90000 <= tcpi_rtt < 110000",
        "assert 9 < tcpi_snd_cwnd <= 10 == 10",
        "assert not 1 < 3 < 2",
        "assert abs(tcpi_rtt - 101000) <= 1000",
        "assert -7 // 2 == -4 and -7 % 2 == 1 and 7 // -2 == -4 and 7 % -2 == -1",
        "assert 7 / 2 == 3.5 and 6 / 2 == 3",
        "assert 2 ** 10 == 1024 and -2 ** 2 == -4 and 2 ** 3 ** 2 == 512",
        "assert 1 + 2 * 3 == 7 and (1 + 2) * 3 == 9",
        "assert 1 << 4 | 1 == 17 & 3 | 16",
        "assert 0x10 == 16 and 0b11 == 3 and 0o17 == 15 and 1e3 == 1000 and .5 == 0.5",
        "assert ~5 == -6 and 6 ^ 3 == 5",
        "assert True + True == 2 and True == 1",
        "assert (1 or 1 / 0) and not (0 and 1 / 0)",
        "assert 'rtt=%d' % tcpi_rtt == 'rtt=100000'",
        "assert '%5.2f|%-4s|%04d|%x|%%|%r' % (1.5, 'a', 7, 255, 'b') == ' 1.50|a   |0007|ff|%|\\'b\\''",
        "assert 'a' 'b' + 'c' == 'abc' and str(10) == '10' and str(2.0) == '2.0'",
        "assert tcpi_snd_cwnd in (9, 10) and 11 not in [9, 10] and 'b' in 'abc'",
        "assert min(3, 1, 2) == 1 and max((3, 1)) == 3 and sum([1, 2.5]) == 3.5 and len('abc') == 3",
        "assert int(-2.7) == -2 and int('42') == 42 and float(3) == 3.0",
        "assert (5 if tcpi_snd_cwnd > 9 else 6) == 5",
        "assert None is None and 1 is not None",
        "assert (1, 2) < (1, 3) and 'a' < 'b'",
        "pass; assert True; print('x')",
    ] {
        assert_eq!(run(&mut Names::default(), line), Ok(()), "{line}");
    }
}

#[test]
fn names_last_from_block_to_block_and_given_ones_are_new_each_time() {
    let mut names = Names::default();
    run(&mut names, "cwnd = tcpi_snd_cwnd\ncwnd += 10\na = b = 2").expect("assignments");
    run(&mut names, "assert cwnd == 20 and a * b == 4\n  # a comment\nprint('cwnd', cwnd, \\\n  1.5)").expect("kept");
    assert_eq!(names.printed, ["cwnd 20 1.5"]);
    run(&mut names, "tcpi_rtt = 5; assert tcpi_rtt == 5").expect("an assignment hides what is given");
    run(&mut names, "assert tcpi_rtt == 100000").expect("given anew");
    run(&mut names, "assert (tcpi_rtt >\n 5 and\n True)").expect("a line goes on within parentheses");
    let swallowed = "cwnd -= 1; cwnd *= 2; cwnd //= 3; cwnd %= 7; cwnd |= 8; cwnd <<= 1; assert cwnd == 26, cwnd";
    run(&mut names, swallowed).expect("every kind of change");
}

#[test]
fn what_does_not_hold_says_where_and_why() {
    for (text, why) in [
        (
            "assert tcpi_snd_cwnd == 11, 'cwnd=%d' % tcpi_snd_cwnd",
            "1:1: the assertion does not hold: cwnd=10 (10 == 11)",
        ),
        ("\n  assert 1 < 3 < 2", "2:3: the assertion does not hold (1 < 3 < 2)"),
        ("assert False", "1:1: the assertion does not hold"),
        ("assert tcpi_new == 1", "1:8: the name tcpi_new is not defined"),
        ("x += 1", "1:1: the name x is not defined"),
        ("1 / 0", "1:3: division by zero"),
        ("1 % 0.0", "1:3: division by zero"),
        ("'a' + 1", "1:5: `+` does not take str and int"),
        ("1 < 'a'", "1:3: `<` does not take int and str"),
        ("'%d' % 'a'", "1:6: `%d` does not take str"),
        ("'%d %d' % 1", "1:9: more conversions in the format than values"),
        ("'%d' % (1, 2)", "1:6: more values than conversions in the format"),
        ("2 ** 1000", "1:3: a number of more than 128 bits"),
        ("abs('a')", "1:1: abs(str) is outside this subset"),
        ("max(1)", "1:1: max(int) is outside this subset"),
    ] {
        assert_eq!(run(&mut Names::default(), text), Err(why.to_string()), "{text}");
    }
}

#[test]
fn what_is_outside_the_subset_is_refused_before_anything_runs() {
    for (text, why) in [
        ("import os", "line 1, column 1: expected an assertion, an assignment or an expression, found `import`"),
        ("if tcpi_rtt: pass", "line 1, column 12: expected an expression of Python, found `:`"),
        ("if tcpi_rtt", "line 1, column 1: expected an assertion, an assignment or an expression, found `if`"),
        ("print tcpi_rtt", "line 1, column 7: expected an operator or the end of the statement, found `tcpi_rtt`"),
        (
            "open('x')",
            "line 1, column 1: expected one of the functions abs, bool, float, int, len, max, min, print, str, sum, found `open`",
        ),
        ("a.b", "line 1, column 2: expected an expression of Python, found `.`"),
        ("a[0]", "line 1, column 2: expected an operator or the end of the statement, found `[`"),
        ("x = {1}", "line 1, column 5: expected an expression of Python, found `{`"),
        (
            "assert",
            "line 1, column 7: expected a number, a string, a name or a parenthesis, found the end of the statement",
        ),
        (
            "1 +",
            "line 1, column 4: expected a number, a string, a name or a parenthesis, found the end of the statement",
        ),
        ("(1", "line 1, column 3: expected `,` or `)`, found the end of the statement"),
        ("1 = 2", "line 1, column 1: expected a name to assign to, found another expression"),
        ("'abc", "line 1, column 1: expected a string that ends on its line, found its beginning"),
        ("010", "line 1, column 1: expected a number, found another one than Python's subset has"),
        ("1 not 2", "line 1, column 7: expected `in`, found `2`"),
        ("\\ x", "line 1, column 1: expected the end of the line behind a backslash, found something else"),
    ] {
        assert_eq!(run(&mut Names::default(), text), Err(why.to_string()), "{text}");
    }
    let deep: String = core::iter::repeat_n('(', 1000).collect();
    assert!(run(&mut Names::default(), &deep).is_err());
    let signs: String = core::iter::repeat_n('-', 100_000).collect();
    assert!(run(&mut Names::default(), &signs).is_err());
}
