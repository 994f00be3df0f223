//! Fixed points and slow points of a system: what a network remembers, and where it decides.
//!
//! At a fixed point `s = F(s)` the system stays. Near it, the Jacobian `J` says what happens: along an eigenvector with
//! `|λ| < 1` a difference shrinks, along one with `|λ| > 1` it grows. A stable point holds a memory. A saddle lies
//! between memories, and its few unstable directions say which of them the network goes to. At a slow point the system
//! nearly stays.
//!
//! All of them are minima of `q(s) = ½ ‖F(s) - s‖²`. Its gradient is `(J - I)ᵀ (F(s) - s)`, with the system's own
//! derivative. [`find`] minimises `q` from many states that the system visits, for an input that does not change.
//!
//! D. Sussillo and O. Barak, "Opening the black box: low-dimensional dynamics in high-dimensional recurrent neural
//! networks", Neural Computation 25 (2013), 626–649.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt::CellKind;
//! use bptt_probe::dynamics::fixed_points::{Kind, Settings, find};
//! use bptt_probe::dynamics::{LayerNumbers, Matrix, Network};
//! use burn::tensor::Device;
//!
//! // h' = tanh(2 h)
//! let device = Device::flex();
//! let numbers = [LayerNumbers::autonomous(Matrix::from_values(1, 1, vec![2.0]))];
//! let mut unit = Network::from_numbers(&CellKind::Rnn.default_cell(), &numbers, None, &device);
//! let visited = Matrix::from_values(3, 1, vec![-1.0, 0.1, 0.8]);
//! let found = find(&mut unit, &visited, &Settings::default(), &device, &mut |_| ()).unwrap();
//! // Two memories, and the point between them.
//! let kinds: Vec<_> = found.fixed.iter().map(|point| point.kind).collect();
//! assert_eq!(kinds, [Kind::Stable, Kind::Stable, Kind::Unstable]);
//! # }
//! ```

mod classify;
mod distinct;
mod minimise;
mod settings;
mod starts;

pub use classify::{Kind, Point, time_constant};
pub use minimise::speed_and_gradient;
pub use settings::Settings;

use crate::dynamics::matrix::Matrix;
use crate::dynamics::system::System;
use burn::tensor::Device;
use distinct::distinct;
use minimise::{Minimum, minimise};
use starts::{nearest, spread, starts};

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The fixed points, those with the fewest unstable directions first, and among these those that were found most
    /// often.
    pub fixed: Vec<Point>,
    /// The slow points, in the same order. Their eigenvalues are those of the Jacobian there, too.
    pub slow: Vec<Point>,
    /// How many starts ended at neither: in a minimum of `q` that is not slow, or nowhere.
    pub neither: usize,
    /// The spread of the visited states: the root mean square of their distances from their mean. Distances are in this
    /// unit.
    pub spread: f64,
}

/// Finds fixed points and slow points.
///
/// # Method
///
/// One half of the starts are visited states, drawn at random. The other half lie between two visited states each,
/// because a saddle lies between memories, where a trained network spends few steps. From each start, Levenberg and
/// Marquardt's method minimises `q` with the exact Jacobian: `(AᵀA + μ I) δ = -Aᵀ r`, where `r = F(s) - s`, `A = J - I`,
/// and `μ` is proportional to `‖r‖`. So it converges quadratically, also where fixed points form a line. Points that are the
/// same are united.
///
/// J. Fan and Y. Yuan, "On the quadratic convergence of the Levenberg-Marquardt method without nonsingularity
/// assumption", Computing 74 (2005), 23–39.
///
/// A start takes some ten steps, each of which forms the Jacobian and takes about `3 n³` operations for a state of `n`
/// numbers. The search does not tell whether there are more points: it finds those to which it comes.
///
/// # Arguments
///
/// - `system`: its step must not depend on the time: an input has to be the same at each step
/// - `visited`: `[V, n]`, states that it visits, in any order; with inputs as in use, and not only with this one
/// - `device`: computes products; it has to have f64
/// - `progress`: told the number of starts that are done
///
/// The same seed gives the same bits.
///
/// # Errors
///
/// One line, if the settings or the visited states do not fit the system.
pub fn find(
    system: &mut dyn System,
    visited: &Matrix,
    settings: &Settings,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Found, String> {
    check(system.size(), visited, settings)?;
    let spread = spread(visited);
    let mut minima = Vec::with_capacity(settings.starts);
    for (done, start) in starts(visited, settings).into_iter().enumerate() {
        minima.push(minimise(system, start, settings, device));
        progress(done + 1);
    }
    let is_fixed = |minimum: &Minimum| minimum.speed < settings.fixed;
    let is_slow = |minimum: &Minimum| (2.0 * minimum.speed).sqrt() <= settings.slow * spread;
    let all = minima.len();
    minima.retain(|minimum| is_fixed(minimum) || is_slow(minimum));
    let neither = all - minima.len();
    let (mut fixed, mut slow) = (Vec::new(), Vec::new());
    for (minimum, count) in distinct(minima, settings.same * spread) {
        let distance = nearest(visited, &minimum.state) / spread;
        let list = if is_fixed(&minimum) { &mut fixed } else { &mut slow };
        list.push(Point::new(system, minimum, settings, count, distance)?);
    }
    for list in [&mut fixed, &mut slow] {
        list.sort_by_key(|point| (point.unstable, std::cmp::Reverse(point.found)));
    }
    Ok(Found { fixed, slow, neither, spread })
}

fn check(size: usize, visited: &Matrix, settings: &Settings) -> Result<(), String> {
    if settings.starts == 0 {
        return Err("0 starts: expected at least 1".into());
    }
    if visited.rows() == 0 || visited.columns() != size {
        return Err(format!(
            "visited states [{}, {}]: expected at least one, of {size} numbers",
            visited.rows(),
            visited.columns()
        ));
    }
    match visited.values().iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => Err("a visited state is not finite".into()),
    }
}
