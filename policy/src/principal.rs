//! Who is calling.

#[cfg(feature = "engine")]
use std::sync::OnceLock;

use sfv::{BareItem, DictSerializer, Dictionary, Item, ListEntry, Parser, RefBareItem};

/// How a caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CredentialKind {
    /// Nobody asked: the route lets anonymous callers in.
    Anonymous,
    /// A JSON Web Token (RFC 7519) in the Authorization field (RFC 6750).
    Jwt,
    /// An API key.
    ApiKey,
}

impl CredentialKind {
    /// The name used in the `via` member of the principal, in audit records and in documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Jwt => "jwt",
            Self::ApiKey => "api-key",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Anonymous, Self::Jwt, Self::ApiKey].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Who is calling, as the gate has established it. Upstreams receive it in the `Portcullis-Principal` field,
/// an RFC 9651 dictionary: `sub="alice", iss="https://issuer.example", tenant="acme", roles=("caller"), scopes=(), via=jwt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The issuer of the token, whose subject it is. Two issuers may have a subject of the same name.
    pub issuer: Option<String>,
    /// The subject: a JWT's `sub`, an API key's owner, empty for anonymous callers.
    pub subject: String,
    /// The tenant that the credential belongs to, where it names one. Never taken from the request.
    pub tenant: Option<String>,
    /// The plan that the credential is on, where it names one.
    pub plan: Option<String>,
    /// Roles, sorted, without duplicates.
    pub roles: Vec<String>,
    /// OAuth 2 scopes (RFC 6749 §3.3), sorted, without duplicates.
    pub scopes: Vec<String>,
    /// How the caller proved it.
    pub via: CredentialKind,
    /// What identifies the credential in records without disclosing it: a JWT's `jti`, an API key's id.
    pub credential_id: Option<String>,
}

/// A principal whose field is written once, however often it is needed: callers come again.
#[cfg(feature = "engine")]
#[derive(Debug)]
pub(crate) struct RenderedPrincipal {
    principal: Principal,
    field: OnceLock<String>,
}

#[cfg(feature = "engine")]
impl RenderedPrincipal {
    /// As [`Principal::to_field`].
    pub(crate) fn field(&self) -> &str {
        self.field.get_or_init(|| self.principal.to_field())
    }
}

#[cfg(feature = "engine")]
impl From<Principal> for RenderedPrincipal {
    fn from(principal: Principal) -> Self {
        Self { principal, field: OnceLock::new() }
    }
}

#[cfg(feature = "engine")]
impl std::ops::Deref for RenderedPrincipal {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl Principal {
    /// A caller of whom nothing is known.
    pub fn anonymous() -> Self {
        Self {
            issuer: None,
            subject: String::new(),
            tenant: None,
            plan: None,
            roles: Vec::new(),
            scopes: Vec::new(),
            via: CredentialKind::Anonymous,
            credential_id: None,
        }
    }

    /// In words, for operators.
    #[cfg(feature = "engine")]
    pub(crate) fn describe(&self) -> String {
        let Self { subject, tenant, roles, scopes, .. } = self;
        let tenant =
            tenant.as_ref().map_or("no tenant".to_owned(), |tenant| format!("tenant {tenant}"));
        format!("{subject}, {tenant}, roles [{}], scopes [{}]", roles.join(", "), scopes.join(", "))
    }

    /// The value of the `Portcullis-Principal` field.
    pub fn to_field(&self) -> String {
        let mut dictionary = DictSerializer::new();
        let texts = [
            ("sub", Some(self.subject.as_str())),
            ("iss", self.issuer.as_deref()),
            ("tenant", self.tenant.as_deref()),
            ("plan", self.plan.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                let _ = dictionary.bare_item(sfv::key_ref(name), text_item(text));
            }
        }
        for (name, texts) in [("roles", &self.roles), ("scopes", &self.scopes)] {
            let mut list = dictionary.inner_list(sfv::key_ref(name));
            for text in texts {
                let _ = list.bare_item(text_item(text));
            }
            let _ = list.finish();
        }
        if let Some(id) = &self.credential_id {
            let _ = dictionary.bare_item(sfv::key_ref("id"), text_item(id));
        }
        let _ = dictionary.bare_item(sfv::key_ref("via"), sfv::token_ref(self.via.as_str()));
        dictionary.finish().unwrap_or_default()
    }

    /// Reads the value of a `Portcullis-Principal` field. Trust it only when its signature was verified
    /// (see [`crate::assertion`]).
    pub fn from_field(value: &str) -> Option<Self> {
        let members: Dictionary = Parser::new(value).parse().ok()?;
        let text = |name: &str| match members.get(name)? {
            ListEntry::Item(item) => item_text(item),
            ListEntry::InnerList(_) => None,
        };
        let list = |name: &str| match members.get(name)? {
            ListEntry::InnerList(list) => list.items.iter().map(item_text).collect(),
            ListEntry::Item(_) => None,
        };
        let via = match members.get("via")? {
            ListEntry::Item(Item { bare_item: BareItem::Token(name), .. }) => {
                CredentialKind::from_name(name.as_str())?
            }
            _ => return None,
        };
        // A member that is there but malformed is an error, not an absence.
        let optional = |name: &str| match members.contains_key(name) {
            true => text(name).map(Some),
            false => Some(None),
        };
        Some(Self {
            issuer: optional("iss")?,
            subject: text("sub")?,
            tenant: optional("tenant")?,
            plan: optional("plan")?,
            roles: list("roles")?,
            scopes: list("scopes")?,
            via,
            credential_id: optional("id")?,
        })
    }
}

/// Text as an sf-string where it is ASCII, else as an RFC 9651 display string.
fn text_item(text: &str) -> RefBareItem<'_> {
    match sfv::StringRef::from_str(text) {
        Ok(string) => string.into(),
        Err(_) => RefBareItem::DisplayString(text),
    }
}

fn item_text(item: &Item) -> Option<String> {
    match &item.bare_item {
        BareItem::String(string) => Some(string.as_str().to_owned()),
        BareItem::DisplayString(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn field_reads_as_documented() {
        let principal = Principal {
            issuer: Some("https://issuer.example".into()),
            subject: "alice".into(),
            tenant: Some("acme".into()),
            plan: None,
            roles: vec!["caller".into()],
            scopes: vec![],
            via: CredentialKind::Jwt,
            credential_id: None,
        };
        let field = principal.to_field();
        assert_eq!(
            field,
            r#"sub="alice", iss="https://issuer.example", tenant="acme", roles=("caller"), scopes=(), via=jwt"#
        );
    }

    #[test]
    fn malformed_fields_are_refused() {
        for field in [
            "",
            "sub=alice, roles=(), scopes=(), via=jwt",
            r#"sub="a", roles="x", scopes=(), via=jwt"#,
            r#"sub="a", roles=(), scopes=(), via="jwt""#,
            r#"sub="a", roles=(), scopes=(), via=root"#,
            r#"sub="a", tenant=1, roles=(), scopes=(), via=jwt"#,
        ] {
            assert_eq!(Principal::from_field(field), None, "{field}");
        }
    }

    proptest! {
        /// Whatever a subject holds — quotes, control characters, other scripts — it arrives as it was and
        /// cannot become another member.
        #[test]
        fn field_round_trips(subject in ".*", tenant in proptest::option::of(".*"), role in ".*") {
            let principal = Principal {
                issuer: tenant.clone(),
                subject,
                plan: tenant.clone(),
                tenant,
                roles: vec![role],
                scopes: vec!["a b".into()],
                via: CredentialKind::ApiKey,
                credential_id: Some("k1".into()),
            };
            let field = principal.to_field();
            prop_assert!(field.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(Principal::from_field(&field), Some(principal));
        }
    }
}
