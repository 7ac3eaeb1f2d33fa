//! From a request to a reply, without anything of Spin.

use portcullis_model::{AssessError, Detector};
use serde::{Deserialize, Serialize};

use crate::caller::Gatekeeper;
use crate::problem::Problem;

/// Longest request body, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

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
    Whole(Vec<u8>),
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
            // An answer is about one caller's text.
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ];
        Self { status, headers, body }
    }

    fn json(value: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(|_| UNAVAILABLE)?;
        Ok(Self::new(200, "application/json", body))
    }
}

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
    pub(crate) fn answer(&self, incoming: &Incoming<'_>, gatekeeper: Option<&Gatekeeper>) -> Reply {
        let mut reply = self.route(incoming, gatekeeper).unwrap_or_else(|problem| problem.reply());
        if incoming.method == "HEAD" {
            reply.body.clear();
        }
        reply
    }

    fn route(
        &self,
        incoming: &Incoming<'_>,
        gatekeeper: Option<&Gatekeeper>,
    ) -> Result<Reply, Problem> {
        let route = Route::of(incoming.path).ok_or(NOT_FOUND)?;
        if !route.allows(incoming.method) {
            return Err(METHOD_NOT_ALLOWED.with_header("allow", route.allow()));
        }
        let body = match &incoming.body {
            Body::Whole(body) => body.as_slice(),
            Body::TooLarge => return Err(TOO_LARGE),
            Body::Broken => return Err(BROKEN),
        };
        if route.needs_assertion() {
            let gatekeeper = gatekeeper.ok_or(UNAVAILABLE)?;
            // The caller learns that the assertion is bad, not why: that would help to forge one.
            gatekeeper.principal(incoming, body).map_err(|_| UNAUTHENTICATED)?;
        }

        match route {
            Route::Predict => self.predict(incoming, body),
            Route::Model => Reply::json(self.detector()?.card()),
            Route::Health => {
                self.detector()?;
                Ok(Reply::new(200, "application/json", br#"{"status":"ok"}"#.to_vec()))
            }
            Route::OpenApi => Ok(Reply::new(200, "application/yaml", OPENAPI.to_vec())),
        }
    }

    fn predict(&self, incoming: &Incoming<'_>, body: &[u8]) -> Result<Reply, Problem> {
        if !is_json(incoming.headers) {
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

/// One Content-Type of JSON, with UTF-8 as the only parameter (RFC 8259 §8.1 and §11).
fn is_json(headers: &[(&str, &[u8])]) -> bool {
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
    essence.trim().eq_ignore_ascii_case("application/json")
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
    Problem::new(413, "body-too-large", "Body too large", "Send at most 65536 bytes.");
const BROKEN: Problem = Problem::new(
    400,
    "body-incomplete",
    "Body incomplete",
    "The body ended too early. Send it again.",
);
const UNAUTHENTICATED: Problem = Problem::new(
    401,
    "assertion-invalid",
    "Not through the gate",
    "This function answers only what its gateway has admitted. Send the request to the gateway.",
)
// RFC 9110 §11.6.1 wants a challenge with each 401; "Signature" is what a gateway is to bring.
.with_header("www-authenticate", "Signature realm=\"portcullis\"");
const UNAVAILABLE: Problem = Problem::new(
    503,
    "function-unavailable",
    "Function unavailable",
    "The function is not set up. Its operator finds the reason in its log.",
);
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
