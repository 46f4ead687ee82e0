//! Figures with their spread, what was asked of them, and where they are written.

use crate::Effort;
use serde::Serialize;
use std::time::Duration;
use tests::support::build::target_dir;

/// The median of repeats, with the range.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// # Panics
    /// When there is no repeat.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (first, last) = (values[0], values[values.len() - 1]);
        Self { median: values[values.len() / 2], min: first, max: last }
    }
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// `PERF1`
    pub target: &'static str,
    pub what: String,
    pub unit: &'static str,
    pub spread: Spread,
    /// What it must not exceed; nothing for raw limits and the like.
    pub limit: Option<f64>,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    repeats: usize,
    seconds: f64,
    cpu: String,
    /// Processes that wanted a core, a minute's mean, at the beginning: beside others, ratios are all that counts.
    load_average: String,
    pub figures: Vec<Figure>,
}

impl Report {
    pub fn new(effort: Effort) -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("?");
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let cpu = format!("{cores} x {model}");
        Self {
            repeats: effort.repeats,
            seconds: effort.length.as_secs_f64(),
            cpu,
            load_average: load_average(),
            figures: Vec::new(),
        }
    }

    /// Notes a figure and prints it as it comes.
    pub fn add(
        &mut self,
        target: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        values: Vec<f64>,
        limit: Option<f64>,
    ) {
        let figure = Figure { target, what: what.into(), unit, spread: Spread::of(values), limit };
        println!("{}", line(&figure));
        self.figures.push(figure);
    }

    pub fn print(&self) {
        let (before, after) = (&self.load_average, load_average());
        println!("\n{} repeats of {} s, {}", self.repeats, self.seconds, self.cpu);
        println!("load average {before} before, {after} after");
        println!(
            "{:<7} {:<52} {:>11} {:>21} {:>9}",
            "target", "what", "median", "min-max", "limit"
        );
        for figure in &self.figures {
            println!("{}", line(figure));
        }
    }

    /// `target/bench/<target>.json`, one file per target, so that a partial run replaces only its own.
    pub fn write(&self) {
        let folder = target_dir().join("bench");
        std::fs::create_dir_all(&folder).expect("target/bench");
        let mut targets: Vec<_> = self.figures.iter().map(|figure| figure.target).collect();
        targets.dedup();
        for target in targets {
            let figures: Vec<_> =
                self.figures.iter().filter(|figure| figure.target == target).collect();
            let json = serde_json::json!({
                "repeats": self.repeats, "seconds": self.seconds, "cpu": self.cpu,
                "load_average": self.load_average, "figures": figures,
            });
            let file = folder.join(format!("{}.json", target.to_lowercase()));
            let text = serde_json::to_string_pretty(&json).expect("JSON");
            std::fs::write(&file, text).expect("a file of figures");
        }
    }
}

fn load_average() -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or("?").to_owned()
}

fn line(figure: &Figure) -> String {
    let Spread { median, min, max } = figure.spread;
    let limit = match figure.limit {
        Some(limit) if median <= limit => format!("<= {limit} ok"),
        Some(limit) => format!("<= {limit} MISSED"),
        None => String::new(),
    };
    let (what, unit) = (&figure.what, figure.unit);
    format!("{:<7} {what:<52} {median:>8.3} {unit:<4} {min:>9.3}-{max:<9.3} {limit}", figure.target)
}

/// Microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
