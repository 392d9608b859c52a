//! Rounds in which value and floor are measured in turn, and what they come to.

use anyhow::Result;

use crate::outcome::{Outcome, Target};

/// What was measured, round by round: as many values as floors, at least one.
pub(crate) struct Rounds {
    /// The value in each round.
    pub(crate) values: Vec<f64>,
    /// The floor in the same rounds.
    pub(crate) floors: Vec<f64>,
}

/// Measures the value and its floor in turn, so that whatever slows the machine down for a while slows down both.
///
/// # Errors
///
/// The first that one of them gives.
pub(crate) async fn alternate(
    rounds: u32,
    mut value: impl AsyncFnMut() -> Result<f64>,
    mut floor: impl AsyncFnMut() -> Result<f64>,
) -> Result<Rounds> {
    let (mut values, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        values.push(value().await?);
        floors.push(floor().await?);
    }
    Ok(Rounds { values, floors })
}

impl Rounds {
    /// What these rounds of a case come to.
    pub(crate) fn outcome(&self, case: &str, engine: &str, unit: &'static str, target: Option<Target>) -> Outcome {
        let ratios: Vec<_> = self.values.iter().zip(&self.floors).map(|(value, floor)| value / floor).collect();
        Outcome {
            case: case.to_owned(),
            engine: engine.to_owned(),
            unit,
            value: median(&self.values),
            floor: median(&self.floors),
            value_spread: spread(&self.values),
            floor_spread: spread(&self.floors),
            ratio: median(&ratios),
            target,
        }
    }

    /// The same values beside a figure that was published, instead of their floors.
    pub(crate) fn beside(&self, figure: f64) -> Self {
        Self { values: self.values.clone(), floors: vec![figure; self.values.len()] }
    }
}

/// The rate of doing these one after the other, of their own rates.
pub(crate) fn one_after_the_other(rates: &[f64]) -> f64 {
    1.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
}

/// The sample in the middle, or the mean of the two that are; not a number where there are none.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => f64::NAN,
        (Some(sample), 1) => *sample,
        (Some(sample), _) => f64::midpoint(sorted[middle - 1], *sample),
    }
}

/// The least and the most of the samples.
pub(crate) fn spread(samples: &[f64]) -> (f64, f64) {
    (samples.iter().copied().fold(f64::NAN, f64::min), samples.iter().copied().fold(f64::NAN, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_spread_goes_from_the_least_to_the_most() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 3.0));
    }

    #[test]
    fn the_ratio_is_that_of_each_round() {
        let rounds = Rounds { values: vec![10.0, 20.0, 90.0], floors: vec![10.0, 40.0, 100.0] };
        let outcome = rounds.outcome("case/1", "engine", "requests/s", Some(Target::AtLeast(0.9)));
        assert!((outcome.ratio - 0.9).abs() < f64::EPSILON);
        assert_eq!(outcome.met(), Some(true));
    }

    #[test]
    fn what_is_done_in_turn_takes_the_time_of_both() {
        assert!((one_after_the_other(&[100.0, 300.0]) - 75.0).abs() < 1e-9);
    }
}
