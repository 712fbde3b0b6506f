//! The document: where it comes from, and every way it can be unfit.
//!
//! - I1: a [`Document`] is valid UTF-8 and valid JSON; whoever holds one need not check again.
//! - I2: every refusal is one line that names the input, and the line and column where there is
//!   one.
//!
//! It does not know the contenders.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::builders::StdBuilder;
use crate::json;
use crate::tree::Census;

/// A document that was read and parsed once.
pub(crate) struct Document {
    /// The path, or the command that made it.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) census: Census,
    /// At least [`MATERIAL_BYTES_MIN`] bytes of the text, repeated where it is short: what buffers
    /// are filled with.
    pub(crate) material: Vec<u8>,
}

/// Larger than a first-level cache, so that copying out of it costs what it costs in a server.
const MATERIAL_BYTES_MIN: usize = 64 << 10;

/// Larger than any buffer is filled with; see the reuse work.
const MATERIAL_BYTES_MAX: usize = 4 << 20;

impl Document {
    /// Reads a file.
    pub(crate) fn from_file(path: &Path) -> Result<Document, String> {
        let name = path.display().to_string();
        if path.is_dir() {
            return Err(format!("{name}: a directory, not a JSON file"));
        }
        let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
        Document::from_bytes(name, bytes)
    }

    /// Checks bytes from anywhere.
    pub(crate) fn from_bytes(name: String, bytes: Vec<u8>) -> Result<Document, String> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let (line, column) = position(error.as_bytes(), offset);
            format!("{name}:{line}:{column}: not UTF-8")
        })?;
        if text.trim_ascii().is_empty() {
            return Err(format!("{name}: empty, no JSON document in it"));
        }
        let tree =
            json::parse(&text, &mut StdBuilder).map_err(|error| format!("{name}: {error}"))?;
        Ok(Document {
            name,
            census: Census::of(&tree),
            material: material(&text),
            text,
        })
    }

    /// A text that another process has checked. Builds no tree: a memory probe must start with a
    /// heap that no tree has been in.
    pub(crate) fn trusted(text: String) -> Document {
        let name = String::from("the document");
        Document {
            name,
            census: Census::default(),
            material: material(&text),
            text,
        }
    }

    /// What cargo says about this project and its dependencies: JSON that any machine with cargo
    /// can make.
    pub(crate) fn from_cargo() -> Result<Document, String> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = manifest_path();
        let shown = "cargo metadata --format-version 1";
        // Without the registry's index at hand cargo needs a network; the last form never does.
        let forms: [&[&str]; 3] = [&[], &["--offline"], &["--offline", "--no-deps"]];
        let mut last = String::new();
        for form in forms {
            match run_metadata(&cargo, &manifest, form) {
                Ok(bytes) => {
                    let extra: String = form.iter().map(|flag| format!(" {flag}")).collect();
                    return Document::from_bytes(format!("{shown}{extra}"), bytes);
                }
                Err(error) => last = error,
            }
        }
        Err(format!("{shown}: {last}; name a JSON file instead"))
    }
}

/// Line and column, both from 1 and the column in characters, of a byte offset in `bytes`.
fn position(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = &bytes[..offset];
    let line_start = before.iter().rposition(|&byte| byte == b'\n');
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let in_line = String::from_utf8_lossy(&before[line_start.map_or(0, |at| at + 1)..]);
    (line, in_line.chars().count() + 1)
}

fn material(text: &str) -> Vec<u8> {
    let source = &text.as_bytes()[..text.len().min(MATERIAL_BYTES_MAX)];
    source.repeat(MATERIAL_BYTES_MIN.div_ceil(source.len()))
}

/// The manifest cargo runs us from, or the one we were built from.
fn manifest_path() -> PathBuf {
    let built_from = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(built_from, PathBuf::from)
        .join("Cargo.toml")
}

fn run_metadata(cargo: &OsStr, manifest: &Path, extra: &[&str]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--manifest-path"]);
    let output = command
        .arg(manifest)
        .args(extra)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr
        .lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("it failed");
    Err(line.to_string())
}
