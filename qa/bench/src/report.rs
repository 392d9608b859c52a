//! What was measured, for people: a table, what became of the targets, and how it compares with an earlier run.
//!
//! The table is Markdown with aligned columns, so it can be read on a terminal and goes into a document as it is.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::outcome::{Outcome, Target};

/// What another run left of a case with `--json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Earlier {
    case: String,
    engine: String,
    value: f64,
    ratio: f64,
    value_spread: (f64, f64),
}

/// Reads what `--json` wrote.
///
/// # Errors
///
/// Where there is no such file, or something else is in it.
pub(crate) fn earlier(file: &Path) -> Result<Vec<Earlier>> {
    let cannot = || format!("cannot read {} as what --json wrote", file.display());
    let text = std::fs::read(file).with_context(cannot)?;
    serde_json::from_slice(&text).with_context(cannot)
}

/// All outcomes, one in a row.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let rows = outcomes.iter().map(|outcome| {
        [
            outcome.case.clone(),
            outcome.engine.clone(),
            measured(outcome.value, outcome.value_spread, outcome.unit),
            measured(outcome.floor, outcome.floor_spread, outcome.unit),
            number(outcome.ratio),
            outcome.target.map(target).unwrap_or_default(),
            outcome.met().map(|met| if met { "yes" } else { "no" }).unwrap_or_default().to_owned(),
        ]
    });
    aligned(["case", "engine", "value", "floor", "ratio", "target", "met"], rows.collect())
}

/// How many targets were met, and which were not.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let judged: Vec<_> = outcomes.iter().filter_map(|outcome| Some((&outcome.case, outcome.met()?))).collect();
    let missed: Vec<_> = judged.iter().filter(|(_, met)| !met).map(|(case, _)| case.as_str()).collect();
    let met = format!("{} of {} targets met", judged.len() - missed.len(), judged.len());
    if missed.is_empty() { met } else { format!("{met}; missed: {}", missed.join(", ")) }
}

/// Each case that both runs have, and whether it got better or worse. It did neither where the spreads of the values
/// overlap, nor where the ratio moved the other way: then it was the machine that was faster or slower.
pub(crate) fn comparison(earlier: &[Earlier], outcomes: &[Outcome]) -> String {
    let rows = outcomes.iter().filter_map(|outcome| {
        let before = earlier.iter().find(|before| before.case == outcome.case && before.engine == outcome.engine)?;
        Some([
            outcome.case.clone(),
            outcome.engine.clone(),
            format!("{} {}", number(before.value), outcome.unit),
            format!("{} {}", number(outcome.value), outcome.unit),
            number(before.ratio),
            number(outcome.ratio),
            change(before, outcome).to_owned(),
        ])
    });
    aligned(["case", "engine", "value before", "value", "ratio before", "ratio", "change"], rows.collect())
}

fn change(before: &Earlier, outcome: &Outcome) -> &'static str {
    let is_apart = before.value_spread.1 < outcome.value_spread.0 || outcome.value_spread.1 < before.value_spread.0;
    let moved = outcome.value.total_cmp(&before.value);
    if !is_apart || moved != outcome.ratio.total_cmp(&before.ratio) {
        "none"
    } else if moved.is_gt() == more_is_better(outcome) {
        "better"
    } else {
        "worse"
    }
}

fn more_is_better(outcome: &Outcome) -> bool {
    match outcome.target {
        Some(target) => matches!(target, Target::AtLeast(_)),
        None => outcome.unit.ends_with("/s"),
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

/// With about three digits that count, and commas between thousands.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.find('.').map_or((text.as_str(), ""), |point| text.split_at(point));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// A table in Markdown, with columns as wide as their widest cell.
fn aligned<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows);
    let widths: [usize; N] =
        std::array::from_fn(|column| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
    all.insert(1, widths.map(|width| "-".repeat(width)));
    let mut table = String::new();
    for row in all {
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string does not fail.
            let _ = write!(table, "| {cell:width$} ");
        }
        table.push_str("|\n");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(case: &str, value: f64, ratio: f64, target: Option<Target>) -> Outcome {
        let engine = "MariaDB 10.11".to_owned();
        let (value_spread, floor_spread) = ((value * 0.9, value * 1.1), (value / ratio, value / ratio));
        let floor = value / ratio;
        let (case, unit) = (case.to_owned(), "requests/s");
        Outcome { case, engine, unit, value, floor, value_spread, floor_spread, ratio, target }
    }

    /// As another run reads it.
    fn reread(outcomes: &[Outcome]) -> Vec<Earlier> {
        serde_json::from_slice(&serde_json::to_vec(outcomes).unwrap()).unwrap()
    }

    #[test]
    fn the_table_is_aligned_markdown() {
        let outcomes = [
            outcome("view/16", 12_345.0, 0.95, Some(Target::AtLeast(0.9))),
            outcome("page", 0.5, 1.0, Some(Target::AtMost(0.5))),
            outcome("untargeted", 42.0, 2.0, None),
        ];
        let table = table(&outcomes);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()), "{table}");
        assert!(lines[2].contains("| 12,345 requests/s (11,110 to 13,580) |"), "{table}");
        assert!(lines[2].contains("| ≥ 0.90 | yes |"), "{table}");
        assert!(lines[3].contains("| ≤ 0.50 | no  |"), "{table}");
        assert_eq!(summary(&outcomes), "1 of 2 targets met; missed: page");
        assert_eq!(summary(&outcomes[..1]), "1 of 1 targets met");
    }

    #[test]
    fn a_change_is_one_beyond_the_spreads_that_the_ratio_confirms() {
        let rate = |value, ratio| outcome("case", value, ratio, Some(Target::AtLeast(0.9)));
        let time = |value, ratio| outcome("case", value, ratio, Some(Target::AtMost(1.5)));
        let changed = |before: Outcome, now: Outcome| change(&reread(&[before])[0], &now);
        assert_eq!(changed(rate(100.0, 0.5), rate(200.0, 0.9)), "better");
        assert_eq!(changed(rate(200.0, 0.9), rate(100.0, 0.5)), "worse");
        assert_eq!(changed(time(100.0, 1.0), time(200.0, 2.0)), "worse");
        assert_eq!(changed(rate(100.0, 0.8), rate(105.0, 0.9)), "none");
        assert_eq!(changed(rate(100.0, 0.9), rate(200.0, 0.8)), "none");
    }

    #[test]
    fn cases_that_only_one_run_has_are_not_compared() {
        let before = reread(&[outcome("gone", 1.0, 1.0, None), outcome("kept", 1.0, 1.0, None)]);
        let table = comparison(&before, &[outcome("kept", 1.0, 1.0, None), outcome("new", 1.0, 1.0, None)]);
        assert!(table.contains("kept") && !table.contains("gone") && !table.contains("new"), "{table}");
    }

    #[test]
    fn numbers_are_as_exact_as_they_are_worth() {
        let shown = [0.123, 12.34, 123.4, 1_234_567.0, -1_234.0, 999.9].map(number);
        assert_eq!(shown, ["0.12", "12.3", "123", "1,234,567", "-1,234", "1,000"]);
    }
}
