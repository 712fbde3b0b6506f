//! One Rust file split into what is code and what is comment.
//!
//! Owns the only lexing the tidy test does. It knows comments, string and character literals,
//! words, tokens and matching brackets; it knows no rule and no grammar beyond that.
//!
//! - I1: `code` and `comments` have the bytes of `text` at the same offsets, everything else
//!   blanked to spaces, so an offset or a line number means the same in all three.
//! - I2: the contents of literals are blank in both; their quotes stay in `code`.

use std::ops::Range;

/// A file as the rules see it.
#[derive(Clone)]
pub(crate) struct Source {
    /// Path from the project's root, with forward slashes.
    pub(crate) path: String,
    /// The file as it is.
    pub(crate) text: String,
    /// Comments and the contents of literals blanked (I1, I2).
    pub(crate) code: String,
    /// Only comments left (I1).
    pub(crate) comments: String,
    /// Offset of each line's first byte.
    line_starts: Vec<usize>,
}

/// A word, or a sign: `::`, `->` and `=>` are one, all others are single characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    /// Byte offset in the file.
    pub(crate) at: usize,
    pub(crate) text: &'a str,
}

/// A function with a body.
pub(crate) struct Function {
    /// Name after `fn`.
    pub(crate) name: String,
    /// 1-based line of `fn`.
    pub(crate) line: usize,
    /// Lines from `fn` to the closing brace, both counted.
    pub(crate) line_count: usize,
    /// Byte range of the body with its braces.
    pub(crate) body: Range<usize>,
}

/// What the bytes at some offset are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Splits `text`; `path` is only carried along.
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let kinds = classify(text.as_bytes());
        let keep = |wanted: Kind| {
            let bytes = text.bytes().zip(&kinds);
            let kept = bytes.map(|(byte, &kind)| match byte {
                b'\n' => b'\n',
                _ if kind == wanted => byte,
                _ => b' ',
            });
            String::from_utf8(kept.collect()).expect("whole characters share one kind")
        };
        let (code, comments) = (keep(Kind::Code), keep(Kind::Comment));
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Source {
            line_starts: std::iter::once(0).chain(ends).collect(),
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            comments,
        }
    }

    /// 1-based line of a byte offset.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset)
    }

    /// The lines of the `//!` design at the file's beginning, without their marks.
    pub(crate) fn header(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().skip_while(|line| line.is_empty());
        lines.map_while(|line| line.strip_prefix("//!").map(str::trim))
    }

    /// Every token of `code`. The contents of literals are none (I2).
    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(first) = self.code[at..].chars().next() {
            let rest = &self.code[at..];
            let word = rest.bytes().take_while(|&byte| is_word(byte)).count();
            let pair = ["::", "->", "=>"].iter().any(|pair| rest.starts_with(pair));
            let len = match (word, pair) {
                (0, true) => 2,
                (0, false) => first.len_utf8(),
                _ => word,
            };
            if !first.is_whitespace() {
                let text = &rest[..len];
                found.push(Token { at, text });
            }
            at += len;
        }
        found
    }

    /// Every identifier, keyword or number in `code`, with its offset.
    pub(crate) fn words(&self) -> Vec<(usize, &str)> {
        let bytes = self.code.as_bytes();
        let mut found = Vec::new();
        let mut index = 0;
        while index < bytes.len() {
            let start = index;
            while index < bytes.len() && is_word(bytes[index]) {
                index += 1;
            }
            if index > start {
                found.push((start, &self.code[start..index]));
            } else {
                index += 1;
            }
        }
        found
    }

    /// The code after `offset` without leading space.
    pub(crate) fn code_after(&self, offset: usize) -> &str {
        self.code[offset..].trim_start()
    }

    /// Every function that has a body, nested ones too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let words = self.words();
        let names = words.windows(2).filter(|pair| {
            let between = &self.code[pair[0].0 + pair[0].1.len()..pair[1].0];
            pair[0].1 == "fn" && between.trim().is_empty()
        });
        names
            .filter_map(|pair| self.function_at(pair[0].0, pair[1]))
            .collect()
    }

    fn function_at(&self, start: usize, name: (usize, &str)) -> Option<Function> {
        let after_name = name.0 + name.1.len();
        let open = self.body_start(after_name)?;
        let body = open..self.closing_brace(open);
        let line = self.line_of(start);
        let line_count = self.line_of(body.end - 1) - line + 1;
        Some(Function {
            name: name.1.to_owned(),
            line,
            line_count,
            body,
        })
    }

    /// Byte ranges of `mod name { … }`, braces included.
    pub(crate) fn inline_modules(&self) -> Vec<Range<usize>> {
        let words = self.words();
        let named = words.windows(2).filter(|pair| pair[0].1 == "mod");
        let bodies = named.filter_map(|pair| {
            let after_name = pair[1].0 + pair[1].1.len();
            let open = after_name + self.code[after_name..].find(|c: char| !c.is_whitespace())?;
            self.code[open..]
                .starts_with('{')
                .then(|| open..self.closing_brace(open))
        });
        bodies.collect()
    }

    /// Offset of the `{` that opens a function's body, or `None` for a declaration.
    fn body_start(&self, from: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (offset, byte) in self.code.bytes().enumerate().skip(from) {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                b';' if depth == 0 => return None,
                b'{' if depth == 0 => return Some(offset),
                _ => {}
            }
        }
        None
    }

    /// Offset just after the brace that closes the one at `open`; the file's end if none does.
    fn closing_brace(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (offset, byte) in self.code.bytes().enumerate().skip(open) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return offset + 1;
            }
        }
        self.code.len()
    }
}

/// Index after the bracket that closes the one at `open`; the end if none does.
pub(crate) fn group_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Whether a token is a name, a keyword or a number.
pub(crate) fn names(text: &str) -> bool {
    text.bytes().all(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn classify(text: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; text.len()];
    let mut index = 0;
    while index < text.len() {
        let rest = &text[index..];
        let prefixed = index > 0 && is_word(text[index - 1]);
        let (kind, len) = match rest {
            [b'/', b'/', ..] => (Kind::Comment, line_len(rest)),
            [b'/', b'*', ..] => (Kind::Comment, block_comment_len(rest)),
            [b'"', ..] => (Kind::Literal, string_len(rest)),
            [b'r', ..] if !prefixed || matches!(text[index - 1], b'b' | b'c') => {
                (Kind::Literal, raw_string_len(rest).unwrap_or(0))
            }
            [b'\'', ..] => (Kind::Literal, char_len(rest).unwrap_or(0)),
            _ => (Kind::Code, 1),
        };
        let end = (index + len.max(1)).min(text.len());
        // The quotes of a literal stay code (I2); a lifetime's quote has length 0 here.
        let blank = if kind == Kind::Comment {
            index..end
        } else {
            index + 1..end.max(2) - 1
        };
        if kind != Kind::Code && len > 0 && blank.start < blank.end {
            kinds[blank].fill(kind);
        }
        index = end;
    }
    kinds
}

fn line_len(rest: &[u8]) -> usize {
    rest.iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(rest.len())
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut index) = (0_usize, 0);
    while index + 1 < rest.len() {
        match &rest[index..index + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    rest.len()
}

fn string_len(rest: &[u8]) -> usize {
    let mut index = 1;
    while index < rest.len() {
        match rest[index] {
            b'\\' => index += 2,
            b'"' => return index + 1,
            _ => index += 1,
        }
    }
    rest.len()
}

/// `None` when the `r` does not begin a raw string (a raw identifier, or just a letter).
fn raw_string_len(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = &rest[2 + hashes..];
    let end = body.windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |at| 2 + hashes + at + close.len()))
}

/// `None` for a lifetime.
fn char_len(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.iter().skip(3).position(|&byte| byte == b'\'')?;
        return Some(3 + close + 1);
    }
    // A character is at most four bytes long, so its closing quote is at most five on.
    let close = rest
        .iter()
        .skip(2)
        .take(4)
        .position(|&byte| byte == b'\'')?;
    let one_char = std::str::from_utf8(&rest[1..2 + close]).is_ok_and(|s| s.chars().count() == 1);
    one_char.then_some(2 + close + 1)
}

#[test]
fn literals_and_comments_are_blank_in_code() {
    let text = concat!(
        "let a = \"unsafe { // no }\"; // fn in_comment() {}\n",
        "let b = r#\"mod \"x\" {\"#; /* one /* two */ fn z() */ let c: &'static str;\n",
        "let d = '{'; let e = '\\''; let f = b'\"'; let g = b\"{\"; let h = 'é'; end();\n",
    );
    let source = Source::new("a.rs", text);
    for gone in ["unsafe", "fn ", "mod", "two", "{", "}", "é"] {
        assert!(
            !source.code.contains(gone),
            "{gone:?} stayed in {:?}",
            source.code
        );
    }
    for kept in ["let c: &'static str;", "let h = ", "end();"] {
        assert!(
            source.code.contains(kept),
            "{kept:?} is gone from {:?}",
            source.code
        );
    }
    assert!(source.comments.contains("fn in_comment() {}") && source.comments.contains("two"));
    assert_eq!(
        (source.code.len(), source.comments.len()),
        (text.len(), text.len())
    );
}

#[test]
fn functions_are_found_with_their_lines() {
    let text = "trait T { fn a(&self) -> [u8; 4]; }\nfn b<F: Fn() -> u8>(f: fn(u8)) {\n  f(1)\n}\n";
    let functions = Source::new("a.rs", text).functions();
    let found: Vec<_> = functions
        .iter()
        .map(|f| (f.name.as_str(), f.line, f.line_count))
        .collect();
    assert_eq!(found, [("b", 2, 3)]);
}

#[test]
fn tokens_are_words_and_signs() {
    let source = Source::new("a.rs", "fn f<'a>(x: &'a str) -> a::B { \"c d\" }");
    let texts: Vec<_> = source.tokens().iter().map(|token| token.text).collect();
    let expected = "fn f < ' a > ( x : & ' a str ) -> a :: B { \" \" }";
    assert_eq!(texts.join(" "), expected);
    assert_eq!(group_end(&source.tokens(), 6), 14);
    assert_eq!(
        Source::new("a.rs", "\n//! A.\n//!\n//! B.\nfn")
            .header()
            .count(),
        3
    );
}
