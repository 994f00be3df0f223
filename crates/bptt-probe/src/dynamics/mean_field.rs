//! What theory says of large random networks, to hold measurements against.

use std::f64::consts::{LN_2, PI};

/// The limit `N → ∞` of the network `x' = J tanh(x) + noise`, `J ~ N(0, gain² / N)`.
#[derive(Clone, Copy, Debug)]
pub struct MeanField {
    /// `q`, the variance of `x`.
    pub variance: f64,
    /// `λ_1 = ½ ln(gain² ⟨tanh'(x)²⟩)`, in nats per step.
    pub exponent: f64,
}

/// Mean field of the random network: each `x` is normal with variance `q = gain² ⟨tanh(x)²⟩ + input_variance`, and a
/// direction's square grows by `gain² ⟨tanh'(x)²⟩` at each step. The input is white noise, with this variance for each
/// unit; 0 without input.
///
/// H. Sompolinsky, A. Crisanti, H. J. Sommers, "Chaos in random neural networks", Physical Review Letters 61 (1988),
/// 259–262; L. Molgedey, J. Schuchhardt, H. G. Schuster, "Suppressing chaos in neural networks by noise", Physical
/// Review Letters 69 (1992), 3717–3719.
pub fn tanh_network(gain: f64, input_variance: f64) -> MeanField {
    let mut q = gain * gain + input_variance;
    for _ in 0..100_000 {
        let next = gain * gain * gaussian_mean(|z| (q.sqrt() * z).tanh().powi(2)) + input_variance;
        let change = (next - q).abs();
        q = next;
        if change < 1e-15 {
            break;
        }
    }
    let slope = |z: f64| 1.0 / (q.sqrt() * z).cosh().powi(4);
    MeanField { variance: q, exponent: 0.5 * (gain * gain * gaussian_mean(slope)).ln() }
}

/// `⟨f(z)⟩` for a standard normal `z`, by the trapezoidal rule, which is exact to rounding for smooth functions here.
fn gaussian_mean(f: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 1.0 / 16.0;
    let points = (-160..=160).map(|k| f64::from(k) * STEP);
    points.map(|z| f(z) * (-z * z / 2.0).exp()).sum::<f64>() * STEP / (2.0 * PI).sqrt()
}

/// `λ_i`, counted from 1, of products of independent `N x N` matrices with entries from `N(0, 1/N)`:
/// `½ [ln 2 + ψ((N − i + 1) / 2) − ln N]`.
///
/// C. M. Newman, "The distribution of Lyapunov exponents: exact results for random matrices", Communications in
/// Mathematical Physics 103 (1986), 121–126.
pub fn gaussian_products(n: usize, i: usize) -> f64 {
    let (n, i) = (n as f64, i as f64);
    0.5 * (LN_2 + digamma((n - i + 1.0) / 2.0) - n.ln())
}

/// `ψ(x)` for positive `x`, by its recurrence up to 20 and its asymptotic series from there.
fn digamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 20.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series =
        y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y * (1.0 / 240.0 - y / 132.0))));
    shift + x.ln() - 0.5 / x - series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digamma_is_right_where_it_is_known() {
        const EULER: f64 = 0.577_215_664_901_532_9;
        assert!((digamma(1.0) + EULER).abs() < 1e-14);
        assert!((digamma(0.5) + EULER + 2.0 * LN_2).abs() < 1e-14);
        // ψ(n + 1) = 1 + 1/2 + … + 1/n - γ
        let harmonic: f64 = (1..=24).map(|k| 1.0 / f64::from(k)).sum();
        assert!((digamma(25.0) - (harmonic - EULER)).abs() < 1e-14);
    }

    #[test]
    fn mean_field_of_the_literature() {
        for (gain, exponent) in [(1.5, 0.0652), (2.0, 0.1547), (3.0, 0.310249)] {
            let found = tanh_network(gain, 0.0).exponent;
            assert!((found - exponent).abs() < 5e-5, "gain {gain}: {found}");
        }
        // Below 1 the network is at rest, and a direction shrinks as the gain says.
        let rest = tanh_network(0.8, 0.0);
        assert!(rest.variance < 1e-12 && (rest.exponent - 0.8_f64.ln()).abs() < 1e-9);
        // Noise suppresses chaos.
        assert!(tanh_network(1.5, 1.0).exponent < 0.0);
    }
}
