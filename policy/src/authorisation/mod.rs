//! The authorisation stage: whether a caller may.

mod roles;

use std::sync::Arc;

pub(crate) use roles::Roles;

use crate::Principal;
use crate::document::{AuthorisationSection, Requirement};
use crate::identity::{ClaimCondition, Claims};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal, Stage};
use crate::trace::Trace;

/// A compiled `authorisation` section.
#[derive(Debug, Clone)]
pub(crate) struct AuthorisationRules {
    require: Requirement,
    roles: Vec<String>,
    /// The roles that satisfy a wish for `roles`, sorted.
    admitted: Vec<String>,
    hierarchy: Arc<Roles>,
    scopes: Vec<String>,
    tenants: Vec<String>,
    claims: Vec<ClaimCondition>,
    /// Whether the route's path names the tenant that it is for.
    tenant_in_path: bool,
}

/// Who asks, and for whose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) principal: &'a Principal,
    /// The claims of the caller's token, where there is one.
    pub(crate) claims: Option<&'a Claims>,
    /// The tenant that the path names, as it stands there.
    pub(crate) tenant: Option<&'a str>,
}

impl AuthorisationRules {
    /// `can_authenticate`: whether the document accepts any credential. `tenant_in_path`: whether the route's path has
    /// `{tenant}` in it.
    pub(crate) fn compile(
        section: &AuthorisationSection,
        field: &str,
        can_authenticate: bool,
        tenant_in_path: bool,
        hierarchy: &Arc<Roles>,
    ) -> Result<Self, CompileError> {
        let require = section.require.clone().unwrap_or_default();
        let roles = section.roles.clone().unwrap_or_default();
        hierarchy.check_known(&roles, &format!("{field}.roles"))?;
        let scopes = section.scopes.clone().unwrap_or_default();
        if let Some(index) = scopes.iter().position(|scope| !is_scope_token(scope)) {
            let message =
                "expected a scope (RFC 6749 §3.3): visible ASCII without quotes and backslashes";
            return Err(CompileError::new(format!("{field}.scopes[{index}]"), message));
        }
        let tenants = section.tenants.clone().unwrap_or_default();
        if let Some(index) = tenants.iter().position(String::is_empty) {
            let message = "expected a tenant's name";
            return Err(CompileError::new(format!("{field}.tenants[{index}]"), message));
        }
        let rules = Self {
            admitted: hierarchy.that_include(&roles).into_iter().collect(),
            hierarchy: Arc::clone(hierarchy),
            require,
            roles,
            scopes,
            tenants,
            claims: ClaimCondition::compile_all(
                section.claims.as_deref().unwrap_or_default(),
                &format!("{field}.claims"),
            )?,
            tenant_in_path,
        };
        let asks = [
            rules.roles.is_empty(),
            rules.scopes.is_empty(),
            rules.tenants.is_empty(),
            rules.claims.is_empty(),
        ];
        match rules.require {
            Requirement::Anonymous if asks.contains(&false) => {
                let message = "anonymous callers have no roles, scopes, tenant or claims: \
                               expected `authenticated`, or empty lists";
                Err(CompileError::new(format!("{field}.require"), message))
            }
            Requirement::Anonymous if tenant_in_path => {
                let message = "anonymous callers have no tenant: expected `authenticated`, or a path without {tenant}";
                Err(CompileError::new(format!("{field}.require"), message))
            }
            Requirement::Authenticated | Requirement::Any(_) | Requirement::All(_)
                if !can_authenticate =>
            {
                let message = "callers cannot be authenticated without `identity.jwt` or \
                               `identity.api_keys`: expected one of them, or `anonymous`";
                Err(CompileError::new(format!("{field}.require"), message))
            }
            _ => Ok(rules),
        }
    }

    /// Whether the caller must prove who they are.
    pub(crate) fn needs_credential(&self) -> bool {
        self.require != Requirement::Anonymous
    }

    /// Says what is missing, in the words of RFC 6750 §3.1 for scopes; roles, tenants and claims are not told.
    pub(crate) fn check(
        &self,
        asked: Asked<'_>,
        mut trace: Option<&mut Trace>,
    ) -> Result<(), Refusal> {
        self.check_tenant(asked, trace.as_deref_mut())?;
        self.check_roles(asked.principal, trace.as_deref_mut())?;
        self.check_scopes(asked.principal, trace.as_deref_mut())?;
        self.check_claims(asked.claims, trace)
    }

    fn check_tenant(&self, asked: Asked<'_>, mut trace: Option<&mut Trace>) -> Result<(), Refusal> {
        let Asked { principal, tenant: in_path, .. } = asked;
        let own = principal.tenant.as_deref().filter(|tenant| !tenant.is_empty());
        if self.tenant_in_path {
            let is_own = in_path.is_some_and(|segment| own == Some(segment) && is_plain(segment));
            if let Some(trace) = trace.as_deref_mut() {
                trace.judged(Stage::Authorisation, trace.route_field("match"), is_own, || {
                    let segment = in_path.unwrap_or_default();
                    let change = match own {
                        _ if !is_plain(segment) => format!(
                            "ask for a path with the tenant's own name in it: letters, digits, -, ., _ and ~, not {segment}"
                        ),
                        Some(own) => format!("ask for the path of {own}, or come as a caller of {segment}"),
                        None => format!("present a credential that names its tenant, {segment}"),
                    };
                    (format!("the path is that of tenant {segment}; the caller's is {}", own.unwrap_or("none")), change)
                });
            }
            if !is_own {
                return Err(Refusal::new(Reason::TenantDenied, ASK_FOR_ACCESS));
            }
        }
        if self.tenants.is_empty() {
            return Ok(());
        }
        let is_listed = own.is_some_and(|own| self.tenants.iter().any(|tenant| tenant == own));
        if let Some(trace) = trace {
            trace.judged(Stage::Authorisation, "authorisation.tenants", is_listed, || {
                let wanted = list(&self.tenants);
                let change =
                    format!("come as a caller of one of the tenants {wanted}, or add the caller's");
                (
                    format!(
                        "one of the tenants {wanted}; the caller's is {}",
                        own.unwrap_or("none")
                    ),
                    change,
                )
            });
        }
        match is_listed {
            true => Ok(()),
            false => Err(Refusal::new(Reason::TenantDenied, ASK_FOR_ACCESS)),
        }
    }

    fn check_roles(&self, principal: &Principal, trace: Option<&mut Trace>) -> Result<(), Refusal> {
        if self.roles.is_empty() {
            return Ok(());
        }
        let held = principal.roles.iter().find(|role| self.admitted.binary_search(role).is_ok());
        if let Some(trace) = trace {
            trace.judged(Stage::Authorisation, "authorisation.roles", held.is_some(), || {
                let wanted = list(&self.roles);
                let found = match held {
                    Some(held) => format!("held: {}", self.chain(held)),
                    None => format!("the caller's are {}", list(&principal.roles)),
                };
                let change = format!("give the caller one of the roles {}", list(&self.admitted));
                (format!("one of the roles {wanted}; {found}"), change)
            });
        }
        match held {
            Some(_) => Ok(()),
            None => Err(Refusal::new(Reason::RoleMissing, ASK_FOR_ACCESS)),
        }
    }

    fn check_scopes(
        &self,
        principal: &Principal,
        trace: Option<&mut Trace>,
    ) -> Result<(), Refusal> {
        if self.scopes.is_empty() {
            return Ok(());
        }
        let has_all = self.scopes.iter().all(|scope| principal.scopes.contains(scope));
        if let Some(trace) = trace {
            trace.judged(Stage::Authorisation, "authorisation.scopes", has_all, || {
                let wanted = list(&self.scopes);
                let change = format!("get a token with the scopes {wanted}");
                (
                    format!(
                        "all of the scopes {wanted}; the caller's are {}",
                        list(&principal.scopes)
                    ),
                    change,
                )
            });
        }
        if has_all {
            return Ok(());
        }
        let challenge = format!(
            "Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"{}\"",
            self.scopes.join(" ")
        );
        let refusal = Refusal::new(Reason::ScopeMissing, "Ask for a token with this scope.");
        Err(refusal.header("www-authenticate", challenge))
    }

    fn check_claims(
        &self,
        claims: Option<&Claims>,
        mut trace: Option<&mut Trace>,
    ) -> Result<(), Refusal> {
        for (index, condition) in self.claims.iter().enumerate() {
            let holds = claims.is_some_and(|claims| condition.holds(claims));
            if let Some(trace) = trace.as_deref_mut() {
                trace.judged(
                    Stage::Authorisation,
                    format!("authorisation.claims[{index}]"),
                    holds,
                    || {
                        let claim = condition.path.as_str();
                        // What a token says beyond the principal may be private.
                        let found = match claims.map(|claims| condition.path.find(claims)) {
                            None => "the caller has no token",
                            Some(None) => "the token has none",
                            Some(Some(_)) if holds => "the token's is that",
                            Some(Some(_)) => "the token's is another",
                        };
                        let change =
                            format!("get a token whose claim {claim} is as this condition has it");
                        (format!("the claim {claim}; {found}"), change)
                    },
                );
            }
            if !holds {
                return Err(Refusal::new(Reason::ClaimDenied, ASK_FOR_ACCESS));
            }
        }
        Ok(())
    }

    /// How a role that is held gives one that is wanted, for people to read.
    fn chain(&self, held: &str) -> String {
        let chain = self.roles.iter().find_map(|wanted| self.hierarchy.chain(held, wanted));
        chain.map_or_else(|| held.to_owned(), |chain| chain.join(" -> "))
    }
}

const ASK_FOR_ACCESS: &str = "Ask for access, or use another credential.";

/// Whether the segment of a path that names a tenant can be read in one way only: unreserved characters (RFC 3986 §2.3).
/// Whatever is escaped, or begins parameters (`acme;x=1`) to some upstreams, may name somebody else to others.
fn is_plain(segment: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !segment.is_empty() && segment.bytes().all(unreserved)
}

/// RFC 6749 §3.3.
fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

fn list(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}

#[cfg(test)]
mod tests;
