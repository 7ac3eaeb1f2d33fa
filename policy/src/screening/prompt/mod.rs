//! Injections and jailbreaks in prose: a small linear model over words, pairs of words and what words do.
//!
//! A text is folded to what a reader sees, cut into words and read in windows, so that an injection in a long document
//! weighs as much as one alone. All arithmetic is on integers: the verdict is the same on every platform.
//! The weights are trained by model/prompt_injection, whose card says how well it does and on what.

mod evidence;
mod features;
mod fold;
mod hash;
mod letters;
mod lexicon;
mod model;
#[cfg(test)]
mod tests;
mod unmask;
mod views;
mod words;

use std::ops::Range;

use self::evidence::{Evidence, probability};
use self::features::{Summary, features};
use self::fold::Folding;
use self::lexicon::Lexicon;
use self::model::{Model, Strongest, Thresholds};
use self::views::views;
use super::{Detection, Kind};

/// From this score on a text is worth a look: about one ordinary text in a hundred reaches it at most.
pub const PROMPT_FLAG: f32 = 0.5;
/// From this score on a text may be refused: about one ordinary text in a thousand reaches it at most.
pub const PROMPT_REFUSE: f32 = 0.9;

/// Fewer words are worth a look only if they are reason enough to refuse: of `API key` nobody is told what to do.
const FEWEST_WORDS: usize = 3;

/// Finds prompt injections and jailbreaks. Make it once: it reads a lexicon.
#[derive(Debug)]
pub struct PromptScreen {
    folding: Folding,
    lexicon: Lexicon,
    evidence: Evidence,
    model: Model,
}

impl PromptScreen {
    /// Reads the lexicon and the weights.
    pub fn new() -> Self {
        let folding = Folding::new();
        let lexicon = Lexicon::new(&folding);
        Self { evidence: Evidence::new(&lexicon), folding, lexicon, model: Model::new() }
    }

    /// What looks like an attack on a model: the strongest window of the text or the strongest passage, whichever says more,
    /// if it reaches [`PROMPT_FLAG`] (a word or two [`PROMPT_REFUSE`]), and each encoded one that does when decoded. The rule names the evidence. The score is
    /// a logistic scale laid through the two thresholds.
    pub fn screen(&self, text: &str) -> Vec<Detection> {
        let (summary, strongest) = self.read(text);
        let mut found = Vec::new();
        let (window, passage) = self.scores(&strongest);
        // Not all scripts set words apart.
        let is_term = summary.words < FEWEST_WORDS && text.is_ascii();
        let least = if is_term { PROMPT_REFUSE } else { PROMPT_FLAG };
        if window >= least {
            let rule = self.evidence.rule(strongest.classes);
            found.push(detection(rule, self.part(text, &strongest), window.max(passage)));
        } else if passage >= least {
            let rule = self.evidence.rule(strongest.passage.classes);
            found.push(detection(rule, strongest.passage.range.range(), passage));
        }
        for view in views(text, summary) {
            let (window, passage) = self.scores(&self.read(&view.text).1);
            if window.max(passage) >= PROMPT_FLAG {
                found.push(detection("encoded_instruction", view.range, window.max(passage)));
            }
        }
        found
    }

    fn read(&self, text: &str) -> (Summary, Strongest) {
        let mut windows = self.model.windows();
        let take = |row, buckets: &[u16]| windows.add(row, buckets);
        let summary = features(&self.folding, &self.lexicon, text, take);
        (summary, windows.strongest())
    }

    /// The part of the text that makes its strongest window. It is read again: hardly any text has such a part.
    fn part(&self, text: &str, strongest: &Strongest) -> Range<usize> {
        let mut part = Model::part(strongest);
        features(&self.folding, &self.lexicon, text, |row, buckets| part.add(row, buckets));
        part.range()
    }

    /// Of the window, and of the passage.
    fn scores(&self, strongest: &Strongest) -> (f32, f32) {
        let Model { window, passage, .. } = &self.model;
        let scale = |score, from: &Thresholds| probability(score, from.flag, from.refuse);
        (scale(strongest.score, window), scale(strongest.passage.score, passage))
    }
}

fn detection(rule: &'static str, range: Range<usize>, score: f32) -> Detection {
    Detection { kind: Kind::PromptInjection, rule, range, score }
}

impl Default for PromptScreen {
    fn default() -> Self {
        Self::new()
    }
}
