//! Pool against Go's own `sync.Pool`: `cargo run --release --bin go [-- --rounds N]`.
//!
//! Needs Go 1.24 or later on the path; without it the peer is the Rust model of `sync.Pool`, in all
//! rows but those of the tick, and the table says why. Each sample is a process of its own, in
//! turns: ours, Go's, and the other way round in the next round. What is timed stands at the head
//! of `benches/go/main.go`. The table gives the medians, their ratio, the median and the quartiles
//! of the ratios round by round, and the ratio of the lowest figures, which says most on a busy
//! machine. A target that the median by round misses is marked. `--only one,held` runs some shapes.

use std::process::Command;

use flagstone_benches::go::{GoProgram, text_of};
use flagstone_benches::interleave::rounds_from_arguments;
use flagstone_benches::shapes::{Figure, run, run_model};

/// A shape to run: its name, threads, and operations of each.
type Shape = (&'static str, usize, usize);

/// One side of the comparison, in this process.
type Side = fn(&str, usize, usize) -> Vec<Figure>;

/// Enough for some 10 ms on either side, so that starting threads does not show.
const SHAPES: [Shape; 12] = [
    ("one", 1, 4_000_000),
    ("one", 2, 4_000_000),
    ("overflow", 1, 2_000_000),
    ("overflow", 2, 2_000_000),
    ("held", 1, 2_000_000),
    ("held", 2, 2_000_000),
    ("starvation", 1, 1_000_000),
    ("starvation", 2, 1_000_000),
    // So many that the 95th percentile is not the longest.
    ("tick", 2, 40),
    ("travel", 2, 1_000_000),
    ("expensive", 1, 10_000),
    ("expensive", 2, 10_000),
];

/// A row of the table: its name in the figures, what it is called, and the target.
const ROWS: [(&str, &str, Option<f64>); 20] = [
    ("one", "one in, one out", Some(0.25)),
    ("overflow", "overflow of 100", Some(0.25)),
    ("held", "64 held at once", Some(0.25)),
    ("starvation", "a third lost", Some(0.5)),
    ("tick", "longest wait in a tick, least", Some(0.5)),
    ("tick-mean", "  mean", None),
    ("tick-p50", "  p50", None),
    ("tick-p95", "  p95", None),
    ("tick-call", "the tick itself, least", None),
    ("tick-call-mean", "  mean", None),
    ("tick-call-p50", "  p50", None),
    ("tick-call-p95", "  p95", None),
    ("tick-stop", "the world stopped, least", None),
    ("tick-stop-mean", "  mean", None),
    ("tick-stop-p50", "  p50", None),
    ("tick-stop-p95", "  p95", None),
    ("travel", "producer to consumer", None),
    ("expensive", "1 ms to make one", None),
    ("expensive-made", "  made per 1000 gets", None),
    ("expensive-ticks", "  ticks per 1000 gets", None),
];

/// Why one side has no figure: printed where the table has a dash.
const NO_STOP: &str = "the world stopped: a tick of flagstone's stops nobody; what its users wait \
    is the row \"longest wait in a tick\".";
const NO_TICK: &str = "tick: no figure for the model. Its tick drops the objects itself, where \
    Go's stops the world for a moment and leaves them to the collector: it would say nothing \
    about Go. The row \"the world stopped\" needs Go for the same reason.";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, side, shape, threads, operations] = arguments.as_slice() {
        let side: Option<Side> = match side.as_str() {
            "--arm" => Some(run),
            "--model" => Some(run_model),
            _ => None,
        };
        if let Some(run) = side {
            let number = |text: &str| text.parse().expect("a number");
            for figure in run(shape, number(threads), number(operations)) {
                println!("{}", figure.to_line());
            }
            return;
        }
    }
    compare(&arguments);
}

fn compare(arguments: &[String]) {
    let program = match GoProgram::build() {
        Ok(program) => {
            println!("{}", program.version);
            Some(program)
        }
        Err(missing) => {
            println!("{missing}. The peer is the Rust model of sync.Pool instead.");
            None
        }
    };
    let ours = |shape: Shape| figures(&again(&arguments[0], "--arm", shape));
    let peer = |shape: Shape| match &program {
        Some(program) => figures(&program.run(&words(shape))),
        None => figures(&again(&arguments[0], "--model", shape)),
    };
    let only = arguments.iter().skip_while(|&word| word != "--only").nth(1);
    let wanted = |shape: &&Shape| only.is_none_or(|only| only.split(',').any(|one| one == shape.0));
    let mut samples = Samples::default();
    for round in 0..rounds_from_arguments() {
        for &shape in SHAPES.iter().filter(wanted) {
            let (mine, theirs);
            if round % 2 == 0 {
                mine = ours(shape);
                theirs = peer(shape);
            } else {
                theirs = peer(shape);
                mine = ours(shape);
            }
            samples.add(0, mine);
            samples.add(1, theirs);
        }
    }
    samples.print(if program.is_some() { "Go" } else { "model" });
    if samples.rows.iter().any(|((row, _), _)| row == "tick") {
        println!("\n{}", if program.is_some() { NO_STOP } else { NO_TICK });
    }
}

fn words((shape, threads, operations): Shape) -> [String; 3] {
    [
        shape.to_owned(),
        threads.to_string(),
        operations.to_string(),
    ]
}

/// What this program prints when it is one side of one sample.
fn again(program: &str, side: &str, shape: Shape) -> String {
    let output = text_of(Command::new(program).arg(side).args(words(shape)));
    output.unwrap_or_else(|error| panic!("{side} {shape:?}: {error}"))
}

fn figures(text: &str) -> Vec<Figure> {
    let figure = |line| Figure::from_line(line).unwrap_or_else(|| panic!("a figure: {line:?}"));
    text.lines().map(figure).collect()
}

/// The values of both sides, in the order of the rounds.
#[derive(Default)]
struct Samples {
    rows: Vec<(Key, [Vec<f64>; 2])>,
    checksums: Vec<(Key, u64)>,
}

/// A row's name, and its threads.
type Key = (String, usize);

impl Samples {
    fn add(&mut self, side: usize, figures: Vec<Figure>) {
        for figure in figures {
            let key = (figure.row, figure.threads);
            match self.checksums.iter().find(|(known, _)| *known == key) {
                Some((_, sum)) => assert_eq!(*sum, figure.checksum, "other work in {key:?}"),
                None => self.checksums.push((key.clone(), figure.checksum)),
            }
            let place = self.rows.iter().position(|(known, _)| *known == key);
            let place = place.unwrap_or_else(|| {
                self.rows.push((key, [Vec::new(), Vec::new()]));
                self.rows.len() - 1
            });
            self.rows[place].1[side].push(figure.value);
        }
    }

    fn print(&self, peer: &str) {
        println!(
            "\n{:<24} {:>7} {:>12} {:>12} {:>7} {:>9} {:>13} {:>7} {:>7}",
            "ns per operation of a thread",
            "threads",
            "flagstone",
            peer,
            "ratio",
            "by round",
            "quartiles",
            "lowest",
            "target"
        );
        for (name, title, target) in ROWS {
            for ((row, threads), [ours, theirs]) in &self.rows {
                if row == name {
                    // Targets are against Go, not against the model.
                    let target = target.filter(|_| peer == "Go");
                    print_row(title, *threads, ours, theirs, target);
                }
            }
        }
    }
}

fn print_row(title: &str, threads: usize, ours: &[f64], theirs: &[f64], target: Option<f64>) {
    let at = |figures: &[f64], share: f64| {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let index = (sorted.len().max(1) - 1) as f64 * share;
        sorted
            .get(index.round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    let by_round: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    let ratio = at(ours, 0.5) / at(theirs, 0.5);
    let target = target.map_or(String::new(), |target| {
        format!(
            "{target:.2}{}",
            if at(&by_round, 0.5) > target {
                " !"
            } else {
                ""
            }
        )
    });
    let write = |figure: f64, digits: usize| match figure.is_finite() {
        true => format!("{figure:.digits$}"),
        false => "-".to_owned(),
    };
    println!(
        "{title:<28} {threads:>3} {:>12} {:>12} {:>7} {:>9} {:>13} {:>7} {target:>7}",
        write(at(ours, 0.5), 1),
        write(at(theirs, 0.5), 1),
        write(ratio, 2),
        write(at(&by_round, 0.5), 2),
        match by_round.as_slice() {
            [] => "-".to_owned(),
            rounds => format!("{:.2} to {:.2}", at(rounds, 0.25), at(rounds, 0.75)),
        },
        write(at(ours, 0.0) / at(theirs, 0.0), 2),
    );
}
