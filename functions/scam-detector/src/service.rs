//! From a request to a reply, without anything of Spin.

use portcullis_function::{
    Gatekeeper, Limit, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, Reply, Request, UNAUTHENTICATED,
    UNAVAILABLE,
};
use portcullis_model::{AssessError, Detector};
use serde::{Deserialize, Serialize};

/// How much of a body is read.
pub(crate) const BODY_LIMIT: Limit =
    Limit { bytes: 64 * 1024, detail: "Send at most 65536 bytes." };

/// The description of this interface, served as it stands in the repository.
static OPENAPI: &[u8] = include_bytes!("../openapi.yaml");

/// The scam detector. Holds the model and nothing of any request.
pub(crate) struct Service {
    detector: Option<Detector>,
}

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Predict,
    Model,
    Health,
    OpenApi,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/predict" => Some(Self::Predict),
            "/v1/model" => Some(Self::Model),
            "/healthz" => Some(Self::Health),
            "/openapi.yaml" => Some(Self::OpenApi),
            _ => None,
        }
    }

    /// The methods that this route answers, as in an `Allow` field.
    fn allow(self) -> &'static str {
        match self {
            Self::Predict => "POST",
            Self::Model | Self::Health | Self::OpenApi => "GET, HEAD",
        }
    }

    fn allows(self, method: &str) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method)
    }

    /// Only what says nothing of the model is answered to those who did not come through the gate.
    fn needs_assertion(self) -> bool {
        matches!(self, Self::Predict | Self::Model)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    text: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    assessment: portcullis_model::Assessment,
    model: ModelName<'a>,
}

#[derive(Serialize)]
struct ModelName<'a> {
    name: &'a str,
    version: &'a str,
    sha256: &'a str,
}

impl Service {
    pub(crate) fn new() -> Self {
        let detector = Detector::embedded()
            .inspect_err(|error| eprintln!("scam-detector: the model cannot be loaded: {error}"))
            .ok();
        Self { detector }
    }

    /// Answers a request. `gatekeeper` is `None` where its key is not configured.
    pub(crate) fn answer(&self, request: &Request<'_>, gatekeeper: Option<&Gatekeeper>) -> Reply {
        let mut reply = self.route(request, gatekeeper).unwrap_or_else(|problem| problem.reply());
        if request.method == "HEAD" {
            reply.body.clear();
        }
        reply
    }

    fn route(
        &self,
        request: &Request<'_>,
        gatekeeper: Option<&Gatekeeper>,
    ) -> Result<Reply, Problem> {
        let route = Route::of(request.path).ok_or(NOT_FOUND)?;
        if !route.allows(request.method) {
            return Err(METHOD_NOT_ALLOWED.with_header("allow", route.allow()));
        }
        let body = request.body()?;
        if route.needs_assertion() {
            let gatekeeper = gatekeeper.ok_or(UNAVAILABLE)?;
            // The caller learns that the assertion is bad, not why: that would help to forge one.
            gatekeeper.principal(request, body).map_err(|_| UNAUTHENTICATED)?;
        }

        match route {
            Route::Predict => self.predict(request, body),
            Route::Model => Reply::json(self.detector()?.card()),
            Route::Health => {
                self.detector()?;
                Ok(Reply::new(200, "application/json", br#"{"status":"ok"}"#.to_vec()))
            }
            Route::OpenApi => Ok(Reply::new(200, "application/yaml", OPENAPI.to_vec())),
        }
    }

    fn predict(&self, request: &Request<'_>, body: &[u8]) -> Result<Reply, Problem> {
        if !request.is_of_type("application/json") {
            return Err(UNSUPPORTED_MEDIA_TYPE);
        }
        let question: Question = serde_json::from_slice(body).map_err(|error| {
            use serde_json::error::Category;
            match error.classify() {
                Category::Data => WRONG_SHAPE,
                Category::Io | Category::Syntax | Category::Eof => NOT_JSON,
            }
        })?;
        // A derived reader also takes the members of an object as a list.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(WRONG_SHAPE);
        }
        let detector = self.detector()?;
        let assessment = detector.assess(&question.text).map_err(|error| match error {
            AssessError::TooLong(_) => TEXT_TOO_LONG,
            AssessError::Inference(reason) => {
                eprintln!("scam-detector: {reason}");
                FAILED
            }
        })?;
        let card = detector.card();
        let model = ModelName { name: &card.name, version: &card.version, sha256: &card.sha256 };
        Reply::json(&Answer { assessment, model })
    }

    fn detector(&self) -> Result<&Detector, Problem> {
        self.detector.as_ref().ok_or(UNAVAILABLE)
    }
}

const UNSUPPORTED_MEDIA_TYPE: Problem = Problem::new(
    415,
    "unsupported-media-type",
    "Unsupported media type",
    "Send one Content-Type field: application/json.",
)
.with_header("accept", "application/json");
const NOT_JSON: Problem =
    Problem::new(400, "body-not-json", "Not JSON", "Send a JSON document in UTF-8.");
const WRONG_SHAPE: Problem = Problem::new(
    422,
    "body-schema",
    "Not the expected JSON",
    "Send an object with the one member \"text\", a string.",
);
const TEXT_TOO_LONG: Problem = Problem::new(
    422,
    "text-too-long",
    "Text too long",
    "The text has more than 65536 characters once its compatibility forms are written out.",
);
const FAILED: Problem =
    Problem::new(500, "function-failed", "The function failed", "Try again later.");

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
