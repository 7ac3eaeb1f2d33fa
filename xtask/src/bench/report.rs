//! What was measured, for people.

use std::fmt;

use super::Options;
use super::plan::{AtMost, Bound, Plan};

/// Microseconds for each request, of each variant in each round.
pub(super) struct Costs(Vec<Vec<f64>>);

impl Costs {
    pub(super) fn new(variants: usize) -> Self {
        Self(vec![Vec::new(); variants])
    }

    pub(super) fn push(&mut self, variant: usize, cost: f64) {
        self.0[variant].push(cost);
    }

    fn median(&self, variant: usize) -> f64 {
        quantile(&self.0[variant], 0.5)
    }

    /// What `variant` costs more than `base`, compared within the rounds.
    fn difference(&self, variant: usize, base: usize) -> Difference {
        let pairs = self.0[variant].iter().zip(&self.0[base]);
        let differences: Vec<f64> = pairs.map(|(cost, base)| cost - base).collect();
        let quarter = |part| quantile(&differences, part);
        Difference { median: quarter(0.5), spread: (quarter(0.75) - quarter(0.25)) / 2.0 }
    }
}

struct Difference {
    median: f64,
    /// Half of what lies between the quartiles.
    spread: f64,
}

/// The value below which `part` of the values lie, interpolated; no number where there are none.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = part * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
    pub(super) costs: &'a Costs,
    /// Of each program, in bytes.
    pub(super) memory: &'a [u64],
    pub(super) options: &'a Options,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{}: CPU time of the server (Envoy {}) for each request, one worker on one core. Δ is the median \
             of the differences to the base within a round ({} rounds, {} requests), ± half the distance of their quartiles.\n",
            self.plan.title,
            crate::envoy::VERSION,
            self.options.rounds,
            self.options.requests
        )?;
        self.variants(f)?;
        self.bounds(f)?;
        self.remarks(f)?;
        self.memory(f)
    }
}

impl Report<'_> {
    fn variants(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["µs", "Δ µs", "±", "Δ to native"];
        let [cost, difference, spread, ratio] = columns;
        writeln!(f, "{:<46} {cost:>8} {difference:>8} {spread:>5} {ratio:>12}", "variant")?;
        for (index, variant) in self.plan.variants.iter().enumerate() {
            write!(f, "{:<46} {:>8.1}", variant.name, self.costs.median(index))?;
            let Some(base) = variant.base else {
                writeln!(f)?;
                continue;
            };
            let own = self.costs.difference(index, base);
            write!(f, " {:>8.1} {:>5.1}", own.median, own.spread)?;
            match variant.peer.and_then(|peer| self.ratio(index, peer)) {
                Some(ratio) => writeln!(f, " {:>12}", format!("{ratio:.2} ×"))?,
                None => writeln!(f)?,
            }
        }
        writeln!(f)
    }

    fn bounds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.plan.bounds.is_empty() {
            return Ok(());
        }
        for bound in &self.plan.bounds {
            let (holds, found, expected) = self.judge(bound);
            let verdict = if holds { "PASS" } else { "MISS" };
            let name = &self.plan.variants[bound.variant].name;
            writeln!(f, "{verdict}  {name}: {found}, at most {expected}")?;
        }
        writeln!(f)
    }

    fn remarks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.plan.remarks.is_empty() {
            return Ok(());
        }
        for remark in &self.plan.remarks {
            writeln!(f, "{remark}")?;
        }
        writeln!(f)
    }

    /// Whether a bound holds, what was found, and what was expected.
    fn judge(&self, bound: &Bound) -> (bool, String, String) {
        match bound.at_most {
            AtMost::Times { factor, other } => {
                // What cannot be compared has not been shown to hold.
                let ratio = self.ratio(bound.variant, other).unwrap_or(f64::INFINITY);
                let name = &self.plan.variants[other].name;
                // A small part needs more places to be told from its bound.
                let places = if factor < 0.1 { 4 } else { 2 };
                (ratio <= factor, format!("{ratio:.places$} ×"), format!("{factor} × {name}"))
            }
            AtMost::Over { microseconds, other } => {
                let difference = self.costs.difference(bound.variant, other);
                let name = &self.plan.variants[other].name;
                (
                    difference.median <= microseconds,
                    format!("{:.1} ± {:.1} µs", difference.median, difference.spread),
                    format!("{microseconds} µs over {name}"),
                )
            }
        }
    }

    fn ratio(&self, variant: usize, peer: usize) -> Option<f64> {
        let delta = |index: usize| {
            let base = self.plan.variants[index].base?;
            Some(self.costs.difference(index, base).median)
        };
        let (own, peer) = (delta(variant)?, delta(peer)?);
        // Less than nothing is noise, and no measure for anything.
        (peer > 0.0).then(|| own / peer)
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MEBIBYTE: f64 = (1 << 20) as f64;
        let mebibytes = |bytes: u64| bytes as f64 / MEBIBYTE;
        writeln!(f, "{:<46} {:>8} {:>8}", "resident memory", "MiB", "Δ MiB")?;
        let programs = || self.plan.programs.iter().zip(self.memory);
        for (program, bytes) in programs() {
            // The first of a kind is the bare one.
            let bare = programs().find(|(other, _)| other.is_like(program));
            let bare = bare.map_or(0.0, |(_, bytes)| mebibytes(*bytes));
            let all = mebibytes(*bytes);
            writeln!(f, "{:<46} {all:>8.1} {:>8.1}", program.name(), all - bare)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::{Carrier, Load, Order};
    use super::*;

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[4.0, 1.0, 2.0, 3.0], 0.5), 2.5);
        assert_eq!(quantile(&[5.0, 1.0, 2.0, 3.0, 4.0], 0.25), 2.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    fn ratio(own: f64, peer: f64) -> Option<f64> {
        let mut plan = Plan::new("test");
        let load = || {
            let credentials = ["a".to_owned()].into();
            Load::get(Carrier::Bearer, credentials, Order::First)
        };
        let base = plan.variant("base", 0, load(), None, None);
        let peer_place = plan.variant("peer", 0, load(), Some(base), None);
        let own_place = plan.variant("own", 0, load(), Some(base), Some(peer_place));
        let mut costs = Costs::new(3);
        for (variant, cost) in [(base, 50.0), (peer_place, 50.0 + peer), (own_place, 50.0 + own)] {
            costs.push(variant, cost);
        }
        let options = Options { suites: Vec::new(), rounds: 3, requests: 100 };
        let report = Report { plan: &plan, costs: &costs, memory: &[], options: &options };
        let at_most = AtMost::Times { factor: 0.02, other: peer_place };
        let ratio = report.ratio(own_place, peer_place);
        let (holds, _, _) = report.judge(&Bound { variant: own_place, at_most });
        assert_eq!(holds, ratio.is_some_and(|ratio| ratio <= 0.02));
        ratio
    }

    #[test]
    fn a_bound_holds_where_both_can_be_compared() {
        assert_eq!(ratio(50.0, 2500.0), Some(0.02));
        assert_eq!(ratio(125.0, 2500.0), Some(0.05));
        assert_eq!(ratio(50.0, -1.0), None);
        assert_eq!(ratio(50.0, 0.0), None);
    }

    #[test]
    fn differences_are_taken_within_a_round() {
        let mut costs = Costs::new(2);
        // The machine gets slower; the difference stays.
        for drift in [0.0, 10.0, 20.0] {
            costs.push(0, 30.0 + drift);
            costs.push(1, 35.0 + drift);
        }
        let difference = costs.difference(1, 0);
        assert_eq!((difference.median, difference.spread), (5.0, 0.0));
    }
}
