//! A policy document with the files it names put into it: what filters are given.

mod inline;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portcullis_policy::document::{
    Document, JwksSource, LocatedDocument, RateLimitServiceSection, Remote,
};
use portcullis_policy::{CompileError, DocumentError, Policy, Secrets, Stages};
use zeroize::Zeroizing;

use self::inline::{Inlined, inline_files};
use crate::clusters::Cluster;

/// The longest document, also with its files in it: as much as a filter reads.
const MAXIMUM_BYTES: usize = portcullis_policy::document::MAXIMUM_DOCUMENT_BYTES;

/// A policy document that needs no other file.
#[derive(Debug, Clone)]
pub struct Bundle {
    located: LocatedDocument,
    json: String,
    files: Vec<Inlined>,
}

/// Why there is no bundle. Names the file, and the line and field as far as there are any.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The document cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The document.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The document, or a file it names, is wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl Bundle {
    /// Reads a document, YAML or JSON, and the files it names, which are relative to its own folder.
    ///
    /// # Errors
    ///
    /// The document or one of its files cannot be read, or is not what it should be.
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let unreadable = |error| BundleError::Unreadable { path: path.to_owned(), error };
        let text = read_text(path, MAXIMUM_BYTES).map_err(unreadable)?;
        let name = path.display().to_string();
        let mut located = LocatedDocument::read(&name, &text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = inline_files(&mut located, folder)?;
        let json = serde_json::to_string(&located.document)
            .map_err(|error| located.error("", error.to_string()))?;
        if json.len() > MAXIMUM_BYTES {
            let message = format!("expected at most {MAXIMUM_BYTES} bytes with all files in it");
            return Err(located.error("", message).into());
        }
        Ok(Self { located, json, files })
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.located.document
    }

    /// Where a field stands: the file, the line and the column.
    pub fn place(&self, field: &str) -> (&str, usize, usize) {
        self.located.place(field)
    }

    /// The document as filters are given it.
    pub fn json(&self) -> String {
        self.json.clone()
    }

    /// Compiles the document.
    ///
    /// # Errors
    ///
    /// What the document says cannot be, or a secret is missing or unusable. Names the line.
    pub fn compile(&self, secrets: &dyn Secrets, stages: Stages) -> Result<Policy, DocumentError> {
        self.compile_as(self.document(), secrets, stages)
    }

    /// Compiles `document`, which is this one but for some fields. Errors name the places that they have in this one.
    ///
    /// # Errors
    ///
    /// As for [`compile`](Self::compile).
    pub fn compile_as(
        &self,
        document: &Document,
        secrets: &dyn Secrets,
        stages: Stages,
    ) -> Result<Policy, DocumentError> {
        Policy::compile(document, secrets, stages).map_err(|error| self.told(&error))
    }

    /// An error with its line. What is wrong in a file is told as a place in that file.
    fn told(&self, error: &CompileError) -> DocumentError {
        let found = self.files.iter().find_map(|file| Some((file, file.within(&error.field)?)));
        let Some((file, within)) = found else {
            return self.located.error(&error.field, error.message.as_str());
        };
        let within = if within.is_empty() { String::new() } else { format!("{within}: ") };
        let message = format!("{}: {within}{}", file.path, error.message);
        self.located.error(&format!("{}.file", file.field), message)
    }

    /// Compiles the document to see whether it is right: secrets that are not set are taken to be well-formed.
    /// What comes of it must never decide anything, since everybody knows those secrets.
    ///
    /// # Errors
    ///
    /// As for [`compile`](Self::compile).
    pub fn check(&self, secrets: &dyn Secrets) -> Result<(), DocumentError> {
        let key_sets = self.key_set_secrets().map(str::to_owned).collect();
        self.compile(&Assumed { secrets, key_sets }, Stages::ALL).map(drop)
    }

    /// The names of the secrets that the document wants, each once, in order.
    pub fn secret_names(&self) -> Vec<String> {
        let Document { identity, assertion, redaction, output, .. } = self.document();
        let pepper = identity.api_keys.iter().map(|keys| keys.pepper.env.as_str());
        let proofs = identity.jwt.iter().filter_map(|section| section.dpop.as_ref());
        let nonces = proofs.filter_map(|section| section.nonce_key.as_ref());
        let nonces = nonces.map(|key| key.env.as_str());
        let assertion = assertion.iter().map(|section| section.key.env.as_str());
        let redaction = redaction.iter().map(|section| section.key.env.as_str());
        let names = self.key_set_secrets().chain(nonces).chain(pepper).chain(assertion);
        let canaries = output.canaries.iter().map(|source| source.env.as_str());
        let names = names.chain(redaction).chain(canaries);
        names.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
    }

    /// What is fetched while the gate runs, in the document's order.
    pub fn remotes(&self) -> Vec<Remote> {
        self.document().remotes()
    }

    /// The clusters that what is fetched is fetched from, and that of the rate limit service, each once, by name.
    ///
    /// # Errors
    ///
    /// What is fetched has no usable URI, or one name is to lead to two places.
    pub fn clusters(&self) -> Result<Vec<Cluster>, DocumentError> {
        let service = self.document().rate_limit_service.as_ref();
        clusters(&self.remotes(), service).map_err(|message| self.located.error("", message))
    }

    fn key_set_secrets(&self) -> impl Iterator<Item = &str> {
        let issuers = self.document().identity.jwt.iter().flat_map(|section| &section.issuers);
        issuers.filter_map(|issuer| match &issuer.jwks {
            JwksSource::Env(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

fn clusters(
    remotes: &[Remote],
    service: Option<&RateLimitServiceSection>,
) -> Result<Vec<Cluster>, String> {
    let fetched = remotes.iter().map(|it| (&it.uri, it.endpoint(), it.cluster_name(), false));
    let asked = service.map(|it| (&it.uri, it.endpoint(), it.cluster_name(), true));
    let mut clusters: BTreeMap<String, Cluster> = BTreeMap::new();
    for (uri, endpoint, name, http2) in fetched.chain(asked) {
        let endpoint = endpoint.map_err(|expected| format!("{uri}: {expected}"))?;
        if name == RESERVED_CLUSTER {
            return Err(format!(
                "{uri}: expected another name than {name} as cluster, which is the protected service's",
            ));
        }
        let cluster = Cluster {
            name: name.clone(),
            tls: endpoint.tls,
            host: endpoint.host,
            port: endpoint.port,
            http2,
        };
        match clusters.get(&name) {
            Some(known) if known.http2 != cluster.http2 => {
                return Err(format!(
                    "{uri}: expected a cluster of its own for the rate limit service, which speaks HTTP/2 \
                     alone; found that {name} is also fetched from",
                ));
            }
            Some(known) if *known != cluster => {
                return Err(format!(
                    "{uri}: expected one place for each cluster, found that {name} leads to {} and to {}",
                    known.origin(),
                    cluster.origin(),
                ));
            }
            _ => clusters.insert(name, cluster),
        };
    }
    Ok(clusters.into_values().collect())
}

/// What the bootstrap of `portcullis envoy` calls the cluster of the protected service.
const RESERVED_CLUSTER: &str = "upstream";

fn read_text(path: &Path, limit: usize) -> std::io::Result<String> {
    use std::io::{Error, ErrorKind, Read as _};

    let mut text = String::new();
    std::fs::File::open(path)?.take(limit as u64 + 1).read_to_string(&mut text)?;
    if text.len() > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    Ok(text)
}

/// Secrets, and well-formed ones that everybody knows in place of those that are not set.
struct Assumed<'a> {
    secrets: &'a dyn Secrets,
    key_sets: BTreeSet<String>,
}

/// 32 zero bytes in base64url.
const ASSUMED_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Secrets for Assumed<'_> {
    fn secret(&self, name: &str) -> Option<Zeroizing<String>> {
        let assumed = || match self.key_sets.contains(name) {
            true => format!(r#"{{"keys":[{{"kty":"oct","alg":"HS256","k":"{ASSUMED_KEY}"}}]}}"#),
            false => ASSUMED_KEY.to_owned(),
        };
        Some(self.secrets.secret(name).unwrap_or_else(|| Zeroizing::new(assumed())))
    }
}

#[cfg(test)]
mod tests;
