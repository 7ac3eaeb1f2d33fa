//! From a request to a reply, without anything of Spin.

use portcullis_policy::form::{Form, FormError};
use serde::Serialize;
use serde_json::json;

use crate::credentials::Credentials;
use crate::grant::Grant;
use crate::keyring::{Keyring, KeyringError, Rotation, Store};
use crate::metadata::metadata;
use crate::oauth_error::OAuthError;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::token::AccessToken;

/// Longest request body, in bytes.
pub(crate) const BODY_LIMIT: usize = 8 * 1024;

/// The most parameters of a token request. The grant knows eight.
const MAXIMUM_PARAMETERS: usize = 32;

/// The role that may rotate keys.
const OPERATOR: &str = "operator";

/// The description of this interface, served as it stands in the repository.
static OPENAPI: &[u8] = include_bytes!("../openapi.yaml");

/// A request, read as far as it is read at all.
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    /// Without the query.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    /// Names in lower case.
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
    pub(crate) body: Body,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// What came of reading a request's body.
pub(crate) enum Body {
    Whole(zeroize::Zeroizing<Vec<u8>>),
    /// More than [`BODY_LIMIT`].
    TooLarge,
    /// The connection ended before the body did.
    Broken,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", content_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ];
        Self { status, headers, body }
    }

    fn json(value: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(|_| UNAVAILABLE)?;
        Ok(Self::new(200, "application/json", body))
    }

    fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value));
        self
    }
}

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Token,
    KeySet,
    Metadata,
    Rotate,
    Health,
    OpenApi,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/token" => Some(Self::Token),
            "/jwks" => Some(Self::KeySet),
            "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" => {
                Some(Self::Metadata)
            }
            "/admin/rotate" => Some(Self::Rotate),
            "/healthz" => Some(Self::Health),
            "/openapi.yaml" => Some(Self::OpenApi),
            _ => None,
        }
    }

    /// The methods that this route answers, as in an `Allow` field.
    fn allow(self) -> &'static str {
        match self {
            Self::Token | Self::Rotate => "POST",
            Self::KeySet | Self::Metadata | Self::Health | Self::OpenApi => "GET, HEAD",
        }
    }

    fn allows(self, method: &str) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method)
    }
}

/// Why there is no token.
enum Refusal {
    OAuth(OAuthError),
    Problem(Problem),
}

/// The token issuer, as it is set up, with its keys.
pub(crate) struct Service<'a, S> {
    /// `None` where a variable is missing or unfit.
    pub(crate) settings: Option<&'a Settings>,
    pub(crate) store: &'a S,
}

impl<S: Store> Service<'_, S> {
    pub(crate) async fn answer(&self, incoming: &Incoming<'_>) -> Reply {
        let mut reply = match self.route(incoming).await {
            Ok(reply) => reply,
            Err(Refusal::OAuth(error)) => error.reply(),
            Err(Refusal::Problem(problem)) => problem.reply(),
        };
        if incoming.method == "HEAD" {
            reply.body.clear();
        }
        reply
    }

    async fn route(&self, incoming: &Incoming<'_>) -> Result<Reply, Refusal> {
        let route = Route::of(incoming.path).ok_or(NOT_FOUND)?;
        if !route.allows(incoming.method) {
            return Err(METHOD_NOT_ALLOWED.with_header("allow", route.allow()).into());
        }
        let body = match &incoming.body {
            Body::Whole(body) => body.as_slice(),
            Body::TooLarge => return Err(TOO_LARGE.into()),
            Body::Broken => return Err(BROKEN.into()),
        };
        match route {
            Route::Token => self.token(incoming, body).await,
            Route::Rotate => Ok(self.rotate(incoming, body).await?),
            Route::KeySet => {
                let set = self.keyring(incoming.now).await?.public_set();
                // A key is published for an hour before it signs: whoever asks this often never lacks one.
                Ok(Reply::json(&set)?.with_header("cache-control", "public, max-age=300"))
            }
            Route::Metadata => {
                let metadata = metadata(&self.settings()?.issuer);
                Ok(Reply::json(&metadata)?.with_header("cache-control", "public, max-age=3600"))
            }
            Route::Health => {
                self.keyring(incoming.now).await?;
                Ok(Reply::new(200, "application/json", br#"{"status":"ok"}"#.to_vec()))
            }
            Route::OpenApi => Ok(Reply::new(200, "application/yaml", OPENAPI.to_vec())),
        }
    }

    /// The token endpoint (RFC 6749 §3.2).
    async fn token(&self, incoming: &Incoming<'_>, body: &[u8]) -> Result<Reply, Refusal> {
        let settings = self.settings()?;
        // Who came around the gate came around its limits. Which client it is comes later.
        // The caller learns that the assertion is bad, not why: that would help to forge one.
        settings.gatekeeper.principal(incoming, body).map_err(|_| UNAUTHENTICATED)?;

        // A secret in a URL ends up in logs.
        if incoming.query.is_some_and(|query| !query.is_empty()) {
            return Err(OAuthError::invalid_request("Send all parameters in the body.").into());
        }
        if !is_form(incoming.headers) {
            let description = "Send one Content-Type field: application/x-www-form-urlencoded.";
            return Err(OAuthError::invalid_request(description).into());
        }
        let form = Form::parse(body, MAXIMUM_PARAMETERS).map_err(|error| {
            OAuthError::invalid_request(match error {
                FormError::Repeated => "Send each parameter once.",
                FormError::TooMany => "Send fewer parameters.",
                _ => "The form is not well encoded.",
            })
        })?;
        if form
            .iter()
            .any(|(name, value)| [name, value].iter().any(|text| text.contains(char::is_control)))
        {
            return Err(OAuthError::invalid_request("Send no control characters.").into());
        }
        Grant::check(&form)?;
        let credentials = Credentials::of(incoming.headers, &form)?;
        let client = settings.registry.authenticate(&credentials);
        let client = client.ok_or(OAuthError::invalid_client())?;
        let grant = Grant::new(&form, client)?;

        let keyring = self.keyring(incoming.now).await?;
        let key = keyring.current().ok_or(UNAVAILABLE)?;
        let token = AccessToken::sign(&settings.issuer, client, &grant, key, incoming.now);
        let token = token.ok_or(UNAVAILABLE)?;
        let mut answer = json!({
            "access_token": token.text, "token_type": "Bearer", "expires_in": token.expires_in,
        });
        if let (false, Some(answer)) = (grant.scope.is_empty(), answer.as_object_mut()) {
            answer.insert("scope".to_owned(), grant.scope.into());
        }
        Ok(Reply::json(&answer)?.with_header("pragma", "no-cache"))
    }

    /// Publishes the next key. For operators, as the gate knows them.
    async fn rotate(&self, incoming: &Incoming<'_>, body: &[u8]) -> Result<Reply, Problem> {
        let settings = self.settings()?;
        let principal =
            settings.gatekeeper.principal(incoming, body).map_err(|_| UNAUTHENTICATED)?;
        if !principal.roles.iter().any(|role| role == OPERATOR) {
            return Err(NOT_OPERATOR);
        }
        if !body.is_empty() {
            return Err(BODY_UNEXPECTED);
        }
        let mut keyring = self.keyring(incoming.now).await?;
        let rotation = keyring.rotate(self.store, &settings.sealer).await.map_err(unavailable)?;
        Reply::json(&json!({ "begun": rotation == Rotation::Begun, "keys": keyring.report() }))
    }

    fn settings(&self) -> Result<&Settings, Problem> {
        self.settings.ok_or(UNAVAILABLE)
    }

    async fn keyring(&self, now: u64) -> Result<Keyring, Problem> {
        let settings = self.settings()?;
        Keyring::open(self.store, &settings.sealer, now, settings.rotation_seconds)
            .await
            .map_err(unavailable)
    }
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn unavailable(error: KeyringError) -> Problem {
    eprintln!("token-issuer: {error}");
    UNAVAILABLE
}

/// One Content-Type of a form, with UTF-8 as the only parameter.
fn is_form(headers: &[(&str, &[u8])]) -> bool {
    let mut types =
        headers.iter().filter(|(name, _)| *name == "content-type").map(|(_, value)| *value);
    let (Some(content_type), None) = (types.next(), types.next()) else {
        return false;
    };
    let Ok(content_type) = std::str::from_utf8(content_type) else {
        return false;
    };
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let parameters = parameters.trim().to_ascii_lowercase();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && matches!(parameters.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
}

const NOT_FOUND: Problem = Problem::new(
    404,
    "not-found",
    "Not found",
    "There is nothing at this path. /openapi.yaml lists what there is.",
);
const METHOD_NOT_ALLOWED: Problem = Problem::new(
    405,
    "method-not-allowed",
    "Method not allowed",
    "Use one of the methods in the Allow field.",
);
const TOO_LARGE: Problem =
    Problem::new(413, "body-too-large", "Body too large", "Send at most 8192 bytes.");
const BROKEN: Problem = Problem::new(
    400,
    "body-incomplete",
    "Body incomplete",
    "The body ended too early. Send it again.",
);
const BODY_UNEXPECTED: Problem =
    Problem::new(400, "body-unexpected", "No body is expected", "Send the request without a body.");
const UNAUTHENTICATED: Problem = Problem::new(
    401,
    "assertion-invalid",
    "Not through the gate",
    "This function answers only what its gateway has admitted. Send the request to the gateway.",
)
// RFC 9110 §11.6.1 wants a challenge with each 401; "Signature" is what a gateway is to bring.
.with_header("www-authenticate", "Signature realm=\"portcullis\"");
const NOT_OPERATOR: Problem = Problem::new(
    403,
    "role-missing",
    "Your role does not allow this",
    "Ask whoever operates this service.",
);
const UNAVAILABLE: Problem = Problem::new(
    503,
    "function-unavailable",
    "Function unavailable",
    "The function is not set up. Its operator finds the reason in its log.",
);

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
