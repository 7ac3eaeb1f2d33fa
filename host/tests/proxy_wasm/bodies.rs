//! Pausing, buffering, limits, local replies.

use portcullis::proxy_wasm::{HeaderMap, Message, RequestOutcome, ResponseOutcome, block_on};

use crate::probe::{Rig, headers, request, response};

/// Pauses at the headers and at the body until its end; logs each size and end.
const HOLDING: &str = r#"
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.eqz (local.get 2)))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (call $number (local.get 1))
    (call $number (local.get 2))
    (i32.eqz (local.get 2)))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add (i32.const 2) #"x-seen" #"yes"))
    (i32.const 0))
"#;

#[test]
fn body_size_is_cumulative_while_paused_and_the_end_comes_again() {
    let rig = Rig::new(HOLDING);
    let mut exchange = rig.begin();
    let outcome = block_on(exchange.request(request(&["abc", "def"])));
    let RequestOutcome::Forward(message) = outcome else { panic!("{outcome:?}") };
    assert_eq!(message.body_bytes(), b"abcdef");
    assert_eq!(rig.said(), ["3", "0", "6", "0", "6", "1"]);
}

#[test]
fn headers_are_held_until_the_verdict_on_the_body() {
    use portcullis::proxy_wasm::Event;
    let rig = Rig::new(HOLDING);
    let mut exchange = rig.begin();
    exchange.send(Event::Headers(headers(&[]), false));
    exchange.send(Event::Data(b"abc".to_vec(), false));
    assert!(exchange.take_upstream().is_empty());
    exchange.send(Event::Data(Vec::new(), true));
    let events = exchange.take_upstream();
    assert_eq!(events, [Event::Headers(headers(&[]), false), Event::Data(b"abc".to_vec(), true)]);
}

#[test]
fn without_the_option_a_pause_at_the_headers_stops_everything() {
    let rig = Rig::with(HOLDING, |config| config.allow_on_headers_stop_iteration = false);
    let mut exchange = rig.begin();
    let outcome = block_on(exchange.request(request(&["abc"])));
    // Envoy lets the request hang until its stream times out.
    let RequestOutcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reply.status(), Some(504));
    assert!(rig.said().is_empty(), "the body callback must not run");
}

#[test]
fn a_body_over_the_limit_is_answered_413_by_the_host() {
    for chunks in [&["123456789"][..], &["12345", "6789"], &["1234", "5", "6", "7", "8", "9"]] {
        let rig = Rig::with(HOLDING, |config| config.buffer_limit = 8);
        let outcome = block_on(rig.begin().request(request(chunks)));
        let RequestOutcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
        assert_eq!(reply.status(), Some(413));
        assert_eq!(reply.body_bytes(), b"Payload Too Large");
        assert_eq!(reply.headers.first("x-seen"), Some(b"yes".as_slice()));
    }
    let rig = Rig::with(HOLDING, |config| config.buffer_limit = 8);
    let outcome = block_on(rig.begin().request(request(&["12345678"])));
    assert!(matches!(outcome, RequestOutcome::Forward(_)), "at the limit: {outcome:?}");
}

#[test]
fn with_trailers_the_end_comes_in_the_trailers_callback() {
    let rig = Rig::new(
        r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
          (call $number (local.get 2)) (i32.const 1))
        (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
          (call $say #"trailers")
          ;; The headers are still held and can be changed.
          (call $number (call $replace (i32.const 0) #"x-verdict" #"good"))
          (i32.const 0))"#,
    );
    let trailers: HeaderMap = [("x-checksum", "1")].into_iter().collect();
    let message = Message { trailers: Some(trailers.clone()), ..request(&["a", "b"]) };
    let outcome = block_on(rig.begin().request(message));
    let RequestOutcome::Forward(message) = outcome else { panic!("{outcome:?}") };
    assert_eq!(rig.said(), ["0", "0", "trailers", "0"]);
    assert_eq!(message.headers.first("x-verdict"), Some(b"good".as_slice()));
    assert_eq!((message.body_bytes(), message.trailers), (b"ab".to_vec(), Some(trailers)));
}

#[test]
fn a_body_set_after_the_headers_left_keeps_the_old_content_length() {
    let rig = Rig::new(
        r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
          (if (local.get 1) (then
            (call $number (call $set_buffer (i32.const 0) (i32.const 0) (local.get 1) #"smuggled"))
            ;; The headers have gone: they can neither be read nor changed.
            (call $number (call $header (i32.const 0) #"content-length" (i32.const 32) (i32.const 36)))
            (call $number (call $replace (i32.const 0) #"content-length" #"8"))))
          (i32.const 0))"#,
    );
    let message = Message::new(headers(&[("content-length", "3")]), "abc");
    let outcome = block_on(rig.begin().request(message));
    let RequestOutcome::Forward(message) = outcome else { panic!("{outcome:?}") };
    assert_eq!(message.headers.first("content-length"), Some(b"3".as_slice()));
    assert_eq!(message.body_bytes(), b"smuggled");
    assert_eq!(rig.said(), ["0", "2", "2"]);
}

#[test]
fn set_buffer_can_prepend_replace_and_append_and_nothing_else() {
    for (start, length, status, body) in [
        (0, 0, "0", "XYabc"),
        (0, 3, "0", "XY"),
        (0, 99, "0", "XY"),
        (3, 0, "0", "abcXY"),
        (0, 1, "2", "abc"),
        (1, 1, "2", "abc"),
    ] {
        let rig = Rig::new(&format!(
            r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
                 (if (local.get 1) (then (call $number (call $set_buffer
                   (i32.const 0) (i32.const {start}) (i32.const {length}) #"XY"))))
                 (i32.const 0))"#
        ));
        let outcome = block_on(rig.begin().request(request(&["abc"])));
        let RequestOutcome::Forward(message) = outcome else { panic!("{outcome:?}") };
        assert_eq!(rig.said(), [status]);
        assert_eq!(message.body_bytes(), body.as_bytes());
    }
}

#[test]
fn a_local_reply_runs_the_response_callbacks() {
    let rig = Rig::new(
        r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (call $number (call $reply (i32.const 403) #"no" #"denied" #"" (i32.const -1)))
          ;; A second one is refused.
          (call $number (call $reply (i32.const 200) #"" #"" #"" (i32.const -1)))
          (i32.const 1))
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
          (call $say #"body after the reply") (i32.const 0))
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
          (drop (call $add (i32.const 2) #"x-seen" #"yes")) (i32.const 0))
        (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
          (call $say #"response body") (i32.const 0))
        (func (export "proxy_on_log") (param i32) (call $say #"log"))"#,
    );
    let mut exchange = rig.begin();
    let outcome = block_on(exchange.request(request(&["abc"])));
    let RequestOutcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
    assert_eq!((reply.status(), reply.body_bytes()), (Some(403), b"denied".to_vec()));
    assert_eq!(reply.headers.first("x-seen"), Some(b"yes".as_slice()));
    assert_eq!(exchange.info().response_code_details().as_deref(), Some("no"));
    drop(exchange);
    assert_eq!(rig.said(), ["0", "2", "response body", "log"]);
}

/// Answers a response with a reply of its own, once it has all of the body.
fn replying_to_the_body(headers_verdict: u8) -> String {
    format!(
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
             (i32.const {headers_verdict}))
           (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
             (if (local.get 2) (then
               (drop (call $reply (i32.const 502) #"bad" #"withheld" #"" (i32.const -1)))))
             (i32.const 1))"#
    )
}

#[test]
fn a_reply_to_a_response_body_needs_the_headers_held() {
    let rig = Rig::new(&replying_to_the_body(1));
    let mut exchange = rig.begin();
    block_on(exchange.request(request(&[])));
    let outcome = block_on(exchange.response(response("200", "secret")));
    let ResponseOutcome::Send(reply) = outcome else { panic!("{outcome:?}") };
    assert_eq!((reply.status(), reply.body_bytes()), (Some(502), b"withheld".to_vec()));

    let rig = Rig::new(&replying_to_the_body(0));
    let mut exchange = rig.begin();
    block_on(exchange.request(request(&[])));
    let outcome = block_on(exchange.response(response("200", "secret")));
    let ResponseOutcome::Reset(truncated) = outcome else { panic!("{outcome:?}") };
    assert_eq!((truncated.status(), truncated.body_bytes()), (Some(200), Vec::new()));
}

/// Holds every part of a response back and lets what it has made of it go from within; says what it sees. Its last word comes with
/// the trailers.
const LETTING_GO: &str = r#"
  (global $parts (mut i32) (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (call $number (local.get 1))
    (drop (call $set_buffer (i32.const 1) (i32.const 0) (local.get 1) #"xy"))
    (if (global.get $parts) (then (drop (call $continue (i32.const 1)))))
    (global.set $parts (i32.const 1))
    (i32.const 1))
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
    (call $number (call $set_buffer (i32.const 1) (i32.const 0) (i32.const 99) #"the rest"))
    (i32.const 0))
"#;

#[test]
fn what_is_let_go_from_within_leaves_an_empty_buffer_for_the_trailers() {
    use portcullis::proxy_wasm::Event;
    let rig = Rig::new(LETTING_GO);
    let mut exchange = rig.begin();
    block_on(exchange.request(request(&[])));
    let head: HeaderMap = [(":status", "200")].into_iter().collect();
    exchange.respond(Event::Headers(head, false));
    let mut part = |data: &str| {
        exchange.respond(Event::Data(data.as_bytes().to_vec(), false));
        let events = exchange.take_downstream().into_iter();
        events.filter(|event| !matches!(event, Event::Headers(..))).collect::<Vec<_>>()
    };
    // As read off Envoy 1.40.0: nothing of the first part, then each part at once.
    assert_eq!(part("abc"), []);
    assert_eq!(part("defg"), [Event::Data(b"xy".to_vec(), false)]);
    assert_eq!(part("hi"), [Event::Data(b"xy".to_vec(), false)]);
    let trailers: HeaderMap = [("x-checksum", "1")].into_iter().collect();
    exchange.respond(Event::Trailers(trailers.clone()));
    let rest = [Event::Data(b"the rest".to_vec(), false), Event::Trailers(trailers)];
    assert_eq!(exchange.take_downstream(), rest);
    assert_eq!(rig.said(), ["3", "6", "2", "0"]);
}

#[test]
fn a_response_body_over_the_limit_becomes_a_500() {
    let rig = Rig::with(&replying_to_the_body(1), |config| config.buffer_limit = 5);
    let mut exchange = rig.begin();
    block_on(exchange.request(request(&[])));
    let outcome = block_on(exchange.response(response("200", "secret")));
    let ResponseOutcome::Send(reply) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reply.status(), Some(500));
}
