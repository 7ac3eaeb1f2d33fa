//! Texts whose pieces are in events of any form.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::screening::PersonalData;

const MARKER: &str = "zebraCanary7731";

/// How the interfaces that stream write the next piece of a text.
fn forms() -> Vec<fn(usize, &str) -> Value> {
    vec![
        |_, piece| json!({"token": piece}),
        |n, piece| json!({"index": n + 1, "token": {"id": 17, "text": piece, "logprob": -0.5}}),
        |_, piece| json!({"content": piece, "stop": false, "id_slot": 0}),
        |_, piece| json!({"event_type": "text-generation", "text": piece, "is_finished": false}),
        |_, piece| json!({"type": "content-delta", "delta": {"message": {"content": {"text": piece}}}}),
        |_, piece| json!({"event": "message", "task_id": "5ad4cb98", "answer": piece}),
        |_, piece| {
            let value = json!({"value": piece, "annotations": []});
            let content = json!([{"index": 0, "type": "text", "text": value}]);
            json!({"object": "thread.message.delta", "delta": {"content": content}})
        },
        |_, piece| json!({"choices": [{"index": 0, "delta": {"reasoning": piece}}]}),
        |_, piece| json!({"choices": [{"delta": {"content": [{"type": "text", "text": piece}]}}]}),
        |_, piece| json!({"choices": [{"index": 0, "delta": {"content": piece}}]}),
        |_, piece| json!({"message": piece}),
        |_, piece| json!(piece),
        |_, piece| {
            let params = json!({"level": "info", "data": piece});
            json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
        },
        |_, piece| json!({"created_at": "2026-01-02T03:04:05Z", "message": {"role": "assistant", "content": piece}}),
    ]
}

/// All strings of an event that change.
fn said(event: &Value) -> String {
    const PLACES: [&str; 13] = [
        "",
        "/token",
        "/token/text",
        "/content",
        "/text",
        "/delta/message/content/text",
        "/answer",
        "/delta/content/0/text/value",
        "/choices/0/delta/reasoning",
        "/choices/0/delta/content/0/text",
        "/choices/0/delta/content",
        "/message",
        "/params/data",
    ];
    let places = PLACES.iter().chain(&["/message/content"]);
    places.filter_map(|place| event.pointer(place)?.as_str()).collect()
}

fn forms_of(form: fn(usize, &str) -> Value, pieces: &[&str]) -> Vec<Value> {
    pieces.iter().enumerate().map(|(n, piece)| form(n, piece)).collect()
}

struct Sent {
    redactor: StreamRedactor,
    kind: StreamKind,
}

impl Sent {
    fn new(kind: StreamKind, action: Action, has_marker: bool) -> Self {
        let data = PersonalData::compile(&PersonalData::KINDS, "kinds").unwrap();
        let actions = PersonalData::KINDS.iter().map(|kind| (*kind, action)).collect();
        let redaction = Redaction::compile(&actions, None);
        let settings = StreamSettings::default();
        let redactor = StreamRedactor::new(kind, &data, &redaction, &Owner::nobody(), &settings);
        let redactor = match has_marker {
            true => redactor.watching(&Canary::compile(&[MARKER], "markers").unwrap()),
            false => redactor,
        };
        Self { redactor, kind }
    }

    fn text(&self, event: &Value) -> String {
        match self.kind {
            StreamKind::Lines => format!("{event}\n"),
            _ => format!("data: {event}\n\n"),
        }
    }

    fn push(&mut self, event: &Value) -> Vec<Value> {
        let text = self.text(event);
        let sent = self.redactor.push(text.as_bytes());
        self.read(&sent)
    }

    fn finish(&mut self) -> Vec<Value> {
        let sent = self.redactor.finish();
        self.read(&sent)
    }

    fn read(&self, sent: &[u8]) -> Vec<Value> {
        let text = std::str::from_utf8(sent).unwrap();
        let lines = text.lines().filter(|line| !line.is_empty());
        let data = lines.map(|line| match self.kind {
            StreamKind::Lines => line,
            _ => line.strip_prefix("data: ").unwrap(),
        });
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    fn all(&mut self, events: &[Value]) -> Vec<Value> {
        let mut sent: Vec<Value> = events.iter().flat_map(|event| self.push(event)).collect();
        sent.extend(self.finish());
        sent
    }
}

#[test]
fn a_text_is_one_text_in_whatever_events() {
    let cards: [&[&str]; 4] = [
        &["4111 1111", " 1111 1111 x"],
        &["it is ", "4111 1111", " 1111 1111 x"],
        &["it", " is", " 41", "11", " ", "11", "11", " 1111", " 11", "11", " x"],
        &["My", " card", ":", " ", "411", "111", "111", "111", "111", "1", "."],
    ];
    for kind in [StreamKind::Events, StreamKind::Lines] {
        for form in forms() {
            for pieces in cards {
                let events: Vec<Value> = forms_of(form, pieces);
                let sent = Sent::new(kind, Action::Mask, false).all(&events);
                let text: String = sent.iter().map(said).collect();
                let shown = text.chars().filter(char::is_ascii_digit).count();
                assert_eq!(shown, 4, "{kind:?} {:?}: {text}", events[0]);
                let whole: String = pieces.concat();
                assert_eq!(text.len(), whole.len(), "{:?}: {text}", events[0]);
                assert!(sent.len() >= events.len(), "an event is missing: {sent:?}");
            }
            let marked: [&[&str]; 3] = [
                &["the marker zebraCan", "ary7731 ok"],
                &["the", " marker", " ze", "bra", "Can", "ary", "77", "31", " ok"],
                &["the marker z", "e b r a C a n a", " r y 7-7 3", "1 ok"],
            ];
            for pieces in marked {
                let mut stream = Sent::new(kind, Action::Mask, true);
                let events: Vec<Value> = forms_of(form, pieces);
                let sent = stream.all(&events);
                let text: String = sent.iter().map(said).collect();
                assert!(stream.redactor.is_refused(), "{:?}: {text}", events[0]);
                assert!(!text.contains("ok") && !text.contains("77"), "{text}");
                let told = text.split_once("marker ").map_or("", |(_, told)| told);
                let told = told.chars().filter(|c| c.is_alphanumeric()).count();
                assert!(told <= 2, "{:?}: {text}", events[0]);
            }
        }
    }
}

#[test]
fn what_is_said_stays_in_its_own_event() {
    let texts = [
        "Hello",
        "Hello wor",
        "Hello world, call +44 20",
        "Hello world, call +44 20 7946 0958 now",
    ];
    let events: Vec<Value> = texts.iter().map(|text| json!({"text": text, "n": 1})).collect();
    let sent = Sent::new(StreamKind::Events, Action::Mask, true).all(&events);
    let sent: Vec<&str> = sent.iter().map(|event| event["text"].as_str().unwrap()).collect();
    assert_eq!(sent[..2], texts[..2]);
    assert_eq!(sent[3], "Hello world, call +** ** **** **** now");
}

/// At most so many events wait while words come that nothing can become of.
#[test]
fn events_are_not_held_for_long() {
    for kind in [StreamKind::Events, StreamKind::Lines] {
        for (form, has_marker) in forms().into_iter().zip([false, true].into_iter().cycle()) {
            let mut stream = Sent::new(kind, Action::Mask, has_marker);
            let mut waiting: usize = 0;
            for word in
                "the quick brown fox jumps over the lazy dog. ".repeat(30).split_inclusive(' ')
            {
                waiting += 1;
                waiting -= stream.push(&form(0, word)).len();
                assert!(waiting <= 2, "{word}: {waiting}");
            }
        }
        // Whole messages, one after another, go out at once.
        let mut stream = Sent::new(kind, Action::Mask, true);
        for text in
            ["It runs now", "It has begun.", "It is done (all of it)!", "2 of 30 files are done."]
        {
            let event = json!({"status": "running", "run_id": "4111", "text": text});
            assert_eq!(stream.push(&event), [event], "{text}");
        }
        // Also what somebody waits for, whatever it ends in.
        for id in 1..5 {
            let content = json!([{"type": "text", "text": format!("order {id}00045")}]);
            let event = json!({"jsonrpc": "2.0", "id": id, "result": {"content": content}});
            assert_eq!(stream.push(&event), [event]);
        }
    }
}

#[test]
fn an_event_that_waits_is_overtaken_by_none() {
    let mut stream = Sent::new(StreamKind::Events, Action::Mask, false);
    let events = [
        json!({"text": "pay with 4111 1111"}),
        json!({"type": "ping"}),
        json!({"text": " 1111 1111 and"}),
        json!({"type": "end"}),
    ];
    assert_eq!(stream.push(&events[0]), [] as [Value; 0]);
    assert_eq!(stream.push(&events[1]), [] as [Value; 0]);
    let sent = [stream.push(&events[2]), stream.push(&events[3]), stream.finish()].concat();
    let masked = json!({"text": "pay with **** **** **** 1111"});
    assert_eq!(sent, [masked, events[1].clone(), json!({"text": " and"}), events[3].clone()]);
}

/// A server that has only part of a letter sends an event all the same, with nothing in it.
#[test]
fn a_text_goes_on_behind_events_that_say_nothing() {
    let nothing = |mut event: Value| {
        for place in ["/token", "/token/text", "/text"] {
            if let Some(text) = event.pointer_mut(place).filter(|text| text.is_string()) {
                *text = Value::Null;
            }
        }
        event
    };
    for kind in [StreamKind::Events, StreamKind::Lines] {
        for form in forms() {
            for count in [1, 2, 3, 9, 100] {
                let mut events = vec![form(0, "on 4111 1111 1111 111")];
                events.extend((0..count).map(|n| nothing(form(n + 1, ""))));
                events.push(form(count + 1, "1 a"));
                let sent = Sent::new(kind, Action::Mask, false).all(&events);
                let text: String = sent.iter().map(said).collect();
                assert_eq!(text, "on **** **** **** 1111 a", "{count}: {}", events[0]);
            }
        }
    }
    // Words do not wait for it, and what says nothing beside another text holds nothing back.
    let mut stream = Sent::new(StreamKind::Events, Action::Mask, false);
    for word in ["to", " be"] {
        stream.push(&json!({"text": word}));
    }
    let silent = json!({"text": ""});
    assert_eq!(stream.push(&silent), [json!({"text": " be"}), silent]);
    let mut stream = Sent::new(StreamKind::Events, Action::Mask, false);
    stream.push(&json!({"thought": "4111"}));
    let answers = (0..20).flat_map(|_| stream.push(&json!({"thought": "", "answer": " and"})));
    assert!(answers.count() > 10);
}

/// A name is not looked at, nor kept, once for each of the many values that it may be the name of.
#[test]
fn long_names_of_many_values_are_no_burden() {
    let begun = std::time::Instant::now();
    for value in [json!("a"), json!(""), json!(null)] {
        let event =
            json!({"n".repeat(120_000): vec![value; 20_000], "text": "4111 1111 1111 1111"});
        let sent =
            Sent::new(StreamKind::Lines, Action::Mask, true).all(std::slice::from_ref(&event));
        assert_eq!(sent[0]["text"], "**** **** **** 1111");
        assert_eq!(sent[0].as_object().unwrap().len(), 2);
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// Who waits for the end of what is told does not wait for the next.
#[test]
fn nothing_waits_where_nothing_goes_on() {
    let mut stream = Sent::new(StreamKind::Events, Action::Mask, true);
    let texts = [json!({"text": "to"}), json!({"text": " jane"})];
    let end = json!({"type": "end", "usage": {"tokens": 2}});
    assert_eq!([stream.push(&texts[0]), stream.push(&texts[1])].concat(), texts[..1]);
    assert_eq!(stream.push(&end), [texts[1].clone(), end.clone()]);
    // What looks like the beginning of something waits longer, and of the rest of it nothing is told.
    let number = json!({"text": "pay 4111 1111"});
    assert_eq!(stream.push(&number), [] as [Value; 0]);
    assert_eq!(stream.push(&end), [] as [Value; 0]);
    let sent = stream.redactor.push(b": still here\n\n");
    assert!(sent.starts_with(b": still here\n\n"));
    let sent = stream.read(&sent[b": still here\n\n".len()..]);
    assert_eq!(sent, [number, end]);
    let sent = stream.push(&json!({"text": " 1111 1111 and so on."}));
    assert_eq!(sent, [json!({"text": " **** 1111 and so on."})]);
}

/// One text after another, at other places: what the first ends in does not hold the second back.
#[test]
fn a_text_that_is_over_holds_no_other() {
    let reasoning = |text: &str| json!({"choices": [{"index": 0, "delta": {"reasoning": text}}]});
    let content = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let thought = |text: &str| json!({"thought": text});
    let answer = |text: &str| json!({"answer": text});
    type Form<'a> = &'a dyn Fn(&str) -> Value;
    let forms: [(Form<'_>, Form<'_>); 2] = [(&reasoning, &content), (&thought, &answer)];
    for (first, second) in forms {
        for (end, most) in [(" so", 2), (" 4111", 8)] {
            let mut stream = Sent::new(StreamKind::Events, Action::Mask, false);
            let mut waiting: usize = 0;
            for text in ["they", " say", end] {
                waiting += 1;
                waiting -= stream.push(&first(text)).len();
            }
            let mut seen = 0;
            for _ in 0..20 {
                waiting += 1;
                waiting -= stream.push(&second(" and")).len();
                seen = seen.max(waiting);
            }
            assert!(seen <= most && waiting <= 1, "{end}: {seen} {waiting}");
        }
    }
}

/// Values that are no texts hold events back only at the beginning, where they could be.
#[test]
fn values_do_not_starve_clients() {
    type Maker = fn(usize) -> String;
    let values: [(&str, Maker, usize); 9] = [
        ("stage", |n| ["load", "parse", "embed-all", "rank"][n % 4].to_owned(), 9),
        ("file", |n| format!("src/{}.rs", ["main", "lib", "text"][n % 3]), 5),
        ("price", |n| format!("{}.25", 180 + n), 0),
        ("moment", |n| format!("2026-01-02T03:04:{:02}Z", n % 60), 0),
        ("amount", |n| (100 + n).to_string(), 17),
        ("hash", |n| format!("{:064x}", n * 0x1234_5678_9abc), 3),
        ("code", |n| format!("ab{:02}cd", n % 90), 22),
        ("text", |_| "你好，这是一个很长的句子。".to_owned(), 0),
        ("emoji", |_| "🙂".to_owned(), 0),
    ];
    for (name, value, most) in values {
        for has_marker in [false, true] {
            let mut stream = Sent::new(StreamKind::Events, Action::Mask, has_marker);
            let (mut waiting, mut seen): (usize, usize) = (0, 0);
            for n in 0..100 {
                waiting += 1;
                waiting -= stream.push(&json!({name: value(n)})).len();
                seen = seen.max(waiting);
                assert!(n < 30 || waiting <= 1, "{name} {n}: {waiting}");
            }
            assert!(seen <= most, "{name}: {seen}");
        }
    }
    // Numbers in them are still seen.
    let events = ["请问", "我的卡号是4111", " 1111", " 1111", " 1111", "，谢谢"];
    let events: Vec<Value> = events.iter().map(|text| json!({"text": text})).collect();
    let sent = Sent::new(StreamKind::Events, Action::Mask, false).all(&events);
    let text: String = sent.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(text, "请问我的卡号是**** **** **** 1111，谢谢");
    // Also words that are longer than most.
    let token =
        format!("eyJhbGciOiJFUzI1NiJ9.{}.{}", "eyJzdWIiOiJhIn0".repeat(9), "aB3_".repeat(60));
    let body = "MIIEowIBAAKCAQEA7bq8XkFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGaB3/s1Pt\n".repeat(80);
    let key = format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----");
    for key in [token, key] {
        let pieces = key.as_bytes().chunks(23).map(|piece| std::str::from_utf8(piece).unwrap());
        let events: Vec<Value> = ["so "]
            .into_iter()
            .chain(pieces)
            .chain([" and", " on."])
            .map(|text| json!({"text": text}))
            .collect();
        let sent = Sent::new(StreamKind::Events, Action::Mask, false).all(&events);
        let text: String = sent.iter().filter_map(|event| event["text"].as_str()).collect();
        assert!(text.ends_with(" and on.") && !text.contains("aB3"), "{text}");
        assert_eq!(sent.len(), events.len());
    }
}

/// Texts that take turns are told from each other by what may also count events.
#[test]
fn texts_may_take_turns() {
    let event = |index: u8, text: &str| json!({"index": index, "text": text});
    let events = [
        event(0, "so"),
        event(0, " 4111"),
        event(1, "or 3782"),
        event(0, " 1111"),
        event(1, " 822463"),
        event(0, " 1111"),
        event(1, " 10005"),
        event(0, " 1111"),
    ];
    let sent = Sent::new(StreamKind::Events, Action::Mask, false).all(&events);
    let text = |index: u8| -> String {
        let sent = sent.iter().filter(|event| event["index"] == index);
        sent.filter_map(|event| event["text"].as_str()).collect()
    };
    assert_eq!(text(0), "so **** **** **** 1111");
    assert_eq!(text(1), "or **** ****** *0005");
}

#[test]
fn tokens_come_back_in_pieces() {
    let secret = Secret::from_bytes(zeroize::Zeroizing::new(vec![7; 32])).unwrap();
    let actions = [(Kind::EmailAddress, Action::Tokenise)].into();
    let redaction = Redaction::compile(&actions, Some(&secret));
    let principal = crate::Principal {
        subject: "ann".into(),
        via: crate::CredentialKind::Jwt,
        ..crate::Principal::anonymous()
    };
    let owner = Owner::from(&principal);
    let data = PersonalData::compile(&[Kind::EmailAddress], "kinds").unwrap();
    let text = "mail ann@example.com today";
    let token = redaction.apply(text, &data.find(text), &owner).into_owned();
    let settings = StreamSettings::default();
    for step in [1, 5, 17, 300] {
        let kind = StreamKind::Events;
        let mut sent = Sent::new(kind, Action::Mask, false);
        sent.redactor = StreamRedactor::new(kind, &data, &redaction, &owner, &settings);
        let pieces: Vec<&str> =
            token.as_bytes().chunks(step).map(|it| std::str::from_utf8(it).unwrap()).collect();
        let events: Vec<Value> = pieces.iter().map(|piece| json!({"answer": piece})).collect();
        let sent = sent.all(&events);
        assert_eq!(sent.len(), events.len());
        let told: String = sent.iter().filter_map(|event| event["answer"].as_str()).collect();
        assert_eq!(told, text, "{step}");
    }
}

#[test]
fn names_of_things_are_no_pieces_of_a_text() {
    let event = |id: &str, text: &str| {
        json!({
            "id": id, "call_id": id, "toolCallId": id, "type": id, "model": id, "role": id,
            "function": {"name": id}, "text": text,
        })
    };
    let events = [event("41111111", "so "), event("11111111", "it is."), event("a", " ")];
    assert_eq!(Sent::new(StreamKind::Events, Action::Mask, false).all(&events), events);
    // What is the same in each event is no piece either.
    let events =
        [json!({"trace": "41111111-abcd-11111111"}), json!({"trace": "41111111-abcd-11111111"})];
    assert_eq!(Sent::new(StreamKind::Events, Action::Mask, false).all(&events), events);
}

#[test]
fn many_places_and_many_events_are_bounded() {
    let mut stream = Sent::new(StreamKind::Events, Action::Mask, false);
    let mut waiting: usize = 0;
    // Each place comes twice, and ends in what may go on.
    for index in 0..2_000 {
        waiting += 1;
        waiting -= stream.push(&json!({format!("k{}", index / 2): "4111 1111"})).len();
        assert!(waiting <= 257, "{index}: {waiting}");
    }
    // A place that keeps coming is remembered.
    let mut sent = Vec::new();
    for piece in ["so 4111", " 1111", " 1111 ", "1111 x"] {
        let others: serde_json::Map<String, Value> =
            (0..50).map(|index| (format!("{piece}{index}"), json!("and"))).collect();
        sent.extend(stream.push(&json!({"text": piece, "others": others})));
    }
    sent.extend(stream.finish());
    let text: String = sent.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(text, "so **** **** **** 1111 x");
    // Long ones too.
    let mut stream = Sent::new(StreamKind::Lines, Action::Mask, false);
    let (mut given, mut got) = (0, 0);
    for _ in 0..100 {
        let event = json!({"text": "1-".repeat(4000)});
        given += 8_000;
        got += stream
            .push(&event)
            .iter()
            .map(|event| event["text"].as_str().unwrap().len())
            .sum::<usize>();
        assert!(given - got <= 300_000, "{given} {got}");
    }
}

#[test]
fn lines_are_events() {
    let mut stream = Sent::new(StreamKind::Lines, Action::Mask, false).redactor;
    let mut out = String::new();
    let long =
        format!("{{\"a\":\"{}\",\"b\":\"ann\\u0040example.com\"}}\n", "so it is. ".repeat(30_000));
    let lines = [
        "{\"n\":1}\r\n\n",
        "\u{1e}{\"n\": \"536-\\u00390-4399\"}\n",
        "no json 536-90-",
        "4399\n",
        &long,
        "{\"n\":2}",
    ];
    for line in lines {
        out.push_str(std::str::from_utf8(&stream.push(line.as_bytes())).unwrap());
    }
    out.push_str(std::str::from_utf8(&stream.finish()).unwrap());
    let lines: Vec<&str> = out.split('\n').collect();
    assert_eq!(lines[..2], ["{\"n\":1}", ""]);
    assert_eq!(lines[2..4], ["\u{1e}{\"n\":\"***-**-****\"}", "no json ***-**-****"]);
    assert!(lines[4].ends_with("\"b\":\"***@*******.***\"}"), "{}", &lines[4][300_000..]);
    assert_eq!(lines[5..], ["{\"n\":2}", ""]);
}

#[test]
fn kinds_of_lines() {
    for name in [
        "application/x-ndjson",
        "application/NDJSON; charset=utf-8",
        "application/jsonl",
        "application/json-seq",
        "application/geo+json-seq",
    ] {
        assert_eq!(StreamKind::of(name), StreamKind::Lines, "{name}");
    }
    assert_eq!(StreamKind::of("application/problem+json"), StreamKind::Json);
    assert_eq!(StreamKind::of("text/plain"), StreamKind::Text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the bytes of events come, the same goes out; and no card does, however it is cut into events.
    #[test]
    fn cuts_change_nothing(
        before in "[a-z]{0,9} ?",
        after in " [a-z]{1,9}[.]?",
        ends in proptest::collection::vec(0_usize..40, 0..8),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
        form in 0_usize..14,
        is_lines: bool,
    ) {
        let text = format!("{before} 4111 1111 1111 1111{after}");
        let mut ends: Vec<usize> = ends.into_iter().map(|end| end.min(text.len())).collect();
        ends.sort_unstable();
        ends.push(text.len());
        let mut place = 0;
        let kind = if is_lines { StreamKind::Lines } else { StreamKind::Events };
        let mut stream = Sent::new(kind, Action::Mask, false);
        let mut body = String::new();
        for (n, end) in ends.into_iter().enumerate() {
            body.push_str(&stream.text(&forms()[form](n, &text[place..end])));
            place = end;
        }
        let mut whole = stream.redactor.push(body.as_bytes());
        whole.extend(stream.redactor.finish());
        let told: String = stream.read(&whole).iter().map(said).collect();
        prop_assert!(told.chars().filter(char::is_ascii_digit).count() <= 6, "{}", told);
        prop_assert_eq!(told.len(), text.len());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(body.len());
        let mut cut = Sent::new(kind, Action::Mask, false);
        let (mut place, mut parts) = (0, Vec::new());
        for end in cuts {
            parts.extend(cut.redactor.push(&body.as_bytes()[place..end]));
            place = end;
        }
        parts.extend(cut.redactor.finish());
        prop_assert_eq!(parts, whole);
    }
}
