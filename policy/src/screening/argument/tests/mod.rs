//! Attacks and their harmless neighbours, written for this purpose.

mod attacks;
mod evasions;
mod harmless;
mod robustness;

use super::{ArgumentScreen, Detection};

/// What refuses the text.
fn denials(text: &str) -> Vec<Detection> {
    let mut found = ArgumentScreen::new().screen(text);
    found.retain(|detection| detection.score >= ArgumentScreen::DENY);
    found
}
