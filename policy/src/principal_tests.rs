use proptest::prelude::*;

use super::*;

#[test]
fn field_reads_as_documented() {
    let principal = Principal {
        issuer: Some("https://issuer.example".into()),
        subject: "alice".into(),
        tenant: Some("acme".into()),
        plan: None,
        roles: vec!["caller".into()],
        scopes: vec![],
        via: CredentialKind::Jwt,
        credential_id: None,
    };
    let field = principal.to_field();
    assert_eq!(
        field,
        r#"sub="alice", iss="https://issuer.example", tenant="acme", roles=("caller"), scopes=(), via=jwt"#
    );
}

#[test]
fn malformed_fields_are_refused() {
    for field in [
        "",
        "sub=alice, roles=(), scopes=(), via=jwt",
        r#"sub="a", roles="x", scopes=(), via=jwt"#,
        r#"sub="a", roles=(), scopes=(), via="jwt""#,
        r#"sub="a", roles=(), scopes=(), via=root"#,
        r#"sub="a", tenant=1, roles=(), scopes=(), via=jwt"#,
    ] {
        assert_eq!(Principal::from_field(field), None, "{field}");
    }
}

/// As the library would write it.
fn by_the_library(principal: &Principal) -> String {
    let text = |text| match sfv::StringRef::from_str(text) {
        Ok(string) => RefBareItem::from(string),
        Err(_) => RefBareItem::DisplayString(text),
    };
    let mut dictionary = sfv::DictSerializer::new();
    for (name, value) in [
        ("sub", Some(&principal.subject)),
        ("iss", principal.issuer.as_ref()),
        ("tenant", principal.tenant.as_ref()),
        ("plan", principal.plan.as_ref()),
    ] {
        if let Some(value) = value {
            let _ = dictionary.bare_item(sfv::key_ref(name), text(value));
        }
    }
    for (name, texts) in [("roles", &principal.roles), ("scopes", &principal.scopes)] {
        let mut list = dictionary.inner_list(sfv::key_ref(name));
        for value in texts {
            let _ = list.bare_item(text(value));
        }
        let _ = list.finish();
    }
    if let Some(id) = &principal.credential_id {
        let _ = dictionary.bare_item(sfv::key_ref("id"), text(id));
    }
    let via = sfv::token_ref(principal.via.as_str());
    let _ = dictionary.bare_item(sfv::key_ref("via"), via);
    dictionary.finish().unwrap()
}

/// Texts that mean something to who reads the field.
fn any_text() -> impl Strategy<Value = String> {
    let hostile = r#"(a|"|\\|, iss=|"\)| |=|\(|é|%|\x00|, via=jwt){0,4}"#;
    prop_oneof!["[a-z]{0,3}", hostile, ".{0,4}"]
}

proptest! {
    #[test]
    fn the_field_is_as_the_library_writes_it_and_reads_it(
        subject in any_text(),
        issuer in proptest::option::of(any_text()),
        tenant in proptest::option::of(any_text()),
        plan in proptest::option::of(any_text()),
        roles in proptest::collection::vec(any_text(), 0..3),
        scopes in proptest::collection::vec(any_text(), 0..3),
        credential_id in proptest::option::of(any_text()),
    ) {
        let via = CredentialKind::ApiKey;
        let principal =
            Principal { issuer, subject, tenant, plan, roles, scopes, via, credential_id };
        let field = principal.to_field();
        prop_assert_eq!(&field, &by_the_library(&principal));
        prop_assert_eq!(Principal::from_dictionary(&field), Some(principal.clone()));
        prop_assert_eq!(Principal::from_field(&field), Some(principal.clone()));
        let texts = [&principal.issuer, &principal.tenant, &principal.plan, &principal.credential_id];
        let texts = texts.into_iter().flatten().chain(&principal.roles).chain(&principal.scopes);
        let is_usual = texts
            .chain([&principal.subject])
            .all(|text| text.bytes().all(is_string_byte) && !text.contains(['"', '\\']));
        prop_assert_eq!(Principal::from_usual_field(&field).is_some(), is_usual);
        if is_usual {
            prop_assert_eq!((field.len(), field.capacity()), (principal.usual_field_length(), field.len()));
        }
    }

    /// What is nearly a field is read as the library reads it, if at all.
    #[test]
    fn nothing_else_is_taken_for_a_field(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "sub=\"a\"", "sub=", "\"b\"", ", ", ",", "iss=\"i\"", ", iss=\"i\"", ", roles=(",
            ")", ", roles=()", ", scopes=()", ", scopes=(\"s\" \"t\")", ", scopes=(\"s\"  \"t\")",
            ", via=jwt", "via=jwt", ", id=\"1\"", ";q=1", " ", ", sub=\"c\"", "\t", "\\",
        ]), 0..8),
    ) {
        let field = parts.concat();
        if let Some(read) = Principal::from_usual_field(&field) {
            prop_assert_eq!(Principal::from_dictionary(&field), Some(read));
        }
    }

    /// Whatever a subject holds — quotes, control characters, other scripts — it arrives as it was and
    /// cannot become another member.
    #[test]
    fn field_round_trips(subject in ".*", tenant in proptest::option::of(".*"), role in ".*") {
        let principal = Principal {
            issuer: tenant.clone(),
            subject,
            plan: tenant.clone(),
            tenant,
            roles: vec![role],
            scopes: vec!["a b".into()],
            via: CredentialKind::ApiKey,
            credential_id: Some("k1".into()),
        };
        let field = principal.to_field();
        prop_assert!(field.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        prop_assert_eq!(Principal::from_field(&field), Some(principal));
    }
}
