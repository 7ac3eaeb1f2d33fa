//! The compiled policy, kept while an instance lives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_function::jwe::Screen;
use portcullis_policy::Secrets;
use portcullis_policy::document::DocumentError;
use serde_json::Value;
use zeroize::Zeroizing;

/// The secrets of a policy, by the names that the document has for them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct PolicySecrets(BTreeMap<String, Zeroizing<String>>);

impl PolicySecrets {
    pub(crate) fn insert(&mut self, name: String, value: Zeroizing<String>) {
        self.0.insert(name, value);
    }
}

impl Secrets for PolicySecrets {
    fn secret(&self, name: &str) -> Option<Zeroizing<String>> {
        self.0.get(name).cloned()
    }
}

/// The names of the secrets that the input stage of a document needs: those of `redaction` and `output.canaries`. What is no
/// document has none, and is refused when it is compiled.
pub(crate) fn secret_names(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let redaction = document.pointer("/redaction/key/env");
    let canaries = document.pointer("/output/canaries").and_then(Value::as_array);
    let canaries = canaries.into_iter().flatten().filter_map(|source| source.get("env"));
    let names = redaction.into_iter().chain(canaries);
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The Spin variable in which a secret is that the document calls by the name of an environment variable.
pub(crate) fn variable_of(secret: &str) -> String {
    secret.to_ascii_lowercase()
}

/// Compiles each document once, where an instance answers more than one request.
#[derive(Default)]
pub(crate) struct Screens(RefCell<Option<Compiled>>);

struct Compiled {
    document: String,
    secrets: PolicySecrets,
    screen: Rc<Screen>,
}

impl Screens {
    /// The screen of a document. `name` is what errors call it.
    pub(crate) fn screen(
        &self,
        name: &str,
        document: &str,
        secrets: PolicySecrets,
    ) -> Result<Rc<Screen>, DocumentError> {
        if let Some(compiled) = &*self.0.borrow()
            && compiled.document == document
            && compiled.secrets == secrets
        {
            return Ok(compiled.screen.clone());
        }
        let screen = Rc::new(Screen::compile(name, document, &secrets)?);
        let compiled = Compiled { document: document.to_owned(), secrets, screen: screen.clone() };
        self.0.replace(Some(compiled));
        Ok(screen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::policy;

    #[test]
    fn a_document_is_compiled_once_and_another_one_anew() {
        let screens = Screens::default();
        let of = |document: &str, secrets| screens.screen("policy", document, secrets).unwrap();
        let (document, none) = (policy().to_string(), PolicySecrets::default);
        let first = of(&document, none());
        assert!(Rc::ptr_eq(&first, &of(&document, none())));
        assert!(!Rc::ptr_eq(&first, &of(&document.replace("1000", "1001"), none())));
        let mut secrets = none();
        secrets.insert("A".to_owned(), Zeroizing::new("a".to_owned()));
        let first = of(&document, none());
        assert!(!Rc::ptr_eq(&first, &of(&document, secrets)));
    }

    #[test]
    fn only_what_the_input_stage_needs_is_asked_for() {
        let document = r#"{
            "redaction": {"key": {"env": "REDACTION_KEY"}},
            "output": {"canaries": [{"env": "CANARY_A"}, {"env": 1}, 2, {"env": "CANARY_B"}]},
            "assertion": {"key": {"env": "ASSERTION_KEY"}}
        }"#;
        assert_eq!(secret_names(document), ["REDACTION_KEY", "CANARY_A", "CANARY_B"]);
        for none in ["", "{", "[]", "{\"redaction\": 1, \"output\": {\"canaries\": {}}}"] {
            assert!(secret_names(none).is_empty(), "{none}");
        }
        assert_eq!(variable_of("CANARY_A"), "canary_a");
    }
}
