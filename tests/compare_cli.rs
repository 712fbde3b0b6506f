//! The example `compare` as its users meet it: what it says about bad input, what it prints and
//! writes for good input. And its two parts that others' figures rest on, the JSON reader and the
//! model of Go's `sync.Pool`, against simple oracles.
//!
//! The program is found beside this test's own binary, where `cargo test` built it.
#![cfg(all(feature = "std", feature = "allocator-api2-02", not(miri)))]

#[allow(dead_code)]
#[path = "../examples/compare/json.rs"]
mod json;
#[allow(dead_code)]
#[path = "../examples/compare/sync_pool_model.rs"]
mod sync_pool_model;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use json::Builder;
use sync_pool_model::SyncPool;

/// `TARGET/PROFILE/examples/compare`, from `TARGET/PROFILE/deps/compare_cli-…`.
fn program() -> PathBuf {
    static BUILT: Once = Once::new();
    let own = std::env::current_exe().expect("a test knows its binary");
    let profile = own
        .ancestors()
        .nth(2)
        .expect("deps lies in the profile's folder");
    let name = format!("compare{}", std::env::consts::EXE_SUFFIX);
    let path = profile.join("examples").join(name);
    // `cargo test` builds the examples; `cargo test --test compare_cli` alone does not.
    BUILT.call_once(|| {
        if !path.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let release = profile.ends_with("release").then_some("--release");
            let mut build = Command::new(cargo);
            build.args(["build", "--example", "compare"]).args(release);
            assert!(
                build.status().expect("cargo runs").success(),
                "the example does not build"
            );
        }
    });
    path
}

/// A folder of this test's own, empty.
fn folder(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("flagstone-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the temporary folder can be written");
    path
}

fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    Command::new(program())
        .args(arguments)
        .output()
        .expect("the example starts")
}

/// Runs it on a document and expects one line that contains `message`, and exit code 2.
fn refuses(arguments: &[&OsStr], message: &str) {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "one line, not:\n{stderr}");
    assert!(stderr.starts_with("compare: "), "{stderr}");
    assert!(stderr.contains(message), "{stderr:?} lacks {message:?}");
    assert!(output.stdout.is_empty(), "nothing on standard output");
}

fn refuses_content(test: &str, content: &[u8], message: &str) {
    let folder = folder(test);
    let file = folder.join("bad.json");
    std::fs::write(&file, content).expect("the temporary folder can be written");
    refuses(&[file.as_os_str()], &format!("{}{message}", file.display()));
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_missing_file_is_refused() {
    refuses(&[OsStr::new("no/such/file.json")], "no/such/file.json: ");
}

#[test]
fn a_directory_is_refused() {
    let folder = folder("directory");
    refuses(&[folder.as_os_str()], "a directory, not a JSON file");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn an_empty_file_is_refused() {
    refuses_content("empty", b"", ": empty, no JSON document in it");
    refuses_content("blank", b" \n\t\r\n", ": empty, no JSON document in it");
}

#[test]
fn broken_json_is_refused_with_line_and_column() {
    refuses_content(
        "comma",
        b"{\n  \"a\": [1, 2,]\n}",
        ":2:14: expected a value",
    );
    refuses_content(
        "column",
        "[\"äöü\", x]".as_bytes(),
        ":1:9: expected a value",
    );
    refuses_content(
        "end",
        b"[1, 2",
        ":1:6: the document ends in the middle of a value",
    );
    refuses_content(
        "rest",
        b"{}\n{}",
        ":2:1: something follows the document's end",
    );
    let deep = b"[".repeat(100_000);
    refuses_content("deep", &deep, ":1:257: nested deeper than 256 levels");
}

#[test]
fn text_that_is_not_utf8_is_refused_with_line_and_column() {
    refuses_content("latin1", b"[\"a\",\n \"\xC3\xA9 \xE9\"]", ":2:5: not UTF-8");
}

#[test]
fn a_wrong_command_line_is_refused() {
    refuses(&[OsStr::new("--fast")], "unknown option --fast; see --help");
    refuses(
        &[OsStr::new("a.json"), OsStr::new("b.json")],
        "one document at a time",
    );
    refuses(&[OsStr::new("--html")], "--html needs a path");
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_measuring() {
    let folder = folder("unwritable");
    let file = folder.join("good.json");
    std::fs::write(&file, "[1]").expect("the temporary folder can be written");
    let page = folder.join("no-such-folder").join("page.html");
    refuses(
        &[file.as_os_str(), OsStr::new("--html"), page.as_os_str()],
        "page.html: ",
    );
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn help_is_printed_and_is_no_error() {
    let output = run(["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: "));
    assert!(output.stderr.is_empty());
}

#[test]
fn a_small_document_is_compared_and_the_page_stands_alone() {
    let folder = folder("good");
    let file = folder.join("<small> & \"good\".json");
    let text = r#"{"id": 7, "tags": ["a", "b\u00e9"], "price": 1.5e3, "none": null, "ok": true}"#;
    if std::fs::write(&file, text).is_err() {
        return; // A system that has no such names.
    }
    let page = folder.join("page.html");
    let output = run([
        file.as_os_str(),
        "--quick".as_ref(),
        "--html".as_ref(),
        page.as_os_str(),
    ]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    for expected in [
        "Request\n",
        "Hot loop\n",
        "Reuse loop\n",
        "std String and Vec",
        "Arena from ArenaPool",
        "bumpalo, reset",
        "sync.Pool model",
        "=> The fastest way is ",
        "=> For these buffers of 4 KiB ",
        "page: ",
    ] {
        assert!(stdout.contains(expected), "no {expected:?} in\n{stdout}");
    }
    assert!(
        stderr.contains("request, time"),
        "no progress in {stderr:?}"
    );
    check_page(&page);
    let _ = std::fs::remove_dir_all(folder);
}

fn check_page(path: &Path) {
    let page = std::fs::read_to_string(path).expect("the page was written");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    for foreign in [
        "http:", "https:", "src=", "<script", "<link", "@import", "url(",
    ] {
        assert!(
            !page.contains(foreign),
            "the page is not self-contained: {foreign}"
        );
    }
    assert!(
        page.contains("&lt;small&gt; &amp; &quot;good&quot;.json"),
        "the name is escaped"
    );
    for (opening, closing) in [
        ("<svg", "</svg>"),
        ("<section", "</section>"),
        ("<tr", "</tr>"),
    ] {
        assert_eq!(
            page.matches(opening).count(),
            page.matches(closing).count(),
            "{opening}"
        );
    }
    assert!(page.matches("<section").count() == 3 && page.matches("<svg").count() >= 6);
}

#[test]
fn without_a_file_it_reads_what_cargo_says_about_the_project() {
    let folder = folder("metadata");
    let page = folder.join("page.html");
    let output = run(["--quick".as_ref(), "--html".as_ref(), page.as_os_str()]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("cargo metadata"));
    let _ = std::fs::remove_dir_all(folder);
}

/// Builds the canonical text of what it is given.
struct Printer;

impl Builder for Printer {
    type Value = String;
    type Text = String;
    type List = Vec<String>;
    type Map = Vec<String>;

    fn null(&mut self) -> String {
        "null".into()
    }

    fn bool(&mut self, value: bool) -> String {
        value.to_string()
    }

    fn number(&mut self, value: f64) -> String {
        format!("{value:?}")
    }

    fn text(&mut self, text: &str) -> String {
        format!("{text:?}")
    }

    fn text_value(&mut self, text: String) -> String {
        text
    }

    fn list(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn list_push(&mut self, list: &mut Vec<String>, value: String) {
        list.push(value);
    }

    fn list_value(&mut self, list: Vec<String>) -> String {
        format!("[{}]", list.join(","))
    }

    fn map(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn map_push(&mut self, map: &mut Vec<String>, name: String, value: String) {
        map.push(format!("{name}:{value}"));
    }

    fn map_value(&mut self, map: Vec<String>) -> String {
        format!("{{{}}}", map.join(","))
    }
}

fn parse(text: &str) -> Result<String, json::Error> {
    json::parse(text, &mut String::new(), &mut Printer)
}

#[test]
fn the_reader_accepts_what_the_grammar_accepts() {
    let nested = format!("{}{}", "[".repeat(256), "]".repeat(256));
    for (text, expected) in [
        ("null", "null"),
        (" true ", "true"),
        ("\t[ ]\r\n", "[]"),
        ("{ }", "{}"),
        (
            "[1,-0,10.50,1e2,1E+2,25e-1]",
            "[1.0,-0.0,10.5,100.0,100.0,2.5]",
        ),
        ("9007199254740993", "9007199254740992.0"),
        ("0.1e1", "1.0"),
        ("123456789012345678901234567890", "1.2345678901234568e29"),
        ("1e-400", "0.0"),
        ("2.2250738585072011e-308", "2.225073858507201e-308"),
        ("1.7976931348623157e308", "1.7976931348623157e308"),
        (r#""""#, r#""""#),
        (r#""a\"\\\/\b\f\n\r\t""#, r#""a\"\\/\u{8}\u{c}\n\r\t""#),
        (
            r#""\u0041\u00e9\u20AC\uD83D\ude00 long enough""#,
            "\"Aé€😀 long enough\"",
        ),
        (r#"{"a":{"b":[{}]},"a":0}"#, r#"{"a":{"b":[{}]},"a":0.0}"#),
        (nested.as_str(), nested.as_str()),
    ] {
        assert_eq!(parse(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn the_reader_refuses_what_the_grammar_refuses() {
    let texts = [
        "",
        " ",
        "nul",
        "True",
        "'a'",
        "[",
        "]",
        "[1 2]",
        "[,1]",
        "[1,]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\" 1}",
        "01",
        "-01",
        "-",
        "+1",
        ".5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "0x10",
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\\uD800\"",
        "\"\\uD800\\u0041\"",
        "\"\\uDC00\"",
        "\"a\nb\"",
        "\"eight ch\u{1f}\"",
        "1 1",
        "[] x",
        "\u{FEFF}[]",
        "[1]\u{0}",
        "/**/1",
        "1e1e1",
        "--1",
    ];
    for text in texts {
        assert!(parse(text).is_err(), "{text:?} gave {:?}", parse(text));
    }
    let error = parse("[\n1,\n  2 3]").expect_err("two values without a comma");
    assert_eq!((error.line, error.column), (3, 5));
}

/// Xorshift: enough for a test.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Appends a random document to `text`, and what [`Printer`] should make of it to `expected`.
fn generate(state: &mut u64, depth: u32, text: &mut String, expected: &mut String) {
    let space = |state: &mut u64| " \n\t".get(..(next(state) % 4) as usize).unwrap_or("");
    text.push_str(space(state));
    match next(state) % if depth == 0 { 3 } else { 5 } {
        0 => {
            let number = f64::from_bits(next(state));
            let number = if number.is_finite() {
                number
            } else {
                next(state) as f64 / 1000.0
            };
            text.push_str(&format!("{number:e}"));
            expected.push_str(&format!("{number:?}"));
        }
        1 => generate_text(state, text, expected),
        2 => {
            let word = ["null", "true", "false"][(next(state) % 3) as usize];
            text.push_str(word);
            expected.push_str(word);
        }
        kind => {
            let (open, close) = if kind == 3 { ('[', ']') } else { ('{', '}') };
            text.push(open);
            expected.push(open);
            for index in 0..next(state) % 6 {
                if index > 0 {
                    text.push(',');
                    expected.push(',');
                }
                if kind == 4 {
                    text.push_str(space(state));
                    generate_text(state, text, expected);
                    text.push_str(space(state));
                    text.push(':');
                    expected.push(':');
                }
                generate(state, depth - 1, text, expected);
            }
            text.push_str(space(state));
            text.push(close);
            expected.push(close);
        }
    }
    text.push_str(space(state));
}

fn generate_text(state: &mut u64, text: &mut String, expected: &mut String) {
    let mut content = String::new();
    text.push('"');
    for _ in 0..next(state) % 20 {
        let character = char::from_u32((next(state) % 0x300) as u32).unwrap_or('?');
        content.push(character);
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\0'..' ' => text.push_str(&format!("\\u{:04x}", character as u32)),
            _ => text.push(character),
        }
    }
    text.push('"');
    expected.push_str(&format!("{content:?}"));
}

#[test]
fn random_documents_are_read_as_they_were_written() {
    let mut state = 0x5EED;
    for _ in 0..3000 {
        let (mut text, mut expected) = (String::new(), String::new());
        generate(&mut state, 6, &mut text, &mut expected);
        assert_eq!(parse(&text).as_ref(), Ok(&expected), "{text}");
        // Cut anywhere it may be refused, but never panic.
        let mut cut = next(&mut state) as usize % (text.len() + 1);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let _ = parse(&text[..cut]);
    }
}

#[test]
fn the_model_returns_the_private_one_first_and_survives_one_cycle() {
    // More locals than this program has threads, whatever machine it runs on.
    let mut pool = SyncPool::with_locals(|| 0u32, 64);
    assert_eq!((*pool.get(), pool.creates()), (0, 1));
    pool.put(Box::new(1));
    pool.put(Box::new(2));
    assert_eq!((*pool.get(), *pool.get(), *pool.get()), (1, 2, 0));

    (100..200).for_each(|value| pool.put(Box::new(value)));
    pool.gc();
    let mut values: Vec<u32> = (0..100).map(|_| *pool.get()).collect();
    values.sort_unstable();
    assert!(
        values.into_iter().eq(100..200),
        "all live through one cycle"
    );
    assert_eq!(*pool.get(), 0);

    (100..200).for_each(|value| pool.put(Box::new(value)));
    pool.gc();
    pool.gc();
    assert_eq!(*pool.get(), 0, "none lives through two");
}

#[test]
fn the_model_never_hands_one_value_to_two_threads_and_drops_each_once() {
    const VALUES: usize = 300;
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    struct Value(AtomicBool);
    impl Drop for Value {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let create = || {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Value(AtomicBool::new(false))
    };
    let mut pool = SyncPool::new(create);
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let pool = &pool;
                scope.spawn(move || {
                    let mut held = Vec::new();
                    let mut state = 0x5EED + thread;
                    for _ in 0..5000 {
                        if held.len() < VALUES && next(&mut state) % 2 == 0 {
                            let value = pool.get();
                            assert!(!value.0.swap(true, Ordering::Relaxed), "held twice");
                            held.push(value);
                        } else if let Some(value) = held.pop() {
                            assert!(value.0.swap(false, Ordering::Relaxed));
                            pool.put(value);
                        }
                    }
                    held.into_iter().for_each(|value| {
                        value.0.store(false, Ordering::Relaxed);
                        pool.put(value);
                    });
                });
            }
        });
        pool.gc();
    }
    drop(pool);
    assert_eq!(
        LIVE.load(Ordering::Relaxed),
        0,
        "every value is dropped exactly once"
    );
}
