//! A token issuer's key pair as JWKs (RFC 7517): ES256, the public half as the gate reads it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Failure, Group, NewFile, random, read, unusable};

const PRIVATE: &str = "issuer.jwk.json";
const PUBLIC: &str = "issuer.jwks.json";

pub(super) const GROUP: Group = Group { files: &[PRIVATE, PUBLIC], make, check };

/// A P-256 key (RFC 7518 section 6.2). `d` is there in the private one alone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
    kid: String,
    x: String,
    y: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<Zeroizing<String>>,
}

#[derive(Serialize, Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

impl Jwk {
    fn new(key: &SecretKey) -> Option<Self> {
        let point = key.public_key().to_sec1_point(false);
        let x = URL_SAFE_NO_PAD.encode(point.x()?);
        let y = URL_SAFE_NO_PAD.encode(point.y()?);
        // The key's thumbprint (RFC 7638): the members in this order, without spaces.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = ring::digest::digest(&ring::digest::SHA256, members.as_bytes());
        Some(Self {
            kty: "EC".into(),
            crv: "P-256".into(),
            alg: "ES256".into(),
            usage: "sig".into(),
            kid: URL_SAFE_NO_PAD.encode(thumbprint),
            x,
            y,
            d: Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(Zeroizing::new(key.to_bytes())))),
        })
    }

    fn public(&self) -> Self {
        Self { d: None, ..self.clone() }
    }

    fn secret_key(&self) -> Option<SecretKey> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(self.d.as_ref()?.as_bytes()).ok()?);
        SecretKey::from_slice(&bytes).ok()
    }
}

fn make() -> Result<Vec<NewFile>, Failure> {
    let key = loop {
        // All but one in 2^32 are keys.
        if let Ok(key) = SecretKey::from_slice(random::<32>()?.as_slice()) {
            break key;
        }
    };
    let private = Jwk::new(&key).ok_or_else(|| Failure::runtime("the new key has no point"))?;
    let public = Jwks { keys: vec![private.public()] };
    let failed = |error| Failure::runtime(format_args!("cannot write the key as JSON: {error}"));
    let private = Zeroizing::new(serde_json::to_string_pretty(&private).map_err(failed)?);
    let public = Zeroizing::new(serde_json::to_string_pretty(&public).map_err(failed)?);
    Ok(vec![
        NewFile { name: PRIVATE, content: private, secret: true },
        NewFile { name: PUBLIC, content: public, secret: false },
    ])
}

fn check(directory: &Path) -> Result<(), Failure> {
    let private_path = directory.join(PRIVATE);
    let public_path = directory.join(PUBLIC);
    // serde_json's messages can quote the input, which holds a secret here: only the place is
    // told.
    let private: Jwk = serde_json::from_str(&read(&private_path)?).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        unusable(&private_path, format_args!("{line}:{column}: expected a private ES256 JWK"))
    })?;
    let public: Jwks = serde_json::from_str(&read(&public_path)?).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        unusable(&public_path, format_args!("{line}:{column}: expected a JWKS of ES256 keys"))
    })?;

    let derived = private.secret_key().and_then(|key| Jwk::new(&key));
    let is_consistent = derived.is_some_and(|derived| {
        (&derived.x, &derived.y) == (&private.x, &private.y)
            && private.alg == "ES256"
            && private.crv == "P-256"
    });
    if !is_consistent {
        return Err(unusable(
            &private_path,
            "expected an ES256 key whose d, x and y belong together",
        ));
    }
    if !public.keys.contains(&private.public()) {
        let kid = &private.kid;
        return Err(unusable(
            &public_path,
            format_args!("the key {kid:?} of {PRIVATE} is not in it"),
        ));
    }
    Ok(())
}
