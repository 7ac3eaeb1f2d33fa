//! Why a request was decided as it was: what each stage found, and which field of the policy it went by.
//!
//! An [`Environment`](crate::Environment) that has a [`Trace`] gets one written while the stages decide, by the stages themselves.
//! It holds names, as records do, and never a body, a query, a credential or a secret.

use serde_json::Value;

use crate::document::Document;
use crate::problem::{Reason, Refusal, Stage};

/// What decided about one exchange, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    route: Option<usize>,
    issuer: Option<usize>,
    entries: Vec<TraceEntry>,
    /// What is known of the refusal that comes.
    pending: Option<Pending>,
}

/// One thing that a stage looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEntry {
    /// The stage.
    pub stage: Stage,
    /// The field of the policy that it went by; none where it went by a rule that no policy can change.
    pub field: Option<PolicyField>,
    /// What was found, for an operator to read. May hold what the client wrote.
    pub found: String,
    /// Why the request was refused for it, and what to change; none where it was not.
    pub refused: Option<(Reason, String)>,
}

/// A field of the policy document, as it holds for one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyField {
    route: Option<usize>,
    path: String,
}

/// A field as it stands in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedField {
    /// Its path, such as `routes[0].authorisation.roles`.
    pub path: String,
    /// Whether the document says something there; else its default holds.
    pub is_written: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    field: Option<PolicyField>,
    found: String,
    change: String,
}

impl Trace {
    /// What was looked at, in order. The last entry tells whether the request was refused.
    pub fn entries(&self) -> &[TraceEntry] {
        &self.entries
    }

    /// The entry that refused the request, if it was refused.
    pub fn refusal(&self) -> Option<&TraceEntry> {
        self.entries.last().filter(|entry| entry.refused.is_some())
    }

    /// The request begins, or comes again after it has waited.
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
    }

    /// The route is known: what it overrides holds from now on.
    pub(crate) fn follow(&mut self, route: Option<usize>) {
        self.route = route;
    }

    /// The token is of this issuer, or says that it is.
    pub(crate) fn issuer(&mut self, issuer: usize) {
        self.issuer = Some(issuer);
    }

    /// A field of the route itself, such as its `match`.
    pub(crate) fn route_field(&self, name: &str) -> String {
        self.route.map_or_else(|| "routes".to_owned(), |route| format!("routes[{route}].{name}"))
    }

    /// Something was looked at and found to be in order. `field` is empty where no policy can change the rule.
    pub(crate) fn passed(
        &mut self,
        stage: Stage,
        field: impl Into<String>,
        found: impl Into<String>,
    ) {
        let field = self.field(field.into());
        self.entries.push(TraceEntry { stage, field, found: found.into(), refused: None });
    }

    /// Something was found that the request will be refused for.
    pub(crate) fn failed(
        &mut self,
        field: impl Into<String>,
        found: impl Into<String>,
        change: impl Into<String>,
    ) {
        let field = self.field(field.into());
        self.pending = Some(Pending { field, found: found.into(), change: change.into() });
    }

    /// Either of the two. `describe` says what was found, and what to change where it is not in order.
    pub(crate) fn judged(
        &mut self,
        stage: Stage,
        field: impl Into<String>,
        is_in_order: bool,
        describe: impl FnOnce() -> (String, String),
    ) {
        let (found, change) = describe();
        match is_in_order {
            true => self.passed(stage, field, found),
            false => self.failed(field, found, change),
        }
    }

    /// The request is refused.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        let Refusal { reason, detail, findings, .. } = refusal;
        let (field, found, change) = match self.pending.take() {
            Some(Pending { field, found, change }) => (field, found, change),
            None => {
                let field = self.field(self.field_of(*reason));
                let findings = findings
                    .iter()
                    .map(|finding| format!(" {}: {}.", finding.at, finding.expected));
                let change = detail.chars().chain(findings.collect::<String>().chars()).collect();
                (field, reason.title().to_owned(), change)
            }
        };
        let refused = Some((*reason, change));
        self.entries.push(TraceEntry { stage: reason.stage(), field, found, refused });
    }

    fn field(&self, path: String) -> Option<PolicyField> {
        (!path.is_empty()).then_some(PolicyField { route: self.route, path })
    }

    /// The field that leads to a refusal of this reason, as far as the reason alone tells.
    fn field_of(&self, reason: Reason) -> String {
        let issuers = "identity.jwt.issuers".to_owned();
        let of_issuer = |name: &str| match self.issuer {
            Some(issuer) => format!("{issuers}[{issuer}].{name}"),
            None => issuers.clone(),
        };
        match reason {
            Reason::NetworkDenied => "access.networks".to_owned(),
            Reason::MethodNotAllowed => "access.methods".to_owned(),
            Reason::HeadersTooLarge => "access.headers".to_owned(),
            Reason::HeaderInvalid | Reason::HeaderConflict | Reason::PathInvalid => String::new(),
            Reason::RouteUnknown => "routes".to_owned(),
            Reason::CredentialMissing | Reason::CredentialConflict => {
                "authorisation.require".to_owned()
            }
            Reason::TokenIssuerUnknown => issuers,
            Reason::TokenKeyUnknown | Reason::TokenSignatureInvalid => of_issuer("jwks"),
            Reason::TokenAudienceMismatch => of_issuer("audiences"),
            Reason::TokenExpired | Reason::TokenNotYetValid => of_issuer("leeway_seconds"),
            Reason::TokenClaimMissing => of_issuer("required_claims"),
            Reason::TokenLifetimeTooLong => of_issuer("max_lifetime_seconds"),
            Reason::TokenSubjectDenied => of_issuer("subjects"),
            Reason::TokenTenantDenied => of_issuer("tenants"),
            Reason::TokenBindingMissing | Reason::TokenBindingMismatch => of_issuer("binding"),
            Reason::TokenRevoked => "identity.revocation".to_owned(),
            Reason::ApiKeyInvalid
            | Reason::ApiKeyExpired
            | Reason::ApiKeyNotYetValid
            | Reason::ApiKeyRevoked
            | Reason::ApiKeyNetworkDenied
            | Reason::ApiKeyRouteDenied => "identity.api_keys".to_owned(),
            Reason::RoleMissing => "authorisation.roles".to_owned(),
            Reason::ScopeMissing => "authorisation.scopes".to_owned(),
            Reason::TenantDenied => "authorisation.tenants".to_owned(),
            Reason::ClaimDenied => "authorisation.claims".to_owned(),
            Reason::ShutOut => "penalty".to_owned(),
            Reason::BodyTooLarge => "input.max_body_bytes".to_owned(),
            Reason::BodyMissing | Reason::SchemaViolated => "input.schema".to_owned(),
            Reason::ContentTypeUnsupported => "input.content_types".to_owned(),
            Reason::ContentEncodingUnsupported => "input.content_encoding".to_owned(),
            Reason::PathUnknown
            | Reason::MethodUnknown
            | Reason::ParameterUnknown
            | Reason::ParameterInvalid => "input.openapi".to_owned(),
            Reason::JsonTooComplex => "input.json".to_owned(),
            Reason::TextTooLong | Reason::ControlCharacter | Reason::InvisibleCharacter => {
                "input.text".to_owned()
            }
            // The section of the stage is what can be said of the others.
            other => other.stage().as_str().to_owned(),
        }
    }
}

impl PolicyField {
    /// Where it stands: in the route that overrides it, or else in the document's own section.
    pub fn locate(&self, document: &Document) -> LocatedField {
        let value = serde_json::to_value(document).unwrap_or_default();
        let of_route = self.route.map(|route| format!("routes[{route}].{}", self.path));
        // A route overrides a section field by field, and limits as a whole: what counts is whether it has the field at all.
        let overriding = of_route.filter(|path| {
            let depth = if self.path.starts_with("limits") { 2 } else { 3 };
            holds(&value, steps(path).take(depth))
        });
        let path = overriding.unwrap_or_else(|| self.path.clone());
        let is_written = holds(&value, steps(&path));
        LocatedField { path, is_written }
    }
}

/// The parts of a path such as `routes[0].match`, routes and their numbers counting as one.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split('.')
}

fn holds<'a>(document: &Value, mut steps: impl Iterator<Item = &'a str>) -> bool {
    let found = steps.try_fold(document, |value, step| {
        let (name, index) = match step.split_once('[') {
            None => (step, None),
            Some((name, index)) => (name, Some(index.strip_suffix(']')?.parse::<usize>().ok()?)),
        };
        let member = value.get(name)?;
        index.map_or(Some(member), |index| member.get(index))
    });
    found.is_some_and(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let document = serde_json::json!({
            "version": 1,
            "authorisation": {"roles": ["a"], "scopes": ["s"]},
            "limits": [{"name": "l", "key": "principal", "requests": 1, "per_seconds": 1}],
            "routes": [
                {"name": "r", "match": {"path": "/"}, "authorisation": {"roles": ["b", "c"]}, "limits": []},
                {"name": "s", "match": {"path": "/s"}},
            ],
        });
        serde_json::from_value(document).unwrap()
    }

    fn located(route: Option<usize>, path: &str) -> (String, bool) {
        let field = PolicyField { route, path: path.to_owned() };
        let LocatedField { path, is_written } = field.locate(&document());
        (path, is_written)
    }

    #[test]
    fn a_field_is_the_routes_own_where_it_has_one() {
        for (route, path, expected, is_written) in [
            (Some(0), "authorisation.roles", "routes[0].authorisation.roles", true),
            (Some(0), "authorisation.scopes", "authorisation.scopes", true),
            (Some(1), "authorisation.roles", "authorisation.roles", true),
            (None, "authorisation.roles", "authorisation.roles", true),
            (Some(0), "authorisation.require", "authorisation.require", false),
            (Some(0), "limits", "routes[0].limits", true),
            (Some(1), "limits[0]", "limits[0]", true),
            (Some(1), "access.methods", "access.methods", false),
            (Some(1), "routes[1].match", "routes[1].match", true),
            (
                Some(1),
                "identity.jwt.issuers[0].leeway_seconds",
                "identity.jwt.issuers[0].leeway_seconds",
                false,
            ),
        ] {
            assert_eq!(located(route, path), (expected.to_owned(), is_written), "{path}");
        }
    }

    #[test]
    fn a_refusal_is_told_by_what_led_to_it() {
        let mut trace = Trace::default();
        trace.passed(Stage::Access, "", "one reading");
        assert_eq!(trace.refusal(), None);
        trace.issuer(2);
        trace.refused(&Refusal::new(Reason::TokenExpired, "Get a new token."));
        let refusal = trace.refusal().unwrap();
        assert_eq!(refusal.field.as_ref().unwrap().path, "identity.jwt.issuers[2].leeway_seconds");
        assert_eq!(refusal.refused.as_ref().unwrap().1, "Get a new token.");

        trace.begin();
        trace.failed("routes", "no route", "add one");
        trace.refused(&Refusal::new(Reason::RouteUnknown, "Check the path."));
        let entry = trace.refusal().unwrap();
        assert_eq!((entry.found.as_str(), entry.stage), ("no route", Stage::Authorisation));
        assert_eq!(trace.entries().len(), 1);
    }
}
