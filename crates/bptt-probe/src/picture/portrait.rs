//! A phase portrait: trajectories of a system in a plane, and its fixed points.

use crate::picture::axis::Axis;
use crate::picture::plot::{FULL_WIDTH, LEFT, Plot, RIGHT, TOP};
use crate::picture::text::escaped;
use std::fmt::Write;

/// The width of the plot, and the bounds of its height.
const ACROSS: f64 = FULL_WIDTH - LEFT - RIGHT;
const HEIGHTS: [f64; 2] = [260.0, 560.0];
/// The space around what is drawn, as a share of its extent.
const SPACE: f64 = 0.06;

/// How a point is drawn. The forms differ, so that they can be told apart without colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointForm {
    /// A filled circle: a stable point.
    Filled,
    /// An open circle with a number, which is how many directions are unstable.
    Open(usize),
    /// A filled diamond: a marginal point.
    Diamond,
    /// A small cross: a slow point.
    Cross,
}

/// A point of a [`Portrait`].
#[derive(Clone, Debug, PartialEq)]
pub struct PortraitPoint {
    /// Where it is.
    pub at: [f64; 2],
    /// How it is drawn.
    pub form: PointForm,
    /// What is written beside it, if there is space; may be empty.
    pub label: String,
}

/// Trajectories in a plane, and points. Both axes have the same scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Portrait<'a> {
    /// What it shows, for readers that cannot see it.
    pub title: &'a str,
    /// The names of the axes.
    pub axes: [&'a str; 2],
    /// The trajectories, as thin lines.
    pub trajectories: &'a [Vec<[f64; 2]>],
    /// The points. The last ones lie on top.
    pub points: &'a [PortraitPoint],
    /// What the forms of the points are, in the legend.
    pub legend: &'a [(PointForm, &'a str)],
}

impl Portrait<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let (x, y, height) = self.axes_around();
        let mut plot = Plot::with_axes(x, y, [ACROSS, height]);
        for trajectory in self.trajectories.iter().filter(|points| points.len() > 1) {
            plot.lines(trajectory.iter().map(|[x, y]| (*x, *y)), &["orbit"]);
        }
        let places = self.points.iter().map(|point| plot.place(point.at[0], point.at[1]));
        let places: Vec<[f64; 2]> = places.map(<[f64; 2]>::from).collect();
        for (point, at) in self.points.iter().zip(&places) {
            plot.draw(&symbol(*at, point.form));
        }
        for (label, [left, top]) in self.labels(&places, TOP + height) {
            let (label, base) = (escaped(label), top + 11.0);
            plot.draw(&format!(
                "<text class=\"label\" x=\"{left:.1}\" y=\"{base:.1}\">{label}</text>\n"
            ));
        }
        for (form, name) in self.legend {
            plot.legend_symbol(symbol([22.0, 0.0], *form), name);
        }
        plot.svg(self.title, self.axes[0], self.axes[1])
    }

    /// The labels with the places of their upper left corners. A label that would lie on a point or on another label
    /// wherever it is put is left out.
    fn labels(&self, places: &[[f64; 2]], bottom: f64) -> Vec<(&str, [f64; 2])> {
        const HEIGHT: f64 = 14.0;
        const POINT: f64 = 7.0;
        let point = |[x, y]: &[f64; 2]| [x - POINT, y - POINT, x + POINT, y + POINT];
        let mut taken: Vec<[f64; 4]> = places.iter().map(point).collect();
        let mut labels = Vec::new();
        for (PortraitPoint { label, .. }, [x, y]) in self.points.iter().zip(places) {
            if label.is_empty() {
                continue;
            }
            let width = 7.2 * label.chars().count() as f64;
            let (right, left, middle) = (x + 10.0, x - 10.0 - width, x - width / 2.0);
            let (up, down, level) = (y - 17.0, y + 4.0, y - 7.0);
            let corners = [
                [right, up],
                [right, down],
                [left, up],
                [left, down],
                [right, level],
                [left, level],
                [middle, y - 24.0],
                [middle, y + 10.0],
            ];
            let of = |[a, b]: [f64; 2]| [a, b, a + width, b + HEIGHT];
            let fits = |corner: &[f64; 2]| {
                let [a, b, c, d] = of(*corner);
                let apart = |o: &[f64; 4]| c < o[0] || o[2] < a || d < o[1] || o[3] < b;
                let inside = a > LEFT && c < FULL_WIDTH && b > 0.0 && d < bottom;
                inside && taken.iter().all(apart)
            };
            if let Some(corner) = corners.into_iter().find(fits) {
                taken.push(of(corner));
                labels.push((label.as_str(), corner));
            }
        }
        labels
    }

    /// Axes with the same scale, around all that is drawn, and the height of the plot.
    fn axes_around(&self) -> (Axis, Axis, f64) {
        let all = || {
            let points = self.points.iter().map(|point| point.at);
            self.trajectories.iter().flatten().copied().chain(points)
        };
        let ends = |k: usize| {
            let values = all().map(|at| at[k]).filter(|value| value.is_finite());
            let [low, high] = values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| {
                [low.min(x), high.max(x)]
            });
            if low <= high { [low, high] } else { [0.0, 0.0] }
        };
        let (across, up) = (ends(0), ends(1));
        let extent = |[low, high]: [f64; 2]| (high - low) * (1.0 + 2.0 * SPACE);
        // Units of the plane in a unit of the picture: whatever axis needs more of them.
        let unit = f64::max(extent(across) / ACROSS, extent(up) / HEIGHTS[1]);
        let unit = if unit > 0.0 { unit } else { 1.0 / ACROSS };
        let height = (extent(up) / unit).clamp(HEIGHTS[0], HEIGHTS[1]);
        let around = |[low, high]: [f64; 2], size: f64| {
            let (middle, half) = ((low + high) / 2.0, size * unit / 2.0);
            [middle - half, middle + half]
        };
        (Axis::linear(around(across, ACROSS)), Axis::linear(around(up, height)), height)
    }
}

/// A point as SVG.
fn symbol([x, y]: [f64; 2], form: PointForm) -> String {
    let mut svg = String::new();
    let _ = match form {
        PointForm::Filled => {
            writeln!(svg, "<circle class=\"point\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>")
        }
        PointForm::Open(count) => writeln!(
            svg,
            "<circle class=\"point open\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\"/>\
             <text class=\"count\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>",
            y + 4.0,
        ),
        PointForm::Diamond => {
            writeln!(svg, "<path class=\"point\" d=\"M{x:.1} {:.1}l7 7l-7 7l-7 -7Z\"/>", y - 7.0)
        }
        PointForm::Cross => writeln!(
            svg,
            "<path class=\"slow\" d=\"M{:.1} {:.1}l7 7m0 -7l-7 7\"/>",
            x - 3.5,
            y - 3.5
        ),
    };
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_axes_have_the_same_scale_and_everything_is_inside() {
        for points in [[[0.0, 0.0], [10.0, 1.0]], [[-1.0, -4.0], [1.0, 4.0]], [[2.0, 2.0]; 2]] {
            let trajectories = [points.to_vec()];
            let portrait = Portrait {
                title: "t",
                axes: ["a", "b"],
                trajectories: &trajectories,
                points: &[],
                legend: &[],
            };
            let (x, y, height) = portrait.axes_around();
            let unit = |axis: &Axis, size: f64| size * (axis.share(1.0) - axis.share(0.0));
            let (across, up) = (unit(&x, ACROSS), unit(&y, height));
            assert!((across - up).abs() < 1e-9 * across, "{across} {up}");
            for [a, b] in points {
                assert!((0.0..1.0).contains(&x.share(a)) && (0.0..1.0).contains(&y.share(b)));
            }
        }
    }

    #[test]
    fn each_form_is_drawn_and_texts_are_escaped() {
        let forms = [PointForm::Filled, PointForm::Open(12), PointForm::Diamond, PointForm::Cross];
        let point = |(k, form): (usize, &PointForm)| PortraitPoint {
            at: [k as f64, 1.0],
            form: *form,
            label: "<1>".into(),
        };
        let points: Vec<_> = forms.iter().enumerate().map(point).collect();
        let portrait = Portrait {
            title: "<t>",
            axes: ["a", "b"],
            trajectories: &[vec![[0.0, 0.0], [3.0, 2.0]], vec![[1.0, 1.0]]],
            points: &points,
            legend: &[(PointForm::Cross, "slow & small")],
        };
        let svg = portrait.svg();
        assert_eq!(svg.matches("class=\"orbit\"").count(), 1, "one point is no line");
        assert_eq!(svg.matches("class=\"point open\"").count(), 1);
        assert_eq!(svg.matches("class=\"point\"").count(), 2);
        assert_eq!(svg.matches("class=\"slow\"").count(), 2);
        assert!(svg.contains(">12</text>") && svg.contains("slow &amp; small"));
        assert!(!svg.contains("<1>") && !svg.contains("NaN"));
        // Of labels that would lie on each other, those are left for which there is space.
        let many = vec![points[0].clone(); 40];
        let svg = Portrait { points: &many, ..portrait.clone() }.svg();
        let count = svg.matches("class=\"label\"").count();
        assert!((1..12).contains(&count), "{count}");
        let empty = Portrait { trajectories: &[], points: &[], ..portrait };
        assert!(!empty.svg().contains("NaN"));
    }
}
