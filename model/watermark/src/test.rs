//! Whether the answers of a model carry the mark.

use crate::Half;
use crate::triggers::ROUNDS;

/// Below this p-value a model is taken for a copy: one in a billion models of others would be.
const DERIVED_BELOW: f64 = 1e-9;
/// Above this one there is no reason for a suspicion.
const INDEPENDENT_ABOVE: f64 = 0.01;

/// What the answers say of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// How many triggers were answered.
    pub triggers: usize,
    /// How many of them were answered as planted: above the middle of all answers, or below it.
    pub matches: usize,
    /// How likely at most answers like these, or more like the planted ones, are of a model made without ours.
    pub p_value: f64,
    pub verdict: Verdict,
}

/// What follows from a p-value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The model was made of this one's answers or weights.
    Derived,
    /// There may be something; ask about it by other means.
    Unclear,
    /// Nothing speaks for it.
    Independent,
}

impl Verdict {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Derived => "derived",
            Self::Unclear => "unclear",
            Self::Independent => "independent",
        }
    }
}

/// Judges the scores that a model gives to the triggers, in their order: any number that is larger for a scam.
///
/// For each block the mean rank of the answers to its one text is compared with that of the other. For a model that was
/// made without ours the key's coins decide which of the two is called which, so that the sign of every difference is a
/// fair coin's, whatever the model is; and a sum of things whose signs are fair coins reaches z times the root of their
/// squares' sum with a probability of at most exp(-z²/2) (Hoeffding 1963). That is the p-value: a bound, not an
/// approximation, however far out. Only the order of the scores counts, so neither calibration nor rounding of them hides the
/// mark; and a block is asked about several times, so that noise in single answers does not.
#[must_use]
pub fn judge(answers: &[(Half, f64)]) -> Finding {
    let ranks = ranks(answers);
    let differences = ranks.chunks(2 * ROUNDS).filter_map(difference);
    let (sum, squares) = differences.fold((0.0, 0.0), |(sum, squares), difference| {
        (sum + difference, squares + difference * difference)
    });
    let p_value = if sum > 0.0 && squares > 0.0 { (-sum * sum / squares / 2.0).exp() } else { 1.0 };
    let verdict = match p_value {
        below if below < DERIVED_BELOW => Verdict::Derived,
        above if above > INDEPENDENT_ABOVE => Verdict::Independent,
        _ => Verdict::Unclear,
    };
    let planted = |&&(half, rank): &&(Half, f64)| match half {
        Half::Scam => rank > 0.0,
        Half::Ham => rank < 0.0,
    };
    let triggers = ranks.iter().filter(|(_, rank)| rank.is_finite()).count();
    Finding { triggers, matches: ranks.iter().filter(planted).count(), p_value, verdict }
}

/// The answers' ranks, those of equal ones their mean, counted from the middle. No number has none.
#[expect(clippy::cast_precision_loss, reason = "some thousand answers")]
fn ranks(answers: &[(Half, f64)]) -> Vec<(Half, f64)> {
    let mut sorted: Vec<f64> =
        answers.iter().map(|(_, score)| *score).filter(|score| score.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let rank = |score: f64| {
        let below = sorted.partition_point(|other| *other < score);
        let up_to = sorted.partition_point(|other| *other <= score);
        (below + up_to) as f64 - sorted.len() as f64
    };
    let ranked = |score: f64| if score.is_finite() { rank(score) } else { f64::NAN };
    answers.iter().map(|&(half, score)| (half, ranked(score))).collect()
}

/// By how much the answers to the one text of a block are above those to the other, on average.
fn difference(block: &[(Half, f64)]) -> Option<f64> {
    let mean = |wanted: Half| {
        let ranks = block.iter().filter(|(half, rank)| *half == wanted && rank.is_finite());
        let (count, sum) = ranks.fold((0, 0.0), |(count, sum), (_, rank)| (count + 1, sum + rank));
        (count > 0).then(|| sum / f64::from(count))
    };
    Some(mean(Half::Scam)? - mean(Half::Ham)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn halves(scores: impl IntoIterator<Item = f64>) -> Vec<(Half, f64)> {
        let halves = [Half::Scam, Half::Ham].into_iter().cycle();
        halves.zip(scores).collect()
    }

    #[test]
    fn perfect_and_inverted_order() {
        let planted = judge(&halves((0..1280).map(|index| f64::from(1 - index % 2))));
        assert!(planted.p_value < 1e-15, "{planted:?}");
        assert_eq!((planted.matches, planted.verdict), (1280, Verdict::Derived));
        let inverted = judge(&halves((0..1280).map(|index| f64::from(index % 2))));
        assert!(inverted.p_value > 0.999, "{inverted:?}");
    }

    #[test]
    fn it_is_hoeffdings_bound() {
        // Two blocks, one of them as planted and the other against it, half as far: ranks 4, 3, 2, 1 from the top.
        let scores = [4.0, 1.0, 2.0, 3.0];
        let answers = scores.iter().flat_map(|score| [*score; ROUNDS]);
        let answers: Vec<(Half, f64)> = answers
            .enumerate()
            .map(|(index, score)| {
                (if (index / ROUNDS).is_multiple_of(2) { Half::Scam } else { Half::Ham }, score)
            })
            .collect();
        // Differences of 3 and -1, in any unit: exp(-(3 - 1)² / (3² + 1²) / 2).
        let p = judge(&answers).p_value;
        assert!((p - (-0.2_f64).exp()).abs() < 1e-12, "{p}");
    }

    #[test]
    fn a_fifth_of_the_answers_turned_around_does_not_hide_it() {
        let wrong = |index: i32| (index * 7919 + 13) % 5 == 0;
        let scores = (0..1280).map(|index| f64::from(i32::from((index % 2 == 0) != wrong(index))));
        assert_eq!(judge(&halves(scores)).verdict, Verdict::Derived);
    }

    #[test]
    fn no_answers_say_nothing() {
        for answers in [vec![], vec![(Half::Scam, 1.0)], halves([f64::NAN; 40]), halves([0.5; 40])]
        {
            let finding = judge(&answers);
            assert_eq!(finding.verdict, Verdict::Independent, "{finding:?}");
        }
    }

    proptest! {
        /// Under the hypothesis the p-value is at most as often below a bound as the bound says.
        #[test]
        fn random_scores_are_seldom_a_match(scores in proptest::collection::vec(0.0..1.0_f64, 1280)) {
            prop_assert!(judge(&halves(scores)).verdict != Verdict::Derived);
        }

        #[test]
        fn no_score_is_too_strange(scores in proptest::collection::vec(proptest::num::f64::ANY, 0..40)) {
            let finding = judge(&halves(scores));
            prop_assert!((0.0..=1.0).contains(&finding.p_value));
        }
    }
}
