//! The picture of fixed points with trajectories, and their table.

use crate::dynamics::fixed_points::{FixedPoint, FixedPoints};
use bptt_probe::dynamics::fixed_points::Kind;
use bptt_probe::picture::{Figure, PointForm, Portrait, PortraitPoint};
use std::fmt::Write;

/// Points that are further from all visited states than this, in units of the spread, are not in the picture.
const FAR: f64 = 2.0;
/// How many outputs are written beside a point, and how many are in the table.
const IN_LABEL: usize = 4;
const IN_TABLE: usize = 6;
/// How many points are named in the picture, and how many are in the table.
const LABELS: usize = 32;
const ROWS: usize = 40;

impl FixedPoints {
    /// The picture and the table; `run` comes after their headings.
    pub(super) fn pictures(&self, run: &str) -> Vec<Figure> {
        let table = Figure {
            heading: format!("The points{run}"),
            svg: self.table(),
            reading: "Of each point: how many directions are unstable; the two largest moduli of the eigenvalues of the \
                      Jacobian; the time constant of the first one, −1/ln|λ|, in steps, which is how long a small \
                      difference takes to shrink to 1/e, and negative if it grows; q = ½ ‖F(s) − s‖², which is below 1e-20 \
                      at a fixed point; the distance to the nearest state of the validation data, in units of the \
                      spread of these states; and how many searches ended there."
                .into(),
        };
        let count = self.fixed_points.len() + self.slow_points.len();
        [self.picture(run)].into_iter().chain((count > 0).then_some(table)).collect()
    }

    fn picture(&self, run: &str) -> Figure {
        let heading = format!("Fixed points and trajectories{run}");
        let [first, second] = self.principal_shares.map(|share| format!("{:.0} %", 100.0 * share));
        let axes = [
            format!("first principal component, {first} of the variance"),
            format!("second principal component, {second}"),
        ];
        let points = self.points();
        let portrait = Portrait {
            title: &heading,
            axes: [&axes[0], &axes[1]],
            trajectories: &self.trajectories,
            points: &points,
            legend: &self.legend(),
        };
        let svg = portrait.svg();
        Figure { heading, svg, reading: self.reading() }
    }

    /// What is drawn, the stable points last, on top.
    fn points(&self) -> Vec<PortraitPoint> {
        let stable = self.fixed_points.iter().filter(|point| point.unstable == 0).count();
        let named = self.outputs_are_values && stable <= LABELS;
        let drawn = |point: &FixedPoint, form: PointForm| PortraitPoint {
            at: point.projection,
            form,
            label: match named && point.unstable == 0 && point.output.len() <= IN_LABEL {
                true if form != PointForm::Cross => numbers(&point.output, 1),
                _ => String::new(),
            },
        };
        let near = |point: &&FixedPoint| point.distance <= FAR;
        let slow = self.slow_points.iter().filter(near);
        let fixed = self.fixed_points.iter().rev().filter(near);
        slow.map(|point| drawn(point, PointForm::Cross))
            .chain(fixed.map(|point| drawn(point, form(point))))
            .collect()
    }

    /// The forms that occur.
    fn legend(&self) -> Vec<(PointForm, &'static str)> {
        let drawn = self.points();
        let has = |test: fn(PointForm) -> bool| drawn.iter().any(|point| test(point.form));
        let mut legend = Vec::new();
        if has(|form| form == PointForm::Filled) {
            legend
                .push((PointForm::Filled, "stable: a memory; beside it, what the network answers"));
            if !self.outputs_are_values {
                legend[0].1 = "stable: a memory";
            }
        }
        if has(|form| form == PointForm::Diamond) {
            legend.push((PointForm::Diamond, "marginal: some directions neither shrink nor grow"));
        }
        if has(|form| matches!(form, PointForm::Open(_))) {
            legend.push((PointForm::Open(1), "not stable, with the number of unstable directions"));
        }
        if has(|form| form == PointForm::Cross) {
            legend.push((PointForm::Cross, "slow: the network nearly stays here"));
        }
        legend
    }

    fn reading(&self) -> String {
        let input = match self.fixed_point_input.name() {
            "zero" => "without input (all inputs zero)",
            _ => "with the mean of the data as input at each step",
        };
        let far = self.fixed_points.iter().chain(&self.slow_points);
        let far = far.filter(|point| point.distance > FAR).count();
        let more = match far {
            0 => String::new(),
            1 => " One point is far from all visited states and not in the picture.".to_string(),
            far => format!(" {far} points are far from all visited states and not in the picture."),
        };
        let marginal = self.fixed_points.iter().any(|point| point.kind == Kind::Marginal);
        let slow = match marginal || !self.slow_points.is_empty() {
            true => {
                " A diamond has an eigenvalue of 1 to a thousandth, and at a cross the state moves by less than a \
                 hundredth of the spread of all states in a step: what is stored near one of these fades over \
                 hundreds or thousands of steps."
            }
            false => "",
        };
        format!(
            "A fixed point is a state that the network does not leave {input}. The thin lines are what it does on its \
             validation data, with the inputs that it has there. Between these, it comes to rest at the filled circles: \
             they are what it can remember for ever. An open circle is a saddle. The number in it says along how many \
             directions the network is pushed away. A saddle with 1 lies on the border between two memories, and its \
             unstable direction leads to one or the other.{slow} Both axes have the same scale, but points that lie \
             apart in the whole state may lie on each other here. A search from {} states found {}. There may be more \
             points, where no search has come.{more}",
            self.fixed_point_starts,
            match self.fixed_points.len() {
                0 => "none".to_string(),
                _ => self.counts(),
            },
        )
    }

    /// The points as a table of HTML.
    fn table(&self) -> String {
        let all = || {
            let fixed = self.fixed_points.iter().map(|point| (point.kind.name(), point));
            fixed.chain(self.slow_points.iter().map(|point| ("slow", point)))
        };
        let count = all().count();
        let outputs = self.outputs_are_values && all().all(|(_, p)| p.output.len() <= IN_TABLE);
        let mut table = String::from(
            "<table><tr><th>point</th><th class=\"n\">unstable</th>\
             <th class=\"n\">largest |λ|</th><th class=\"n\">time constant</th><th class=\"n\">q</th>\
             <th class=\"n\">distance</th><th class=\"n\">found</th>",
        );
        table.push_str(if outputs { "<th>output</th></tr>\n" } else { "</tr>\n" });
        for (name, point) in all().take(ROWS) {
            let moduli = point.eigenvalues.iter().take(2).map(|(re, im)| re.hypot(*im));
            let moduli: Vec<_> = moduli.map(|modulus| format!("{modulus:.3}")).collect();
            let _ = write!(
                table,
                "<tr><td>{name}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{:.0e}</td><td class=\"n\">{:.2}</td><td class=\"n\">{}</td>",
                point.unstable,
                moduli.join(" "),
                steps(point.time_constants[0]),
                point.speed,
                point.distance,
                point.found,
            );
            match outputs {
                true => {
                    let _ = writeln!(table, "<td>{}</td></tr>", numbers(&point.output, 2));
                }
                false => table.push_str("</tr>\n"),
            }
        }
        table.push_str("</table>\n");
        if count > ROWS {
            let _ = writeln!(table, "<p>And {} more, which the JSON has.</p>", count - ROWS);
        }
        table
    }
}

fn form(point: &FixedPoint) -> PointForm {
    match point.kind {
        Kind::Stable => PointForm::Filled,
        Kind::Marginal => PointForm::Diamond,
        Kind::Saddle | Kind::Unstable => PointForm::Open(point.unstable),
    }
}

/// Numbers side by side.
fn numbers(all: &[f64], decimals: usize) -> String {
    let number = |x: &f64| {
        let text = format!("{x:.decimals$}");
        // What is rounded to zero has no sign.
        match text.strip_prefix('-') {
            Some(digits) if digits.bytes().all(|b| b == b'0' || b == b'.') => digits.to_string(),
            Some(digits) => format!("−{digits}"),
            None => text,
        }
    };
    all.iter().map(number).collect::<Vec<_>>().join(" ")
}

/// A time constant.
fn steps(constant: f64) -> String {
    match constant.abs() {
        size if size >= 1e4 => "∞".to_string(),
        _ => numbers(&[constant], 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::options::ConstantInput;
    use crate::dynamics::section::Section;

    fn point(kind: Kind, unstable: usize, at: f64, distance: f64) -> FixedPoint {
        FixedPoint {
            speed: 1e-25,
            kind,
            unstable,
            marginal: 0,
            found: 3,
            distance,
            eigenvalues: vec![(0.3, 0.4), (0.1, 0.0)],
            time_constants: vec![1.443, 0.434],
            projection: [at, 0.5],
            output: vec![1.0, -0.04],
            state: vec![at, 0.0],
        }
    }

    fn found() -> FixedPoints {
        FixedPoints {
            fixed_point_input: ConstantInput::Zero,
            fixed_point_starts: 20,
            fixed_point_neither: 2,
            state_spread: 1.0,
            principal_shares: [0.6, 0.4],
            fixed_points: vec![
                point(Kind::Stable, 0, -1.0, 0.0),
                point(Kind::Stable, 0, 1.0, 0.0),
                point(Kind::Marginal, 0, 2.0, 0.1),
                point(Kind::Saddle, 1, 0.0, 0.3),
                point(Kind::Unstable, 2, 90.0, 40.0),
            ],
            slow_points: vec![point(Kind::Stable, 0, 0.3, 0.2)],
            trajectories: vec![vec![[0.0, 0.0], [1.0, 0.4]]],
            outputs_are_values: true,
        }
    }

    #[test]
    fn lines_and_table_have_each_kind() {
        let found = found();
        let lines = found.lines();
        assert_eq!(
            lines[0],
            "fixed points      5 for the input zero: 2 stable, 1 marginal, 1 with 1 unstable direction, \
             1 with 2 unstable directions"
        );
        assert_eq!(
            lines[1..],
            [
                "stable points     a small push is gone by 1/e after 1.4 to 1.4 steps",
                "slow points       1; 2 of 20 searches ended at neither"
            ]
        );
        let [figure, table] = &found.pictures("")[..] else { panic!("a picture and a table") };
        assert_eq!(table.svg.matches("<tr>").count(), 7, "a head and six points");
        assert!(table.svg.contains("<td>1.00 −0.04</td>") && table.svg.contains("0.500 0.100"));
        assert!(figure.reading.contains("One point is far from all visited states"));
        assert!(figure.reading.contains("from 20 states found 2 stable"));
        // The far point is in the table alone, and the slow one has no label.
        assert_eq!(figure.svg.matches(">1.0 0.0</text>").count(), 3);
        assert_eq!(figure.svg.matches("class=\"count\"").count(), 2, "a saddle, and the legend");
    }

    #[test]
    fn nothing_found_is_a_picture_of_the_trajectories() {
        let none = FixedPoints { fixed_points: vec![], slow_points: vec![], ..found() };
        assert_eq!(none.lines()[0], "fixed points      0 for the input zero: none found");
        assert_eq!(none.lines().len(), 2);
        let [figure] = &none.pictures(", b")[..] else { panic!("a picture alone") };
        assert!(figure.heading.ends_with(", b"));
        assert!(figure.svg.contains("class=\"orbit\"") && !figure.svg.contains("NaN"));
    }

    #[test]
    fn numbers_have_a_minus_and_no_negative_zero() {
        assert_eq!(numbers(&[-0.01, -1.25, 2.0], 1), "0.0 −1.2 2.0");
        assert_eq!((steps(f64::INFINITY), steps(-12.34)), ("∞".into(), "−12.3".into()));
    }
}
