//! A policy document made ready to decide.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Environment;
use crate::access::{AccessRules, HeaderRules, Target};
use crate::assertion::{MAXIMUM_LIFETIME_SECONDS, Signer};
use crate::authorisation::{AuthorisationRules, Roles};
use crate::document::{
    AuditSection, ContentEncoding, Document, DocumentError, KeyPart, Route, SecretSource,
};
use crate::environment::Timestamp;
use crate::exchange::Exchange;
use crate::identity::{Required, check_routes};
use crate::input::DEFAULT_BODY_BYTES;
use crate::limits::{Limit, Limiter, RateLimitService, ServiceAnswer, ServiceCall, ServiceOutcome};
use crate::matcher::{Matcher, Mismatch};
use crate::output::OutputRules;
use crate::principal::RenderedPrincipal;
use crate::problem::Stage;
use crate::remote::{Answer, Fetch, Outcome, Refreshed};
use crate::stages::{Identify, InputSections, Inspect, Shared, Stages};
use crate::trace::Trace;
use crate::{Principal, Secret, Secrets};

/// The longest list of routes.
const MAXIMUM_ROUTES: usize = 1000;

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
    pub(crate) signer: Option<Signer>,
    pub(crate) output: OutputRules,
    pub(crate) audit: AuditSection,
    /// Who has presented nothing.
    pub(crate) anonymous: Arc<RenderedPrincipal>,
    /// What tells one version of a policy from another in records.
    pub(crate) digest: String,
}

/// A route and everything that holds on it.
#[derive(Debug)]
pub(crate) struct CompiledRoute {
    pub(crate) name: String,
    pub(crate) matcher: Matcher,
    pub(crate) access: AccessRules,
    pub(crate) required: Required,
    pub(crate) authorisation: AuthorisationRules,
    pub(crate) limits: Vec<Limit>,
    pub(crate) input: Option<Box<dyn Inspect>>,
    /// Where `input` is another filter's: the longest body that it lets through.
    pub(crate) max_body_bytes: usize,
    /// And whether it takes compressed ones.
    pub(crate) decodes: bool,
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
        let screens = ScreenSecrets::read(document, secrets, stages)?;
        let routes = routes(document, stages, identity.as_deref(), &roles, &screens)?;
        Ok(Self {
            stages,
            headers,
            access: AccessRules::compile(&document.access, "access")?,
            limiter: Limiter::compile(
                document.limits_table.unwrap_or_default(),
                document.penalty.as_ref(),
            )?,
            service: compile_service(document, stages, &routes)?,
            routes,
            identity,
            remotes,
            signer,
            output: OutputRules::compile(&document.output)?,
            audit: document.audit,
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

fn routes(
    document: &Document,
    stages: Stages,
    identity: Option<&dyn Identify>,
    roles: &Arc<Roles>,
    screens: &ScreenSecrets,
) -> Result<Vec<CompiledRoute>, CompileError> {
    if !(1..=MAXIMUM_ROUTES).contains(&document.routes.len()) {
        let message = format!("expected 1 to {MAXIMUM_ROUTES} routes");
        return Err(CompileError::new("routes", message));
    }
    let mut routes: Vec<CompiledRoute> = Vec::with_capacity(document.routes.len());
    for (index, route) in document.routes.iter().enumerate() {
        let field = format!("routes[{index}]");
        let compiled = compile_route(document, route, &field, stages, identity, roles, screens)?;
        if routes.iter().any(|other| other.name == compiled.name) {
            let message = "expected a name that no other route has";
            return Err(CompileError::new(format!("{field}.name"), message));
        }
        for (place, limit) in compiled.limits.iter().enumerate() {
            let known = routes.iter().flat_map(|route| &route.limits);
            if known.into_iter().any(|other| other.name() == limit.name() && other != limit) {
                let message = format!("another limit is named `{}` and is not alike", limit.name());
                return Err(CompileError::new(format!("{field}.limits[{place}]"), message));
            }
        }
        routes.push(compiled);
    }
    Ok(routes)
}

fn compile_route(
    document: &Document,
    route: &Route,
    field: &str,
    stages: Stages,
    identity: Option<&dyn Identify>,
    roles: &Arc<Roles>,
    screens: &ScreenSecrets,
) -> Result<CompiledRoute, CompileError> {
    if route.name.is_empty() || route.name.len() > 64 {
        return Err(CompileError::new(format!("{field}.name"), "expected 1 to 64 characters"));
    }
    if route.access.headers.is_some() {
        let message =
            "expected it in the document's own `access`: it holds before a route is known";
        return Err(CompileError::new(format!("{field}.access.headers"), message));
    }
    let section = |name: &str, overridden: bool| match overridden {
        true => format!("{field}.{name}"),
        false => name.to_owned(),
    };
    // A filter without the identity stage leaves it, and authorisation, to others.
    let can_authenticate = !stages.contains(Stage::Identity)
        || document.identity.jwt.is_some()
        || document.identity.api_keys.is_some();
    let authorisation = route.authorisation.over(&document.authorisation);
    let authorisation_field = section("authorisation", route.authorisation != Default::default());
    let requirement = authorisation.require.clone().unwrap_or_default();
    let required = identity
        .map(|identity| identity.require(&requirement, &format!("{authorisation_field}.require")))
        .transpose()?
        .unwrap_or_default();
    let limits_field = section("limits", route.limits.is_some());
    let limits = route.limits.as_deref().unwrap_or(&document.limits);
    let matcher = Matcher::compile(route, &format!("{field}.match"))?;
    let input = route.input.over(&document.input);
    Ok(CompiledRoute {
        name: route.name.clone(),
        access: AccessRules::compile(
            &route.access.over(&document.access),
            &section("access", route.access != Default::default()),
        )?,
        required,
        authorisation: AuthorisationRules::compile(
            &authorisation,
            &authorisation_field,
            can_authenticate,
            matcher.has_tenant(),
            roles,
        )?,
        matcher,
        limits: stages.compile_limits(limits, &limits_field)?,
        max_body_bytes: input.max_body_bytes.unwrap_or(DEFAULT_BODY_BYTES) as usize,
        decodes: input.content_encoding == Some(ContentEncoding::Decode),
        input: stages.compile_input(&InputSections {
            input: &input,
            field: &section("input", route.input != Default::default()),
            output: &document.output,
            redaction_key: screens.redaction_key.as_ref(),
            canaries: &screens.canaries,
            shared: &screens.shared,
        })?,
    })
}

/// The secrets of the input stage, and what its routes share.
#[derive(Default)]
struct ScreenSecrets {
    redaction_key: Option<Secret>,
    canaries: Vec<Zeroizing<String>>,
    shared: Shared,
}

impl ScreenSecrets {
    fn read(
        document: &Document,
        secrets: &dyn Secrets,
        stages: Stages,
    ) -> Result<Self, CompileError> {
        if !stages.contains(Stage::Input) {
            return Ok(Self::default());
        }
        let canaries = document.output.canaries.iter().enumerate().map(|(index, source)| {
            let field = format!("output.canaries[{index}].env");
            secrets.secret(&source.env).ok_or_else(|| CompileError::unset(&field, &source.env))
        });
        let canaries = canaries.collect::<Result<_, _>>()?;
        let redaction_key = document.redaction_key(secrets)?;
        Ok(Self { redaction_key, canaries, shared: Shared::default() })
    }
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
