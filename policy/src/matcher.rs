//! Which requests a route is for.

use crate::access::{Target, check_method, normal_host};
use crate::document::Route;
use crate::policy::CompileError;

/// What stands in a route's path for the caller's own tenant.
const TENANT: &str = "{tenant}";

/// A compiled [`crate::document::RouteMatch`].
#[derive(Debug)]
pub(crate) struct Matcher {
    path: PathMatcher,
    methods: Vec<String>,
    hosts: Vec<String>,
}

/// What of a request a route is not for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Path,
    Method,
    Host,
}

#[derive(Debug)]
struct PathMatcher {
    /// The path, or its beginning, up to the tenant's segment if there is one.
    before: String,
    /// What follows that segment.
    after_tenant: Option<String>,
    /// Whether the path may go on.
    is_prefix: bool,
}

impl Matcher {
    pub(crate) fn compile(route: &Route, field: &str) -> Result<Self, CompileError> {
        let matches = &route.matches;
        let path = match (&matches.path, &matches.prefix) {
            (Some(path), None) => PathMatcher::compile(path, false, &format!("{field}.path"))?,
            (None, Some(prefix)) => {
                let field = format!("{field}.prefix");
                if !prefix.ends_with('/') {
                    let message = "expected a slash at the end: /v1 would also match /v10";
                    return Err(CompileError::new(field, message));
                }
                PathMatcher::compile(prefix, true, &field)?
            }
            _ => return Err(CompileError::new(field, "expected either `path` or `prefix`")),
        };
        for (index, method) in matches.methods.iter().enumerate() {
            check_method(method, &format!("{field}.methods[{index}]"))?;
        }
        // One that no request's host can equal would leave its requests to the routes that follow.
        let hosts = matches.hosts.iter().enumerate().map(|(index, host)| {
            normal_host(host).ok_or_else(|| {
                let message =
                    "expected a host without a port, such as api.example or [2001:db8::1]";
                CompileError::new(format!("{field}.hosts[{index}]"), message)
            })
        });
        let hosts = hosts.collect::<Result<_, _>>()?;
        Ok(Self { path, methods: matches.methods.clone(), hosts })
    }

    pub(crate) fn matches(&self, target: &Target) -> bool {
        self.mismatch(target).is_none()
    }

    /// What the route is not for, if it is not for this request. A path with another tenant's name in it is the route's
    /// all the same: it is refused there, and goes on to no other.
    pub(crate) fn mismatch(&self, target: &Target) -> Option<Mismatch> {
        let any =
            |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
        if !self.path.matches(&target.path) {
            Some(Mismatch::Path)
        } else if !any(&self.methods, &target.method) {
            Some(Mismatch::Method)
        } else if !any(&self.hosts, &target.host) {
            Some(Mismatch::Host)
        } else {
            None
        }
    }

    /// Whether the path names the tenant that it is for.
    pub(crate) fn has_tenant(&self) -> bool {
        self.path.after_tenant.is_some()
    }

    /// The tenant that a path names, as it stands there.
    pub(crate) fn tenant<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.path.after_tenant.as_ref()?;
        Some(segment(path.strip_prefix(self.path.before.as_str())?).0)
    }
}

impl PathMatcher {
    fn compile(path: &str, is_prefix: bool, field: &str) -> Result<Self, CompileError> {
        let mut parts = path.split(TENANT);
        let before = parts.next().unwrap_or_default();
        let after = parts.next();
        let has_braces = |text: &str| text.contains(['{', '}']);
        let is_whole_segment = before.ends_with('/')
            && after.is_some_and(|after| after.is_empty() || after.starts_with('/'));
        if parts.next().is_some()
            || has_braces(before)
            || after.is_some_and(has_braces)
            || (after.is_some() && !is_whole_segment)
        {
            let message =
                "expected no braces but those of one {tenant}, which is a segment of its own";
            return Err(CompileError::new(field, message));
        }
        check_path(&path.replace(TENANT, "tenant"), field)?;
        let (before, after_tenant) = (before.to_owned(), after.map(str::to_owned));
        Ok(Self { before, after_tenant, is_prefix })
    }

    fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(self.before.as_str()) else { return false };
        let rest = match &self.after_tenant {
            None => rest,
            Some(after) => {
                let (tenant, rest) = segment(rest);
                match rest.strip_prefix(after.as_str()) {
                    Some(rest) if !tenant.is_empty() => rest,
                    _ => return false,
                }
            }
        };
        self.is_prefix || rest.is_empty()
    }
}

/// The first segment, and what follows it.
fn segment(path: &str) -> (&str, &str) {
    path.split_at_checked(path.find('/').unwrap_or(path.len())).unwrap_or((path, ""))
}

/// A path that no normalised request path can equal would make a route that never applies.
fn check_path(path: &str, field: &str) -> Result<(), CompileError> {
    match Target::read(&[(":path", path.as_bytes())]) {
        Ok(target) if target.path == path && target.query.is_none() => Ok(()),
        Ok(target) => {
            let message =
                format!("expected a normalised path without a query, such as {}", target.path);
            Err(CompileError::new(field, message))
        }
        Err(_) => Err(CompileError::new(field, "expected a path such as /v1/predict")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(matches: serde_json::Value) -> Result<Matcher, CompileError> {
        let route = serde_json::json!({"name": "r", "match": matches});
        Matcher::compile(&serde_json::from_value(route).unwrap(), "match")
    }

    fn target(method: &str, path: &str) -> Target {
        let headers = [(":method", method), (":path", path), (":authority", "A.example:8443")];
        Target::read(&headers.map(|(name, value)| (name, value.as_bytes()))).unwrap()
    }

    fn tenant(matches: serde_json::Value, path: &str) -> Option<String> {
        let (matcher, target) = (matcher(matches).unwrap(), target("GET", path));
        let matches = matcher.matches(&target);
        matches.then(|| matcher.tenant(&target.path).unwrap_or("-").to_owned())
    }

    #[test]
    fn the_tenant_is_one_segment_whatever_it_holds() {
        let exact =
            |path: &str| tenant(serde_json::json!({"path": "/v1/tenants/{tenant}/predict"}), path);
        for (path, segment) in [
            ("/v1/tenants/acme/predict", Some("acme")),
            ("/v1/tenants/%61cme/predict", Some("acme")),
            ("/v1/tenants/globex/../acme/predict", Some("acme")),
            ("/v1/tenants/acme%2e%2e/predict", Some("acme..")),
            ("/v1//tenants/./acme//predict", Some("acme")),
            // Not what the caller's tenant is, and so refused; but no other route's.
            ("/v1/tenants/acme;x=1/predict", Some("acme;x=1")),
            ("/v1/tenants/acme%20/predict", Some("acme%20")),
            ("/v1/tenants/%252e%252e/predict", Some("%252e%252e")),
            ("/v1/tenants/{tenant}/predict", Some("{tenant}")),
            ("/v1/tenants/*/predict", Some("*")),
            ("/v1/tenants//predict", None),
            ("/v1/tenants/predict", None),
            ("/v1/tenants/../predict", None),
            ("/v1/tenants/acme/predict/", None),
            ("/v1/tenants/acme/x/predict", None),
            ("/v1/tenants/acme/predictx", None),
            ("/V1/tenants/acme/predict", None),
        ] {
            assert_eq!(exact(path).as_deref(), segment, "{path}");
        }
        let last = |path: &str| tenant(serde_json::json!({"path": "/t/{tenant}"}), path);
        assert_eq!(last("/t/acme").as_deref(), Some("acme"));
        assert_eq!((last("/t/acme/"), last("/t/"), last("/t")), (None, None, None));
        let prefix = |path: &str| tenant(serde_json::json!({"prefix": "/t/{tenant}/a/"}), path);
        assert_eq!(prefix("/t/acme/a/b/c").as_deref(), Some("acme"));
        assert_eq!(prefix("/t/acme/a/../../globex/a/").as_deref(), Some("globex"));
        assert_eq!(
            (prefix("/t/acme/a"), prefix("/t/acme/b/a/"), prefix("/t/a/")),
            (None, None, None)
        );
        let first = |path: &str| tenant(serde_json::json!({"prefix": "/{tenant}/"}), path);
        assert_eq!(first("/acme/").as_deref(), Some("acme"));
        assert_eq!((first("/acme"), first("/")), (None, None));
        assert_eq!(tenant(serde_json::json!({"prefix": "/"}), "/acme").as_deref(), Some("-"));
    }

    #[test]
    fn methods_and_hosts_are_a_routes_own() {
        let matcher = matcher(
            serde_json::json!({"path": "/a", "methods": ["GET", "POST"], "hosts": ["a.EXAMPLE"]}),
        )
        .unwrap();
        assert_eq!(matcher.mismatch(&target("POST", "/a")), None);
        for method in ["HEAD", "get", "DELETE", ""] {
            assert_eq!(matcher.mismatch(&target(method, "/a")), Some(Mismatch::Method));
        }
        assert_eq!(matcher.mismatch(&target("GET", "/a/")), Some(Mismatch::Path));
    }

    #[test]
    fn paths_that_are_misspelt_are_errors() {
        for path in [
            "/{user}",
            "/{Tenant}",
            "/{tenant",
            "/tenant}",
            "/{}",
            "/{*}",
            "/{ tenant }",
            "/{{tenant}}",
            "/x{tenant}",
            "/{tenant}x",
            "/{tenant}/{tenant}",
            "/{tenant};x",
            "{tenant}",
            "/a/../{tenant}",
            "//{tenant}",
            "/{tenant}/./",
            "/{tenant}?a",
            "/%7Btenant}",
        ] {
            for kind in ["path", "prefix"] {
                let path = if kind == "prefix" { format!("{path}/") } else { path.to_owned() };
                let error = matcher(serde_json::json!({kind: path})).map(|_| ()).unwrap_err();
                assert_eq!(error.field, format!("match.{kind}"), "{path}");
            }
        }
        assert!(matcher(serde_json::json!({"prefix": "/{tenant}"})).is_err());
        assert!(matcher(serde_json::json!({"path": "/a", "prefix": "/a/"})).is_err());
        assert!(matcher(serde_json::json!({})).is_err());
    }
}
