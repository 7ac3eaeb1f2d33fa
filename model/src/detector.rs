//! The trained model at work.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::TractErrorContext as _;

use crate::card::Card;
use crate::features::{BUCKETS, Features, TextTooLong, extract};

/// The model that is shipped with this library.
static EMBEDDED_ONNX: &[u8] = include_bytes!("../scam-detector.onnx");
static EMBEDDED_CARD: &[u8] = include_bytes!("../model.json");

/// A model loaded and ready to assess texts. It keeps nothing of a text.
pub struct Detector {
    plan: Arc<TypedRunnableModel>,
    card: Card,
}

/// What the model says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Assessment {
    pub label: Label,
    /// The calibrated probability that the text is a scam, from 0 to 1.
    pub score: f32,
    /// A score from here up is labelled a scam.
    pub threshold: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    Scam,
    Ham,
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
    #[error("model.json: window_margin: expected a number from 0 up, found {0}")]
    WindowMargin(f32),
    #[error("the ONNX graph: {0}")]
    Graph(String),
}

/// Why a text could not be assessed.
#[derive(Debug, thiserror::Error)]
pub enum AssessError {
    #[error(transparent)]
    TooLong(#[from] TextTooLong),
    /// A fault of the model, not of the text.
    #[error("the model failed: {0}")]
    Inference(String),
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
        if !(card.window_margin >= 0.0 && card.window_margin.is_finite()) {
            return Err(LoadError::WindowMargin(card.window_margin));
        }
        let plan = plan(onnx).map_err(|error| LoadError::Graph(format!("{error:#}")))?;
        Ok(Self { plan, card })
    }

    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Assesses a text: as a whole, and where it is long also stretch by stretch; the most
    /// suspicious view counts.
    ///
    /// # Errors
    ///
    /// [`AssessError::TooLong`] for a text over [`crate::MAX_CHARACTERS`].
    pub fn assess(&self, text: &str) -> Result<Assessment, AssessError> {
        let segments = extract(text)?;
        let mut log_odds = self.log_odds(&segments.whole)?;
        for window in &segments.windows {
            log_odds = log_odds.max(self.log_odds(window)? - self.card.window_margin);
        }

        let score = 1.0 / (1.0 + (-log_odds).exp());
        if !score.is_finite() {
            return Err(AssessError::Inference(String::from("its answer is not a number")));
        }
        let threshold = self.card.threshold;
        let label = if score >= threshold { Label::Scam } else { Label::Ham };
        Ok(Assessment { label, score, threshold })
    }

    /// The calibrated log-odds of one segment being a scam.
    fn log_odds(&self, features: &Features) -> Result<f32, AssessError> {
        self.run(features).map_err(|error| AssessError::Inference(format!("{error:#}")))
    }

    fn run(&self, features: &Features) -> TractResult<f32> {
        let ids: Vec<i64> = features.ids.iter().map(|&id| i64::from(id)).collect();
        let ids = Tensor::from_shape(&[ids.len()], &ids)?;
        let values = Tensor::from_shape(&[features.values.len()], &features.values)?;
        let outputs = self.plan.run(tvec!(ids.into(), values.into()))?;
        let output = outputs.first().context("the graph has no output")?;
        output.cast_to_scalar::<f32>()
    }
}

/// The graph's inputs are `ids` (int64\[N\]) and `values` (float\[N\]); its first output the
/// calibrated log-odds.
fn plan(onnx: &[u8]) -> TractResult<Arc<TypedRunnableModel>> {
    let model = tract_onnx::onnx().model_for_read(&mut std::io::Cursor::new(onnx))?;
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
mod tests {
    use tract_onnx::pb::ModelProto;

    use super::*;

    /// The forward pass by hand, from the numbers in the file: what tract computes must be this.
    struct Oracle {
        table: Vec<i8>,
        scale: f32,
        bias: f32,
    }

    impl Oracle {
        fn new() -> Self {
            let mut onnx = tract_onnx::onnx()
                .proto_model_for_read(&mut std::io::Cursor::new(EMBEDDED_ONNX))
                .unwrap();
            let graph = ModelProto::default().graph.or(onnx.graph.take()).unwrap();
            let raw = |name: &str| {
                let tensor = graph.initializer.iter().find(|tensor| tensor.name == name).unwrap();
                tensor.raw_data.clone()
            };
            let float = |name: &str| f32::from_le_bytes(raw(name)[..4].try_into().unwrap());
            let table = raw("table").iter().map(|&byte| byte.cast_signed()).collect();
            Self { table, scale: float("scale"), bias: float("bias") }
        }

        fn log_odds(&self, features: &Features) -> f64 {
            let terms = features.ids.iter().zip(&features.values);
            let sum: f64 = terms
                .map(|(&id, &value)| f64::from(self.table[id as usize]) * f64::from(value))
                .sum();
            sum * f64::from(self.scale) + f64::from(self.bias)
        }
    }

    const TEXTS: [&str; 6] = [
        "",
        "Are we still on for lunch tomorrow?",
        "USPS: your parcel is held, pay the fee of $1.99 at http://usps-redelivery.top/x",
        "Your OTP is 123456. Do not share it with anyone.",
        "Прывітанне, як справы?",
        "URGENT! You have won a £2000 prize. Call 09061701461 to claim. Code KL341. 12 hours only.",
    ];

    #[test]
    fn tract_computes_what_the_file_says() {
        let detector = Detector::embedded().unwrap();
        let oracle = Oracle::new();
        let long = TEXTS.join(" ").repeat(20);
        for text in TEXTS.into_iter().chain([long.as_str()]) {
            let segments = extract(text).unwrap();
            for features in segments.windows.iter().chain([&segments.whole]) {
                let (actual, expected) =
                    (f64::from(detector.log_odds(features).unwrap()), oracle.log_odds(features));
                assert!((actual - expected).abs() < 1e-3, "{text}: {actual} {expected}");
            }
        }
    }

    #[test]
    fn labels_the_obvious() {
        let detector = Detector::embedded().unwrap();
        let labels = TEXTS.map(|text| detector.assess(text).unwrap().label);
        use Label::{Ham, Scam};
        assert_eq!(labels, [Ham, Ham, Scam, Ham, Ham, Scam]);
    }

    #[test]
    fn a_scam_in_disguise_scores_the_same() {
        let detector = Detector::embedded().unwrap();
        let plain = detector.assess("Verify your account now at http://evil.top/login").unwrap();
        let disguised = detector
            .assess("Ｖer\u{200b}ify yоur accоunt n\u{301}ow at http://evil.top/login")
            .unwrap();
        assert_eq!(plain, disguised);
    }

    #[test]
    fn a_scam_in_the_middle_of_harmless_words_is_seen() {
        let mut card: Card = serde_json::from_slice(EMBEDDED_CARD).unwrap();
        card.window_margin = 0.0;
        let detector = Detector::new(EMBEDDED_ONNX, &serde_json::to_vec(&card).unwrap()).unwrap();
        let prose = "The garden is lovely at this time of the year, we walked along the river. ";
        let hidden = format!("{}{} {}", prose.repeat(60), TEXTS[2], prose.repeat(60));
        let whole = detector.log_odds(&extract(&hidden).unwrap().whole).unwrap();
        let seen = detector.assess(&hidden).unwrap();
        assert!(seen.score > 1.0 / (1.0 + (-whole).exp()), "the windows must add something");
        assert_eq!(seen.label, Label::Scam);
        assert_eq!(detector.assess(&prose.repeat(120)).unwrap().label, Label::Ham);
    }

    #[test]
    fn a_card_of_another_model_is_refused() {
        let mut other = EMBEDDED_ONNX.to_vec();
        other.push(0);
        let error = Detector::new(&other, EMBEDDED_CARD).err().unwrap();
        assert!(matches!(error, LoadError::OtherModel { .. }), "{error}");
    }

    #[test]
    fn bad_files_are_errors() {
        assert!(matches!(Detector::new(EMBEDDED_ONNX, b"{").err(), Some(LoadError::Card(_))));

        let damaged = &EMBEDDED_ONNX[..EMBEDDED_ONNX.len() / 2];
        let mut card: Card = serde_json::from_slice(EMBEDDED_CARD).unwrap();
        card.sha256 = hexadecimal(&Sha256::digest(damaged));
        let error = Detector::new(damaged, &serde_json::to_vec(&card).unwrap()).err().unwrap();
        assert!(matches!(error, LoadError::Graph(_)), "{error}");

        let mut card: Card = serde_json::from_slice(EMBEDDED_CARD).unwrap();
        card.threshold = 1.5;
        let error = Detector::new(EMBEDDED_ONNX, &serde_json::to_vec(&card).unwrap()).err();
        assert!(matches!(error, Some(LoadError::Threshold(_))));
    }

    #[test]
    fn the_longest_text_is_assessed_in_bounded_time() {
        let detector = Detector::embedded().unwrap();
        let started = std::time::Instant::now();
        let text = "win a prize now! ".repeat(65_536 / 17);
        detector.assess(&text).unwrap();
        assert!(started.elapsed() < std::time::Duration::from_secs(20));
        assert!(matches!(
            detector.assess(&"x".repeat(70_000)),
            Err(AssessError::TooLong(TextTooLong))
        ));
    }
}
