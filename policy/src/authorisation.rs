//! The authorisation stage: whether a caller may.

use crate::Principal;
use crate::document::{AuthorisationSection, Requirement};
use crate::identity::{ClaimCondition, Claims};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

/// A compiled `authorisation` section.
#[derive(Debug, Clone)]
pub(crate) struct AuthorisationRules {
    require: Requirement,
    roles: Vec<String>,
    scopes: Vec<String>,
    tenants: Vec<String>,
    claims: Vec<ClaimCondition>,
}

impl AuthorisationRules {
    /// `can_authenticate`: whether the document accepts any credential.
    pub(crate) fn compile(
        section: &AuthorisationSection,
        field: &str,
        can_authenticate: bool,
    ) -> Result<Self, CompileError> {
        let require = section.require.clone().unwrap_or_default();
        let rules = Self {
            require: require.clone(),
            roles: section.roles.clone().unwrap_or_default(),
            scopes: section.scopes.clone().unwrap_or_default(),
            tenants: section.tenants.clone().unwrap_or_default(),
            claims: ClaimCondition::compile_all(
                section.claims.as_deref().unwrap_or_default(),
                &format!("{field}.claims"),
            )?,
        };
        let asks = !(rules.claims.is_empty()
            && rules.roles.is_empty()
            && rules.scopes.is_empty()
            && rules.tenants.is_empty());
        match require {
            Requirement::Anonymous if asks => {
                let message = "anonymous callers have no roles, scopes or tenant: \
                               expected `authenticated`, or empty lists";
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

    /// Says what is missing, in the words of RFC 6750 §3.1 for scopes; roles and tenants are not told.
    pub(crate) fn check(
        &self,
        principal: &Principal,
        claims: Option<&Claims>,
    ) -> Result<(), Refusal> {
        let detail = "Ask for access, or use another credential.";
        let any = |wanted: &[String], held: &[String]| {
            wanted.is_empty() || wanted.iter().any(|role| held.contains(role))
        };
        if !any(&self.tenants, principal.tenant.as_slice()) {
            return Err(Refusal::new(Reason::TenantDenied, detail));
        }
        if !any(&self.roles, &principal.roles) {
            return Err(Refusal::new(Reason::RoleMissing, detail));
        }
        if !self.scopes.iter().all(|scope| principal.scopes.contains(scope)) {
            let challenge = format!(
                "Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"{}\"",
                self.scopes.join(" ")
            );
            let refusal = Refusal::new(Reason::ScopeMissing, "Ask for a token with this scope.");
            return Err(refusal.header("www-authenticate", challenge));
        }
        if !self.claims.iter().all(|condition| claims.is_some_and(|claims| condition.holds(claims)))
        {
            return Err(Refusal::new(Reason::ClaimDenied, detail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(roles: &[&str], scopes: &[&str], tenants: &[&str]) -> AuthorisationRules {
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let section = AuthorisationSection {
            require: None,
            roles: list(roles),
            scopes: list(scopes),
            tenants: list(tenants),
            claims: None,
        };
        AuthorisationRules::compile(&section, "authorisation", true).unwrap()
    }

    fn principal() -> Principal {
        Principal {
            tenant: Some("acme".into()),
            roles: vec!["caller".into()],
            scopes: vec!["a".into(), "b".into()],
            ..Principal::anonymous()
        }
    }

    #[test]
    fn any_role_all_scopes_any_tenant() {
        let check =
            |rules: AuthorisationRules| rules.check(&principal(), None).map_err(|r| r.reason);
        assert_eq!(check(rules(&["admin", "caller"], &["a", "b"], &["acme"])), Ok(()));
        assert_eq!(check(rules(&["admin"], &[], &[])), Err(Reason::RoleMissing));
        assert_eq!(check(rules(&["call"], &[], &[])), Err(Reason::RoleMissing));
        assert_eq!(check(rules(&[], &["a", "c"], &[])), Err(Reason::ScopeMissing));
        assert_eq!(check(rules(&[], &[], &["globex"])), Err(Reason::TenantDenied));
        let stateless = rules(&[], &[], &["acme"]).check(&Principal::anonymous(), None);
        assert_eq!(stateless.unwrap_err().reason, Reason::TenantDenied);
    }

    #[test]
    fn impossible_combinations_are_errors() {
        let section = AuthorisationSection {
            require: Some(Requirement::Anonymous),
            roles: Some(vec!["admin".into()]),
            ..Default::default()
        };
        assert!(AuthorisationRules::compile(&section, "authorisation", true).is_err());
        assert!(AuthorisationRules::compile(&Default::default(), "authorisation", false).is_err());
    }
}
