//! A small language whose tree lies in an arena: `cargo run --release --example ast`.
//!
//! ```text
//! expr    = product (('+' | '-') product)*
//! product = unary (('*' | '/') unary)*
//! unary   = '-' unary | number | name | name '(' list ')' | '(' expr ')' | block
//! block   = '{' ('let' name '=' expr ';')* expr '}'
//! ```
//! A node is plain data with plain references: it is `Copy`, nothing is freed one by one, and trees
//! can share parts. A list is an `ArenaVec`, frozen when it is complete; it grows at the arena's
//! low end while nodes are allocated at the high one. Names are stored once, so the same name is
//! the same pointer. For comparison the tree is built again of `Box` and `Vec`.
//!
//! The bytes of both are about the same: a list that waits for the lists inside it cannot give its
//! unused room back, nor grow where it is. What the arena saves is the time.

use std::time::{Duration, Instant};

use flagstone::{Arena, ArenaVec, Flagstone};
use hashbrown::{DefaultHashBuilder, HashSet};

/// The boxes' allocator, because it knows exactly how many bytes are allocated.
#[global_allocator]
static GLOBAL: Flagstone = Flagstone::new();

/// What is written, and at which bytes of the text.
#[derive(Clone, Copy, Debug)]
struct Expr<'a> {
    start: u32,
    end: u32,
    kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    Number(f64),
    Name(&'a str),
    Negate(&'a Expr<'a>),
    Binary(u8, &'a (Expr<'a>, Expr<'a>)),
    Call(&'a str, &'a [Expr<'a>]),
    Block(&'a [(&'a str, Expr<'a>)], &'a Expr<'a>),
}

/// What is wrong, and at which byte.
type Wrong = (&'static str, usize);

struct Parser<'t, 'a> {
    text: &'t str,
    /// Up to here it is parsed.
    at: usize,
    arena: &'a Arena,
    names: HashSet<&'a str, DefaultHashBuilder, &'a Arena>,
}

/// Parses the whole text as one expression.
fn parse<'a>(text: &str, arena: &'a Arena) -> Result<Expr<'a>, Wrong> {
    let names = HashSet::new_in(arena);
    let at = 0;
    let mut parser = Parser {
        text,
        at,
        arena,
        names,
    };
    let expr = parser.expr()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => parser.wrong("expected the end"),
    }
}

impl<'t, 'a> Parser<'t, 'a> {
    fn expr(&mut self) -> Result<Expr<'a>, Wrong> {
        self.binary(b"+-", |parser| parser.binary(b"*/", Self::unary))
    }

    fn binary(
        &mut self,
        operators: &[u8],
        operand: impl Fn(&mut Self) -> Result<Expr<'a>, Wrong>,
    ) -> Result<Expr<'a>, Wrong> {
        let mut left = operand(self)?;
        while let Some(operator) = self.peek().filter(|next| operators.contains(next)) {
            self.eat(operator);
            let both = self.arena.alloc((left, operand(self)?));
            left = self.node(left.start as usize, Kind::Binary(operator, both));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr<'a>, Wrong> {
        let start = self.start();
        let kind = if self.eat(b'-') {
            Kind::Negate(self.arena.alloc(self.unary()?))
        } else if self.eat(b'(') {
            let expr = self.expr()?;
            self.expect(b')', "expected `)`")?;
            return Ok(expr);
        } else if self.eat(b'{') {
            self.block()?
        } else {
            self.word_or_call()?
        };
        Ok(self.node(start, kind))
    }

    fn word_or_call(&mut self) -> Result<Kind<'a>, Wrong> {
        let word = self.word();
        if word.is_empty() {
            return self.wrong("expected a value");
        }
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            let number = word.parse().map(Kind::Number);
            return number.or_else(|_| self.wrong("no such number"));
        }
        let name = self.name(word);
        if !self.eat(b'(') {
            return Ok(Kind::Name(name));
        }
        let mut arguments = ArenaVec::new_in(self.arena);
        while !self.eat(b')') {
            if !arguments.is_empty() {
                self.expect(b',', "expected `,` or `)`")?;
            }
            arguments.push(self.expr()?);
        }
        Ok(Kind::Call(name, arguments.into_slice()))
    }

    fn block(&mut self) -> Result<Kind<'a>, Wrong> {
        let mut bindings = ArenaVec::new_in(self.arena);
        loop {
            let before = self.at;
            if self.word() != "let" {
                self.at = before;
                break;
            }
            let word = self.word();
            let name = self.name(word);
            self.expect(b'=', "expected `=`")?;
            bindings.push((name, self.expr()?));
            self.expect(b';', "expected `;`")?;
        }
        let last = self.arena.alloc(self.expr()?);
        self.expect(b'}', "expected `}`")?;
        Ok(Kind::Block(bindings.into_slice(), last))
    }

    fn node(&self, start: usize, kind: Kind<'a>) -> Expr<'a> {
        let (start, end) = (start as u32, self.at as u32);
        Expr { start, end, kind }
    }

    /// The one copy of a name.
    fn name(&mut self, word: &str) -> &'a str {
        let arena = self.arena;
        self.names
            .get_or_insert_with(word, |word| arena.alloc_str(word))
    }

    /// Where the next thing starts that is not space.
    fn start(&self) -> usize {
        self.text.len() - self.text[self.at..].trim_start().len()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.start()).copied()
    }

    /// Letters, digits, `.` and `_`.
    fn word(&mut self) -> &'t str {
        let rest = &self.text[self.start()..];
        let ends = |c: char| !(c.is_alphanumeric() || c == '.' || c == '_');
        let len = rest.find(ends).unwrap_or(rest.len());
        self.at = self.start() + len;
        &rest[..len]
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.at = self.start() + 1;
        }
        is_next
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Wrong> {
        if self.eat(byte) {
            Ok(())
        } else {
            self.wrong(what)
        }
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Wrong> {
        Err((what, self.start()))
    }
}

/// The value of an expression, with the names bound so far, innermost last.
fn evaluate<'a>(expr: &Expr<'a>, bound: &mut Vec<(&'a str, f64)>) -> Result<f64, Wrong> {
    let wrong = |what| (what, expr.start as usize);
    match expr.kind {
        Kind::Number(number) => Ok(number),
        Kind::Name(name) => {
            // Stored once, so the pointers tell.
            let found = bound.iter().rfind(|(own, _)| std::ptr::eq(*own, name));
            found.map(|(_, value)| *value).ok_or(wrong("unknown name"))
        }
        Kind::Negate(inner) => Ok(-evaluate(inner, bound)?),
        Kind::Binary(operator, (left, right)) => {
            let (left, right) = (evaluate(left, bound)?, evaluate(right, bound)?);
            Ok(match operator {
                b'+' => left + right,
                b'-' => left - right,
                b'*' => left * right,
                _ => left / right,
            })
        }
        Kind::Call(name, arguments) => {
            let (first, with): (f64, fn(f64, f64) -> f64) = match name {
                "sum" => (0.0, |a, b| a + b),
                "min" => (f64::INFINITY, f64::min),
                "max" => (f64::NEG_INFINITY, f64::max),
                _ => return Err(wrong("unknown function")),
            };
            let mut values = arguments.iter().map(|argument| evaluate(argument, bound));
            values.try_fold(first, |so_far, value| Ok(with(so_far, value?)))
        }
        Kind::Block(bindings, last) => {
            let outer = bound.len();
            for (name, value) in bindings {
                let value = evaluate(value, bound)?;
                bound.push((name, value));
            }
            let value = evaluate(last, bound);
            bound.truncate(outer);
            value
        }
    }
}

/// The same tree as it would be without an arena.
#[expect(dead_code, reason = "built to be measured")]
struct Boxed {
    start: u32,
    end: u32,
    kind: BoxedKind,
}

#[expect(dead_code, reason = "built to be measured")]
enum BoxedKind {
    Number(f64),
    Name(Box<str>),
    Negate(Box<Boxed>),
    Binary(u8, Box<(Boxed, Boxed)>),
    Call(Box<str>, Vec<Boxed>),
    Block(Vec<(Box<str>, Boxed)>, Box<Boxed>),
}

fn boxed(expr: &Expr) -> Boxed {
    let (start, end) = (expr.start, expr.end);
    let kind = match expr.kind {
        Kind::Number(number) => BoxedKind::Number(number),
        Kind::Name(name) => BoxedKind::Name(name.into()),
        Kind::Negate(inner) => BoxedKind::Negate(Box::new(boxed(inner))),
        Kind::Binary(operator, (left, right)) => {
            BoxedKind::Binary(operator, Box::new((boxed(left), boxed(right))))
        }
        Kind::Call(name, arguments) => {
            BoxedKind::Call(name.into(), arguments.iter().map(boxed).collect())
        }
        Kind::Block(bindings, last) => {
            let binding = |(name, value): &(&str, _)| ((*name).into(), boxed(value));
            let bindings = bindings.iter().map(binding).collect();
            BoxedKind::Block(bindings, Box::new(boxed(last)))
        }
    };
    Boxed { start, end, kind }
}

fn count(expr: &Expr) -> usize {
    1 + match expr.kind {
        Kind::Number(_) | Kind::Name(_) => 0,
        Kind::Negate(inner) => count(inner),
        Kind::Binary(_, (left, right)) => count(left) + count(right),
        Kind::Call(_, arguments) => arguments.iter().map(count).sum(),
        Kind::Block(bindings, last) => {
            let bindings = bindings.iter().map(|(_, value)| count(value));
            bindings.sum::<usize>() + count(last)
        }
    }
}

/// A text of `count` blocks, about twenty nodes each.
fn generate(count: usize) -> String {
    let block = |n: usize| {
        let bindings = format!("let rate = {n}.5; let base = max(rate, {n}, 7) - 1;");
        format!("{{ {bindings} -(rate * base) / 2 + sum(base, min(2, rate)) }}")
    };
    let blocks: Vec<String> = (0..count).map(block).collect();
    format!("sum({})", blocks.join(",\n    "))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let made = work();
    (made, start.elapsed())
}

fn main() -> Result<(), Wrong> {
    let text = generate(10_000);
    let mut arena = Arena::new();
    // A round to warm up: the first one also pays for fresh pages.
    drop(boxed(&parse(&text, &arena)?));
    arena.reset();

    let (tree, parsing) = timed(|| parse(&text, &arena));
    let tree = tree?;
    println!("the value is {}", evaluate(&tree, &mut Vec::new())?);
    let nodes = count(&tree);
    let before = flagstone::stats().allocated;
    let (copy, boxing) = timed(|| boxed(&tree));
    let boxed_bytes = flagstone::stats().allocated - before;
    let (_, dropping) = timed(|| drop(copy));
    let bytes = arena.used_bytes();
    let (_, resetting) = timed(|| arena.reset());

    let per_node = |cost: Duration| cost.as_nanos() as f64 / nodes as f64;
    println!("{nodes} nodes of {} bytes of text", text.len());
    println!(
        "in the arena: {bytes} bytes, parsed in {:.1} ns a node",
        per_node(parsing)
    );
    println!("    all freed in {resetting:?}");
    println!(
        "in boxes: {boxed_bytes} bytes, copied in {:.1} ns a node",
        per_node(boxing)
    );
    println!(
        "    all freed in {dropping:?}, {:.1} ns a node",
        per_node(dropping)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<f64, Wrong> {
        evaluate(&parse(text, &Arena::new())?, &mut Vec::new())
    }

    #[test]
    fn operators_bind_as_in_school() {
        assert_eq!(value("1 + 2 * 3 - 4 / 2"), Ok(5.0));
        assert_eq!(value("2 * (3 + 4) - - 1"), Ok(15.0));
        assert_eq!(value("8 - 3 - 2"), Ok(3.0));
    }

    #[test]
    fn names_are_bound_until_their_block_ends() {
        assert_eq!(
            value("{ let a = 2; let a = a * 3; { let b = 1; a + b } * a }"),
            Ok(42.0)
        );
        assert_eq!(
            value("max({ let letter = 4; letter }, sum(), -min(8, 9))"),
            Ok(4.0)
        );
        assert_eq!(
            value("{ let a = { let b = 1; b }; b }"),
            Err(("unknown name", 28))
        );
        assert_eq!(value("{ let a = a; 1 }"), Err(("unknown name", 10)));
    }

    #[test]
    fn errors_say_where() {
        for (text, what, at) in [
            ("", "expected a value", 0),
            ("1 + ", "expected a value", 4),
            ("1 2", "expected the end", 2),
            ("1.2.3 ", "no such number", 6),
            ("(1", "expected `)`", 2),
            ("sum(1 2)", "expected `,` or `)`", 6),
            ("{ let a 1; a }", "expected `=`", 8),
            ("2 * avg(1)", "unknown function", 4),
        ] {
            assert_eq!(value(text), Err((what, at)), "{text}");
        }
    }

    #[test]
    fn spans_and_nodes() {
        let arena = Arena::new();
        let text = "sum(1, -abc * abc )";
        let tree = parse(text, &arena).unwrap();
        assert_eq!(count(&tree), 6);
        let Kind::Call("sum", [_, product]) = tree.kind else {
            panic!("a call with two arguments");
        };
        assert_eq!(
            &text[product.start as usize..product.end as usize],
            "-abc * abc"
        );
    }
}
