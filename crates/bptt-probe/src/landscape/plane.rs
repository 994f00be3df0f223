//! A loss on a plane, and along a line.

use crate::readout::{Block, Filters};
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

/// A loss on a grid of a plane.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Surface {
    /// The places along the first axis, in units of its direction.
    pub x: Vec<f64>,
    /// The places along the second axis.
    pub y: Vec<f64>,
    /// The loss: a row for each place of `y`, with a number for each place of `x`.
    pub loss: Vec<Vec<f64>>,
}

/// A loss along a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The places: 0 is the one end, and 1 the other.
    pub t: Vec<f64>,
    /// The loss at each place.
    pub loss: Vec<f64>,
}

/// A random direction in which every filter is as long as the same filter of the parameters. Biases stay.
///
/// A network with rectifiers computes the same if one layer is scaled up and the next one down, and its loss is then
/// flatter in one layer and sharper in the other. With filters of equal lengths, planes of different networks have the
/// same scale: at distance 1, the change is as large as the weights.
///
/// H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of neural nets", NeurIPS 2018.
///
/// # Arguments
///
/// - `parameters`, `blocks`: of a [`Readout`](crate::readout::Readout)
pub fn filter_normalized(parameters: &[f64], blocks: &[Block], rng: &mut StdRng) -> Vec<f64> {
    let mut direction = vec![0.0; parameters.len()];
    for block in blocks {
        let (to, from) = (&mut direction[block.range.clone()], &parameters[block.range.clone()]);
        let (count, columns, step) = match block.filters {
            Filters::Bias => continue,
            Filters::Rows { columns } => (from.len() / columns, columns, 1),
            Filters::Columns { columns } => (columns, from.len() / columns, columns),
        };
        for filter in 0..count {
            // A row is contiguous, and a column is not.
            let first = if step == 1 { filter * columns } else { filter };
            let places = || (0..columns).map(move |k| first + k * step);
            let mut square = 0.0;
            for place in places() {
                to[place] = StandardNormal.sample(rng);
                square += to[place] * to[place];
            }
            let length = places().map(|place| from[place] * from[place]).sum::<f64>();
            let factor = (length / square).sqrt();
            places().for_each(|place| to[place] *= factor);
        }
    }
    direction
}

/// The plane through three points.
#[derive(Clone, Debug, PartialEq)]
pub struct ThroughPoints {
    /// Two directions of length 1, at a right angle. The first goes from the first point to the second one.
    pub axes: [Vec<f64>; 2],
    /// The coordinates of the points. The first one is 0, 0.
    pub places: [[f64; 2]; 3],
    /// What a picture shows along each axis: all three points with a margin, as far along the one axis as along the other.
    pub ranges: [[f64; 2]; 2],
}

/// The least angle between two directions that make a plane, about. Parameters are known to seven digits.
const LEAST_ANGLE: f64 = 1e-5;
/// How far a plane goes beyond its points, as a share of their extent.
const MARGIN: f64 = 0.25;

/// The plane through three points, with axes by the method of Gram and Schmidt; `None` if the points are on one line.
///
/// T. Garipov, P. Izmailov, D. Podoprikhin, D. Vetrov, A. G. Wilson, "Loss surfaces, mode connectivity, and fast ensembling
/// of DNNs", NeurIPS 2018.
pub fn through_points(points: [&[f64]; 3]) -> Option<ThroughPoints> {
    let from_first =
        |to: &[f64]| -> Vec<f64> { to.iter().zip(points[0]).map(|(to, from)| to - from).collect() };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let length = |v: &[f64]| dot(v, v).sqrt();
    let (mut first, mut second) = (from_first(points[1]), from_first(points[2]));
    let (base, whole) = (length(&first), length(&second));
    first.iter_mut().for_each(|x| *x /= base);
    let mut along = 0.0;
    // Twice, because what is left may be small.
    for _ in 0..2 {
        let more = dot(&second, &first);
        second.iter_mut().zip(&first).for_each(|(x, axis)| *x -= more * axis);
        along += more;
    }
    let height = length(&second);
    let apart = f64::min(base, whole);
    // Also if there is a NaN.
    if !(height > LEAST_ANGLE * whole && apart > LEAST_ANGLE * f64::max(base, whole)) {
        return None;
    }
    second.iter_mut().for_each(|x| *x /= height);
    let places = [[0.0, 0.0], [base, 0.0], [along, height]];
    let ends = [0, 1].map(|axis| {
        let of = places.map(|place| place[axis]);
        [of.into_iter().fold(f64::INFINITY, f64::min), of.into_iter().fold(0.0, f64::max)]
    });
    let extent = ends.map(|[low, high]| high - low).into_iter().fold(0.0, f64::max);
    let half = extent * (0.5 + MARGIN);
    let ranges = ends.map(|[low, high]| [(low + high) / 2.0 - half, (low + high) / 2.0 + half]);
    Some(ThroughPoints { axes: [first, second], places, ranges })
}

/// Places from `low` to `high`.
fn places(low: f64, high: f64, points: usize) -> Vec<f64> {
    let last = points.saturating_sub(1).max(1) as f64;
    (0..points).map(|k| low + (high - low) * k as f64 / last).collect()
}

/// Evaluates a loss on a plane, row by row.
///
/// # Arguments
///
/// - `axes`: the two directions
/// - `span`: how far it goes on either side, in units of the directions
/// - `points`: how many there are along each axis; an odd number includes the center
pub fn surface(
    center: &[f64],
    axes: [&[f64]; 2],
    span: [f64; 2],
    points: usize,
    loss: &mut dyn FnMut(&[f64]) -> f64,
) -> Surface {
    surface_within(center, axes, span.map(|span| [-span, span]), points, loss)
}

/// The same between two places along each axis: `ranges` are from where to where.
pub fn surface_within(
    center: &[f64],
    axes: [&[f64]; 2],
    ranges: [[f64; 2]; 2],
    points: usize,
    loss: &mut dyn FnMut(&[f64]) -> f64,
) -> Surface {
    let [x, y] = ranges.map(|[low, high]| places(low, high, points));
    let row = |y: &f64| {
        let at = |x: &f64| {
            let moved = center.iter().zip(axes[0]).zip(axes[1]);
            loss(&moved.map(|((c, a), b)| c + x * a + y * b).collect::<Vec<_>>())
        };
        x.iter().map(at).collect()
    };
    let loss = y.iter().map(row).collect();
    Surface { x, y, loss }
}

/// Evaluates a loss along the line through two points.
///
/// # Arguments
///
/// - `ends`: the points with `t = 0` and `t = 1`
/// - `range`: from which `t` to which
pub fn line(
    ends: [&[f64]; 2],
    range: [f64; 2],
    points: usize,
    loss: &mut dyn FnMut(&[f64]) -> f64,
) -> Line {
    let t = places(range[0], range[1], points);
    let at = |t: &f64| {
        let moved = ends[0].iter().zip(ends[1]).map(|(a, b)| a + t * (b - a));
        loss(&moved.collect::<Vec<_>>())
    };
    let loss = t.iter().map(at).collect();
    Line { t, loss }
}

impl Surface {
    /// The smallest and the largest finite loss; `None` if there is none.
    pub fn range(&self) -> Option<(f64, f64)> {
        let finite = self.loss.iter().flatten().copied().filter(|loss| loss.is_finite());
        finite.fold(None, |range, loss| match range {
            None => Some((loss, loss)),
            Some((low, high)) => Some((f64::min(low, loss), f64::max(high, loss))),
        })
    }
}

impl Line {
    /// How far the loss between the ends rises above the straight line from one end's loss to the other's: the barrier
    /// between two networks. It is 0 if the loss stays below.
    ///
    /// J. Frankle, G. K. Dziugaite, D. Roy, M. Carbin, "Linear mode connectivity and the lottery ticket hypothesis",
    /// ICML 2020.
    pub fn barrier(&self, ends: [f64; 2]) -> f64 {
        let between = self.t.iter().zip(&self.loss).filter(|(t, _)| (0.0..=1.0).contains(*t));
        let above = between.map(|(t, loss)| loss - (ends[0] + t * (ends[1] - ends[0])));
        above.fold(0.0, |most, above| if above.is_nan() { f64::NAN } else { most.max(above) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn block(range: std::ops::Range<usize>, filters: Filters) -> Block {
        Block { name: String::new(), range, filters }
    }

    #[test]
    fn every_filter_is_as_long_as_that_of_the_parameters_and_biases_stay() {
        let parameters: Vec<f64> = (1..=19).map(f64::from).collect();
        let blocks = [
            block(0..6, Filters::Rows { columns: 3 }),
            block(6..8, Filters::Bias),
            block(8..16, Filters::Columns { columns: 2 }),
            block(16..19, Filters::Bias),
        ];
        let mut rng = StdRng::seed_from_u64(1);
        let found = filter_normalized(&parameters, &blocks, &mut rng);
        let filters: [&[usize]; 4] = [&[0, 1, 2], &[3, 4, 5], &[8, 10, 12, 14], &[9, 11, 13, 15]];
        for filter in filters {
            let length = |of: &[f64]| filter.iter().map(|&k| of[k] * of[k]).sum::<f64>().sqrt();
            assert!((length(&found) - length(&parameters)).abs() < 1e-12, "{filter:?}");
        }
        assert!([6, 7, 16, 17, 18].iter().all(|&k| found[k] == 0.0));
        assert_ne!(found, filter_normalized(&parameters, &blocks, &mut rng));
    }

    #[test]
    fn a_quadratic_has_its_known_surface() {
        let mut loss = |at: &[f64]| at[0] * at[0] + 3.0 * at[1] * at[1];
        let found = surface(&[1.0, 0.0], [&[2.0, 0.0], &[0.0, 1.0]], [1.0, 2.0], 5, &mut loss);
        assert_eq!(found.x, [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(found.y, [-2.0, -1.0, 0.0, 1.0, 2.0]);
        for (y, row) in found.y.iter().zip(&found.loss) {
            for (x, loss) in found.x.iter().zip(row) {
                assert_eq!(*loss, (1.0 + 2.0 * x).powi(2) + 3.0 * y * y);
            }
        }
        assert_eq!(found.range(), Some((0.0, 21.0)));
    }

    #[test]
    fn the_plane_through_points_contains_them() {
        let (a, b, c) = ([1.0, 2.0, 3.0, 0.0], [1.0, 2.0, 7.0, 0.0], [1.0, 5.0, 1.0, 0.0]);
        let found = through_points([&a, &b, &c]).unwrap();
        assert_eq!(found.axes, [[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]]);
        assert_eq!(found.places, [[0.0, 0.0], [4.0, 0.0], [-2.0, 3.0]]);
        // From -2 to 4 along the first axis, and a quarter of it on either side; the same extent along the second.
        assert_eq!(found.ranges, [[-3.5, 5.5], [-3.0, 6.0]]);
        // Any three points, in any position.
        let mut rng = StdRng::seed_from_u64(2);
        let mut random =
            || -> Vec<f64> { (0..9).map(|_| StandardNormal.sample(&mut rng)).collect() };
        let points = [random(), random(), random()];
        let found = through_points([&points[0], &points[1], &points[2]]).unwrap();
        for (place, point) in found.places.iter().zip(&points) {
            for (k, expected) in point.iter().enumerate() {
                let [x, y] = [0, 1].map(|axis| place[axis] * found.axes[axis][k]);
                assert!((points[0][k] + x + y - expected).abs() < 1e-13);
            }
        }
        let product: f64 = found.axes[0].iter().zip(&found.axes[1]).map(|(a, b)| a * b).sum();
        assert!(product.abs() < 1e-15);
    }

    #[test]
    fn points_on_a_line_make_no_plane() {
        let (a, b, c) = ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-3.0, -6.0, -9.0]);
        assert_eq!(through_points([&a, &b, &c]), None);
        assert_eq!(through_points([&a, &a, &b]), None);
        assert_eq!(through_points([&a, &b, &a]), None);
        assert_eq!(through_points([&a, &b, &b]), None);
        assert_eq!(through_points([&a, &b, &[f64::NAN, 0.0, 0.0]]), None);
        // Next to nothing is a line, too: the numbers of a file have seven digits.
        assert_eq!(through_points([&a, &b, &[3.0, 6.0, 9.00001]]), None);
        assert!(through_points([&a, &b, &[3.0, 6.0, 9.1]]).is_some());
    }

    #[test]
    fn a_line_goes_through_both_ends_and_has_its_barrier() {
        // A double well, with minima at -1 and 1, and height 1 between them.
        let mut loss = |at: &[f64]| (at[0] * at[0] - 1.0).powi(2);
        let found = line([&[-1.0], &[1.0]], [-0.5, 1.5], 101, &mut loss);
        assert_eq!((found.t[25], found.loss[25]), (0.0, 0.0));
        assert_eq!((found.t[75], found.loss[75]), (1.0, 0.0));
        assert_eq!(found.barrier([0.0, 0.0]), 1.0);
        let straight = line([&[1.0], &[3.0]], [0.0, 1.0], 11, &mut |at| at[0]);
        assert_eq!(straight.barrier([1.0, 3.0]), 0.0);
        let broken = line([&[1.0], &[3.0]], [0.0, 1.0], 11, &mut |_| f64::NAN);
        assert!(broken.barrier([1.0, 3.0]).is_nan());
    }
}
