//! From a request to a reply, without anything of Spin.

use portcullis_function::keys::{KeyringError, Rotation, Store};
use portcullis_function::{
    Limit, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, Reply, Request, UNAUTHENTICATED, UNAVAILABLE,
};
use portcullis_policy::form::{Form, FormError};
use serde_json::json;

use crate::credentials::Credentials;
use crate::grant::Grant;
use crate::metadata::metadata;
use crate::oauth_error::OAuthError;
use crate::settings::Settings;
use crate::signing_key::SigningKey;
use crate::token::AccessToken;

type Keyring = portcullis_function::keys::Keyring<SigningKey>;

/// How much of a body is read.
pub(crate) const BODY_LIMIT: Limit = Limit { bytes: 8 * 1024, detail: "Send at most 8192 bytes." };

/// The most parameters of a token request. The grant knows eight.
const MAXIMUM_PARAMETERS: usize = 32;

/// The role that may rotate keys.
const OPERATOR: &str = "operator";

/// The description of this interface, served as it stands in the repository.
static OPENAPI: &[u8] = include_bytes!("../openapi.yaml");

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
    pub(crate) async fn answer(&self, request: &Request<'_>) -> Reply {
        let mut reply = match self.route(request).await {
            Ok(reply) => reply,
            Err(Refusal::OAuth(error)) => error.reply(),
            Err(Refusal::Problem(problem)) => problem.reply(),
        };
        if request.method == "HEAD" {
            reply.body.clear();
        }
        reply
    }

    async fn route(&self, request: &Request<'_>) -> Result<Reply, Refusal> {
        let route = Route::of(request.path).ok_or(NOT_FOUND)?;
        if !route.allows(request.method) {
            return Err(METHOD_NOT_ALLOWED.with_header("allow", route.allow()).into());
        }
        let body = request.body()?;
        match route {
            Route::Token => self.token(request, body).await,
            Route::Rotate => Ok(self.rotate(request, body).await?),
            Route::KeySet => {
                let set = self.keyring(request.now).await?.public_set();
                // A key is published for an hour before it signs: whoever asks this often never lacks one.
                Ok(Reply::json(&set)?.with_header("cache-control", "public, max-age=300"))
            }
            Route::Metadata => {
                let metadata = metadata(&self.settings()?.issuer);
                Ok(Reply::json(&metadata)?.with_header("cache-control", "public, max-age=3600"))
            }
            Route::Health => {
                self.keyring(request.now).await?;
                Ok(Reply::new(200, "application/json", br#"{"status":"ok"}"#.to_vec()))
            }
            Route::OpenApi => Ok(Reply::new(200, "application/yaml", OPENAPI.to_vec())),
        }
    }

    /// The token endpoint (RFC 6749 §3.2).
    async fn token(&self, request: &Request<'_>, body: &[u8]) -> Result<Reply, Refusal> {
        let settings = self.settings()?;
        // Who came around the gate came around its limits. Which client it is comes later.
        // The caller learns that the assertion is bad, not why: that would help to forge one.
        settings.gatekeeper.principal(request, body).map_err(|_| UNAUTHENTICATED)?;

        // A secret in a URL ends up in logs.
        if request.query.is_some_and(|query| !query.is_empty()) {
            return Err(OAuthError::invalid_request("Send all parameters in the body.").into());
        }
        if !request.is_of_type("application/x-www-form-urlencoded") {
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
        let credentials = Credentials::of(request.headers, &form)?;
        let client = settings.registry.authenticate(&credentials);
        let client = client.ok_or(OAuthError::invalid_client())?;
        let grant = Grant::new(&form, client)?;

        let keyring = self.keyring(request.now).await?;
        let key = keyring.current().ok_or(UNAVAILABLE)?;
        let token = AccessToken::sign(&settings.issuer, client, &grant, key, request.now);
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
    async fn rotate(&self, request: &Request<'_>, body: &[u8]) -> Result<Reply, Problem> {
        let settings = self.settings()?;
        let principal =
            settings.gatekeeper.principal(request, body).map_err(|_| UNAUTHENTICATED)?;
        if !principal.roles.iter().any(|role| role == OPERATOR) {
            return Err(NOT_OPERATOR);
        }
        if !body.is_empty() {
            return Err(BODY_UNEXPECTED);
        }
        let mut keyring = self.keyring(request.now).await?;
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
    portcullis_function::log!("token-issuer: {error}");
    UNAVAILABLE
}

const BODY_UNEXPECTED: Problem =
    Problem::new(400, "body-unexpected", "No body is expected", "Send the request without a body.");
const NOT_OPERATOR: Problem = Problem::new(
    403,
    "role-missing",
    "Your role does not allow this",
    "Ask whoever operates this service.",
);

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
