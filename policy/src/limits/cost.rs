//! What a request takes from a limit.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::pointer::{Found, Pointer};
use crate::document::{Cost, Reserve};
use crate::policy::CompileError;

/// A compiled `cost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CostRule {
    Request,
    BodyBytes,
    TextTokens,
    RequestValue { pointer: Pointer, default: u64, cap: u64 },
    ResponseValue { pointer: Pointer, reserve: Reserve, cap: u64 },
}

/// How many bytes of text make a token, about, in English and with the vocabularies that there are.
const BYTES_PER_TOKEN: u64 = 4;

impl CostRule {
    pub(super) fn compile(cost: &Cost, field: &str) -> Result<Self, CompileError> {
        let check =
            |name: &str, part: &str, number: u64, most: u64| match (1..=most).contains(&number) {
                true => Ok(number),
                false => {
                    let message = format!("expected 1 to {most}");
                    Err(CompileError::new(format!("{field}.{name}.{part}"), message))
                }
            };
        Ok(match cost {
            Cost::Request => Self::Request,
            Cost::BodyBytes => Self::BodyBytes,
            Cost::TextTokens => Self::TextTokens,
            Cost::RequestValue(value) => {
                let name = "request_value";
                let cap = check(name, "cap", value.cap, u64::from(u32::MAX))?;
                Self::RequestValue {
                    pointer: Pointer::compile(&value.pointer, &format!("{field}.{name}.pointer"))?,
                    default: check(name, "default", value.default.unwrap_or(cap), cap)?,
                    cap,
                }
            }
            Cost::ResponseValue(value) => {
                let name = "response_value";
                let cap = check(name, "cap", value.cap, u64::from(u32::MAX))?;
                if let Reserve::Fixed(reserve) = value.reserve {
                    check(name, "reserve", reserve, cap)?;
                }
                Self::ResponseValue {
                    pointer: Pointer::compile(&value.pointer, &format!("{field}.{name}.pointer"))?,
                    reserve: value.reserve,
                    cap,
                }
            }
        })
    }

    /// Whether it is known only when the request's body is there.
    pub(super) fn needs_body(&self) -> bool {
        match self {
            Self::Request | Self::ResponseValue { reserve: Reserve::Fixed(_), .. } => false,
            Self::BodyBytes | Self::TextTokens | Self::RequestValue { .. } => true,
            Self::ResponseValue { reserve: Reserve::Estimate, .. } => true,
        }
    }

    /// What is known only when the response has come: where, and the most that counts.
    pub(super) fn response_value(&self) -> Option<(&Pointer, u64)> {
        match self {
            Self::ResponseValue { pointer, cap, .. } => Some((pointer, *cap)),
            _ => None,
        }
    }

    /// The most that a request can take, where that is known.
    pub(super) fn cap(&self) -> Option<u64> {
        match self {
            Self::Request => Some(1),
            Self::RequestValue { cap, .. } | Self::ResponseValue { cap, .. } => Some(*cap),
            Self::BodyBytes | Self::TextTokens => None,
        }
    }

    /// What is taken before the request is let through.
    pub(super) fn before(&self, body: &[u8]) -> u64 {
        match self {
            Self::Request => 1,
            Self::BodyBytes => (body.len() as u64).max(1),
            Self::TextTokens => text_tokens(body),
            Self::RequestValue { pointer, default, cap } => match pointer.find(body) {
                _ if body.is_empty() => *default,
                Found::Number(number) => number.clamp(1, *cap),
                Found::Nothing => *default,
                Found::Unusable => *cap,
            },
            Self::ResponseValue { reserve: Reserve::Estimate, cap, .. } => {
                text_tokens(body).min(*cap)
            }
            Self::ResponseValue { reserve: Reserve::Fixed(reserve), .. } => *reserve,
        }
    }

    /// The quota unit, as the RateLimit-Policy field has it; none where it is requests.
    pub(super) fn unit(&self) -> Option<&'static str> {
        match self {
            Self::Request => None,
            Self::BodyBytes => Some("content-bytes"),
            Self::TextTokens | Self::RequestValue { .. } | Self::ResponseValue { .. } => {
                Some("tokens")
            }
        }
    }

    /// The unit in words.
    pub(super) fn unit_in_words(&self) -> &'static str {
        match self {
            Self::Request => "requests",
            Self::BodyBytes => "bytes",
            Self::TextTokens | Self::RequestValue { .. } | Self::ResponseValue { .. } => "tokens",
        }
    }
}

/// An estimate that is never below the one for the same text written in another way: what is no JSON counts whole.
fn text_tokens(body: &[u8]) -> u64 {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let text = TextBytes::deserialize(&mut deserializer)
        .and_then(|bytes| deserializer.end().map(|()| bytes))
        .map_or(body.len() as u64, |TextBytes(bytes)| bytes);
    text.div_ceil(BYTES_PER_TOKEN).max(1)
}

/// The bytes of all strings in a JSON text, without member names. Of members of the same name all count.
struct TextBytes(u64);

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = TextBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_str<E>(self, text: &str) -> Result<TextBytes, E> {
        Ok(TextBytes(text.len() as u64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<TextBytes, A::Error> {
        let mut sum = 0u64;
        while let Some(TextBytes(bytes)) = items.next_element()? {
            sum = sum.saturating_add(bytes);
        }
        Ok(TextBytes(sum))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<TextBytes, A::Error> {
        let mut sum = 0u64;
        while let Some((IgnoredAny, TextBytes(bytes))) = members.next_entry()? {
            sum = sum.saturating_add(bytes);
        }
        Ok(TextBytes(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{RequestValue, ResponseValue};

    fn rule(cost: &Cost) -> CostRule {
        CostRule::compile(cost, "limits[0].cost").unwrap()
    }

    fn max_tokens(default: Option<u64>) -> CostRule {
        rule(&Cost::RequestValue(RequestValue { pointer: "/max_tokens".into(), default, cap: 100 }))
    }

    #[test]
    fn costs_are_at_least_one() {
        assert_eq!(rule(&Cost::Request).before(b"abc"), 1);
        assert_eq!(rule(&Cost::BodyBytes).before(b""), 1);
        assert_eq!(rule(&Cost::BodyBytes).before(&[b'x'; 1000]), 1000);
        assert_eq!(rule(&Cost::TextTokens).before(b""), 1);
        assert_eq!(max_tokens(None).before(br#"{"max_tokens": 0}"#), 1);
    }

    #[test]
    fn text_is_counted_however_it_is_written() {
        let tokens = rule(&Cost::TextTokens);
        assert_eq!(tokens.before(br#"{"ignored-name": ["12345678", 5, {"a": "1"}]}"#), 3);
        assert_eq!(tokens.before(br#"{"a":"\u0061\u0061\u0061\u0061"}"#), 1);
        assert_eq!(tokens.before(b"no json at all"), 4);
        assert_eq!(tokens.before(&[0xff; 400]), 100);
        assert_eq!(tokens.before(br#"{"a":"12345678","a":""}"#), 2, "hidden behind another");
        assert_eq!(tokens.before(br#"{"a":"12345678","#), 4);
    }

    #[test]
    fn what_cannot_be_read_counts_as_the_cap() {
        let rule = max_tokens(Some(16));
        for (body, cost) in [
            (r#"{"max_tokens": 20}"#, 20),
            (r#"{"max_tokens": 1e1}"#, 10),
            (r#"{}"#, 16),
            ("", 16),
            (r#"{"max_tokens": null}"#, 16),
            (r#"{"max_tokens": 101}"#, 100),
            (r#"{"max_tokens": 99999999999999999999999}"#, 100),
            (r#"{"max_tokens": -1}"#, 100),
            (r#"{"max_tokens": 1.5}"#, 100),
            (r#"{"max_tokens": "1"}"#, 100),
            (r#"{"max_tokens": 1, "max_tokens": 50}"#, 100),
            (r#"{"max_tokens": 1"#, 100),
        ] {
            assert_eq!(rule.before(body.as_bytes()), cost, "{body}");
        }
        assert_eq!(max_tokens(None).before(b"{}"), 100);
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let value = |reserve, cap| {
            Cost::ResponseValue(ResponseValue { pointer: "/usage".into(), reserve, cap })
        };
        for (cost, field) in [
            (value(Reserve::Estimate, 0), "cost.response_value.cap"),
            (value(Reserve::Fixed(0), 5), "cost.response_value.reserve"),
            (value(Reserve::Fixed(6), 5), "cost.response_value.reserve"),
            (
                Cost::RequestValue(RequestValue { pointer: "/a".into(), default: Some(9), cap: 5 }),
                "cost.request_value.default",
            ),
        ] {
            assert_eq!(CostRule::compile(&cost, "cost").unwrap_err().field, field);
        }
    }
}
