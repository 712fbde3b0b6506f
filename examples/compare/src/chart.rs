//! Bar charts and break-even scales as inline SVG.
//!
//! - I1: no script, no font, no colour of its own: classes only, which the page's style sheet
//!   paints for light and dark.
//! - I2: every bar carries its figure as text, and every chart a title for screen readers.
//!
//! It does not know what is measured.

use std::fmt::Write;

use crate::break_even::Balance;
use crate::figures::Percent;
use crate::page::escape;

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    /// A class of the style sheet: who made it.
    pub(crate) class: &'static str,
    pub(crate) value: f64,
    /// Quartiles, drawn as a whisker.
    pub(crate) range: Option<(f64, f64)>,
    /// The figure in words.
    pub(crate) text: String,
}

/// Widths in the units of the drawing: labels, bars, figures behind them.
const LABELS: f64 = 190.0;
const BARS: f64 = 250.0;
const FIGURES: f64 = 130.0;

/// Heights: a row, and the bar in it.
const ROW: f64 = 30.0;
const BAR: f64 = 16.0;

/// From a line's middle down to the foot of text centred on it.
const FOOT: f64 = 4.5;

/// Horizontal bars from zero, in the order given.
pub(crate) fn bars(title: &str, bars: &[Bar]) -> String {
    let height = ROW * bars.len() as f64 + 6.0;
    let top = |bar: &Bar| bar.range.map_or(bar.value, |(_, high)| high.max(bar.value));
    let max = bars.iter().map(top).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LABELS + BARS * value / max;
    let mut drawing = Drawing::new(LABELS + BARS + FIGURES, height, title);
    drawing.path("axis", &format!("M{LABELS} 0V{height}"));
    for (index, bar) in bars.iter().enumerate() {
        let middle = ROW * index as f64 + ROW / 2.0 + 3.0;
        let length = (x(bar.value) - LABELS).max(1.5);
        drawing.text("label", "end", LABELS - 10.0, middle + FOOT, &bar.label);
        drawing.rect(bar.class, LABELS, middle - BAR / 2.0, length, BAR);
        let mut end = x(bar.value);
        if let Some((low, high)) = bar.range {
            let (low, high) = (x(low), x(high));
            let (up, down) = (middle - 4.0, middle + 4.0);
            let ends = format!("M{low:.1} {up:.1}V{down:.1}M{high:.1} {up:.1}V{down:.1}");
            drawing.path("whisker", &format!("M{low:.1} {middle:.1}H{high:.1}{ends}"));
            end = end.max(high);
        }
        drawing.text("figure", "start", end + 8.0, middle + FOOT, &bar.text);
    }
    drawing.finish()
}

/// The scale's length, and the height of one pool's line.
const SCALE: f64 = 420.0;
const LINE: f64 = 46.0;

/// Where reuse begins to pay on a scale of hits from 0 to 100 %, and where the program stands.
pub(crate) fn scales(title: &str, balances: &[Balance]) -> String {
    const THICKNESS: f64 = 10.0;
    let height = LINE * balances.len() as f64 + 30.0;
    let x = |share: f64| LABELS + SCALE * share.clamp(0.0, 1.0);
    let mut drawing = Drawing::new(LABELS + SCALE + 60.0, height, title);
    for (index, balance) in balances.iter().enumerate() {
        let middle = LINE * index as f64 + 24.0;
        let note = match balance.break_even() {
            Some(share) => format!("pays above {}", Percent(share)),
            None => "never pays".into(),
        };
        let turn = x(balance.break_even().unwrap_or(1.0));
        let top = middle - THICKNESS / 2.0;
        drawing.text("label", "end", LABELS - 10.0, middle + FOOT, balance.pool);
        drawing.rect("loses", LABELS, top, turn - LABELS, THICKNESS);
        drawing.rect("pays", turn, top, x(1.0) - turn, THICKNESS);
        let note_at = turn.clamp(LABELS + 45.0, x(1.0) - 45.0);
        drawing.text("tick", "middle", note_at, middle + 20.0, &note);
        let you = x(balance.hit_rate);
        let rate = Percent(balance.hit_rate).to_string();
        drawing.circle("you", you, middle, 6.0);
        drawing.text("figure", "middle", you, middle - 10.0, &rate);
    }
    for (share, text) in [(0.0, "0 % hits"), (0.5, "50 %"), (1.0, "100 %")] {
        drawing.text("tick", "middle", x(share), height - 4.0, text);
    }
    drawing.finish()
}

/// Five flagstones, each cut to its size.
pub(crate) fn logo() -> String {
    let mut drawing = Drawing::new(54.0, 54.0, "flagstone");
    for (class, x, y, width, height) in [
        ("std", 2.0, 2.0, 29.0, 22.0),
        ("ours", 34.0, 2.0, 18.0, 34.0),
        ("other", 2.0, 27.0, 13.0, 25.0),
        ("std", 18.0, 27.0, 13.0, 9.0),
        ("std", 18.0, 39.0, 34.0, 13.0),
    ] {
        drawing.rect(class, x, y, width, height);
    }
    drawing.finish()
}

/// An SVG element under construction. Writing to a string cannot fail.
struct Drawing(String);

impl Drawing {
    fn new(width: f64, height: f64, title: &str) -> Drawing {
        let title = escape(title);
        Drawing(format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\">\
             <title>{title}</title>"
        ))
    }

    fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        let _ = write!(
            self.0,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\" rx=\"3\"/>"
        );
    }

    fn circle(&mut self, class: &str, x: f64, y: f64, radius: f64) {
        let _ = write!(
            self.0,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
        );
    }

    fn path(&mut self, class: &str, path: &str) {
        let _ = write!(self.0, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    /// `anchor` is the part of the text that stands at `x`; `y` is its foot.
    fn text(&mut self, class: &str, anchor: &str, x: f64, y: f64, text: &str) {
        let text = escape(text);
        let _ = write!(
            self.0,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}\
             </text>"
        );
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }
}
