//! Results: rounds of measurements, and what they amount to.

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Limit of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Higher is better, as for rates.
    AtLeast(f64),
    /// Lower is better, as for times and sizes.
    AtMost(f64),
}

/// Value and baseline of a case: medians of all rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// For example `customer_view/16`, with 16 connections.
    pub(crate) case: String,
    /// Database server and version.
    pub(crate) engine: String,
    pub(crate) unit: String,
    pub(crate) value: f64,
    #[serde(alias = "floor")]
    pub(crate) baseline: f64,
    /// Median of the ratios of the rounds.
    pub(crate) ratio: f64,
    pub(crate) target: Option<Target>,
    /// Whether the ratio is within the target.
    pub(crate) met: Option<bool>,
    /// Minimum and maximum.
    pub(crate) value_spread: (f64, f64),
    #[serde(alias = "floor_spread")]
    pub(crate) baseline_spread: (f64, f64),
}

/// Everything measured so far.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) outcomes: Vec<Outcome>,
    /// Latency in ms by percentile, with the name of the operation.
    pub(crate) latencies: Vec<(String, Vec<(f64, f64)>)>,
    /// Number of violated data invariants.
    pub(crate) violations: usize,
}

impl Results {
    /// Adds and prints the outcome of these rounds.
    pub(crate) fn add(&mut self, case: &str, engine: &str, unit: &str, rounds: &Rounds, target: Option<Target>) {
        let outcome = rounds.outcome(case, engine, unit, target);
        let Outcome { value, baseline, ratio, met, .. } = outcome;
        let met = met.map_or("", |met| if met { ", met" } else { ", \x1b[31mMISSED\x1b[0m" });
        anstream::println!("{case}: {value:.1} {unit}, baseline {baseline:.1}, ratio {ratio:.2}{met}");
        self.outcomes.push(outcome);
    }

    /// Adds and prints violations of the data invariants in this database.
    pub(crate) async fn audit(&mut self, database_url: &str) -> Result<()> {
        for finding in db_audit::check(database_url).await?.iter().filter(|finding| finding.violations > 0) {
            let (sentence, count, examples) = (finding.sentence, finding.violations, finding.examples.join("; "));
            anstream::println!("\x1b[31mVIOLATED\x1b[0m {count} times: {sentence} {examples}");
            self.violations += 1;
        }
        Ok(())
    }
}

/// Values and baselines, one of each per round.
#[derive(Default)]
pub(crate) struct Rounds {
    pub(crate) values: Vec<f64>,
    pub(crate) baselines: Vec<f64>,
}

impl Rounds {
    /// Measures value and baseline in turn, so that noise of the machine affects both.
    pub(crate) async fn alternate(
        rounds: u32,
        mut value: impl AsyncFnMut() -> Result<f64>,
        mut baseline: impl AsyncFnMut() -> Result<f64>,
    ) -> Result<Self> {
        let mut measured = Self::default();
        for _ in 0..rounds {
            measured.values.push(value().await?);
            measured.baselines.push(baseline().await?);
        }
        Ok(measured)
    }

    /// The values against a constant: a limit, or a published figure.
    pub(crate) fn against(values: &[f64], constant: f64) -> Self {
        Self { values: values.to_vec(), baselines: vec![constant; values.len()] }
    }

    fn outcome(&self, case: &str, engine: &str, unit: &str, target: Option<Target>) -> Outcome {
        let (case, engine, unit) = (case.to_owned(), engine.to_owned(), unit.to_owned());
        let ratios: Vec<_> =
            self.values.iter().zip(&self.baselines).map(|(value, baseline)| value / baseline).collect();
        let (value, baseline, ratio) = (median(&self.values), median(&self.baselines), median(&ratios));
        let met = target.map(|target| match target {
            Target::AtLeast(least) => ratio >= least,
            Target::AtMost(most) => ratio <= most,
        });
        let (value_spread, baseline_spread) = (spread(&self.values), spread(&self.baselines));
        Outcome { case, engine, unit, value, baseline, ratio, target, met, value_spread, baseline_spread }
    }
}

/// Rate of doing these one after the other.
pub(crate) fn in_sequence(rates: &[f64]) -> f64 {
    1.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
}

/// Median of the samples, or not a number if there are none.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (upper, lower) = (sorted.get(sorted.len() / 2), sorted.get(sorted.len().saturating_sub(1) / 2));
    upper.zip(lower).map_or(f64::NAN, |(upper, lower)| f64::midpoint(*upper, *lower))
}

fn spread(samples: &[f64]) -> (f64, f64) {
    (samples.iter().copied().fold(f64::NAN, f64::min), samples.iter().copied().fold(f64::NAN, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_sample() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn spread_is_minimum_and_maximum() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 3.0));
    }

    #[test]
    fn ratio_is_the_median_of_the_ratios_of_the_rounds() {
        let rounds = Rounds { values: vec![10.0, 20.0, 90.0], baselines: vec![10.0, 40.0, 100.0] };
        let outcome = rounds.outcome("case/1", "engine", "requests/s", Some(Target::AtLeast(0.9)));
        assert!((outcome.ratio - 0.9).abs() < f64::EPSILON);
        assert_eq!(outcome.met, Some(true));
    }

    #[test]
    fn operations_in_sequence_take_the_time_of_all() {
        assert!((in_sequence(&[100.0, 300.0]) - 75.0).abs() < 1e-9);
    }
}
