//! A table whose contenders are processes, so that nobody stands on another's pages.
//!
//! The program calls itself with a contender's name; that process prints its figures on one line.
//! Contenders take turns, and the table has the medians of the rounds.

use std::process::Command;

use crate::go::text_of;
use crate::interleave::rounds_from_arguments;

/// Rounds at most, however many were asked for: these processes run for seconds.
const ROUNDS_MAX: usize = 9;

/// The whole of such a program: runs the contender that the only argument names, or all of them in
/// turns, and prints the medians.
///
/// # Panics
/// When a contender fails, or prints something else than figures.
pub fn run_or_compare(title: &str, columns: &[&str], contenders: &[&str], run: fn(&str)) {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, contender] => run(contender),
        [program, ..] => {
            let rounds = rounds_from_arguments().min(ROUNDS_MAX);
            print_table(program, title, columns, contenders, rounds);
        }
        [] => {}
    }
}

/// Runs `program CONTENDER` for all, `rounds` times in turns, and prints the medians.
///
/// # Panics
/// When one of them fails, or prints something else than figures.
pub fn print_table(
    program: &str,
    title: &str,
    columns: &[&str],
    contenders: &[&str],
    rounds: usize,
) {
    let mut samples = vec![vec![Vec::new(); columns.len()]; contenders.len()];
    for _ in 0..rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            let output = text_of(Command::new(program).arg(contender));
            let output = output.unwrap_or_else(|error| panic!("{contender}: {error}"));
            for (word, samples) in output.split_whitespace().zip(samples) {
                samples.push(word.parse::<f64>().expect("a figure"));
            }
        }
    }
    print!("\n{title:<34}");
    columns.iter().for_each(|column| print!(" {column:>9}"));
    println!();
    for (contender, samples) in contenders.iter().zip(samples) {
        print!("{contender:<34}");
        for mut figures in samples {
            figures.sort_by(f64::total_cmp);
            print!(" {:>9.0}", figures[figures.len() / 2]);
        }
        println!();
    }
}
