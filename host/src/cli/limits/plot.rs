//! What is admitted and refused over time, as a drawing.

use std::fmt::Write as _;

use super::report::Outcome;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 50.0;

/// The most bars.
const MAXIMUM_BARS: usize = 200;

const ADMITTED: &str = "#2b7a78";
const REFUSED: &str = "#d1495b";

/// Requests in a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bar {
    admitted: u64,
    refused: u64,
}

/// A bar chart: in each span of time the admitted requests, and the refused ones on top.
pub(super) fn svg(outcomes: &[Outcome]) -> String {
    let start = outcomes.first().map_or(0.0, |outcome| outcome.time);
    let end = outcomes.last().map_or(0.0, |outcome| outcome.time);
    let span = step((end - start) / MAXIMUM_BARS as f64);
    let bars = bars(outcomes, start, span);
    let most = bars.iter().map(|bar| bar.admitted + bar.refused).max().unwrap_or(0).max(1);
    let top = step(most as f64 / 5.0).max(1.0);
    let ceiling = (most as f64 / top).ceil() * top;
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let y = |count: f64| TOP + height * (1.0 - count / ceiling);
    let bar_width = width / bars.len().max(1) as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <title>Requests admitted and refused over time</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    // Writing to a string cannot fail.
    let mut line = 0.0;
    while line <= ceiling {
        let at = y(line);
        let _ =
            writeln!(text, "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/>", WIDTH - RIGHT);
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{line}</text>",
            LEFT - 8.0,
            at + 4.0
        );
        line += top;
    }
    for (index, Bar { admitted, refused }) in bars.iter().enumerate() {
        let x = LEFT + bar_width * index as f64;
        let (admitted, all) = (*admitted as f64, (admitted + refused) as f64);
        for (from, to, colour) in [(0.0, admitted, ADMITTED), (admitted, all, REFUSED)] {
            if to > from {
                let _ = writeln!(
                    text,
                    "<rect x=\"{x:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{colour}\"/>",
                    y(to),
                    bar_width * 0.9,
                    y(from) - y(to)
                );
            }
        }
    }
    let whole = span * bars.len() as f64;
    let mark = step(whole / 8.0);
    let mut at = 0.0;
    while at <= whole {
        let x = LEFT + width * at / whole;
        let _ = writeln!(
            text,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM + 20.0,
            number(at)
        );
        at += mark;
    }
    let _ = writeln!(
        text,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">seconds since the first request</text>",
        LEFT + width / 2.0,
        HEIGHT - 10.0
    );
    let per = match span {
        1.0 => "second".to_owned(),
        span => format!("{} seconds", number(span)),
    };
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"26\" font-weight=\"bold\">Requests per {per}</text>"
    );
    let sums = bars.iter().fold((0, 0), |(a, r), bar| (a + bar.admitted, r + bar.refused));
    for (x, colour, name, count) in
        [(WIDTH - 330.0, ADMITTED, "admitted", sums.0), (WIDTH - 170.0, REFUSED, "refused", sums.1)]
    {
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"15\" width=\"13\" height=\"13\" fill=\"{colour}\"/>"
        );
        let _ = writeln!(text, "<text x=\"{}\" y=\"26\">{name} ({count})</text>", x + 20.0);
    }
    text.push_str("</svg>\n");
    text
}

fn bars(outcomes: &[Outcome], start: f64, span: f64) -> Vec<Bar> {
    let mut bars = vec![Bar::default()];
    for outcome in outcomes {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
        let index = ((outcome.time - start) / span) as usize;
        if bars.len() <= index {
            bars.resize(index + 1, Bar::default());
        }
        match outcome.is_admitted {
            true => bars[index].admitted += 1,
            false => bars[index].refused += 1,
        }
    }
    bars
}

/// The next number of 1, 2 or 5 times a power of ten.
fn step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least);
    factor.unwrap_or(10.0) * power
}

/// Without what floating-point arithmetic has left over.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(times: &[(f64, bool)]) -> Vec<Outcome> {
        times
            .iter()
            .map(|(time, is_admitted)| Outcome { time: *time, is_admitted: *is_admitted })
            .collect()
    }

    #[test]
    fn every_request_is_in_a_bar() {
        let outcomes = outcomes(&[(10.0, true), (10.2, false), (12.9, true)]);
        let expected =
            [(1, 1), (0, 0), (1, 0)].map(|(admitted, refused)| Bar { admitted, refused });
        assert_eq!(bars(&outcomes, 10.0, 1.0), expected);
        let drawn = svg(&outcomes);
        assert!(drawn.contains("admitted (2)") && drawn.contains("refused (1)"), "{drawn}");
    }

    #[test]
    fn any_trace_can_be_drawn() {
        for times in
            [&[][..], &[(5.0, true)], &[(0.0, false), (0.0, true)], &[(0.0, true), (1e9, false)]]
        {
            let drawn = svg(&outcomes(times));
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
            assert!(drawn.len() < 100_000);
        }
    }

    #[test]
    fn steps_are_round() {
        for (least, expected) in
            [(0.0, 1.0), (0.3, 0.5), (1.0, 1.0), (1.1, 2.0), (7.0, 10.0), (450.0, 500.0)]
        {
            assert!((step(least) - expected).abs() < 1e-9, "{least}");
        }
    }
}
