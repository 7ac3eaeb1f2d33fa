//! What a program that failed says of itself (CWE-209): frames of stack traces of Python, Java, .NET, Node, Go, Rust, PHP
//! and Ruby, the messages before and after them, and errors of databases. A finding is a line.

use std::ops::Range;

use super::bytes::{at, cut, run};
use super::{Finding, Kind, Scan};

/// So much of a line is looked at and reported; what is longer is reported in part.
const MAXIMUM_LINE_BYTES: usize = 512;

/// What stands in no other line. Found with the words that announce personal data, in either case.
pub(super) const MARKS: &[&str] = &[
    // Heads of traces.
    "traceback (most recent call last)",
    "exception in thread \"",
    "' panicked at ",
    "stack backtrace:",
    "panic: runtime error",
    "fatal error: uncaught",
    "php fatal error",
    "php parse error",
    "php warning: ",
    ".php on line ",
    ".php</b> on line ",
    "server error in '/",
    "an unhandled exception occurred during the execution",
    "unhandled exception. system.",
    // Errors of databases.
    "you have an error in your sql syntax",
    "supplied argument is not a valid mysql",
    "warning: mysql_",
    "column count doesn't match value count",
    "com.mysql.jdbc.",
    "com.mysql.cj.",
    "mysqli_sql_exception",
    "org.postgresql.util.psqlexception",
    "psycopg2.errors.",
    "pg::syntaxerror",
    "pg_query():",
    "unterminated quoted string at or near",
    "syntax error at or near \"",
    "invalid input syntax for type ",
    "unclosed quotation mark after the character string",
    "incorrect syntax near '",
    "microsoft ole db provider for",
    "[microsoft][odbc",
    "[odbc sql server driver]",
    "system.data.sqlclient.",
    "microsoft.data.sqlclient.",
    "quoted string not properly terminated",
    "oracle.jdbc.",
    "java.sql.sql",
    "org.hibernate.exception.",
    "sqlite3.operationalerror",
    "sqlite3::sqlexception",
    "sqlite_error: ",
    "system.data.sqlite.",
    "sqlstate[",
    "sqlalchemy.exc.",
    "activerecord::statementinvalid",
    "db2 sql error:",
    "cli driver][db2",
    "dynamic sql error",
    "' in 'field list'",
    "sybase message:",
    "ora-00",
    "ora-01",
    "ora-06",
];

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Frame,
    /// Of Python: its code is in the line below.
    FrameWithCode,
    /// Of an error, where a frame is beside it.
    Message,
    Other,
}

pub(super) fn find(scan: &mut Scan<'_>) {
    let text = scan.text;
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut last: Option<(Line, Range<usize>)> = None;
    let ends = Ends { are_spelled: memchr::memchr(b'\n', text).is_none() };
    let mut start = 0;
    while start < text.len() {
        let end = ends.next(text, start);
        let line = start..end.min(start.saturating_add(MAXIMUM_LINE_BYTES));
        let indent = run(text, line.start, MAXIMUM_LINE_BYTES, |byte| matches!(byte, b' ' | b'\t'));
        let range = indent.min(line.end)..trimmed_end(text, &line);
        start = next_line(text, end);
        let mut kind = kind_of(cut(text, range.start, range.end));
        let beside = last.as_ref().map(|(kind, _)| *kind);
        let is_code =
            beside == Some(Line::FrameWithCode) && kind == Line::Other && indent > line.start;
        if is_code {
            // What it runs tells as much as where.
            kind = Line::Frame;
        }
        match kind {
            Line::Frame | Line::FrameWithCode => {
                if let Some((Line::Message, message)) = last.take() {
                    found.push(message);
                }
                found.push(range.clone());
            }
            Line::Message if matches!(beside, Some(Line::Frame | Line::FrameWithCode)) => {
                found.push(range.clone());
            }
            Line::Message | Line::Other => {}
        }
        last = Some((kind, range));
    }
    mark(scan, ends, &mut found);
    for range in found {
        scan.report(Kind::StackTrace, "stack_trace", range, 0.9);
    }
}

/// The lines in which something stands that stands in no other.
fn mark(scan: &Scan<'_>, ends: Ends, found: &mut Vec<Range<usize>>) {
    let mut covered = 0;
    for sighting in &scan.sightings.traces {
        if sighting.end <= covered {
            continue;
        }
        let before =
            cut(scan.text, sighting.start.saturating_sub(MAXIMUM_LINE_BYTES), sighting.start);
        let length = before.iter().rev().take_while(|byte| !is_line_end(**byte)).count();
        let start = sighting.start.saturating_sub(length).max(covered);
        // No further: the next one would read all of it again.
        let near = cut(scan.text, 0, sighting.end.saturating_add(MAXIMUM_LINE_BYTES));
        let end = ends.next(near, sighting.end);
        found.push(start..trimmed_end(scan.text, &(start..end)));
        covered = end;
    }
}

/// The parts of the lines that are nothing else: what else is in them stays what it is.
pub(super) fn between(lines: Vec<Finding>, others: &[Finding]) -> Vec<Finding> {
    let mut parts = Vec::with_capacity(lines.len());
    let mut next = 0;
    for line in lines {
        let mut start = line.range.start;
        while others.get(next).is_some_and(|other| other.range.end <= start) {
            next += 1;
        }
        let within =
            others.iter().skip(next).take_while(|other| other.range.start < line.range.end);
        for other in within {
            if start < other.range.start {
                parts.push(Finding { range: start..other.range.start, ..line.clone() });
            }
            start = start.max(other.range.end);
        }
        if start < line.range.end {
            parts.push(Finding { range: start..line.range.end, ..line });
        }
    }
    parts
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// How lines end.
#[derive(Debug, Clone, Copy)]
struct Ends {
    /// As `\n`, in a text within a text. Where there are others, a path of Windows may have it.
    are_spelled: bool,
}

impl Ends {
    /// Where the line ends.
    fn next(self, text: &[u8], start: usize) -> usize {
        let rest = cut(text, start, text.len());
        let is_spelled = |place: usize| matches!(rest.get(place + 1), Some(b'n' | b'r'));
        let length = match self.are_spelled {
            true => memchr::memchr3_iter(b'\n', b'\r', b'\\', rest)
                .find(|place| at(rest, *place) != b'\\' || is_spelled(*place)),
            false => memchr::memchr2(b'\n', b'\r', rest),
        };
        start + length.unwrap_or(rest.len())
    }
}

fn next_line(text: &[u8], end: usize) -> usize {
    if at(text, end) == b'\\' { end + 2 } else { end + 1 }
}

fn trimmed_end(text: &[u8], line: &Range<usize>) -> usize {
    let line_bytes = cut(text, line.start, line.end);
    line.start + line_bytes.trim_ascii_end().len()
}

fn kind_of(line: &[u8]) -> Line {
    if line.starts_with(b"File \"") && has_number_after(line, b"\", line ") {
        return Line::FrameWithCode;
    }
    let is_frame = match line {
        [b'a', b't', b' ', place @ ..] => is_place(place) || is_call(place),
        [b'#', b'0'..=b'9', ..] => is_numbered(line),
        [b'0'..=b'9', ..] => is_symbol(line),
        [b'g', ..] if line.starts_with(b"goroutine ") => line.ends_with(b"]:"),
        [b'.', b'.', b'.', b' ', b'0'..=b'9', ..] => line.ends_with(b" more"),
        _ => is_source(line, b".go:") || is_source(line, b".rb:"),
    };
    match is_frame {
        true => Line::Frame,
        false if is_message(line) => Line::Message,
        false => Line::Other,
    }
}

/// `f (/app/main.js:12:34)`, `/rustc/library/std/panicking.rs:689:5`.
fn is_place(place: &[u8]) -> bool {
    let place = place.strip_suffix(b")").unwrap_or(place);
    let digits = |text: &[u8]| text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let column = digits(place);
    let Some(line) = place.len().checked_sub(column + 1).and_then(|end| place.get(..end)) else {
        return false;
    };
    let number = digits(line);
    let colon = line.len().checked_sub(number + 1).and_then(|place| line.get(place));
    column > 0 && number > 0 && at(place, line.len()) == b':' && colon == Some(&b':')
}

/// `com.example.Main.run(Main.java:12)`, `Shop.Orders.Save(Order order) in C:\shop\Orders.cs:line 12`.
fn is_call(call: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._$<>/@-`[],".contains(byte);
    let name = call.iter().take_while(|byte| is_name(byte)).count();
    let (name, rest) = call.split_at_checked(name).unwrap_or_default();
    let Some(inside) = rest.strip_prefix(b"(") else { return false };
    let Some(end) = inside.iter().position(|byte| *byte == b')') else { return false };
    let (inside, after) = inside.split_at_checked(end).unwrap_or_default();
    let is_java = [&b".java:"[..], b".kt:", b".scala:", b".groovy:", b".clj:"]
        .iter()
        .any(|extension| has_number_after(inside, extension))
        || matches!(inside, b"Native Method" | b"Unknown Source");
    let dots = name.iter().filter(|byte| **byte == b'.').count();
    let is_net = dots >= 2 && after == b")" || has_number_after(after, b":line ");
    !name.is_empty() && (is_java || is_net)
}

/// `#0 /var/www/index.php(12): query()`, `#1 {main}`, `#2  0x00007f in main ()`.
fn is_numbered(line: &[u8]) -> bool {
    let digits = line.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    let rest = line.get(digits + 1..).unwrap_or_default().trim_ascii_start();
    has_number_after(rest, b".php(")
        || rest == b"{main}"
        || rest.starts_with(b"[internal function]")
        || rest.starts_with(b"0x")
}

/// `12: core::ops::function::FnOnce::call_once`.
fn is_symbol(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let name = line.get(digits..).unwrap_or_default().strip_prefix(b": ").unwrap_or_default();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:<>{}#&[]()".contains(byte);
    digits <= 3 && name.windows(2).any(|pair| pair == b"::") && name.iter().all(is_name)
}

/// `/app/main.go:12 +0x1d`, `/app/main.rb:12:in 'run'`.
fn is_source(line: &[u8], extension: &[u8]) -> bool {
    let Some(place) = memchr::memchr_iter(b':', line)
        .filter_map(|colon| (colon + 1).checked_sub(extension.len()))
        .find(|place| cut(line, *place, place + extension.len()) == extension)
    else {
        return false;
    };
    let (file, rest) = line.split_at_checked(place).unwrap_or_default();
    let file = file.strip_prefix(b"from ").unwrap_or(file);
    let rest = rest.get(extension.len()..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let after = rest.get(digits..).unwrap_or_default();
    let is_end = match extension {
        b".go:" => after.is_empty() || after.starts_with(b" +0x"),
        _ => after.starts_with(b":in "),
    };
    digits > 0 && is_end && !file.contains(&b' ')
}

/// `ValueError: …`, `Caused by: java.lang.IllegalStateException: …`.
fn is_message(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"Caused by: ").unwrap_or(line);
    let line = line.strip_prefix(b"Uncaught ").unwrap_or(line);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._$:".contains(byte);
    let length = line.iter().take_while(|byte| is_name(byte)).count();
    let name = line.get(..length).unwrap_or_default();
    let name = name.strip_suffix(b":").unwrap_or(name);
    let ends = [&b"Error"[..], b"Exception", b"Interrupt", b"Exit", b"Warning", b"Fault"];
    ends.iter().any(|end| name.ends_with(end))
}

fn has_number_after(text: &[u8], mark: &[u8]) -> bool {
    let place = text.windows(mark.len()).position(|window| window == mark);
    place.is_some_and(|place| at(text, place + mark.len()).is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::screening::{Kind, PersonalData};

    /// The text without what was found.
    fn left(text: &str) -> String {
        let finder = PersonalData::compile(&PersonalData::KINDS, "kinds").unwrap();
        let mut left = String::new();
        let mut place = 0;
        for found in finder.find(text) {
            assert!(found.range.start >= place, "{text}: {found:?}");
            left.push_str(&text[place..found.range.start]);
            place = found.range.end;
        }
        left + &text[place..]
    }

    const TRACES: [&str; 13] = [
        "Traceback (most recent call last):\n  File \"/srv/app.py\", line 12, in <module>\n    \
         load(key)\n  File \"/srv/db.py\", line 3, in load\n    return data[key]\nKeyError: 'cellar'",
        "java.lang.IllegalStateException: cellar\n\tat com.example.shop.Orders.load(Orders.java:41)\n\tat \
         com.example.Main.main(Main.kt:7)\n\tat java.base/java.lang.Thread.run(Unknown Source)\n\t... 12 more",
        "System.InvalidOperationException: cellar\n   at Shop.Orders.Save(Order order) in C:\\shop\\Orders.cs:line \
         41\n   at System.Linq.Enumerable.First[TSource](IEnumerable`1 source)",
        "TypeError: cellar is undefined\n    at load (/srv/app/main.js:12:34)\n    at async \
         file:///srv/app/run.mjs:1:2\n    at node:internal/modules/run_main:123:9",
        "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\n\t/srv/app/main.go:12 \
         +0x1d",
        "thread 'main' panicked at src/cellar.rs:2:5:\nstack backtrace:\n   0: std::panicking::begin_panic\n             at \
         /srv/cellar.rs:689:5",
        "PHP Fatal error:  Uncaught PDOException: cellar in /var/www/db.php:12\n#0 /var/www/index.php(3): \
         query()\n#1 {main}",
        "/srv/app/main.rb:12:in 'load'\n\tfrom /srv/app/cellar.rb:3:in `run'",
        "You have an error in your SQL syntax; check the manual near 'cellar' at line 1",
        "ERROR: syntax error at or near \"cellar\" LINE 1",
        "ORA-00933: SQL command not properly ended at cellar",
        "SQLSTATE[42S02]: Base table or view not found: 1146 Table 'cellar' doesn't exist",
        "Unclosed quotation mark after the character string 'cellar'.",
    ];

    #[test]
    fn traces_of_all_languages_are_found() {
        for trace in TRACES {
            assert_eq!(left(trace).trim(), "", "{trace}");
            let text = format!("It failed.\n{trace}\nAsk the operator.");
            let rest = left(&text);
            assert_eq!(rest.trim_start_matches("It failed.").trim(), "Ask the operator.", "{text}");
            // Spelled out, in a text within a text.
            let inner = text.replace('\n', "\\n").replace('\t', " ");
            assert!(!left(&inner).contains("cellar"), "{inner}: {}", left(&inner));
        }
    }

    #[test]
    fn ordinary_lines_are_none() {
        for text in [
            "Meet me at example.com (see below).",
            "at noon: 12:30",
            "I saw a TypeError: what does that mean?",
            "ValueError is raised where a value is wrong.",
            "1: bread\n2: butter",
            "#1 rule: be kind",
            "File \"a\" is missing, line up at the desk",
            "Open main.go and look at line 12.",
            "The error in your syntax is small.",
            "... 12 more days",
            "from here to there",
            "The oral exam is on 01 May, ora-tory at noon",
        ] {
            assert_eq!(left(text), text);
        }
    }

    #[test]
    fn a_secret_in_a_trace_is_a_secret() {
        let finder =
            PersonalData::compile(&[Kind::StackTrace, Kind::EmailAddress], "kinds").unwrap();
        let text = "KeyError: no alice@example.com here\n  File \"/srv/db.py\", line 3, in load\n    \
                    load('bob@example.org')\n";
        let kinds: Vec<Kind> = finder.find(text).iter().map(|found| found.kind).collect();
        let (trace, address) = (Kind::StackTrace, Kind::EmailAddress);
        assert_eq!(kinds, [trace, address, trace, trace, trace, address, trace]);
    }
}
