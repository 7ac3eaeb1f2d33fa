//! What is measured of a detector on labelled texts.

use serde_json::{Value, json};

/// One text: whether it is a scam, whether it was called one, and with which probability.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    pub(super) scam: bool,
    pub(super) flagged: bool,
    pub(super) probability: f64,
}

/// Bins of equal width for the expected calibration error (Naeini, Cooper and Hauskrecht 2015).
const BINS: u32 = 10;

/// The figures, as members of one JSON object. What needs a class that is absent is null.
pub(super) fn figures(scored: &[Scored]) -> Value {
    let scams = scored.iter().filter(|text| text.scam).count();
    let others = scored.len() - scams;
    let hits = scored.iter().filter(|text| text.scam && text.flagged).count();
    let false_alarms = scored.iter().filter(|text| !text.scam && text.flagged).count();
    let both = scams > 0 && others > 0;
    let curve = if both { Some(Curve::new(scored)) } else { None };
    json!({
        "n": scored.len(),
        "scam": scams,
        "ham": others,
        "accuracy": ratio(hits + others - false_alarms, scored.len()),
        "precision": both.then(|| ratio(hits, hits + false_alarms)).flatten(),
        "recall": ratio(hits, scams),
        "f1": both.then(|| ratio(2 * hits, hits + false_alarms + scams)).flatten(),
        "auc": curve.as_ref().map(Curve::area),
        "fpr": ratio(false_alarms, others),
        "fpr_at_95_recall": curve.as_ref().map(|curve| curve.false_positives_at(0.95)),
        "recall_at_1_fpr": curve.as_ref().map(|curve| curve.recall_at(0.01)),
        "ece": calibration_error(scored),
    })
}

/// Rates at every threshold that tells two texts apart, from the strictest down.
struct Curve(Vec<Point>);

struct Point {
    recall: f64,
    false_positives: f64,
}

impl Curve {
    /// Both classes must be there.
    fn new(scored: &[Scored]) -> Self {
        let mut sorted = scored.to_vec();
        sorted.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let scams = sorted.iter().filter(|text| text.scam).count();
        let others = sorted.len() - scams;
        let (mut hits, mut false_alarms) = (0, 0);
        let mut points = vec![Point { recall: 0.0, false_positives: 0.0 }];
        // Texts of one probability pass a threshold together.
        for tied in sorted.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
            let more = tied.iter().filter(|text| text.scam).count();
            hits += more;
            false_alarms += tied.len() - more;
            let rate = |part, whole| ratio(part, whole).unwrap_or_default();
            points.push(Point {
                recall: rate(hits, scams),
                false_positives: rate(false_alarms, others),
            });
        }
        Self(points)
    }

    /// Under the curve (trapezoids): the share of (scam, ham) pairs in the right order, where ties count half.
    fn area(&self) -> f64 {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs
            .map(|(from, to)| {
                (to.false_positives - from.false_positives) * f64::midpoint(from.recall, to.recall)
            })
            .sum()
    }

    /// The smallest false positive rate at which at least that share of the scams is found.
    fn false_positives_at(&self, recall: f64) -> f64 {
        let found = self.0.iter().find(|point| point.recall >= recall);
        found.map_or(1.0, |point| point.false_positives)
    }

    /// The largest share of the scams that is found at no more than that false positive rate.
    fn recall_at(&self, false_positives: f64) -> f64 {
        let allowed = self.0.iter().filter(|point| point.false_positives <= false_positives);
        allowed.map(|point| point.recall).fold(0.0, f64::max)
    }
}

/// How far the stated probability is from the share of scams, on average over the texts.
#[expect(clippy::cast_precision_loss, reason = "counts of texts")]
fn calibration_error(scored: &[Scored]) -> Option<f64> {
    let in_bins: f64 = (0..BINS)
        .map(|bin| {
            let (mut texts, mut scams, mut stated) = (0_usize, 0_usize, 0.0);
            for text in scored.iter().filter(|text| bin_of(text.probability) == bin) {
                texts += 1;
                scams += usize::from(text.scam);
                stated += text.probability;
            }
            // Weighted by the texts, which cancels the division of the two means by them.
            if texts == 0 { 0.0 } else { (scams as f64 - stated).abs() }
        })
        .sum();
    (!scored.is_empty()).then(|| in_bins / scored.len() as f64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "probabilities are clamped to 0 to 1"
)]
fn bin_of(probability: f64) -> u32 {
    ((probability.clamp(0.0, 1.0) * f64::from(BINS)) as u32).min(BINS - 1)
}

/// `None` where there is nothing to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts of texts")]
fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(texts: &[(bool, f64)]) -> Vec<Scored> {
        let flagged = |probability| probability >= 0.5;
        let texts = texts.iter().copied();
        texts
            .map(|(scam, probability)| Scored { scam, flagged: flagged(probability), probability })
            .collect()
    }

    fn close(value: &Value, expected: f64) {
        let value = value.as_f64().unwrap();
        assert!((value - expected).abs() < 1e-12, "{value} {expected}");
    }

    #[test]
    fn figures_by_hand() {
        let figures = figures(&scored(&[
            (true, 0.9),
            (true, 0.6),
            (true, 0.2),
            (false, 0.6),
            (false, 0.1),
        ]));
        assert_eq!((&figures["n"], &figures["scam"], &figures["ham"]), (&json!(5), &json!(3), &json!(2)));
        close(&figures["accuracy"], 3.0 / 5.0);
        close(&figures["precision"], 2.0 / 3.0);
        close(&figures["recall"], 2.0 / 3.0);
        close(&figures["f1"], 2.0 / 3.0);
        close(&figures["fpr"], 0.5);
        // Pairs: .9 over both, .6 over one and level with the other, .2 over one.
        close(&figures["auc"], (2.0 + 1.5 + 1.0) / 6.0);
        close(&figures["fpr_at_95_recall"], 0.5);
        close(&figures["recall_at_1_fpr"], 1.0 / 3.0);
        // Bins .1, .2, .6 (two texts, one a scam), .9.
        close(&figures["ece"], (0.1 + 0.8 + 0.2 + 0.1) / 5.0);
    }

    #[test]
    fn what_needs_an_absent_class_is_null() {
        let needing_both = ["precision", "f1", "auc", "fpr_at_95_recall", "recall_at_1_fpr"];
        let scams = figures(&scored(&[(true, 0.9), (true, 0.1)]));
        assert!(needing_both.iter().all(|name| scams[name].is_null()) && scams["fpr"].is_null());
        close(&scams["recall"], 0.5);
        let others = figures(&scored(&[(false, 0.9), (false, 0.1)]));
        assert!(needing_both.iter().all(|name| others[name].is_null()));
        assert!(others["recall"].is_null());
        close(&others["fpr"], 0.5);
        assert!(figures(&[])["accuracy"].is_null());
    }

    #[test]
    fn order_alone_makes_the_area() {
        let perfect = figures(&scored(&[(true, 0.02), (false, 0.01)]));
        close(&perfect["auc"], 1.0);
        let reversed = figures(&scored(&[(true, 0.01), (false, 0.02)]));
        close(&reversed["auc"], 0.0);
        let tied = figures(&scored(&[(true, 1.0), (false, 1.0)]));
        close(&tied["auc"], 0.5);
    }
}
