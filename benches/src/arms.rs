//! Figures of contenders that each need a process: samples, medians, ratios, tables.
//!
//! Knows neither processes nor workloads: a row has a name and, for every contender in the order
//! of the columns, its samples. The first contender is ours.

/// What one run of one contender gave.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Must be the same for all contenders of a row.
    pub checksum: u64,
    /// Time of the work alone, in nanoseconds.
    pub time: f64,
    /// Resident memory at its highest, in KiB.
    pub peak: f64,
    /// Resident memory at the end less that before the work, in KiB; not below zero.
    pub settled: f64,
    /// Resident memory at the end, in KiB: what an allocator holds from its start counts too.
    pub resident: f64,
}

/// One workload with one number of threads.
#[derive(Clone, Debug)]
pub struct ArmsRow {
    /// What the table calls it.
    pub name: String,
    /// The samples of every contender; none where it failed.
    pub samples: Vec<Vec<Sample>>,
}

/// Which figure of a sample a table shows.
pub type Pick = fn(&Sample) -> f64;

/// What stands for all samples of a contender: [`ArmsRow::median`] or [`ArmsRow::lowest`].
pub type Summary = fn(&ArmsRow, usize, Pick) -> f64;

impl ArmsRow {
    /// The median of a contender's figure; NaN where there is none.
    pub fn median(&self, arm: usize, pick: Pick) -> f64 {
        quantile(&self.samples[arm], pick, 0.5)
    }

    /// The lowest of a contender's figure: on a busy machine, the round that was disturbed least.
    pub fn lowest(&self, arm: usize, pick: Pick) -> f64 {
        quantile(&self.samples[arm], pick, 0.0)
    }

    /// The distance between the quartiles as a share of the median.
    pub fn spread(&self, arm: usize, pick: Pick) -> f64 {
        let samples = &self.samples[arm];
        let quartiles = quantile(samples, pick, 0.75) - quantile(samples, pick, 0.25);
        quartiles / self.median(arm, pick)
    }

    /// The peer with the lowest figure of a kind.
    pub fn best_peer(&self, of: Summary, pick: Pick) -> usize {
        let peers = (1..self.samples.len()).filter(|&arm| !self.samples[arm].is_empty());
        peers
            .min_by(|&a, &b| of(self, a, pick).total_cmp(&of(self, b, pick)))
            .unwrap_or(0)
    }
}

fn quantile(samples: &[Sample], pick: Pick, share: f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(pick).collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        len => figures[((len - 1) as f64 * share).round() as usize],
    }
}

/// The geometric mean of the figures that are there.
pub fn geometric_mean(figures: impl Iterator<Item = f64>) -> f64 {
    let logarithms: Vec<f64> = figures
        .filter(|figure| figure.is_finite() && *figure > 0.0)
        .map(f64::ln)
        .collect();
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
}

/// Prints our figure in `unit`s of `scale`, and its ratio to every peer and to the row's best.
pub fn print_ratios(
    title: &str,
    (unit, scale): (&str, f64),
    arms: &[&str],
    rows: &[ArmsRow],
    of: Summary,
    pick: Pick,
) {
    print!("\n{title:<20} {unit:>8} {:>7}", "spread");
    for peer in &arms[1..] {
        print!(" {peer:>9}");
    }
    println!(" {:>7}  best peer", "best");
    let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); arms.len()];
    for row in rows {
        let ours = of(row, 0, pick);
        let spread = 100.0 * row.spread(0, pick);
        print!("{:<20} {:>8.1} {spread:>5.0} %", row.name, ours / scale);
        for (arm, ratios) in ratios.iter_mut().enumerate().skip(1) {
            let ratio = ours / of(row, arm, pick);
            print!(" {ratio:>9.2}");
            ratios.push(ratio);
        }
        let best = row.best_peer(of, pick);
        let ratio = ours / of(row, best, pick);
        let mark = if ratio > 1.25 { " (above 1.25)" } else { "" };
        println!(" {ratio:>7.2}  {}{mark}", arms[best]);
        ratios[0].push(ratio);
    }
    print!("{:<20} {:>16}", "geometric mean", "");
    for peer in &ratios[1..] {
        print!(" {:>9.2}", geometric_mean(peer.iter().copied()));
    }
    println!(" {:>7.2}", geometric_mean(ratios[0].iter().copied()));
}

/// Prints every contender's median as it is, and the highest of each: for figures that may be 0.
pub fn print_figures(title: &str, arms: &[&str], rows: &[ArmsRow], pick: Pick) {
    print!("\n{title:<20}");
    for arm in arms {
        print!(" {arm:>9}");
    }
    println!();
    let mut highest = vec![0.0_f64; arms.len()];
    for row in rows {
        print!("{:<20}", row.name);
        for (arm, highest) in highest.iter_mut().enumerate() {
            let figure = row.median(arm, pick);
            print!(" {figure:>9.0}");
            *highest = highest.max(figure);
        }
        println!();
    }
    print!("{:<20}", "highest");
    for highest in highest {
        print!(" {highest:>9.0}");
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time: f64) -> Sample {
        Sample {
            checksum: 0,
            time,
            peak: 1.0,
            settled: 0.0,
            resident: 0.0,
        }
    }

    #[test]
    fn medians_and_best_peer() {
        let samples = vec![
            vec![sample(3.0), sample(1.0), sample(2.0)],
            vec![sample(5.0)],
            vec![sample(4.0)],
            Vec::new(),
        ];
        let name = "row".to_owned();
        let row = ArmsRow { name, samples };
        assert_eq!(row.median(0, |sample| sample.time), 2.0);
        assert_eq!(row.lowest(0, |sample| sample.time), 1.0);
        assert_eq!(row.best_peer(ArmsRow::median, |sample| sample.time), 2);
        assert!(row.median(3, |sample| sample.time).is_nan());
        let mean = geometric_mean([2.0, 8.0, f64::NAN].into_iter());
        assert!((mean - 4.0).abs() < 1e-9);
    }
}
