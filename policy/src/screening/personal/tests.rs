use super::*;

fn every() -> PersonalData {
    PersonalData::compile(&PersonalData::KINDS, "kinds").unwrap()
}

fn found(text: &str) -> Vec<(Kind, String)> {
    every().find(text).into_iter().map(|d| (d.kind, text[d.range].to_owned())).collect()
}

#[test]
fn nothing_else_can_be_wanted() {
    let error = PersonalData::compile(&[Kind::Iban, Kind::Xss], "kinds").unwrap_err();
    assert!(error.to_string().contains("kinds[1]"), "{error}");
}
