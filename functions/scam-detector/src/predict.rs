//! `POST /v1/predict`: one text or several, and what the model says of them.

use std::collections::BTreeSet;

use portcullis_function::tenants::Pattern;
use portcullis_function::{Problem, Reply, Request};
use portcullis_model::{Adversarial, AssessError, Assessment, Card, Detector, Label, Span};
use serde::{Deserialize, Serialize};

use crate::service::FAILED;

/// The most texts of one request.
pub(crate) const MAXIMUM_TEXTS: usize = 64;

/// Told to the gate, which records it and keeps it from the caller: in which ways texts were written to deceive, and what
/// the caller's questions look like.
const SIGNALS_FIELD: &str = "portcullis-signals";

/// How many decimals of a probability callers get.
///
/// Whoever copies a model learns from its answers, and from precise ones faster (Tramèr et al. 2016, §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimals(u8);

impl Decimals {
    const MAXIMUM: u8 = 6;
    pub(crate) const DEFAULT: Self = Self(2);

    /// Reads the variable. `None` for what is no number from 0 to 6.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let decimals = value.parse().ok()?;
        (decimals <= Self::MAXIMUM).then_some(Self(decimals))
    }

    /// A probability as callers get it, in whatever answer.
    pub(crate) fn of(self, probability: f32) -> f64 {
        let scale = 10_f64.powi(self.0.into());
        (f64::from(probability) * scale).round() / scale
    }

    /// What a span weighs, in log-odds, as callers get it: no more precise than one decimal, or it would tell what the
    /// probability does not.
    fn of_weight(self, weight: f32) -> f32 {
        let scale = 10_f32.powi(self.0.min(1).into());
        (weight * scale).round() / scale
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    text: Option<String>,
    texts: Option<Vec<String>>,
    #[serde(default)]
    explain: bool,
}

#[derive(Serialize)]
struct One<'a> {
    #[serde(flatten)]
    result: &'a Verdict,
    model: ModelName<'a>,
}

#[derive(Serialize)]
struct Several<'a> {
    results: &'a [Verdict],
    model: ModelName<'a>,
}

/// What is said of one text.
#[derive(Serialize)]
struct Verdict {
    label: Label,
    probability: f64,
    threshold: f32,
    adversarial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    adversarial_kind: Option<Adversarial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spans: Option<Vec<Span>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

#[derive(Serialize)]
struct ModelName<'a> {
    name: &'a str,
    version: &'a str,
    sha256: &'a str,
}

/// One text, and what the model says of it.
pub(crate) struct Assessed {
    pub(crate) text: String,
    pub(crate) assessment: Assessment,
    spans: Option<Vec<Span>>,
    /// Under which the result is to be had later, where it is kept.
    pub(crate) id: Option<String>,
}

/// Reads the question and has the model answer it.
pub(crate) fn assess(
    request: &Request<'_>,
    body: &[u8],
    detector: &Detector,
) -> Result<Predicted, Problem> {
    if !request.is_of_type("application/json") {
        return Err(UNSUPPORTED_MEDIA_TYPE);
    }
    let question: Question = serde_json::from_slice(body).map_err(|error| {
        use serde_json::error::Category;
        match error.classify() {
            Category::Data => WRONG_SHAPE,
            Category::Io | Category::Syntax | Category::Eof => NOT_JSON,
        }
    })?;
    // A derived reader also takes the members of an object as a list.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(WRONG_SHAPE);
    }
    let (texts, alone) = match (question.text, question.texts) {
        (Some(text), None) => (vec![text], true),
        (None, Some(texts)) if (1..=MAXIMUM_TEXTS).contains(&texts.len()) => (texts, false),
        _ => return Err(WRONG_SHAPE),
    };
    let assess = |text: String| {
        let (assessment, spans) = if question.explain {
            let (assessment, spans) = detector.explain(&text).map_err(problem)?;
            (assessment, Some(spans))
        } else {
            (detector.assess(&text).map_err(problem)?, None)
        };
        Ok(Assessed { text, assessment, spans, id: None })
    };
    let assessed = texts.into_iter().map(assess).collect::<Result<_, Problem>>()?;
    Ok(Predicted { assessed, alone })
}

/// The answer to a question.
pub(crate) struct Predicted {
    pub(crate) assessed: Vec<Assessed>,
    /// Whether it was one text, and no list of one.
    alone: bool,
}

impl Predicted {
    pub(crate) fn reply(
        self,
        card: &Card,
        decimals: Decimals,
        pattern: Option<Pattern>,
    ) -> Result<Reply, Problem> {
        let model = ModelName { name: &card.name, version: &card.version, sha256: &card.sha256 };
        let signals: BTreeSet<&'static str> = self
            .assessed
            .iter()
            .filter_map(|assessed| assessed.assessment.adversarial.map(signal))
            .chain(pattern.map(Pattern::as_str))
            .collect();
        let verdicts: Vec<Verdict> = self
            .assessed
            .into_iter()
            .map(|Assessed { assessment, spans, id, .. }| Verdict {
                label: assessment.label,
                probability: decimals.of(assessment.probability),
                threshold: assessment.threshold,
                adversarial: assessment.adversarial.is_some(),
                adversarial_kind: assessment.adversarial,
                spans: spans.map(|spans| {
                    let rounded =
                        |span: Span| Span { weight: decimals.of_weight(span.weight), ..span };
                    spans.into_iter().map(rounded).collect()
                }),
                id,
            })
            .collect();
        let mut reply = match (self.alone, verdicts.as_slice()) {
            (true, [result]) => Reply::json(&One { result, model })?,
            _ => Reply::json(&Several { results: &verdicts, model })?,
        };
        reply.headers.extend(signals.into_iter().map(|signal| (SIGNALS_FIELD, signal)));
        Ok(reply)
    }
}

/// The signal of a kind, as the answer spells it.
pub(crate) fn signal(kind: Adversarial) -> &'static str {
    match kind {
        Adversarial::InvisibleCharacters => "invisible-characters",
        Adversarial::LookAlikes => "look-alikes",
        Adversarial::ObfuscatedSpelling => "obfuscated-spelling",
        Adversarial::BuriedInText => "buried-in-text",
    }
}

fn problem(error: AssessError) -> Problem {
    match error {
        AssessError::TooLong(_) => TEXT_TOO_LONG,
        AssessError::Inference(reason) => {
            portcullis_function::log!("scam-detector: {reason}");
            FAILED
        }
    }
}

const UNSUPPORTED_MEDIA_TYPE: Problem = Problem::new(
    415,
    "unsupported-media-type",
    "Unsupported media type",
    "Send one Content-Type field: application/json.",
)
.with_header("accept", "application/json");
const NOT_JSON: Problem =
    Problem::new(400, "body-not-json", "Not JSON", "Send a JSON document in UTF-8.");
const WRONG_SHAPE: Problem = Problem::new(
    422,
    "body-schema",
    "Not the expected JSON",
    "Send an object with \"text\", a string, or \"texts\", an array of 1 to 64 strings; and \"explain\", true or false, \
     if you like.",
);
const TEXT_TOO_LONG: Problem = Problem::new(
    422,
    "text-too-long",
    "Text too long",
    "A text has more than 65536 characters once its compatibility forms are written out.",
);
