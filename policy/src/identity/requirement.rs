//! Which credentials a route wants, and who is calling where there are several.

use super::few::Few;
use crate::document::Requirement;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::stages::Caller;

/// Who vouches for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    /// The issuer in that place.
    Issuer(usize),
    /// The list of API keys.
    ApiKey,
}

/// A compiled [`Requirement`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Required {
    /// Any credential, or none: whether one is needed is for authorisation to say.
    #[default]
    AnyOrNone,
    /// One of these.
    OneOf(Vec<Provider>),
    /// All of these.
    All(Vec<Provider>),
}

impl Required {
    pub(super) fn compile(
        requirement: &Requirement,
        provider: impl Fn(&str) -> Option<Provider>,
        field: &str,
    ) -> Result<Self, CompileError> {
        let (kind, names) = match requirement {
            Requirement::Authenticated | Requirement::Anonymous => return Ok(Self::AnyOrNone),
            Requirement::Any(names) => ("any", names),
            Requirement::All(names) => ("all", names),
        };
        let field = format!("{field}.{kind}");
        if names.is_empty() {
            return Err(CompileError::new(field, "expected at least one name"));
        }
        let mut providers = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let provider = provider(name).ok_or_else(|| {
                let message = format!("expected the name of an issuer, or `api_key` with `identity.api_keys`, found `{name}`");
                CompileError::new(&field, message)
            })?;
            if providers.contains(&provider) {
                return Err(CompileError::new(field, "expected a name that is not listed before"));
            }
            providers.push(provider);
        }
        Ok(match requirement {
            Requirement::All(_) => Self::All(providers),
            _ => Self::OneOf(providers),
        })
    }

    /// The most credentials that a request may present.
    pub(super) fn most(&self) -> usize {
        match self {
            Self::AnyOrNone | Self::OneOf(_) => 1,
            Self::All(wanted) => wanted.len(),
        }
    }

    /// Those that a request must present together.
    pub(super) fn together(&self) -> &[Provider] {
        match self {
            Self::AnyOrNone | Self::OneOf(_) => &[],
            Self::All(wanted) => wanted,
        }
    }

    /// Who is calling, of those that the presented credentials name. Where it is nobody that may, `missing` is told whether any
    /// credential was presented.
    pub(super) fn choose(
        &self,
        mut callers: Few<(Provider, Caller)>,
        missing: impl Fn(bool) -> Refusal,
    ) -> Result<Option<Caller>, Refusal> {
        match self {
            Self::AnyOrNone => Ok(callers.pop().map(|(_, caller)| caller)),
            Self::OneOf(wanted) => match callers.pop() {
                Some((provider, caller)) if wanted.contains(&provider) => Ok(Some(caller)),
                other => Err(missing(other.is_some())),
            },
            Self::All(wanted) => Self::choose_all(wanted, callers, missing).map(Some),
        }
    }

    fn choose_all(
        wanted: &[Provider],
        callers: Few<(Provider, Caller)>,
        missing: impl Fn(bool) -> Refusal,
    ) -> Result<Caller, Refusal> {
        // Not with the first one's alone: it may name none, and the others two.
        let mut tenants = callers.iter().filter_map(|(_, caller)| caller.principal.tenant.as_ref());
        let tenant = tenants.next();
        if tenants.any(|other| Some(other) != tenant) {
            let detail = "Present credentials of one tenant.";
            return Err(Refusal::new(Reason::CredentialConflict, detail));
        }
        let mut chosen: Option<Caller> = None;
        for provider in wanted {
            let held = callers.iter().find(|(held, _)| held == provider);
            let (_, caller) = held.ok_or_else(|| missing(callers.iter().next().is_some()))?;
            match &mut chosen {
                None => chosen = Some(caller.clone()),
                Some(chosen) => {
                    chosen.edits.extend(caller.edits.iter().cloned());
                    chosen.response_edits.extend(caller.response_edits.iter().cloned());
                }
            }
        }
        chosen.ok_or_else(|| missing(false))
    }
}
