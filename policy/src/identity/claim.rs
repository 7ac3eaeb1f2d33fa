//! One claim of a token: where it is, and what it must be. For issuers and for authorisation alike.

use serde_json::{Map, Value};

use super::json::{Json, Members};
use crate::document::{ClaimRule, TextMatch};
use crate::policy::CompileError;

/// A token's claims, as they are kept.
pub(crate) type Claims = Map<String, Value>;

/// Where a claim is: its name, or a JSON pointer (RFC 6901) to one inside of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimPath {
    text: String,
    /// The name of the claim, and the names and numbers inside of it.
    steps: Vec<String>,
}

/// The deepest claim: tokens do not nest deeper.
const MAXIMUM_STEPS: usize = 8;

impl ClaimPath {
    pub(crate) fn compile(text: &str, field: &str) -> Result<Self, CompileError> {
        let steps = match text.strip_prefix('/') {
            None => vec![text.to_owned()],
            Some(rest) => rest.split('/').map(unescape).collect::<Option<_>>().unwrap_or_default(),
        };
        if steps.is_empty() || steps.len() > MAXIMUM_STEPS || steps.iter().any(String::is_empty) {
            let message =
                "expected the name of a claim, or a JSON pointer such as /realm_access/roles";
            return Err(CompileError::new(field, message));
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// As the document has it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The claim, where it is there and not null.
    pub(crate) fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        let (first, rest) = self.steps.split_first()?;
        let found = rest.iter().try_fold(claims.get(first)?, |value, step| match value {
            Value::Object(members) => members.get(step),
            Value::Array(items) => items.get(index(step)?),
            _ => None,
        })?;
        (!found.is_null()).then_some(found)
    }

    /// The same in a token that is being read.
    pub(super) fn find_in<'a>(&self, claims: &'a Members<'_>) -> Option<&'a Json<'a>> {
        let (first, rest) = self.steps.split_first()?;
        let found = rest.iter().try_fold(claims.get(first)?, |value, step| match value {
            Json::Object(members) => members.get(step),
            Json::Array(items) => items.get(index(step)?),
            _ => None,
        })?;
        (!matches!(found, Json::Null)).then_some(found)
    }
}

/// RFC 6901 §3: `~1` is a slash and `~0` a tilde.
pub(crate) fn unescape(step: &str) -> Option<String> {
    let valid = step.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    valid.then(|| step.replace("~1", "/").replace("~0", "~"))
}

/// RFC 6901 §4: digits without leading zeros.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with(['0', '+']);
    plain.then(|| step.parse().ok())?
}

/// A compiled [`ClaimRule`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClaimCondition {
    pub(crate) path: ClaimPath,
    any_of: Option<Vec<Value>>,
    all_of: Option<Vec<Value>>,
    none_of: Option<Vec<Value>>,
}

impl ClaimCondition {
    pub(crate) fn compile_all(rules: &[ClaimRule], field: &str) -> Result<Vec<Self>, CompileError> {
        let rules = rules.iter().enumerate();
        rules.map(|(index, rule)| Self::compile(rule, &format!("{field}[{index}]"))).collect()
    }

    fn compile(rule: &ClaimRule, field: &str) -> Result<Self, CompileError> {
        for (name, list) in
            [("any_of", &rule.any_of), ("all_of", &rule.all_of), ("none_of", &rule.none_of)]
        {
            let Some(values) = list else { continue };
            let is_exact = |value: &Value| match value {
                Value::String(_) | Value::Bool(_) => true,
                // A larger one would be compared with what is left of it.
                Value::Number(number) => !number.is_f64(),
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            };
            if values.is_empty() || !values.iter().all(is_exact) {
                let message =
                    "expected at least one string, boolean or integer of 64 bits, and nothing else";
                return Err(CompileError::new(format!("{field}.{name}"), message));
            }
        }
        Ok(Self {
            path: ClaimPath::compile(&rule.claim, &format!("{field}.claim"))?,
            any_of: rule.any_of.clone(),
            all_of: rule.all_of.clone(),
            none_of: rule.none_of.clone(),
        })
    }

    /// Whether the claim is there and all conditions hold. An absent claim satisfies nothing, `none_of` neither: who leaves it
    /// out must not be better off.
    pub(crate) fn holds(&self, claims: &Claims) -> bool {
        match self.path.find(claims) {
            None => false,
            Some(Value::Array(items)) => self.holds_of(items),
            Some(one) => self.holds_of(std::slice::from_ref(one)),
        }
    }

    /// The same in a token that is being read.
    pub(super) fn holds_in(&self, claims: &Members<'_>) -> bool {
        match self.path.find_in(claims) {
            None => false,
            Some(Json::Array(items)) => self.holds_of(items),
            Some(one) => self.holds_of(std::slice::from_ref(one)),
        }
    }

    fn holds_of<T: PartialEq<Value>>(&self, held: &[T]) -> bool {
        let is_held = |value: &Value| held.iter().any(|item| item == value);
        let any = self.any_of.as_ref().is_none_or(|any| any.iter().any(is_held));
        let all = self.all_of.as_ref().is_none_or(|all| all.iter().all(is_held));
        let none = self.none_of.as_ref().is_none_or(|none| !none.iter().any(is_held));
        any && all && none
    }
}

impl TextMatch {
    /// A matcher that is there must match something: an empty one would refuse everybody, an empty beginning nobody.
    pub(crate) fn check(&self, field: &str) -> Result<(), CompileError> {
        let all = || self.exact.iter().chain(&self.prefix).chain(&self.suffix);
        if all().next().is_none() || all().any(String::is_empty) {
            let message =
                "expected at least one text in `exact`, `prefix` or `suffix`, and no empty one";
            return Err(CompileError::new(field, message));
        }
        Ok(())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.exact.iter().any(|exact| exact == text)
            || self.prefix.iter().any(|prefix| text.starts_with(prefix.as_str()))
            || self.suffix.iter().any(|suffix| text.ends_with(suffix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims() -> Claims {
        let claims = json!({
            "level": 3, "verified": true, "groups": ["a", "b"], "nothing": null,
            "realm_access": { "roles": ["r"], "a/b": { "~": "deep" } }, "name/x": "top",
        });
        claims.as_object().unwrap().clone()
    }

    fn find(path: &str) -> Option<Value> {
        let (path, claims) = (ClaimPath::compile(path, "claim").unwrap(), claims());
        let found = path.find(&claims).cloned();
        let text = Value::Object(claims).to_string();
        let members = Members::of(&text);
        assert_eq!(path.find_in(&members).map(Json::to_value), found, "as it is read");
        found
    }

    #[test]
    fn names_and_pointers_lead_to_claims() {
        assert_eq!(find("level"), Some(json!(3)));
        assert_eq!(find("name/x"), Some(json!("top")));
        assert_eq!(find("/realm_access/roles"), Some(json!(["r"])));
        assert_eq!(find("/realm_access/roles/0"), Some(json!("r")));
        assert_eq!(find("/realm_access/a~1b/~0"), Some(json!("deep")));
        for absent in [
            "nothing",
            "realm_access.roles",
            "/realm_access/roles/00",
            "/realm_access/roles/+0",
            "/level/0",
            "/groups/2",
        ] {
            assert_eq!(find(absent), None, "{absent}");
        }
        for wrong in ["", "/", "/a//b", "/a~2", "/a~", "/1/2/3/4/5/6/7/8/9"] {
            assert!(ClaimPath::compile(wrong, "claim").is_err(), "{wrong}");
        }
    }

    fn holds(rule: Value) -> bool {
        let rule: ClaimRule = serde_json::from_value(rule).unwrap();
        let condition = &ClaimCondition::compile_all(&[rule], "claims").unwrap()[0];
        let held = condition.holds(&claims());
        let text = Value::Object(claims()).to_string();
        assert_eq!(condition.holds_in(&Members::of(&text)), held, "as it is read");
        held
    }

    #[test]
    fn conditions_compare_exactly() {
        assert!(holds(json!({"claim": "level"})));
        assert!(holds(json!({"claim": "level", "any_of": [2, 3]})));
        assert!(holds(json!({"claim": "groups", "any_of": ["b", "z"]})));
        assert!(holds(json!({"claim": "groups", "all_of": ["a", "b"], "none_of": ["z"]})));
        for rule in [
            json!({"claim": "level", "any_of": ["3"]}),
            json!({"claim": "level", "any_of": [true]}),
            json!({"claim": "verified", "any_of": ["true"]}),
            json!({"claim": "groups", "all_of": ["a", "z"]}),
            json!({"claim": "groups", "none_of": ["b"]}),
            json!({"claim": "absent"}),
            json!({"claim": "absent", "none_of": ["b"]}),
            json!({"claim": "nothing", "none_of": ["b"]}),
        ] {
            assert!(!holds(rule.clone()), "{rule}");
        }
    }

    #[test]
    fn conditions_that_nothing_or_everything_satisfies_are_errors() {
        for rule in [
            json!({"claim": "a", "any_of": []}),
            json!({"claim": "a", "any_of": [["a"]]}),
            json!({"claim": "a", "none_of": [null]}),
        ] {
            let rule: ClaimRule = serde_json::from_value(rule).unwrap();
            assert!(ClaimCondition::compile_all(&[rule], "claims").is_err());
        }
        assert!(TextMatch::default().check("subjects").is_err());
        let empty = TextMatch { prefix: vec![String::new()], ..Default::default() };
        assert!(empty.check("subjects").is_err());
    }
}
