use super::*;

fn rules(roles: &[&str], scopes: &[&str], tenants: &[&str]) -> AuthorisationRules {
    let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let section = AuthorisationSection {
        roles: list(roles),
        scopes: list(scopes),
        tenants: list(tenants),
        ..Default::default()
    };
    compile(&section, true, false).unwrap()
}

fn compile(
    section: &AuthorisationSection,
    can_authenticate: bool,
    tenant_in_path: bool,
) -> Result<AuthorisationRules, CompileError> {
    let hierarchy = Arc::new(Roles::default());
    AuthorisationRules::compile(
        section,
        "authorisation",
        can_authenticate,
        tenant_in_path,
        &hierarchy,
    )
}

fn principal() -> Principal {
    Principal {
        tenant: Some("acme".into()),
        roles: vec!["caller".into()],
        scopes: vec!["a".into(), "b".into()],
        ..Principal::anonymous()
    }
}

fn check(
    rules: &AuthorisationRules,
    principal: &Principal,
    tenant: Option<&str>,
) -> Result<(), Reason> {
    rules.check(Asked { principal, claims: None, tenant }, None).map_err(|refusal| refusal.reason)
}

#[test]
fn any_role_all_scopes_any_tenant() {
    let check = |rules: AuthorisationRules| check(&rules, &principal(), None);
    assert_eq!(check(rules(&["admin", "caller"], &["a", "b"], &["acme"])), Ok(()));
    assert_eq!(check(rules(&["admin"], &[], &[])), Err(Reason::RoleMissing));
    assert_eq!(check(rules(&["call"], &[], &[])), Err(Reason::RoleMissing));
    assert_eq!(check(rules(&[], &["a", "c"], &[])), Err(Reason::ScopeMissing));
    assert_eq!(check(rules(&[], &[], &["globex"])), Err(Reason::TenantDenied));
    let stateless = super::tests::check(&rules(&[], &[], &["acme"]), &Principal::anonymous(), None);
    assert_eq!(stateless, Err(Reason::TenantDenied));
}

#[test]
fn a_path_is_for_the_tenant_that_it_names() {
    let rules = compile(&AuthorisationSection::default(), true, true).unwrap();
    let of = |tenant: Option<&str>| Principal { tenant: tenant.map(str::to_owned), ..principal() };
    assert_eq!(check(&rules, &principal(), Some("acme")), Ok(()));
    for segment in
        ["globex", "ACME", "acm", "acme2", "acme;x=1", "%61cme", "acme%20", "", "acme,globex"]
    {
        assert_eq!(
            check(&rules, &principal(), Some(segment)),
            Err(Reason::TenantDenied),
            "{segment}"
        );
    }
    // Whose own name has two readings has no path of their own.
    for name in ["acme;x=1", "ac%6de", "a+b", "a b", "", "a/b", "å"] {
        assert_eq!(check(&rules, &of(Some(name)), Some(name)), Err(Reason::TenantDenied), "{name}");
    }
    assert_eq!(check(&rules, &of(None), Some("acme")), Err(Reason::TenantDenied));
    assert_eq!(check(&rules, &of(None), Some("")), Err(Reason::TenantDenied));
    assert_eq!(check(&rules, &principal(), None), Err(Reason::TenantDenied));
}

#[test]
fn claims_are_those_of_a_token() {
    let claim = serde_json::json!({"claims": [{"claim": "/org/level", "any_of": [3]}]});
    let section: AuthorisationSection = serde_json::from_value(claim).unwrap();
    let rules = compile(&section, true, false).unwrap();
    let check = |claims: Option<serde_json::Value>| {
        let claims = claims.map(|claims| claims.as_object().unwrap().clone());
        let asked = Asked { principal: &principal(), claims: claims.as_ref(), tenant: None };
        rules.check(asked, None).map_err(|refusal| refusal.reason)
    };
    assert_eq!(check(Some(serde_json::json!({"org": {"level": 3}}))), Ok(()));
    for claims in [
        serde_json::json!({"org": {"level": "3"}}),
        serde_json::json!({"/org/level": 3}),
        serde_json::json!({}),
    ] {
        assert_eq!(check(Some(claims)), Err(Reason::ClaimDenied));
    }
    // Who comes with an API key has no claims.
    assert_eq!(check(None), Err(Reason::ClaimDenied));
}

#[test]
fn impossible_combinations_are_errors() {
    let field = |section: serde_json::Value, can_authenticate, tenant_in_path| {
        let section: AuthorisationSection = serde_json::from_value(section).unwrap();
        compile(&section, can_authenticate, tenant_in_path).unwrap_err().field
    };
    for section in [
        serde_json::json!({"require": "anonymous", "roles": ["admin"]}),
        serde_json::json!({"require": "anonymous", "scopes": ["a"]}),
        serde_json::json!({"require": "anonymous", "tenants": ["a"]}),
        serde_json::json!({"require": "anonymous", "claims": [{"claim": "a"}]}),
    ] {
        assert_eq!(field(section, true, false), "authorisation.require");
    }
    assert_eq!(
        field(serde_json::json!({"require": "anonymous"}), true, true),
        "authorisation.require"
    );
    assert_eq!(field(serde_json::json!({}), false, false), "authorisation.require");
    assert_eq!(
        field(serde_json::json!({"scopes": ["a", "b\" c"]}), true, false),
        "authorisation.scopes[1]"
    );
    assert_eq!(
        field(serde_json::json!({"tenants": [""]}), true, false),
        "authorisation.tenants[0]"
    );
    assert_eq!(field(serde_json::json!({"roles": [""]}), true, false), "authorisation.roles[0]");
}
