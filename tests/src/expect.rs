//! What came back against what was expected.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::client::Answer;
use crate::runner::Verdict;
use crate::scenario::{Expect, Seen};

/// Compares everything that `expect` names. `body` is the answer's, as JSON.
pub(crate) fn check(
    expect: &Expect,
    verdict: &Verdict,
    answer: Option<&Answer>,
    body: &Value,
    upstream_asked: bool,
) -> Result<()> {
    let Some(answer) = answer else {
        return same("an answer", &!expect.no_answer, &false);
    };
    if expect.no_answer {
        bail!("expected no answer");
    }
    same("status", &expect.status, &verdict.status)?;
    same("problem", &expect.problem, &verdict.problem)?;
    // What refuses responses comes after the upstream.
    if verdict.stage.is_some_and(|stage| stage != "output") && upstream_asked {
        bail!("the request was refused and reached the upstream all the same");
    }
    for (name, expected) in &expect.headers {
        matches(&format!("header {name}"), expected, answer.header(name))?;
    }
    for name in &expect.absent {
        same(&format!("header {name}"), &None, &answer.header(name))?;
    }
    for (pointer, expected) in &expect.body {
        same(pointer, &Some(expected), &body.pointer(pointer))?;
    }
    let text = String::from_utf8_lossy(&answer.body);
    if let Some(expected) = &expect.text {
        same("the body", &expected.as_str(), &text.as_ref())?;
    }
    if let Some(found) = expect.lacks.iter().find(|lacking| text.contains(lacking.as_str())) {
        bail!("the body: expected no {found:?}");
    }
    match &expect.upstream {
        Some(seen) if upstream_asked => seen.check(body),
        Some(_) => bail!("the request did not reach the upstream"),
        None => Ok(()),
    }
}

impl Seen {
    fn check(&self, body: &Value) -> Result<()> {
        let text = |name: &str| body[name].as_str();
        if let Some(method) = &self.method {
            same("the upstream's method", &Some(method.as_str()), &text("method"))?;
        }
        if let Some(path) = &self.path {
            same("the upstream's path", &Some(path.as_str()), &text("path"))?;
        }
        if let Some(expected) = &self.body {
            same("the upstream's body", &Some(expected.as_str()), &text("body"))?;
        }
        if let Some(expected) = self.body_bytes {
            same("the upstream's body", &Value::from(expected), &body["body_bytes"])?;
        }
        for (kind, present, absent) in [
            ("headers", &self.headers, &self.absent),
            ("trailers", &self.trailers, &self.absent_trailers),
        ] {
            for (name, expected) in present {
                let found = all(&body[kind], name);
                let [value] = found.as_slice() else {
                    bail!("the upstream's {kind}: expected {name} once, found {found:?}");
                };
                matches(&format!("the upstream's {kind}: {name}"), expected, Some(value))?;
            }
            for name in absent {
                let found = all(&body[kind], name);
                same(&format!("the upstream's {kind}: {name}"), &Vec::new(), &found)?;
            }
        }
        self.check_principal(body)
    }

    fn check_principal(&self, body: &Value) -> Result<()> {
        let principal = body.get("principal");
        if self.no_assertion {
            return same("the principal", &None, &principal);
        }
        let Some(principal) = principal else {
            bail!("the upstream got no good assertion: {}", body["assertion_error"]);
        };
        for (name, expected) in &self.principal {
            same(&format!("the principal's {name}"), expected, &principal[name])?;
        }
        Ok(())
    }
}

/// The values of all fields of this name in a list of pairs.
fn all<'a>(fields: &'a Value, name: &str) -> Vec<&'a str> {
    let fields = fields.as_array().map(Vec::as_slice).unwrap_or_default();
    fields.iter().filter(|field| field[0] == name).filter_map(|field| field[1].as_str()).collect()
}

fn matches(what: &str, expected: &str, found: Option<&str>) -> Result<()> {
    let fits = |found: &str| match expected.strip_suffix('*') {
        Some(beginning) => found.starts_with(beginning),
        None => found == expected,
    };
    if !found.is_some_and(fits) {
        bail!("{what}: expected {expected:?}, found {found:?}");
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<()> {
    if expected != found {
        bail!("{what}: expected {expected:?}, found {found:?}");
    }
    Ok(())
}
