//! Which credentials a route wants, and who is calling where there are several.

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

    /// Whether a request may present more than one credential.
    pub(super) fn takes_several(&self) -> bool {
        matches!(self, Self::All(_))
    }

    /// Who is calling, of those that the presented credentials name.
    pub(super) fn choose(
        &self,
        mut callers: Vec<(Provider, Caller)>,
        missing: impl Fn() -> Refusal,
    ) -> Result<Option<Caller>, Refusal> {
        match self {
            Self::AnyOrNone => Ok(callers.pop().map(|(_, caller)| caller)),
            Self::OneOf(wanted) => match callers.pop() {
                Some((provider, caller)) if wanted.contains(&provider) => Ok(Some(caller)),
                _ => Err(missing()),
            },
            Self::All(wanted) => Self::choose_all(wanted, callers, missing).map(Some),
        }
    }

    fn choose_all(
        wanted: &[Provider],
        callers: Vec<(Provider, Caller)>,
        missing: impl Fn() -> Refusal,
    ) -> Result<Caller, Refusal> {
        // One more than is asked for, or two of a kind: nobody has said what that would mean.
        if callers.len() > wanted.len() {
            return Err(Refusal::new(Reason::CredentialConflict, "Present each credential once."));
        }
        let mut chosen: Option<Caller> = None;
        for provider in wanted {
            let held = callers.iter().find(|(held, _)| held == provider);
            let (_, caller) = held.ok_or_else(&missing)?;
            match &mut chosen {
                None => chosen = Some(caller.clone()),
                Some(chosen) => {
                    if let (Some(one), Some(other)) =
                        (&chosen.principal.tenant, &caller.principal.tenant)
                        && one != other
                    {
                        let detail = "Present credentials of one tenant.";
                        return Err(Refusal::new(Reason::CredentialConflict, detail));
                    }
                    chosen.edits.extend(caller.edits.iter().cloned());
                    chosen.response_edits.extend(caller.response_edits.iter().cloned());
                }
            }
        }
        chosen.ok_or_else(missing)
    }
}
