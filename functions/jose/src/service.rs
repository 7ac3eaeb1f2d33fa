//! From a request to an answer, without anything of Spin.

use portcullis_function::jwe::{Decrypted, DecryptionKeys, MEDIA_TYPE, NOT_CONFIGURED};
use portcullis_function::keys::Store;
use portcullis_function::{
    METHOD_NOT_ALLOWED, NOT_FOUND, Problem, Reply, Request, UNAUTHENTICATED, UNAVAILABLE,
};

use crate::forward::Clear;
use crate::settings::{Encryption, Settings};
use crate::upstream::{Answered, Upstream};

/// The description of this interface, served as it stands in the repository.
static OPENAPI: &[u8] = include_bytes!("../openapi.yaml");

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    KeySet,
    Health,
    OpenApi,
    /// A path of the function behind this one.
    Encrypted,
}

impl Route {
    fn of(path: &str) -> Self {
        match path {
            "/.well-known/jwks.json" => Self::KeySet,
            "/healthz" => Self::Health,
            "/openapi.yaml" => Self::OpenApi,
            _ => Self::Encrypted,
        }
    }

    /// The methods that this route answers, as in an `Allow` field.
    fn allow(self) -> &'static str {
        match self {
            // What has no content cannot be encrypted.
            Self::Encrypted => "POST",
            Self::KeySet | Self::Health | Self::OpenApi => "GET, HEAD",
        }
    }

    fn allows(self, method: &str) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method)
    }
}

/// The component, as it is set up.
pub(crate) struct Service<'a, S, U> {
    /// `None` where a variable is unfit.
    pub(crate) settings: Option<&'a Settings>,
    pub(crate) store: &'a S,
    pub(crate) upstream: &'a U,
}

impl<S: Store, U: Upstream> Service<'_, S, U> {
    pub(crate) async fn answer(&self, request: &Request<'_>) -> Answered {
        let answered = self.route(request).await;
        let mut answered = answered.unwrap_or_else(|problem| in_the_clear(problem.reply()));
        if request.method == "HEAD" {
            answered.reply.body.clear();
        }
        answered
    }

    async fn route(&self, request: &Request<'_>) -> Result<Answered, Problem> {
        let route = Route::of(request.path);
        if !route.allows(request.method) {
            return Err(METHOD_NOT_ALLOWED.with_header("allow", route.allow()));
        }
        let body = request.body()?;
        match route {
            Route::KeySet => {
                // Without a policy or an upstream, too: nobody is to encrypt what is not accepted then.
                let encryption = self.encryption()?.ok_or(NOT_FOUND)?;
                let set = self.keys(encryption, request.now).await?.public_set();
                let reply = Reply::json(&set)?;
                Ok(in_the_clear(reply.with_header("cache-control", "public, max-age=3600")))
            }
            Route::Health => {
                let encryption = self.encryption()?.ok_or(UNAVAILABLE)?;
                self.keys(encryption, request.now).await?;
                let status = br#"{"status":"ok"}"#.to_vec();
                Ok(in_the_clear(Reply::new(200, "application/json", status)))
            }
            Route::OpenApi => {
                Ok(in_the_clear(Reply::new(200, "application/yaml", OPENAPI.to_vec())))
            }
            Route::Encrypted => self.encrypted(request, body).await,
        }
    }

    async fn encrypted(&self, request: &Request<'_>, body: &[u8]) -> Result<Answered, Problem> {
        let settings = self.settings.ok_or(UNAVAILABLE)?;
        // The caller learns that the assertion is bad, not why: that would help to forge one.
        let principal =
            settings.gatekeeper.principal(request, body).map_err(|_| UNAUTHENTICATED)?;
        if !request.is_of_type(MEDIA_TYPE) {
            return Err(NOT_ENCRYPTED);
        }
        let encryption = self.encryption()?.ok_or(NOT_CONFIGURED)?;
        let path = request.path.strip_prefix(encryption.path_prefix.as_str());
        let path = path.filter(|path| path.starts_with('/')).ok_or(NOT_FOUND)?;
        let keys = self.keys(encryption, request.now).await?;
        let decrypted = keys.decrypt(body).map_err(|error| {
            portcullis_function::log!("jose: {error}");
            error.problem()
        })?;
        let Decrypted { content, content_type, reply_key } = decrypted;
        // From here on nothing leaves in the clear but the status and what the gate records.
        let clear = Clear { request, path, content, content_type: content_type.trim(), principal };
        let answered = encryption.forward(clear, self.upstream).await;
        let Answered { reply, signals } = answered.unwrap_or_else(in_the_clear);
        Ok(Answered { reply: reply_key.seal(reply), signals })
    }

    /// `None` where it is not set up.
    fn encryption(&self) -> Result<Option<&Encryption>, Problem> {
        match &self.settings.ok_or(UNAVAILABLE)?.encryption {
            Ok(encryption) => Ok(Some(encryption)),
            Err(not_set) => {
                portcullis_function::log!("jose: {not_set}");
                Ok(None)
            }
        }
    }

    async fn keys<'a>(
        &self,
        encryption: &'a Encryption,
        now: u64,
    ) -> Result<DecryptionKeys<'a>, Problem> {
        DecryptionKeys::open(&encryption.keys, self.store, now).await.map_err(|error| {
            portcullis_function::log!("jose: {error}");
            UNAVAILABLE
        })
    }
}

fn in_the_clear(reply: Reply) -> Answered {
    Answered { reply, signals: None }
}

const NOT_ENCRYPTED: Problem = Problem::new(
    415,
    "unsupported-media-type",
    "Unsupported media type",
    "Send one Content-Type field: application/jose, and a request that is encrypted to a key of \
     /.well-known/jwks.json.",
)
.with_header("accept", "application/jose");

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
