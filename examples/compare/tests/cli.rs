//! `compare` as its users meet it: what it says about bad input, what it prints and writes for good
//! input. And the model of Go's `sync.Pool`, which others' figures rest on, against what Go's does.

#[allow(dead_code)]
#[path = "../src/sync_pool_model.rs"]
mod sync_pool_model;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sync_pool_model::SyncPool;

/// A folder of this test's own, empty.
fn folder(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("flagstone-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the temporary folder can be written");
    path
}

fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_compare"))
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
    refuses(&[file.as_os_str()], &format!("{}:", file.display()));
    refuses(&[file.as_os_str()], message);
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
    let broken: [(&str, &[u8], &str); 4] = [
        ("comma", b"{\n  \"a\": [1, 2,]\n}", "line 2 column 14"),
        ("end", b"[1, 2", "line 1 column 5"),
        ("rest", b"{}\n{}", "trailing characters at line 2 column 1"),
        ("deep", &b"[".repeat(100_000), "recursion limit exceeded"),
    ];
    for (test, content, message) in broken {
        refuses_content(test, content, message);
    }
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
                    let mut random = fastrand::Rng::with_seed(thread);
                    for _ in 0..5000 {
                        if held.len() < VALUES && random.bool() {
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
