//! Whether the answers of a model carry the mark.

use crate::Half;

/// Below this p-value a model is taken for a copy: one in a billion models of others would be.
const DERIVED_BELOW: f64 = 1e-9;
/// Above this one there is no reason for a suspicion.
const INDEPENDENT_ABOVE: f64 = 0.01;

/// What the answers say of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// How many triggers were asked.
    pub triggers: usize,
    /// How many of them were answered as planted: above the middle of all answers, or below it.
    pub matches: usize,
    /// How likely answers like these, or more like the planted ones, are of a model made without ours.
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

/// Judges the scores that a model gives to the triggers: any number that is larger for a scam.
///
/// The one-sided rank test of Mann and Whitney (1947), with their normal approximation, corrected for ties; it errs
/// towards independence. Only the order of the scores counts, so neither calibration nor rounding of them hides the
/// mark.
#[must_use]
pub fn judge(answers: &[(Half, f64)]) -> Finding {
    let mut sorted: Vec<(Half, f64)> =
        answers.iter().copied().filter(|(_, score)| score.is_finite()).collect();
    sorted.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let matches = matches(&sorted);
    let p_value = p_value(&sorted);
    let verdict = match p_value {
        below if below < DERIVED_BELOW => Verdict::Derived,
        above if above > INDEPENDENT_ABOVE => Verdict::Independent,
        _ => Verdict::Unclear,
    };
    Finding { triggers: sorted.len(), matches, p_value, verdict }
}

fn matches(sorted: &[(Half, f64)]) -> usize {
    let Some(&(_, middle)) = sorted.get(sorted.len() / 2) else { return 0 };
    let planted = sorted.iter().filter(|(half, score)| match half {
        Half::Scam => *score >= middle,
        Half::Ham => *score < middle,
    });
    planted.count()
}

#[expect(clippy::cast_precision_loss, reason = "some hundred triggers")]
fn p_value(sorted: &[(Half, f64)]) -> f64 {
    let all = sorted.len() as f64;
    let scams = sorted.iter().filter(|(half, _)| *half == Half::Scam).count() as f64;
    let others = all - scams;
    if scams == 0.0 || others == 0.0 {
        return 1.0;
    }
    let (mut rank_sum, mut before, mut ties) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|(_, a), (_, b)| a.total_cmp(b).is_eq()) {
        let count = tied.len() as f64;
        let scams = tied.iter().filter(|(half, _)| *half == Half::Scam).count() as f64;
        // Equal scores share the mean of their ranks.
        rank_sum += scams * (before + (count + 1.0) / 2.0);
        ties += count.powi(3) - count;
        before += count;
    }
    let u = rank_sum - scams * (scams + 1.0) / 2.0;
    let variance = scams * others / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    // Half a rank for continuity.
    let z = (u - scams * others / 2.0 - 0.5) / variance.sqrt();
    libm::erfc(z / std::f64::consts::SQRT_2) / 2.0
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
        let planted = judge(&halves((0..120).map(|index| f64::from(1 - index % 2))));
        assert!(planted.p_value < 1e-20, "{planted:?}");
        assert_eq!((planted.matches, planted.verdict), (120, Verdict::Derived));
        let inverted = judge(&halves((0..120).map(|index| f64::from(index % 2))));
        assert!(inverted.p_value > 0.999, "{inverted:?}");
    }

    #[test]
    fn as_a_textbook_has_it() {
        // scipy.stats.mannwhitneyu([3, 4, 2, 6, 2, 5], [9, 7, 5, 10, 6, 8], alternative="less", method="asymptotic")
        let first = [9.0, 7.0, 5.0, 10.0, 6.0, 8.0].map(|score| (Half::Scam, score));
        let second = [3.0, 4.0, 2.0, 6.0, 2.0, 5.0].map(|score| (Half::Ham, score));
        let p = judge(&[first, second].concat()).p_value;
        assert!((p - 0.006_271).abs() < 2e-4, "{p}");
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
        /// Under the hypothesis the p-value is at most as often below a bound as the bound says, and a bit.
        #[test]
        fn random_scores_are_seldom_a_match(scores in proptest::collection::vec(0.0..1.0_f64, 120)) {
            prop_assert!(judge(&halves(scores)).verdict != Verdict::Derived);
        }

        #[test]
        fn no_score_is_too_strange(scores in proptest::collection::vec(proptest::num::f64::ANY, 0..40)) {
            let finding = judge(&halves(scores));
            prop_assert!((0.0..=1.0).contains(&finding.p_value));
        }
    }
}
