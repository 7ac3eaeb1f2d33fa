//! The counters, gauges and histograms that filters define.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::abi::Status;

/// Most metrics of a process, and most ids that one VM may hold.
const MAX_METRICS: usize = 4096;
/// Longest name, in bytes.
const MAX_NAME: usize = 1024;

/// What a metric is; `proxy_metric_type_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl TryFrom<u32> for MetricKind {
    type Error = Status;

    fn try_from(number: u32) -> Result<Self, Status> {
        match number {
            0 => Ok(Self::Counter),
            1 => Ok(Self::Gauge),
            2 => Ok(Self::Histogram),
            _ => Err(Status::BadArgument),
        }
    }
}

/// All metrics of a process. VMs that define the same name and kind share one metric.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<BTreeMap<(String, MetricKind), Arc<Metric>>>);

#[derive(Debug, Default)]
struct Metric {
    /// The value of a counter or gauge, the number of observations of a histogram.
    value: AtomicU64,
    /// The sum of a histogram's observations.
    sum: AtomicU64,
}

/// What a metric shows at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricReading {
    /// The name as the filter gave it (Envoy shows it as `wasmcustom.<name>`).
    pub name: String,
    pub kind: MetricKind,
    /// The value of a counter or gauge, the number of observations of a histogram.
    pub value: u64,
    /// The sum of a histogram's observations, else 0.
    pub sum: u64,
}

impl Metrics {
    /// All metrics, by name.
    pub fn readings(&self) -> Vec<MetricReading> {
        let metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        metrics
            .iter()
            .map(|((name, kind), metric)| MetricReading {
                name: name.clone(),
                kind: *kind,
                value: metric.value.load(Ordering::Relaxed),
                sum: metric.sum.load(Ordering::Relaxed),
            })
            .collect()
    }

    /// The value of the counter or gauge `name`, if a filter has defined it.
    pub fn value(&self, name: &str) -> Option<u64> {
        let reading = self.readings().into_iter().find(|reading| reading.name == name)?;
        Some(reading.value)
    }

    /// All metrics in the Prometheus text format, names as Envoy's `wasmcustom_…`.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        for reading in self.readings() {
            let name: String = reading
                .name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' })
                .collect();
            // Writing to a string cannot fail.
            let _ = match reading.kind {
                MetricKind::Counter => writeln!(
                    text,
                    "# TYPE wasmcustom_{name} counter\nwasmcustom_{name} {}",
                    reading.value
                ),
                MetricKind::Gauge => writeln!(
                    text,
                    "# TYPE wasmcustom_{name} gauge\nwasmcustom_{name} {}",
                    reading.value
                ),
                MetricKind::Histogram => writeln!(
                    text,
                    "# TYPE wasmcustom_{name} summary\nwasmcustom_{name}_sum {}\n\
                     wasmcustom_{name}_count {}",
                    reading.sum, reading.value
                ),
            };
        }
        text
    }

    fn define(&self, kind: MetricKind, name: &[u8]) -> Result<Arc<Metric>, Status> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Status::BadArgument);
        }
        let mut metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (String::from_utf8_lossy(name).into_owned(), kind);
        if let Some(metric) = metrics.get(&key) {
            return Ok(Arc::clone(metric));
        }
        if metrics.len() >= MAX_METRICS {
            return Err(Status::InternalFailure);
        }
        let metric = Arc::<Metric>::default();
        metrics.insert(key, Arc::clone(&metric));
        Ok(metric)
    }
}

/// The metrics that one VM has defined, by the ids it was given: Envoy's numbers, the kind in the
/// low two bits.
#[derive(Debug, Default)]
pub(super) struct MetricIds(Vec<(MetricKind, Arc<Metric>)>);

impl MetricIds {
    pub(super) fn define(
        &mut self,
        metrics: &Metrics,
        kind: u32,
        name: &[u8],
    ) -> Result<u32, Status> {
        let kind = MetricKind::try_from(kind)?;
        if self.0.len() >= MAX_METRICS {
            return Err(Status::InternalFailure);
        }
        self.0.push((kind, metrics.define(kind, name)?));
        let index = u32::try_from(self.0.len()).map_err(|_| Status::InternalFailure)?;
        Ok(index << 2 | kind as u32)
    }

    pub(super) fn increment(&self, id: u32, offset: i64) -> Result<(), Status> {
        let by = offset.unsigned_abs();
        match MetricKind::try_from(id & 3)? {
            MetricKind::Counter if offset <= 0 => {
                self.metric(id)?;
                Err(Status::BadArgument)
            }
            MetricKind::Histogram => Err(Status::BadArgument),
            MetricKind::Counter | MetricKind::Gauge => {
                let change = |value: u64| {
                    Some(if offset > 0 {
                        value.saturating_add(by)
                    } else {
                        value.saturating_sub(by)
                    })
                };
                // The closure always gives a value, so this cannot fail.
                let _ = self.metric(id)?.value.fetch_update(
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                    change,
                );
                Ok(())
            }
        }
    }

    pub(super) fn record(&self, id: u32, value: u64) -> Result<(), Status> {
        let metric = self.metric(id)?;
        match MetricKind::try_from(id & 3)? {
            MetricKind::Counter => {
                metric.value.fetch_add(value, Ordering::Relaxed);
            }
            MetricKind::Gauge => metric.value.store(value, Ordering::Relaxed),
            MetricKind::Histogram => {
                metric.value.fetch_add(1, Ordering::Relaxed);
                metric.sum.fetch_add(value, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    pub(super) fn value(&self, id: u32) -> Result<u64, Status> {
        if MetricKind::try_from(id & 3)? == MetricKind::Histogram {
            return Err(Status::BadArgument);
        }
        Ok(self.metric(id)?.value.load(Ordering::Relaxed))
    }

    fn metric(&self, id: u32) -> Result<&Metric, Status> {
        let index = (id >> 2).checked_sub(1).ok_or(Status::NotFound)?;
        match self.0.get(index as usize) {
            Some((kind, metric)) if *kind as u32 == id & 3 => Ok(metric),
            _ => Err(Status::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_vms_share_a_counter_and_it_never_goes_down() {
        let metrics = Metrics::default();
        let (mut one, mut two) = (MetricIds::default(), MetricIds::default());
        let first = one.define(&metrics, 0, b"requests").unwrap();
        two.define(&metrics, 1, b"other").unwrap();
        let second = two.define(&metrics, 0, b"requests").unwrap();
        one.increment(first, 2).unwrap();
        two.increment(second, 3).unwrap();
        assert_eq!(metrics.value("requests"), Some(5));
        assert_eq!(one.increment(first, -1), Err(Status::BadArgument));
        assert_eq!(one.increment(second, 1), Err(Status::NotFound));
        assert!(metrics.prometheus().contains("wasmcustom_requests 5\n"));
    }

    #[test]
    fn a_gauge_stops_at_zero() {
        let (metrics, mut ids) = (Metrics::default(), MetricIds::default());
        let gauge = ids.define(&metrics, 1, b"g").unwrap();
        ids.increment(gauge, -5).unwrap();
        assert_eq!(ids.value(gauge), Ok(0));
    }
}
