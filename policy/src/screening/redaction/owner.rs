//! Whose a token is.

use crate::principal::{CredentialKind, Principal};

/// Whose text it is: tokens come back to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    issuer: Option<String>,
    subject: Option<String>,
    tenant: Option<String>,
}

impl Owner {
    /// Nobody in particular, who never gets a token: all anonymous callers look the same.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// The issuer, the subject and the tenant, each with its length before it: no two owners are written alike.
    pub(super) fn identity(&self) -> Option<Vec<u8>> {
        self.subject.as_ref()?;
        Some(written(&[&self.issuer, &self.subject, &self.tenant]))
    }

    /// Whose values may be compared with each other.
    pub(super) fn domain(&self) -> Vec<u8> {
        written(&[&self.tenant])
    }
}

impl From<&Principal> for Owner {
    fn from(principal: &Principal) -> Self {
        let is_somebody = principal.via != CredentialKind::Anonymous;
        Self {
            issuer: principal.issuer.clone(),
            subject: Some(principal.subject.clone())
                .filter(|subject| is_somebody && !subject.is_empty()),
            tenant: principal.tenant.clone(),
        }
    }
}

fn written(parts: &[&Option<String>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            None => bytes.push(0),
            Some(part) => {
                bytes.push(1);
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    bytes
}
