//! Plots of what was measured as SVG: latency by percentile, and cost by size.
//!
//! Lines with the same axes are in one plot, on a white ground, so that it can be read on any page.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;

use crate::outcome::Series;
use crate::report::number;

const SIZE: (u32, u32) = (1100, 540);
/// What the names of the lines have on the right, and how far apart they are.
const NAMES: (i32, i32) = (310, 20);
const MARGIN: i32 = 16;
const FONT: &str = "sans-serif";

/// Colours that are told apart in print, too.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(120, 94, 240),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(136, 34, 85),
    RGBColor(140, 140, 140),
    RGBColor(102, 80, 20),
    RGBColor(20, 60, 120),
];

/// How the values of an axis are spread over it.
#[derive(Clone, Copy)]
enum Scale {
    Linear,
    /// Each step is ten times as much.
    Logarithmic,
    /// Percentiles: each step has one nine more.
    Nines,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.log10(),
            Self::Nines => -(1.0 - value / 100.0).log10(),
        }
    }

    fn label(self, place: f64) -> String {
        let is_whole = (place - place.round()).abs() < 1e-6;
        match self {
            Self::Linear => number(place),
            // Between whole steps there is no round number.
            Self::Logarithmic | Self::Nines if !is_whole => String::new(),
            Self::Logarithmic if place < 0.0 => format!("{}", 10_f64.powf(place)),
            Self::Logarithmic => number(10_f64.powf(place)).trim_end_matches(".00").trim_end_matches(".0").to_owned(),
            Self::Nines => format!("{} %", (100.0 * (1.0 - 10_f64.powf(-place)) * 1e6).round() / 1e6),
        }
    }

    /// From where to where an axis goes that has these places on it; one step where it has none.
    fn range(self, places: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
        let spread = places.fold(None, |spread, place| {
            let (least, most) = spread.unwrap_or((place, place));
            Some((place.min(least), place.max(most)))
        });
        let (least, most) = spread.unwrap_or((0.0, 1.0));
        match self {
            Self::Linear => 0.0..(most * 1.1).max(f64::MIN_POSITIVE),
            Self::Logarithmic => least.floor()..most.ceil().max(least.floor() + 1.0),
            Self::Nines => 0.0..most.ceil().max(1.0),
        }
    }
}

/// Writes a plot for each pair of axes that the series have.
///
/// # Errors
///
/// Where a file cannot be written.
pub(crate) fn write(directory: &Path, series: &[Series]) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut axes: Vec<(&str, &str)> = Vec::new();
    for Series { x_label, y_label, .. } in series {
        if !axes.contains(&(x_label, y_label)) {
            axes.push((x_label, y_label));
        }
    }
    for (x_label, y_label) in axes {
        let lines: Vec<_> = series.iter().filter(|line| (line.x_label, line.y_label) == (x_label, y_label)).collect();
        let file = directory.join(file_name(x_label, y_label));
        let svg = svg(&lines, x_label, y_label)?;
        std::fs::write(&file, svg).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The words of both axes.
fn file_name(x_label: &str, y_label: &str) -> String {
    let title = format!("{y_label} by {x_label}").to_lowercase();
    let words: Vec<_> = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!("{}.svg", words.join("-"))
}

fn svg(lines: &[&Series], x_label: &str, y_label: &str) -> Result<String> {
    let is_percentiles = x_label.starts_with("percentile");
    let (x, y) = if is_percentiles { (Scale::Nines, Scale::Logarithmic) } else { (Scale::Logarithmic, Scale::Linear) };
    let placed: Vec<Vec<(f64, f64)>> = lines.iter().map(|line| placed(line, x, y)).collect();
    let all = placed.iter().flatten();
    let width = i32::try_from(SIZE.0)?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(drawing)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(MARGIN)
            .margin_right(NAMES.0)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(x.range(all.clone().map(|(x, _)| *x)), y.range(all.map(|(_, y)| *y)))
            .map_err(drawing)?;
        let (x_label_at, y_label_at) = (|place: &f64| x.label(*place), |place: &f64| y.label(*place));
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(x_label).y_desc(y_label).light_line_style(WHITE).label_style((FONT, 14));
        mesh.x_label_formatter(&x_label_at).y_label_formatter(&y_label_at).draw().map_err(drawing)?;
        for (index, (line, points)) in lines.iter().zip(placed).enumerate() {
            let style = COLOURS[index % COLOURS.len()].stroke_width(2);
            chart.draw_series(LineSeries::new(points, style).point_size(3)).map_err(drawing)?;
            let (x, y) = (width - NAMES.0 + 2 * MARGIN, MARGIN + NAMES.1 * i32::try_from(index)?);
            area.draw(&PathElement::new([(x, y + 7), (x + 18, y + 7)], style)).map_err(drawing)?;
            area.draw(&Text::new(line.name.as_str(), (x + 26, y), (FONT, 14))).map_err(drawing)?;
        }
        area.present().map_err(drawing)?;
    }
    Ok(text)
}

/// The points on these scales, without those that have no place there: the hundredth percentile, or nothing at all.
fn placed(line: &Series, x: Scale, y: Scale) -> Vec<(f64, f64)> {
    let points = line.points.iter().map(|(at, value)| (x.place(*at), y.place(*value)));
    points.filter(|(at, value)| at.is_finite() && value.is_finite()).collect()
}

/// Errors of plotters borrow from what is drawn.
fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, x_label: &'static str, points: &[(f64, f64)]) -> Series {
        Series { name: name.to_owned(), x_label, y_label: "latency, ms", points: points.to_vec() }
    }

    #[test]
    fn lines_with_the_same_axes_are_in_one_plot() {
        let directory = tempfile::tempdir().unwrap();
        let percentiles = [(50.0, 0.4), (99.0, 2.0), (99.9, 31.0), (100.0, 90.0)];
        let lines = [
            series("view <16>", "percentile", &percentiles),
            series("create", "percentile", &percentiles),
            series("first page", "customers", &[(1_000.0, 0.5), (1_000_000.0, 0.6)]),
        ];
        write(directory.path(), &lines).unwrap();
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        let latency = read("latency-ms-by-percentile.svg");
        for shown in ["view &lt;16&gt;", "create", "90 %", "99.9 %", "latency, ms"] {
            assert!(latency.contains(shown), "{shown}");
        }
        let cost = read("latency-ms-by-customers.svg");
        assert!(cost.contains("1,000,000") && cost.contains("first page"));
    }

    #[test]
    fn without_points_a_plot_has_axes_only() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &[series("nothing", "customers", &[])]).unwrap();
        assert!(directory.path().join("latency-ms-by-customers.svg").is_file());
    }
}
