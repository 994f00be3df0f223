//! A matrix of weights with a name for each row and each column.

use crate::picture::color::color;
use crate::picture::text::escaped;
use std::fmt::Write;

/// The width of the whole picture, if it has more columns than fit at the largest size.
const WIDTH: f64 = 720.0;
/// The largest and the smallest side of a cell.
const CELL: [f64; 2] = [24.0, 6.0];
/// The room for the names of rows and of columns.
const MARGIN: [f64; 2] = [28.0, 26.0];
/// Names of columns closer than this are smaller.
const ROOM: f64 = 11.0;

/// A matrix of weights from 0 to 1: brighter is more. Names are a character or two.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightMatrix<'a> {
    /// What it shows, for readers that cannot see it.
    pub title: &'a str,
    /// The names of the rows.
    pub rows: &'a [String],
    /// The names of the columns.
    pub columns: &'a [String],
    /// A row for each name of a row, with a number for each name of a column.
    pub weights: &'a [Vec<f32>],
}

impl WeightMatrix<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let count = self.columns.len().max(1) as f64;
        let [left, top] = MARGIN;
        let cell = ((WIDTH - left) / count).clamp(CELL[1], CELL[0]);
        let (width, height) =
            (left + cell * count + 2.0, top + cell * self.rows.len() as f64 + 2.0);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\" \
             style=\"max-width: {width:.0}px\">\n",
            escaped(self.title),
        );
        let size = if cell < ROOM { 10 } else { 13 };
        let mut name = |x: f64, y: f64, anchor: &str, name: &str| {
            let name = escaped(name);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" style=\"font-size: {size}px\">{name}</text>",
            );
        };
        for (k, column) in self.columns.iter().enumerate() {
            name(left + cell * (k as f64 + 0.5), top - 8.0, "middle", column);
        }
        for (k, row) in self.rows.iter().enumerate() {
            name(left - 8.0, top + cell * (k as f64 + 0.5) + 4.0, "end", row);
        }
        for (row, weights) in self.weights.iter().enumerate() {
            for (column, weight) in weights.iter().enumerate() {
                let (x, y) = (left + cell * column as f64, top + cell * row as f64);
                let fill = color(f64::from(*weight));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{cell:.2}\" height=\"{cell:.2}\" fill=\"{fill}\"/>",
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_weight_has_a_cell_and_each_name_a_place() {
        let names = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let weights = [vec![0.0, 1.0, 0.5], vec![f32::NAN, 0.0, 1.0]];
        let matrix = WeightMatrix {
            title: "a & b",
            rows: &names("12"),
            columns: &names("a<c"),
            weights: &weights,
        };
        let svg = matrix.svg();
        assert_eq!((svg.matches("<rect").count(), svg.matches("<text").count()), (6, 5));
        for part in ["a &amp; b", ">&lt;</text>", "#440154", "#fde725", "#9a9a9a"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        let none = WeightMatrix { title: "", rows: &[], columns: &[], weights: &[] };
        assert!(none.svg().ends_with("</svg>\n"));
    }
}
