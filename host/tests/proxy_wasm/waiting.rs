//! Streams that wait, and are moved by a timer or by the answer to a call, in the root context, as when several of them
//! wait for one key set.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis::proxy_wasm::{
    CallOut, CallOuts, CallResponse, Completion, Event, FilterChain, FilterPool, Host, LogLevel,
    MemoryLog, PluginConfig, RequestOutcome, block_on,
};

use crate::probe::{Rig, headers, info, module, request};

/// Holds every request. A tick moves the last of them: with the header `x-refuse` by an answer, else on. Nothing is let by
/// before that, not a body either.
const WAITING: &str = r#"
  (global $stream (mut i32) (i32.const 0))
  (global $open (mut i32) (i32.const 0))
  (global $refuse (mut i32) (i32.const 0))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $period (i32.const 20))) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $open (i32.const 0))
    (global.set $refuse
      (i32.eqz (call $header (i32.const 0) #"x-refuse" (i32.const 32) (i32.const 36))))
    (global.set $stream (local.get 0))
    (i32.const 1))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (call $number (local.get 1))
    (i32.eqz (global.get $open)))
  (func (export "proxy_on_tick") (param i32)
    (if (i32.eqz (global.get $stream)) (then (return)))
    (if (call $effective (global.get $stream))
      (then (call $say #"gone") (global.set $stream (i32.const 0)) (return)))
    (global.set $stream (i32.const 0))
    (global.set $open (i32.const 1))
    (if (global.get $refuse)
      (then
        (call $number (call $reply (i32.const 401) #"" #"no" #"" (i32.const -1)))
        (return)))
    (call $number (call $add (i32.const 0) #"x-ticked" #"yes"))
    (call $number (call $continue (i32.const 0)))
    ;; What goes on is out of reach.
    (call $number (call $add (i32.const 0) #"x-late" #"yes")))
  (func (export "proxy_on_log") (param i32) (call $say #"ended"))
"#;

fn pool(text: &str, workers: usize) -> (Arc<Host>, Arc<FilterPool>, Arc<MemoryLog>) {
    let log = Arc::new(MemoryLog::new(LogLevel::Info, 100));
    let host = Arc::new(Host::default().with_log(Arc::clone(&log) as _));
    let pool =
        FilterPool::start(&host, &[(module(text), PluginConfig::new("p", ""))], workers).unwrap();
    (host, pool, log)
}

#[test]
fn a_timer_lets_a_stream_go_on_with_its_header_edits() {
    let (_host, pool, log) = pool(WAITING, 1);
    let outcome = block_on(pool.begin(info()).request(request(&[])));
    let RequestOutcome::Forward(message) = outcome else { panic!("{outcome:?}") };
    assert_eq!(message.headers.first("x-ticked"), Some(b"yes".as_slice()));
    assert_eq!(message.headers.first("x-late"), None);
    let said: Vec<_> = log.take().into_iter().map(|line| line.message).collect();
    assert_eq!(said[..3], ["0", "0", "2"]);
}

#[test]
fn a_timer_answers_a_stream() {
    let (_host, pool, _) = pool(WAITING, 1);
    let mut message = request(&["body"]);
    message.headers = headers(&[("x-refuse", "1")]);
    let mut exchange = pool.begin(info());
    let outcome = block_on(exchange.request(message));
    let RequestOutcome::Reply(reply) = outcome else { panic!("{outcome:?}") };
    assert_eq!((reply.status(), reply.body_bytes()), (Some(401), b"no".to_vec()));
    assert!(exchange.take_upstream().is_empty(), "nothing of it goes on");
}

#[test]
fn a_client_that_leaves_while_its_stream_waits_leaves_nothing_behind() {
    let rig = Rig::new(WAITING);
    let mut exchange = rig.begin();
    exchange.send(Event::Headers(headers(&[]), false));
    drop(exchange);
    rig.chain.plugins()[0].tick();
    rig.chain.plugins()[0].tick();
    assert_eq!(rig.said(), ["ended", "gone"]);
}

#[test]
fn a_body_that_comes_while_a_stream_waits_is_kept_and_goes_on_with_it() {
    let rig = Rig::new(WAITING);
    let mut exchange = rig.begin();
    exchange.send(Event::Headers(headers(&[]), false));
    exchange.send(Event::Data(b"abc".to_vec(), false));
    exchange.send(Event::Data(b"de".to_vec(), false));
    assert!(exchange.take_upstream().is_empty());
    rig.chain.plugins()[0].tick();
    block_on(exchange.moved());
    let mut expected = headers(&[]);
    expected.add("x-ticked", "yes");
    assert_eq!(
        exchange.take_upstream(),
        [Event::Headers(expected, false), Event::Data(b"abcde".to_vec(), false)]
    );
    exchange.send(Event::Data(b"f".to_vec(), true));
    assert_eq!(exchange.take_upstream(), [Event::Data(b"f".to_vec(), true)]);
    assert_eq!(rig.said(), ["3", "5", "0", "0", "2", "1"]);
}

/// What a filter has decided from elsewhere comes before what the client sends after that.
#[test]
fn a_decision_is_not_lost_when_more_of_the_body_comes_first() {
    for refuse in [false, true] {
        let rig = Rig::new(WAITING);
        let mut exchange = rig.begin();
        let more: &[(&str, &str)] = if refuse { &[("x-refuse", "1")] } else { &[] };
        exchange.send(Event::Headers(headers(more), false));
        rig.chain.plugins()[0].tick();
        rig.said();
        exchange.send(Event::Data(b"late".to_vec(), true));
        assert_eq!(exchange.is_answered(), refuse);
        assert_eq!(exchange.is_request_forwarded(), !refuse);
        // The filter is not asked about the body of a request that it has answered.
        assert_eq!(rig.said(), if refuse { [""; 0].to_vec() } else { ["4"].to_vec() });
    }
}

#[test]
fn a_stream_that_may_go_on_does_although_more_of_its_body_is_held() {
    let rig = Rig::new(&WAITING.replace("(i32.eqz (global.get $open))", "(i32.const 1)"));
    let mut exchange = rig.begin();
    exchange.send(Event::Headers(headers(&[]), false));
    rig.chain.plugins()[0].tick();
    exchange.send(Event::Data(b"late".to_vec(), false));
    let events = exchange.take_upstream();
    assert!(matches!(events.as_slice(), [Event::Headers(_, false)]), "{events:?}");
}

#[test]
fn nothing_that_could_still_come_is_a_reason_to_give_up() {
    // The answer is there before anybody waits for it, and there is nothing else that could come.
    struct AtOnce;

    impl CallOuts for AtOnce {
        fn has_cluster(&self, _: &str) -> bool {
            true
        }

        fn send(&self, _: CallOut, completion: Completion) {
            completion.finish(CallResponse::default());
        }
    }

    let text = r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $call #"any"
          #"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00"
          #"" #"" (i32.const 50) (i32.const 0)))
        (i32.const 1))
      (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (drop (call $effective (i32.const 2)))
        (drop (call $continue (i32.const 0))))"#;
    let rig = Rig::on(Host::default().with_call_outs(Arc::new(AtOnce)), text, |_| {});
    let mut exchange = rig.begin();
    exchange.send(Event::Headers(headers(&[]), true));
    assert!(!exchange.may_move());
    block_on(exchange.request_moved());
    assert!(exchange.is_request_forwarded(), "not timed out");
}

/// Fetches once however many VMs there are: whoever sets the shared value from nothing calls, and all of them see the
/// outcome at their next tick.
const FETCHING: &str = r#"
  (global $stream (mut i32) (i32.const 0))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (if (i32.eq (call $shared #"set" (i32.const 32) (i32.const 36) (i32.const 40)) (i32.const 1))
      (then (drop (call $set_shared #"set" #"none" (i32.const 0)))))
    (drop (call $period (i32.const 10)))
    (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $stream (local.get 0)) (i32.const 1))
  (func (export "proxy_on_tick") (param i32)
    (drop (call $shared #"set" (i32.const 32) (i32.const 36) (i32.const 40)))
    ;; "none"
    (if (i32.eq (i32.load (i32.load (i32.const 32))) (i32.const 0x656e6f6e))
      (then
        (if (i32.eqz (call $set_shared #"set" #"busy" (i32.load (i32.const 40))))
          (then (drop (call $call #"keys"
            #"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00"
            #"" #"" (i32.const 50) (i32.const 0)))))))
    ;; "good"
    (if (i32.eq (i32.load (i32.load (i32.const 32))) (i32.const 0x646f6f67))
      (then (if (global.get $stream) (then
        (drop (call $effective (global.get $stream)))
        (global.set $stream (i32.const 0))
        (drop (call $continue (i32.const 0))))))))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $set_shared #"set" #"good" (i32.const 0))))
"#;

#[test]
fn several_vms_fetch_once_and_all_of_their_streams_go_on() {
    struct Slow(AtomicUsize);

    impl CallOuts for Slow {
        fn has_cluster(&self, _: &str) -> bool {
            true
        }

        fn send(&self, _: CallOut, completion: Completion) {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                let headers = [(":status", "200")].into_iter().collect();
                completion.finish(CallResponse { headers, ..CallResponse::default() });
            });
        }
    }

    let slow = Arc::new(Slow(AtomicUsize::new(0)));
    let host = Arc::new(Host::default().with_call_outs(Arc::clone(&slow) as _));
    let pool =
        FilterPool::start(&host, &[(module(FETCHING), PluginConfig::new("p", ""))], 4).unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                let outcome = block_on(pool.begin(info()).request(request(&[])));
                assert!(matches!(outcome, RequestOutcome::Forward(_)), "{outcome:?}");
            });
        }
    });
    assert_eq!(slow.0.load(Ordering::SeqCst), 1);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_vm_that_has_failed_ticks_no_more_and_its_waiting_streams_are_refused() {
    let text = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $period (i32.const 20))) (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
      (func (export "proxy_on_tick") (param i32) (unreachable))"#;
    let log = Arc::new(MemoryLog::new(LogLevel::Info, 100));
    let host = Arc::new(Host::default().with_log(Arc::clone(&log) as _));
    let plugin =
        portcullis::proxy_wasm::Plugin::start(&host, &module(text), PluginConfig::new("p", ""));
    let chain = FilterChain::new(vec![plugin.unwrap()]);
    let mut exchange = chain.begin(info());
    exchange.send(Event::Headers(headers(&[]), true));
    chain.plugins()[0].tick();
    block_on(exchange.moved());
    assert!(exchange.is_answered());
    chain.plugins()[0].tick();
    let failures = log.take().into_iter().filter(|line| line.message.contains("on_tick failed"));
    assert_eq!(failures.count(), 1);
}
