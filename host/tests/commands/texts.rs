//! `screen` and `predict`, which answer texts by the line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::Desk;
use crate::components::artifact;

#[test]
fn a_line_that_is_no_text_takes_no_other_with_it() {
    let desk = Desk::new();
    let lines = "{\"id\": 1, \"text\": \"hello\"}\n[2, \"hello\"]\n{\"id\": 3}\n{\"text\": \"a@b.example\"}\n";
    let arguments = ["screen", "--policy", "policy.yaml", "--secrets", "secrets.env"];
    let ended = desk.run(&arguments, lines);
    assert_eq!(ended.code, 2);
    let answers: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2, "{}", ended.stdout);
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&1.into(), &serde_json::Value::Null));
    for expected in [
        "line 2: expected {\"id\": …, \"text\": \"…\"}: expected a JSON object",
        "line 3: expected {\"id\": …, \"text\": \"…\"}: missing field `text`",
        "2 lines could not be read",
    ] {
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}

/// A program that keeps `predict` beside it waits for each answer before it asks again.
#[test]
fn predict_answers_while_more_may_come() {
    let Some(component) = artifact("scam_detector.wasm") else { return };
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("predict")
        .arg(component)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for id in 0..3 {
        writeln!(input, "{{\"id\": {id}, \"text\": \"See you at noon.\"}}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&answer["id"], &answer["label"]), (&id.into(), &"ham".into()));
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}
