//! Results: aggregation of rounds, comparison of runs, and output.
//!
//! Tables are Markdown with aligned columns, readable both in a terminal and in documents.

use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde::{Deserialize, Serialize};

/// Target for a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Minimum, because higher is better, as for rates.
    AtLeast(f64),
    /// Maximum, because lower is better, as for times and sizes.
    AtMost(f64),
}

impl Target {
    pub(crate) fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
        }
    }
}

/// Medians of a case's value and baseline over all rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Case name, for example `customer_view/16`; the number is the number of connections.
    pub(crate) case: String,
    /// Database server and its version.
    pub(crate) engine: String,
    pub(crate) unit: String,
    pub(crate) value: f64,
    #[serde(alias = "floor")]
    pub(crate) baseline: f64,
    /// Median of the per-round ratios.
    pub(crate) ratio: f64,
    pub(crate) target: Option<Target>,
    pub(crate) met: Option<bool>,
    /// Minimum and maximum over the rounds.
    pub(crate) value_spread: (f64, f64),
    #[serde(alias = "floor_spread")]
    pub(crate) baseline_spread: (f64, f64),
}

#[derive(Default)]
pub(crate) struct Results {
    pub(crate) outcomes: Vec<Outcome>,
    /// Operation name, and latencies in ms by percentile.
    pub(crate) latencies: Vec<(String, Vec<(f64, f64)>)>,
    pub(crate) violations: usize,
}

impl Results {
    /// Records and prints an outcome.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        let Outcome { case, unit, value, baseline, ratio, met, .. } = &outcome;
        let met = met.map_or("", |met| if met { ", met" } else { ", \x1b[31mMISSED\x1b[0m" });
        anstream::println!("{case}: {value:.1} {unit}, baseline {baseline:.1}, ratio {ratio:.2}{met}");
        self.outcomes.push(outcome);
    }
}

/// Values and baselines; each round contributes one of each.
#[derive(Default)]
pub(crate) struct Rounds {
    pub(crate) values: Vec<f64>,
    pub(crate) baselines: Vec<f64>,
}

impl Rounds {
    pub(crate) fn outcome(&self, case: &str, engine: &str, unit: &str, target: Option<Target>) -> Outcome {
        let rounds = self.values.iter().zip(&self.baselines);
        let ratio = median(&Vec::from_iter(rounds.map(|(value, baseline)| value / baseline)));
        Outcome {
            case: case.to_owned(),
            engine: engine.to_owned(),
            unit: unit.to_owned(),
            value: median(&self.values),
            baseline: median(&self.baselines),
            ratio,
            target,
            met: target.map(|target| target.is_met(ratio)),
            value_spread: spread(&self.values),
            baseline_spread: spread(&self.baselines),
        }
    }
}

/// Returns the rate of an operation that consists of operations with these rates in sequence.
pub(crate) fn in_sequence(rates: &[f64]) -> f64 {
    1.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
}

/// Returns the median of the samples, or NaN if there are no samples.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (upper, lower) = (sorted.get(sorted.len() / 2), sorted.get(sorted.len().saturating_sub(1) / 2));
    upper.zip(lower).map_or(f64::NAN, |(upper, lower)| f64::midpoint(*upper, *lower))
}

fn spread(samples: &[f64]) -> (f64, f64) {
    (samples.iter().copied().fold(f64::NAN, f64::min), samples.iter().copied().fold(f64::NAN, f64::max))
}

/// Reads a file that an earlier run wrote with `--json`.
pub(crate) fn read(file: &Path) -> Result<Vec<Outcome>> {
    let cannot = || format!("cannot read {} as a result of --json", file.display());
    let text = std::fs::read(file).with_context(cannot)?;
    serde_json::from_slice(&text).with_context(cannot)
}

pub(crate) fn table(outcomes: &[Outcome]) -> Table {
    let mut table = markdown(["case", "engine", "value", "baseline", "ratio", "target", "met"]);
    table.add_rows(outcomes.iter().map(|outcome| {
        [
            outcome.case.clone(),
            outcome.engine.clone(),
            measured(outcome.value, outcome.value_spread, &outcome.unit),
            measured(outcome.baseline, outcome.baseline_spread, &outcome.unit),
            number(outcome.ratio),
            outcome.target.map(target).unwrap_or_default(),
            outcome.met.map(|met| if met { "yes" } else { "no" }).unwrap_or_default().to_owned(),
        ]
    }));
    table
}

/// Returns the number of targets met, and the names of the cases that missed their targets.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let met =
        |met| outcomes.iter().filter(move |outcome| outcome.met == Some(met)).map(|outcome| outcome.case.as_str());
    let (met, missed) = (met(true).count(), met(false).collect::<Vec<_>>());
    format!("{met} targets met, {} missed: {}", missed.len(), missed.join(", "))
}

/// Compares the cases that both runs contain. Also returns whether any of them is worse than before.
pub(crate) fn comparison(earlier: &[Outcome], outcomes: &[Outcome]) -> (Table, bool) {
    let mut table = markdown(["case", "value before", "value", "ratio before", "ratio", "change", ""]);
    let mut is_worse = false;
    for now in outcomes {
        let of_both = |before: &&Outcome| before.case == now.case && before.engine == now.engine;
        let Some(before) = earlier.iter().find(of_both) else { continue };
        let change = change(before, now);
        is_worse |= change == "worse";
        let [value_before, value, ratio_before, ratio] = [before.value, now.value, before.ratio, now.ratio].map(number);
        table.add_row([&now.case, &value_before, &value, &ratio_before, &ratio, change, &now.unit]);
    }
    (table, is_worse)
}

/// Classifies a change: none if the ranges overlap, or if the ratio moved the other way as the machine's speed did.
fn change(before: &Outcome, outcome: &Outcome) -> &'static str {
    let is_apart = before.value_spread.1 < outcome.value_spread.0 || outcome.value_spread.1 < before.value_spread.0;
    let moved = outcome.value.total_cmp(&before.value);
    let is_higher_better = match outcome.target {
        Some(target) => matches!(target, Target::AtLeast(_)),
        None => outcome.unit.ends_with("/s"),
    };
    if !is_apart || moved != outcome.ratio.total_cmp(&before.ratio) {
        "none"
    } else if moved.is_gt() == is_higher_better {
        "better"
    } else {
        "worse"
    }
}

fn measured(median: f64, (least, most): (f64, f64), unit: &str) -> String {
    let (median, least, most) = (number(median), number(least), number(most));
    if least == most { format!("{median} {unit}") } else { format!("{median} {unit} ({least} to {most})") }
}

fn target(target: Target) -> String {
    match target {
        Target::AtLeast(least) => format!("≥ {}", number(least)),
        Target::AtMost(most) => format!("≤ {}", number(most)),
    }
}

/// Formats a number with two decimals below 10, one below 100, none from 100, and commas as thousands separators.
fn number(value: f64) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    let mut text = format!("{value:.decimals$}");
    let mut comma = text.find('.').unwrap_or(text.len());
    while comma > 3 {
        comma -= 3;
        text.insert(comma, ',');
    }
    text
}

fn markdown<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    table
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

    fn outcome(case: &str, value: f64, ratio: f64, target: Option<Target>) -> Outcome {
        let (baseline, met) = (value / ratio, target.map(|target| target.is_met(ratio)));
        let (value_spread, baseline_spread) = ((value * 0.9, value * 1.1), (baseline, baseline));
        let (case, engine, unit) = (case.to_owned(), "MariaDB 10.11".to_owned(), "requests/s".to_owned());
        Outcome { case, engine, unit, value, baseline, ratio, target, met, value_spread, baseline_spread }
    }

    #[test]
    fn table_is_aligned_markdown() {
        let outcomes = [
            outcome("view/16", 12_345.0, 0.95, Some(Target::AtLeast(0.9))),
            outcome("page", 0.5, 1.0, Some(Target::AtMost(0.5))),
            outcome("untargeted", 42.0, 2.0, None),
        ];
        let table = table(&outcomes).to_string();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()), "{table}");
        assert!(lines[2].contains("| 12,345 requests/s (11,110 to 13,580) |"), "{table}");
        assert!(lines[2].contains("| ≥ 0.90 | yes |"), "{table}");
        assert!(lines[3].contains("| ≤ 0.50 | no  |"), "{table}");
        assert_eq!(summary(&outcomes), "1 targets met, 1 missed: page");
    }

    #[test]
    fn change_is_beyond_the_spreads_and_confirmed_by_the_ratio() {
        let rate = |value, ratio| outcome("case", value, ratio, Some(Target::AtLeast(0.9)));
        let time = |value, ratio| outcome("case", value, ratio, Some(Target::AtMost(1.5)));
        assert_eq!(change(&rate(100.0, 0.5), &rate(200.0, 0.9)), "better");
        assert_eq!(change(&rate(200.0, 0.9), &rate(100.0, 0.5)), "worse");
        assert_eq!(change(&time(100.0, 1.0), &time(200.0, 2.0)), "worse");
        assert_eq!(change(&rate(100.0, 0.8), &rate(105.0, 0.9)), "none");
        assert_eq!(change(&rate(100.0, 0.9), &rate(200.0, 0.8)), "none");
    }

    #[test]
    fn comparison_has_the_cases_of_both_runs() {
        let before = [outcome("gone", 1.0, 1.0, None), outcome("kept", 9.0, 9.0, None)];
        let (table, is_worse) = comparison(&before, &[outcome("kept", 1.0, 1.0, None), outcome("new", 1.0, 1.0, None)]);
        let table = table.to_string();
        assert!(table.contains("kept") && !table.contains("gone") && !table.contains("new"), "{table}");
        assert!(is_worse);
    }

    #[test]
    fn results_with_former_field_names_are_read() {
        let written = serde_json::to_string(&[outcome("case", 2.0, 0.5, Some(Target::AtLeast(0.9)))]).unwrap();
        for text in [written.clone(), written.replace("baseline", "floor")] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(change(&read(file.path()).unwrap()[0], &outcome("case", 2.0, 0.5, None)), "none");
        }
    }

    #[test]
    fn larger_numbers_have_fewer_decimals() {
        let shown = [0.123, 12.34, 123.4, 1_234_567.0, 999.9].map(number);
        assert_eq!(shown, ["0.12", "12.3", "123", "1,234,567", "1,000"]);
    }
}
