//! Headers, properties, clock, environment.

use std::sync::Arc;

use portcullis::proxy_wasm::{
    FilterChain, Host, ManualClock, Message, Plugin, PluginConfig, RequestOutcome, block_on,
};

use crate::probe::{Rig, headers, info, module, request};

#[test]
fn a_missing_header_is_not_found_and_a_missing_map_a_bad_argument() {
    let rig = Rig::new(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $number (call $header (i32.const 0) #"x-none" (i32.const 32) (i32.const 36)))
             (call $number (call $header (i32.const 2) #"server" (i32.const 32) (i32.const 36)))
             (call $number (call $header (i32.const 8) #"server" (i32.const 32) (i32.const 36)))
             (i32.const 0))
           (func (export "proxy_on_log") (param i32)
             (call $number (call $header (i32.const 2) #"server" (i32.const 32) (i32.const 36)))
             (call $number (call $header (i32.const 0) #":path" (i32.const 32) (i32.const 36)))
             (call $number (call $add (i32.const 0) #"x" #"y")))"#,
    );
    block_on(rig.begin().request(request(&[])));
    assert_eq!(rig.said(), ["1", "2", "2", "1", "0", "2"]);
}

#[test]
fn a_header_that_is_not_utf_8_reaches_the_guest_and_goes_on() {
    let rig = Rig::new(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $number (call $header (i32.const 0) #"x-raw" (i32.const 32) (i32.const 36)))
             (call $number (call $replace (i32.const 0) #"x-copy"
               (i32.load (i32.const 32)) (i32.load (i32.const 36))))
             (i32.const 0))"#,
    );
    let mut map = headers(&[]);
    map.add("x-raw", b"\xff\xfe\x00z");
    let outcome = block_on(rig.begin().request(Message::new(map, "")));
    let RequestOutcome::Forward(message) = outcome else { panic!("{outcome:?}") };
    assert_eq!(message.headers.first("x-copy"), Some(b"\xff\xfe\x00z".as_slice()));
    assert_eq!(rig.said(), ["0", "0"]);
}

#[test]
fn only_the_first_of_duplicate_headers_is_shown() {
    let rig = Rig::new(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $number (local.get 1))
             (drop (call $header (i32.const 0) #"x-key" (i32.const 32) (i32.const 36)))
             (call $say (i32.load (i32.const 32)) (i32.load (i32.const 36)))
             (drop (call $property #"request\00headers\00x-key" (i32.const 32) (i32.const 36)))
             (call $say (i32.load (i32.const 32)) (i32.load (i32.const 36)))
             (i32.const 0))"#,
    );
    let message = Message::new(headers(&[("x-key", "one"), ("x-key", "two")]), "");
    block_on(rig.begin().request(message));
    assert_eq!(rig.said(), ["6", "one", "one,two"]);
}

#[test]
fn the_virtual_clock_is_seen_by_both_calls() {
    let clock = Arc::new(ManualClock::new(7));
    let rig = Rig::on(
        Host::default().with_clock(Arc::clone(&clock) as _),
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $now (i32.const 0)))
             (call $number (i32.load (i32.const 0)))
             (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 8)))
             (call $number (i32.load (i32.const 8)))
             (i32.const 0))"#,
        |_| {},
    );
    block_on(rig.begin().request(request(&[])));
    clock.set(9);
    block_on(rig.begin().request(request(&[])));
    assert_eq!(rig.said(), ["7", "7", "9", "9"]);
}

#[test]
fn the_environment_is_the_configured_one_and_no_other() {
    let rig = Rig::with(
        r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32)
             (call $number (call $environ (i32.const 0) (i32.const 64)))
             (call $say (i32.load (i32.const 0)) (i32.const 7))
             (i32.const 1))"#,
        |config| {
            config.environment.insert("KEY".into(), "abc".into());
        },
    );
    assert_eq!(rig.said(), ["0", "KEY=abc"]);
}

#[test]
fn filters_of_a_chain_see_each_others_state() {
    let rig = Rig::new(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $number (call $set_property #"verdict" #"good"))
             (i32.const 0))"#,
    );
    let reader = module(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $number (call $property #"verdict" (i32.const 32) (i32.const 36)))
             (call $say (i32.load (i32.const 32)) (i32.load (i32.const 36)))
             (drop (call $property #"source\00address" (i32.const 32) (i32.const 36)))
             (call $say (i32.load (i32.const 32)) (i32.load (i32.const 36)))
             (i32.const 0))
           (func (export "proxy_on_configure") (param i32 i32) (result i32)
             ;; There is no stream to set it on.
             (call $number (call $set_property #"verdict" #"good"))
             (i32.const 1))"#,
    );
    let reader = Plugin::start(&rig.host, &reader, PluginConfig::new("reader", "")).unwrap();
    let chain = FilterChain::new(vec![rig.chain.plugins()[0].clone(), reader]);
    let mut exchange = chain.begin(info());
    block_on(exchange.request(request(&[])));
    assert_eq!(rig.said(), ["1", "0", "0", "good", "192.0.2.7:4711"]);
    assert_eq!(exchange.info().filter_state("verdict").as_deref(), Some(b"good".as_slice()));
}
