//! Flagstone and its peers as the allocator of a process: whole workloads, ratios in one table.
//!
//! `cargo build --release --bins && cargo run --release --bin global -- [--rounds N]
//! [--only WORKLOAD] [--threads 1,2,16] [--arms NAME,NAME] [--json FILE] [--document FILE]
//! [--limit SECONDS]`
//!
//! Every run is a process of its own (the siblings `under_…`), the allocators by turns, round by
//! round. `--document` is the JSON that the row `json` reads; without it, what `cargo metadata`
//! says of this package. Ratios are flagstone's figure over the peer's; lower is better. Medians
//! make the claim; the lowest of the rounds say what a busy machine hides.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flagstone_benches::arms::{ArmsRow, Sample, print_figures, print_ratios};
use flagstone_benches::workloads::{WORKLOADS, Workload};
use serde_json::json;

const ARMS: [&str; 7] = [
    "flagstone",
    "glibc",
    "mimalloc",
    "jemalloc",
    "snmalloc",
    "rpmalloc",
    "dlmalloc",
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Options {
    rounds: usize,
    only: Vec<String>,
    threads: Vec<usize>,
    arms: Vec<&'static str>,
    json: Option<PathBuf>,
    document: Option<PathBuf>,
    limit: Duration,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
        let mut options = Options {
            rounds: 5,
            only: Vec::new(),
            threads: vec![1, 2],
            arms: ARMS.to_vec(),
            json: None,
            document: None,
            // A hundred times what a workload takes on an idle machine.
            limit: Duration::from_secs(60),
        };
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--rounds" => options.rounds = value.parse::<usize>()?.max(1),
                "--only" => options.only.extend(value.split(',').map(str::to_owned)),
                "--threads" => {
                    let numbers = value.split(',').map(str::parse);
                    options.threads = numbers.collect::<std::result::Result<_, _>>()?;
                }
                "--arms" => options.arms.retain(|arm| {
                    // Ours is the first of the columns and cannot be left out.
                    *arm == ARMS[0] || value.split(',').any(|wanted| wanted == *arm)
                }),
                "--json" => options.json = Some(value.into()),
                "--document" => options.document = Some(value.into()),
                "--limit" => options.limit = Duration::from_secs(value.parse()?),
                _ => return Err(format!("no option {name}").into()),
            }
        }
        match options.only.iter().find(|name| !known(name)) {
            Some(name) => Err(format!("no workload {name}").into()),
            None => Ok(options),
        }
    }

    /// The workloads asked for, each with its numbers of threads.
    fn runs(&self) -> Vec<(&'static Workload, usize)> {
        let wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|only| only == name);
        let workloads = WORKLOADS.iter().filter(|workload| wanted(workload.name));
        let runs = workloads.flat_map(|workload| {
            let threads = self.threads.iter();
            threads.map(move |&threads| (workload, threads))
        });
        // Who says something for two threads does for more.
        runs.filter(|(workload, threads)| workload.threads.contains(threads.min(&2)))
            .collect()
    }
}

fn known(name: &str) -> bool {
    WORKLOADS.iter().any(|workload| workload.name == name)
}

fn main() -> Result<()> {
    let options = Options::parse(env::args().skip(1))?;
    let folder = env::current_exe()?
        .parent()
        .ok_or("this program lies in a folder")?
        .to_owned();
    let made = env::temp_dir().join(format!("flagstone-global-{}.json", std::process::id()));
    let document = match &options.document {
        Some(path) => path.clone(),
        None => {
            fs::write(&made, cargo_metadata()?)?;
            made.clone()
        }
    };
    let rows = options
        .runs()
        .into_iter()
        .map(|(workload, threads)| measure(&options, &folder, workload, threads, &document))
        .collect::<Result<Vec<_>>>();
    if options.document.is_none() {
        fs::remove_file(made)?;
    }
    let rows = rows?;
    let arms = &options.arms;
    let (milliseconds, mebibytes) = (("ms", 1e6), ("MiB", 1024.0));
    let ratios = |title: &str, unit, of, pick| print_ratios(title, unit, arms, &rows, of, pick);
    ratios("time", milliseconds, ArmsRow::median, |run| run.time);
    ratios("time, lowest", milliseconds, ArmsRow::lowest, |run| {
        run.time
    });
    ratios("peak memory", mebibytes, ArmsRow::median, |run| run.peak);
    ratios("settled memory", mebibytes, ArmsRow::median, |run| {
        run.resident
    });
    print_figures("settled above start", arms, &rows, |sample| sample.settled);
    if let Some(path) = &options.json {
        fs::write(path, as_json(arms, &rows))?;
    }
    Ok(())
}

fn cargo_metadata() -> Result<Vec<u8>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let arguments = ["metadata", "--format-version", "1", "--manifest-path"];
    let output = Command::new(cargo).args(arguments).arg(manifest).output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err("cargo metadata failed; name a JSON file with --document".into()),
    }
}

/// One row: all contenders by turns. One that fails is out of the row, and said so.
fn measure(
    options: &Options,
    folder: &Path,
    workload: &Workload,
    threads: usize,
    document: &Path,
) -> Result<ArmsRow> {
    let name = format!("{} {threads}t", workload.name);
    eprintln!("{name}");
    let mut samples = vec![Vec::new(); options.arms.len()];
    let mut failed = vec![false; options.arms.len()];
    let mut checksum = None;
    for _ in 0..options.rounds {
        for (index, arm) in options.arms.iter().enumerate() {
            if failed[index] {
                continue;
            }
            let mut command = Command::new(folder.join(format!("under_{arm}")));
            command.args([workload.name, &threads.to_string()]);
            match run(command.arg(document), options.limit) {
                Ok(sample) => {
                    if *checksum.get_or_insert(sample.checksum) != sample.checksum {
                        return Err(format!("{arm} did other work in {name}").into());
                    }
                    samples[index].push(sample);
                }
                Err(error) => {
                    eprintln!("{arm} failed in {name}: {error}");
                    failed[index] = true;
                    samples[index].clear();
                }
            }
        }
    }
    match failed[0] {
        true => Err(format!("{} failed in {name}", options.arms[0]).into()),
        false => Ok(ArmsRow { name, samples }),
    }
}

/// One process, ended after `limit`.
fn run(command: &mut Command, limit: Duration) -> Result<Sample> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Err(format!("no end after {} s", limit.as_secs()).into());
        }
        // Rarely enough not to be work of its own beside the child.
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    let line = String::from_utf8(output.stdout)?;
    let numbers = line.split_whitespace().map(str::parse::<u64>);
    match numbers.collect::<std::result::Result<Vec<_>, _>>()?[..] {
        [checksum, time, start, peak, settled] => Ok(Sample {
            checksum,
            time: time as f64,
            peak: peak as f64,
            settled: settled.saturating_sub(start) as f64,
            resident: settled as f64,
        }),
        _ => Err(format!("no figures: {line:?}").into()),
    }
}

fn as_json(arms: &[&str], rows: &[ArmsRow]) -> String {
    let rows = rows.iter().map(|row| {
        let contenders = arms.iter().zip(&row.samples).map(|(arm, samples)| {
            let list = |pick: fn(&Sample) -> f64| samples.iter().map(pick).collect::<Vec<_>>();
            json!({
                "allocator": arm,
                "nanoseconds": list(|sample| sample.time),
                "peak_kib": list(|sample| sample.peak),
                "settled_kib": list(|sample| sample.settled),
                "resident_kib": list(|sample| sample.resident),
            })
        });
        json!({ "row": row.name, "contenders": contenders.collect::<Vec<_>>() })
    });
    format!("{:#}\n", json!(rows.collect::<Vec<_>>()))
}
