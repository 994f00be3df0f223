//! The certificate as an HTML page: self-contained, without scripts, readable when printed.

use crate::picture::{END, escaped, wide_head};
use crate::report::{Row, Summary, device_summaries, summaries};
use crate::setting::DType;
use crate::ulp::Ulps;
use crate::verify::WITNESSES;
use crate::verify::session::Verification;
use std::fmt::Write;

/// What the page says about the run itself.
#[derive(Clone, Debug)]
pub struct About {
    /// The command line.
    pub command: String,
    /// The date of the system.
    pub date: String,
    /// How long the run took, in seconds.
    pub seconds: f64,
    /// Names and versions of this program, of Burn, of the compiler and of the system.
    pub versions: Vec<(String, String)>,
}

/// The page.
pub fn html(found: &Verification, about: &About) -> String {
    let failed = found.failures().count();
    let numbers: usize = found.rows.iter().map(|row| row.entries).sum();
    let mut page = wide_head("bptt verify");
    let verdict = match failed {
        0 => format!("All {} comparisons passed.", grouped(found.rows.len())),
        _ => format!("{failed} of {} comparisons FAILED.", grouped(found.rows.len())),
    };
    let class = if failed == 0 { "ok" } else { "bad" };
    let _ = write!(
        page,
        "<h1>Gradients of recurrent layers: a certificate</h1>\n\
         <p class=\"verdict {class}\">{verdict} {} numbers were compared.</p>\n<table class=\"about\">\n",
        grouped(numbers),
    );
    let mut about_row = |name: &str, value: &str| {
        let _ = writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value));
    };
    about_row("command", &about.command);
    about_row("date", &about.date);
    about_row("time taken", &format!("{:.1} s", about.seconds));
    for (name, version) in &about.versions {
        about_row(name, version);
    }
    page.push_str("</table>\n");
    page.push_str(&failures(found));
    page.push_str(&witnesses(&found.rows));
    page.push_str(&devices(&found.rows));
    page.push_str(&in_ulps(&found.ulps));
    page.push_str(&distributions(&found.rows));
    page.push_str(&details(&found.rows));
    page.push_str(&list("Condition numbers", &found.conditions));
    page.push_str(&list("Left out", &found.skipped));
    page.push_str(&list("Files that could not be read", &found.broken));
    page.push_str(END);
    page
}

fn witnesses(rows: &[Row]) -> String {
    let mut text = String::from(
        "<h2>What was compared with what</h2>\n<table><thead><tr><th>witness</th><th>what it is</th>\
         <th class=\"n\">tensors</th><th class=\"n\">numbers</th><th class=\"n\">typical error</th>\
         <th class=\"n\">worst</th><th class=\"n\">allowed</th><th></th></tr></thead><tbody>\n",
    );
    for witness in WITNESSES {
        for dtype in DType::ALL.map(DType::name) {
            let of = |row: &&Row| row.witness == witness.name() && row.dtype == dtype;
            let all: Vec<_> = rows.iter().filter(of).collect();
            let worse =
                |a: &&&Row, b: &&&Row| (a.error / a.tolerance).total_cmp(&(b.error / b.tolerance));
            let Some(worst) = all.iter().max_by(worse) else { continue };
            let mut errors: Vec<_> = all.iter().map(|row| row.error).collect();
            errors.sort_by(f64::total_cmp);
            let failed = all.iter().filter(|row| !row.pass).count();
            let verdict = verdict(failed);
            let _ = writeln!(
                text,
                "<tr><td>{}&nbsp;{dtype}</td><td class=\"what\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{:.1e}</td><td class=\"n\">{:.1e}</td><td class=\"n\">{:.0e}</td>{verdict}</tr>",
                witness.name(),
                witness.description(),
                grouped(all.len()),
                grouped(all.iter().map(|row| row.entries).sum()),
                errors[errors.len() / 2],
                worst.error,
                worst.tolerance,
            );
        }
    }
    text.push_str(
        "</tbody></table>\n<p>An error is ‖a − b‖₂ / ‖b‖₂ of a whole tensor: an output, a final state, or the \
         gradient of the input, an initial state, a weight or a bias. The typical error is the median.</p>\n",
    );
    text
}

/// A row for each pair of device and type that was compared with flex in f64.
fn devices(rows: &[Row]) -> String {
    let all = device_summaries(rows);
    if all.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<h2>Devices, each against flex in f64</h2>\n<p>On the same numbers, by both engines. This links the CPU and \
         the GPU.</p>\n<table><thead><tr><th>device</th><th>type</th>\
         <th class=\"n\">cases</th><th class=\"n\">tensors</th><th class=\"n\">worst</th><th class=\"n\">allowed</th>\
         <th></th><th>where</th></tr></thead><tbody>\n",
    );
    for Summary { worst, cases, tensors, failed } in all {
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{cases}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{:.1e}</td><td class=\"n\">{:.0e}</td>{}<td>{} {}, {}</td></tr>",
            escaped(&worst.device),
            escaped(&worst.dtype),
            grouped(tensors),
            worst.error,
            worst.tolerance,
            verdict(failed),
            escaped(&worst.case),
            escaped(&worst.tensor),
            escaped(&worst.engine),
        );
    }
    text.push_str("</tbody></table>\n");
    text
}

/// A cell of a table: whether all comparisons passed.
fn verdict(failed: usize) -> String {
    match failed {
        0 => "<td>ok</td>".to_string(),
        _ => format!("<td class=\"bad\">{failed} failed</td>"),
    }
}

fn in_ulps(all: &[Ulps]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<h2>Errors against the true value, in units in the last place</h2>\n<p>Entry by entry, against \
         gradients to 30 digits for exactly the numbers that the device was given. The unit is that of the \
         true value, or of its tensor's root mean square where that is larger.</p>\n<table><thead><tr>\
         <th>device</th><th>type</th><th>engine</th><th>kernel</th><th class=\"n\">entries</th>\
         <th class=\"n\">median</th><th class=\"n\">99 %</th><th class=\"n\">worst</th><th>where</th></tr></thead><tbody>\n",
    );
    for ulps in all {
        text.push_str("<tr>");
        for part in &ulps.way {
            let _ = write!(text, "<td>{}</td>", escaped(part));
        }
        let _ = writeln!(
            text,
            "<td class=\"n\">{}</td><td class=\"n\">{:.2}</td><td class=\"n\">{:.2}</td>\
             <td class=\"n\">{:.1}</td><td>{}</td></tr>",
            grouped(ulps.errors.len()),
            ulps.quantile(0.5),
            ulps.quantile(0.99),
            ulps.worst,
            escaped(&ulps.at),
        );
    }
    text.push_str("</tbody></table>\n");
    for ulps in all {
        let caption = ulps.way.join(" ");
        let marks = [("1 ulp", 1.0)];
        text.push_str(&histogram(
            &caption,
            &ulps.errors,
            &marks,
            Scale { base: 2.0, bins: 2.0, unit: "ulp" },
        ));
    }
    text
}

/// A histogram for each witness and type.
fn distributions(rows: &[Row]) -> String {
    let mut text = String::from("<h2>How the errors are distributed</h2>\n");
    for witness in WITNESSES {
        for dtype in DType::ALL.map(DType::name) {
            let of = |row: &&Row| row.witness == witness.name() && row.dtype == dtype;
            let all: Vec<_> = rows.iter().filter(of).collect();
            if all.is_empty() {
                continue;
            }
            let errors: Vec<_> = all.iter().map(|row| row.error).collect();
            let least = all.iter().map(|row| row.tolerance).fold(f64::INFINITY, f64::min);
            let caption = format!("{} {dtype}", witness.name());
            let scale = Scale { base: 10.0, bins: 4.0, unit: "" };
            text.push_str(&histogram(&caption, &errors, &[("allowed", least)], scale));
        }
    }
    text
}

/// The bins and the axis of a histogram.
struct Scale {
    /// The axis has a number at each power of this base.
    base: f64,
    /// How many bins are between two such numbers.
    bins: f64,
    /// The unit behind the numbers of the axis.
    unit: &'static str,
}

/// Draws bars on a logarithmic axis. Errors of exactly zero have a separate bar on the left.
fn histogram(caption: &str, errors: &[f64], marks: &[(&str, f64)], scale: Scale) -> String {
    const WIDTH: f64 = 400.0;
    const HEIGHT: f64 = 170.0;
    const LEFT: f64 = 14.0;
    const TOP: f64 = 18.0;
    const BOTTOM: f64 = 34.0;
    let log = |x: f64| scale.bins * x.ln() / scale.base.ln();
    let positive = || errors.iter().copied().filter(|x| *x > 0.0 && x.is_finite());
    let zeros = errors.iter().filter(|x| **x == 0.0).count();
    let all = || positive().chain(marks.iter().map(|(_, at)| *at)).map(log);
    let from = all().fold(f64::INFINITY, f64::min).floor().max(log(1e-22));
    let to = (all().fold(f64::NEG_INFINITY, f64::max).floor() + 2.0).max(from + 6.0);
    let bins = (to - from) as usize;
    let mut counts = vec![0_usize; bins];
    for x in positive() {
        counts[((log(x) - from).max(0.0) as usize).min(bins - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(zeros).max(1);
    // Space for two bins on the left, for the errors of zero.
    let step = (WIDTH - LEFT * 2.0) / (bins as f64 + 2.5);
    let x_of = |log: f64| LEFT + (log - from + 2.5) * step;
    let base = HEIGHT - BOTTOM;
    let mut svg = format!(
        "<figure class=\"small\"><figcaption>{}: {} errors</figcaption>\
         <svg style=\"width:{WIDTH}px\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n",
        escaped(caption),
        grouped(errors.len()),
    );
    let mut bar = |x: f64, count: usize, class: &str| {
        if count > 0 {
            // A bar has at least the height of a line, so that a single error is visible.
            let height = (count as f64 / most as f64 * (base - TOP)).max(1.0);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" class=\"column {class}\"/>",
                base - height,
                (step - 0.6).max(0.6),
            );
        }
    };
    bar(LEFT, zeros, "none");
    for (k, count) in counts.into_iter().enumerate() {
        bar(x_of(from + k as f64), count, "data");
    }
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {base}H{}\"/>", WIDTH - LEFT);
    if zeros > 0 {
        label(&mut svg, LEFT + step / 2.0, base + 14.0, "0");
    }
    // About six numbers along the axis, at integer powers.
    let every = ((to - from) / scale.bins / 6.0).ceil().max(1.0) as i32;
    let (first, last) = ((from / scale.bins).ceil() as i32, (to / scale.bins).floor() as i32);
    for power in (first..=last).filter(|power| power % every == 0) {
        let text = match (scale.base == 2.0, power) {
            (true, 0..) => format!("{} {}", 2_i64.pow(power as u32), scale.unit),
            (true, _) => format!("1/{}", 2_i64.pow(power.unsigned_abs().min(60))),
            (false, _) => format!("1e{power}"),
        };
        label(&mut svg, x_of(scale.bins * f64::from(power)), base + 14.0, text.trim());
    }
    for (name, at) in marks {
        let x = x_of(log(*at));
        label(&mut svg, x.min(WIDTH - 22.0), 11.0, name);
        let _ = writeln!(svg, "<path class=\"line mark\" d=\"M{x:.1} 15V{base}\"/>");
    }
    svg.push_str("</svg></figure>\n");
    svg
}

fn label(svg: &mut String, x: f64, y: f64, text: &str) {
    let text = escaped(text);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>");
}

fn details(rows: &[Row]) -> String {
    let mut text = String::from(
        "<h2>By witness, device, type, engine, kernel and cell</h2>\n<table><thead><tr><th>witness</th>\
         <th>device</th><th>type</th><th>engine</th><th>kernel</th><th>cell</th><th class=\"n\">cases</th>\
         <th class=\"n\">tensors</th><th class=\"n\">worst</th><th class=\"n\">allowed</th><th></th><th>where</th>\
         </tr></thead><tbody>\n",
    );
    for Summary { worst, cases, tensors, failed } in summaries(rows) {
        let verdict = verdict(failed);
        text.push_str("<tr>");
        for part in
            [&worst.witness, &worst.device, &worst.dtype, &worst.engine, &worst.kernel, &worst.cell]
        {
            let _ = write!(text, "<td>{}</td>", escaped(part));
        }
        let _ = writeln!(
            text,
            "<td class=\"n\">{cases}</td><td class=\"n\">{tensors}</td><td class=\"n\">{:.1e}</td>\
             <td class=\"n\">{:.0e}</td>{verdict}<td>{} {}</td></tr>",
            worst.error,
            worst.tolerance,
            escaped(&worst.case),
            escaped(&worst.tensor),
        );
    }
    text.push_str("</tbody></table>\n");
    text
}

fn failures(found: &Verification) -> String {
    /// How many rows fit on a page.
    const MOST: usize = 40;
    let mut all: Vec<_> = found.failures().collect();
    all.sort_by(|a, b| b.error.total_cmp(&a.error));
    let line = |row: &Row| {
        format!(
            "{} {} by {} {} on {} in {} against {}: {:.1e}, allowed {:.0e}",
            row.case,
            row.tensor,
            row.engine,
            row.kernel,
            row.device,
            row.dtype,
            row.witness,
            row.error,
            row.tolerance,
        )
    };
    let mut lines: Vec<_> = all.iter().take(MOST).map(|row| line(row)).collect();
    if all.len() > MOST {
        lines.push(format!("and {} more", all.len() - MOST));
    }
    list("What failed", &lines)
}

/// A heading with a list; nothing if the list is empty.
fn list(heading: &str, lines: &[impl std::fmt::Display]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("<h2>{heading}</h2>\n<ul>\n");
    for line in lines {
        let _ = writeln!(text, "<li>{}</li>", escaped(&line.to_string()));
    }
    text.push_str("</ul>\n");
    text
}

/// Formats 1234567 as 1,234,567.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(error: f64) -> Row {
        let text = |text: &str| text.to_string();
        Row {
            case: text("<case>"),
            cell: text("lstm"),
            engine: text("manual"),
            kernel: text("auto"),
            device: text("flex"),
            dtype: text("f64"),
            witness: text("dual"),
            tensor: text("grad.input"),
            error,
            tolerance: 1e-13,
            pass: error <= 1e-13,
            entries: 1234,
        }
    }

    #[test]
    fn the_page_says_what_failed_and_escapes_names() {
        let rows = vec![row(0.0), row(1e-16), row(3e-5), row(f64::INFINITY)];
        let found = Verification { rows, ..Verification::default() };
        let about = About {
            command: "bptt verify --reference 'a & b'".into(),
            date: "2000-01-01".into(),
            seconds: 1.0,
            versions: vec![("bptt".into(), "1".into())],
        };
        let page = html(&found, &about);
        assert!(page.contains("2 of 4 comparisons FAILED") && page.contains("4,936 numbers"));
        assert!(
            page.contains("&lt;case&gt;") && !page.contains("<case>") && page.contains("a &amp; b")
        );
        assert!(!page.contains("NaN") && !page.contains("<script"));
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }
}
