//! Strict parser of the Prometheus text format, version 0.0.4.

#![expect(clippy::panic, reason = "a test helper fails the test")]

use std::collections::{BTreeMap, BTreeSet};

/// Samples from one scrape.
pub struct Scrape {
    /// Values by series: the name and the labels as they appear in the text.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Parses the text of a scrape.
    ///
    /// # Panics
    ///
    /// Panics if a line is not a sample, or a metric has no HELP or TYPE.
    pub fn read(text: &str) -> Self {
        let (mut samples, mut described, mut typed) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, _] => drop(described.insert(name)),
                ["#", "TYPE", name, kind] => drop(typed.insert(name, kind)),
                _ => {
                    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is not a sample"));
                    let value = value.parse().unwrap_or_else(|_| panic!("{line:?} has no numeric value"));
                    let name = series.split('{').next().unwrap_or_default();
                    let family = family(name, &typed).unwrap_or_else(|| panic!("{name} has no TYPE"));
                    assert!(described.contains(family), "{family} has no HELP");
                    assert!(samples.insert(series.to_owned(), value).is_none(), "{series} is duplicated");
                }
            }
        }
        Self { samples }
    }

    /// Returns the sum of the samples with this name and all of these labels; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.samples.iter().filter(|(series, _)| {
            let (found, rest) = series.split_once('{').unwrap_or((series, ""));
            found == name && labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
        });
        samples.map(|(_, value)| value).sum()
    }

    /// Returns the names of all samples, without labels.
    pub fn names(&self) -> BTreeSet<&str> {
        self.samples.keys().filter_map(|series| series.split('{').next()).collect()
    }
}

/// Returns the name of a sample's metric family: the sample's name, without a histogram's suffix.
fn family<'n>(name: &'n str, typed: &BTreeMap<&str, &str>) -> Option<&'n str> {
    let without_suffix = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
    let mut histograms = without_suffix.filter(|family| typed.get(family) == Some(&"histogram"));
    histograms.next().or_else(|| typed.contains_key(name).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "# HELP a_total What a is\n# TYPE a_total counter\na_total{b=\"1\",c=\"x\"} 2\na_total{b=\"2\"} 3\n";

    #[test]
    fn samples_are_summed_by_labels() {
        let scrape = Scrape::read(GOOD);
        assert_eq!([scrape.sum("a_total", &[]), scrape.sum("a_total", &[("b", "1")])], [5.0, 2.0]);
        assert_eq!([scrape.sum("a", &[]), scrape.sum("a_total", &[("b", "3")])], [0.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "a_total has no HELP")]
    fn a_metric_without_a_description_is_refused() {
        Scrape::read(GOOD.strip_prefix("# HELP a_total What a is\n").unwrap_or_default());
    }
}
