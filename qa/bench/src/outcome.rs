//! What a case comes to.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// What a ratio has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// More is better: a rate.
    AtLeast(f64),
    /// Less is better: a time, a size.
    AtMost(f64),
}

/// A value beside its floor: what it is held against, measured in the same run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What was measured, and with how many connections: `customer_view/16`.
    pub(crate) case: String,
    /// The database server and its version.
    pub(crate) engine: String,
    /// Of the value and of the floor.
    pub(crate) unit: &'static str,
    /// The median of the rounds.
    pub(crate) value: f64,
    /// The median of the rounds.
    pub(crate) floor: f64,
    /// The least and the most of the rounds.
    pub(crate) value_spread: (f64, f64),
    /// The least and the most of the rounds.
    pub(crate) floor_spread: (f64, f64),
    /// Value by floor: the median of what it was in each round.
    pub(crate) ratio: f64,
    /// Of the ratio.
    pub(crate) target: Option<Target>,
}

impl Outcome {
    /// Whether the ratio is as it has to be; none without a target.
    pub(crate) fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtLeast(least) => self.ratio >= least,
            Target::AtMost(most) => self.ratio <= most,
        })
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Outcome", 10)?;
        object.serialize_field("case", &self.case)?;
        object.serialize_field("engine", &self.engine)?;
        object.serialize_field("unit", self.unit)?;
        object.serialize_field("value", &self.value)?;
        object.serialize_field("floor", &self.floor)?;
        object.serialize_field("ratio", &self.ratio)?;
        object.serialize_field("target", &self.target)?;
        object.serialize_field("met", &self.met())?;
        object.serialize_field("value_spread", &self.value_spread)?;
        object.serialize_field("floor_spread", &self.floor_spread)?;
        object.end()
    }
}

/// A line of a plot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Series {
    /// What was measured: `latency of customer_view at 2,000/s`.
    pub(crate) name: String,
    /// What the first of each point is, with its unit.
    pub(crate) x_label: &'static str,
    /// What the second of each point is, with its unit.
    pub(crate) y_label: &'static str,
    /// By ascending x.
    pub(crate) points: Vec<(f64, f64)>,
}

/// All that was measured so far.
#[derive(Default)]
pub(crate) struct Results {
    /// The rows of the table.
    pub(crate) outcomes: Vec<Outcome>,
    /// The lines of the plots.
    pub(crate) series: Vec<Series>,
}

impl Results {
    /// Keeps an outcome and prints it.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        let Outcome { case, unit, value, floor, ratio, .. } = &outcome;
        let judged = match outcome.met() {
            None => "",
            Some(true) => ", met",
            Some(false) => ", MISSED",
        };
        println!("{case}: {value:.1} {unit}, floor {floor:.1}, ratio {ratio:.2}{judged}");
        self.outcomes.push(outcome);
    }
}
