//! What one run compares.

use serde_json::json;

use super::envoy::{Envoy, Wasm};
use super::load::Load;
use crate::workspace::Workspace;

/// Envoys, what is sent to them, and what is to come out.
pub(super) struct Plan {
    pub(super) title: &'static str,
    pub(super) envoys: Vec<Envoy>,
    pub(super) variants: Vec<Variant>,
    pub(super) bounds: Vec<Bound>,
}

/// What is sent to one Envoy.
pub(super) struct Variant {
    pub(super) name: String,
    /// Its place in [`Plan::envoys`].
    pub(super) envoy: usize,
    pub(super) load: Load,
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
        Self { title, envoys: Vec::new(), variants: Vec::new(), bounds: Vec::new() }
    }

    /// Adds what everything is measured against, and answers its places: bare Envoy, and a filter that does nothing.
    pub(super) fn floor(
        &mut self,
        workspace: &Workspace,
        load: impl Fn() -> Load,
    ) -> (usize, usize) {
        let envoy = self.envoy(Envoy::new("bare Envoy", vec![]));
        let bare = self.variant("bare Envoy", envoy, load(), None, None);
        let noop = Wasm::new(workspace, "noop").filter(&json!({}), &[]);
        let envoy = self.envoy(Envoy::new("noop.wasm", vec![noop]));
        let noop = self.variant("a filter that does nothing", envoy, load(), Some(bare), None);
        (bare, noop)
    }

    /// Adds an Envoy and answers its place.
    pub(super) fn envoy(&mut self, envoy: Envoy) -> usize {
        self.envoys.push(envoy);
        self.envoys.len() - 1
    }

    /// Adds a variant and answers its place.
    pub(super) fn variant(
        &mut self,
        name: impl Into<String>,
        envoy: usize,
        load: Load,
        base: Option<usize>,
        peer: Option<usize>,
    ) -> usize {
        self.variants.push(Variant { name: name.into(), envoy, load, base, peer });
        self.variants.len() - 1
    }

    pub(super) fn bound(&mut self, variant: usize, at_most: AtMost) {
        self.bounds.push(Bound { variant, at_most });
    }
}
