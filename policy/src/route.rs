//! The routes of a policy, compiled.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::access::AccessRules;
use crate::authorisation::{AuthorisationRules, Roles};
use crate::document::{ContentEncoding, Document, Route};
use crate::identity::Required;
use crate::input::DEFAULT_BODY_BYTES;
use crate::limits::Limit;
use crate::matcher::Matcher;
use crate::output::BodyCap;
use crate::policy::CompileError;
use crate::problem::Stage;
use crate::stages::{Identify, InputSections, Inspect, Shared, Stages};
use crate::{Secret, Secrets};

/// The longest list of routes.
const MAXIMUM_ROUTES: usize = 1000;

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
    /// The longest body of a response.
    pub(crate) max_response_bytes: Option<u64>,
}

/// What the routes of a document are compiled with.
pub(crate) struct RouteCompiler<'a> {
    pub(crate) document: &'a Document,
    pub(crate) stages: Stages,
    pub(crate) identity: Option<&'a dyn Identify>,
    pub(crate) roles: &'a Arc<Roles>,
    pub(crate) screens: &'a ScreenSecrets,
}

impl RouteCompiler<'_> {
    pub(crate) fn compile(&self) -> Result<Vec<CompiledRoute>, CompileError> {
        let document = self.document;
        if !(1..=MAXIMUM_ROUTES).contains(&document.routes.len()) {
            let message = format!("expected 1 to {MAXIMUM_ROUTES} routes");
            return Err(CompileError::new("routes", message));
        }
        let mut routes: Vec<CompiledRoute> = Vec::with_capacity(document.routes.len());
        for (index, route) in document.routes.iter().enumerate() {
            let field = format!("routes[{index}]");
            let compiled = self.compile_route(route, &field)?;
            if routes.iter().any(|other| other.name == compiled.name) {
                let message = "expected a name that no other route has";
                return Err(CompileError::new(format!("{field}.name"), message));
            }
            for (place, limit) in compiled.limits.iter().enumerate() {
                let known = routes.iter().flat_map(|route| &route.limits);
                if known.into_iter().any(|other| other.name() == limit.name() && other != limit) {
                    let message =
                        format!("another limit is named `{}` and is not alike", limit.name());
                    return Err(CompileError::new(format!("{field}.limits[{place}]"), message));
                }
            }
            routes.push(compiled);
        }
        Ok(routes)
    }

    fn compile_route(&self, route: &Route, field: &str) -> Result<CompiledRoute, CompileError> {
        let Self { document, stages, identity, roles, screens } = *self;
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
        let authorisation_field =
            section("authorisation", route.authorisation != Default::default());
        let requirement = authorisation.require.clone().unwrap_or_default();
        let required = identity
            .map(|identity| {
                identity.require(&requirement, &format!("{authorisation_field}.require"))
            })
            .transpose()?
            .unwrap_or_default();
        let limits_field = section("limits", route.limits.is_some());
        let limits = route.limits.as_deref().unwrap_or(&document.limits);
        let matcher = Matcher::compile(route, &format!("{field}.match"))?;
        let access = AccessRules::compile(
            &route.access.over(&document.access),
            &section("access", route.access != Default::default()),
        )?;
        // Such a route would be there and never apply. A filter without this stage leaves it to others.
        let has_access = stages.contains(Stage::Access);
        let shut_out = |method: &String| has_access && !access.lets_through(method);
        if let Some(index) = route.matches.methods.iter().position(shut_out) {
            let message =
                format!("expected a method that `access` lets through: {}", access.methods());
            return Err(CompileError::new(format!("{field}.match.methods[{index}]"), message));
        }
        let input = route.input.over(&document.input);
        Ok(CompiledRoute {
            name: route.name.clone(),
            access,
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
            max_response_bytes: match route.output.max_body_bytes {
                None => document.output.max_body_bytes,
                bytes => BodyCap::compile(bytes, &format!("{field}.output"))?,
            },
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
}

/// The secrets of the input stage, and what its routes share.
#[derive(Default)]
pub(crate) struct ScreenSecrets {
    redaction_key: Option<Secret>,
    canaries: Vec<Zeroizing<String>>,
    shared: Shared,
}

impl ScreenSecrets {
    pub(crate) fn read(
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
