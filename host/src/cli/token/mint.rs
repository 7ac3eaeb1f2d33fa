//! `portcullis token mint`.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Failure;
use super::private_key::PrivateKey;

/// Sign a token with an issuer's private key
///
/// For trying things out: in production, tokens come from the issuer. Prints the token and nothing else; with
/// --count, one a line.
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

    /// How many tokens to make, one a line, alike but for their jti
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,

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
        let count = self.count;
        let given_id = self.claims.iter().any(|(name, _)| name == "jti");
        if count > 1 && given_id {
            return Err(Failure::input("--count: expected 1 where --claim sets the jti"));
        }
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let mut claims = Value::Object(self.into_claims());
        for made in 0..count {
            if made > 0 {
                claims["jti"] = uuid::Uuid::new_v4().to_string().into();
            }
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
            let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?);
            super::super::print(&format!("{signed}.{signature}\n"))?;
        }
        Ok(())
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
