//! Scratch structures of a parser: tokens, unescaped text and a stack, needed while a document is
//! read and useless after.
//!
//! They own three blocks that grow step by step in every document when made anew. `Recycle` says
//! what "as new" means for a type of one's own, and that one that has grown far is not kept.

use flagstone::{Keep, Pool, Recycle};

use crate::measure::{Effort, compare, way};

#[derive(Default)]
struct Scratch {
    /// Where each token begins and ends, in the document or, for strings, in `text`.
    tokens: Vec<(usize, usize)>,
    /// Strings without their escapes.
    text: String,
    /// Where open arrays and objects began.
    open: Vec<usize>,
}

impl Recycle for Scratch {
    fn recycle(&mut self) -> Keep {
        self.tokens.clear();
        self.text.clear();
        self.open.clear();
        // Twenty times what a usual document needs.
        if self.tokens.capacity() > 1 << 14 {
            Keep::Discard
        } else {
            Keep::Yes
        }
    }
}

impl Scratch {
    /// Splits a document into tokens. Returns a checksum of what was found.
    fn read(&mut self, document: &str) -> u64 {
        let bytes = document.as_bytes();
        let mut depths = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'{' | b'[' => self.open.push(self.tokens.len()),
                b'}' | b']' => {
                    depths += self.open.len() as u64;
                    self.open.pop();
                }
                b'"' => at = self.read_string(bytes, at),
                b',' | b':' | b' ' | b'\n' => {}
                _ => {
                    let start = at - 1;
                    let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n');
                    let rest = &bytes[start..];
                    at = start + rest.iter().position(is_end).unwrap_or(rest.len());
                    self.tokens.push((start, at));
                }
            }
        }
        let lengths: usize = self.tokens.iter().map(|(start, end)| end - start).sum();
        depths + lengths as u64 + self.text.len() as u64
    }

    /// Reads a string that begins at `at`; returns where it ends.
    fn read_string(&mut self, bytes: &[u8], mut at: usize) -> usize {
        let start = self.text.len();
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    let escaped = bytes.get(at).copied().unwrap_or(b'\\');
                    self.text.push(if escaped == b'n' {
                        '\n'
                    } else {
                        char::from(escaped)
                    });
                    at += 1;
                }
                _ => self.text.push(char::from(byte)),
            }
        }
        self.tokens.push((start, self.text.len()));
        at
    }
}

/// An order as a shop sends it, about 2 KiB.
fn document() -> String {
    let line = |number: usize| {
        let tags = r#"["grey", "cut", "by hand"]"#;
        let count = number * 3;
        format!(r#"{{"article": "slab \"{number}\"", "count": {count}, "tags": {tags}}}"#)
    };
    let lines: Vec<String> = (0..24).map(line).collect();
    let lines = lines.join(", ");
    format!(r#"{{"order": 17, "note": "a\nb", "lines": [{lines}]}}"#)
}

pub(crate) fn run(effort: Effort) {
    let text = document();
    let without = || -> Box<dyn FnMut(usize) -> u64 + '_> {
        Box::new(|documents| (0..documents).fold(0, |sum, _| sum + Scratch::default().read(&text)))
    };
    let with = || -> Box<dyn FnMut(usize) -> u64 + '_> {
        static SCRATCH: Pool<Scratch> = Pool::new(Scratch::default);
        Box::new(|documents| (0..documents).fold(0, |sum, _| sum + SCRATCH.get().read(&text)))
    };
    compare(
        "JSON: a document of 2 KiB split into tokens",
        effort,
        5_000,
        &[way("no pool", without), way("flagstone Pool", with)],
    );
}
