//! From a request to a reply, without anything of Spin.

use portcullis_function::keys::Store;
use portcullis_function::tenants;
use portcullis_function::{
    Gatekeeper, Limit, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, Reply, Request, UNAUTHENTICATED,
    UNAVAILABLE,
};
use portcullis_model::Detector;
use portcullis_policy::Principal;

use crate::accounts::Accounts;
use crate::predict::{Decimals, assess};

/// How much of a body is read: one text of the longest kind escaped, or 64 of 4,096 bytes.
pub(crate) const BODY_LIMIT: Limit =
    Limit { bytes: 256 * 1024, detail: "Send at most 262144 bytes." };

/// The description of this interface, served as it stands in the repository.
static OPENAPI: &[u8] = include_bytes!("../openapi.yaml");

/// The scam detector. Holds the model and nothing of any request.
pub(crate) struct Service {
    detector: Option<Detector>,
}

/// What the operator has settled. `None` is what is missing or unfit: nobody is answered who would need it.
pub(crate) struct Settings {
    pub(crate) gatekeeper: Option<Gatekeeper>,
    pub(crate) decimals: Option<Decimals>,
    pub(crate) accounts: Accounts,
}

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Predict,
    Model,
    Health,
    OpenApi,
    /// What is kept of those who ask; with the methods of the path.
    Tenants(&'static str),
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/predict" => Some(Self::Predict),
            "/v1/model" => Some(Self::Model),
            "/healthz" => Some(Self::Health),
            "/openapi.yaml" => Some(Self::OpenApi),
            _ => tenants::allow(path).map(Self::Tenants),
        }
    }

    /// The methods that this route answers, as in an `Allow` field.
    fn allow(self) -> &'static str {
        match self {
            Self::Predict => "POST",
            Self::Model | Self::Health | Self::OpenApi => "GET, HEAD",
            Self::Tenants(allow) => allow,
        }
    }

    fn allows(self, method: &str) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method)
    }

    /// Only what says nothing of the model is answered to those who did not come through the gate.
    fn needs_assertion(self) -> bool {
        matches!(self, Self::Predict | Self::Model | Self::Tenants(_))
    }
}

/// With a link, an address, a number, an amount, an accent and a letter of another script.
const WARM_UP: &str =
    "Héllo, cаll 0900 123 456 or write to a@b.example about http://192.0.2.1/x?y=1 and $1,000.50! ";

impl Service {
    pub(crate) fn new() -> Self {
        let detector = Detector::embedded()
            .inspect_err(|error| {
                portcullis_function::log!("scam-detector: the model cannot be loaded: {error}");
            })
            .ok();
        Self { detector }
    }

    /// Assesses a text of every shape that has tables or automata of its own.
    pub(crate) fn warm_up(&self) {
        if let Some(detector) = &self.detector {
            // What it says does not matter.
            let _ = detector.assess(&WARM_UP.repeat(8));
        }
    }

    /// Answers a request. What is kept of who asks is kept in `store`.
    pub(crate) async fn answer(
        &self,
        request: &Request<'_>,
        settings: &Settings,
        store: &impl Store,
    ) -> Reply {
        let reply = self.route(request, settings, store).await;
        let mut reply = reply.unwrap_or_else(|problem| problem.reply());
        if request.method == "HEAD" {
            reply.body.clear();
        }
        reply
    }

    async fn route(
        &self,
        request: &Request<'_>,
        settings: &Settings,
        store: &impl Store,
    ) -> Result<Reply, Problem> {
        let route = Route::of(request.path).ok_or(NOT_FOUND)?;
        if !route.allows(request.method) {
            return Err(METHOD_NOT_ALLOWED.with_header("allow", route.allow()));
        }
        let body = request.body()?;
        let mut principal = Principal::anonymous();
        if route.needs_assertion() {
            let gatekeeper = settings.gatekeeper.as_ref().ok_or(UNAVAILABLE)?;
            // The caller learns that the assertion is bad, not why: that would help to forge one.
            principal = gatekeeper.principal(request, body).map_err(|_| UNAUTHENTICATED)?;
        }

        match route {
            Route::Predict => self.predict(request, body, &principal, settings, store).await,
            Route::Model => Reply::json(self.detector()?.card()),
            Route::Health => {
                self.detector()?;
                Ok(Reply::new(200, "application/json", br#"{"status":"ok"}"#.to_vec()))
            }
            Route::OpenApi => Ok(Reply::new(200, "application/yaml", OPENAPI.to_vec())),
            Route::Tenants(_) => {
                Ok(settings.accounts.tenants(store)?.answer(&principal, request).await)
            }
        }
    }

    async fn predict(
        &self,
        request: &Request<'_>,
        body: &[u8],
        principal: &Principal,
        settings: &Settings,
        store: &impl Store,
    ) -> Result<Reply, Problem> {
        let decimals = settings.decimals.ok_or(UNAVAILABLE)?;
        let detector = self.detector()?;
        let accounts = &settings.accounts;
        match assess(request, body, detector) {
            Ok(mut predicted) => {
                let assessed = &mut predicted.assessed;
                let pattern =
                    accounts.answered(principal, assessed, decimals, store, request.now).await?;
                predicted.reply(detector.card(), decimals, pattern)
            }
            Err(problem) => {
                accounts.refused(principal, store, request.now).await;
                Err(problem)
            }
        }
    }

    fn detector(&self) -> Result<&Detector, Problem> {
        self.detector.as_ref().ok_or(UNAVAILABLE)
    }
}

pub(crate) const FAILED: Problem =
    Problem::new(500, "function-failed", "The function failed", "Try again later.");

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
