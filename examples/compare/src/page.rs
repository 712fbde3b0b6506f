//! The HTML page: one file, no resource from anywhere, the same figures as on the terminal.
//!
//! - I1: every text that did not come from this program's own constants passes [`escape`].
//! - I2: the page needs no script; light and dark are the style sheet's business.
//! - I3: where the page goes is found out before anything is measured.
//!
//! It does not measure.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::chart::{self, Bar};
use crate::figures::{Bytes, Nanos};
use crate::report::{HEADINGS, LEGEND, Report, Row, Section};
use crate::work::Maker;

const FILE_NAME: &str = "flagstone-compare.html";
const STYLE: &str = include_str!("page.css");

/// A file that can be written.
pub(crate) struct PagePath(PathBuf);

impl PagePath {
    /// The path asked for; else one in cargo's target folder, else in the current one.
    pub(crate) fn choose(asked: Option<&Path>) -> Result<PagePath, String> {
        if let Some(path) = asked {
            return match try_write(path) {
                Ok(()) => Ok(PagePath(path.into())),
                Err(error) => Err(format!(
                    "{}: {error}; the page needs a place",
                    path.display()
                )),
            };
        }
        let folders = target_folder().into_iter().chain([PathBuf::from(".")]);
        let mut paths = folders.map(|folder| folder.join(FILE_NAME));
        paths.find(|path| try_write(path).is_ok()).map(PagePath).ok_or_else(|| {
            "neither cargo's target folder nor the current one can be written; name a page with \
             --html PATH"
                .into()
        })
    }

    pub(crate) fn write(&self, page: &str) -> Result<(), String> {
        fs::write(&self.0, page).map_err(|error| format!("{}: {error}", self.0.display()))
    }

    /// The path as a person or a browser wants it: absolute, where that can be found out.
    pub(crate) fn shown(&self) -> String {
        let absolute = fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
        absolute.display().to_string()
    }
}

/// Opens the file for writing without touching what is in it.
fn try_write(path: &Path) -> std::io::Result<()> {
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map(drop)
}

/// This program lies in `TARGET/PROFILE/examples/`.
fn target_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let examples = program.parent()?;
    let is_cargos = examples.file_name()? == "examples";
    is_cargos.then(|| examples.ancestors().nth(2).map(PathBuf::from))?
}

/// Text for HTML, in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The whole page.
pub(crate) fn render(report: &Report) -> String {
    let mut page = String::with_capacity(64 << 10);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>flagstone: compare</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header>{}<div><h1>Is it worth it, on your data?</h1>\
         <div class=\"soft\">flagstone compare &middot; {} &middot; {}</div></div></header>\n",
        chart::logo(),
        escape(&report.document),
        escape(&report.date)
    );
    if let Some(warning) = report.warning {
        let _ = writeln!(page, "<p class=\"warning\">{}</p>", escape(warning));
    }
    page.push_str("<div class=\"cards\">\n");
    report
        .sections
        .iter()
        .for_each(|section| push_card(&mut page, section));
    page.push_str("</div>\n");
    let _ = writeln!(
        page,
        "<p class=\"legend\">{}{}{}{}</p>",
        key("ours", "flagstone"),
        key("std", "standard library"),
        key("other", "others, and by hand"),
        key("floor", "the loop without making and freeing")
    );
    report
        .sections
        .iter()
        .for_each(|section| push_section(&mut page, section));
    push_footer(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn key(class: &str, text: &str) -> String {
    format!("<span><i class=\"dot {class}\"></i>{text}</span>")
}

fn class_of(maker: Maker) -> &'static str {
    match maker {
        Maker::Std => "std",
        Maker::Flagstone => "ours",
        Maker::Other => "other",
        Maker::Floor => "floor",
    }
}

fn push_card(page: &mut String, section: &Section) {
    let Some(best) = section.best_of_ours() else {
        return;
    };
    let _ = writeln!(
        page,
        "<a class=\"card\" href=\"#{}\"><h3>{}</h3><b>{:.2}&times; <small>the time of \
         std</small></b><span class=\"soft\">{}: {} per {}</span></a>",
        section.id,
        escape(section.title),
        best.ratio,
        escape(best.title),
        Nanos(best.timing.median_ns),
        section.unit
    );
}

fn push_section(page: &mut String, section: &Section) {
    let _ = writeln!(
        page,
        "<section id=\"{}\">\n<h2>{}</h2>\n<p class=\"lead\">{}</p>\n<div class=\"verdict\">",
        section.id,
        escape(section.title),
        escape(&section.description)
    );
    for sentence in section.verdict() {
        let _ = writeln!(page, "<p>{}</p>", escape(&sentence));
    }
    page.push_str("</div>\n");
    if let Some(caveat) = section.caveat() {
        let _ = writeln!(page, "<p class=\"warning\">{}</p>", escape(&caveat));
    }
    page.push_str("<div class=\"charts\">\n");
    push_figure(
        page,
        &format!("Time per {}, less is better", section.unit),
        time_bars(section),
    );
    push_figure(
        page,
        "Peak resident memory, less is better",
        memory_bars(section),
    );
    page.push_str("</div>\n");
    if !section.balances.is_empty() {
        let title = "When reuse pays: green, from the break-even on; the dot is where you are";
        let chart = chart::scales(title, &section.balances);
        let _ = writeln!(
            page,
            "<figure class=\"wide\"><h3>{}</h3>{chart}</figure>",
            escape(title)
        );
    }
    push_table(page, section);
    if !section.remarks.is_empty() {
        page.push_str("<ul class=\"remarks\">\n");
        for remark in &section.remarks {
            let _ = writeln!(page, "<li>{}</li>", escape(remark));
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</section>\n");
}

fn push_figure(page: &mut String, title: &str, bars: Vec<Bar>) {
    if bars.is_empty() {
        return;
    }
    let chart = chart::bars(title, &bars);
    let _ = writeln!(page, "<figure><h3>{}</h3>{chart}</figure>", escape(title));
}

fn time_bars(section: &Section) -> Vec<Bar> {
    let bar = |row: &Row| Bar {
        label: row.title.into(),
        class: class_of(row.maker),
        value: row.timing.median_ns,
        range: Some((row.timing.quartile_low_ns, row.timing.quartile_high_ns)),
        text: format!("{} ({:.2})", Nanos(row.timing.median_ns), row.ratio),
    };
    section.rows.iter().map(bar).collect()
}

/// Empty where the system does not tell resident memory.
fn memory_bars(section: &Section) -> Vec<Bar> {
    let bar = |row: &Row| {
        let bytes = row.memory?.resident_peak_bytes?;
        Some(Bar {
            label: row.title.into(),
            class: class_of(row.maker),
            value: bytes as f64,
            range: None,
            text: Bytes(bytes).to_string(),
        })
    };
    section.rows.iter().filter_map(bar).collect()
}

fn push_table(page: &mut String, section: &Section) {
    page.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for heading in HEADINGS {
        let _ = write!(page, "<th>{}</th>", escape(heading));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    let best = section.best_of_ours().map(|row| row.title);
    for row in &section.rows {
        let emphasis = if best == Some(row.title) {
            " class=\"best\""
        } else {
            ""
        };
        let _ = write!(page, "<tr{emphasis}>");
        for (index, cell) in row.cells().iter().enumerate() {
            let cell = escape(cell);
            let dot = match index {
                0 => format!("<i class=\"dot {}\"></i>", class_of(row.maker)),
                _ => String::new(),
            };
            let _ = write!(page, "<td>{dot}{cell}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    let _ = writeln!(
        page,
        "<p class=\"soft\">{}, all ways in turn.</p>",
        section.effort()
    );
}

fn push_footer(page: &mut String, report: &Report) {
    let _ = writeln!(
        page,
        "<footer>\n<dl>\n<dt>Document</dt><dd>{}</dd>\n<dt>Machine</dt><dd>{}</dd>\n\
         <dt>Command</dt><dd><code>{}</code></dd>\n<dt>Date</dt><dd>{}</dd>\n\
         <dt>Program</dt><dd>flagstone {}, example compare</dd>\n</dl>\n<p>{}</p>\n</footer>",
        escape(&report.document),
        escape(&report.machine),
        escape(&report.command),
        escape(&report.date),
        env!("CARGO_PKG_VERSION"),
        escape(LEGEND)
    );
}
