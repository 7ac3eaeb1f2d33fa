//! The encrypted example of `cargo xtask up`, as lines for a shell: the function's public keys from the gate, then a request
//! that is encrypted to them, and its answer, decrypted.

use std::net::SocketAddr;

use crate::up::{ENCRYPTED, ENCRYPTION_KEYS};
use crate::workspace::Workspace;

/// What it needs to know.
pub(crate) struct Sealed {
    gate: SocketAddr,
    /// Paths as a shell in the checkout takes them.
    portcullis: String,
    keys: String,
    own: String,
}

pub(crate) const NAME: &str =
    "an encrypted request, which only the function can read, and its encrypted answer";

/// What is asked. No quotes in it: it stands in quotes.
const TEXT: &str =
    r#"{"text": "USPS: your parcel is held, pay 1.99 dollars at http://usps-fee.example/x today"}"#;

impl Sealed {
    pub(crate) fn new(workspace: &Workspace, gate: SocketAddr) -> Self {
        let dev = |name: &str| workspace.display(&workspace.dev().join(name));
        Self {
            gate,
            portcullis: workspace.display(&workspace.portcullis()),
            keys: dev("encryption.jwks.json"),
            own: dev("own.jwk.json"),
        }
    }

    /// The lines. They call `gate`, which is curl, and have the token in the variable `TOKEN`.
    pub(crate) fn lines(&self) -> [String; 5] {
        let Self { gate, portcullis, keys, own } = self;
        let path = format!("{ENCRYPTED}v1/predict");
        [
            format!("gate https://{gate}{ENCRYPTION_KEYS} > {keys}"),
            format!("echo '{TEXT}' \\"),
            format!("  | {portcullis} jwe seal --keys {keys} --own {own} \\"),
            format!(
                "  | gate --header \"Authorization: Bearer $TOKEN\" --header 'Content-Type: application/jose' \
                 --data-binary @- https://{gate}{path} \\"
            ),
            format!("  | {portcullis} jwe open --own {own}"),
        ]
    }
}
