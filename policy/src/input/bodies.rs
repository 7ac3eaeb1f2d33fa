//! Bodies of each kind, all strings of which are looked at; and what must be as a schema says is that which goes on.

use serde_json::Value;

use super::json::{self, Text};
use super::openapi::{Content, OpenApi, SentField};
use super::strings::Strings;
use super::{InputRules, JsonError, Step};
use crate::form::Form;
use crate::problem::{Reason, Refusal};

impl InputRules {
    pub(super) fn check_json(
        &self,
        body: &[u8],
        described: Option<(&OpenApi, &Content)>,
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        // A schema needs the value; everything else does without, which is much of the time.
        let described = described.filter(|(_, content)| content.has_schema());
        let value = match self.schema.is_some() || described.is_some() {
            true => Some(self.parse(body)?),
            false => json::check(body, self.json).map(|()| None).map_err(refused_json)?,
        };
        let rewritten = strings.check_json(body)?;
        if let Some(value) = value {
            // What goes on is what must be of the form that the route takes.
            let value = rewritten.as_deref().map_or(Ok(value), |body| self.parse(body))?;
            self.schema.as_ref().map_or(Ok(()), |schema| schema.check(&value))?;
            described.map_or(Ok(()), |(openapi, content)| openapi.check_value(content, value))?;
        }
        Ok(rewritten)
    }

    fn parse(&self, body: &[u8]) -> Result<Value, Refusal> {
        json::parse_placed(body, self.json).map_err(refused_json)
    }

    /// Names and values must be what text may be, as if they stood in a JSON object.
    pub(super) fn check_form(
        &self,
        body: &[u8],
        described: Option<(&OpenApi, &Content)>,
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let form = self.parse_form(body, described)?;
        let mut rewritten = form_urlencoded::Serializer::new(String::new());
        let mut is_rewritten = false;
        for (name, value) in form.iter() {
            strings.check(Text { path: &[], container: 0, is_name: true, text: name })?;
            let path = [Step::Member(name.into())];
            let value_text = Text { path: &path, container: 0, is_name: false, text: value };
            let answer = strings.check(value_text)?;
            is_rewritten |= answer.is_some();
            rewritten.append_pair(name, answer.as_deref().unwrap_or(value));
        }
        let rewritten = is_rewritten.then(|| rewritten.finish().into_bytes());
        if let Some((openapi, content)) = described {
            let again = |body| self.parse_form(body, described);
            let goes_on = rewritten.as_deref().map(again).transpose()?;
            let form = goes_on.as_ref().unwrap_or(&form);
            let fields: Vec<_> =
                form.iter().map(|(name, text)| (name, SentField::Text(text))).collect();
            openapi.check_fields(content, &fields)?;
        }
        Ok(rewritten)
    }

    fn parse_form(
        &self,
        body: &[u8],
        described: Option<(&OpenApi, &Content)>,
    ) -> Result<Form, Refusal> {
        let is_list = |name: &str| described.is_some_and(|(_, content)| content.is_list(name));
        Form::parse_lists(body, self.json.max_values as usize, is_list).map_err(|error| {
            Refusal::new(Reason::FormInvalid, format!("Expected {error}."))
                .finding("", error.to_string())
        })
    }

    pub(super) fn check_text(
        &self,
        body: &[u8],
        described: Option<(&OpenApi, &Content)>,
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let detail = format!("Expected UTF-8 at byte {}.", error.valid_up_to());
            Refusal::new(Reason::TextInvalid, detail)
        })?;
        let rewritten = strings.check(Text { path: &[], container: 0, is_name: false, text })?;
        if let Some((openapi, content)) = described {
            openapi.check_value(content, rewritten.as_deref().unwrap_or(text).into())?;
        }
        Ok(rewritten.map(String::into_bytes))
    }
}

pub(super) fn refused_json(misread: json::Misread) -> Refusal {
    let error = &misread.error;
    let reason = match error {
        JsonError::TooDeep | JsonError::TooManyValues => Reason::JsonTooComplex,
        JsonError::Syntax { .. } | JsonError::DuplicateMember => Reason::JsonInvalid,
    };
    Refusal::new(reason, format!("Expected {error}.")).finding(misread.at(), error.to_string())
}
