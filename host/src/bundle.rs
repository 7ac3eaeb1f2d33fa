//! A policy document with the files it names put into it: what filters are given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portcullis_policy::document::{
    ApiKeyFile, DenyList, Document, JwksSource, LocatedDocument, OpenApiSource,
    RateLimitServiceSection, Remote, ResponseSchema, SchemaSource, read_json, read_value,
};
use portcullis_policy::identity::KeySet;
use portcullis_policy::{CompileError, DocumentError, Policy, Secrets, Stages};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::clusters::Cluster;

/// The longest document, also with its files in it: as much as a filter reads.
const MAXIMUM_BYTES: usize = portcullis_policy::document::MAXIMUM_DOCUMENT_BYTES;

/// The longest file that a document names.
const MAXIMUM_FILE_BYTES: usize = 1024 * 1024;

/// The longest OpenAPI document: most of large ones is prose, which does not go into the document.
const MAXIMUM_OPENAPI_BYTES: usize = MAXIMUM_BYTES;

/// A policy document that needs no other file.
#[derive(Debug, Clone)]
pub struct Bundle {
    located: LocatedDocument,
    json: String,
    files: Vec<Inlined>,
}

/// A file that is in its place: where it was named, without `.file`, and what it is called.
#[derive(Debug, Clone)]
struct Inlined {
    field: String,
    path: String,
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
        inline_key_sets(&mut located, folder)?;
        inline_api_keys(&mut located, folder)?;
        inline_deny_list(&mut located, folder)?;
        let mut files = Vec::new();
        inline_schemas(&mut located, folder, &mut files)?;
        inline_response_schema(&mut located, folder, &mut files)?;
        inline_openapi(&mut located, folder, &mut files)?;
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

impl Inlined {
    fn new(field: &str, path: &Path) -> Self {
        Self { field: field.to_owned(), path: path.display().to_string() }
    }

    /// Which field of the file a field of the document is; routes have what the document's own section says where they say nothing.
    fn within<'f>(&self, field: &'f str) -> Option<&'f str> {
        let own = field.strip_prefix(&self.field);
        let shared = || {
            let (route, rest) = field.split_once("].")?;
            route.strip_prefix("routes[").and_then(|_| rest.strip_prefix(&self.field))
        };
        let rest = own.or_else(shared)?.strip_prefix(".inline")?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix('.') }
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

fn inline_key_sets(located: &mut LocatedDocument, folder: &Path) -> Result<(), DocumentError> {
    let issuers = located.document.identity.jwt.iter().flat_map(|section| &section.issuers);
    let mut found = Vec::new();
    for (index, issuer) in issuers.enumerate() {
        let JwksSource::File(file) = &issuer.jwks else { continue };
        let field = format!("identity.jwt.issuers[{index}].jwks.file");
        let path = folder.join(file);
        let error =
            |message: String| located.error(&field, format!("{}: {message}", path.display()));
        let text = read_text(&path, MAXIMUM_FILE_BYTES).map_err(|why| error(why.to_string()))?;
        // Strictly, so that the error names the file and the field of the key in it.
        let keys = KeySet::parse(&text).map_err(|why| error(why.to_string()))?;
        if keys.is_symmetric() {
            return Err(error(
                "expected public keys, found secret ones: name an environment variable that \
                 holds them, with `env` in place of `file`"
                    .to_owned(),
            ));
        }
        let value: Value = serde_json::from_str(&text).map_err(|why| error(why.to_string()))?;
        found.push((index, value));
    }
    if let Some(section) = &mut located.document.identity.jwt {
        for (index, value) in found {
            if let Some(issuer) = section.issuers.get_mut(index) {
                issuer.jwks = JwksSource::Inline(value);
            }
        }
    }
    Ok(())
}

fn inline_deny_list(located: &mut LocatedDocument, folder: &Path) -> Result<(), DocumentError> {
    let section = located.document.identity.revocation.as_ref();
    let Some(file) = section.and_then(|section| section.file.as_ref()) else { return Ok(()) };
    let path = folder.join(file);
    let error = |message: String| {
        located.error("identity.revocation.file", format!("{}: {message}", path.display()))
    };
    let text = read_text(&path, MAXIMUM_FILE_BYTES).map_err(|why| error(why.to_string()))?;
    let list = DenyList::read(text.as_bytes()).map_err(error)?;
    if let Some(section) = &mut located.document.identity.revocation {
        section.inline.jti.extend(list.jti);
        section.inline.sub.extend(list.sub);
        section.inline.kid.extend(list.kid);
        section.file = None;
    }
    Ok(())
}

fn inline_schemas(
    located: &mut LocatedDocument,
    folder: &Path,
    files: &mut Vec<Inlined>,
) -> Result<(), DocumentError> {
    let mut read = |source: &Option<SchemaSource>, field: String| {
        let Some(SchemaSource::File(file)) = source else { return Ok(None) };
        let (path, field) = (folder.join(file), format!("{field}.schema"));
        let schema = read_schema(&*located, &path, &format!("{field}.file"))?;
        files.push(Inlined::new(&field, &path));
        Ok(Some(SchemaSource::Inline(schema)))
    };
    let base = read(&located.document.input.schema, "input".to_owned())?;
    let routes = located.document.routes.iter().enumerate();
    let routes = routes
        .map(|(index, route)| read(&route.input.schema, format!("routes[{index}].input")))
        .collect::<Result<Vec<_>, _>>()?;
    let inputs = located.document.routes.iter_mut().map(|route| &mut route.input);
    for (input, schema) in inputs.zip(routes).chain([(&mut located.document.input, base)]) {
        if schema.is_some() {
            input.schema = schema;
        }
    }
    Ok(())
}

fn inline_response_schema(
    located: &mut LocatedDocument,
    folder: &Path,
    files: &mut Vec<Inlined>,
) -> Result<(), DocumentError> {
    let Some(ResponseSchema::File(file)) = &located.document.output.schema else { return Ok(()) };
    let path = folder.join(file);
    let schema = read_schema(&*located, &path, "output.schema.file")?;
    files.push(Inlined::new("output.schema", &path));
    located.document.output.schema = Some(ResponseSchema::Inline(schema));
    Ok(())
}

fn read_schema(
    located: &LocatedDocument,
    path: &Path,
    field: &str,
) -> Result<Value, DocumentError> {
    let shown = path.display().to_string();
    let error = |message: String| located.error(field, format!("{shown}: {message}"));
    let text = read_text(path, MAXIMUM_FILE_BYTES).map_err(|why| error(why.to_string()))?;
    let schema = read_json(&shown, &text)
        .map_err(|why| located.error(field, format!("expected a JSON Schema, in JSON: {why}")))?;
    if !schema.is_object() && !schema.is_boolean() {
        return Err(error("expected a JSON Schema: an object or a boolean".to_owned()));
    }
    Ok(schema)
}

fn inline_openapi(
    located: &mut LocatedDocument,
    folder: &Path,
    files: &mut Vec<Inlined>,
) -> Result<(), DocumentError> {
    let mut read = |source: &Option<OpenApiSource>, field: String| {
        let Some(OpenApiSource::File(file)) = source else { return Ok(None) };
        let path = folder.join(file);
        files.push(Inlined::new(&format!("{field}.openapi"), &path));
        let field = format!("{field}.openapi.file");
        let shown = path.display().to_string();
        let text = read_text(&path, MAXIMUM_OPENAPI_BYTES)
            .map_err(|why| located.error(&field, format!("{shown}: {why}")))?;
        let document =
            read_value(&shown, &text).map_err(|why| located.error(&field, why.to_string()))?;
        Ok(Some(OpenApiSource::inline(document)))
    };
    let base = read(&located.document.input.openapi, "input".to_owned())?;
    let routes = located.document.routes.iter().enumerate();
    let routes = routes
        .map(|(index, route)| read(&route.input.openapi, format!("routes[{index}].input")))
        .collect::<Result<Vec<_>, _>>()?;
    let inputs = located.document.routes.iter_mut().map(|route| &mut route.input);
    for (input, openapi) in inputs.zip(routes).chain([(&mut located.document.input, base)]) {
        if openapi.is_some() {
            input.openapi = openapi;
        }
    }
    Ok(())
}

fn inline_api_keys(located: &mut LocatedDocument, folder: &Path) -> Result<(), DocumentError> {
    let section = located.document.identity.api_keys.as_ref();
    let Some(file) = section.and_then(|section| section.file.as_ref()) else { return Ok(()) };
    let path = folder.join(file);
    let shown = path.display().to_string();
    let text = read_text(&path, ApiKeyFile::MAXIMUM_BYTES).map_err(|why| format!("{shown}: {why}"));
    let taken = text.and_then(|text| {
        located.document.take_api_keys(&shown, &text).map_err(|why| why.to_string())
    });
    taken.map_err(|message| located.error("identity.api_keys.file", message))
}

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
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new(policy: &str) -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            files.with("policy.yaml", policy)
        }

        fn with(self, name: &str, text: &str) -> Self {
            std::fs::write(self.0.path().join(name), text).unwrap();
            self
        }

        fn read(&self) -> Result<Bundle, BundleError> {
            Bundle::read(&self.0.path().join("policy.yaml"))
        }

        fn error(&self) -> String {
            let folder = format!("{}/", self.0.path().display());
            self.read().unwrap_err().to_string().replace(&folder, "")
        }
    }

    const POLICY: &str = "\
version: 1
identity:
  jwt:
    issuers:
      - issuer: https://a.example
        audiences: [x]
        jwks: { file: keys.json }
  api_keys: { pepper: { env: PEPPER }, keys: [] }
assertion: { key: { env: KEY }, key_id: k }
input:
  schema: { file: schema.json }
routes:
  - name: all
    match: { prefix: / }
";

    #[test]
    fn files_are_put_in_place() {
        let files = Files::new(POLICY).with("keys.json", KEYS).with("schema.json", "{}");
        let bundle = files.read().unwrap();
        assert_eq!(bundle.secret_names(), ["KEY", "PEPPER"]);
        assert!(bundle.json().contains("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
        assert!(!bundle.json().contains("keys.json") && !bundle.json().contains("schema.json"));
        let none = BTreeMap::new();
        bundle.check(&none).unwrap();
        let error = bundle.compile(&none, Stages::ALL).unwrap_err().to_string();
        assert!(
            error.ends_with("policy.yaml:8:25: identity.api_keys.pepper.env: the secret PEPPER is not set in the environment"),
            "{error}"
        );
    }

    #[test]
    fn errors_name_both_files_and_the_field() {
        let files = Files::new(POLICY);
        let error = files.error();
        assert!(
            error.starts_with(
                "policy.yaml:7:17: identity.jwt.issuers[0].jwks.file: keys.json: No such file"
            ),
            "{error}"
        );
        let files = files.with("keys.json", &KEYS.replace("Ed25519", "X25519"));
        assert_eq!(
            files.error(),
            "policy.yaml:7:17: identity.jwt.issuers[0].jwks.file: keys.json: keys[0].crv: expected Ed25519"
        );
        let files = files.with("keys.json", KEYS).with("schema.json", "[]");
        assert_eq!(
            files.error(),
            "policy.yaml:11:13: input.schema.file: schema.json: expected a JSON Schema: an object or a boolean"
        );
    }

    #[test]
    fn api_keys_in_files_are_put_in_place_and_checked_against_the_document() {
        let entry = |id: &str, more: &str| {
            let digest = format!("hmac-sha256:{}E", "A".repeat(42));
            format!(r#"{{"id":"{id}","digest":"{digest}","owner":"a"{more}}}"#)
        };
        let policy =
            POLICY.replace("keys: []", &format!("keys: [{}], file: api.json", entry("aaaa", "")));
        let files = Files::new(&policy).with("keys.json", KEYS).with("schema.json", "{}");
        let files = files.with("api.json", &format!(r#"{{"keys":[{}]}}"#, entry("bbbb", "")));
        let bundle = files.read().unwrap();
        bundle.check(&BTreeMap::new()).unwrap();
        let keys = &bundle.document().identity.api_keys.as_ref().unwrap().keys;
        assert_eq!(
            keys.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(),
            ["aaaa", "bbbb"]
        );
        assert!(!bundle.json().contains("api.json"));

        let place = format!(
            "policy.yaml:8:{}: identity.api_keys.file: api.json:2",
            50 + entry("aaaa", "").len()
        );
        for (entry, expected) in [
            (
                entry("aaaa", ""),
                "keys[0].id: expected an id that no key of the policy document has",
            ),
            (
                entry("cccc", r#","routes":["all","al"]"#),
                "keys[0].routes[1]: expected the name of a route",
            ),
            (entry("cccc", r#","expires":"soon""#), "keys[0].expires: expected a date and time"),
            (entry("cccc", r#","expiry":"soon""#), "keys[0].expiry: unknown field"),
        ] {
            std::fs::write(files.0.path().join("api.json"), format!("{{\"keys\":[\n{entry}]}}"))
                .unwrap();
            let error = files.error();
            assert!(error.starts_with(&place) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn secret_keys_in_files_are_refused_with_a_hint() {
        let oct = format!(r#"{{"keys":[{{"kty":"oct","alg":"HS256","k":"{ASSUMED_KEY}"}}]}}"#);
        let error = Files::new(POLICY).with("keys.json", &oct).error();
        assert!(
            error.contains("keys.json: expected public keys") && error.contains("`env`"),
            "{error}"
        );
        assert!(!error.contains(ASSUMED_KEY));
    }

    #[test]
    fn compile_errors_have_a_line_also_inside_of_files() {
        let files = Files::new(POLICY).with("keys.json", KEYS);
        let bundle = files.with("schema.json", r#"{"type":"no such type"}"#).read().unwrap();
        let error = bundle.check(&BTreeMap::new()).unwrap_err();
        assert_eq!(error.place(), Some((11, 13)), "{error}");
        let error = error.to_string();
        assert!(error.contains(": input.schema.file: "), "{error}");
        assert!(
            error.contains("schema.json: type: not a usable schema: expected one of \"array\""),
            "{error}"
        );
    }

    #[test]
    fn schemas_in_files_are_read_strictly() {
        let files = Files::new(POLICY).with("keys.json", KEYS);
        let files = files.with("schema.json", r#"{"type":"object","type":"array"}"#);
        assert_eq!(
            files.error(),
            "policy.yaml:11:13: input.schema.file: expected a JSON Schema, in JSON: \
             schema.json: /type: expected each member name once"
        );
        // Some editors write a byte order mark.
        files.with("schema.json", "\u{feff}{}").read().unwrap();
    }

    #[test]
    fn openapi_documents_may_be_long_where_it_is_for_what_they_say_to_readers() {
        let policy = POLICY.replace("schema: { file: schema.json }", "openapi: { file: api.yaml }");
        let prose = "long ".repeat(500_000);
        let api = |of: &str| {
            format!(
                "openapi: 3.1.0\ninfo: {{ title: A, description: {prose:?} }}\npaths:\n  /a:\n    get:\n      \
                 description: {prose:?}\n      parameters: [{{ name: a, in: query, schema: {{ type: {of} }} }}]\n"
            )
        };
        let files = Files::new(&policy).with("keys.json", KEYS).with("api.yaml", &api("string"));
        let error = files.error();
        assert!(error.contains("api.yaml: larger than 4194304 bytes"), "{error}");
        let prose = "long ".repeat(250_000);
        let api = |of: &str| api(of).replacen(&"long ".repeat(500_000), &prose, 2);
        let files = files.with("api.yaml", &api("string"));
        let bundle = files.read().unwrap();
        assert!(!bundle.json().contains("long"));
        bundle.check(&BTreeMap::new()).unwrap();
        let files = files.with("api.yaml", &api("object"));
        let error = files.read().unwrap().check(&BTreeMap::new()).unwrap_err().to_string();
        assert!(
            error.contains("input.openapi.file: ")
                && error.contains("api.yaml: /paths/~1a/get/parameters/0/schema: expected a type"),
            "{error}"
        );
    }

    #[test]
    fn keys_and_deny_lists_in_files_are_put_in_place() {
        let policy = POLICY
            .replace(
                "keys: [] }",
                "file: api-keys.json }\n  revocation: { inline: { sub: [a] }, file: denied.json }",
            )
            .replace(
                "jwks: { file: keys.json }",
                "jwks: { env: SET }\n    dpop: { nonce_key: { env: NONCES } }",
            );
        let keys = r#"{"keys":[{"id":"key1","digest":"hmac-sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","owner":"o"}]}"#;
        let files = Files::new(&policy)
            .with("schema.json", "{}")
            .with("api-keys.json", keys)
            .with("denied.json", r#"{"jti":["t"],"sub":["b"]}"#);
        let bundle = files.read().unwrap();
        assert_eq!(bundle.secret_names(), ["KEY", "NONCES", "PEPPER", "SET"]);
        let identity = &bundle.document().identity;
        assert_eq!(identity.api_keys.as_ref().unwrap().keys[0].id, "key1");
        let denied = &identity.revocation.as_ref().unwrap().inline;
        assert_eq!((denied.sub.len(), denied.jti.len()), (2, 1));
        assert!(!bundle.json().contains("api-keys.json") && !bundle.json().contains("denied.json"));

        // What is misspelt would let pass what it names.
        let files = files.with("denied.json", r#"{"subs":["b"]}"#);
        let error = files.error();
        assert!(
            error.contains("identity.revocation.file: denied.json: ") && error.contains("subs"),
            "{error}"
        );
        let files =
            files.with("denied.json", "{}").with("api-keys.json", r#"{"keys":[{"id":"k"}]}"#);
        let error = files.error();
        assert!(
            error.contains("identity.api_keys.file: api-keys.json:") && error.contains("digest"),
            "{error}"
        );
    }

    fn remote(uri: &str, cluster: Option<&str>) -> Remote {
        Remote {
            uri: uri.to_owned(),
            cluster: cluster.map(str::to_owned),
            refresh_seconds: 300,
            timeout_seconds: 5,
            max_stale_seconds: 3600,
        }
    }

    #[test]
    fn a_server_is_one_cluster_however_much_is_fetched_from_it() {
        let found = clusters(
            &[
                remote("https://b.example/keys", None),
                remote("https://a.example:8443/keys", None),
                remote("https://b.example:443/denied", None),
                remote("http://keys.internal/", Some("outbound|80||keys.internal")),
            ],
            None,
        );
        let found = found.unwrap();
        let shown: Vec<_> =
            found.iter().map(|cluster| (cluster.name.as_str(), cluster.origin())).collect();
        let shown: Vec<_> = shown.iter().map(|(name, origin)| (*name, origin.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("outbound|80||keys.internal", "http://keys.internal:80"),
                ("portcullis_https_a.example_8443", "https://a.example:8443"),
                ("portcullis_https_b.example_443", "https://b.example:443"),
            ]
        );
    }

    #[test]
    fn a_cluster_leads_to_one_place() {
        let error = clusters(
            &[
                remote("https://a.example/", Some("keys")),
                remote("https://b.example/", Some("keys")),
            ],
            None,
        );
        let error = error.unwrap_err();
        assert!(
            error.contains("keys leads to https://a.example:443 and to https://b.example:443"),
            "{error}"
        );
        // Another scheme is another place: what is fetched over http can be changed on the way.
        let both =
            [remote("https://a.example/", Some("k")), remote("http://a.example:443/", Some("k"))];
        assert!(clusters(&both, None).is_err());
        assert!(clusters(&[remote("https://a.example/", Some("upstream"))], None).is_err());
        assert!(clusters(&[remote("http://a.example/", None)], None).is_err());
    }

    #[test]
    fn key_sets_from_the_environment_are_assumed_too() {
        let policy = POLICY.replace("file: keys.json", "env: SET");
        let bundle = Files::new(&policy).with("schema.json", "{}").read().unwrap();
        assert_eq!(bundle.secret_names(), ["KEY", "PEPPER", "SET"]);
        bundle.check(&BTreeMap::new()).unwrap();
    }
}
