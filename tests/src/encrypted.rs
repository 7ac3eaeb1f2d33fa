//! Bodies that are encrypted (RFC 7516), rightly and wrongly.

use anyhow::{Context as _, Result, bail};
use portcullis_function::jwe::{Answer, Caller};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A JWE; what is not said is as in a good one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The content as JSON.
    #[serde(default)]
    json: Value,
    /// Or as it stands.
    text: Option<String>,
    /// Parameters of the protected header in place of the good ones; null removes one.
    #[serde(default)]
    header: Map<String, Value>,
    /// To whom it is encrypted.
    #[serde(default)]
    to: Recipient,
    /// The part that is changed on the way.
    changed: Option<Part>,
}

/// To whom a message is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Recipient {
    /// The function's key.
    #[default]
    Function,
    /// Somebody else's.
    Stranger,
    /// Somebody else's, under the name of the function's.
    StrangerAsFunction,
}

/// The parts of a message in compact serialisation, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Header,
    Key,
    Iv,
    Content,
    Tag,
}

/// Whoever sends them.
pub(crate) struct Sender(Caller);

impl Sender {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Caller::new()?))
    }

    /// The message as it is sent, for whose key this is.
    pub(crate) fn write(&self, message: &Message, key: &Value) -> Result<Vec<u8>> {
        let content = match &message.text {
            Some(text) => text.clone(),
            None => message.json.to_string(),
        };
        let mut to = key.clone();
        if message.to != Recipient::Function {
            to = Caller::new()?.public_jwk();
        }
        if message.to == Recipient::StrangerAsFunction {
            to["kid"] = key["kid"].clone();
        }
        let header = Value::Object(message.header.clone());
        let written = self.0.encrypt(&to, content.as_bytes(), "application/json", &header)?;
        Ok(message.changed.map_or(written.clone(), |part| change(&written, part)).into_bytes())
    }

    /// What was answered.
    pub(crate) fn read(&self, body: &[u8]) -> Result<Answer> {
        if body.iter().filter(|byte| **byte == b'.').count() != 4 {
            bail!("expected an encrypted answer, got {}", String::from_utf8_lossy(body));
        }
        self.0.decrypt(body).context("the answer")
    }
}

/// Another first character in a part: the last one may hold bits that say nothing.
fn change(message: &str, changed: Part) -> String {
    let parts = message.split('.').enumerate().map(|(place, part)| {
        let rest = part.get(1..).unwrap_or_default();
        match (place == changed as usize, part.starts_with('A')) {
            (false, _) => part.to_owned(),
            (true, true) => format!("B{rest}"),
            (true, false) => format!("A{rest}"),
        }
    });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_is_changed() {
        assert_eq!(change("Aa.b.c.d.e", Part::Header), "Ba.b.c.d.e");
        assert_eq!(change("a.b.c.d.ex", Part::Tag), "a.b.c.d.Ax");
    }

    #[test]
    fn a_good_message_is_for_its_recipient_alone() {
        let (sender, function) = (Sender::new().unwrap(), Caller::new().unwrap());
        let read = |text: &str| {
            let message: Message = serde_saphyr::from_str(text).unwrap();
            let written = sender.write(&message, &function.public_jwk()).unwrap();
            function.decrypt(&written).ok().map(|answer| answer.content.to_vec())
        };
        assert_eq!(read("json: { text: a }").unwrap(), b"{\"text\":\"a\"}");
        assert_eq!(read("text: '{'").unwrap(), b"{");
        for wrong in ["to: stranger", "to: stranger_as_function", "changed: tag", "changed: header"]
        {
            assert_eq!(read(&format!("{{ json: 1, {wrong} }}")), None, "{wrong}");
        }
    }
}
