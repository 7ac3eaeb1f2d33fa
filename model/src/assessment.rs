//! What the model says of a text.

use serde::Serialize;

use crate::features::TextTooLong;

/// What the model says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Assessment {
    pub label: Label,
    /// The calibrated probability that the text is a scam, from 0 to 1.
    pub probability: f32,
    /// A probability from here up is labelled a scam.
    pub threshold: f32,
    /// How the text hides what it says, if it does: the model saw the scam only by looking at the
    /// text in another way than it is written.
    pub adversarial: Option<Adversarial>,
}

impl Assessment {
    /// The probability rounded to a number of decimals, so that it tells those who search for a wording that passes, or copy
    /// the model, less. The label stays that of the exact one.
    pub fn rounded(&self, decimals: u8) -> f64 {
        let scale = 10_f64.powi(i32::from(decimals.min(7)));
        (f64::from(self.probability) * scale).round() / scale
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    Scam,
    Ham,
}

/// How a text hides what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adversarial {
    /// Characters that no reader sees stand among the letters.
    InvisibleCharacters,
    /// Characters stand in for the letters that they look like.
    LookAlikes,
    /// "v e r i f y", "v.e.r.i.f.y", "v3r1fy", "verifyyouraccount".
    ObfuscatedSpelling,
    /// The scam is a stretch of an otherwise harmless text.
    BuriedInText,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_rounded() {
        let exact = Assessment {
            label: Label::Scam,
            probability: 0.123_456,
            threshold: 0.12,
            adversarial: None,
        };
        assert_eq!(exact.rounded(2).to_string(), "0.12");
        assert_eq!(exact.rounded(0).to_string(), "0");
        assert!((exact.rounded(255) - f64::from(exact.probability)).abs() < 1e-6);
    }

    #[test]
    fn it_is_written_in_kebab_case() {
        let assessment = Assessment {
            label: Label::Scam,
            probability: 0.75,
            threshold: 0.5,
            adversarial: Some(Adversarial::BuriedInText),
        };
        assert_eq!(
            serde_json::to_value(assessment).unwrap(),
            serde_json::json!({
                "label": "scam", "probability": 0.75, "threshold": 0.5,
                "adversarial": "buried-in-text",
            })
        );
    }
}
