//! `portcullis token mint`.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Failure;
use super::private_key::PrivateKey;

/// Sign a token with an issuer's private key
///
/// For trying things out: in production, tokens come from the issuer. Prints the token and nothing else.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The issuer's private key, a JSON Web Key: P-256, P-384, P-521, Ed25519, RSA or symmetric. Its alg says what to sign
    /// with: an RSA key without it signs with RS256, a symmetric one must have it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The iss claim
    #[arg(long)]
    issuer: String,

    /// The aud claim; may be repeated
    #[arg(long = "audience", value_name = "AUDIENCE", required = true)]
    audiences: Vec<String>,

    /// The sub claim
    #[arg(long)]
    subject: String,

    /// The tenant claim
    #[arg(long)]
    tenant: Option<String>,

    /// One of the roles claim; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    /// One of the scope claim; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// How long it is valid from now on, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    ttl: u64,

    /// A further claim, or another value for one of the above; may be repeated
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    claims: Vec<(String, Value)>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let key = PrivateKey::read(&self.key)?;
        let mut header = json!({ "alg": key.algorithm(), "typ": "JWT" });
        if let (Some(header), Some(id)) = (header.as_object_mut(), key.id()) {
            header.insert("kid".to_owned(), id.into());
        }
        let claims = Value::Object(self.into_claims());
        let signed =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?);
        super::super::print(&format!("{signed}.{signature}\n"))
    }

    fn into_claims(self) -> Map<String, Value> {
        let now = crate::native::clock().seconds();
        let mut claims = Map::new();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", self.issuer.into());
        set("sub", self.subject.into());
        let audience = match self.audiences.as_slice() {
            [only] => only.as_str().into(),
            several => several.into(),
        };
        set("aud", audience);
        set("iat", now.into());
        set("exp", now.saturating_add(self.ttl).into());
        set("jti", uuid::Uuid::new_v4().to_string().into());
        if let Some(tenant) = self.tenant {
            set("tenant", tenant.into());
        }
        if !self.roles.is_empty() {
            set("roles", self.roles.into());
        }
        if !self.scopes.is_empty() {
            set("scope", self.scopes.join(" ").into());
        }
        claims.extend(self.claims);
        claims
    }
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=JSON")?;
    if name.is_empty() {
        return Err("expected NAME=JSON, found no name".to_owned());
    }
    let value = serde_json::from_str(value)
        .map_err(|error| format!("expected JSON after `{name}=` (a text needs quotes): {error}"))?;
    Ok((name.to_owned(), value))
}
