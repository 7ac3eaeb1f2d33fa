//! Where an issuer's keys come from: the document, or the network.

use std::sync::Arc;

use serde_json::Value;

use super::jwk::{Algorithm, JwkError, KeySet};
use crate::Secrets;
use crate::document::{Discovery, Endpoint, Issuer, JwksSource, Remote};
use crate::environment::Timestamp;
use crate::input::{JsonLimits, parse_json};
use crate::policy::CompileError;
use crate::remote::{Parse, RemoteDocument};

/// The longest key set that is fetched, in bytes.
const MAXIMUM_SET_BYTES: usize = 64 * 1024;

/// An issuer's keys.
#[derive(Debug)]
pub(super) enum KeySource {
    /// Those of the document or of a secret.
    Fixed(Arc<KeySet>),
    /// Those of the issuer's server.
    Remote(Arc<RemoteDocument<KeySet>>),
}

impl KeySource {
    pub(super) fn compile(
        issuer: &Issuer,
        field: &str,
        secrets: &dyn Secrets,
    ) -> Result<Self, CompileError> {
        let accepted = issuer
            .algorithms
            .as_ref()
            .map(|names| algorithms(names, &format!("{field}.algorithms")))
            .transpose()?;
        let fixed = |set: KeySet| {
            let set = restricted(set, accepted.as_deref()).map_err(|error| {
                CompileError::new(format!("{field}.algorithms"), error.expected)
            })?;
            Ok(Self::Fixed(Arc::new(set)))
        };
        match &issuer.jwks {
            JwksSource::Inline(value) => fixed(inline(value, &format!("{field}.jwks.inline"))?),
            JwksSource::Env(name) => {
                let field = format!("{field}.jwks.env");
                let text = secrets.secret(name).ok_or_else(|| CompileError::unset(&field, name))?;
                let set = KeySet::parse(&text).map_err(|error| {
                    CompileError::new(
                        field,
                        format!("the key set in {name} is not usable: {error}"),
                    )
                })?;
                fixed(set)
            }
            JwksSource::File(_) => {
                let message = "expected the key set itself: `portcullis` puts files in place";
                Err(CompileError::new(format!("{field}.jwks.file"), message))
            }
            JwksSource::Remote(remote) => {
                let name = format!("the keys of {}", issuer.issuer);
                let field = format!("{field}.jwks.remote");
                let document = RemoteDocument::compile(
                    name,
                    remote,
                    MAXIMUM_SET_BYTES,
                    key_set(accepted),
                    &field,
                )?;
                Ok(Self::Remote(Arc::new(document)))
            }
            JwksSource::Discovery(discovery) => {
                let field = format!("{field}.jwks.discovery");
                discovered(issuer, discovery, accepted, &field)
                    .map(|document| Self::Remote(Arc::new(document)))
            }
        }
    }

    /// The keys that hold now, with the number that changes when they do. None where there are none yet, or none that
    /// are fresh enough.
    pub(super) fn current(&self, now: Timestamp) -> Option<(Arc<KeySet>, u64)> {
        match self {
            Self::Fixed(set) => Some((Arc::clone(set), 0)),
            Self::Remote(document) => document.current(now),
        }
    }

    pub(super) fn remote(&self) -> Option<&Arc<RemoteDocument<KeySet>>> {
        match self {
            Self::Fixed(_) => None,
            Self::Remote(document) => Some(document),
        }
    }
}

fn restricted(set: KeySet, accepted: Option<&[Algorithm]>) -> Result<KeySet, JwkError> {
    match accepted {
        Some(accepted) => set.restricted_to(accepted),
        None => Ok(set),
    }
}

fn algorithms(names: &[String], field: &str) -> Result<Vec<Algorithm>, CompileError> {
    if names.is_empty() {
        return Err(CompileError::new(field, "expected at least one algorithm"));
    }
    let names = names.iter().enumerate();
    names
        .map(|(index, name)| {
            Algorithm::named(name).ok_or_else(|| {
                let known = Algorithm::ALL.map(Algorithm::as_str).join(", ");
                let message = format!("unknown algorithm `{name}`, expected one of {known}");
                CompileError::new(format!("{field}[{index}]"), message)
            })
        })
        .collect()
}

fn inline(value: &Value, field: &str) -> Result<KeySet, CompileError> {
    let set = KeySet::from_value(value).map_err(|error| match error.field.is_empty() {
        true => CompileError::new(field, error.expected),
        false => CompileError::new(format!("{field}.{}", error.field), error.expected),
    })?;
    if set.is_symmetric() {
        let message = "expected public keys: secrets come from the environment (jwks.env)";
        return Err(CompileError::new(field, message));
    }
    Ok(set)
}

/// What a server sends is read with patience for keys that are not ours to use, and with none for a set without any that is.
fn key_set(accepted: Option<Vec<Algorithm>>) -> Parse<KeySet> {
    Box::new(move |body| {
        let (set, left_out) = KeySet::parse_remote(body).map_err(|error| error.to_string())?;
        let set = restricted(set, accepted.as_deref()).map_err(|error| error.to_string())?;
        Ok((set, left_out.into_iter().map(|error| format!("left out: {error}")).collect()))
    })
}

fn discovered(
    issuer: &Issuer,
    discovery: &Discovery,
    accepted: Option<Vec<Algorithm>>,
    field: &str,
) -> Result<RemoteDocument<KeySet>, CompileError> {
    let origin = discovery.key_set_origin();
    let endpoint = origin
        .endpoint()
        .map_err(|expected| CompileError::new(format!("{field}.jwks_origin"), expected))?;
    if discovery.jwks_origin.is_none() && discovery.jwks_cluster.is_some() {
        let message = "expected it only beside `jwks_origin`";
        return Err(CompileError::new(format!("{field}.jwks_cluster"), message));
    }
    let metadata: Remote = discovery.metadata();
    let name = format!("the keys of {}", issuer.issuer);
    let document =
        RemoteDocument::compile(name, &metadata, MAXIMUM_SET_BYTES, key_set(accepted), field)?;
    let expected_issuer = issuer.issuer.clone();
    let locate = move |body: &[u8]| locate(body, &expected_issuer, &endpoint);
    Ok(document.through_metadata(Box::new(locate), origin.cluster_name()))
}

/// Where metadata says that the key set is (OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3). The `issuer` must be the one
/// whose tokens are meant, and the origin the one that the document names.
fn locate(body: &[u8], issuer: &str, origin: &Endpoint) -> Result<Endpoint, String> {
    const LIMITS: JsonLimits = JsonLimits { max_depth: 16, max_values: 10_000 };
    let metadata =
        parse_json(body, LIMITS).map_err(|error| format!("expected metadata: {error}"))?;
    if metadata.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(format!("expected metadata whose issuer is {issuer}"));
    }
    let uri = metadata.get("jwks_uri").and_then(Value::as_str).ok_or("expected a jwks_uri")?;
    let endpoint = Endpoint::parse(uri).map_err(|expected| format!("jwks_uri: {expected}"))?;
    if !endpoint.is_same_origin(origin) {
        return Err(format!(
            "expected a jwks_uri at {}: name its origin as jwks_origin, if it is right",
            origin.authority()
        ));
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_does_not_choose_whom_the_gate_talks_to() {
        let origin =
            Endpoint::parse("https://issuer.example/.well-known/openid-configuration").unwrap();
        let locate =
            |metadata: &str| locate(metadata.as_bytes(), "https://issuer.example", &origin);
        let good = locate(
            r#"{"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/a/jwks"}"#,
        );
        assert_eq!(good.unwrap().path_and_query, "/a/jwks");
        for metadata in [
            r#"{"issuer":"https://issuer.example/","jwks_uri":"https://issuer.example/jwks"}"#,
            r#"{"issuer":"https://issuer.example","jwks_uri":"https://evil.example/jwks"}"#,
            r#"{"issuer":"https://issuer.example","jwks_uri":"http://issuer.example/jwks"}"#,
            r#"{"issuer":"https://issuer.example","jwks_uri":"https://issuer.example:8443/jwks"}"#,
            r#"{"issuer":"https://issuer.example","jwks_uri":"https://issuer.example@evil.example/"}"#,
            r#"{"issuer":"https://evil.example","issuer":"https://issuer.example","jwks_uri":"https://issuer.example/"}"#,
            r#"{"issuer":"https://issuer.example"}"#,
            "<html>",
            "",
        ] {
            assert!(locate(metadata).is_err(), "{metadata}");
        }
    }
}
