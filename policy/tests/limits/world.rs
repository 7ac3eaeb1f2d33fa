//! A machine with several workers.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_policy::{
    CredentialKind, Document, Environment, Exchange, Header, HeaderEdit, MemoryStore,
    NativeSignature, Policy, Principal, Reason, Reply, RequestHead, Stage, Stages, Step, Swap,
    Timestamp, Unavailable, Version,
};
use serde_json::{Value, json};

pub(crate) const SECOND: u64 = 1_000_000_000;

/// What workers share, and the clock.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) now: u64,
    store: MemoryStore,
    /// How often it was asked.
    pub(crate) loads: u64,
}

impl Shared {
    pub(crate) fn stored_bytes(&self) -> usize {
        self.store.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// One worker: a policy of its own, and the store of all. What `between` does happens before it stores something.
pub(crate) struct Worker {
    pub(crate) policy: Arc<Policy>,
    pub(crate) shared: Rc<RefCell<Shared>>,
}

pub(crate) struct Runtime<'a> {
    shared: Rc<RefCell<Shared>>,
    between: &'a mut dyn FnMut(),
    source: Option<IpAddr>,
}

/// Workers of one machine, with the same limits.
pub(crate) fn workers(count: usize, limits: Value, more: Value) -> Vec<Worker> {
    let mut document = json!({
        "version": 1,
        "limits": limits,
        "routes": [{"name": "all", "match": {"prefix": "/"}, "input": {"max_body_bytes": 100_000}}],
        "access": {"methods": ["GET", "POST"]},
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    let document: Document = serde_json::from_value(document).unwrap();
    let shared = Rc::new(RefCell::new(Shared { now: 1_700_000_000 * SECOND, ..Shared::default() }));
    let secrets = std::collections::BTreeMap::<String, String>::new();
    let stages = Stages::of(&[Stage::Limits, Stage::Audit]);
    let compile = || Arc::new(Policy::compile(&document, &secrets, stages).unwrap());
    (0..count).map(|_| Worker { policy: compile(), shared: Rc::clone(&shared) }).collect()
}

/// A request.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) subject: String,
    pub(crate) source: Option<IpAddr>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) content_type: &'static str,
}

impl Ask {
    pub(crate) fn of(subject: &str) -> Self {
        let source = "192.0.2.1".parse().ok();
        Self { subject: subject.to_owned(), source, body: None, content_type: "application/json" }
    }

    /// Anonymous, from an address.
    pub(crate) fn from(source: IpAddr) -> Self {
        Self { source: Some(source), ..Self::of("") }
    }

    pub(crate) fn with_body(self, body: &str) -> Self {
        Self { body: Some(body.into()), ..self }
    }
}

/// A request that is under way.
pub(crate) struct Asked {
    pub(crate) exchange: Exchange,
    pub(crate) outcome: Result<Vec<HeaderEdit>, Reply>,
}

impl Asked {
    pub(crate) fn is_admitted(&self) -> bool {
        self.outcome.is_ok()
    }

    pub(crate) fn refused(&self) -> Option<Reason> {
        self.exchange.refused().map(|(reason, _)| reason)
    }
}

impl Worker {
    pub(crate) fn runtime<'a>(&self, between: &'a mut dyn FnMut()) -> Runtime<'a> {
        Runtime { shared: Rc::clone(&self.shared), between, source: None }
    }

    pub(crate) fn begin(&self, ask: &Ask, between: &mut dyn FnMut()) -> Asked {
        let mut runtime = Runtime { source: ask.source, ..self.runtime(between) };
        let mut headers: Vec<Header<'_>> = [
            (":method", if ask.body.is_some() { "POST" } else { "GET" }),
            (":path", "/v1/chat"),
            (":authority", "gate"),
            ("accept-encoding", "gzip"),
        ]
        .map(|(name, value)| (name, value.as_bytes()))
        .into();
        headers.push(("content-type", ask.content_type.as_bytes()));
        let head = RequestHead { headers: &headers, has_body: ask.body.is_some() };
        let mut exchange = self.policy.begin(runtime.now());
        if !ask.subject.is_empty() {
            exchange.assume_principal(Principal {
                subject: ask.subject.clone(),
                via: CredentialKind::Jwt,
                ..Principal::anonymous()
            });
        }
        let mut step = exchange.request_head(&head, &mut runtime);
        if step == Step::NeedBody {
            let body = ask.body.as_deref().unwrap_or_default();
            step = exchange.request_body(body, &mut runtime);
        }
        let outcome = match step {
            Step::Continue(edits) => Ok(edits),
            Step::Respond(reply) => Err(reply),
            step => panic!("ended with {step:?}"),
        };
        Asked { exchange, outcome }
    }

    /// The response's header section, parts of its body, and the end. Answers what was told to the client, and the record.
    pub(crate) fn answer(
        &self,
        mut asked: Asked,
        headers: &[(&str, &str)],
        parts: &[&[u8]],
    ) -> (Vec<HeaderEdit>, String) {
        let headers: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let edits = asked.exchange.response_head(&headers);
        for part in parts {
            if asked.exchange.wants_response_body() {
                assert_eq!(asked.exchange.response_body(part, false), None);
            }
        }
        (edits, self.finish(asked))
    }

    pub(crate) fn finish(&self, mut asked: Asked) -> String {
        asked.exchange.finish(&mut self.runtime(&mut || ())).unwrap_or_default()
    }

    /// A request from its beginning to its end, which is answered at once with nothing in it. Whether it was let through.
    pub(crate) fn admits(&self, ask: &Ask) -> bool {
        let asked = self.begin(ask, &mut || ());
        let is_admitted = asked.is_admitted();
        self.answer(asked, &[(":status", if is_admitted { "200" } else { "429" })], &[]);
        is_admitted
    }

    pub(crate) fn tick(&self) {
        self.policy.upkeep(&mut self.runtime(&mut || ()));
    }

    pub(crate) fn advance(&self, nanoseconds: u64) {
        self.shared.borrow_mut().now += nanoseconds;
    }
}

impl Environment for Runtime<'_> {
    fn now(&mut self) -> Timestamp {
        Timestamp(self.shared.borrow().now)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        bytes.fill(9);
        Ok(())
    }

    fn source(&mut self) -> Option<IpAddr> {
        self.source
    }

    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        let mut shared = self.shared.borrow_mut();
        shared.loads += 1;
        Ok(shared.store.load(key))
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        (self.between)();
        Ok(self.shared.borrow_mut().store.compare_and_swap(key, expected, value))
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}

/// Numbers that look random, the same ones every time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// From 0 up to but without `sides` (SplitMix64).
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}
