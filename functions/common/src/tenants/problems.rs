//! What is refused, and how it is told.

use super::vault::VaultError;
use crate::Problem;

/// For the operator in the log, for the caller as a problem.
pub(super) fn unavailable(error: VaultError) -> Problem {
    crate::log!("tenants: {error}");
    UNAVAILABLE
}

pub(super) const UNAVAILABLE: Problem = Problem::new(
    503,
    "storage-unavailable",
    "Storage unavailable",
    "What is kept of you cannot be reached now. Send the request again later.",
)
.with_header("retry-after", "5");

pub(super) const NOBODY: Problem = Problem::new(
    403,
    "caller-anonymous",
    "You are nobody in particular",
    "What is kept is kept of somebody: send a credential.",
);
pub(super) const ROLE_MISSING: Problem = Problem::new(
    403,
    "role-missing",
    "Your role does not allow this",
    "Ask who answers for your tenant.",
);
/// Also what is somebody else's: whether that exists is nobody's business.
pub(super) const ABSENT: Problem = Problem::new(
    404,
    "data-not-found",
    "Nothing of that name",
    "Nothing of this name is kept of you.",
);
pub(super) const QUERY_MALFORMED: Problem = Problem::new(
    400,
    "parameter-invalid",
    "A parameter is not well formed",
    "Send NAME=VALUE&NAME=VALUE, percent-encoded, in UTF-8, each name once.",
);
pub(super) const PARAMETER_UNKNOWN: Problem = Problem::new(
    400,
    "parameter-unknown",
    "There is no such parameter",
    "Send only the parameters that /openapi.yaml lists for this path.",
);
pub(super) const MONTH_INVALID: Problem =
    Problem::new(400, "parameter-invalid", "Not a month", "Send month as in 2026-11.");
pub(super) const PAGE_INVALID: Problem = Problem::new(
    400,
    "parameter-invalid",
    "Not a page",
    "Send limit as a whole number from 1 to 100, and after as a page's next.",
);
pub(super) const ISSUER_ALONE: Problem = Problem::new(
    400,
    "parameter-invalid",
    "An issuer without a subject",
    "Send issuer only together with subject.",
);
pub(super) const NOT_CONFIRMED: Problem = Problem::new(
    400,
    "confirmation-missing",
    "What is to be erased is not clear",
    "Send either subject, or, to erase all of a tenant, confirm with the tenant's id.",
);
pub(super) const BODY_UNEXPECTED: Problem =
    Problem::new(400, "body-unexpected", "No body is expected", "Send the request without a body.");
pub(super) const UNSUPPORTED_MEDIA_TYPE: Problem = Problem::new(
    415,
    "unsupported-media-type",
    "Unsupported media type",
    "Send one Content-Type field: application/json.",
)
.with_header("accept", "application/json");
pub(super) const NOT_JSON: Problem =
    Problem::new(400, "body-not-json", "Not JSON", "Send a JSON document in UTF-8.");
pub(super) const WRONG_SHAPE: Problem = Problem::new(
    422,
    "body-schema",
    "Not the expected JSON",
    "Send an object with \"label\", scam or ham, either \"result\" or \"text\", and perhaps \"comment\".",
);
pub(super) const TEXT_TOO_LONG: Problem = Problem::new(
    422,
    "text-too-long",
    "Text too long",
    "The text may have 4000 characters, the comment 1000.",
);
pub(super) const FEEDBACK_FULL: Problem = Problem::new(
    409,
    "feedback-full",
    "There is feedback enough",
    "As much is kept as may be. Export it, and have it erased, before you send more.",
);
