//! Instructions per call of every form of allocation, counted by valgrind's callgrind.
//!
//! A form is a function of its own that is not inlined: its arguments come in registers, its result
//! leaves in one, and the count is that of all instructions from its first to its return, those of
//! functions it calls included. Nothing is subtracted. Each is called once, in a chunk with room,
//! after the same form has run once unmeasured.
//!
//! The program runs itself under valgrind, which collects inside functions whose name contains
//! `counted` and writes one file of figures whenever `marker` returns. The child says on its
//! standard output what the figures are of, in order.

mod forms;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use crate::bump::peers::{ScopeDown, ScopeFit};

/// The argument that makes this program the child.
const CHILD: &str = "--counted";

/// Ours, then the peers.
const NAMES: [&str; 7] = [
    "flagstone",
    "bumpalo",
    "scope up",
    "scope down",
    "blink",
    "stumpalo",
    "multitude",
];

/// The forms, in the order of the table.
const FORMS: [&str; 19] = [
    "alloc u32",
    "alloc u32, min align 4",
    "alloc u64",
    "alloc 24 B",
    "alloc 48 B",
    "str of 8 B",
    "str of 23 B",
    "slice of 4 words",
    "allocate, static layout",
    "allocate, dynamic layout",
    "grow, static layouts",
    "grow, dynamic layouts",
    "shrink, dynamic layouts",
    "deallocate",
    "push",
    "push that grows",
    "push that moves",
    "new and first allocation",
    "reset",
];

/// Returns so that valgrind writes down what was collected since it did last.
#[inline(never)]
fn marker() {
    black_box(());
}

/// Runs a form twice and says which figures the second run's are.
fn measure(peer: &str, form: &str, mut call: impl FnMut()) {
    for run in ["first", "second"] {
        call();
        marker();
        println!("{run}/{peer}/{form}");
    }
}

/// Measures every form, or shows the table of a run under valgrind.
///
/// # Panics
/// When valgrind is there and fails.
pub fn main() {
    if std::env::args().any(|argument| argument == CHILD) {
        return child();
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind, which counts, is not installed");
        return;
    }
    let folder = std::env::temp_dir().join(format!("flagstone-counts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let counts = count(&folder);
    std::fs::remove_dir_all(&folder).expect("the temporary folder was ours");
    print(&counts);
}

/// Counts by form and peer.
type Counts = BTreeMap<(String, String), u64>;

fn count(folder: &Path) -> Counts {
    let program = std::env::current_exe().expect("this program");
    let files = folder.join("counts");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted*"])
        .args(["--dump-after=*counts::marker*", "--combine-dumps=no"])
        .arg(format!("--callgrind-out-file={}", files.display()))
        .arg(program)
        .arg(CHILD)
        .output()
        .expect("valgrind runs");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("names");
    let mut counts = Counts::new();
    for (index, line) in said.lines().enumerate() {
        let mut words = line.splitn(3, '/');
        let (Some("second"), Some(peer), Some(form)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let file = format!("{}.{}", files.display(), index + 1);
        let figures = std::fs::read_to_string(&file).expect("valgrind wrote a file per marker");
        let total = figures
            .lines()
            .find_map(|line| line.strip_prefix("totals: "));
        let total = total.and_then(|total| total.trim().parse().ok());
        let key = (form.to_owned(), peer.to_owned());
        counts.insert(key, total.unwrap_or_else(|| panic!("no total in {file}")));
    }
    counts
}

fn print(counts: &Counts) {
    let peers = NAMES;
    print!("{:<32}", "instructions per call");
    for peer in peers {
        print!(" {peer:>12}");
    }
    println!();
    for form in FORMS {
        let figures = peers.map(|peer| counts.get(&(form.to_owned(), peer.to_owned())));
        let best = figures[1..].iter().flatten().min();
        print!("{form:<32}");
        for figure in figures {
            match figure {
                Some(figure) => print!(" {figure:>12}"),
                None => print!(" {:>12}", "-"),
            }
        }
        let above = figures[0]
            .zip(best)
            .is_some_and(|(ours, best)| ours > *best);
        println!("{}", if above { "  above the best peer" } else { "" });
    }
}

fn child() {
    let [ours, bumpalo, up, down, blink, stumpalo, multitude] = NAMES;
    forms::all::<flagstone::Arena>(ours);
    forms::fit::<flagstone::Arena<4>>(ours);
    forms::all::<bumpalo::Bump>(bumpalo);
    forms::fit::<bumpalo::Bump<4>>(bumpalo);
    forms::all::<bump_scope::Bump>(up);
    forms::fit::<ScopeFit>(up);
    forms::without_list::<ScopeDown>(down);
    forms::all::<blink_alloc::Blink>(blink);
    forms::all::<stumpalo::Arena>(stumpalo);
    forms::all::<multitude::Arena>(multitude);
}
