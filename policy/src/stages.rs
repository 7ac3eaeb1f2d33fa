//! Which stages a policy runs, and how the two large ones are made.
//!
//! Signature verification and JSON Schema are most of a filter's size. They are reached only through the function pointers
//! here, so a .wasm whose constant [`Stages`] leaves a stage out does not contain it.

use crate::access::Header;
use crate::document::{IdentitySection, InputSection};
use crate::identity::IdentityRules;
use crate::input::InputRules;
use crate::policy::CompileError;
use crate::problem::{Refusal, Stage};
use crate::{Environment, Principal, Secrets};

/// Which stages a policy runs: all of them, or those of one filter.
#[derive(Debug, Clone, Copy)]
pub struct Stages {
    bits: u8,
    identity: Option<IdentityCompiler>,
    input: Option<InputCompiler>,
}

type IdentityCompiler =
    fn(&IdentitySection, &dyn Secrets) -> Result<Box<dyn Identify>, CompileError>;
type InputCompiler = fn(&InputSection, &str) -> Result<Box<dyn Inspect>, CompileError>;

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
        let has_input = bits & (1 << Stage::Input as u8) != 0;
        Self {
            bits,
            identity: if has_identity { Some(IdentityRules::boxed) } else { None },
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
        secrets: &dyn Secrets,
    ) -> Result<Option<Box<dyn Identify>>, CompileError> {
        self.identity.map(|compile| compile(section, secrets)).transpose()
    }

    pub(crate) fn compile_input(
        self,
        section: &InputSection,
        field: &str,
    ) -> Result<Option<Box<dyn Inspect>>, CompileError> {
        self.input.map(|compile| compile(section, field)).transpose()
    }
}

/// The identity stage, compiled.
pub(crate) trait Identify: std::fmt::Debug + Send + Sync {
    /// Who is calling: anonymous where no credential is presented. One that is presented must be valid, also
    /// where none is needed.
    fn identify(
        &self,
        headers: &[Header],
        environment: &mut dyn Environment,
    ) -> Result<Principal, Refusal>;

    /// The refusal of a request that presents no credential where one is needed.
    fn missing(&self) -> Refusal;

    /// The fields that carry credentials, to be removed before the upstream sees them.
    fn credential_fields(&self) -> Vec<&str>;

    /// The field that carries API keys.
    fn api_key_header(&self) -> Option<&str>;
}

/// The input stage of one route, compiled.
pub(crate) trait Inspect: std::fmt::Debug + Send + Sync {
    /// The longest body let through.
    fn max_body_bytes(&self) -> usize;

    /// What the header section tells of the body, before any of it has come.
    fn check_head(&self, headers: &[Header], has_body: bool) -> Result<(), Refusal>;

    /// The whole body.
    fn check_body(&self, headers: &[Header], body: &[u8]) -> Result<(), Refusal>;
}
