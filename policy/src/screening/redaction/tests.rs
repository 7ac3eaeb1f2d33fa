use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::principal::{CredentialKind, Principal};
use crate::screening::PersonalData;

const CARD: &str = "4111 1111 1111 1111";

fn data() -> PersonalData {
    PersonalData::compile(&PersonalData::KINDS, "kinds").unwrap()
}

fn secret(byte: u8) -> Secret {
    Secret::from_bytes(Zeroizing::new(vec![byte; 32])).unwrap()
}

fn redaction(action: Action) -> Redaction {
    let actions = PersonalData::KINDS.iter().map(|kind| (*kind, action)).collect();
    Redaction::compile(&actions, Some(&secret(7)))
}

fn owner(subject: &str, tenant: Option<&str>) -> Owner {
    Owner::from(&Principal {
        subject: subject.into(),
        tenant: tenant.map(str::to_owned),
        via: CredentialKind::Jwt,
        ..Principal::anonymous()
    })
}

fn applied(action: Action, text: &str, owner: &Owner) -> String {
    redaction(action).apply(text, &data().find(text), owner).into_owned()
}

#[test]
fn masks_keep_lengths_and_the_last_four_digits_of_cards() {
    let owner = Owner::nobody();
    for (text, masked) in [
        ("pay 4111 1111 1111 1111 now", "pay **** **** **** 1111 now"),
        ("to jörg@example.com.", "to ****@*******.***."),
        ("call +44 20 7946 0958", "call +** ** **** ****"),
        ("nothing here", "nothing here"),
    ] {
        assert_eq!(applied(Action::Mask, text, &owner), masked);
        assert_eq!(applied(Action::Refuse, text, &owner), masked);
        assert_eq!(applied(Action::Flag, text, &owner), text);
    }
}

#[test]
fn hashes_are_the_same_for_the_same_value_of_one_tenant() {
    let (acme, other) = (owner("ann", Some("acme")), owner("ann", Some("other")));
    let grouped = applied(Action::Hash, CARD, &acme);
    assert!(grouped.starts_with("<payment_card:") && grouped.len() == 31, "{grouped}");
    assert_eq!(applied(Action::Hash, "4111-1111-1111-1111", &acme), grouped);
    assert_eq!(applied(Action::Hash, CARD, &owner("bob", Some("acme"))), grouped);
    assert_ne!(applied(Action::Hash, CARD, &other), grouped);
    assert_ne!(applied(Action::Hash, "5555555555554444", &acme), grouped);
    let actions = [(Kind::PaymentCard, Action::Hash)].into();
    let elsewhere = Redaction::compile(&actions, Some(&secret(8)));
    assert_ne!(elsewhere.apply(CARD, &data().find(CARD), &acme), grouped);
}

#[test]
fn tokens_come_back_to_their_owner_only() {
    let redaction = redaction(Action::Tokenise);
    let ann = owner("ann", Some("acme"));
    let text = format!("card {CARD} of ann@example.com");
    let sent = applied(Action::Tokenise, &text, &ann);
    assert!(!sent.contains("4111") && !sent.contains("ann@"), "{sent}");
    assert_eq!(applied(Action::Tokenise, &text, &ann), sent, "the same each time");
    assert_eq!(redaction.restore(&sent, &ann), text);
    // A token that is sent again is not taken for something else.
    assert_eq!(redaction.apply(&sent, &data().find(&sent), &ann), sent);
    for other in [
        owner("bob", Some("acme")),
        owner("ann", Some("other")),
        owner("ann", None),
        owner("ann\u{0}acme", None),
        Owner::nobody(),
    ] {
        assert_eq!(redaction.restore(&sent, &other), sent, "{other:?}");
    }
    // Neither do they open when they are changed, or called something else.
    let changed = sent.replace("<payment_card:", "<iban:");
    assert_eq!(redaction.restore(&changed, &ann).matches('<').count(), 1);
    let place = sent.find(':').unwrap() + 3;
    let mut bytes = sent.clone().into_bytes();
    bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(bytes).unwrap();
    assert!(!redaction.restore(&changed, &ann).contains("4111"));
}

#[test]
fn nobody_and_long_values_get_masks_for_tokens() {
    assert_eq!(applied(Action::Tokenise, CARD, &Owner::nobody()), "**** **** **** 1111");
    let anonymous = Owner::from(&Principal::anonymous());
    assert_eq!(anonymous, Owner::nobody());
    let long = format!("password: \"{}1\"", "aB".repeat(60));
    let key = format!("-----BEGIN PRIVATE KEY-----{}-----END PRIVATE KEY-----", "A".repeat(400));
    assert!(applied(Action::Tokenise, &long, &owner("ann", None)).contains("<secret:"));
    assert!(applied(Action::Tokenise, &key, &owner("ann", None)).starts_with("****"));
}

/// What is written like a token does not hide what is in it.
#[test]
fn a_forged_token_is_redacted() {
    let text = "<email_address:ann@example.com>";
    assert!(!applied(Action::Mask, text, &owner("ann", None)).contains("ann@"));
}

fn streamed(kind: StreamKind, action: Action, body: &[u8], cuts: &[usize]) -> (String, bool) {
    let settings = StreamSettings::default();
    let owner = owner("ann", None);
    let mut stream = StreamRedactor::new(kind, &data(), &redaction(action), &owner, &settings);
    let mut out = Vec::new();
    let mut place = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.sort_unstable();
    for cut in cuts {
        out.extend(stream.push(&body[place..cut]));
        place = cut;
    }
    out.extend(stream.push(&body[place..]));
    out.extend(stream.finish());
    (String::from_utf8(out).unwrap(), stream.is_refused())
}

#[test]
fn a_stream_in_bytes_is_as_the_whole() {
    let token = applied(Action::Tokenise, "bob@example.com", &owner("ann", None));
    let text = format!("Grüße, pay {CARD} to ann@example.com or {token}, 你好. ").repeat(20);
    let cuts: Vec<usize> = (0..text.len()).collect();
    let (out, is_refused) = streamed(StreamKind::Text, Action::Mask, text.as_bytes(), &cuts);
    let whole = redaction(Action::Mask)
        .rewrite(&text, &data().find(&text), &owner("ann", None))
        .into_owned();
    assert_eq!(out, whole);
    assert!(out.contains("bob@example.com") && !is_refused);
    assert!(streamed(StreamKind::Text, Action::Refuse, text.as_bytes(), &cuts).1);
}

#[test]
fn plain_words_are_not_held_for_long() {
    let settings = StreamSettings::default();
    let redaction = redaction(Action::Mask);
    let mut stream =
        StreamRedactor::new(StreamKind::Text, &data(), &redaction, &Owner::nobody(), &settings);
    let mut held: usize = 0;
    for word in "the quick brown fox jumps over the lazy dog ".repeat(30).split_inclusive(' ') {
        held += word.len();
        held -= stream.push(word.as_bytes()).len();
        assert!(held <= 24, "{held}");
    }
}

/// Never more is held than a bounded number of bytes, whatever comes.
#[test]
fn what_is_held_is_bounded() {
    let settings = StreamSettings::default();
    let redaction = redaction(Action::Mask);
    for pattern in
        ["x", "1-", "a@", "-----BEGIN PRIVATE KEY-----AAAA", "eyJ", "4 ", "<email_address:", "é"]
    {
        let mut stream =
            StreamRedactor::new(StreamKind::Text, &data(), &redaction, &Owner::nobody(), &settings);
        let (mut given, mut got) = (0, 0);
        for _ in 0..200 {
            let piece = pattern.repeat(200 / pattern.len());
            given += piece.len();
            got += stream.push(piece.as_bytes()).len();
            assert!(given - got <= 8 * 1024, "{pattern}: {given} {got}");
        }
    }
}

#[test]
fn long_keys_are_masked_from_begin_to_end() {
    let body = "MIIEowIBAAKCAQEA7bq8XkFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8\n".repeat(200);
    let text = format!(
        "here: -----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\nand ann said more"
    );
    for action in [Action::Mask, Action::Hash, Action::Tokenise] {
        for step in [1000, 97, 4096] {
            let cuts: Vec<usize> = (0..text.len()).step_by(step).collect();
            let (out, _) = streamed(StreamKind::Text, action, text.as_bytes(), &cuts);
            assert!(
                out.starts_with("here: ") && out.ends_with("and ann said more"),
                "{step} {out}"
            );
            assert!(!out.contains("MII") && !out.contains("WGeK"), "{action:?} {step}");
        }
    }
}

#[test]
fn json_is_read_as_what_it_says() {
    let body = r#"{"a":"ann\u0040example.com","card": 4111111111111111, "n":[1, 2.50, -3e4], "deep":{"ssn":"536\u002d90\u002d4399"},"t":"line\nann@example.com\té \ud83d\ude00"}"#;
    for cuts in [vec![], (0..body.len()).collect()] {
        let (out, _) = streamed(StreamKind::Json, Action::Mask, body.as_bytes(), &cuts);
        let value: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["a"], "***@*******.***");
        assert_eq!(value["card"], "************1111");
        assert_eq!(value["n"], json!([1, 2.5, -3e4]));
        assert_eq!(value["deep"]["ssn"], "***-**-****");
        assert_eq!(value["t"], "line\n***@*******.***\té 😀");
    }
}

fn chat(pieces: &[&str]) -> String {
    let mut body = String::new();
    for piece in pieces {
        let event = json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}]});
        body.push_str(&format!("data: {event}\n\n"));
    }
    let end = json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    body + &format!("data: {end}\n\ndata: [DONE]\n\n")
}

/// What a client of the chat reads.
fn read(stream: &str) -> String {
    let events = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let values = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    values
        .filter_map(|v| v.pointer("/choices/0/delta/content")?.as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a_text_in_events_is_one_text() {
    let body =
        chat(&["My card is 41", "11 1111", " 1111 11", "11, mail a", "nn@exam", "ple.com", " bye"]);
    for cuts in [vec![], (0..body.len()).collect()] {
        let (out, _) = streamed(StreamKind::Events, Action::Mask, body.as_bytes(), &cuts);
        assert_eq!(read(&out), "My card is **** **** **** 1111, mail ***@*******.*** bye");
        assert!(out.ends_with("data: [DONE]\n\n"), "{out}");
        let last = out.find("finish_reason\":\"stop").unwrap();
        assert!(out.rfind("bye").unwrap() < last, "text comes before its end");
    }
}

/// The arguments of each call of a tool are one text, and what is sent of them at the end names the tool no second time.
#[test]
fn arguments_of_tools_are_texts() {
    let event = |index: u8, arguments: &str, is_first: bool| {
        let mut call = json!({"index": index, "function": {"arguments": arguments}});
        if is_first {
            call["id"] = json!("call_1");
            call["function"]["name"] = json!("send");
        }
        let delta = json!({"tool_calls": [call]});
        let event = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        format!("data: {event}\n\n")
    };
    let body = [
        event(0, "{\"to\":\"ann@", true),
        event(1, "{\"to\":\"bob@exa", true),
        event(0, "example.com\"}", false),
        event(1, "mple.org\"}", false),
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
            .to_owned(),
    ];
    let (out, _) = streamed(StreamKind::Events, Action::Mask, body.concat().as_bytes(), &[]);
    let mut calls = [String::new(), String::new()];
    let events = out.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    for event in events.map(|data| serde_json::from_str::<Value>(data).unwrap()) {
        let Some(call) = event.pointer("/choices/0/delta/tool_calls/0") else { continue };
        let arguments = call["function"]["arguments"].as_str().unwrap();
        calls[call["index"].as_u64().unwrap() as usize].push_str(arguments);
    }
    assert_eq!(calls, ["{\"to\":\"***@*******.***\"}", "{\"to\":\"***@*******.***\"}"]);
    assert_eq!(out.matches("\"send\"").count(), 2, "{out}");
    // One call whose only event has all of it.
    let body = event(0, "{\"to\":\"ann@example.com\"}", true);
    let (out, _) = streamed(StreamKind::Events, Action::Mask, body.as_bytes(), &[]);
    assert_eq!(out.matches("\"send\"").count(), 1, "{out}");
    assert!(!out.contains("ann@"), "{out}");
}

#[test]
fn events_of_other_forms() {
    let anthropic = "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"ann@exam\"}}\r\n\r\n: ping\r\n\r\nevent: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"ple.com\"}}\r\n\r\nevent: content_block_stop\r\ndata: {\"type\":\"content_block_stop\",\"index\":0}\r\n\r\n";
    let (out, _) = streamed(StreamKind::Events, Action::Mask, anthropic.as_bytes(), &[]);
    assert!(out.contains("***@*******.***") && !out.contains("ann@"), "{out}");
    assert!(out.find("***@").unwrap() < out.find("_stop").unwrap());
    // Two choices are two texts.
    let event = |index: u8, text: &str| {
        let event = json!({"choices": [{"index": index, "delta": {"content": text}}]});
        format!("data: {event}\n\n")
    };
    let body =
        event(0, "41111111") + &event(1, "3782822463") + &event(0, "11111111") + &event(1, "10005");
    let (out, _) = streamed(StreamKind::Events, Action::Mask, body.as_bytes(), &[]);
    assert!(out.contains("***********0005") && out.contains("************1111"), "{out}");
    // Data that is not JSON, and an end without an end.
    let (out, _) =
        streamed(StreamKind::Events, Action::Mask, b"data: mail ann@exa\n\ndata: mple.com", &[]);
    assert!(!out.contains("ann@") && out.contains("***@*******.***"), "{out}");
    // What is elsewhere in an event is redacted too.
    let body =
        "data: {\"choices\":[],\"user\":\"ann@example.com\",\"usage\":{\"total_tokens\":12}}\n\n";
    let (out, _) = streamed(StreamKind::Events, Action::Mask, body.as_bytes(), &[]);
    assert!(out.contains("***@*******.***") && out.contains("\"total_tokens\":12"), "{out}");
}

#[test]
fn a_marker_is_never_sent_in_part() {
    let canary = Canary::compile(&["Heron-4821-quartz"], "markers").unwrap();
    let spaced = "H e r o n - 4 8 2 1 - q u a r t z";
    for spelling in ["heron 4821 quartz", spaced, "ztrauq-1284-noreH"] {
        let text = format!(
            "{} my marker is {spelling}. {}",
            "so it is. ".repeat(60),
            "and so on. ".repeat(60)
        );
        let redaction = redaction(Action::Mask);
        let settings = StreamSettings::default();
        let new = || {
            StreamRedactor::new(StreamKind::Text, &data(), &redaction, &Owner::nobody(), &settings)
        };
        for step in [1, 7, 4000] {
            let mut stream = new().watching(&canary);
            let mut out = String::new();
            for chunk in text.as_bytes().chunks(step) {
                out += std::str::from_utf8(&stream.push(chunk)).unwrap();
                let marked = out.split_once("marker is ").map_or("", |(_, after)| after);
                let start: String = marked.chars().take(3).collect();
                assert!("***".starts_with(&start) || start.starts_with("* "), "{start:?}");
            }
            out += std::str::from_utf8(&stream.finish()).unwrap();
            assert!(stream.is_refused());
            // Nothing follows it.
            assert!(!out.contains("and so on"), "{out}");
        }
        let mut unwatched = new();
        unwatched.push(text.as_bytes());
        assert!(!unwatched.is_refused());
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let planted = prop_oneof![
        Just("4111 1111 1111 1111"),
        Just("４１１１-1111-1111-1111"),
        Just("ann.lee@example.com"),
        Just("+44 20 7946 0958"),
        Just("GB82 WEST 1234 5698 7654 32"),
        Just("536-90-4399"),
        Just("password: hunter22"),
        Just("https://app:h7Gk2-q@db.example/"),
        Just("203.0.113.7"),
    ];
    let prose = "([a-zé]{1,9}[ ,.] ?){1,40}";
    let part = (prose, planted).prop_map(|(prose, planted)| format!("{prose} {planted} "));
    proptest::collection::vec(part, 1..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a text comes in pieces, what is sent is what would be sent of the whole.
    #[test]
    fn chunks_change_nothing(text in any_text(), cuts in proptest::collection::vec(any::<usize>(), 0..40)) {
        let whole = redaction(Action::Hash).rewrite(&text, &data().find(&text), &owner("ann", None)).into_owned();
        let (out, _) = streamed(StreamKind::Text, Action::Hash, text.as_bytes(), &cuts);
        prop_assert_eq!(&out, &whole);
        let body = json!({ "text": text }).to_string();
        let (out, _) = streamed(StreamKind::Json, Action::Hash, body.as_bytes(), &cuts);
        let value: Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(value["text"].as_str().unwrap(), &whole);
        let mut pieces = Vec::new();
        let mut place = 0;
        let mut ends: Vec<usize> =
            cuts.iter().map(|cut| text.floor_char_boundary(cut % (text.len() + 1))).collect();
        ends.sort_unstable();
        ends.push(text.len());
        for end in ends {
            pieces.push(&text[place..end]);
            place = end;
        }
        let body = chat(&pieces);
        let (out, _) = streamed(StreamKind::Events, Action::Hash, body.as_bytes(), &cuts);
        prop_assert_eq!(read(&out), whole);
    }

    /// What is to be refused ends the body at the same place however it comes, and nothing follows it.
    #[test]
    fn chunks_change_nothing_of_where_a_body_is_cut(
        text in any_text(),
        cuts in proptest::collection::vec(any::<usize>(), 0..40),
    ) {
        let after = "and nothing of this";
        let json = json!([{ "text": text, "number": 4_111_111_111_111_111_u64 }, after]).to_string();
        let events = format!("{}data: {after}\n\n", chat(&[&text]));
        let bodies = [
            (StreamKind::Text, format!("{text}{after}")),
            (StreamKind::Json, json),
            (StreamKind::Events, events.replace('\n', "\r")),
        ];
        for (kind, body) in bodies {
            let whole = streamed(kind, Action::Refuse, body.as_bytes(), &[]);
            prop_assert!(whole.1 && !whole.0.contains(after), "{kind:?}: {}", whole.0);
            prop_assert_eq!(streamed(kind, Action::Refuse, body.as_bytes(), &cuts), whole);
        }
    }

    /// Whatever bytes come, in whatever pieces, something comes out and nothing breaks.
    #[test]
    fn any_bytes_are_taken(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        cuts in proptest::collection::vec(any::<usize>(), 0..9),
        kind in prop_oneof![Just(StreamKind::Text), Just(StreamKind::Json), Just(StreamKind::Events)],
    ) {
        streamed(kind, Action::Mask, &body, &cuts);
    }
}

#[test]
fn without_a_key_there_are_no_tokens() {
    let actions = BTreeMap::from([(Kind::EmailAddress, Action::Tokenise)]);
    let redaction = Redaction::compile(&actions, None);
    let owner = owner("ann", Some("acme"));
    let found = data().find("to ann.lee@example.com");
    assert_eq!(redaction.apply("to ann.lee@example.com", &found, &owner), "to ***.***@*******.***");
}
