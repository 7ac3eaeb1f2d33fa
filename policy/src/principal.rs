//! Who is calling.

#[cfg(feature = "engine")]
use std::sync::OnceLock;

use sfv::{BareItem, Dictionary, Item, ItemSerializer, ListEntry, Parser, RefBareItem};

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
        let mut field = String::with_capacity(self.usual_field_length());
        push_text(&mut field, "sub=", &self.subject);
        let texts =
            [(", iss=", &self.issuer), (", tenant=", &self.tenant), (", plan=", &self.plan)];
        for (name, text) in texts {
            if let Some(text) = text {
                push_text(&mut field, name, text);
            }
        }
        for (name, texts) in [(", roles=(", &self.roles), (", scopes=(", &self.scopes)] {
            field.push_str(name);
            for (index, text) in texts.iter().enumerate() {
                push_text(&mut field, if index == 0 { "" } else { " " }, text);
            }
            field.push(')');
        }
        if let Some(id) = &self.credential_id {
            push_text(&mut field, ", id=", id);
        }
        field.push_str(", via=");
        field.push_str(self.via.as_str());
        field
    }

    /// Where nothing has to be escaped: callers are remembered with their field, so it has just the room that it needs.
    fn usual_field_length(&self) -> usize {
        const QUOTES: usize = "\"\"".len();
        let optional = |name: &str, text: &Option<String>| {
            text.as_ref().map_or(0, |text| text.len().saturating_add(name.len() + QUOTES))
        };
        let list = |texts: &[String]| {
            let lengths = texts.iter().map(|text| text.len().saturating_add(QUOTES + " ".len()));
            lengths.fold(0, usize::saturating_add).saturating_sub(usize::from(!texts.is_empty()))
        };
        [
            "sub=, roles=(), scopes=(), via=".len() + QUOTES,
            self.subject.len(),
            optional(", iss=", &self.issuer),
            optional(", tenant=", &self.tenant),
            optional(", plan=", &self.plan),
            list(&self.roles),
            list(&self.scopes),
            optional(", id=", &self.credential_id),
            self.via.as_str().len(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Reads the value of a `Portcullis-Principal` field. Trust it only when its signature was verified
    /// (see [`crate::assertion`]).
    pub fn from_field(value: &str) -> Option<Self> {
        Self::from_usual_field(value).or_else(|| Self::from_dictionary(value))
    }

    /// The field as [`Self::to_field`] writes it where nothing has to be escaped, which is nearly always: each filter of a chain
    /// reads it for each request. None where it is another dictionary, or none.
    fn from_usual_field(value: &str) -> Option<Self> {
        let mut rest = value;
        let subject = take_text(&mut rest, "sub=")?;
        // Not there, or there and not usual: then what follows is not what is expected.
        let mut optional = |name: &str| take_text(&mut rest, name);
        let (issuer, tenant, plan) =
            (optional(", iss="), optional(", tenant="), optional(", plan="));
        let roles = take_list(&mut rest, ", roles=(")?;
        let scopes = take_list(&mut rest, ", scopes=(")?;
        let credential_id = take_text(&mut rest, ", id=");
        let via = CredentialKind::from_name(rest.strip_prefix(", via=")?)?;
        Some(Self { issuer, subject, tenant, plan, roles, scopes, via, credential_id })
    }

    /// Any RFC 9651 dictionary.
    fn from_dictionary(value: &str) -> Option<Self> {
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
fn push_text(field: &mut String, name: &str, text: &str) {
    field.push_str(name);
    let (mut is_string, mut has_escapes) = (true, false);
    for byte in text.bytes() {
        is_string &= is_string_byte(byte);
        has_escapes |= byte == b'"' || byte == b'\\';
    }
    if !is_string {
        let _ = ItemSerializer::with_buffer(field).bare_item(RefBareItem::DisplayString(text));
        return;
    }
    field.push('"');
    if has_escapes {
        for character in text.chars() {
            field.extend(matches!(character, '"' | '\\').then_some('\\'));
            field.push(character);
        }
    } else {
        field.push_str(text);
    }
    field.push('"');
}

/// RFC 9651 §3.3.3: visible ASCII and the space.
fn is_string_byte(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte)
}

/// Takes `name` and an sf-string without escapes from the beginning of `rest`, or nothing.
fn take_text(rest: &mut &str, name: &str) -> Option<String> {
    let (text, after) = rest.strip_prefix(name)?.strip_prefix('"')?.split_once('"')?;
    let is_usual = text.bytes().all(|byte| is_string_byte(byte) && byte != b'\\');
    is_usual.then(|| {
        *rest = after;
        text.to_owned()
    })
}

/// Likewise, a list of them.
fn take_list(rest: &mut &str, name: &str) -> Option<Vec<String>> {
    *rest = rest.strip_prefix(name)?;
    let mut texts = Vec::new();
    while !rest.starts_with(')') {
        texts.push(take_text(rest, if texts.is_empty() { "" } else { " " })?);
    }
    *rest = rest.strip_prefix(')')?;
    Some(texts)
}

fn item_text(item: &Item) -> Option<String> {
    match &item.bare_item {
        BareItem::String(string) => Some(string.as_str().to_owned()),
        BareItem::DisplayString(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "principal_tests.rs"]
mod tests;
