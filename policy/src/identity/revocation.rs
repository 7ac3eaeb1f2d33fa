//! Tokens that are refused although they are valid.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::jwt::Verified;
use crate::Environment;
use crate::document::{DenyList, RevocationSection};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::remote::{Hope, Refreshed, RemoteDocument};
use crate::stages::{Interruption, Question};

/// The longest list that is fetched, in bytes.
const MAXIMUM_LIST_BYTES: usize = 1024 * 1024;

/// A compiled `identity.revocation` section.
#[derive(Debug)]
pub(super) struct RevocationRules {
    fixed: Denied,
    remote: Option<Arc<RemoteDocument<Denied>>>,
}

/// What is refused.
#[derive(Debug, Default)]
struct Denied {
    tokens: BTreeSet<String>,
    subjects: BTreeSet<String>,
    keys: BTreeSet<String>,
}

impl RevocationRules {
    pub(super) fn compile(section: &RevocationSection) -> Result<Self, CompileError> {
        const FIELD: &str = "identity.revocation";
        if section.file.is_some() {
            let message = "expected the list itself: `portcullis` puts files in place";
            return Err(CompileError::new(format!("{FIELD}.file"), message));
        }
        let remote = section.remote.as_ref().map(|remote| {
            let parse = Box::new(|body: &[u8]| {
                let list = DenyList::read(body)?;
                Ok((Denied::new(&list), Vec::new()))
            });
            let field = format!("{FIELD}.remote");
            let name = "the deny list".to_owned();
            RemoteDocument::compile(name, remote, MAXIMUM_LIST_BYTES, parse, &field).map(Arc::new)
        });
        Ok(Self { fixed: Denied::new(&section.inline), remote: remote.transpose()? })
    }

    /// Whether a token is on a list. While the list that is fetched is not known, nobody knows whether it is: the request
    /// waits, and is refused if that does not help.
    pub(super) fn check(
        &self,
        verified: &Verified,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        let mut is_denied = self.fixed.holds(verified);
        if let Some(remote) = &self.remote {
            let Question { since, now, .. } = *question;
            if remote.current(now).is_none() {
                remote.learn(environment);
            }
            let Some((fetched, _)) = remote.current(now) else {
                if remote.demand(since, now) == Hope::Wait {
                    return Err(Interruption::Wait);
                }
                let refusal = Refusal::new(Reason::IdentityUnavailable, "Try again in a moment.");
                return Err(refusal.header("retry-after", "5").into());
            };
            is_denied = is_denied || fetched.holds(verified);
        }
        match is_denied {
            true => {
                Err(Refusal::new(Reason::TokenRevoked, "Get a new token from your issuer.").into())
            }
            false => Ok(()),
        }
    }

    /// What is fetched.
    pub(super) fn remote(&self) -> Option<Arc<dyn Refreshed>> {
        self.remote.as_ref().map(|remote| Arc::clone(remote) as Arc<dyn Refreshed>)
    }
}

impl Denied {
    fn new(list: &DenyList) -> Self {
        let set = |names: &[String]| names.iter().cloned().collect();
        Self { tokens: set(&list.jti), subjects: set(&list.sub), keys: set(&list.kid) }
    }

    fn holds(&self, verified: &Verified) -> bool {
        let principal = &verified.principal;
        self.subjects.contains(&principal.subject)
            || principal.credential_id.as_ref().is_some_and(|jti| self.tokens.contains(jti))
            || verified.key_id.as_deref().is_some_and(|kid| self.keys.contains(kid))
    }
}

impl DenyList {
    /// Reads a list, JSON. Strictly: a member that is misspelt would let pass what it names.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        // serde takes an array for a struct, member by member.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err("expected a deny list: a JSON object".to_owned());
        }
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let list = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| format!("expected a deny list: {error}"))?;
        deserializer
            .end()
            .map_err(|error| format!("expected a deny list and nothing after it: {error}"))?;
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_strictly() {
        let list = DenyList::read(br#"{"jti":["a"],"sub":["b"],"kid":["c"]}"#).unwrap();
        assert_eq!((list.jti.len(), list.sub.len(), list.kid.len()), (1, 1, 1));
        assert_eq!(DenyList::read(b"{}").unwrap(), DenyList::default());
        for text in [
            "",
            "[]",
            r#"{"jtis":["a"]}"#,
            r#"{"jti":"a"}"#,
            r#"{"jti":[1]}"#,
            "{}x",
            r#"{"jti":[],"jti":[]}"#,
        ] {
            assert!(DenyList::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
