//! The parameters of an operation: in the path, the query, the header section and cookies.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::faults::Faults;
use super::node::Node;
use super::parameter::{Parameter, Place, Spelling, Texts};
use super::schemas::{Schemas, SchemasBuilder};
use crate::access::Header;
use crate::form::decode;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

/// How many parameters an operation may have.
const MAXIMUM_PARAMETERS: usize = 100;

/// How many findings are told of at once.
const MAXIMUM_FINDINGS: usize = 8;

/// How much of a name that nobody knows is told, in characters.
const MAXIMUM_NAME_CHARS: usize = 64;

#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Those of `node`, which is an operation or a path; of the latter's, `base`, those hold that it does not have itself.
    pub(super) fn compile(
        node: &Node<'_>,
        base: &Self,
        schemas: &mut SchemasBuilder,
        faults: &mut Faults,
    ) -> Result<Self, CompileError> {
        let mut own: Vec<Parameter> = Vec::new();
        for node in node.items("parameters")? {
            let parameter = faults.take(Parameter::compile(&node, schemas)).flatten();
            let Some(parameter) = parameter else { continue };
            if own.iter().any(|other| other.is(parameter.place, &parameter.name)) {
                faults.add(node.error("expected each parameter once"));
                continue;
            }
            own.push(parameter);
        }
        let others = base.0.iter();
        let others = others.filter(|other| !own.iter().any(|it| it.is(other.place, &other.name)));
        let others: Vec<Parameter> = others.cloned().collect();
        own.extend(others);
        if own.len() > MAXIMUM_PARAMETERS {
            let message = format!("expected at most {MAXIMUM_PARAMETERS} parameters");
            return Err(node.error(&message));
        }
        let all = Self(own);
        if let Some(name) = all.ambiguous() {
            let message = format!(
                "expected the query's {name} to be of one parameter; an object's members have the names \
                 of others: style deepObject would tell them apart"
            );
            faults.add(node.error_at("parameters", &message));
        }
        Ok(all)
    }

    /// A name in a query that two parameters could have.
    fn ambiguous(&self) -> Option<&str> {
        let is_other = |index: usize, name: &str| {
            let mut others = self.0.iter().enumerate().filter(|(other, _)| *other != index);
            others.any(|(_, other)| other.spelling(name).is_some())
        };
        let queries = self.0.iter().enumerate().filter(|(_, it)| it.place == Place::Query);
        let mut names = queries.flat_map(|(index, parameter)| {
            // One that is described as `name[]` is that one.
            let name = Some(parameter.name.as_str()).filter(|name| !name.ends_with("[]"));
            name.into_iter().chain(parameter.own_names()).map(move |name| (index, name))
        });
        names.find(|(index, name)| is_other(*index, name)).map(|(_, name)| name)
    }

    /// Which parameter a name in a query is of.
    fn spelled<'n>(&self, name: &'n str) -> Option<(usize, Spelling<'n>)> {
        let exact = self.0.iter().position(|parameter| parameter.is(Place::Query, name));
        let exact = exact.map(|index| (index, Spelling::Named));
        let find = || {
            let mut all = self.0.iter().enumerate();
            all.find_map(|(index, parameter)| Some((index, parameter.spelling(name)?)))
        };
        exact.or_else(find)
    }

    pub(super) fn has_path(&self, name: &str) -> bool {
        self.0.iter().any(|parameter| parameter.is(Place::Path, name))
    }

    /// Checks a request. `is_extra` says which parameters of a query are known beside those that are described.
    pub(super) fn check(
        &self,
        schemas: &Schemas,
        sent: &Sent<'_>,
        is_extra: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let mut values = self.values(sent, is_extra)?;
        let mut invalid = Invalid::default();
        for (index, parameter) in self.0.iter().enumerate() {
            match values.remove(&index) {
                Some(texts) => parameter.check(&texts, schemas, &mut invalid),
                None if parameter.is_required => invalid.add(parameter.at(), "this parameter"),
                None => {}
            }
        }
        invalid.0.map_or(Ok(()), Err)
    }

    /// The values of each parameter that is there, decoded.
    fn values(
        &self,
        sent: &Sent<'_>,
        is_extra: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<usize, Texts>, Refusal> {
        let mut values: BTreeMap<usize, Texts> = BTreeMap::new();
        let find = |place, name: &str| self.0.iter().position(|it| it.is(place, name));
        for (name, value) in sent.path {
            // Some servers end the segment at a semicolon, and read another path than this.
            let decoded = percent_decode_str(value).decode_utf8().ok();
            let decoded = decoded.filter(|_| !value.contains(';'));
            let Some(decoded) = decoded else {
                return Err(invalid(format!("path/{name}"), "UTF-8, percent-encoded, no bare `;`"));
            };
            if let Some(index) = find(Place::Path, name) {
                values.entry(index).or_default().named.push(decoded.into_owned());
            }
        }
        let mut unknown: Option<Refusal> = None;
        let mut told = 0_usize;
        for (name, value) in sent.query {
            match self.spelled(name) {
                Some((index, spelling)) => {
                    values.entry(index).or_default().add(spelling, name, value.clone());
                }
                None if is_extra(name) => {}
                None if told < MAXIMUM_FINDINGS => {
                    let name: String = name.chars().take(MAXIMUM_NAME_CHARS).collect();
                    let refusal = unknown.take().unwrap_or_else(|| {
                        let detail = "Send only query parameters that are described here.";
                        Refusal::new(Reason::ParameterUnknown, detail)
                    });
                    told = told.saturating_add(1);
                    unknown = Some(refusal.finding(format!("query/{name}"), "no such parameter"));
                }
                None => {}
            }
        }
        if let Some(refusal) = unknown {
            return Err(refusal);
        }
        for (name, value) in sent.headers {
            let place = if *name == "cookie" { Place::Cookie } else { Place::Header };
            if !self
                .0
                .iter()
                .any(|it| it.place == place && (place == Place::Cookie || it.name == *name))
            {
                continue;
            }
            let Ok(text) = std::str::from_utf8(value) else {
                return Err(invalid((*name).to_owned(), "UTF-8"));
            };
            if place == Place::Header {
                if let Some(index) = find(place, name) {
                    values.entry(index).or_default().named.push(text.trim().to_owned());
                }
                continue;
            }
            for cookie in text.split(';') {
                let Some((name, value)) = cookie.trim().split_once('=') else { continue };
                if let Some(index) = find(place, name.trim_end()) {
                    values.entry(index).or_default().named.push(value.trim_start().to_owned());
                }
            }
        }
        Ok(values)
    }
}

/// What of a request has parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) path: &'a [(&'a str, &'a str)],
    /// Decoded.
    pub(super) query: &'a [(String, String)],
    pub(super) headers: &'a [Header<'a>],
}

/// A refusal with all that is wrong.
#[derive(Debug, Default)]
pub(super) struct Invalid(Option<Refusal>);

impl Invalid {
    pub(super) fn add(&mut self, at: String, expected: impl Into<String>) {
        match &mut self.0 {
            Some(refusal) if refusal.findings.len() >= MAXIMUM_FINDINGS => {}
            known => {
                *known = Some(match known.take() {
                    Some(refusal) => refusal.finding(at, expected),
                    None => invalid(at, expected),
                });
            }
        }
    }
}

pub(super) fn invalid(at: String, expected: impl Into<String>) -> Refusal {
    Refusal::new(Reason::ParameterInvalid, "Send parameters as they are described here.")
        .finding(at, expected)
}

/// The names and values of a query, read strictly: what two parsers could read differently is refused.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut pairs = Vec::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let read = |text: &str| decode(text.as_bytes()).map(|text| text.as_str().to_owned());
        // Some servers separate at semicolons too.
        let pair = if piece.contains(';') { None } else { read(name).zip(read(value)) };
        let expected = "UTF-8, percent-encoded, no bare `;`";
        pairs.push(pair.ok_or_else(|| invalid("query".to_owned(), expected))?);
    }
    Ok(pairs)
}
