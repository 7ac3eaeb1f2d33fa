//! API keys: a public id to find them by and a random secret, of which only a digest is kept.

mod conditions;
mod file;
mod key;
mod list;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use key::{ApiKey, ApiKeyError};

use super::source::Source;
use crate::document::{ApiKeyEntry, ApiKeyFile, ApiKeySection, Route};
use crate::environment::Timestamp;
use crate::policy::CompileError;
use crate::principal::RenderedPrincipal;
use crate::problem::{Reason, Refusal};
use crate::remote::{Hope, Refreshed, RemoteDocument};
use crate::stages::{Interruption, Question};
use crate::{Environment, Secrets};

use conditions::plausible;
use key::Pepper;
use list::{KeyList, StoredKey};

const FIELD: &str = "identity.api_keys";

/// The most keys in the document, with those of its file.
const MAXIMUM_FIXED_KEYS: usize = 100_000;

/// A compiled `identity.api_keys` section.
#[derive(Debug)]
pub(crate) struct ApiKeyRules {
    pub(super) sources: Vec<Source>,
    pepper: Pepper,
    fixed: KeyList,
    remote: Option<Arc<RemoteDocument<KeyList>>>,
}

impl ApiKeyRules {
    pub(crate) fn compile(
        section: &ApiKeySection,
        secrets: &dyn Secrets,
    ) -> Result<Self, CompileError> {
        let pepper = CompileError::secret(secrets, &section.pepper, &format!("{FIELD}.pepper"))?;
        if section.file.is_some() {
            let message = "expected the keys themselves: `portcullis` puts files in place";
            return Err(CompileError::new(format!("{FIELD}.file"), message));
        }
        let fixed = KeyList::compile(&section.keys, MAXIMUM_FIXED_KEYS, &format!("{FIELD}.keys"))?;
        let remote = section.remote.as_ref().map(|remote| {
            let name = "the API keys".to_owned();
            let field = format!("{FIELD}.remote");
            let parse = Box::new(fetched_list);
            RemoteDocument::compile(name, remote, ApiKeyFile::MAXIMUM_BYTES, parse, &field)
                .map(Arc::new)
        });
        Ok(Self {
            sources: Source::compile_all(&section.sources, &format!("{FIELD}.sources"))?,
            pepper: Pepper::new(&pepper),
            fixed,
            remote: remote.transpose()?,
        })
    }

    /// Whether a credential is meant as an API key.
    pub(super) fn is_key(text: &str) -> bool {
        text.starts_with(key::PREFIX)
    }

    /// What is fetched.
    pub(super) fn remote(&self) -> Option<Arc<dyn Refreshed>> {
        self.remote.as_ref().map(|remote| Arc::clone(remote) as Arc<dyn Refreshed>)
    }

    /// Whose key it is. Unknown keys take as long as wrong ones, and are refused in the same words; why a key is not good
    /// here and now is told only to who has it.
    pub(super) fn verify(
        &self,
        text: &str,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Arc<RenderedPrincipal>, Interruption> {
        let invalid =
            || Refusal::new(Reason::ApiKeyInvalid, "Check the key, or ask for a new one.");
        let id = key::id_of(text).map_err(|_| invalid())?;
        let digest = self.pepper.digest(text);
        let now = plausible(question.now).ok_or_else(unavailable)?;
        let (list, holds) = self.fetched(now, environment);
        let fixed = self.fixed.find(id);
        let fetched = list.as_deref().and_then(|list| list.find(id));
        // Of two with one id the document's is the key: who serves the list cannot make it another's.
        let found = fixed.or_else(|| fetched.filter(|_| holds));
        let Some(key) = StoredKey::verified(found, &digest) else {
            // Where the list is not known nobody knows whether the key is on it. It is the same for wrong secrets, or the
            // document's ids could be told from others.
            return match &self.remote {
                Some(remote) if !holds => Err(missed(remote, question.since, now)),
                _ => Err(invalid().into()),
            };
        };
        // What is taken back or restricted in one of them is in both, also while the list that was fetched is too old to
        // make a key good.
        for conditions in [fixed, fetched].into_iter().flatten().map(|key| &key.conditions) {
            conditions.check(question, environment)?;
        }
        Ok(Arc::clone(&key.principal))
    }

    /// The list that was fetched last, and whether it still holds.
    fn fetched(
        &self,
        now: Timestamp,
        environment: &mut dyn Environment,
    ) -> (Option<Arc<KeyList>>, bool) {
        let Some(remote) = &self.remote else { return (None, false) };
        if let Some((list, _)) = remote.current(now) {
            return (Some(list), true);
        }
        remote.learn(environment);
        match remote.current(now) {
            Some((list, _)) => (Some(list), true),
            None => (remote.last_known(), false),
        }
    }
}

/// Whether every route that a key names is one of the document's: a key with a misspelt one would be good for nothing.
pub(crate) fn check_routes(
    entries: &[ApiKeyEntry],
    routes: &[Route],
    field: &str,
) -> Result<(), CompileError> {
    let names: BTreeSet<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    for (index, entry) in entries.iter().enumerate() {
        let unknown = entry.routes.iter().position(|name| !names.contains(name.as_str()));
        if let Some(place) = unknown {
            let message = "expected the name of a route of the policy document";
            return Err(CompileError::new(format!("{field}[{index}].routes[{place}]"), message));
        }
    }
    Ok(())
}

fn fetched_list(body: &[u8]) -> Result<(KeyList, Vec<String>), String> {
    let text = std::str::from_utf8(body).map_err(|_| "expected a file of API keys: UTF-8 text")?;
    let file = ApiKeyFile::parse("the answer", text);
    let file = file.map_err(|error| format!("expected a file of API keys: {error}"))?;
    let list = file.compile().map_err(|error| error.to_string())?;
    Ok((list, Vec::new()))
}

fn missed(remote: &RemoteDocument<KeyList>, since: Timestamp, now: Timestamp) -> Interruption {
    match remote.demand(since, now) {
        Hope::Wait => Interruption::Wait,
        Hope::None => unavailable().into(),
    }
}

fn unavailable() -> Refusal {
    Refusal::new(Reason::IdentityUnavailable, "Try again in a moment.").header("retry-after", "5")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use zeroize::Zeroizing;

    use super::*;
    use crate::access::Target;
    use crate::document::{CredentialSource, SecretSource};
    use crate::identity::Required;
    use crate::testing::TestEnvironment;
    use crate::{CredentialKind, Secret};

    fn pepper() -> Secret {
        Secret::from_bytes(Zeroizing::new(vec![3; 32])).unwrap()
    }

    fn rules(keys: Vec<ApiKeyEntry>) -> Result<ApiKeyRules, CompileError> {
        let section = ApiKeySection {
            sources: vec![CredentialSource {
                header: Some("X-API-Key".into()),
                ..Default::default()
            }],
            pepper: SecretSource { env: "PEPPER".into() },
            keys,
            file: None,
            remote: None,
        };
        let secrets =
            BTreeMap::from([("PEPPER".to_owned(), URL_SAFE_NO_PAD.encode(pepper().expose()))]);
        ApiKeyRules::compile(&section, &secrets)
    }

    fn entry(key: &ApiKey) -> ApiKeyEntry {
        ApiKeyEntry::new(key.id(), key.digest(&pepper()), "batch")
    }

    fn verify(rules: &ApiKeyRules, text: &str) -> Result<Arc<RenderedPrincipal>, Reason> {
        let mut environment = TestEnvironment::new();
        let headers = [(":path", b"/".as_slice())];
        let question = Question {
            headers: &headers,
            target: &Target::read(&headers).unwrap(),
            required: &Required::default(),
            route: Some("predict"),
            since: environment.now(),
            now: environment.now(),
        };
        match rules.verify(text, &question, &mut environment) {
            Ok(principal) => Ok(principal),
            Err(Interruption::Refused(refusal)) => Err(refusal.reason),
            Err(Interruption::Wait) => panic!("nothing is fetched here"),
        }
    }

    #[test]
    fn only_the_key_itself_is_accepted() {
        let key = ApiKey::new("batch1", &[9; 32]).unwrap();
        let rules = rules(vec![entry(&key)]).unwrap();
        let principal = verify(&rules, key.expose()).unwrap();
        assert_eq!((principal.subject.as_str(), principal.via), ("batch", CredentialKind::ApiKey));

        let other = ApiKey::new("batch1", &[8; 32]).unwrap();
        let unknown = ApiKey::new("batch2", &[9; 32]).unwrap();
        let stored = key.digest(&pepper());
        for attempt in [
            other.expose(),
            unknown.expose(),
            stored.as_str(),
            "",
            "pcl_",
            "pcl_batch1_",
            "pcl_batch1",
            &key.expose()[..key.expose().len() - 1],
            &format!("{} ", key.expose()),
            &key.expose().to_uppercase(),
        ] {
            assert_eq!(verify(&rules, attempt).unwrap_err(), Reason::ApiKeyInvalid, "{attempt}");
        }
    }

    #[test]
    fn of_many_keys_each_is_its_own() {
        let key = |number: usize| ApiKey::new(&format!("k{number:07}"), &[9; 32]).unwrap();
        let entries = (0..100_000)
            .map(|number| ApiKeyEntry { owner: number.to_string(), ..entry(&key(number)) });
        let mut entries: Vec<ApiKeyEntry> = entries.collect();
        let rules = rules(entries.clone()).unwrap();
        for number in [0, 1, 4711, 99_999] {
            assert_eq!(verify(&rules, key(number).expose()).unwrap().subject, number.to_string());
        }
        assert_eq!(verify(&rules, key(100_000).expose()).unwrap_err(), Reason::ApiKeyInvalid);
        entries.push(entry(&key(100_000)));
        assert_eq!(self::rules(entries).unwrap_err().field, "identity.api_keys.keys");
    }
}
