//! How good scores are, measured on labelled texts.

use serde::Serialize;

/// The usual figures of a set of scores. A figure is `None` where it is not defined: where the
/// class that it speaks of is absent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metrics {
    pub n: usize,
    pub scam: usize,
    pub ham: usize,
    pub accuracy: Option<f64>,
    /// Of the texts that are flagged, the share that are scams.
    pub precision: Option<f64>,
    /// Of the scams, the share that is flagged.
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    /// The area under the ROC curve.
    pub auc: Option<f64>,
    /// Of the other texts, the share that is flagged.
    pub fpr: Option<f64>,
    /// The least share of other texts flagged with a threshold that finds 95 % of the scams.
    pub fpr_at_95_recall: Option<f64>,
    /// The largest share of scams found with a threshold that flags at most 1 % of the others.
    pub recall_at_1_fpr: Option<f64>,
    /// The expected calibration error: over ten equally wide bins of the score, the mean distance
    /// between the mean score and the share of scams.
    pub ece: Option<f64>,
}

/// One text: whether it is a scam, and the probability that a model gave for it.
pub type Scored = (bool, f32);

/// Measures scores against labels; a score from `threshold` up is a flag.
#[must_use]
pub fn measure(scored: &[Scored], threshold: f32) -> Metrics {
    let n = scored.len();
    let scam = scored.iter().filter(|(is_scam, _)| *is_scam).count();
    let ham = n - scam;
    let flagged = |wanted: bool| {
        scored.iter().filter(|&&(is_scam, score)| is_scam == wanted && score >= threshold).count()
    };
    let (hits, false_alarms) = (flagged(true), flagged(false));
    let both = scam > 0 && ham > 0;
    let curve = if both { curve(scored) } else { Vec::new() };
    Metrics {
        n,
        scam,
        ham,
        accuracy: ratio(hits + ham - false_alarms, n),
        precision: ratio(hits, hits + false_alarms).filter(|_| both),
        recall: ratio(hits, scam),
        f1: ratio(2 * hits, hits + false_alarms + scam).filter(|_| both),
        auc: area(&curve),
        fpr: ratio(false_alarms, ham),
        fpr_at_95_recall: curve
            .iter()
            .filter(|point| point.recall >= 0.95)
            .map(|point| point.fpr)
            .min_by(f64::total_cmp),
        recall_at_1_fpr: curve
            .iter()
            .filter(|point| point.fpr <= 0.01)
            .map(|point| point.recall)
            .max_by(f64::total_cmp),
        ece: calibration_error(scored).filter(|_| both),
    }
}

/// A point of the ROC curve: what a threshold gives.
struct Point {
    fpr: f64,
    recall: f64,
}

/// The ROC curve, from the strictest threshold to the loosest. Equal scores are one step.
fn curve(scored: &[Scored]) -> Vec<Point> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let scams = sorted.iter().filter(|(is_scam, _)| *is_scam).count();
    let others = sorted.len() - scams;
    let mut points = vec![Point { fpr: 0.0, recall: 0.0 }];
    let (mut hits, mut false_alarms) = (0, 0);
    for equal in sorted.chunk_by(|a, b| a.1.total_cmp(&b.1).is_eq()) {
        let found = equal.iter().filter(|(is_scam, _)| *is_scam).count();
        hits += found;
        false_alarms += equal.len() - found;
        points.push(Point {
            fpr: ratio(false_alarms, others).unwrap_or_default(),
            recall: ratio(hits, scams).unwrap_or_default(),
        });
    }
    points
}

/// By the trapezoidal rule, so that a tie counts half.
fn area(curve: &[Point]) -> Option<f64> {
    if curve.is_empty() {
        return None;
    }
    let steps = curve.windows(2).filter_map(|pair| <&[Point; 2]>::try_from(pair).ok());
    Some(steps.map(|[a, b]| (b.fpr - a.fpr) * (a.recall + b.recall) / 2.0).sum())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of texts; scores are from 0 to 1"
)]
fn calibration_error(scored: &[Scored]) -> Option<f64> {
    const BINS: usize = 10;
    // For each bin the sum of (label - score): its absolute value is the bin's share of the error.
    let mut gaps = [0.0_f64; BINS];
    for &(is_scam, score) in scored {
        let bin = ((f64::from(score) * BINS as f64) as usize).min(BINS - 1);
        if let Some(gap) = gaps.get_mut(bin) {
            *gap += f64::from(u8::from(is_scam)) - f64::from(score);
        }
    }
    let total: f64 = gaps.iter().map(|gap| gap.abs()).sum();
    (!scored.is_empty()).then(|| total / scored.len() as f64)
}

/// `None` where there is nothing to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts of texts, given as ratios")]
fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: Option<f64>, expected: f64) {
        assert!((actual.unwrap() - expected).abs() < 1e-6, "{actual:?} {expected}");
    }

    #[test]
    fn figures_of_a_small_set_by_hand() {
        let scored =
            [(true, 0.9), (true, 0.8), (true, 0.3), (false, 0.7), (false, 0.1), (false, 0.0)];
        let figures = measure(&scored, 0.5);
        assert_eq!((figures.n, figures.scam, figures.ham), (6, 3, 3));
        close(figures.accuracy, 4.0 / 6.0);
        close(figures.precision, 2.0 / 3.0);
        close(figures.recall, 2.0 / 3.0);
        close(figures.f1, 2.0 / 3.0);
        close(figures.fpr, 1.0 / 3.0);
        // Eight of the nine pairs are in order.
        close(figures.auc, 8.0 / 9.0);
        close(figures.fpr_at_95_recall, 1.0 / 3.0);
        close(figures.recall_at_1_fpr, 2.0 / 3.0);
        // Gaps by bin: 0.1, 0.2, 0.7, 0.7, 0.1, 0.0.
        close(figures.ece, 1.8 / 6.0);
    }

    #[test]
    fn ties_count_half() {
        close(measure(&[(true, 0.5), (false, 0.5)], 0.5).auc, 0.5);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let scams = measure(&[(true, 0.9)], 0.5);
        close(scams.recall, 1.0);
        assert_eq!(
            (scams.precision, scams.f1, scams.auc, scams.fpr, scams.ece),
            (None, None, None, None, None)
        );
        let others = measure(&[(false, 0.9)], 0.5);
        close(others.fpr, 1.0);
        assert_eq!(
            (others.recall, others.fpr_at_95_recall, others.recall_at_1_fpr),
            (None, None, None)
        );
        assert_eq!(measure(&[], 0.5).accuracy, None);
    }
}
