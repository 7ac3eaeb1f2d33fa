//! Refusals: RFC 9457 problem documents with stable types.

use crate::grpc::GrpcStatus;
use serde_json::{Map, Value, json};

/// The stages, in their order. Each is a module of this crate and a section of the policy document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Networks, methods, header hygiene, known routes.
    Access,
    /// Who is calling.
    Identity,
    /// Whether they may.
    Authorisation,
    /// How often they may.
    Limits,
    /// What they bring.
    Input,
    /// What the upstream is told of them.
    Assertion,
    /// What may leave.
    Output,
    /// The record.
    Audit,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 8] = [
        Self::Access,
        Self::Identity,
        Self::Authorisation,
        Self::Limits,
        Self::Input,
        Self::Assertion,
        Self::Output,
        Self::Audit,
    ];

    /// The section's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Identity => "identity",
            Self::Authorisation => "authorisation",
            Self::Limits => "limits",
            Self::Input => "input",
            Self::Assertion => "assertion",
            Self::Output => "output",
            Self::Audit => "audit",
        }
    }
}

/// Declares [`Reason`]: variant, name, stage, status, title.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $stage:ident, $status:literal, $title:literal;)*) => {
        /// Why a request was refused. The names are stable: clients and alerts may rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[doc = $doc])* $variant,)* }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The last part of the problem type.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The stage that refuses for this reason.
            pub fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage,)* }
            }

            /// The status of the response (RFC 9110 §15).
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The same for every occurrence (RFC 9457 §3.1.3).
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

reasons! {
    /// The client address is not allowed, is denied or is unknown while there are rules about it.
    NetworkDenied = "network-denied", Access, 403, "Your network address may not use this service";
    /// A method that no rule lets through.
    MethodNotAllowed = "method-not-allowed", Access, 405, "This method is not allowed here";
    /// A field name or value with bytes it must not have, or a field whose value is malformed.
    HeaderInvalid = "header-invalid", Access, 400, "A header field is malformed";
    /// A field that may be there once is there twice, or two fields contradict each other.
    HeaderConflict = "header-conflict", Access, 400, "Header fields contradict each other";
    /// Too many fields or bytes in the header section.
    HeadersTooLarge = "headers-too-large", Access, 431, "The header section is too large";
    /// A path that different readers could take for different ones.
    PathInvalid = "path-invalid", Access, 400, "The path is malformed or ambiguous";
    /// No route of the policy is for this request.
    RouteUnknown = "route-unknown", Authorisation, 403, "There is nothing here that you may use";
    /// No credential on a route that needs one.
    CredentialMissing = "credential-missing", Identity, 401, "A credential is required";
    /// More than one credential.
    CredentialConflict = "credential-conflict", Identity, 400, "Present one credential, not several";
    /// An Authorization field that is not a bearer token.
    CredentialMalformed = "credential-malformed", Identity, 401, "The credential is malformed";
    /// Not a JWS in compact serialisation with a JSON object as header and as claims.
    TokenMalformed = "token-malformed", Identity, 401, "The token is malformed";
    /// An algorithm, `crit`, `typ` or `b64` that is not accepted.
    TokenUnsupported = "token-unsupported", Identity, 401, "The token is of a kind that is not accepted";
    /// No key for it.
    TokenKeyUnknown = "token-key-unknown", Identity, 401, "The token was signed with an unknown key";
    /// The signature is not by the issuer.
    TokenSignatureInvalid = "token-signature-invalid", Identity, 401, "The token's signature is not valid";
    /// `iss` names somebody else.
    TokenIssuerUnknown = "token-issuer-unknown", Identity, 401, "The token's issuer is not accepted";
    /// `aud` names somebody else.
    TokenAudienceMismatch = "token-audience-mismatch", Identity, 401, "The token is meant for another audience";
    /// Past `exp`.
    TokenExpired = "token-expired", Identity, 401, "The token has expired";
    /// Before `nbf` or `iat`.
    TokenNotYetValid = "token-not-yet-valid", Identity, 401, "The token is not valid yet";
    /// A claim that this issuer's tokens must have is not there, or is not what it must be.
    TokenClaimMissing = "token-claim-missing", Identity, 401, "The token lacks a claim that is needed here";
    /// Good for longer than this issuer's tokens may be.
    TokenLifetimeTooLong = "token-lifetime-too-long", Identity, 401, "The token is good for too long";
    /// `sub` is nobody who is accepted from this issuer.
    TokenSubjectDenied = "token-subject-denied", Identity, 403, "The token's subject is not accepted";
    /// The tenant is none that this issuer speaks for.
    TokenTenantDenied = "token-tenant-denied", Identity, 403, "The token's issuer does not speak for this tenant";
    /// On the deny list.
    TokenRevoked = "token-revoked", Identity, 401, "The token has been revoked";
    /// A token that anybody could use, where it must be bound to its holder; or presented as bound, and not.
    TokenBindingMissing = "token-binding-missing", Identity, 401, "The token must be bound to you";
    /// Bound to somebody else.
    TokenBindingMismatch = "token-binding-mismatch", Identity, 401, "The token is bound to somebody else";
    /// A token that is bound to a key, without a proof that the key is the client's (RFC 9449).
    DpopProofMissing = "dpop-proof-missing", Identity, 401, "A proof of possession is required";
    /// A proof that is malformed, or about something else.
    DpopProofInvalid = "dpop-proof-invalid", Identity, 401, "The proof of possession is not valid";
    /// A proof that was used before.
    DpopProofReplayed = "dpop-proof-replayed", Identity, 401, "The proof of possession was used before";
    /// A proof without a nonce of the gate's, or with one that is too old.
    DpopNonceRequired = "dpop-nonce-required", Identity, 401, "The proof of possession needs a new nonce";
    /// Whether a proof was used before cannot be told: too many by this client, or the shared store does not answer.
    DpopReplaysUnavailable = "dpop-replays-unavailable", Identity, 503, "The proof of possession cannot be checked now, try again";
    /// The keys or lists that are needed cannot be had.
    IdentityUnavailable = "identity-unavailable", Identity, 503, "Credentials cannot be checked now, try again";
    /// An API key that nobody has.
    ApiKeyInvalid = "api-key-invalid", Identity, 401, "The API key is not valid";
    /// An API key past its `expires`. This and the next four are told only to who has the key.
    ApiKeyExpired = "api-key-expired", Identity, 401, "The API key has expired";
    /// An API key before its `not_before`.
    ApiKeyNotYetValid = "api-key-not-yet-valid", Identity, 401, "The API key is not valid yet";
    /// An API key that was taken back.
    ApiKeyRevoked = "api-key-revoked", Identity, 401, "The API key has been revoked";
    /// An API key from an address that it is not for, or that is unknown.
    ApiKeyNetworkDenied = "api-key-network-denied", Identity, 403, "The API key may not be used from your network address";
    /// An API key on a route that it is not for.
    ApiKeyRouteDenied = "api-key-route-denied", Identity, 403, "The API key is not for this kind of request";
    /// The caller lacks a role.
    RoleMissing = "role-missing", Authorisation, 403, "Your role does not allow this";
    /// The token lacks a scope.
    ScopeMissing = "scope-missing", Authorisation, 403, "Your token's scope does not allow this";
    /// The route belongs to other tenants.
    TenantDenied = "tenant-denied", Authorisation, 403, "Your tenant may not use this";
    /// A claim of the token does not say what it must here.
    ClaimDenied = "claim-denied", Authorisation, 403, "What your token says of you does not allow this";
    /// The bucket is empty.
    RateExceeded = "rate-exceeded", Limits, 429, "Too many requests";
    /// What there was for this day or month is used up.
    QuotaExceeded = "quota-exceeded", Limits, 429, "The quota is used up";
    /// Too many requests are under way.
    ConcurrencyExceeded = "concurrency-exceeded", Limits, 429, "Too many requests at a time";
    /// Too many requests of this source were refused. Told before its credential is looked at.
    ShutOut = "shut-out", Limits, 429, "You are shut out for a while";
    /// The shared store does not answer, or is too contended.
    LimitsUnavailable = "limits-unavailable", Limits, 503, "The request could not be counted, try again";
    /// A path that the OpenAPI document does not describe.
    PathUnknown = "path-unknown", Input, 404, "There is nothing at this path";
    /// A method that the OpenAPI document does not describe at this path.
    MethodUnknown = "method-unknown", Input, 405, "There is no such method at this path";
    /// A parameter of the query that the OpenAPI document does not describe.
    ParameterUnknown = "parameter-unknown", Input, 400, "A parameter is not known here";
    /// A parameter that is missing, there twice, or not what the OpenAPI document describes.
    ParameterInvalid = "parameter-invalid", Input, 422, "A parameter is not what this route takes";
    /// The body is longer than allowed.
    BodyTooLarge = "body-too-large", Input, 413, "The body is too large";
    /// A schema wants a body and there is none.
    BodyMissing = "body-missing", Input, 400, "A body is required";
    /// A media type that is not allowed here.
    ContentTypeUnsupported = "content-type-unsupported", Input, 415, "This media type is not accepted here";
    /// A body that is compressed, or is in another way than this route takes.
    ContentEncodingUnsupported = "content-encoding-unsupported", Input, 415, "This compression is not accepted here";
    /// A compressed body that is cut off, goes on behind its end, or is not of the coding that it is said to be of.
    ContentEncodingInvalid = "content-encoding-invalid", Input, 400, "The compressed body cannot be read";
    /// Not JSON, or JSON with two meanings.
    JsonInvalid = "json-invalid", Input, 400, "The body is not valid JSON";
    /// Nested too deeply or of too many values.
    JsonTooComplex = "json-too-complex", Input, 400, "The body is too deeply nested or has too many values";
    /// Not a form, or a form with two meanings.
    FormInvalid = "form-invalid", Input, 400, "The body is not a valid form";
    /// Not a multipart form, or one with two meanings.
    MultipartMalformed = "multipart-malformed", Input, 400, "The body is not a valid multipart form";
    /// JSON that is not what the route takes.
    SchemaViolated = "schema-violated", Input, 422, "The body is not what this route takes";
    /// A string longer than allowed.
    TextTooLong = "text-too-long", Input, 422, "A text is too long";
    /// Text that is not UTF-8.
    TextInvalid = "text-invalid", Input, 400, "The text is not valid UTF-8";
    /// A control character.
    ControlCharacter = "control-character", Input, 422, "A text holds a control character";
    /// A character that nobody can see.
    InvisibleCharacter = "invisible-character", Input, 422, "A text holds an invisible character";
    /// Something in a parameter, a header field or an argument that attacks a program: SQL, a script, a command, a path.
    AttackSuspected = "attack-suspected", Input, 422, "A value looks like an attack";
    /// Prose that would give the model other instructions than the operator's.
    PromptInjectionSuspected = "prompt-injection-suspected", Input, 422, "A text looks like an attack on the model";
    /// Personal data or a secret of a kind that may not be sent here.
    PersonalDataRefused = "personal-data-refused", Input, 422, "A text holds personal data or a secret that may not be sent here";
    /// A file of a type that is not taken here, that is not what it says, that is too large, or with something in or behind it.
    FileRefused = "file-refused", Input, 422, "A file is not accepted";
    /// An address in place of a file, where files have to be sent along, or one that leads to where nobody may be sent.
    FileAddressRefused = "file-address-refused", Input, 422, "The address of a file is not accepted";
    /// A file that is known to be harmful.
    MalwareSuspected = "malware-suspected", Input, 422, "A file is known to be harmful";
    /// A response that is compressed although that was not asked for, or in a charset other than UTF-8, where responses are screened.
    ResponseUnreadable = "response-unreadable", Output, 502, "The response cannot be screened";
    /// A response that is longer than `output.max_body_bytes`.
    ResponseTooLarge = "response-too-large", Output, 502, "The response is too long";
    /// The upstream could not be told who is calling.
    AssertionUnavailable = "assertion-unavailable", Assertion, 503, "The request could not be signed, try again";
}

impl Reason {
    /// The reason whose [`Self::as_str`] this is.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }

    /// The problem type: a URI that identifies the kind of problem (RFC 9457 §3.1.1).
    pub fn problem_type(self) -> String {
        format!("{PROBLEM_TYPE_PREFIX}{}", self.as_str())
    }
}

/// What all problem types begin with.
pub const PROBLEM_TYPE_PREFIX: &str = "urn:portcullis:problem:";

/// The media type of problem documents.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Something found in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Why it counts.
    pub reason: Reason,
    /// Where: a JSON pointer (RFC 6901) into the body, the name of a header field, or a parameter, as `query/limit`.
    pub at: String,
    /// What was expected, without what was found where that could be a secret.
    pub expected: String,
}

impl Finding {
    /// As it stands in problem documents and in audit records.
    pub fn to_json(&self) -> Value {
        json!({ "reason": self.reason.as_str(), "at": self.at, "expected": self.expected })
    }
}

/// A refusal, before it is made into a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What to change, for the client; never what would help an attacker.
    pub detail: String,
    /// What was found where.
    pub findings: Vec<Finding>,
    /// Header fields of the response beside the usual ones.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal that tells `detail` to the client.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), findings: Vec::new(), headers: Vec::new() }
    }

    /// The same, where what was found stands behind a JSON pointer.
    #[must_use]
    pub(crate) fn behind(mut self, pointer: &str) -> Self {
        for finding in &mut self.findings {
            finding.at.insert_str(0, pointer);
        }
        self
    }

    /// Adds a finding.
    #[must_use]
    pub fn finding(mut self, at: impl Into<String>, expected: impl Into<String>) -> Self {
        let (at, expected) = (at.into(), expected.into());
        self.findings.push(Finding { reason: self.reason, at, expected });
        self
    }

    /// Adds a header field to the response.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The response, but to gRPC clients. `request_id` becomes the problem's `instance`.
    pub fn into_reply(self, request_id: Option<&str>) -> Reply {
        let mut problem = Map::new();
        problem.insert("type".to_owned(), self.reason.problem_type().into());
        problem.insert("title".to_owned(), self.reason.title().into());
        problem.insert("status".to_owned(), self.reason.status().into());
        problem.insert("detail".to_owned(), self.detail.into());
        if let Some(id) = request_id {
            problem.insert("instance".to_owned(), format!("urn:uuid:{id}").into());
        }
        if !self.findings.is_empty() {
            let errors = self.findings.iter().map(Finding::to_json).collect();
            problem.insert("errors".to_owned(), Value::Array(errors));
        }
        let mut headers = vec![("content-type", PROBLEM_MEDIA_TYPE.to_owned())];
        headers.extend(self.headers);
        let body = Value::Object(problem).to_string().into_bytes();
        Reply { status: self.reason.status(), grpc_status: None, headers, body }
    }
}

/// A response made by the gate itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// For gRPC clients, in place of the status: the runtime makes a response of trailers only of it, with the body as `grpc-message`.
    pub grpc_status: Option<GrpcStatus>,
    /// Header fields, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.as_str()), Some(*reason));
            assert!((400..600).contains(&reason.status()));
        }
        assert_eq!(Reason::from_name("no-such-reason"), None);
    }

    #[test]
    fn a_reply_is_a_problem_document() {
        let reply = Refusal::new(Reason::SchemaViolated, "see errors")
            .finding("/text", "a string")
            .into_reply(Some("a-b"));
        assert_eq!(reply.status, 422);
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(problem["type"], "urn:portcullis:problem:schema-violated");
        assert_eq!(problem["errors"][0]["at"], "/text");
        assert_eq!(problem["instance"], "urn:uuid:a-b");
    }
}
