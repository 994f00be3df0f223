//! What a point is, by the eigenvalues of the Jacobian there.

use crate::dynamics::eigen::eigenvalues;
use crate::dynamics::fixed_points::minimise::Minimum;
use crate::dynamics::fixed_points::settings::Settings;
use crate::dynamics::system::{System, jacobian};
use serde::Serialize;

/// The kinds of points, by the moduli of the eigenvalues of the Jacobian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// All are below 1: what is near comes to the point.
    Stable,
    /// Some are above 1, and others are below.
    Saddle,
    /// All are above 1, except for directions that vanish within a step.
    Unstable,
    /// None is above 1, but some are 1 within [`Settings::margin`]: along these directions the linear part does not
    /// decide, as on a line of fixed points.
    Marginal,
}

impl Kind {
    /// Its name in JSON and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Saddle => "saddle",
            Self::Unstable => "unstable",
            Self::Marginal => "marginal",
        }
    }
}

/// A direction with an eigenvalue of at most this modulus vanishes within a step. Where an LSTM forgets its output, half
/// of them are zero; rounding makes them about the square root of its size.
const VANISHED: f64 = 1e-6;

/// A fixed point or a slow point.
#[derive(Clone, Debug)]
pub struct Point {
    /// The state, of all layers: for each layer `h`, then its memories.
    pub state: Vec<f64>,
    /// `q = ½ ‖F(s) - s‖²`
    pub speed: f64,
    /// What it is.
    pub kind: Kind,
    /// The number of unstable directions: of eigenvalues with a modulus above 1 and beyond the margin.
    pub unstable: usize,
    /// The number of eigenvalues with a modulus of 1 within the margin.
    pub marginal: usize,
    /// The eigenvalues `(re, im)` of the Jacobian, those of the largest modulus first.
    pub eigenvalues: Vec<(f64, f64)>,
    /// How many starts ended here.
    pub found: usize,
    /// The distance to the nearest visited state, in units of the spread. A point far from all visited states is one of
    /// the equations, and says little of what the network does.
    pub distance: f64,
}

impl Point {
    pub(super) fn new(
        system: &mut dyn System,
        minimum: Minimum,
        settings: &Settings,
        found: usize,
        distance: f64,
    ) -> Result<Self, String> {
        let Minimum { state, speed } = minimum;
        let eigenvalues = eigenvalues(&jacobian(system, 0, &state))?;
        let moduli = || eigenvalues.iter().map(|(re, im)| re.hypot(*im));
        let unstable = moduli().filter(|modulus| modulus - 1.0 > settings.margin).count();
        let marginal = moduli().filter(|modulus| (modulus - 1.0).abs() <= settings.margin).count();
        let lasting = moduli().filter(|modulus| *modulus > VANISHED).count();
        let kind = match (unstable, marginal) {
            (0, 0) => Kind::Stable,
            (0, _) => Kind::Marginal,
            _ if unstable == lasting => Kind::Unstable,
            _ => Kind::Saddle,
        };
        Ok(Self { state, speed, kind, unstable, marginal, eigenvalues, found, distance })
    }

    /// The [`time_constant`] of each eigenvalue, in their order.
    pub fn time_constants(&self) -> Vec<f64> {
        self.eigenvalues.iter().map(|z| time_constant(*z)).collect()
    }
}

/// `-1 / ln |λ|` of an eigenvalue, in steps: how long a difference along its direction takes to shrink to `1/e`.
/// Negative if it grows, by a factor of `e` in so many steps; infinite at `|λ| = 1`.
pub fn time_constant((re, im): (f64, f64)) -> f64 {
    match re.hypot(im) {
        1.0 => f64::INFINITY,
        modulus => -1.0 / modulus.ln(),
    }
}
