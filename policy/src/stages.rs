//! Which stages a policy runs, and how the large ones are made.
//!
//! Signature verification, the time zones of quotas and JSON Schema are most of a filter's size. They are reached only through the function pointers
//! here, so a .wasm whose constant [`Stages`] leaves a stage out does not contain it.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::access::{Header, Target};
use crate::document::{IdentitySection, InputSection, LimitRule, OutputSection, Requirement};
use crate::environment::Timestamp;
use crate::exchange::HeaderEdit;
use crate::identity::{Claims, IdentityRules, Required};
use crate::input::{Coding, InputRules, Violation};
use crate::limits::Limit;
use crate::policy::CompileError;
use crate::principal::RenderedPrincipal;
use crate::problem::{Refusal, Stage};
use crate::remote::Refreshed;
use crate::screening::{Notes, RewriteBody};
use crate::{Environment, Principal, Secret, Secrets};

/// Which stages a policy runs: all of them, or those of one filter.
#[derive(Debug, Clone, Copy)]
pub struct Stages {
    bits: u8,
    identity: Option<IdentityCompiler>,
    limits: Option<LimitsCompiler>,
    input: Option<InputCompiler>,
}

type IdentityCompiler =
    fn(&IdentitySection, bool, &dyn Secrets) -> Result<Box<dyn Identify>, CompileError>;
type LimitsCompiler = fn(&[LimitRule], &str) -> Result<Vec<Limit>, CompileError>;
type InputCompiler = fn(&InputSections<'_>) -> Result<Box<dyn Inspect>, CompileError>;

impl Stages {
    /// Every stage.
    pub const ALL: Self = Self::of(&Stage::ALL);

    /// The given stages.
    pub const fn of(stages: &[Stage]) -> Self {
        let (mut bits, mut rest) = (0, stages);
        while let [stage, tail @ ..] = rest {
            bits |= 1 << *stage as u8;
            rest = tail;
        }
        let has_identity = bits & (1 << Stage::Identity as u8) != 0;
        let has_limits = bits & (1 << Stage::Limits as u8) != 0;
        let has_input = bits & (1 << Stage::Input as u8) != 0;
        Self {
            bits,
            identity: if has_identity { Some(IdentityRules::boxed) } else { None },
            limits: if has_limits { Some(Limit::compile_all) } else { None },
            input: if has_input { Some(InputRules::boxed) } else { None },
        }
    }

    /// Whether a stage is among them.
    pub fn contains(self, stage: Stage) -> bool {
        self.bits & (1 << stage as u8) != 0
    }

    pub(crate) fn compile_identity(
        self,
        section: &IdentitySection,
        keeps_claims: bool,
        secrets: &dyn Secrets,
    ) -> Result<Option<Box<dyn Identify>>, CompileError> {
        self.identity.map(|compile| compile(section, keeps_claims, secrets)).transpose()
    }

    /// None where others see to limits.
    pub(crate) fn compile_limits(
        self,
        rules: &[LimitRule],
        field: &str,
    ) -> Result<Vec<Limit>, CompileError> {
        self.limits.map(|compile| compile(rules, field)).transpose().map(Option::unwrap_or_default)
    }

    pub(crate) fn compile_input(
        self,
        sections: &InputSections<'_>,
    ) -> Result<Option<Box<dyn Inspect>>, CompileError> {
        self.input.map(|compile| compile(sections)).transpose()
    }
}

/// What the input stage of a route is compiled of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputSections<'a> {
    pub(crate) input: &'a InputSection,
    /// Where it stands in the document.
    pub(crate) field: &'a str,
    pub(crate) output: &'a OutputSection,
    pub(crate) redaction_key: Option<&'a Secret>,
    /// The markers of `output.canaries`.
    pub(crate) canaries: &'a [Zeroizing<String>],
    /// What other routes have compiled.
    pub(crate) shared: &'a Shared,
}

/// Documents that are compiled once for all routes that have them. Behind `Any` for the sake of filters without this stage.
#[derive(Debug, Default)]
pub(crate) struct Shared(RefCell<Vec<(Arc<Value>, Compiled)>>);

type Compiled = Arc<dyn Any + Send + Sync>;

impl Shared {
    /// What was made of a document, or is made of it now.
    pub(crate) fn get<T: Send + Sync + 'static>(
        &self,
        document: &Arc<Value>,
        compile: impl FnOnce() -> Result<T, CompileError>,
    ) -> Result<Arc<T>, CompileError> {
        let known = self.0.borrow();
        let known_one = known.iter().find(|(known, _)| Arc::ptr_eq(known, document));
        let compiled = known_one.and_then(|(_, compiled)| Arc::clone(compiled).downcast().ok());
        drop(known);
        if let Some(compiled) = compiled {
            return Ok(compiled);
        }
        let compiled = Arc::new(compile()?);
        self.0.borrow_mut().push((Arc::clone(document), Arc::<T>::clone(&compiled)));
        Ok(compiled)
    }
}

/// What the identity stage is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) headers: &'a [Header<'a>],
    pub(crate) target: &'a Target,
    /// Which credentials the route wants.
    pub(crate) required: &'a Required,
    /// The route's name, where there is one.
    pub(crate) route: Option<&'a str>,
    /// When the request came: how long it may wait counts from then.
    pub(crate) since: Timestamp,
    /// What time it is: later, where the request has waited.
    pub(crate) now: Timestamp,
}

/// Who is calling, and what goes with it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Arc<RenderedPrincipal>,
    /// The claims of the token, where there is one.
    pub(crate) claims: Option<Arc<Claims>>,
    /// Header fields for the upstream.
    pub(crate) edits: Vec<HeaderEdit>,
    /// Header fields for the client.
    pub(crate) response_edits: Vec<HeaderEdit>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The request is refused.
    Refused(Box<Refusal>),
    /// Something has to be fetched first.
    Wait,
}

impl From<Refusal> for Interruption {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// The identity stage, compiled.
pub(crate) trait Identify: std::fmt::Debug + Send + Sync {
    /// Who is calling: `None` where no credential is presented. One that is presented must be valid, also
    /// where none is needed.
    fn identify(
        &self,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Option<Caller>, Interruption>;

    /// The refusal of a request that presents no credential where one is needed.
    fn missing(&self) -> Refusal;

    /// Takes credentials out of a request before the upstream sees them.
    fn hide(&self, headers: &[Header<'_>], target: &mut Target) -> Vec<HeaderEdit>;

    /// The fields that carry credentials, which may be there once.
    fn singular_fields(&self) -> Vec<&str>;

    /// The fields that are made of claims, which clients may not send.
    fn claim_fields(&self) -> Vec<&str>;

    /// Which credentials a route wants.
    fn require(&self, requirement: &Requirement, field: &str) -> Result<Required, CompileError>;

    /// What is fetched and kept fresh.
    fn remotes(&self) -> Vec<Arc<dyn Refreshed>>;
}

/// The input stage of one route, compiled.
pub(crate) trait Inspect: std::fmt::Debug + Send + Sync {
    /// The longest body let through.
    fn max_body_bytes(&self) -> usize;

    /// The header section, and what it tells of the body before any of it has come.
    fn check_head(
        &self,
        headers: &[Header<'_>],
        target: Option<&Target>,
        has_body: bool,
    ) -> Result<(Announced, Notes), Refusal>;

    /// The body without its compression; None where it has none.
    fn decode(&self, announced: &Announced, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal>;

    /// The whole body, decoded, with what was told of it before.
    fn check_body(
        &self,
        announced: &Announced,
        body: &[u8],
        principal: &Principal,
    ) -> Result<Inspected, Refusal>;

    /// Whether [`Self::response`] may answer something.
    fn looks_at_responses(&self) -> bool;

    /// Whether [`Self::response_check`] may answer something.
    fn checks_responses(&self) -> bool;

    /// What looks at a response with this header section, and changes nothing.
    fn response_check(
        &self,
        announced: &Announced,
        headers: &[Header<'_>],
    ) -> Option<Box<dyn CheckResponse>>;

    /// What the body of a response goes through, given its header section; None where it goes by as it is.
    fn response(
        &self,
        headers: &[Header<'_>],
        principal: &Principal,
    ) -> Option<Box<dyn RewriteBody>>;
}

/// A look at a response's body on its way, which changes nothing.
pub(crate) trait CheckResponse: std::fmt::Debug + Send {
    /// The next part, as it came. What is wrong with the whole, after the last one.
    fn push(&mut self, part: &[u8], is_last: bool) -> Vec<Violation>;

    /// A part has not been seen: nothing can be said.
    fn give_up(&mut self);
}

/// What the header section has told of what comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The body's media type, as it stands there.
    pub(crate) content_type: Option<Vec<u8>>,
    /// How it is compressed.
    pub(crate) coding: Option<Coding>,
    /// The number of the operation that is asked for, where an OpenAPI document says which there are.
    pub(crate) operation: Option<usize>,
}

/// What the input stage makes of a body that may go on.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Inspected {
    /// What goes on in its place, if it is not to go on as it is.
    pub(crate) rewritten: Option<Vec<u8>>,
    /// What was found in it.
    pub(crate) notes: Notes,
}
