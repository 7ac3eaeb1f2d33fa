//! HTTP call-outs and timers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis::proxy_wasm::{
    CallOut, CallOuts, CallResponse, Completion, FilterPool, Host, LogLevel, MemoryLog,
    PluginConfig, RequestOutcome, block_on,
};

use crate::probe::{Rig, module, request};

/// Pauses, calls the cluster `keys`, and goes on when the answer is there.
const CALLING: &str = r#"
  (global $stream (mut i32) (i32.const 0))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $stream (local.get 0))
    (call $number (call $call #"nobody"
      #"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00"
      #"" #"" (i32.const 50) (i32.const 0)))
    (call $number (call $call #"keys" #"" #"" #"" (i32.const 50) (i32.const 0)))
    (call $number (call $call #"keys"
      #"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00"
      #"" #"" (i32.const 50) (i32.const 0)))
    (i32.const 1))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (call $number (local.get 2))
    (call $number (local.get 3))
    (if (i32.eqz (call $header (i32.const 6) #":status" (i32.const 32) (i32.const 36)))
      (then (call $say (i32.load (i32.const 32)) (i32.load (i32.const 36)))))
    (drop (call $effective (global.get $stream)))
    (drop (call $add (i32.const 0) #"x-called" #"yes"))
    (drop (call $continue (i32.const 0))))
"#;

/// Answers from another thread.
struct Keys(fn(Completion), Mutex<Vec<CallOut>>);

impl CallOuts for Keys {
    fn has_cluster(&self, name: &str) -> bool {
        name == "keys"
    }

    fn send(&self, call: CallOut, completion: Completion) {
        self.1.lock().unwrap().push(call);
        let answer = self.0;
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            answer(completion);
        });
    }
}

fn said(answer: fn(Completion)) -> Vec<String> {
    let keys = Arc::new(Keys(answer, Mutex::default()));
    let host = Host::default().with_call_outs(Arc::clone(&keys) as _);
    let rig = Rig::on(host, CALLING, |_| {});
    let outcome = block_on(rig.begin().request(request(&[])));
    let RequestOutcome::Forward(message) = outcome else { panic!("{outcome:?}") };
    assert_eq!(message.headers.first("x-called"), Some(b"yes".as_slice()));
    let calls = keys.1.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].timeout, Some(Duration::from_millis(50)));
    rig.said()
}

#[test]
fn a_stream_waits_for_its_call_out_and_goes_on() {
    let said = said(|completion| {
        let headers = [(":status", "200")].into_iter().collect();
        completion.finish(CallResponse { headers, body: b"{}".to_vec(), ..Default::default() });
    });
    // An unknown cluster and missing pseudo-headers are bad arguments.
    assert_eq!(said, ["2", "2", "0", "1", "2", "200"]);
}

#[test]
fn a_time_out_comes_as_504_and_a_failed_connection_as_503() {
    assert_eq!(said(Completion::timed_out).last().unwrap(), "504");
    assert_eq!(said(Completion::unreachable).last().unwrap(), "503");
}

#[test]
fn a_lost_call_comes_with_no_headers_and_no_body() {
    assert_eq!(said(drop)[3..], ["0", "0"]);
    assert_eq!(said(Completion::failed)[3..], ["0", "0"]);
}

#[test]
fn a_pool_serves_the_timers_of_its_filters() {
    let log = Arc::new(MemoryLog::new(LogLevel::Info, 100));
    let host = Arc::new(Host::default().with_log(Arc::clone(&log) as _));
    let ticking = module(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (drop (call $period (i32.const 20))) (i32.const 1))
           (func (export "proxy_on_tick") (param i32) (call $say #"tick"))"#,
    );
    let pool = FilterPool::start(&host, &[(ticking, PluginConfig::new("p", ""))], 2).unwrap();
    let begin = Instant::now();
    let mut ticks = 0;
    while ticks < 6 {
        assert!(begin.elapsed() < Duration::from_secs(10), "{ticks} ticks");
        std::thread::sleep(Duration::from_millis(10));
        ticks += log.take().len();
    }
    assert!(begin.elapsed() >= Duration::from_millis(55));
    drop(pool);
}

#[test]
fn a_filter_that_calls_for_ever_does_not_fill_the_stack() {
    struct AtOnce;

    impl CallOuts for AtOnce {
        fn has_cluster(&self, _: &str) -> bool {
            true
        }

        fn send(&self, _: CallOut, completion: Completion) {
            completion.failed();
        }
    }

    let calling = r#"
      (func $again (drop (call $call #"any"
        #"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00"
        #"" #"" (i32.const 50) (i32.const 0))))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $again) (i32.const 0))
      (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) (call $again))"#;
    let rig = Rig::on(Host::default().with_call_outs(Arc::new(AtOnce)), calling, |_| {});
    let outcome = block_on(rig.begin().request(request(&[])));
    assert!(matches!(outcome, RequestOutcome::Forward(_)));
}
