//! One word per thing: the glossary of DESIGN.md against the words that the code uses.
//!
//! Owns the lists: the words that stand for an idea of this crate, each defined exactly once in
//! the section on words, and the words that have a place and must not be said elsewhere. A
//! definition is a word in bold: `- **word**: …`, `| **word** | … |`, several in a line if need
//! be, or several in one pair of marks with commas between them.

use std::collections::BTreeMap;

use crate::Finding;
use crate::source::Source;

/// The ideas of the crate, floor by floor.
#[rustfmt::skip]
const IDEAS: &[&str] = &[
    // base/, pages/
    "page", "reservation", "segment", "unit", "piece", "span", "registry", "purge",
    // slab/, heap/
    "slab", "slot", "size class", "bin", "stack", "cached word", "refill", "flush", "version",
    "spare", "heap", "adopt", "inbox", "notice", "orphan", "quarantine",
    // arena/
    "arena", "chunk", "window", "scope", "session", "claim", "checkpoint",
    // pool/
    "pool", "shard", "seat", "depot", "lease", "holder", "magazine", "generation", "event", "note",
    "stale", "vacant", "route", "drops", "ward", "judge", "counters", "sums", "stats",
];

/// A word that means something in some folders only, by its beginning: `claim` is `Claimed`, too.
struct Placed {
    word: &'static str,
    /// Beginnings of paths under `src/`.
    places: &'static [&'static str],
    instead: &'static str,
}

const PLACED: &[Placed] = &[
    Placed {
        word: "claim",
        places: &["arena/", "lib.rs"],
        instead: "spans are taken, orphans adopted, shards leased; a caller states or says",
    },
    Placed {
        word: "magazine",
        places: &["pool/"],
        instead: "a bin's is a stack",
    },
    Placed {
        word: "generation",
        places: &["pool/"],
        instead: "a key has a version",
    },
    Placed {
        word: "judge",
        places: &["pool/"],
        instead: "check, assess or decide",
    },
    Placed {
        word: "tally",
        places: &[],
        instead: "counters are added to, sums are their snapshot",
    },
];

/// Names that say too little to be a type's whole name.
const BARE_TYPES: &[(&str, &str)] = &[("Core", "say whose: SlabCore, PoolCore")];

/// Ideas without a definition or with two, any other word with two, and ideas that nothing says.
pub(crate) fn glossary(design: &str, sources: &[Source]) -> Vec<Finding> {
    glossary_of(IDEAS, design, sources)
}

fn glossary_of(ideas: &[&str], design: &str, sources: &[Source]) -> Vec<Finding> {
    let mut defined: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (line, word) in definitions(design) {
        let idea = ideas.iter().find(|idea| is_form_of(&word, idea));
        let word = idea.map_or(word, |idea| (*idea).to_owned());
        defined.entry(word).or_default().push(line);
    }
    let mut findings = Vec::new();
    for (word, lines) in defined.iter().filter(|(_, lines)| lines.len() > 1) {
        let what = format!("`{word}` is defined {} times", lines.len());
        findings.push(Finding::at("DESIGN.md", lines[1], what));
    }
    for idea in ideas {
        if !defined.contains_key(*idea) {
            let what = format!("the glossary does not define `{idea}`");
            findings.push(Finding::at("DESIGN.md", 1, what));
        }
        let in_code = idea.replace(' ', "_");
        let says = |source: &Source| {
            let text = source.text.to_lowercase();
            source.path.starts_with("src/") && (text.contains(idea) || text.contains(&in_code))
        };
        if !sources.iter().any(says) {
            let what = format!("`{idea}` is an idea that src/ does not name");
            findings.push(Finding::at("DESIGN.md", 1, what));
        }
    }
    findings
}

/// Each word in bold in the section on words, in lower case, with its line.
fn definitions(design: &str) -> Vec<(usize, String)> {
    let is_heading = |line: &str| line.starts_with("## ");
    let lines = design.lines().enumerate();
    let mut section = lines.skip_while(|(_, line)| !is_heading(line) || !line.contains("Words"));
    section.next();
    let section = section.take_while(|(_, line)| !is_heading(line));
    let mut found = Vec::new();
    for (index, line) in section {
        for bold in line.split("**").skip(1).step_by(2) {
            let words = bold.split(',').map(|word| word.trim().trim_matches('`'));
            found.extend(words.map(|word| (index + 1, word.to_lowercase())));
        }
    }
    found
}

/// Whether `word` is `idea` or its plural.
fn is_form_of(word: &str, idea: &str) -> bool {
    let more = word.strip_prefix(idea);
    more.is_some_and(|more| ["", "s", "es"].contains(&more)) || idea.strip_suffix('s') == Some(word)
}

/// Words out of their place, in code, comments and messages.
pub(crate) fn places(source: &Source) -> Vec<Finding> {
    let Some(path) = source.path.strip_prefix("src/") else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let words = line.split(|c: char| !c.is_alphanumeric());
        let parts: Vec<String> = words.flat_map(parts_of).collect();
        for Placed {
            word,
            places,
            instead,
        } in PLACED
        {
            let said = parts.iter().any(|part| part.starts_with(word));
            if said && !places.iter().any(|place| path.starts_with(place)) {
                let what = format!("`{word}` is not a word of this place: {instead}");
                findings.push(Finding::new(source, index + 1, what));
            }
        }
    }
    for (offset, word) in source.words() {
        for (_, instead) in BARE_TYPES.iter().filter(|(name, _)| *name == word) {
            let what = format!("`{word}` is no name for a type: {instead}");
            findings.push(Finding::new(source, source.line_of(offset), what));
        }
    }
    findings
}

/// The parts of a name in camel case, in lower case.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = 'A';
    for c in name.chars() {
        if c.is_uppercase() && !before.is_uppercase() {
            parts.push(String::new());
        }
        let part = parts.last_mut().expect("one at least");
        part.extend(c.to_lowercase());
        before = c;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLOSSARY: &str = "# D\n\n## 1. Words\n\n- **slab**: cut into equal **slots**.\n\
        - **lease, holder**: who has it.\n  **size class**: goes on.\n\n\
        | word | meaning |\n|---|---|\n| **sums** | of **counters** |\n\n\
        ## 2. Floors\n\n**page**\n";

    fn missing(ideas: &[&str], glossary: &str) -> usize {
        let text = "//! slab slot lease Holder size_class sums counters page";
        glossary_of(ideas, glossary, &[Source::new("src/a.rs", text)]).len()
    }

    #[test]
    fn idea_that_the_glossary_lacks_fails() {
        let all = [
            "slab",
            "slot",
            "lease",
            "holder",
            "size class",
            "sums",
            "counters",
        ];
        assert_eq!(missing(&all, GLOSSARY), 0);
        assert_eq!(missing(&["page"], GLOSSARY), 1);
        assert_eq!(missing(&["slab"], "## Words\n"), 1);
    }

    #[test]
    fn word_with_two_definitions_fails() {
        let twice = GLOSSARY.replace("of **counters**", "of the **slot**");
        assert_eq!(missing(&["slot"], &twice), 1);
        assert_eq!(missing(&[], &twice.replace("slot", "lease")), 1);
    }

    #[test]
    fn idea_that_the_code_does_not_name_fails() {
        assert_eq!(
            missing(&["attic"], "## Words\n- **attic**: above all.\n"),
            1
        );
    }

    #[test]
    fn word_out_of_its_place_fails() {
        let count = |path: &str, text: &str| places(&Source::new(path, text)).len();
        for said in [
            "// claims it",
            "fn claim_span() {}",
            "struct ClaimedWord;",
            "\"unclaimed\"",
        ] {
            let expected = usize::from(!said.contains("unclaimed"));
            assert_eq!(count("src/pages/spans.rs", said), expected, "{said}");
            assert_eq!(count("src/arena/claim.rs", said), 0, "{said}");
        }
        assert_eq!(count("src/pages/spans.rs", "// reclaimed, disclaimer"), 0);
        assert_eq!(count("src/slab/keys.rs", "generation: u32,"), 1);
        assert_eq!(count("src/pool/life/note.rs", "generation: u32,"), 0);
        assert_eq!(count("tests/heap.rs", "// its magazine"), 0);
    }

    #[test]
    fn bare_name_of_a_type_fails() {
        let count = |text: &str| places(&Source::new("src/slab/shared.rs", text)).len();
        assert_eq!(count("struct Core<T> {}"), 1);
        assert_eq!(
            count("struct SlabCore<T> { a: core::cell::Cell<T> } // Core"),
            0
        );
    }
}
