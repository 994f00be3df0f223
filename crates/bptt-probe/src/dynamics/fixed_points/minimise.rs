//! Minimises `q(s) = ½ ‖F(s) - s‖²` by Levenberg and Marquardt's method.
//!
//! K. Levenberg, "A method for the solution of certain non-linear problems in least squares", Quarterly of Applied
//! Mathematics 2 (1944), 164–168; D. W. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters",
//! Journal of the Society for Industrial and Applied Mathematics 11 (1963), 431–441.

use crate::dynamics::fixed_points::settings::Settings;
use crate::dynamics::matrix::{Factor, Matrix, add_scaled, dot};
use crate::dynamics::system::System;
use burn::tensor::Device;

/// Where a minimisation ended.
#[derive(Clone, Debug)]
pub(super) struct Minimum {
    pub(super) state: Vec<f64>,
    /// `q`; infinite or NaN if the state is not finite.
    pub(super) speed: f64,
}

/// `q = ½ ‖F(s) - s‖²` of a state, and its gradient `(J - I)ᵀ (F(s) - s)`.
pub fn speed_and_gradient(system: &mut dyn System, state: &[f64]) -> (f64, Vec<f64>) {
    let (r, transposed) = residual_and_derivative(system, state);
    (half_square(&r), products(&transposed, &r))
}

/// Minimises `q` from a state on, until it is far below what makes a point fixed, or in a minimum where it is not zero.
///
/// The damping is `μ = θ ‖r‖`. Near a fixed point it vanishes with `r`, so that the steps become Newton's. In a minimum
/// with `r ≠ 0`, where `A` is singular, it is in proportion to the curvature `r · ∂²F` that the linear model does not
/// have. `θ` follows from how well the model fits.
pub(super) fn minimise(
    system: &mut dyn System,
    start: Vec<f64>,
    settings: &Settings,
    device: &Device,
) -> Minimum {
    /// The smallest and the largest `θ`.
    const THETA: [f64; 2] = [1e-8, 1e16];
    /// A step is taken if it gains more than this share of what the model says.
    const GAIN: f64 = 1e-4;
    let mut model = Model::new(system, start, device);
    let mut theta = 1.0;
    for _ in 0..settings.steps {
        // Far below, so that the last digits of the state and of its Jacobian are right, too.
        let is_done = model.speed <= 1e-4 * settings.fixed || model.is_minimum();
        if is_done || !model.scale.is_finite() || theta > THETA[1] {
            break;
        }
        let trial = model.trial(system, theta);
        let gain = trial.as_ref().map_or(f64::NAN, |(_, gain)| *gain);
        theta = match gain {
            gain if gain > 0.75 => f64::max(theta / 4.0, THETA[0]),
            gain if gain > 0.25 => theta,
            _ => theta * 4.0,
        };
        if let Some((next, _)) = trial.filter(|_| gain > GAIN) {
            model = Model::new(system, next, device);
        }
    }
    Minimum { state: model.state, speed: model.speed }
}

/// `q` near a state: `½ ‖r + A δ‖²`, with `r = F(s) - s` and `A = ∂r/∂s = J - I`.
struct Model {
    state: Vec<f64>,
    speed: f64,
    /// `Aᵀ r`
    gradient: Vec<f64>,
    /// `AᵀA`
    matrix: Matrix,
    /// Its largest diagonal element.
    scale: f64,
}

impl Model {
    fn new(system: &mut dyn System, state: Vec<f64>, device: &Device) -> Self {
        let (r, transposed) = residual_and_derivative(system, &state);
        let (speed, gradient) = (half_square(&r), products(&transposed, &r));
        let matrix = Factor::new(&transposed, device).times(transposed);
        let diagonal = (0..state.len()).map(|k| matrix.row(k)[k]);
        // Not `f64::max`, which passes over NaN.
        let scale = diagonal.fold(0.0, |most, x| if x <= most { most } else { x });
        Self { state, speed, gradient, matrix, scale }
    }

    /// `‖r‖`
    fn length(&self) -> f64 {
        (2.0 * self.speed).sqrt()
    }

    /// Whether the gradient is zero to rounding, compared with `‖A‖ ‖r‖`.
    fn is_minimum(&self) -> bool {
        let length = dot(&self.gradient, &self.gradient).sqrt();
        length <= 1e-9 * self.scale.sqrt() * self.length()
    }

    /// A step with a damping of `θ ‖r‖`: where it leads, and which share of the gain that the model says is there. `None`
    /// if rounding does not let the step be computed.
    fn trial(&self, system: &mut dyn System, theta: f64) -> Option<(Vec<f64>, f64)> {
        // The second term is the rounding of the matrix.
        let damping = theta * self.length() + 1e-14 * self.scale;
        let step = solve(&self.matrix, damping, &self.gradient)?;
        let mut next = self.state.clone();
        add_scaled(&mut next, -1.0, &step);
        let after = half_square(&residual(system, &next));
        let expected = 0.5 * (damping * dot(&step, &step) + dot(&self.gradient, &step));
        Some((next, (self.speed - after) / expected))
    }
}

/// `r = F(s) - s`
fn residual(system: &mut dyn System, state: &[f64]) -> Vec<f64> {
    let mut after = Matrix::from_values(1, state.len(), state.to_vec());
    system.step(0, &mut after);
    difference(after.row(0), state)
}

/// `r`, and `Aᵀ`: row `k` is the derivative with respect to number `k` of the state.
fn residual_and_derivative(system: &mut dyn System, state: &[f64]) -> (Vec<f64>, Matrix) {
    let size = state.len();
    let mut bundle = Matrix::from_fn(1 + size, size, |row, column| match row {
        0 => state[column],
        _ if row == column + 1 => 1.0,
        _ => 0.0,
    });
    system.step(0, &mut bundle);
    let mut transposed = bundle.rows_of(1..1 + size);
    (0..size).for_each(|k| transposed.row_mut(k)[k] -= 1.0);
    (difference(bundle.row(0), state), transposed)
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn half_square(x: &[f64]) -> f64 {
    0.5 * dot(x, x)
}

/// The product of each row with a vector.
fn products(rows: &Matrix, x: &[f64]) -> Vec<f64> {
    (0..rows.rows()).map(|row| dot(rows.row(row), x)).collect()
}

/// `(A + μ I)⁻¹ b` of a symmetric matrix by Cholesky's method; `None` if it is not positive definite.
fn solve(matrix: &Matrix, mu: f64, b: &[f64]) -> Option<Vec<f64>> {
    let size = b.len();
    let mut lower = Matrix::zeros(size, size);
    for i in 0..size {
        let mut row = vec![0.0; size];
        for j in 0..i {
            row[j] = (matrix.row(i)[j] - dot(&row[..j], &lower.row(j)[..j])) / lower.row(j)[j];
        }
        let square = matrix.row(i)[i] + mu - dot(&row[..i], &row[..i]);
        if square.is_nan() || square <= 0.0 {
            return None;
        }
        row[i] = square.sqrt();
        lower.row_mut(i).copy_from_slice(&row);
    }
    let mut x = b.to_vec();
    for i in 0..size {
        x[i] = (x[i] - dot(&lower.row(i)[..i], &x[..i])) / lower.row(i)[i];
    }
    for i in (0..size).rev() {
        let (before, here) = x.split_at_mut(i);
        here[0] /= lower.row(i)[i];
        add_scaled(before, -here[0], &lower.row(i)[..i]);
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_of_equations_is_solved_and_an_indefinite_one_is_refused() {
        // BᵀB + I/2 for an arbitrary B, and a known solution.
        let size = 11;
        let b = Matrix::from_fn(size, size, |i, j| ((3 * i * i + 7 * j + i * j) % 13) as f64 - 6.0);
        let entry = |i: usize, j: usize| (0..size).map(|k| b.row(k)[i] * b.row(k)[j]).sum::<f64>();
        let matrix = Matrix::from_fn(size, size, entry);
        let x: Vec<f64> = (0..size).map(|k| k as f64 - 4.5).collect();
        let right: Vec<f64> = (0..size).map(|k| dot(matrix.row(k), &x) + 0.5 * x[k]).collect();
        for (found, x) in solve(&matrix, 0.5, &right).unwrap().iter().zip(&x) {
            assert!((found - x).abs() < 1e-9, "{found} {x}");
        }
        let indefinite = Matrix::from_values(2, 2, vec![1.0, 2.0, 2.0, 1.0]);
        assert_eq!(solve(&indefinite, 0.5, &[1.0, 1.0]), None);
        assert!(solve(&indefinite, 1.5, &[1.0, 1.0]).is_some());
    }
}
