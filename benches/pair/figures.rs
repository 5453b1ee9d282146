//! Samples and the rows of the table.

use std::fmt;

/// Measured values of one thing, in its unit.
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The nearest value that `percent` of all do not exceed; NaN of nothing.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub fn max(&self) -> f64 {
        self.percentile(100)
    }
}

/// One line of the table.
pub struct Row {
    what: String,
    unit: &'static str,
    p50: Option<f64>,
    p95: Option<f64>,
    max: Option<f64>,
    count: usize,
    note: String,
}

impl Row {
    pub const HEADER: &str = "| what | p50 | p95 | max | unit | n | |\n| --- | --: | --: | --: | --- | --: | --- |";

    /// With p50, p95 (of 20 values or more) and maximum.
    pub fn of(what: impl Into<String>, unit: &'static str, samples: &Samples, note: impl Into<String>) -> Self {
        /// Below that the p95 is the maximum.
        const P95_NEEDS: usize = 20;
        Self {
            what: what.into(),
            unit,
            p50: Some(samples.median()),
            p95: (samples.count() >= P95_NEEDS).then(|| samples.percentile(95)),
            max: Some(samples.max()),
            count: samples.count(),
            note: note.into(),
        }
    }

    /// One value.
    pub fn single(what: impl Into<String>, unit: &'static str, value: f64, note: impl Into<String>) -> Self {
        Self { what: what.into(), unit, p50: Some(value), p95: None, max: None, count: 1, note: note.into() }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = match self.unit {
            "bytes" => 0,
            "MB" => 1,
            _ => 2,
        };
        let cell = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.places$}"));
        let Self { what, unit, count, note, .. } = self;
        let (p50, p95, max) = (cell(self.p50), cell(self.p95), cell(self.max));
        write!(f, "| {what} | {p50} | {p95} | {max} | {unit} | {count} | {note} |")
    }
}
