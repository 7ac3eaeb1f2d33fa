//! What VMs share: data, queues, metrics.

use std::sync::Arc;

use portcullis::proxy_wasm::{FilterChain, Plugin, PluginConfig, block_on};

use crate::probe::{Rig, info, module, request};

/// Adds 1 to the shared counter `n`, trying again after a mismatch, 2,000 times per request.
const COUNTING: &str = r#"
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (if (i32.eq (call $shared #"n" (i32.const 32) (i32.const 4) (i32.const 8)) (i32.const 1))
      (then (drop (call $set_shared #"n" #"\00\00\00\00" (i32.const 0)))))
    (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $left i32)
    (local.set $left (i32.const 2000))
    (loop $increment
      (global.set $heap (i32.const 65536))
      (drop (call $shared #"n" (i32.const 32) (i32.const 4) (i32.const 8)))
      (i32.store (i32.const 16)
        (i32.add (i32.load (i32.load (i32.const 32))) (i32.const 1)))
      (br_if $increment
        (call $set_shared #"n" (i32.const 16) (i32.const 4) (i32.load (i32.const 8))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $increment (local.get $left)))
    (i32.const 0))
"#;

#[test]
fn four_vms_that_count_with_compare_and_swap_lose_nothing() {
    let rig = Rig::new(COUNTING);
    let module = module(COUNTING);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let plugin = Plugin::start(&rig.host, &module, PluginConfig::new("p", "")).unwrap();
            let chain = FilterChain::new(vec![plugin]);
            scope.spawn(move || {
                for _ in 0..3 {
                    block_on(chain.begin(info()).request(request(&[])));
                }
            });
        }
    });
    let (value, _) = rig.host.shared_data().read("", b"n").unwrap();
    assert_eq!(u32::from_le_bytes(value.try_into().unwrap()), 4 * 3 * 2000);
}

#[test]
fn only_the_last_vm_to_register_a_queue_is_told() {
    let text = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $register #"q" (i32.const 0))) (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $number (call $enqueue (i32.load (i32.const 0)) #"news"))
        (i32.const 0))
      (func (export "proxy_on_queue_ready") (param i32 i32)
        (call $number (call $dequeue (local.get 1) (i32.const 4) (i32.const 8)))
        (call $say (i32.load (i32.const 4)) (i32.load (i32.const 8)))
        ;; Then it is empty.
        (call $number (call $dequeue (local.get 1) (i32.const 4) (i32.const 8))))"#;
    let rig = Rig::new(text);
    let last = Plugin::start(&rig.host, &module(text), PluginConfig::new("last", "")).unwrap();
    block_on(rig.begin().request(request(&[])));
    let lines: Vec<_> =
        rig.log.take().into_iter().map(|line| (line.plugin, line.message)).collect();
    let expected = [("probe", "0"), ("last", "0"), ("last", "news"), ("last", "7")];
    assert_eq!(lines, expected.map(|(plugin, text)| (plugin.to_owned(), text.to_owned())));
    drop(last);
}

#[test]
fn vms_share_their_metrics() {
    let text = r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $define (i32.const 0) #"requests" (i32.const 0)))
        (drop (call $increment (i32.load (i32.const 0)) (i64.const 1)))
        (i32.const 0))"#;
    let rig = Rig::new(text);
    let other = Plugin::start(&rig.host, &module(text), PluginConfig::new("p", "")).unwrap();
    let other = FilterChain::new(vec![other]);
    block_on(rig.begin().request(request(&[])));
    block_on(other.begin(info()).request(request(&[])));
    assert_eq!(rig.host.metrics().value("requests"), Some(2));
    assert!(Arc::strong_count(&rig.host) > 1);
}
