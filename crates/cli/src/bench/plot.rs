//! The figures as a picture: a row each, with a scale of its own from zero, since their units differ. A bar is the median,
//! the whisker the least and the greatest round, the diamond the yardstick of the same rounds.
//!
//! Plain SVG made by hand: rectangles, lines and text are all it needs.

use std::fmt::Write;

use super::figure::{Better, Figure, short, spread};
use super::report::Report;

const WIDTH: f64 = 1080.0;
const MARGIN: f64 = 28.0;
const HEAD: f64 = 74.0;
const ROW: f64 = 92.0;
/// Where the scale of each row begins and how long it is.
const SCALE_FROM: f64 = MARGIN;
const SCALE: f64 = 680.0;
/// Where the numbers stand.
const SAID_FROM: f64 = SCALE_FROM + SCALE + 28.0;
const BAR: f64 = 16.0;
const TICKS: u32 = 4;

const INK: &str = "#1f2933";
const FAINT: &str = "#6b7785";
const LINE: &str = "#d5dbe1";
const FILL: &str = "#3b7dd8";
const MARK: &str = "#e07b00";

pub(super) fn draw(report: &Report) -> String {
    let height = HEAD + ROW * report.figures.len() as f64 + 40.0;
    let mut svg = String::new();
    // Writing into a string cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, 'DejaVu Sans', Arial, sans-serif\" role=\"img\">\n\
         <title>sublet bench</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    text(&mut svg, MARGIN, 34.0, 18.0, INK, "bold", "What Sublet costs on this machine");
    legend(&mut svg);
    for (index, figure) in report.figures.iter().enumerate() {
        row(&mut svg, HEAD + ROW * index as f64, figure);
    }
    text(&mut svg, MARGIN, height - 18.0, 12.0, FAINT, "normal", &report.caption());
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let y = 56.0;
    rectangle(svg, MARGIN, y - 9.0, 22.0, 10.0, FILL);
    text(svg, MARGIN + 28.0, y, 12.0, FAINT, "normal", "median of the rounds");
    whisker(svg, MARGIN + 176.0, MARGIN + 202.0, y - 4.0);
    text(svg, MARGIN + 210.0, y, 12.0, FAINT, "normal", "least to greatest round");
    diamond(svg, MARGIN + 374.0, y - 4.0);
    text(svg, MARGIN + 386.0, y, 12.0, FAINT, "normal", "yardstick of the same rounds");
}

fn row(svg: &mut String, top: f64, figure: &Figure) {
    let all = figure.spread();
    let yardstick = figure.yardstick.as_ref().map(|yardstick| (yardstick, spread(&yardstick.rounds).median));
    let (step, end) = scale(all.high.max(yardstick.map_or(0.0, |(_, median)| median)));
    let x = |value: f64| SCALE_FROM + SCALE * (value / end).clamp(0.0, 1.0);
    let (name, middle, axis) = (top + 18.0, top + 38.0, top + 54.0);

    let better = if figure.better == Better::Less { "less is better" } else { "more is better" };
    text(svg, SCALE_FROM, name, 14.0, INK, "bold", &figure.name);
    line(svg, SCALE_FROM, axis, SCALE_FROM + SCALE, axis, LINE);
    for tick in 0..=TICKS {
        let value = step * f64::from(tick);
        line(svg, x(value), axis - 24.0, x(value), axis + 4.0, LINE);
        let label = if tick == TICKS { format!("{} {}", round(value), figure.unit) } else { round(value) };
        let anchor = match tick {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        anchored(svg, x(value), axis + 17.0, anchor, &label);
    }
    rectangle(svg, SCALE_FROM, middle - BAR / 2.0, x(all.median) - SCALE_FROM, BAR, FILL);
    whisker(svg, x(all.low), x(all.high), middle);

    let said = format!("{} {}  ({} – {})", short(all.median), figure.unit, short(all.low), short(all.high));
    text(svg, SAID_FROM, name, 14.0, INK, "bold", &said);
    if let Some((yardstick, median)) = yardstick {
        diamond(svg, x(median), middle);
        diamond(svg, SAID_FROM + 5.0, middle - 4.0);
        let ratio = figure.ratio().map_or(String::new(), |ratio| format!(", ratio {}", short(ratio)));
        let said = format!("{} {}{ratio}", short(median), figure.unit);
        text(svg, SAID_FROM + 16.0, middle, 12.0, FAINT, "normal", &said);
        text(svg, SAID_FROM + 16.0, middle + 16.0, 12.0, FAINT, "normal", &yardstick.name);
    }
    text(svg, SAID_FROM, axis + 17.0, 11.0, FAINT, "normal", better);
}

/// The step between two ticks and the end of the scale: the least round number of steps that holds `most`.
fn scale(most: f64) -> (f64, f64) {
    if !most.is_finite() || most <= 0.0 {
        return (1.0, f64::from(TICKS));
    }
    let least = most / f64::from(TICKS);
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0].map(|factor| factor * power);
    // The last is ten times the power, which is above any `least`.
    let step = step.into_iter().find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(10.0 * power);
    (step, step * f64::from(TICKS))
}

/// A tick's number, which is round: without the zeros that make figures equally long.
fn round(value: f64) -> String {
    let said = short(value);
    let (number, letter) = said.split_at(said.trim_end_matches(char::is_alphabetic).len());
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{letter}")
}

fn rectangle(svg: &mut String, x: f64, y: f64, width: f64, height: f64, fill: &str) {
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" rx=\"2\" fill=\"{fill}\"/>",
        width.max(1.0)
    );
}

fn line(svg: &mut String, x1: f64, y1: f64, x2: f64, y2: f64, stroke: &str) {
    let _ = writeln!(svg, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{stroke}\" fill=\"none\"/>");
}

fn whisker(svg: &mut String, low: f64, high: f64, y: f64) {
    let (top, bottom) = (y - 5.0, y + 5.0);
    let _ = writeln!(
        svg,
        "<path d=\"M{low:.1} {top:.1}V{bottom:.1}M{high:.1} {top:.1}V{bottom:.1}M{low:.1} {y:.1}H{high:.1}\" \
         stroke=\"{INK}\" stroke-width=\"1.5\" fill=\"none\"/>"
    );
}

fn diamond(svg: &mut String, x: f64, y: f64) {
    let _ = writeln!(
        svg,
        "<path d=\"M{x:.1} {:.1}l6 6l-6 6l-6 -6z\" fill=\"{MARK}\" stroke=\"#ffffff\" stroke-width=\"1.5\"/>",
        y - 6.0
    );
}

fn text(svg: &mut String, x: f64, y: f64, size: f64, fill: &str, weight: &str, said: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\" font-weight=\"{weight}\">{}</text>",
        escaped(said)
    );
}

fn anchored(svg: &mut String, x: f64, y: f64, anchor: &str, said: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"11\" fill=\"{FAINT}\" text-anchor=\"{anchor}\">{}</text>",
        escaped(said)
    );
}

fn escaped(said: &str) -> String {
    said.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number_just_above_the_most() {
        for (most, end) in [(0.31, 0.4), (7.9, 8.0), (8.1, 10.0), (46_600.0, 60_000.0), (100.0, 100.0)] {
            assert!((scale(most).1 - end).abs() < 1e-9 * end, "{most}: {:?}", scale(most));
        }
        let said: Vec<String> = [0.0, 0.15, 15.0, 1000.0, 400_000.0, 1.2e6].into_iter().map(round).collect();
        assert_eq!(said, ["0", "0.15", "15", "1000", "400k", "1.2M"]);
        assert_eq!(scale(0.0).1, 4.0);
        assert_eq!(scale(f64::NAN).1, 4.0);
    }

    #[test]
    fn every_figure_is_in_the_picture_with_its_yardstick_and_the_machine() {
        let figure = Figure::less("a < b", "ms", vec![1.0, 2.0, 3.0]).beside("the least", vec![0.5, 0.5, 0.5]);
        let report = Report::new(vec![figure, Figure::more("rate", "events/s", vec![100.0])], true);
        let svg = draw(&report);
        for wanted in ["a &lt; b", "2.00 ms  (1.00 – 3.00)", "the least", "ratio 4.00", "rate", "Linux", "quick run"]
        {
            assert!(svg.contains(wanted), "{wanted} is not in {svg}");
        }
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }
}
