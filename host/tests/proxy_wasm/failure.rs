//! Traps, endless loops, memory, bad modules, bad configuration, hostile host calls.

use std::time::{Duration, Instant};

use portcullis::proxy_wasm::{
    FailurePolicy, Host, LoadError, Module, Plugin, PluginConfig, RequestOutcome, ResponseOutcome,
    block_on,
};

use crate::probe::{Rig, engine, headers, module, request, response};

/// Traps at a request with the header `x-trap`, and otherwise lets everything pass.
const TRAPPING: &str = r#"
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (i32.eqz (call $header (i32.const 0) #"x-trap" (i32.const 32) (i32.const 36)))
      (then (unreachable)))
    (i32.const 0))
"#;

fn status(rig: &Rig, more: &[(&str, &str)]) -> Option<u16> {
    let mut message = request(&["body"]);
    message.headers = headers(more);
    match block_on(rig.begin().request(message)) {
        RequestOutcome::Forward(message) => {
            assert_eq!(message.body_bytes(), b"body");
            None
        }
        RequestOutcome::Reply(reply) => reply.status(),
        RequestOutcome::Reset => panic!("reset"),
    }
}

#[test]
fn closed_after_a_trap_every_stream_is_answered_503() {
    let rig = Rig::with(TRAPPING, |config| config.failure_policy = FailurePolicy::FailClosed);
    assert_eq!(status(&rig, &[]), None);
    assert_eq!(status(&rig, &[("x-trap", "1")]), Some(503));
    assert_eq!(status(&rig, &[]), Some(503));
    assert!(rig.chain.plugins()[0].is_failed());
    let lines = rig.log.take();
    assert!(lines.iter().any(|line| line.message.contains("proxy_on_request_headers failed")));
}

#[test]
fn with_reload_a_new_vm_takes_over_after_the_interval() {
    let rig = Rig::with(TRAPPING, |config| config.reload_interval = Duration::from_millis(200));
    assert_eq!(status(&rig, &[("x-trap", "1")]), Some(503));
    assert_eq!(status(&rig, &[]), Some(503), "within the interval");
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(status(&rig, &[]), None);
}

#[test]
fn open_after_a_trap_streams_pass() {
    let rig = Rig::with(TRAPPING, |config| config.failure_policy = FailurePolicy::FailOpen);
    assert_eq!(status(&rig, &[("x-trap", "1")]), None);
    assert_eq!(status(&rig, &[]), None);
}

#[test]
fn a_trap_fails_the_other_streams_of_the_vm_too() {
    let rig = Rig::new(&format!(
        r#"{TRAPPING}
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
             (i32.const 0))"#
    ));
    let mut other = rig.begin();
    let outcome = block_on(other.request(request(&[])));
    assert!(matches!(outcome, RequestOutcome::Forward(_)));
    assert_eq!(status(&rig, &[("x-trap", "1")]), Some(503));
    let outcome = block_on(other.response(response("200", "secret")));
    let ResponseOutcome::Send(reply) = outcome else { panic!("{outcome:?}") };
    assert_eq!((reply.status(), reply.body_bytes()), (Some(503), Vec::new()));
}

#[test]
fn an_endless_loop_is_cut_off() {
    let rig = Rig::with(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (loop $for_ever (br $for_ever)) (i32.const 0))"#,
        |config| config.limits.callback = Duration::from_millis(100),
    );
    let begin = Instant::now();
    assert_eq!(status(&rig, &[]), Some(503));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn memory_beyond_the_cap_is_refused_to_the_guest() {
    let rig = Rig::with(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $number (i32.add (memory.grow (i32.const 100)) (i32.const 1)))
             (i32.const 0))"#,
        |config| config.limits.memory = 2 * 1024 * 1024,
    );
    assert_eq!(status(&rig, &[]), None);
    assert_eq!(rig.said(), ["0"]);
}

#[test]
fn a_refused_configuration_is_an_error_with_the_filters_reason() {
    let text = r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
         (drop (call $log (i32.const 1) #"looking"))
         (drop (call $buffer (i32.const 7) (i32.const 0) (i32.const 99) (i32.const 32) (i32.const 36)))
         (drop (call $log (i32.const 4) (i32.load (i32.const 32)) (i32.load (i32.const 36))))
         (i32.const 0))"#;
    let host = Host::default().into();
    let config = PluginConfig::new("gate", "line 3: unknown field");
    let error = Plugin::start(&host, &module(text), config).err().unwrap();
    assert_eq!(
        error.to_string(),
        "filter gate failed while reading its configuration (proxy_on_configure): the filter \
         refused its configuration\n  error: line 3: unknown field"
    );

    let trapping = r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
         (drop (call $log (i32.const 4) #"no key")) (unreachable))"#;
    let error = Plugin::start(&host, &module(trapping), PluginConfig::new("gate", "")).err();
    let error = error.unwrap().to_string();
    assert!(error.contains("it trapped") && error.contains("no key"), "{error}");
}

#[test]
fn what_is_no_filter_is_refused_by_name() {
    let load = |text: &str| {
        let bytes = wat::parse_str(text).unwrap();
        Module::from_bytes(engine(), "x.wasm", &bytes).err().unwrap()
    };
    let error = Module::from_bytes(engine(), "x.wasm", b"#!/bin/sh").err().unwrap();
    assert!(matches!(&error, LoadError::Invalid { name, .. } if name == "x.wasm"), "{error}");
    let error = load("(module)").to_string();
    assert!(error.contains("exports no proxy_abi_version"), "{error}");
    let error = load(r#"(module (func (export "proxy_abi_version_0_1_0")))"#).to_string();
    assert!(error.contains("it exports proxy_abi_version_0_1_0"), "{error}");
    let error = load(
        r#"(module (import "env" "proxy_launch_missiles" (func))
             (func (export "proxy_abi_version_0_2_1"))
             (func (export "malloc") (param i32) (result i32) (i32.const 0)))"#,
    );
    assert!(error.to_string().contains("proxy_launch_missiles"), "{error}");
    let error = Module::load(engine(), "/nonexistent/x.wasm").err().unwrap();
    assert!(error.to_string().starts_with("/nonexistent/x.wasm: "), "{error}");
}

/// Every host call with every bad address: the host answers an error or does nothing; it does not
/// fall over, and the stream goes on.
#[test]
fn no_argument_of_a_host_call_harms_the_host() {
    const CALLS: &[(&str, usize)] = &[
        ("log", 3),
        ("header", 5),
        ("pairs", 3),
        ("add", 5),
        ("replace", 5),
        ("buffer", 5),
        ("set_buffer", 5),
        ("continue", 1),
        ("effective", 1),
        ("call", 10),
        ("shared", 5),
        ("set_shared", 5),
        ("register", 3),
        ("enqueue", 3),
        ("dequeue", 3),
        ("property", 4),
        ("set_property", 4),
        ("now", 1),
        ("define", 4),
        ("environ", 2),
    ];
    const NASTY: &[i64] = &[-1, 0, 1, 7, 65_535, 0x10_ffff, 0x11_0000, i32::MAX as i64, -65_536];
    let mut body = String::new();
    let mut seed = 1_u32;
    for (name, count) in CALLS {
        for _ in 0..40 {
            body += &format!("(drop (call ${name}");
            for _ in 0..*count {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value = NASTY[(seed >> 16) as usize % NASTY.len()];
                body += &format!(" (i32.const {value})");
            }
            body += "))\n";
        }
    }
    let rig = Rig::new(&format!(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             {body} (call $say #"survived") (i32.const 0))"#
    ));
    let outcome = block_on(rig.begin().request(request(&["body"])));
    assert!(matches!(outcome, RequestOutcome::Forward(_)), "{outcome:?}");
    assert_eq!(rig.said().last().map(String::as_str), Some("survived"));
}
