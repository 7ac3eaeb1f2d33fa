use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::super::Kind;
use super::{ArgumentScreen, denials};

/// Pieces that tokens, encodings and rules begin with.
const PIECES: &[&str] = &[
    "'",
    "\"",
    "`",
    "1",
    "a",
    " ",
    "/*",
    "*/",
    "/*!",
    "--",
    "#",
    "\n",
    "\r",
    "\0",
    "(",
    ")",
    "@",
    "@@",
    "$",
    "${",
    "{{",
    "}}",
    "{%",
    "<%",
    "\\",
    "\\u",
    "\\x",
    "\\u{",
    "[",
    "]",
    ",",
    ";",
    ":",
    "=",
    "<",
    ">",
    "!",
    "|",
    "||",
    "&",
    "&&",
    "&#",
    "&#x",
    "&lt",
    "+",
    "+adw-",
    "-",
    ".",
    "..",
    "/",
    "0x",
    "0x2e",
    "%",
    "%%",
    "%u",
    "%c0",
    "%c0%ae",
    "%80",
    "%e0",
    "%2",
    "%25",
    "union",
    "select",
    "or",
    "and",
    "from",
    "order by",
    "sleep",
    "cat",
    "on",
    "onload",
    "javascript",
    "data",
    "http",
    "://",
    "127.0.0.1",
    "[::",
    "localhost",
    "é",
    "＜",
    "\u{200b}",
    "ſ",
    "\u{1d400}",
    "\u{e0041}",
    "😀",
    "<script",
    "<!--",
    "<!doctype",
    "jndi",
    "__class__",
    "java.lang",
    "etc",
    "passwd",
];

fn hostile() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn ranges_are_within_the_text(text in prop_oneof![hostile(), any::<String>()]) {
        let found = ArgumentScreen::new().screen(&text);
        prop_assert!(found.len() <= 14);
        for detection in found {
            prop_assert!(text.get(detection.range.clone()).is_some(), "{:?}", detection);
            prop_assert!((0.0..=1.0).contains(&detection.score));
        }
    }
}

proptest! {
    #[test]
    fn what_stands_around_an_attack_does_not_hide_it(
        before in "([a-z]{2,8} ){0,20}", after in "( [a-z]{2,8}){0,20}",
    ) {
        let attacks = [
            (Kind::SqlInjection, "x' or '3'='3"),
            (Kind::SqlInjection, "9 union select 1,2,3"),
            (Kind::Xss, "<script>alert(1)</script>"),
            (Kind::CommandInjection, ";cat /srv/key;"),
            (Kind::FileInclusion, "../../../srv/key"),
            (Kind::TemplateInjection, "{{7*7}}"),
            (Kind::Ssrf, "http://169.254.169.254/x"),
        ];
        for (kind, attack) in attacks {
            let found = denials(&format!("{before}{attack}{after}"));
            prop_assert!(found.iter().any(|found| found.kind == kind), "{}: {:?}", attack, found);
        }
    }
}

#[test]
fn attacks_are_found_across_windows() {
    let window = super::super::WINDOW;
    for length in [window - 12, window - 1, window, window + 7, 3 * window - 5] {
        let text = "word, ".repeat(length / 6)
            + &"w".repeat(length % 6)
            + " <script>alert(1)</script> and more";
        let found = denials(&text);
        let found = found.iter().find(|found| found.kind == Kind::Xss).expect("found");
        assert!(text[found.range.clone()].starts_with("<script"), "{found:?}");
    }
}

/// The least of several runs: the machine has other things to do.
fn least(screen: &ArgumentScreen, text: &str) -> Duration {
    let run = |_| {
        let start = Instant::now();
        std::hint::black_box(screen.screen(std::hint::black_box(text)));
        start.elapsed()
    };
    (0..5).map(run).min().expect("five runs")
}

/// What is long and hostile: one piece, over and over.
fn repetitions() -> impl Iterator<Item = (&'static str, impl Fn(usize) -> String)> {
    const MORE: &[&str] = &[
        "' or a(",
        "a=http://b ",
        "<a onzz=1 ",
        "/log/a.",
        "/?",
        "select a,",
        "{{a.b|",
        "if(",
        "a.",
        "1+",
        "*)(|",
        "%25252525",
        "/*a ",
        "union#",
        "data:",
        "onpoint=",
        "script:",
        "char(1)",
        "http:",
        "http:1",
        "; sudo ",
        "Ł",
        "при",
        "http://a@",
        "`a ",
    ];
    PIECES
        .iter()
        .chain(MORE)
        .map(|piece| (*piece, |length: usize| piece.repeat(length / piece.len())))
}

/// Twice as much text takes about twice as long, whatever the text is made of.
#[test]
#[ignore = "measures time: cargo xtask corpora runs it"]
fn time_is_linear() {
    let screen = ArgumentScreen::new();
    let mut worst = Vec::new();
    // Within one window: with more of them anything would look linear.
    for (piece, text) in repetitions() {
        let (short, long) = (text(15_000), text(30_000));
        // A machine that is busy all the while gets another chance.
        let is_linear = (0..5).any(|_| {
            least(&screen, &long) < least(&screen, &short).mul_f32(2.5) + Duration::from_micros(50)
        });
        if !is_linear {
            worst.push(piece);
        }
    }
    assert!(worst.is_empty(), "more than linear: {worst:?}");
}

/// No text is much slower than the others.
#[test]
#[ignore = "measures time: cargo xtask corpora runs it"]
fn hostile_texts_take_about_the_same_time() {
    let screen = ArgumentScreen::new();
    let mut times: Vec<_> = repetitions()
        .map(|(piece, text)| (least(&screen, &text(4000)), piece, text(4000)))
        .collect();
    times.sort();
    let median = times[times.len() / 2].0;
    times.retain(|(time, _, text)| {
        *time > 5 * median && (0..5).all(|_| least(&screen, text) > 5 * median)
    });
    let slow: Vec<_> = times.iter().map(|(time, piece, _)| (piece, time)).collect();
    assert!(slow.is_empty(), "median {median:?}, but {slow:?}");
}
