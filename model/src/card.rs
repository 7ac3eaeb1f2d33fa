//! What is stated of a model: `model.json`.

use serde::{Deserialize, Serialize};

/// The facts of a trained model, written by the training tools beside the `.onnx` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    pub name: String,
    pub version: String,
    /// Of the `.onnx` file, in hexadecimal.
    pub sha256: String,
    /// A score from here up is a scam.
    pub threshold: f32,
    /// What other views than the normalised one must have more.
    pub margins: Margins,
    /// How much more, in log-odds, a view must say than the one that an attacker meant to be seen,
    /// for the text to be called adversarial.
    pub disagreement: f32,
    /// Size of the feature space that the model was trained on.
    pub buckets: usize,
    pub licence: String,
    pub intended_use: String,
    pub out_of_scope: String,
    pub languages: String,
    pub limits: Vec<String>,
    /// What it was trained on: rows by source.
    pub training: serde_json::Value,
    /// How the score was made a probability.
    pub calibration: serde_json::Value,
    /// Measured quality, by slice of the test data.
    pub metrics: serde_json::Value,
}

/// What a view must have more, in log-odds, to count as much as the normalised text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margins {
    pub written: f32,
    pub respelled: f32,
    pub window: f32,
}
