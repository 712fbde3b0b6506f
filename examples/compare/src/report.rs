//! What was found, as data, as words and as text tables.
//!
//! - I1: a [`Section`] holds everything that the terminal and the page show of one use, so that
//!   they cannot disagree.
//! - I2: every sentence of a verdict is computed from the section's figures.
//!
//! It does not measure, and does not know HTML.

use std::fmt::Write;

use crate::break_even::Balance;
use crate::figures::{Bytes, Count, Nanos, Percent, bytes_or_dash};
use crate::harness::Timing;
use crate::probe::Memory;
use crate::work::Maker;

/// One arm's figures.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) maker: Maker,
    pub(crate) in_batches: bool,
    pub(crate) timing: Timing,
    /// Its median over the standard library's.
    pub(crate) ratio: f64,
    pub(crate) memory: Option<Memory>,
}

/// One use.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: String,
    pub(crate) unit: &'static str,
    /// The first one is the standard library's.
    pub(crate) rows: Vec<Row>,
    pub(crate) remarks: Vec<&'static str>,
    pub(crate) balances: Vec<Balance>,
    pub(crate) rounds: u32,
    pub(crate) iterations: u64,
}

/// Everything, with where and when.
pub(crate) struct Report {
    pub(crate) document: String,
    pub(crate) sections: Vec<Section>,
    pub(crate) machine: String,
    pub(crate) command: String,
    pub(crate) date: String,
    /// Why the figures must not be believed, if so.
    pub(crate) warning: Option<&'static str>,
}

/// What stands over the columns.
pub(crate) const HEADINGS: [&str; 8] = [
    "way",
    "time",
    "±",
    "vs std",
    "allocations",
    "peak bytes",
    "peak resident",
    "resident after",
];

/// What the columns mean; under every set of tables.
pub(crate) const LEGEND: &str = "time: median, and half the distance between its quartiles. \
allocations: calls to the system allocator per unit, once warm. peak bytes: most bytes asked of \
the system allocator at once, plus the pages that flagstone's own types owned. peak resident, \
resident after: the operating system's figures, in a process of the arm's own, above the level \
before it began; after: pools and arenas kept, nothing trimmed.";

/// On a quiet machine the quartiles of all rows lie within a few per cent of their medians; with
/// one other busy thread per processor they lie beyond this.
const SPREAD_MAX: f64 = 0.2;

impl Row {
    pub(crate) fn cells(&self) -> [String; HEADINGS.len()] {
        let memory = |show: &dyn Fn(&Memory) -> String| {
            self.memory
                .as_ref()
                .map_or_else(|| bytes_or_dash(None), show)
        };
        [
            self.title.into(),
            Nanos(self.timing.median_ns).to_string(),
            format!("{:.0} %", self.timing.spread() * 100.0),
            format!("{:.2}", self.ratio),
            memory(&|memory| Count(memory.allocations).to_string()),
            memory(&|memory| Bytes(memory.peak_bytes()).to_string()),
            memory(&|memory| bytes_or_dash(memory.resident_peak_bytes)),
            memory(&|memory| bytes_or_dash(memory.resident_after_bytes)),
        ]
    }
}

impl Section {
    /// What the figures say, a sentence or two per entry.
    pub(crate) fn verdict(&self) -> Vec<String> {
        let singly = || {
            self.rows
                .iter()
                .filter(|row| !row.in_batches && row.maker != Maker::Floor)
        };
        let mut sentences = Vec::new();
        if let Some(best) = fastest(singly()) {
            sentences.push(self.praise("The fastest way", best));
            let ours = fastest(singly().filter(|row| row.maker == Maker::Flagstone));
            if let Some(ours) = ours.filter(|_| best.maker != Maker::Flagstone) {
                sentences.push(self.praise("Of flagstone's, the fastest", ours));
            }
        }
        if let Some(batch) = fastest(self.rows.iter().filter(|row| row.in_batches)) {
            let praise = self.praise("Where all may die together, the fastest", batch);
            sentences.push(match self.peak_against_std(batch) {
                Some(factor) => format!("{praise} It holds {factor:.1} times the bytes of std."),
                None => praise,
            });
        }
        sentences.extend(self.balances.iter().map(Balance::to_string));
        sentences
    }

    /// Why these times should be taken again, if so.
    pub(crate) fn caveat(&self) -> Option<String> {
        let widest = self
            .rows
            .iter()
            .map(|row| row.timing.spread())
            .fold(0.0, f64::max);
        let disturbed = self.rows.iter().any(|row| row.timing.disturbed);
        (disturbed || widest > SPREAD_MAX).then(|| {
            format!(
                "These times spread by up to {} of their medians{}: something else kept this \
                 machine busy. Run it again in quiet before you believe them.",
                Percent(widest),
                if disturbed {
                    ", and hardly a sample was without interruption"
                } else {
                    ""
                }
            )
        })
    }

    /// How often everything was done.
    pub(crate) fn effort(&self) -> String {
        let plural = if self.iterations == 1 { "" } else { "s" };
        format!(
            "{} rounds of {} iteration{plural} each",
            self.rounds, self.iterations
        )
    }

    /// The fastest of flagstone's ways that does the whole job.
    pub(crate) fn best_of_ours(&self) -> Option<&Row> {
        let is_ours = |row: &&Row| row.maker == Maker::Flagstone && !row.in_batches;
        fastest(self.rows.iter().filter(is_ours))
    }

    fn praise(&self, who: &str, row: &Row) -> String {
        let std = &self.rows[0];
        if row.maker == Maker::Std {
            return format!("{who} is {}: nothing here beats it.", row.title);
        }
        let mut text = format!(
            "{who} is {}: {} per {}, {:.2} of what {} takes",
            row.title,
            Nanos(row.timing.median_ns),
            self.unit,
            row.ratio,
            std.title
        );
        if let (Some(own), Some(other)) = (row.memory, std.memory) {
            let (own, other) = (Count(own.allocations), Count(other.allocations));
            let _ = write!(text, ", with {own} allocations instead of {other}");
        }
        text.push('.');
        text
    }

    fn peak_against_std(&self, row: &Row) -> Option<f64> {
        let std_bytes = self.rows[0].memory?.peak_bytes();
        Some(row.memory?.peak_bytes() as f64 / std_bytes.max(1) as f64)
    }

    /// The table and the verdict, for a terminal.
    fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.title, "-".repeat(self.title.len()));
        text.push_str(&wrap(&self.description, ""));
        let _ = writeln!(text, "{}, per {}:\n", self.effort(), self.unit);
        text.push_str(&table(&self.rows));
        text.push('\n');
        for sentence in self.verdict() {
            text.push_str(&wrap(&sentence, "=> "));
        }
        for remark in self
            .caveat()
            .iter()
            .map(String::as_str)
            .chain(self.remarks.iter().copied())
        {
            text.push_str(&wrap(remark, "   "));
        }
        text
    }
}

impl Report {
    /// All tables, for a terminal.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            text.push_str(&section.to_text());
            text.push_str("\n\n");
        }
        text.push_str(&wrap(LEGEND, ""));
        let _ = writeln!(text, "{}\n{}", self.machine, self.date);
        if let Some(warning) = self.warning {
            let _ = writeln!(text, "{warning}");
        }
        text
    }
}

fn fastest<'r>(rows: impl Iterator<Item = &'r Row>) -> Option<&'r Row> {
    rows.min_by(|a, b| a.timing.median_ns.total_cmp(&b.timing.median_ns))
}

/// An aligned table: the first column to the left, figures to the right.
fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADINGS.map(String::from)];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|at| width(at).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let _ = write!(text, "{:<1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
        if index == 0 {
            let rule = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
            let _ = writeln!(text, "{}", "-".repeat(rule));
        }
    }
    text
}

/// Columns of a terminal that everyone has wide enough.
const TEXT_WIDTH: usize = 100;

/// Breaks `text` into lines; `first` stands before the first one, and as much space before others.
fn wrap(text: &str, first: &str) -> String {
    let mut lines = String::from(first);
    let indent = first.chars().count();
    let mut column = indent;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > indent && column + 1 + width > TEXT_WIDTH {
            let _ = write!(lines, "\n{:indent$}", "");
            column = indent;
        }
        if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
    }
    lines.push('\n');
    lines
}
