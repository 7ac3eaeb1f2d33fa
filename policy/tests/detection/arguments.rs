//! Attacks on programs in arguments.

use std::path::{Path, PathBuf};

use portcullis_policy::document::LocatedDocument;
use portcullis_policy::screening::{Decision, Kind, Owner, Profile, Screening};
use serde_json::Value;

/// Shares in per cent: at least, of attacks, and at most, of ordinary text. To be moved only towards 100 and 0.
const STOPPED: [(&str, Option<Kind>, f64); 14] = [
    ("attacks/sqli", Some(Kind::SqlInjection), 90.0),
    ("attacks/xss", Some(Kind::Xss), 98.5),
    ("attacks/cmdi", Some(Kind::CommandInjection), 88.0),
    ("attacks/lfi", Some(Kind::FileInclusion), 98.0),
    ("attacks/ssti", Some(Kind::TemplateInjection), 97.0),
    ("attacks/nosqli", Some(Kind::NosqlInjection), 90.0),
    ("attacks/ssi", Some(Kind::ServerSideInclude), 97.0),
    ("attacks/xxe", Some(Kind::Xxe), 65.0),
    ("attacks/crlf", Some(Kind::CrlfInjection), 85.0),
    // Half of these files are single signs, as `(` and `*`.
    ("attacks/ldapi", Some(Kind::LdapInjection), 30.0),
    ("attacks/xpathi", Some(Kind::XpathInjection), 60.0),
    ("libinjection/sqli_positive", Some(Kind::SqlInjection), 99.9),
    ("libinjection/xss_positive", Some(Kind::Xss), 99.9),
    ("attacks/rfi", Some(Kind::RemoteFileInclusion), 95.0),
];
const LET_THROUGH: [(&str, f64); 14] = [
    ("libinjection/sqli_negative", 5.0),
    // Formats and names of events are no attacks on programs as these are.
    ("attacks/xss_event_handler_lists", 1.0),
    ("benign/alpaca_eval_instructions", 2.0),
    ("benign/alpaca_seed_tasks", 2.0),
    ("benign/cyberseceval_frr_borderline_benign", 2.0),
    ("benign/defog_sql_eval_questions", 1.0),
    ("benign/gsm8k_test", 1.0),
    ("benign/humaneval_code_prompts", 2.0),
    ("benign/mtbench_vicuna", 2.0),
    ("benign/selfinstruct_user_oriented", 2.0),
    ("benign/spider_dev_questions", 1.0),
    ("benign/wizardlm_testset", 2.0),
    ("benign/xquad_multilingual", 0.5),
    // SQL as an argument is what the screen is there to stop: whoever wants it has to say so.
    ("benign/spider_dev_raw_sql", 100.0),
];
/// Shares of the requests of the OWASP core rule set that are to be stopped, at all its levels of paranoia, and of
/// those that are not to be, at some level.
const CORE_RULE_SET: [(&str, f64, f64); 8] = [
    ("REQUEST-930-APPLICATION-ATTACK-LFI", 45.0, 15.0),
    ("REQUEST-931-APPLICATION-ATTACK-RFI", 40.0, 50.0),
    ("REQUEST-932-APPLICATION-ATTACK-RCE", 48.0, 25.0),
    ("REQUEST-933-APPLICATION-ATTACK-PHP", 58.0, 15.0),
    ("REQUEST-934-APPLICATION-ATTACK-GENERIC", 85.0, 50.0),
    ("REQUEST-941-APPLICATION-ATTACK-XSS", 78.0, 50.0),
    ("REQUEST-942-APPLICATION-ATTACK-SQLI", 40.0, 15.0),
    // Seven tests only that are not to be stopped, by rules for Java: six of them are XML, which is for others.
    ("REQUEST-944-APPLICATION-ATTACK-JAVA", 90.0, 100.0),
];

/// How many rows of a file were refused, and how many were only remarked upon.
#[derive(Default)]
struct Tally {
    rows: usize,
    denied: usize,
    denied_as_own: usize,
    flagged: usize,
}

impl Tally {
    fn add(&mut self, screening: &Screening, texts: &[String], own: Option<Kind>) {
        let screened: Vec<_> = texts
            .iter()
            .map(|text| screening.screen(Profile::Argument, text, &Owner::nobody()))
            .collect();
        let found = || screened.iter().flatten().flat_map(|screened| &screened.found);
        let denials = || found().filter(|found| found.decision == Decision::Deny);
        // Characters that no text may have are a refusal as well.
        let is_denied = denials().next().is_some() || screened.iter().any(Result::is_err);
        self.rows += 1;
        self.denied += usize::from(is_denied);
        self.denied_as_own += usize::from(denials().any(|found| Some(found.detection.kind) == own));
        self.flagged += usize::from(!is_denied && found().next().is_some());
    }

    fn print(&self, name: &str) -> f64 {
        let share = |count: usize| 100.0 * count as f64 / self.rows.max(1) as f64;
        let Self { rows, denied, denied_as_own, flagged } = *self;
        println!(
            "{name:<48} {rows:>6} {denied:>7} {:>7.2} % {:>7.2} % {flagged:>7}",
            share(denied),
            share(denied_as_own),
        );
        assert!(rows > 0, "no rows in {name}");
        share(denied)
    }
}

#[test]
fn attacks_are_stopped_and_ordinary_text_is_not() {
    let Some(corpora) = corpora() else { return };
    let screening = screening();
    println!(
        "{:<48} {:>6} {:>7} {:>9} {:>9} {:>7}",
        "file", "rows", "denied", "", "as own", "flagged"
    );
    let mut failures = Vec::new();
    for (name, own, least) in STOPPED {
        let share = tally(&screening, &corpora.join(format!("{name}.jsonl")), own).print(name);
        if share < least - slack(3.0) {
            failures.push(format!("{name}: {share:.2} % stopped, of at least {least}"));
        }
    }
    for (name, most) in LET_THROUGH {
        let share = tally(&screening, &corpora.join(format!("{name}.jsonl")), None).print(name);
        if share > most + slack(3.0) {
            failures.push(format!("{name}: {share:.2} % refused, of at most {most}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn the_core_rule_sets_attacks_are_stopped() {
    let Some(corpora) = corpora() else { return };
    let screening = screening();
    println!("{:<48} {:>6} {:>7} {:>9} {:>9} {:>7}", "file", "rows", "denied", "", "", "flagged");
    let mut failures = Vec::new();
    for (name, least, most) in CORE_RULE_SET {
        let (mut to_stop, mut to_let_through) = (Tally::default(), Tally::default());
        for row in rows(&corpora.join("crs").join(format!("{name}.jsonl"))) {
            let tally = match row["expect"].as_str() {
                Some("match") => &mut to_stop,
                Some("no_match") => &mut to_let_through,
                _ => continue,
            };
            tally.add(&screening, &arguments(&row), None);
        }
        let stopped = to_stop.print(name);
        let refused = to_let_through.print(&format!("{name} (no match)"));
        if stopped < least - slack(5.0) || refused > most + slack(10.0) {
            failures.push(format!("{name}: {stopped:.2} % stopped, {refused:.2} % wrongly"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// What the shipped policy makes of arguments: what is found is what a gate refuses.
fn screening() -> Screening {
    let document = LocatedDocument::read("default.yaml", include_str!("../../default.yaml"));
    let section = document.unwrap().document.input_of(None).unwrap();
    Screening::compile(&section, None, "input").unwrap()
}

/// What a figure may be off by. Other rows of the same sources must not break a build: only `cargo xtask corpora`, which the
/// documentation's figures are of, allows nothing.
fn slack(usual: f64) -> f64 {
    if std::env::var_os("PORTCULLIS_CORPORA_STRICT").is_some() { 0.0 } else { usual }
}

fn tally(screening: &Screening, file: &Path, own: Option<Kind>) -> Tally {
    let mut tally = Tally::default();
    for row in rows(file) {
        tally.add(screening, &[text(&row)], own);
    }
    tally
}

/// The text of a row; bytes that are not UTF-8 as a gate would have them.
fn text(row: &Value) -> String {
    if let Some(text) = row["text"].as_str() {
        // The lists of remote files leave open what is to be included.
        return text.replace("XXpathXX", "http://files.example/shell.txt");
    }
    let bytes = row["text_latin1"]
        .as_str()
        .unwrap()
        .chars()
        .map(|byte| u8::try_from(u32::from(byte)).unwrap());
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

/// The arguments of a request: the path, names and values of its query and its body, headers that clients choose.
fn arguments(row: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    let uri = row["uri"].as_str().unwrap_or_default();
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    texts.push(decode(path, false));
    form(query, &mut texts);
    let mut media_type = "application/x-www-form-urlencoded";
    for (name, value) in row["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-type" => media_type = value,
            "cookie" => value.split(';').for_each(|pair| form(pair.trim(), &mut texts)),
            "user-agent" if value.contains("CRS") => {}
            "host" | "connection" | "keep-alive" | "proxy-connection" | "cache-control"
            | "content-length" => {}
            name if name.starts_with("accept") => {}
            _ => texts.push(value.to_owned()),
        }
    }
    let body = row["data"].as_str().unwrap_or_default();
    match serde_json::from_str(body) {
        Ok(json) if media_type.contains("json") => strings(&json, &mut texts),
        _ if media_type.contains("urlencoded") => form(body, &mut texts),
        _ => texts.push(body.to_owned()),
    }
    texts
}

fn form(pairs: &str, texts: &mut Vec<String>) {
    for pair in pairs.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        texts.extend([decode(name, true), decode(value, true)]);
    }
}

fn strings(json: &Value, texts: &mut Vec<String>) {
    match json {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, texts)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            texts.push(name.clone());
            strings(value, texts);
        }),
        _ => {}
    }
}

fn decode(encoded: &str, is_form: bool) -> String {
    let mut bytes = Vec::new();
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = after;
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) if is_form => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn rows(file: &Path) -> Vec<Value> {
    let lines =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("PORTCULLIS_CORPORA").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        eprintln!("!! SKIPPED: PORTCULLIS_CORPORA is not set, the corpora were not tried");
    }
    folder.map(PathBuf::from)
}
