//! A policy document made ready to decide.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::Environment;
use crate::access::{AccessRules, HeaderRules, Target};
use crate::assertion::{MAXIMUM_LIFETIME_SECONDS, Signer};
use crate::authorisation::Roles;
use crate::document::{AuditSection, Document, DocumentError, KeyPart, LimitsFields, SecretSource};
use crate::environment::Timestamp;
use crate::exchange::Exchange;
use crate::identity::check_routes;
use crate::limits::{Limiter, RateLimitService, ServiceAnswer, ServiceCall, ServiceOutcome};
use crate::matcher::Mismatch;
use crate::output::OutputRules;
use crate::principal::RenderedPrincipal;
use crate::problem::Stage;
use crate::remote::{Answer, Fetch, Outcome, Refreshed};
use crate::route::{CompiledRoute, RouteCompiler, ScreenSecrets};
use crate::stages::{Identify, Stages};
use crate::trace::Trace;
use crate::{Principal, Secret, Secrets};

/// A compiled policy: keys parsed, schemas compiled, combinations checked. Made once for each VM.
#[derive(Debug)]
pub struct Policy {
    pub(crate) stages: Stages,
    pub(crate) headers: HeaderRules,
    /// What holds where no route is for a request.
    pub(crate) access: AccessRules,
    pub(crate) identity: Option<Box<dyn Identify>>,
    remotes: Vec<Arc<dyn Refreshed>>,
    pub(crate) service: Option<RateLimitService>,
    pub(crate) routes: Vec<CompiledRoute>,
    pub(crate) limiter: Limiter,
    pub(crate) limits_fields: LimitsFields,
    pub(crate) signer: Option<Signer>,
    pub(crate) output: OutputRules,
    pub(crate) audit: AuditSection,
    names_callers: bool,
    /// Who has presented nothing.
    pub(crate) anonymous: Arc<RenderedPrincipal>,
    /// What tells one version of a policy from another in records.
    pub(crate) digest: String,
}

impl Policy {
    /// Compiles a document. The stages that are left out are not compiled, and their secrets not asked for.
    pub fn compile(
        document: &Document,
        secrets: &dyn Secrets,
        stages: Stages,
    ) -> Result<Self, CompileError> {
        let identity =
            stages.compile_identity(&document.identity, looks_at_claims(document), secrets)?;
        if let Some(section) = &document.identity.api_keys {
            check_routes(&section.keys, &document.routes, "identity.api_keys.keys")?;
        }
        let headers = HeaderRules::new(
            document.access.headers.unwrap_or_default(),
            &identity.as_ref().map(|identity| identity.singular_fields()).unwrap_or_default(),
            &identity.as_ref().map(|identity| identity.claim_fields()).unwrap_or_default(),
        );
        let remotes = identity.as_ref().map(|identity| identity.remotes()).unwrap_or_default();
        let roles = Arc::new(Roles::compile(&document.roles)?);
        if let Some(section) = &document.identity.api_keys {
            roles.check_api_keys(section)?;
        }
        let signer = match &document.assertion {
            Some(section) if stages.contains(Stage::Assertion) => {
                let key = CompileError::secret(secrets, &section.key, "assertion.key")?;
                if !(1..=MAXIMUM_LIFETIME_SECONDS).contains(&section.lifetime_seconds) {
                    let message = format!("expected 1 to {MAXIMUM_LIFETIME_SECONDS}");
                    return Err(CompileError::new("assertion.lifetime_seconds", message));
                }
                if section.key_id.is_empty()
                    || !section.key_id.bytes().all(|b| b.is_ascii_graphic())
                {
                    let message = "expected visible ASCII characters";
                    return Err(CompileError::new("assertion.key_id", message));
                }
                Some(Signer::new(&section.key_id, key, section.lifetime_seconds))
            }
            _ => None,
        };
        let routes = RouteCompiler {
            document,
            stages,
            identity: identity.as_deref(),
            roles: &roles,
            screens: &ScreenSecrets::read(document, secrets, stages)?,
        };
        let routes = routes.compile()?;
        Ok(Self {
            stages,
            headers,
            access: AccessRules::compile(&document.access, "access")?,
            limiter: Limiter::compile(
                document.limits_table.unwrap_or_default(),
                document.penalty.as_ref(),
            )?,
            limits_fields: document.limits_fields,
            service: compile_service(document, stages, &routes)?,
            routes,
            identity,
            remotes,
            signer,
            output: OutputRules::compile(document)?,
            audit: document.audit,
            names_callers: document.identity.jwt.is_some() || document.identity.api_keys.is_some(),
            anonymous: Arc::new(Principal::anonymous().into()),
            digest: digest(document),
        })
    }

    /// Reads and compiles a document that is written in JSON, as filters get it.
    pub fn from_json(
        name: &str,
        text: &str,
        secrets: &dyn Secrets,
        stages: Stages,
    ) -> Result<Self, DocumentError> {
        let document = Document::from_json(name, text)?;
        Self::compile(&document, secrets, stages)
            .map_err(|error| DocumentError::new(name, error.field, error.message))
    }

    /// Begins one request's way through the stages. `now` is the time at which it came.
    pub fn begin(self: &Arc<Self>, now: Timestamp) -> Exchange {
        Exchange::new(Arc::clone(self), now)
    }

    /// Whether callers may have a principal: whether the document says how they prove who they are, also where that is for another
    /// filter of the chain to see.
    pub fn names_callers(&self) -> bool {
        self.names_callers
    }

    /// Whether there is anything to do beside requests, documents to fetch or leases to give back: then [`Self::upkeep`] is to be
    /// called every second.
    pub fn needs_upkeep(&self) -> bool {
        let has_limits = || self.routes.iter().any(|route| !route.limits.is_empty());
        self.has_remotes() || (self.stages.contains(Stage::Limits) && has_limits())
    }

    /// Whether anything is fetched by HTTP.
    pub fn has_remotes(&self) -> bool {
        !self.remotes.is_empty()
    }

    /// What is to be fetched now, at the start, every second, and while requests [`Wait`](crate::Step::Wait): carry the
    /// requests out and hand [`Self::fetched`] the answers. Also takes over what other workers have fetched, and gives back what
    /// this one has taken from limits and not used.
    pub fn upkeep(&self, environment: &mut dyn Environment) -> Upkeep {
        let mut upkeep = Upkeep::default();
        if self.stages.contains(Stage::Limits) {
            self.limiter.upkeep(environment);
        }
        for (index, remote) in self.remotes.iter().enumerate() {
            let (is_news, warnings) = remote.learn(environment);
            upkeep.is_news |= is_news;
            upkeep.warnings.extend(warnings);
            upkeep.fetches.extend(remote.due(environment).map(|fetch| fetch.for_document(index)));
        }
        if let Some(service) = &self.service {
            let (calls, is_news) = service.upkeep(environment);
            upkeep.is_news |= is_news;
            upkeep.calls = calls;
        }
        upkeep
    }

    /// The answer to a request that [`Self::upkeep`] asked for; `None` where there was none.
    pub fn fetched(
        &self,
        fetch: &Fetch,
        answer: Option<Answer<'_>>,
        environment: &mut dyn Environment,
    ) -> Outcome {
        let Some(remote) = self.remotes.get(fetch.document) else { return Outcome::default() };
        let outcome = remote.answered(fetch, answer, environment);
        let next = outcome.next.map(|next| next.for_document(fetch.document));
        Outcome { next, ..outcome }
    }

    /// Whether [`Self::upkeep`] has calls to make that requests, present or to come, need now.
    pub fn has_errands(&self) -> bool {
        self.service.as_ref().is_some_and(RateLimitService::has_errands)
    }

    /// The answer to a call that [`Self::upkeep`] asked for; `None` where there was none.
    pub fn service_answered(
        &self,
        call: &ServiceCall,
        answer: Option<ServiceAnswer<'_>>,
        environment: &mut dyn Environment,
    ) -> ServiceOutcome {
        let service = self.service.as_ref();
        service.map(|service| service.answered(call, answer, environment)).unwrap_or_default()
    }

    /// Why no route is for a request: those whose path is its path are named.
    pub(crate) fn note_no_route(&self, target: &Target, trace: &mut Trace) {
        let Target { method, path, host, .. } = target;
        let close = self.routes.iter().filter_map(|route| match route.matcher.mismatch(target) {
            Some(Mismatch::Method) => Some(format!("`{}`, which is for other methods", route.name)),
            Some(Mismatch::Host) => Some(format!("`{}`, which is for other hosts", route.name)),
            Some(Mismatch::Path) | None => None,
        });
        let close: Vec<String> = close.collect();
        let change = match close.is_empty() {
            true => "check the path, or add a route for it".to_owned(),
            false => format!("the path is that of {}", close.join(", and of ")),
        };
        trace.failed(
            "routes",
            format!("no route is for {method} {path} on the host {host}"),
            change,
        );
    }

    /// Whether a request would be for another route than this, the one that it is for, to an upstream that leaves the parameters of
    /// a path's segments out.
    pub(crate) fn is_disguised(&self, target: &Target, route: usize) -> bool {
        let plain = target.without_parameters().and_then(|plain| self.route(&plain));
        plain.is_some_and(|plain| plain != route)
    }

    /// The names of the routes.
    pub fn route_names(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|route| route.name.as_str())
    }

    /// The place of a route among all.
    pub(crate) fn route_named(&self, name: &str) -> Option<usize> {
        self.routes.iter().position(|route| route.name == name)
    }

    /// The first route for a request.
    pub(crate) fn route(&self, target: &Target) -> Option<usize> {
        self.routes.iter().position(|route| route.matcher.matches(target))
    }
}

/// Whether a route, or a limit, asks for more of a token than the principal has of it.
fn looks_at_claims(document: &Document) -> bool {
    let routes = || document.routes.iter();
    let authorisation = routes().map(|route| &route.authorisation).chain([&document.authorisation]);
    let limits = routes().filter_map(|route| route.limits.as_ref()).chain([&document.limits]);
    let mut keys = limits.flatten().flat_map(|limit| limit.key.parts());
    authorisation.into_iter().any(|section| section.claims.is_some())
        || keys.any(|part| matches!(part, KeyPart::Claim(_)))
}

/// What is to be done beside requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Requests to make.
    pub fetches: Vec<Fetch>,
    /// Calls to make to the rate limit service. Hand [`Policy::service_answered`] the answers.
    pub calls: Vec<ServiceCall>,
    /// Whether requests that wait may go on: something was fetched, or could not be.
    pub is_news: bool,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// The service, where the limits stage runs and the document names one.
fn compile_service(
    document: &Document,
    stages: Stages,
    routes: &[CompiledRoute],
) -> Result<Option<RateLimitService>, CompileError> {
    let Some(section) = &document.rate_limit_service else {
        let mut shared = routes.iter().flat_map(|route| &route.limits).filter(|l| l.is_shared());
        return match shared.next() {
            None => Ok(None),
            Some(limit) => {
                let message = format!("expected it: the limit `{}` is shared", limit.name());
                Err(CompileError::new("rate_limit_service", message))
            }
        };
    };
    let service = RateLimitService::compile(section)?;
    Ok(stages.contains(Stage::Limits).then_some(service))
}

/// The first 96 bits of the SHA-256 of the document in canonical form.
fn digest(document: &Document) -> String {
    let text = serde_json::to_vec(document).unwrap_or_default();
    let digest = Sha256::digest(text);
    URL_SAFE_NO_PAD.encode(digest.get(..12).unwrap_or_default())
}

/// What a document that reads well cannot be made into, and which field is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct CompileError {
    /// A path such as `routes[0].match.path`.
    pub field: String,
    /// What was expected there.
    pub message: String,
}

impl CompileError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// A secret that is named and not there.
    pub(crate) fn unset(field: &str, name: &str) -> Self {
        Self::new(field, format!("the secret {name} is not set in the environment"))
    }

    /// The key that `source` names.
    pub(crate) fn secret(
        secrets: &dyn Secrets,
        source: &SecretSource,
        field: &str,
    ) -> Result<Secret, Self> {
        let field = format!("{field}.env");
        let name = &source.env;
        let text = secrets.secret(name).ok_or_else(|| Self::unset(&field, name))?;
        Secret::from_base64url(&text)
            .map_err(|error| Self::new(field, format!("the secret {name} is not usable: {error}")))
    }
}
