//! The instructions that a caller's code is made of: the fast paths are only fast where they are
//! inlined, and a session is only worth its name while its two ends stay in registers.
//!
//! The crate is built as for release, without `std` and its dependencies, into a folder of its
//! own; `assembly/probe.rs` is compiled against that and its assembly read. Instructions are
//! judged by what they do to memory, never by their names and numbers of registers alone, so that
//! another compiler may choose others.

// One instruction set, and a compiler to run.
#![cfg(all(target_arch = "x86_64", target_os = "linux", not(miri), not(loom)))]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Instructions of a typed allocation beside those that move the value and return: load one end,
/// subtract, compare with the other, branch, store; and one more where a compiler needs it.
const INSTRUCTIONS_MAX: usize = 6;

/// One line of a function.
#[derive(Clone, Debug, PartialEq)]
enum Line {
    Label(String),
    Instruction { name: String, operands: String },
}

use Line::{Instruction, Label};

impl Line {
    fn parse(line: &str) -> Option<Line> {
        let line = line.split('#').next().unwrap_or("").trim();
        if let Some(label) = line.strip_suffix(':') {
            return Some(Label(label.to_owned()));
        }
        // Directives begin with a dot.
        if line.is_empty() || line.starts_with('.') {
            return None;
        }
        let (name, operands) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(Instruction {
            name: name.to_owned(),
            operands: operands.trim().to_owned(),
        })
    }

    /// Whether it moves data: `mov` and its kin for vectors.
    fn is_move(&self) -> bool {
        matches!(self, Instruction { name, .. } if name.contains("mov"))
    }

    fn is_jump(&self) -> bool {
        matches!(self, Instruction { name, .. } if name.starts_with('j'))
    }

    fn is(&self, wanted: &str) -> bool {
        matches!(self, Instruction { name, .. } if name == wanted)
    }

    /// The register that an address in memory is built on, and whether it is written.
    fn memory(&self) -> Option<(String, bool)> {
        let Instruction { name, operands } = self else {
            return None;
        };
        // An address that is only computed.
        if name == "lea" || name == "nop" {
            return None;
        }
        let at = operands.find('[')?;
        let base = operands[at + 1..].split([' ', ']', '*']).next()?;
        let is_written = self.is_move() && at < operands.find(',')?;
        Some((base.to_owned(), is_written))
    }
}

/// The assembly of the probe, made once.
fn assembly() -> &'static str {
    static ASSEMBLY: OnceLock<String> = OnceLock::new();
    ASSEMBLY.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("assembly");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // What the tests are built with (coverage, sanitizers) is not what is asked about.
        run(Command::new(cargo)
            .current_dir(root)
            .args(["rustc", "--lib", "--release", "--offline"])
            .args(["--no-default-features", "--features", "alloc"])
            .args(["--config", "profile.release.lto=false"])
            // What is looked at is made anew in the probe, so the rest may be made in haste.
            .args(["--config", "profile.release.codegen-units=16"])
            .args(["--config", "profile.release.debug=0", "--target-dir"])
            .arg(&folder)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS"));
        let (release, output) = (folder.join("release"), folder.join("probe.s"));
        let library = release.join("libflagstone.rlib");
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        run(Command::new(rustc)
            .args(["--edition=2024", "--crate-type=lib", "--emit=asm"])
            .args(["-Copt-level=3", "-Ccodegen-units=1", "-Cpanic=unwind"])
            .arg("-Cllvm-args=-x86-asm-syntax=intel")
            .arg(format!("--extern=flagstone={}", library.display()))
            .arg(format!("-Ldependency={}", release.join("deps").display()))
            .arg("-o")
            .arg(&output)
            .arg(root.join("tests/assembly/probe.rs")));
        fs::read_to_string(output).expect("the compiler wrote it")
    })
}

fn run(command: &mut Command) {
    let output = command.output().expect("the tools that built this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{said}");
}

/// The lines of a function.
fn function(name: &str) -> Vec<Line> {
    let mut lines = assembly().lines().skip_while(|line| {
        let label = line.strip_suffix(':');
        label != Some(name)
    });
    assert!(lines.next().is_some(), "{name} is in the assembly");
    lines
        .take_while(|line| !line.starts_with(".Lfunc_end"))
        .filter_map(Line::parse)
        .collect()
}

/// What runs from a function's first instruction to its return when no branch is taken: the cold
/// parts are what is jumped to.
fn straight(name: &str) -> Vec<Line> {
    let lines = function(name);
    let end = lines.iter().position(|line| line.is("ret"));
    let end = end.unwrap_or_else(|| panic!("{name} does not return:\n{lines:#?}"));
    let path = lines[..end].iter().filter(|line| !matches!(line, Label(_)));
    path.cloned().collect()
}

/// The first argument: the arena.
const ARENA: &str = "rdi";

fn check_typed_alloc(name: &str, words: usize) {
    let path = straight(name);
    let shown = format!("{name}:\n{path:#?}");
    let is_call = |line: &Line| line.is("call") || line.is("jmp");
    assert!(!path.iter().any(is_call), "something is called in {shown}");
    let is_value =
        |line: &&Line| line.is_move() && line.memory().is_some_and(|(base, _)| base != ARENA);
    let value = path.iter().filter(is_value).count();
    assert!(
        (1..=2 * words).contains(&value),
        "the value is moved in {shown}"
    );
    let others = path.len() - value;
    assert!(
        others <= INSTRUCTIONS_MAX,
        "{others} instructions beside the value's in {shown}"
    );
}

#[test]
fn a_typed_alloc_is_at_most_six_instructions_and_the_value() {
    check_typed_alloc("probe_word", 1);
    check_typed_alloc("probe_three", 3);
    check_typed_alloc("probe_six", 6);
}

/// The shortest stretch of a function that ends with a jump back to its start and stores something.
fn inner_loop(name: &str) -> Vec<Line> {
    let lines = function(name);
    let mut best: Option<&[Line]> = None;
    for (end, line) in lines.iter().enumerate().filter(|(_, line)| line.is_jump()) {
        let Instruction { operands, .. } = line else {
            continue;
        };
        let start = lines[..end]
            .iter()
            .position(|line| *line == Label(operands.clone()));
        let body = start.map(|start| &lines[start..=end]);
        let body = body.filter(|body| body.iter().any(|line| line.memory().is_some()));
        if let Some(body) = body {
            if best.is_none_or(|best| body.len() < best.len()) {
                best = Some(body);
            }
        }
    }
    best.unwrap_or_else(|| panic!("no loop in {name}:\n{lines:#?}"))
        .to_vec()
}

#[test]
fn a_session_keeps_its_ends_in_registers() {
    let body = inner_loop("probe_session");
    let shown = format!("probe_session:\n{body:#?}");
    assert!(
        !body.iter().any(|line| line.is("call")),
        "a call in {shown}"
    );
    let touched: Vec<(String, bool)> = body.iter().filter_map(Line::memory).collect();
    // The two words of a node, and nothing that is loaded or belongs to the session.
    assert_eq!(touched.len(), 2, "two accesses to memory in {shown}");
    for (base, is_written) in &touched {
        assert!(is_written, "nothing is loaded in {shown}");
        assert_eq!(*base, touched[0].0, "both through one address in {shown}");
        assert_ne!(base, "rsp", "the session lies on the stack in {shown}");
    }
}

#[test]
fn lines_are_read_as_they_are_meant() {
    let line = |text: &str| Line::parse(text).expect("a label or an instruction");
    assert_eq!(line(".LBB0_1:"), Label(".LBB0_1".to_owned()));
    assert_eq!(Line::parse("\t.p2align\t4"), None);
    let store = line("\tmov\tqword ptr [rax + 8], rsi");
    assert_eq!(store.memory(), Some(("rax".to_owned(), true)));
    let load = line("\tmovups\txmm0, xmmword ptr [rsi]");
    assert_eq!(load.memory(), Some(("rsi".to_owned(), false)));
    let compare = line("\tcmp\tqword ptr [rdi], rax");
    assert_eq!(compare.memory(), Some(("rdi".to_owned(), false)));
    assert_eq!(line("\tlea\trax, [rdi - 8]").memory(), None);
    assert!(line("\tjb\t.LBB0_2").is_jump() && !line("\tret").is_jump());
}
