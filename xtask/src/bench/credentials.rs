//! Tokens and API keys to measure with.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::process;
use crate::up::{AUDIENCE, ISSUER};
use crate::workspace::Workspace;

/// 32 bytes in base64url, for measuring only.
pub(super) const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The signature algorithms that are measured, each with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
    Hs256,
}

impl Algorithm {
    pub(super) const ALL: [Self; 4] = [Self::Rs256, Self::Es256, Self::EdDsa, Self::Hs256];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// Private keys that everybody knows, from the RFCs' examples: nobody may be let in by them.
    fn private_key(self) -> Value {
        let mut key = match self {
            // RFC 7520 §3.4
            Self::Rs256 => json!({
                "kty": "RSA",
                "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
                "e": "AQAB",
                "d": "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ",
                "p": "3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N2fvuIAmr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k",
                "q": "uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15vMMON8lHTeZu2lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc",
                "dp": "B8PVvXkvJrj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiMGQp8pbt26gljYfKU_E9xn-RULHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik",
                "dq": "CLDmDGduhylc9o7r84rEUVn7pzQ6PF83Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZDm6sI6og5iTbwQGIC3gnJKbi_7k_vJgGHwHxgPaX2PnvP-zyEkDERuf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8",
                "qi": "3PiqvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3HaEGBjTVJs_jcK8-TRXvaKe-7ZMaQj8VfBdYkssbu0NKDDhjJ-GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4",
            }),
            // RFC 7515 §A.3.1
            Self::Es256 => json!({
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
            }),
            // RFC 8037 §A.1
            Self::EdDsa => json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            }),
            // RFC 7515 §A.1.1
            Self::Hs256 => json!({
                "kty": "oct",
                "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            }),
        };
        key["alg"] = self.name().into();
        key["kid"] = "bench".into();
        key
    }

    /// The key set that verifies: public, but for HS256.
    pub(super) fn key_set(self) -> Value {
        let mut key = self.private_key();
        if let Some(members) = key.as_object_mut() {
            members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        }
        json!({ "keys": [key] })
    }
}

/// Mints tokens with `portcullis token mint`.
pub(super) struct Issuer {
    portcullis: PathBuf,
    folder: PathBuf,
    minted: Cell<u32>,
}

impl Issuer {
    pub(super) fn new(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.bench();
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self { portcullis: workspace.portcullis(), folder, minted: Cell::new(0) })
    }

    /// `count` tokens that are good for a day, alike but for their id.
    pub(super) fn tokens(&self, algorithm: Algorithm, count: u32) -> Result<Arc<[String]>> {
        let key = self.folder.join(format!("{}.jwk.json", algorithm.name()));
        fs::write(&key, algorithm.private_key().to_string())
            .with_context(|| format!("writing {}", key.display()))?;
        let mut command = Command::new(&self.portcullis);
        command.args(["token", "mint", "--issuer", ISSUER, "--audience", AUDIENCE]);
        command.args(["--subject", "bench", "--role", "caller", "--ttl", "86400", "--key"]);
        command.arg(&key).args(["--count", &count.to_string()]);
        let tokens: Arc<[String]> =
            process::text(&mut command)?.lines().map(str::to_owned).collect();
        if tokens.len() != count as usize {
            bail!("expected {count} tokens, found {}", tokens.len());
        }
        self.minted.set(self.minted.get() + count);
        Ok(tokens)
    }

    pub(super) fn minted(&self) -> String {
        format!("{} tokens minted", self.minted.get())
    }
}

/// An API key as `portcullis key new` makes them, but not random.
pub(super) fn api_key(number: u32) -> String {
    let mut secret = [0; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    format!("pcl_{}_{}", api_key_id(number), URL_SAFE_NO_PAD.encode(secret))
}

/// The public part of [`api_key`].
pub(super) fn api_key_id(number: u32) -> String {
    format!("bench{number}")
}

/// What the policy holds of [`api_key`] under the pepper [`SECRET`].
pub(super) fn api_key_digest(number: u32) -> Result<String> {
    let pepper = URL_SAFE_NO_PAD.decode(SECRET).context("reading the pepper")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&pepper).context("keying HMAC")?;
    mac.update(api_key(number).as_bytes());
    Ok(format!("hmac-sha256:{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_verifies_cannot_sign() {
        for algorithm in Algorithm::ALL {
            let set = algorithm.key_set();
            assert_eq!(set["keys"][0]["alg"], algorithm.name());
            assert!(set["keys"][0].get("d").is_none() && set["keys"][0].get("p").is_none());
        }
    }
}
