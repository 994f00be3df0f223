//! Points that are the same.

use crate::dynamics::fixed_points::minimise::Minimum;
use crate::dynamics::fixed_points::starts::distance;

/// Each point once, with how often it was found. Of points that are closer than `same`, the one with the smallest `q`
/// stays. The order is that of `q`.
pub(super) fn distinct(mut minima: Vec<Minimum>, same: f64) -> Vec<(Minimum, usize)> {
    // A stable sort: points of equal speed keep the order of their starts.
    minima.sort_by(|a, b| a.speed.total_cmp(&b.speed));
    let mut kept: Vec<(Minimum, usize)> = Vec::new();
    for minimum in minima {
        match kept.iter_mut().find(|(other, _)| distance(&other.state, &minimum.state) <= same) {
            Some((_, count)) => *count += 1,
            None => kept.push((minimum, 1)),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_those_that_are_the_same_stays() {
        let minimum = |x: f64, speed: f64| Minimum { state: vec![x, 1.0], speed };
        let all = [(0.0, 3e-5), (0.05, 1e-30), (1.0, 0.0), (0.99, 1e-25), (-0.03, 1e-25)];
        let kept = distinct(all.map(|(x, speed)| minimum(x, speed)).to_vec(), 0.1);
        let found: Vec<_> = kept.iter().map(|(m, count)| (m.state[0], m.speed, *count)).collect();
        assert_eq!(found, [(1.0, 0.0, 2), (0.05, 1e-30, 3)]);
    }
}
