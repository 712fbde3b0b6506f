//! Contenders measured turn by turn: A B C, A B C, … in one process.
//!
//! A machine's speed drifts; contenders that take turns drift together. The figure is the median of
//! the rounds, the spread is the distance between the quartiles as a share of the median, and the
//! claim is the ratio of medians to that of the best peer. A large spread says that the machine was
//! busy with something else; the lowest round shows how much.
//!
//! Every contender returns a checksum and all must be equal, so that nobody is fast by leaving work
//! out.

use std::time::Instant;

/// Rounds per row unless the caller asks for another number: enough for a stable median, and the
/// quartiles still have seven samples beyond them.
pub const ROUNDS: usize = 31;

/// Whose an arm is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    Peer,
    /// Shown, and never the best peer: it does less than the row asks for.
    Reference,
}

impl Kind {
    fn mark(self) -> char {
        match self {
            Kind::Ours => '*',
            Kind::Peer => ' ',
            Kind::Reference => '-',
        }
    }
}

/// One contender of a row.
struct Arm<'a> {
    name: &'static str,
    kind: Kind,
    run: Box<dyn FnMut() -> u64 + 'a>,
    nanoseconds: Vec<f64>,
}

/// A workload and those who do it.
pub struct Row<'a> {
    title: String,
    operations: usize,
    arms: Vec<Arm<'a>>,
}

/// A contender's name and its work, which returns a checksum.
pub type Contender<'a> = (&'static str, Box<dyn FnMut() -> u64 + 'a>);

/// What a row found: nanoseconds per operation, median over the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Our best contender over the best peer; NaN where either is missing.
    pub ratio: f64,
}

impl<'a> Row<'a> {
    /// A row whose contenders each do `operations` operations per run.
    pub fn new(title: impl Into<String>, operations: usize) -> Row<'a> {
        Row {
            title: title.into(),
            operations,
            arms: Vec::new(),
        }
    }

    /// Adds a peer.
    pub fn peer(&mut self, name: &'static str, run: impl FnMut() -> u64 + 'a) -> &mut Self {
        self.arm(name, Kind::Peer, run)
    }

    /// Adds a contender of this project.
    pub fn ours(&mut self, name: &'static str, run: impl FnMut() -> u64 + 'a) -> &mut Self {
        self.arm(name, Kind::Ours, run)
    }

    /// Adds something to compare with that is no peer: it is shown with its ratio to the best one.
    pub fn reference(&mut self, name: &'static str, run: impl FnMut() -> u64 + 'a) -> &mut Self {
        self.arm(name, Kind::Reference, run)
    }

    fn arm(&mut self, name: &'static str, kind: Kind, run: impl FnMut() -> u64 + 'a) -> &mut Self {
        self.arms.push(Arm {
            name,
            kind,
            run: Box::new(run),
            nanoseconds: Vec::new(),
        });
        self
    }

    /// Runs all contenders `rounds` times in turns and prints the table.
    ///
    /// # Panics
    /// When two contenders return different checksums.
    pub fn run(&mut self, rounds: usize) -> Outcome {
        for round in 0..=rounds {
            // Work may carry state from round to round, the same for everybody.
            let mut checksum = None;
            for arm in &mut self.arms {
                let start = Instant::now();
                let sum = std::hint::black_box((arm.run)());
                let elapsed = start.elapsed();
                // Round 0 warms caches, pages and branch predictors up.
                if round > 0 {
                    arm.nanoseconds
                        .push(elapsed.as_nanos() as f64 / self.operations as f64);
                }
                let expected = *checksum.get_or_insert(sum);
                assert_eq!(
                    sum, expected,
                    "{} did other work in {:?}",
                    arm.name, self.title
                );
            }
        }
        self.print()
    }

    /// The row's title, operations per run, and contenders, for another harness to run.
    pub fn into_parts(self) -> (String, usize, Vec<Contender<'a>>) {
        let arms = self
            .arms
            .into_iter()
            .map(|arm| (arm.name, arm.run))
            .collect();
        (self.title, self.operations, arms)
    }

    fn print(&mut self) -> Outcome {
        let best = |kind: Kind, arms: &[Arm<'_>]| {
            let medians = arms.iter().filter(|arm| arm.kind == kind);
            medians
                .map(|arm| quantile(&arm.nanoseconds, 0.5))
                .fold(f64::NAN, f64::min)
        };
        for arm in &mut self.arms {
            arm.nanoseconds.sort_by(f64::total_cmp);
        }
        let peer = best(Kind::Peer, &self.arms);
        let title = &self.title;
        println!(
            "\n{title:<34} {:>9} {:>9} {:>8} {:>8}",
            "ns/op", "lowest", "spread", "ratio"
        );
        for arm in &self.arms {
            let median = quantile(&arm.nanoseconds, 0.5);
            let quartiles = quantile(&arm.nanoseconds, 0.75) - quantile(&arm.nanoseconds, 0.25);
            let (lowest, spread) = (arm.nanoseconds[0], 100.0 * quartiles / median);
            let (mark, ratio) = (arm.kind.mark(), median / peer);
            let name = arm.name;
            println!("{mark} {name:<32} {median:>9.2} {lowest:>9.2} {spread:>6.0} % {ratio:>8.2}");
        }
        Outcome {
            ratio: best(Kind::Ours, &self.arms) / peer,
        }
    }
}

/// The value at `share` of a sorted list.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// The rounds asked for on the command line (`--rounds N`), or [`ROUNDS`].
pub fn rounds_from_arguments() -> usize {
    let mut arguments = std::env::args()
        .skip_while(|argument| argument != "--rounds")
        .skip(1);
    arguments
        .next()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS)
}
