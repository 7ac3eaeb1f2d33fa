//! The `input.screening` section.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::SecretSource;
use crate::screening::{Action, Kind, PersonalData};

/// What texts are screened for, and what happens then.
///
/// A text is prose for a model, or it is an argument: a string that a program will read. Arguments are screened for attacks on
/// programs, prose for attacks on models: people talk to a model about SQL, and no program runs it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ScreeningSection {
    /// Which strings of a body are prose: JSON pointers (RFC 6901) in which `*` stands for any member or item and `**`, once
    /// at most, for any number of them, also none; the empty one is a body that is text. All others are arguments, and so are
    /// names, the path, the query and header fields. Default: what chat, completion and embedding APIs take as prose, and
    /// `/text` and `/texts/*`. Prose is not screened for attacks on programs: where other programs answer, say `[]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<Vec<String>>,
    /// Attacks on programs, in arguments. Default: refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attacks: Option<Reaction>,
    /// Instructions that would replace the operator's, and jailbreaks, in prose. Default: refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_injection: Option<Reaction>,
    /// Personal data and secrets, in prose and in arguments, by kind. What is not named is let through.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "personal_data")]
    pub personal_data: BTreeMap<Kind, Action>,
    /// The same kinds in the query of the URL and in header fields, where they end up in logs. Nothing is replaced there:
    /// `flag` lets the request go on, `refuse` does not. Not looked at are the path, cookies, and fields that carry
    /// credentials, addresses of clients or names of programs. Default: allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal_data_in_head: Option<Reaction>,
}

/// The `redaction` section: what personal data is replaced with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RedactionSection {
    /// What `hash` and `tokenise` are keyed with, in base64url, at least 32 bytes. With another key, tokens of before stay tokens.
    pub key: SecretSource,
}

/// What happens to a request in which something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It is not looked for.
    Allow,
    /// The request goes on. The audit record and the field `portcullis-findings` say what was found.
    Flag,
    /// The request is refused where it is certain enough, and goes on as with `flag` where it is not.
    Refuse,
}

/// Kinds of personal data, and what happens to each. An error is that of the kind, and names those that there are.
pub(super) fn personal_data<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Kind, Action>, D::Error> {
    deserializer.deserialize_map(Actions)
}

struct Actions;

impl<'de> Visitor<'de> for Actions {
    type Value = BTreeMap<Kind, Action>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kinds and actions, such as { payment_card: mask }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut actions = BTreeMap::new();
        while let Some(name) = members.next_key::<String>()? {
            let (kind, action) = members.next_value_seed(ActionOf(&name))?;
            actions.insert(kind, action);
        }
        Ok(actions)
    }
}

/// What happens to the kind of this name.
struct ActionOf<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for ActionOf<'_> {
    type Value = (Kind, Action);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let kinds = PersonalData::KINDS;
        let kind = kinds.into_iter().find(|kind| kind.as_str() == self.0).ok_or_else(|| {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            D::Error::custom(format_args!("expected one of these kinds: {}", names.join(", ")))
        })?;
        Action::deserialize(deserializer).map(|action| (kind, action))
    }
}
