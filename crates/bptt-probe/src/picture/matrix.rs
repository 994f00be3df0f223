//! A matrix of counts with names for its rows and columns.

use crate::picture::color::color;
use crate::picture::text::escaped;
use std::fmt::Write;

/// The side of the whole matrix, if it has more rows than fit at the largest size.
const SIDE: f64 = 520.0;
/// The largest and the smallest side of a cell.
const CELL: [f64; 2] = [64.0, 4.0];
/// The room for the axes' names, and for a letter of the rows' and columns' names.
const MARGIN: [f64; 2] = [36.0, 6.5];
/// Cells narrower than this have no text, and names closer than this are left out.
const ROOM: [f64; 2] = [26.0, 13.0];
/// The longest name that is written out.
const LONGEST: usize = 18;

/// A square matrix of counts: brighter is a larger share of the row. Each cell has its count, if there is room.
#[derive(Clone, Debug, PartialEq)]
pub struct CountMatrix<'a> {
    /// What it shows, for readers that cannot see it.
    pub title: &'a str,
    /// The names of the rows, which are those of the columns.
    pub names: &'a [String],
    /// A row for each name, with a count for each name.
    pub counts: &'a [Vec<u64>],
    /// What the rows are, and what the columns are.
    pub axes: [&'a str; 2],
}

impl CountMatrix<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let count = self.names.len().max(1) as f64;
        let cell = (SIDE / count).clamp(CELL[1], CELL[0]);
        let margin = self.margin();
        let size = margin + cell * count + 12.0;
        let title = escaped(self.title);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {size:.0} {size:.0}\" role=\"img\" aria-label=\"{title}\" \
             style=\"max-width: {size:.0}px\">\n"
        );
        let middle = margin + cell * count / 2.0;
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"{middle:.1}\" y=\"16\" text-anchor=\"middle\">{}</text>\n\
             <text class=\"name\" transform=\"translate(16 {middle:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            escaped(self.axes[1]),
            escaped(self.axes[0]),
        );
        let every = (ROOM[1] / cell).ceil().max(1.0) as usize;
        for (k, name) in self.names.iter().enumerate().step_by(every) {
            let (at, name) = (margin + cell * (k as f64 + 0.5), escaped(&short(name)));
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\n\
                 <text transform=\"translate({:.1} {:.1}) rotate(-60)\">{name}</text>",
                margin - 6.0,
                at + 4.0,
                at + 3.0,
                margin - 7.0,
            );
        }
        for (row, counts) in self.counts.iter().enumerate() {
            self.row(&mut svg, [margin, cell], row, counts);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The room for all names, as much as the longest needs.
    fn margin(&self) -> f64 {
        let longest = self.names.iter().map(|name| short(name).chars().count()).max();
        MARGIN[0] + MARGIN[1] * longest.unwrap_or(0) as f64
    }

    fn row(&self, svg: &mut String, [margin, cell]: [f64; 2], row: usize, counts: &[u64]) {
        let total = counts.iter().sum::<u64>();
        let y = margin + cell * row as f64;
        for (column, &count) in counts.iter().enumerate() {
            let x = margin + cell * column as f64;
            // A row without counts is grey.
            let share = if total > 0 { count as f64 / total as f64 } else { f64::NAN };
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{cell:.2}\" height=\"{cell:.2}\" fill=\"{}\"/>",
                color(share),
            );
            if cell >= ROOM[0] && count > 0 {
                let (x, y) = (x + cell / 2.0, y + cell / 2.0 + 4.5);
                let _ = writeln!(
                    svg,
                    "<text class=\"on-map\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{count}</text>",
                );
            }
        }
    }
}

/// A name that fits the margin.
fn short(name: &str) -> String {
    match name.chars().count() > LONGEST {
        true => name.chars().take(LONGEST - 1).chain(['…']).collect(),
        false => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(names: &[String], counts: &[Vec<u64>]) -> String {
        CountMatrix { title: "a \"matrix\"", names, counts, axes: ["right", "said"] }.svg()
    }

    #[test]
    fn cells_have_counts_and_rows_without_counts_are_grey() {
        let names = ["<a>", "a name that is much too long for it"].map(str::to_string);
        let svg = svg(&names, &[vec![31, 7], vec![0, 0]]);
        for part in
            ["a &quot;matrix&quot;", "&lt;a&gt;", ">31<", ">7<", "#9a9a9a", "a name that is mu…"]
        {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("<a>") && !svg.contains(">0<") && !svg.contains("NaN"));
        assert_eq!(svg.matches("<rect").count(), 4);
    }

    #[test]
    fn many_names_leave_room() {
        let names: Vec<String> = (0..100).map(|k| format!("n{k}")).collect();
        let svg = svg(&names, &vec![vec![1; 100]; 100]);
        assert_eq!(svg.matches("<rect").count(), 10_000);
        assert!(svg.contains(">n0<") && !svg.contains(">n1<") && !svg.contains("on-map"));
        assert!(
            super::CountMatrix { title: "", names: &[], counts: &[], axes: ["", ""] }
                .svg()
                .ends_with("</svg>\n")
        );
    }
}
