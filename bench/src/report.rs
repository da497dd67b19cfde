//! The rows that benchmarks print.

use serde::Serialize;

/// One figure of one case.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Suite.
    pub suite: &'static str,
    /// Case.
    pub case: String,
    /// `tuplix`, or the peer's name.
    pub system: String,
    /// `off`, `async` or `sync`.
    pub log: &'static str,
    /// Concurrent clients.
    pub clients: usize,
    /// `throughput_per_s`, `latency_us_p50` or `latency_us_p99`; `snapshot` has `latency_us_p999` and `growth`
    /// `resident_bytes_per_row` beside them, `recovery` `seconds`, `bytes_read` and `bytes_per_s`, `checkpoint` how many `checkpoints`,
    /// `scheduler` `percent_of_a_core`, `seconds` of a graph and `critical_path_seconds`, what its tasks took themselves.
    pub metric: &'static str,
    /// Lowest of the runs.
    pub min: f64,
    /// Median of the runs.
    pub median: f64,
    /// Highest of the runs.
    pub max: f64,
}

/// Prints figures as they come, and compares them at the end.
pub struct Report {
    json: bool,
    figures: Vec<Figure>,
}

impl Report {
    /// An empty report.
    pub fn new(json: bool) -> Report {
        if !json {
            say(&format!(
                "{:<10} {:<22} {:<10} {:<6} {:>7} {:<22} {:>13} {:>13} {:>13}",
                "suite", "case", "system", "log", "clients", "metric", "min", "median", "max"
            ));
        }
        Report { json, figures: Vec::new() }
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    /// Prints one figure.
    pub fn add(&mut self, figure: Figure) {
        if self.json {
            say(&serde_json::to_string(&figure).unwrap_or_default());
        } else {
            let Figure { suite, case, system, log, clients, metric, min, median, max } = &figure;
            say(&format!(
                "{suite:<10} {case:<22} {system:<10} {log:<6} {clients:>7} {metric:<22} {min:>13.2} {median:>13.2} {max:>13.2}"
            ));
        }
        self.figures.push(figure);
    }

    /// Tuplix's throughput against each peer's, in the same case.
    pub fn ratios(&self) {
        if self.json {
            return;
        }
        let throughput = |figure: &&Figure| figure.metric == "throughput_per_s";
        let ours = self.figures.iter().filter(throughput).filter(|figure| figure.system == "tuplix");
        for figure in ours {
            let peers = self.figures.iter().filter(throughput).filter(|peer| peer.system != "tuplix");
            // Where both have as many connections, those are compared.
            let as_many = |peer: &&Figure| figure.suite != "wire" || peer.clients == figure.clients;
            let peers = peers.filter(as_many);
            for peer in peers.filter(|peer| peer.suite == figure.suite && same_case(&peer.case, &figure.case))
            {
                say(&format!(
                    "tuplix {} (log {}, {} clients) is {:.1}x {} (log {}, {} clients): min {:.1}x, max {:.1}x",
                    figure.case,
                    figure.log,
                    figure.clients,
                    figure.median / peer.median,
                    peer.system,
                    peer.log,
                    peer.clients,
                    figure.min / peer.max,
                    figure.max / peer.min,
                ));
            }
        }
    }
}

/// Whether a peer's case is ours: `paper` is the peer of `paper/1_partitions`, for peers have no partitions.
fn same_case(peer: &str, ours: &str) -> bool {
    peer == ours || ours.split_once('/').is_some_and(|(load, _)| load == peer)
}

#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}
