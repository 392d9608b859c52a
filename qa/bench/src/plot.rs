//! SVG plot of open-loop latencies by percentile.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

const FILE: &str = "latency-ms-by-percentile.svg";
const COLORS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/// Coordinates of the plot area: left, right, top, bottom.
const FRAME: [f64; 4] = [70.0, 660.0, 20.0, 380.0];

/// Writes the plot. Each step on the horizontal axis adds a nine to the percentile; the vertical axis is logarithmic.
pub(crate) fn write(directory: &Path, lines: &[(String, Vec<(f64, f64)>)]) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let file = directory.join(FILE);
    std::fs::write(&file, svg(lines)?).with_context(|| format!("cannot write {}", file.display()))
}

fn svg(lines: &[(String, Vec<(f64, f64)>)]) -> Result<String> {
    let [left, right, top, bottom] = FRAME;
    let latencies = || lines.iter().flat_map(|(_, points)| points).map(|(_, latency)| latency.log10());
    let least = latencies().fold(0.0, f64::min).floor();
    let most = latencies().fold(1.0, f64::max).ceil();
    let x = |percentile: f64| left - (1.0 - percentile / 100.0).log10() / 3.0 * (right - left);
    let y = |latency: f64| bottom - (latency.log10() - least) / (most - least) * (bottom - top);
    let mut svg = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 960 440' font-family='sans-serif' font-size='14'>\n\
         <rect width='960' height='440' fill='white'/>\n",
    );
    let grid = "stroke='#ddd'";
    for percentile in [50.0, 90.0, 99.0, 99.9] {
        let x = x(percentile);
        writeln!(
            svg,
            "<path d='M{x:.0} {top}V{bottom}' {grid}/><text x='{x:.0}' y='402' text-anchor='middle'>{percentile} %</text>"
        )?;
    }
    let mut exponent = least;
    while exponent <= most {
        let (latency, at) = (10_f64.powf(exponent), y(10_f64.powf(exponent)));
        writeln!(
            svg,
            "<path d='M{left} {at:.0}H{right}' {grid}/><text x='62' y='{:.0}' text-anchor='end'>{latency}</text>",
            at + 5.0
        )?;
        exponent += 1.0;
    }
    writeln!(svg, "<text x='365' y='428' text-anchor='middle'>percentile of the requests</text>")?;
    writeln!(svg, "<text transform='translate(18 200) rotate(-90)' text-anchor='middle'>latency (ms)</text>")?;
    for ((index, (name, points)), color) in lines.iter().enumerate().zip(COLORS.iter().cycle()) {
        let points: Vec<_> = points.iter().map(|(at, latency)| format!("{:.1},{:.1}", x(*at), y(*latency))).collect();
        writeln!(svg, "<polyline points='{}' fill='none' stroke='{color}' stroke-width='2'/>", points.join(" "))?;
        writeln!(svg, "<text x='680' y='{}' fill='{color}'>{name}</text>", 32 + 22 * index)?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_line_and_a_label() {
        let points = vec![(50.0, 0.4), (99.0, 2.0), (99.9, 31.0)];
        let lines = [("view at 900/s".to_owned(), points.clone()), ("create".to_owned(), points)];
        let svg = svg(&lines).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2);
        for shown in ["view at 900/s", "create", "90 %", "99.9 %", ">0.1<", ">100<", "latency (ms)"] {
            assert!(svg.contains(shown), "{shown}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
