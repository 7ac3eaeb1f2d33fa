//! The policy's own limits, as each request finds them that is the first of its worker: so nothing is leased in advance.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_policy::{
    CredentialKind, Document, Environment, Exchange, HeaderEdit, MemoryStore, NativeSignature,
    Policy, Principal, RequestHead, Stage, Stages, Step, Swap, Timestamp, Unavailable, Version,
};
use serde_json::{Value, json};

/// What a client is told: the limit that is the tightest or refuses, what remains, and seconds to wait; or that it is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Admitted(Option<String>),
    Refused(String),
    ShutOut(u64),
}

pub(super) struct Reference {
    document: Document,
    machine: Rc<RefCell<Machine>>,
}

#[derive(Default)]
pub(super) struct Machine {
    pub(super) now: u64,
    store: MemoryStore,
}

/// A request that is under way.
pub(super) struct UnderWay {
    exchange: Exchange,
    runtime: Runtime,
}

/// One gate, as a request of this source finds it.
pub(super) struct Runtime {
    pub(super) machine: Rc<RefCell<Machine>>,
    pub(super) source: IpAddr,
}

impl Reference {
    pub(super) fn new(limits: &Value, penalty: Option<&Value>) -> Self {
        let document = json!({
            "version": 1,
            "limits": limits,
            "penalty": penalty,
            "routes": [{"name": "all", "match": {"prefix": "/"}}],
            "access": {"methods": ["GET", "POST"]},
        });
        let document = serde_json::from_value(document).unwrap();
        Self { document, machine: Rc::default() }
    }

    pub(super) fn set_time(&mut self, nanoseconds: u64) {
        self.machine.borrow_mut().now = nanoseconds;
    }

    /// A request of the subject and source of this number, with a body of this length.
    pub(super) fn request(&mut self, caller: u8, body: usize) -> (Told, UnderWay) {
        let stages = Stages::of(&[Stage::Limits]);
        let secrets = BTreeMap::<String, String>::new();
        let policy = Policy::compile(&self.document, &secrets, stages).unwrap();
        let now = self.machine.borrow().now;
        let mut exchange = Arc::new(policy).begin(Timestamp(now));
        let mut principal = Principal::anonymous();
        principal.subject = format!("caller {caller}");
        principal.via = CredentialKind::ApiKey;
        exchange.assume_principal(principal);
        let source = IpAddr::from([192, 0, 2, caller]);
        let mut runtime = Runtime { machine: Rc::clone(&self.machine), source };
        let headers: [(&str, &[u8]); 4] = [
            (":method", b"POST"),
            (":path", b"/"),
            (":authority", b"a.example"),
            (":scheme", b"http"),
        ];
        let head = RequestHead { headers: &headers, has_body: true };
        let mut step = exchange.request_head(&head, &mut runtime);
        if step == Step::NeedBody {
            step = exchange.request_body(&vec![b'x'; body], &mut runtime);
        }
        let told = match step {
            Step::Continue(_) => {
                // Told with the response; it is not needed for that.
                let mut edits = exchange.response_head(&[(":status", b"200")]).into_iter();
                let state = edits.find_map(|edit| match edit {
                    HeaderEdit::Set(name, value) if name == "ratelimit" => Some(value),
                    _ => None,
                });
                Told::Admitted(state)
            }
            Step::Respond(reply) => {
                let field = |name| reply.headers.iter().find(|(other, _)| *other == name);
                match field("ratelimit") {
                    Some((_, state)) => Told::Refused(state.clone()),
                    None => Told::ShutOut(field("retry-after").unwrap().1.parse().unwrap()),
                }
            }
            step => panic!("{step:?}"),
        };
        (told, UnderWay { exchange, runtime })
    }
}

impl UnderWay {
    /// The response has come: its status, and what it says that the request has taken.
    pub(super) fn finish(mut self, status: u16, used: Option<u64>) {
        let status = status.to_string();
        let head: [(&str, &[u8]); 2] =
            [(":status", status.as_bytes()), ("content-type", b"application/json")];
        self.exchange.response_head(&head);
        if self.exchange.wants_response_body() {
            let body = used.map_or_else(|| json!({}), |used| json!({ "used": used })).to_string();
            self.exchange.response_body(body.as_bytes(), true);
        }
        self.exchange.finish(&mut self.runtime);
    }
}

impl Environment for Runtime {
    fn now(&mut self) -> Timestamp {
        Timestamp(self.machine.borrow().now)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        bytes.fill(7);
        Ok(())
    }

    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        Ok(self.machine.borrow().store.load(key))
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        Ok(self.machine.borrow_mut().store.compare_and_swap(key, expected, value))
    }

    fn source(&mut self) -> Option<IpAddr> {
        Some(self.source)
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}
