//! `portcullis token mint`.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value};

use super::Failure;
use super::private_key::PrivateKey;
use crate::cli::input_file;

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

    /// The typ of its header, such as at+jwt for an access token (RFC 9068); an empty one leaves it out
    #[arg(long = "type", value_name = "TYPE", default_value = "JWT")]
    token_type: String,

    /// How long it is valid from now on, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    ttl: u64,

    /// How many tokens to make, one a line, alike but for their jti
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,

    /// Bind it to the DPoP key with this thumbprint (RFC 7638): cnf.jkt
    #[arg(long, value_name = "THUMBPRINT", value_parser = thumbprint, conflicts_with = "dpop_key")]
    cnf_jkt: Option<String>,

    /// Bind it to this DPoP key, a client's private JSON Web Key: cnf.jkt. `token proof` makes proofs with it
    #[arg(long, value_name = "FILE")]
    dpop_key: Option<PathBuf>,

    /// Bind it to this client certificate, PEM: cnf.x5t#S256
    #[arg(long, value_name = "FILE")]
    cnf_certificate: Option<PathBuf>,

    /// A further claim, or another value for one of the above; may be repeated
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    claims: Vec<(String, Value)>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let key = PrivateKey::read(&self.key)?;
        let mut header = Map::from_iter([("alg".to_owned(), key.algorithm().into())]);
        if !self.token_type.is_empty() {
            header.insert("typ".to_owned(), self.token_type.as_str().into());
        }
        if let Some(id) = key.id() {
            header.insert("kid".to_owned(), id.into());
        }
        let header = Value::Object(header);
        let count = self.count;
        let given_id = self.claims.iter().any(|(name, _)| name == "jti");
        if count > 1 && given_id {
            return Err(Failure::input("--count: expected 1 where --claim sets the jti"));
        }
        let confirmation = self.confirmation()?;
        let mut claims = Value::Object(self.into_claims(confirmation));
        for made in 0..count {
            if made > 0 {
                claims["jti"] = uuid::Uuid::new_v4().to_string().into();
            }
            let token = key.sign_token(&header, &claims)?;
            super::super::print(&format!("{token}\n"))?;
        }
        Ok(())
    }

    /// Whom the token is bound to (RFC 7800 §3.1).
    fn confirmation(&self) -> Result<Map<String, Value>, Failure> {
        let mut members = Map::new();
        let own = self.dpop_key.as_deref();
        let own = own.map(|path| PrivateKey::read(path)?.thumbprint()).transpose()?;
        if let Some(thumbprint) = own.or_else(|| self.cnf_jkt.clone()) {
            members.insert("jkt".to_owned(), thumbprint.into());
        }
        if let Some(path) = &self.cnf_certificate {
            let certificate = CertificateDer::from_pem_slice(&input_file(path)?).map_err(|_| {
                Failure::input(format_args!("{}: expected a certificate, PEM", path.display()))
            })?;
            let digest = digest::digest(&digest::SHA256, &certificate);
            members.insert("x5t#S256".to_owned(), URL_SAFE_NO_PAD.encode(digest).into());
        }
        Ok(members)
    }

    fn into_claims(self, confirmation: Map<String, Value>) -> Map<String, Value> {
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
        if !confirmation.is_empty() {
            claims.insert("cnf".to_owned(), confirmation.into());
        }
        claims.extend(self.claims);
        claims
    }
}

fn thumbprint(text: &str) -> Result<String, String> {
    match URL_SAFE_NO_PAD.decode(text) {
        Ok(digest) if digest.len() == digest::SHA256_OUTPUT_LEN => Ok(text.to_owned()),
        _ => Err("expected a SHA-256 digest in base64url, 43 characters".to_owned()),
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
