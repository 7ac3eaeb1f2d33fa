//! The trained model at work.

use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::TractErrorContext as _;

use crate::assessment::{Adversarial, AssessError, Assessment, Label};
use crate::card::Card;
use crate::explain::{Span, spans};
use crate::features::{Features, Spellings, View, Views, extract};
use crate::hash::BUCKETS;
use crate::lexicon::LEXICON;

/// The model that is shipped with this library.
static EMBEDDED_ONNX: &[u8] = include_bytes!("../scam-detector.onnx");
static EMBEDDED_CARD: &[u8] = include_bytes!("../model.json");

/// A model loaded and ready to assess texts. It keeps nothing of a text.
pub struct Detector {
    plan: Arc<TypedRunnableModel>,
    card: Card,
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("model.json: {0}")]
    Card(#[from] serde_json::Error),
    #[error("model.json: sha256: expected that of the .onnx file, {actual}, found {stated}")]
    OtherModel { stated: String, actual: String },
    #[error("model.json: buckets: expected {BUCKETS}, found {0}")]
    OtherFeatures(usize),
    #[error("model.json: threshold: expected a number between 0 and 1, found {0}")]
    Threshold(f32),
    #[error("model.json: {name}: expected a number from 0 up, found {found}")]
    Margin { name: &'static str, found: f32 },
    #[error("the ONNX graph: {0}")]
    Graph(String),
}

impl Detector {
    /// The model that is shipped with this library.
    ///
    /// # Errors
    ///
    /// None in practice: a test loads it. The signature leaves no room for a panic.
    pub fn embedded() -> Result<Self, LoadError> {
        Self::new(EMBEDDED_ONNX, EMBEDDED_CARD)
    }

    /// Loads a model from the bytes of its `.onnx` file and of its `model.json`.
    ///
    /// It reads nothing else and prints nothing, so that an instance may be snapshotted behind it.
    ///
    /// # Errors
    ///
    /// See [`LoadError`]. A card that belongs to another model is refused.
    pub fn new(onnx: &[u8], card: &[u8]) -> Result<Self, LoadError> {
        let card: Card = serde_json::from_slice(card)?;
        let actual = hexadecimal(&Sha256::digest(onnx));
        if card.sha256 != actual {
            return Err(LoadError::OtherModel { stated: card.sha256, actual });
        }
        if card.buckets != BUCKETS {
            return Err(LoadError::OtherFeatures(card.buckets));
        }
        if !(card.threshold > 0.0 && card.threshold < 1.0) {
            return Err(LoadError::Threshold(card.threshold));
        }
        for (name, found) in [
            ("margins.written", card.margins.written),
            ("margins.respelled", card.margins.respelled),
            ("margins.window", card.margins.window),
            ("disagreement", card.disagreement),
        ] {
            if !(found >= 0.0 && found.is_finite()) {
                return Err(LoadError::Margin { name, found });
            }
        }
        let plan = plan(onnx).map_err(|error| LoadError::Graph(format!("{error:#}")))?;
        // So that it is part of a snapshot, and no first request pays for it.
        LazyLock::force(&LEXICON);
        Ok(Self { plan, card })
    }

    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Assesses a text in all its views; the most suspicious one counts.
    ///
    /// # Errors
    ///
    /// [`AssessError::TooLong`] for a text over [`crate::MAX_CHARACTERS`].
    pub fn assess(&self, text: &str) -> Result<Assessment, AssessError> {
        self.judge(&extract(text)?).map(|judgement| judgement.assessment)
    }

    /// Assesses a text and says which parts of it weighed most in the view that counted, the
    /// heaviest first.
    ///
    /// # Errors
    ///
    /// As [`Detector::assess`].
    pub fn explain(&self, text: &str) -> Result<(Assessment, Vec<Span>), AssessError> {
        let views = extract(text)?;
        let judgement = self.judge(&views)?;
        let Some((view, features)) = views.all.get(judgement.decisive) else {
            return Ok((judgement.assessment, Vec::new()));
        };
        let answer = self.answer(features)?;
        let spellings = Spellings::of(text)?;
        let (spelling, findings) = spellings.findings(judgement.decisive, *view);
        let spans = spans(spelling, &findings, &features.ids, &answer.terms);
        Ok((judgement.assessment, spans))
    }

    fn judge(&self, views: &Views) -> Result<Judgement, AssessError> {
        let margins = &self.card.margins;
        let threshold = self.card.threshold;
        let mut seen = Seen::default();
        let mut best = (f32::NEG_INFINITY, 0);
        for (index, (view, features)) in views.all.iter().enumerate() {
            let log_odds = self.answer(features)?.log_odds;
            if !log_odds.is_finite() {
                return Err(AssessError::Inference(String::from("its answer is not a number")));
            }
            let counted = match view {
                View::Normalised => log_odds,
                View::Written => log_odds - margins.written,
                View::Respelled => log_odds - margins.respelled,
                View::Window => log_odds - margins.window,
            };
            // The best of many stretches of a genuine text says little of it: a stretch is only heard
            // where it finds a scam.
            if *view == View::Window && counted < logit(threshold) {
                continue;
            }
            let place = match view {
                View::Normalised => &mut seen.normalised,
                View::Written => &mut seen.written,
                View::Respelled => &mut seen.respelled,
                View::Window => &mut seen.window,
            };
            *place = Some(place.map_or(counted, |before| before.max(counted)));
            if counted > best.0 {
                best = (counted, index);
            }
        }

        let (log_odds, decisive) = best;
        let probability = 1.0 / (1.0 + (-log_odds).exp());
        let label = if probability >= threshold { Label::Scam } else { Label::Ham };
        let adversarial = (label == Label::Scam)
            .then(|| seen.disguise(views, self.card.disagreement, logit(threshold)))
            .flatten();
        let assessment = Assessment { label, probability, threshold, adversarial };
        Ok(Judgement { assessment, decisive })
    }

    fn answer(&self, features: &Features) -> Result<Answer, AssessError> {
        self.run(features).map_err(|error| AssessError::Inference(format!("{error:#}")))
    }

    fn run(&self, features: &Features) -> TractResult<Answer> {
        let ids: Vec<i64> = features.ids.iter().map(|&id| i64::from(id)).collect();
        let ids = Tensor::from_shape(&[ids.len()], &ids)?;
        let values = Tensor::from_shape(&[features.values.len()], &features.values)?;
        let outputs = self.plan.run(tvec!(ids.into(), values.into()))?;
        let log_odds = outputs.first().context("the graph has no output")?;
        let terms = outputs.get(1).context("the graph has no second output")?.clone();
        Ok(Answer { log_odds: log_odds.cast_to_scalar::<f32>()?, terms: terms.into_tensor() })
    }
}

/// What the graph says of one view.
struct Answer {
    /// Calibrated.
    log_odds: f32,
    /// What each feature adds to them.
    terms: Tensor,
}

struct Judgement {
    assessment: Assessment,
    /// The place in [`Views::all`] of the view that counted.
    decisive: usize,
}

/// The log-odds that each kind of view counts with.
#[derive(Default)]
struct Seen {
    normalised: Option<f32>,
    written: Option<f32>,
    respelled: Option<f32>,
    window: Option<f32>,
}

impl Seen {
    /// How a text that is a scam in some view hides it from the plainer ones, if it does.
    fn disguise(&self, views: &Views, bound: f32, threshold: f32) -> Option<Adversarial> {
        let normalised = self.normalised?;
        let whole = [self.written, self.respelled].into_iter().flatten().fold(normalised, f32::max);
        let mut found: Option<(f32, Adversarial)> = None;
        let mut offer = |gap: f32, kind| {
            if gap >= bound && found.is_none_or(|(before, _)| gap > before) {
                found = Some((gap, kind));
            }
        };
        if let Some(written) = self.written {
            let kind = if views.invisible >= views.look_alikes {
                Adversarial::InvisibleCharacters
            } else {
                Adversarial::LookAlikes
            };
            offer(whole - written, kind);
        }
        if let Some(respelled) = self.respelled {
            offer(respelled - normalised, Adversarial::ObfuscatedSpelling);
        }
        // Any long text has stretches that say more than the whole: it must also need them.
        if let Some(window) = self.window.filter(|_| whole < threshold) {
            offer(window - whole, Adversarial::BuriedInText);
        }
        found.map(|(_, kind)| kind)
    }
}

fn logit(probability: f32) -> f32 {
    (probability / (1.0 - probability)).ln()
}

/// The graph's inputs are `ids` (int64\[N\]) and `values` (float\[N\]); its first output are the
/// calibrated log-odds, its second (float\[N\]) what each feature adds to them.
fn plan(onnx: &[u8]) -> TractResult<Arc<TypedRunnableModel>> {
    let model = crate::operators::onnx().model_for_read(&mut std::io::Cursor::new(onnx))?;
    let length = model.symbols.sym("N").to_dim();
    model
        .with_input_fact(
            0,
            InferenceFact::dt_shape(i64::datum_type(), std::slice::from_ref(&length)),
        )?
        .with_input_fact(1, InferenceFact::dt_shape(f32::datum_type(), &[length]))?
        .into_optimized()?
        .into_runnable()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "detector_tests.rs"]
mod tests;
