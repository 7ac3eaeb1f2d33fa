//! `portcullis token proof`.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde_json::json;

use super::private_key::PrivateKey;
use super::{Failure, token_text};

/// Make a DPoP proof for one request (RFC 9449)
///
/// For trying things out: clients make their own. Send it in the DPoP field, once, beside `Authorization: DPoP TOKEN`. Prints the
/// proof and nothing else.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The client's private key, a JSON Web Key, to which the token is bound (`token mint --dpop-key`)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The request's method
    #[arg(long, value_parser = method)]
    method: String,

    /// The request's URI; its query and fragment are left out
    #[arg(long, value_parser = uri)]
    uri: String,

    /// The token that it goes with; `-` reads it from standard input, where other users cannot see it. A proof for a token
    /// endpoint goes with none
    #[arg(long, value_name = "TOKEN")]
    access_token: Option<String>,

    /// The DPoP-Nonce of an earlier response
    #[arg(long)]
    nonce: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let key = PrivateKey::read(&self.key)?;
        let header = json!({ "typ": "dpop+jwt", "alg": key.algorithm(), "jwk": key.public()? });
        let mut claims = json!({
            "jti": uuid::Uuid::new_v4().to_string(),
            "htm": self.method,
            "htu": self.uri,
            "iat": crate::native::clock().seconds(),
        });
        if let Some(token) = self.access_token {
            let token = token_text((token != "-").then_some(token))?;
            let digest = digest::digest(&digest::SHA256, token.as_bytes());
            claims["ath"] = URL_SAFE_NO_PAD.encode(digest).into();
        }
        if let Some(nonce) = self.nonce {
            claims["nonce"] = nonce.into();
        }
        let proof = key.sign_token(&header, &claims)?;
        super::super::print(&format!("{proof}\n"))
    }
}

fn method(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        true => Ok(text.to_owned()),
        false => Err("expected a method such as GET".to_owned()),
    }
}

fn uri(text: &str) -> Result<String, String> {
    let without_query = text.split(['?', '#']).next().unwrap_or_default();
    let authority = without_query.split_once("://").and_then(|(scheme, rest)| {
        let is_http = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        is_http.then(|| rest.split('/').next().unwrap_or_default())
    });
    match authority.is_some_and(|authority| !authority.is_empty()) {
        true => Ok(without_query.to_owned()),
        false => Err("expected a URI such as https://api.example/v1/predict".to_owned()),
    }
}
