//! A policy document with the files it names put into it: what filters are given.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis_policy::document::{
    ApiKeyFile, Document, JwksSource, LocatedDocument, SchemaSource,
};
use portcullis_policy::identity::KeySet;
use portcullis_policy::{DocumentError, Policy, Secrets, Stages};
use serde_json::Value;
use zeroize::Zeroizing;

/// The longest document, also with its files in it: as much as a filter reads.
const MAXIMUM_BYTES: usize = portcullis_policy::document::MAXIMUM_DOCUMENT_BYTES;

/// The longest file that a document names.
const MAXIMUM_FILE_BYTES: usize = 1024 * 1024;

/// A policy document that needs no other file.
#[derive(Debug, Clone)]
pub struct Bundle {
    located: LocatedDocument,
    json: String,
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
        inline_schemas(&mut located, folder)?;
        inline_api_keys(&mut located, folder)?;
        let json = serde_json::to_string(&located.document)
            .map_err(|error| located.error("", error.to_string()))?;
        if json.len() > MAXIMUM_BYTES {
            let message = format!("expected at most {MAXIMUM_BYTES} bytes with all files in it");
            return Err(located.error("", message).into());
        }
        Ok(Self { located, json })
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
        Policy::compile(&self.located.document, secrets, stages)
            .map_err(|error| self.located.error(&error.field, error.message))
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
        let Document { identity, assertion, .. } = self.document();
        let pepper = identity.api_keys.iter().map(|keys| keys.pepper.env.as_str());
        let assertion = assertion.iter().map(|section| section.key.env.as_str());
        let dpop = identity.jwt.iter().filter_map(|section| section.dpop.as_ref());
        let nonce = dpop.filter_map(|dpop| dpop.nonce_key.as_ref()).map(|key| key.env.as_str());
        let names = self.key_set_secrets().chain(pepper).chain(nonce).chain(assertion);
        names.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
    }

    fn key_set_secrets(&self) -> impl Iterator<Item = &str> {
        let issuers = self.document().identity.jwt.iter().flat_map(|section| &section.issuers);
        issuers.filter_map(|issuer| match &issuer.jwks {
            JwksSource::Env(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

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

fn inline_schemas(located: &mut LocatedDocument, folder: &Path) -> Result<(), DocumentError> {
    let read = |source: &Option<SchemaSource>, field: String| {
        let Some(SchemaSource::File(file)) = source else { return Ok(None) };
        let field = format!("{field}.schema.file");
        let path = folder.join(file);
        let error =
            |message: String| located.error(&field, format!("{}: {message}", path.display()));
        let text = read_text(&path, MAXIMUM_FILE_BYTES).map_err(|why| error(why.to_string()))?;
        let schema: Value = serde_json::from_str(&text)
            .map_err(|why| error(format!("expected a JSON Schema: {why}")))?;
        if !schema.is_object() && !schema.is_boolean() {
            return Err(error("expected a JSON Schema: an object or a boolean".to_owned()));
        }
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
        assert_eq!(error.place(), Some((11, 3)), "{error}");
    }

    #[test]
    fn key_sets_from_the_environment_are_assumed_too() {
        let policy = POLICY.replace("file: keys.json", "env: SET");
        let bundle = Files::new(&policy).with("schema.json", "{}").read().unwrap();
        assert_eq!(bundle.secret_names(), ["KEY", "PEPPER", "SET"]);
        bundle.check(&BTreeMap::new()).unwrap();
    }
}
