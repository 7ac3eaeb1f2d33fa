//! What clients and gates are told of this issuer (RFC 8414).

use serde_json::{Value, json};

/// The server's metadata. OpenID Connect's discovery document is the same one: many gates ask for it alone.
pub(crate) fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        // Required to be there (RFC 8414 §2), and there is no authorisation endpoint.
        "response_types_supported": [],
    })
}
