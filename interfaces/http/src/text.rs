//! Prometheus's text format, version 0.0.4: a HELP and a TYPE line for each metric, then its samples.

use std::fmt::Write as _;

/// The media type of the format.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// It only grows, until the node restarts.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A text of metrics.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// A metric of one sample.
    pub(crate) fn one(&mut self, kind: Kind, name: &str, help: &str, value: impl Into<f64>) {
        self.head(kind_of(kind), name, help);
        self.sample(name, &[], value.into());
    }

    /// A counter. Counts beyond 2^53 lose their last digits, as every sample of Prometheus does.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.one(Kind::Counter, name, help, value as f64);
    }

    /// A gauge.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.one(Kind::Gauge, name, help, value as f64);
    }

    /// A metric of a sample for each value of a label.
    pub(crate) fn labelled<'a>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        self.head(kind_of(kind), name, help);
        for (value, sample) in samples {
            self.sample(name, &[(label, value)], sample);
        }
    }

    /// A histogram: how many samples each bucket has, the last one without a bound, and their sum.
    pub(crate) fn histogram(&mut self, name: &str, help: &str, bounds: &[f64], counts: &[u64], sum: f64) {
        self.head("histogram", name, help);
        let mut total = 0;
        for (index, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds.get(index).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            self.sample(&format!("{name}_bucket"), &[("le", &bound)], total as f64);
        }
        self.sample(&format!("{name}_sum"), &[], sum);
        self.sample(&format!("{name}_count"), &[], total as f64);
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.0
    }

    // Writing to a string cannot fail.
    fn head(&mut self, kind: &str, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

fn kind_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_prometheus_own() {
        let mut text = Text::default();
        text.counter("a_total", "How many.", 3);
        text.labelled(Kind::Gauge, "b", "Which.", "state", [("on", 1.0), ("o\"ff\\", 0.5)]);
        text.histogram("c_seconds", "How long.", &[0.1, 1.0], &[1, 0, 2], 7.5);
        let expected = "\
# HELP a_total How many.
# TYPE a_total counter
a_total 3
# HELP b Which.
# TYPE b gauge
b{state=\"on\"} 1
b{state=\"o\\\"ff\\\\\"} 0.5
# HELP c_seconds How long.
# TYPE c_seconds histogram
c_seconds_bucket{le=\"0.1\"} 1
c_seconds_bucket{le=\"1\"} 1
c_seconds_bucket{le=\"+Inf\"} 3
c_seconds_sum 7.5
c_seconds_count 3
";
        assert_eq!(text.finish(), expected);
    }
}
