//! What the benchmarks in `benches/` and `examples/` share.

/// The median of some times; of an even number the later of the middle two.
///
/// # Panics
///
/// If there are none.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
