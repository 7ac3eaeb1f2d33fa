//! What one run compares.

use serde_json::json;

use super::envoy::{Envoy, Wasm};
use super::load::Load;
use super::program::Program;
use crate::workspace::Workspace;

/// Programs, what is sent to them, and what is to come out.
pub(super) struct Plan {
    pub(super) title: &'static str,
    pub(super) programs: Vec<Program>,
    pub(super) probes: Vec<Probe>,
    pub(super) variants: Vec<Variant>,
    pub(super) bounds: Vec<Bound>,
    /// What else is to be said with the figures.
    pub(super) remarks: Vec<String>,
}

/// What is sent to a program before anything is measured, to see that it does what its figures are said to be for.
pub(super) struct Probe {
    /// Its place in [`Plan::programs`].
    pub(super) program: usize,
    pub(super) what: &'static str,
    pub(super) load: Load,
    /// The status of the answer.
    pub(super) expected: u16,
}

/// What is sent to one program.
pub(super) struct Variant {
    pub(super) name: String,
    /// Its place in [`Plan::programs`].
    pub(super) program: usize,
    pub(super) load: Load,
    /// Of so many requests that others get, it gets one: where each takes milliseconds.
    pub(super) one_in: u32,
    /// The variant whose cost is taken off, by its place in [`Plan::variants`].
    pub(super) base: Option<usize>,
    /// The native variant to compare with, likewise.
    pub(super) peer: Option<usize>,
}

/// What a variant may cost.
pub(super) struct Bound {
    pub(super) variant: usize,
    pub(super) at_most: AtMost,
}

pub(super) enum AtMost {
    /// So many times what another variant costs over its base.
    Times { factor: f64, other: usize },
    /// So many microseconds more than another variant.
    Over { microseconds: f64, other: usize },
}

impl Plan {
    pub(super) fn new(title: &'static str) -> Self {
        Self {
            title,
            programs: Vec::new(),
            probes: Vec::new(),
            variants: Vec::new(),
            bounds: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds what everything is measured against, and answers its places: bare Envoy, and a filter that does nothing.
    pub(super) fn floor(
        &mut self,
        workspace: &Workspace,
        load: impl Fn() -> Load,
    ) -> (usize, usize) {
        let envoy = self.program(Envoy::new("bare Envoy", vec![]));
        let bare = self.variant("bare Envoy", envoy, load(), None, None);
        let noop = Wasm::new(workspace, "noop").filter(&json!({}), &[]);
        let envoy = self.program(Envoy::new("noop.wasm", vec![noop]));
        let noop = self.variant("a filter that does nothing", envoy, load(), Some(bare), None);
        (bare, noop)
    }

    /// Adds a program and answers its place.
    pub(super) fn program(&mut self, program: impl Into<Program>) -> usize {
        self.programs.push(program.into());
        self.programs.len() - 1
    }

    /// Adds a variant and answers its place.
    pub(super) fn variant(
        &mut self,
        name: impl Into<String>,
        program: usize,
        load: Load,
        base: Option<usize>,
        peer: Option<usize>,
    ) -> usize {
        self.variants.push(Variant { name: name.into(), program, load, one_in: 1, base, peer });
        self.variants.len() - 1
    }

    pub(super) fn bound(&mut self, variant: usize, at_most: AtMost) {
        self.bounds.push(Bound { variant, at_most });
    }
}
