//! What a policy does about personal data and secrets.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Action, Detection, Kind, Owner, PersonalData, Redaction};
use crate::Secret;
use crate::policy::CompileError;

/// What is looked for, and what is done about it.
#[derive(Debug, Clone)]
pub(crate) struct DataRules {
    pub(super) finder: PersonalData,
    pub(super) redaction: Redaction,
    tokenises: bool,
}

impl DataRules {
    /// None where nothing is to be looked for. `field` is where the actions stand in the document.
    pub(crate) fn compile(
        actions: &BTreeMap<Kind, Action>,
        key: Option<&Secret>,
        field: &str,
    ) -> Result<Option<Self>, CompileError> {
        if actions.values().all(|action| *action == Action::Allow) {
            return Ok(None);
        }
        let is_replaced = |action: &Action| matches!(action, Action::Hash | Action::Tokenise);
        if actions.get(&Kind::StackTrace).is_some_and(is_replaced) {
            let message = "expected allow, flag, mask or refuse: nobody needs to know one again";
            return Err(CompileError::new(format!("{field}.stack_trace"), message));
        }
        let keyed = actions.iter().find(|(_, action)| is_replaced(action));
        if let (None, Some((kind, _))) = (key, keyed) {
            let message = "hash and tokenise need `redaction.key`";
            return Err(CompileError::new(format!("{field}.{}", kind.as_str()), message));
        }
        Self::new(actions, key, field).map(Some)
    }

    /// Looks for nothing. Tokens are known by the key.
    pub(super) fn of_nothing(key: Option<&Secret>) -> Result<Self, CompileError> {
        Self::new(&BTreeMap::new(), key, "")
    }

    fn new(
        actions: &BTreeMap<Kind, Action>,
        key: Option<&Secret>,
        field: &str,
    ) -> Result<Self, CompileError> {
        let wanted = actions.iter().filter(|(_, action)| **action != Action::Allow);
        let kinds: Vec<Kind> = wanted.map(|(kind, _)| *kind).collect();
        Ok(Self {
            finder: PersonalData::compile(&kinds, field)?,
            redaction: Redaction::compile(actions, key),
            tokenises: actions.values().any(|action| *action == Action::Tokenise),
        })
    }

    /// Whether what was taken out comes back in responses.
    pub(crate) fn tokenises(&self) -> bool {
        self.tokenises
    }

    pub(super) fn find(&self, text: &str) -> Vec<Detection> {
        self.finder.find(text)
    }

    pub(super) fn is_refused(&self, kind: Kind) -> bool {
        self.redaction.action(kind) == Action::Refuse
    }

    /// Another text, where something in it is to be replaced.
    pub(super) fn redact(&self, text: &str, found: &[Detection], owner: &Owner) -> Option<String> {
        match self.redaction.apply(text, found, owner) {
            Cow::Owned(redacted) => Some(redacted),
            Cow::Borrowed(_) => None,
        }
    }
}
