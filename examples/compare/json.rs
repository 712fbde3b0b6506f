//! A small, strict JSON reader (RFC 8259), generic over what it builds.
//!
//! Every contender of the comparison must read the same text with the same code, so that only the
//! memory differs: [`parse`] knows the grammar and nothing about memory; a [`Builder`] knows memory
//! and nothing about the grammar.
//!
//! - I1: nesting is bounded by [`DEPTH_MAX`], so neither the reader nor a tree's walk or drop can
//!   overflow the stack.
//! - I2: text without escapes reaches the builder as a slice of the input; text with escapes as a
//!   slice of the caller's scratch string. The builder copies; the reader never allocates
//!   anything but the growth of that scratch.
//! - I3: the position is computed only when an error is made; reading carries a byte offset alone.
//!
//! It does not know: files, trees, time. Numbers are `f64`; those beyond its range are errors.

use std::fmt;

/// Deepest nesting accepted. serde_json stops at 128, which machine-made documents do exceed;
/// twice that still needs well under a tenth of a 2 MiB thread stack without optimisation.
pub(crate) const DEPTH_MAX: usize = 256;

/// Receives the document's parts and puts them into memory its own way.
pub(crate) trait Builder {
    /// A finished value of any kind.
    type Value;
    /// A finished string, also a member's name.
    type Text;
    /// An array under construction.
    type List;
    /// An object under construction.
    type Map;

    fn null(&mut self) -> Self::Value;
    fn bool(&mut self, value: bool) -> Self::Value;
    fn number(&mut self, value: f64) -> Self::Value;
    /// Copies `text`: it lives only until the call returns.
    fn text(&mut self, text: &str) -> Self::Text;
    fn text_value(&mut self, text: Self::Text) -> Self::Value;
    fn list(&mut self) -> Self::List;
    fn list_push(&mut self, list: &mut Self::List, value: Self::Value);
    fn list_value(&mut self, list: Self::List) -> Self::Value;
    fn map(&mut self) -> Self::Map;
    fn map_push(&mut self, map: &mut Self::Map, name: Self::Text, value: Self::Value);
    fn map_value(&mut self, map: Self::Map) -> Self::Value;
}

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Counted from 1, in characters.
    pub(crate) column: usize,
    pub(crate) what: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

/// Line and column, both from 1 and the column in characters, of a byte offset in `bytes`.
/// Works on text that is not UTF-8 as a whole: it counts the bytes that start a character.
pub(crate) fn position(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = &bytes[..offset.min(bytes.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let line_start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let starts_character = |byte: &&u8| **byte & 0xC0 != 0x80;
    (
        line,
        before[line_start..].iter().filter(starts_character).count() + 1,
    )
}

/// Reads one document. `scratch` holds unescaped text between calls; its content is of no use to
/// the caller.
pub(crate) fn parse<B: Builder>(
    text: &str,
    scratch: &mut String,
    builder: &mut B,
) -> Result<B::Value, Error> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        scratch,
    };
    let read = reader.document(builder);
    read.map_err(|what| {
        let (line, column) = position(text.as_bytes(), reader.at);
        Error { line, column, what }
    })
}

struct Reader<'t, 's> {
    text: &'t str,
    bytes: &'t [u8],
    /// Offset of the next byte to read; where an error points to.
    at: usize,
    scratch: &'s mut String,
}

type Read<T> = Result<T, &'static str>;

const EXPECTED_VALUE: &str = "expected a value";
const UNEXPECTED_END: &str = "the document ends in the middle of a value";

impl Reader<'_, '_> {
    fn document<B: Builder>(&mut self, builder: &mut B) -> Read<B::Value> {
        if self.text.starts_with('\u{FEFF}') {
            return Err("a byte order mark; JSON text has none");
        }
        self.skip_space();
        let value = self.value(builder, 0)?;
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err("something follows the document's end");
        }
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return,
            }
        }
    }

    fn value<B: Builder>(&mut self, builder: &mut B, depth: usize) -> Read<B::Value> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string(builder)?;
                Ok(builder.text_value(text))
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                Ok(builder.number(number))
            }
            Some(b'{') => self.object(builder, depth + 1),
            Some(b'[') => self.array(builder, depth + 1),
            Some(b't') => self.word("true").map(|()| builder.bool(true)),
            Some(b'f') => self.word("false").map(|()| builder.bool(false)),
            Some(b'n') => self.word("null").map(|()| builder.null()),
            Some(_) => Err(EXPECTED_VALUE),
            None => Err(UNEXPECTED_END),
        }
    }

    fn word(&mut self, word: &'static str) -> Read<()> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(EXPECTED_VALUE);
        }
        self.at += word.len();
        Ok(())
    }

    fn array<B: Builder>(&mut self, builder: &mut B, depth: usize) -> Read<B::Value> {
        self.enter(depth)?;
        let mut list = builder.list();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(builder.list_value(list));
        }
        loop {
            let value = self.value(builder, depth)?;
            builder.list_push(&mut list, value);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                Some(_) => return Err("expected ',' or ']'"),
                None => return Err(UNEXPECTED_END),
            }
            self.skip_space();
        }
        self.at += 1;
        Ok(builder.list_value(list))
    }

    fn object<B: Builder>(&mut self, builder: &mut B, depth: usize) -> Read<B::Value> {
        self.enter(depth)?;
        let mut map = builder.map();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(builder.map_value(map));
        }
        loop {
            match self.peek() {
                Some(b'"') => {}
                Some(_) => return Err("expected a member's name in quotes"),
                None => return Err(UNEXPECTED_END),
            }
            let name = self.string(builder)?;
            self.skip_space();
            match self.peek() {
                Some(b':') => self.at += 1,
                Some(_) => return Err("expected ':' after a member's name"),
                None => return Err(UNEXPECTED_END),
            }
            self.skip_space();
            let value = self.value(builder, depth)?;
            builder.map_push(&mut map, name, value);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                Some(_) => return Err("expected ',' or '}'"),
                None => return Err(UNEXPECTED_END),
            }
            self.skip_space();
        }
        self.at += 1;
        Ok(builder.map_value(map))
    }

    /// Steps over the opening bracket.
    fn enter(&mut self, depth: usize) -> Read<()> {
        if depth > DEPTH_MAX {
            return Err("nested deeper than 256 levels");
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// From the opening quote to behind the closing one.
    #[inline]
    fn string<B: Builder>(&mut self, builder: &mut B) -> Read<B::Text> {
        self.at += 1;
        let start = self.at;
        self.at += plain_run(&self.bytes[start..]);
        if self.peek() == Some(b'"') {
            let text = builder.text(&self.text[start..self.at]);
            self.at += 1;
            return Ok(text);
        }
        self.unescape(start)?;
        Ok(builder.text(self.scratch))
    }

    /// The slow half of [`Reader::string`]: at a byte that is neither plain nor the closing quote.
    #[cold]
    #[inline(never)]
    fn unescape(&mut self, start: usize) -> Read<()> {
        self.scratch.clear();
        self.scratch.push_str(&self.text[start..self.at]);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err("a control character inside a string"),
                None => return Err("a string without its closing quote"),
            }
            let plain_start = self.at;
            self.at += plain_run(&self.bytes[plain_start..]);
            self.scratch.push_str(&self.text[plain_start..self.at]);
        }
    }

    fn escape(&mut self) -> Read<()> {
        let Some(&kind) = self.bytes.get(self.at + 1) else {
            return Err("a string without its closing quote");
        };
        let character = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err("an unknown escape in a string"),
        };
        self.scratch.push(character);
        self.at += 2;
        Ok(())
    }

    /// `\u` and four digits, or a surrogate pair of two such escapes.
    fn unicode_escape(&mut self) -> Read<()> {
        const LONE: &str = "half of a surrogate pair";
        let first = self.hex4(self.at + 2)?;
        let (code, bytes) = match first {
            0xD800..=0xDBFF => {
                if self.bytes.get(self.at + 6..self.at + 8) != Some(b"\\u") {
                    return Err(LONE);
                }
                let second = self.hex4(self.at + 8)?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(LONE);
                }
                (0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
            }
            _ => (first, 6),
        };
        self.scratch.push(char::from_u32(code).ok_or(LONE)?);
        self.at += bytes;
        Ok(())
    }

    fn hex4(&self, from: usize) -> Read<u32> {
        const BAD: &str = "\\u needs four hexadecimal digits";
        let digits = self.bytes.get(from..from + 4).ok_or(BAD)?;
        digits.iter().try_fold(0, |code, &digit| {
            let value = char::from(digit).to_digit(16).ok_or(BAD)?;
            Ok(code << 4 | value)
        })
    }

    #[inline]
    fn number(&mut self) -> Read<f64> {
        let start = self.at;
        let (number, end) = scan_number(self.bytes, start).map_err(|(what, at)| {
            self.at = at;
            what
        })?;
        self.at = end;
        if let Some(value) = number.exact() {
            return Ok(value);
        }
        match self.text[start..end].parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => {
                self.at = start;
                Err("a number beyond the range of a double")
            }
        }
    }
}

/// A number's parts as far as 64 bits carry them.
struct Number {
    negative: bool,
    /// The digits without the point; meaningless when there are more than [`DIGITS_MAX`].
    digits: u64,
    digit_count: usize,
    exponent: i64,
}

/// 19 decimal digits always fit a `u64`; 20 do not.
const DIGITS_MAX: usize = 19;

/// Powers of ten that a double holds exactly; 1e23 is the first that it does not.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl Number {
    /// The value when one correctly rounded operation on two exact doubles gives it (W. Clinger,
    /// "How to read floating point numbers accurately", PLDI 1990); otherwise `None`.
    #[inline]
    fn exact(&self) -> Option<f64> {
        if self.digit_count > DIGITS_MAX || self.digits > 1 << 53 {
            return None;
        }
        let power = *EXACT_POWERS.get(usize::try_from(self.exponent.unsigned_abs()).ok()?)?;
        let digits = self.digits as f64;
        let value = if self.exponent < 0 {
            digits / power
        } else {
            digits * power
        };
        Some(if self.negative { -value } else { value })
    }
}

/// Reads a number by RFC 8259's grammar; returns it and the offset behind it, or what is wrong
/// and where.
#[inline]
fn scan_number(bytes: &[u8], start: usize) -> Result<(Number, usize), (&'static str, usize)> {
    let mut at = start;
    let negative = bytes[at] == b'-';
    at += usize::from(negative);
    let int_start = at;
    let mut digits = 0;
    at = scan_digits(bytes, at, &mut digits);
    let mut digit_count = at - int_start;
    if digit_count == 0 {
        return Err(("expected a digit", at));
    }
    if digit_count > 1 && bytes[int_start] == b'0' {
        return Err(("a number that starts with 0", int_start));
    }
    let mut exponent = 0;
    if bytes.get(at) == Some(&b'.') {
        let fraction_start = at + 1;
        at = scan_digits(bytes, fraction_start, &mut digits);
        let fraction_count = at - fraction_start;
        if fraction_count == 0 {
            return Err(("expected a digit", at));
        }
        digit_count += fraction_count;
        exponent = -(fraction_count as i64);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        let down = bytes.get(at) == Some(&b'-');
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let exponent_start = at;
        let mut shift = 0;
        at = scan_digits(bytes, at, &mut shift);
        if at == exponent_start {
            return Err(("expected a digit", at));
        }
        // More than nine digits of exponent: out of every range, so any large value will do.
        let long = at - exponent_start > 9;
        let shift = if long {
            i64::from(i32::MAX)
        } else {
            shift as i64
        };
        exponent += if down { -shift } else { shift };
    }
    Ok((
        Number {
            negative,
            digits,
            digit_count,
            exponent,
        },
        at,
    ))
}

/// Appends the decimal digits from `at` on to `digits`, wrapping; returns the offset behind them.
#[inline]
fn scan_digits(bytes: &[u8], mut at: usize, digits: &mut u64) -> usize {
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        *digits = digits
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    at
}

/// How many bytes stand before the first quote, backslash or control character.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The classic test for a byte below `n`: exact for the lowest byte it flags, which is the
    // only one used. A byte equal to c is one where `word ^ c` is below 1.
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGH;
    let chunks = bytes.chunks_exact(8);
    let rest = chunks.remainder();
    let mut run = 0;
    for chunk in chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let stops = quote | backslash | below(word, 0x20);
        if stops != 0 {
            return run + (stops.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    let stop = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < 0x20;
    run + rest.iter().position(stop).unwrap_or(rest.len())
}
