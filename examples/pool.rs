//! A `Pool` of parsers: costly to build, cheap to reset, used from several threads.
//!
//! `cargo run --release --example pool`

use std::thread;

use flagstone::{Keep, Pool, Recycle};

/// What makes it costly: a table of 64 KiB, filled when it is built.
struct Parser {
    classes: Box<[u8]>,
    words: Vec<String>,
}

impl Parser {
    fn new() -> Parser {
        let class = |byte: u16| u8::from((byte as u8).is_ascii_alphanumeric());
        Parser {
            classes: (0..=u16::MAX).map(class).collect(),
            words: Vec::new(),
        }
    }

    fn count(&mut self, text: &str) -> usize {
        let word = |byte: u8| self.classes[usize::from(byte)] == 1;
        let words = text
            .as_bytes()
            .split(|byte| !word(*byte))
            .filter(|word| !word.is_empty());
        self.words
            .extend(words.map(|word| String::from_utf8_lossy(word).into_owned()));
        self.words.len()
    }
}

impl Recycle for Parser {
    fn recycle(&mut self) -> Keep {
        self.words.clear();
        // One huge text must not stay in memory for ever.
        if self.words.capacity() > 1 << 16 {
            Keep::Discard
        } else {
            Keep::Yes
        }
    }
}

static PARSERS: Pool<Parser> = Pool::new(Parser::new);

fn main() {
    let worker = || {
        let texts = ["a slab of stone, cut to size", "many words, few stones"];
        let count = |index: usize| PARSERS.get().count(texts[index % texts.len()]);
        (0..100_000).map(count).sum::<usize>()
    };
    let threads: Vec<_> = (0..2).map(|_| thread::spawn(worker)).collect();
    let words: usize = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"))
        .sum();
    println!("{words} words");
    println!("{:#?}", PARSERS.stats());
}
