//! Policies for the gate: files of `policies/`, with the tests' issuer and API key in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use portcullis_policy::document::{Document, JwksSource, LocatedDocument};

use crate::credentials::Credentials;
use crate::key_server::KeyServer;
use crate::tools::repository;

/// Writes the policy `name` into `directory` as one JSON document, and tells where. What it fetches it fetches from `keys`.
pub(crate) fn write(
    name: &str,
    credentials: &Credentials,
    keys: &KeyServer,
    rate_limit_service: Option<&str>,
    directory: &Path,
) -> Result<PathBuf> {
    let document = prepare(name, credentials, keys, rate_limit_service)?;
    let path = directory.join(format!("{name}-{}.json", keys.port()));
    fs::write(&path, serde_json::to_vec_pretty(&document)?)
        .with_context(|| path.display().to_string())?;
    Ok(path)
}

fn prepare(
    name: &str,
    credentials: &Credentials,
    keys: &KeyServer,
    rate_limit_service: Option<&str>,
) -> Result<Document> {
    let path = match name {
        "default" => repository().join("policy/default.yaml"),
        _ => repository().join("tests/policies").join(format!("{name}.yaml")),
    };
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let text = text.replace("${key_server}", &keys.origin());
    let text = text.replace("${rate_limit_service}", rate_limit_service.unwrap_or_default());
    let mut document = LocatedDocument::read(&path.display().to_string(), &text)?.document;
    if let Some(jwt) = &mut document.identity.jwt {
        for issuer in &mut jwt.issuers {
            if matches!(issuer.jwks, JwksSource::File(_)) {
                issuer.jwks = JwksSource::Inline(credentials.jwks());
            }
        }
    }
    if let Some(api_keys) = &mut document.identity.api_keys {
        api_keys.keys.push(credentials.api_key_entry());
    }
    Ok(document)
}
