//! Samples of two gradients: bias, variance, and how well each is known.

use serde::Serialize;
use std::ops::Range;

/// A truncated gradient `g_k` beside the whole one `g`, over `n` batches. Errors are standard errors by the jackknife: how
/// far a number moves if one batch is left out. They are NaN for a single batch, as is the variance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// `‖E[g_k] − E[g]‖ / ‖E[g]‖`, where `E` is the mean over the batches.
    pub bias: f64,
    /// Its standard error.
    pub bias_error: f64,
    /// The cosine of the angle between `E[g_k]` and `E[g]`.
    pub cosine: f64,
    /// Its standard error.
    pub cosine_error: f64,
    /// `‖E[g_k]‖`
    pub norm: f64,
    /// The trace of the covariance of `g_k` over the batches: the mean squared distance from the mean, with `n − 1`.
    pub variance: f64,
    /// Its standard error.
    pub variance_error: f64,
    /// `‖E[g_k]‖ / √variance`, for the gradient of one batch.
    pub signal_to_noise: f64,
    /// Its standard error.
    pub signal_to_noise_error: f64,
    /// The mean over the batches of `‖g_k − g‖ / ‖g‖`, with both gradients of the same batch.
    pub batch_bias: f64,
    /// Its standard error.
    pub batch_bias_error: f64,
}

/// Compares samples of a truncated gradient with those of the whole one, on the parameters in some ranges.
///
/// # Arguments
///
/// - `whole`, `cut`: a gradient for each batch, of the same batch at the same place
///
/// # Panics
///
/// If there is no batch, or if the lists differ in length.
pub fn compare(whole: &[Vec<f64>], cut: &[Vec<f64>], ranges: &[Range<usize>]) -> Comparison {
    assert!(!whole.is_empty() && whole.len() == cut.len(), "two samples of the same batches");
    let n = whole.len() as f64;
    let places = || ranges.iter().cloned().flatten();
    let sum = |of: &[Vec<f64>]| -> Vec<f64> {
        places().map(|place| of.iter().map(|gradient| gradient[place]).sum()).collect()
    };
    let (sum_whole, sum_cut) = (sum(whole), sum(cut));

    // Of the sums over all batches but one. `None`: over all.
    let without = |left_out: Option<usize>| {
        let mut sums = Sums::default();
        let count = if left_out.is_some() { n - 1.0 } else { n };
        for (k, place) in places().enumerate() {
            let of = |sum: f64, from: &[Vec<f64>]| {
                (sum - left_out.map_or(0.0, |batch| from[batch][place])) / count
            };
            sums.add(of(sum_whole[k], whole), of(sum_cut[k], cut));
        }
        sums
    };
    let here = without(None);
    // The squared distance of each batch from the mean.
    let distances: Vec<f64> = cut
        .iter()
        .map(|g| places().enumerate().map(|(k, place)| (g[place] - sum_cut[k] / n).powi(2)).sum())
        .collect();
    let scatter: f64 = distances.iter().sum();
    let variance = scatter / (n - 1.0);
    // Without a batch at distance d, the scatter is smaller by d² n / (n − 1).
    let variance_without = |batch: usize| (scatter - distances[batch] * n / (n - 1.0)) / (n - 2.0);

    let left_out: Vec<Sums> = match whole.len() {
        1 => Vec::new(),
        count => (0..count).map(|batch| without(Some(batch))).collect(),
    };
    let error = |of: &dyn Fn(usize, &Sums) -> f64| {
        jackknife(left_out.iter().enumerate().map(|(batch, sums)| of(batch, sums)))
    };
    let ratios = whole.iter().zip(cut).map(|(whole, cut)| {
        let mut sums = Sums::default();
        places().for_each(|place| sums.add(whole[place], cut[place]));
        sums.bias()
    });
    let (batch_bias, batch_bias_error) = mean(&ratios.collect::<Vec<_>>());
    // Rounding may be below zero. NaN stays NaN.
    let noise = |variance: f64| if variance < 0.0 { 0.0 } else { variance.sqrt() };
    Comparison {
        bias: here.bias(),
        bias_error: error(&|_, sums| sums.bias()),
        cosine: here.cosine(),
        cosine_error: error(&|_, sums| sums.cosine()),
        norm: here.cut.sqrt(),
        variance,
        variance_error: error(&|batch, _| variance_without(batch)),
        signal_to_noise: here.cut.sqrt() / noise(variance),
        signal_to_noise_error: error(&|batch, sums| {
            sums.cut.sqrt() / noise(variance_without(batch))
        }),
        batch_bias,
        batch_bias_error,
    }
}

/// Sums over the parameters, of two vectors.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// `‖g‖²`
    whole: f64,
    /// `‖g_k‖²`
    cut: f64,
    /// `⟨g, g_k⟩`
    both: f64,
    /// `‖g_k − g‖²`
    difference: f64,
}

impl Sums {
    fn add(&mut self, whole: f64, cut: f64) {
        self.whole += whole * whole;
        self.cut += cut * cut;
        self.both += whole * cut;
        self.difference += (cut - whole) * (cut - whole);
    }

    fn bias(&self) -> f64 {
        (self.difference / self.whole).sqrt()
    }

    fn cosine(&self) -> f64 {
        (self.both / (self.whole.sqrt() * self.cut.sqrt())).clamp(-1.0, 1.0)
    }
}

/// The mean, and its standard error.
fn mean(of: &[f64]) -> (f64, f64) {
    let n = of.len() as f64;
    let mean = of.iter().sum::<f64>() / n;
    let scatter: f64 = of.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (scatter / (n - 1.0) / n).sqrt())
}

/// The standard error of a number from its values without each sample: `√((n − 1)/n Σ (x_i − x̄)²)`. NaN without two.
///
/// B. Efron, C. Stein, "The jackknife estimate of variance", The Annals of Statistics 9 (1981), 586–596.
fn jackknife(without: impl Iterator<Item = f64>) -> f64 {
    let without: Vec<f64> = without.collect();
    if without.len() < 2 {
        return f64::NAN;
    }
    let n = without.len() as f64;
    let mean = without.iter().sum::<f64>() / n;
    let scatter: f64 = without.iter().map(|x| (x - mean).powi(2)).sum();
    ((n - 1.0) / n * scatter).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rand_distr::{Distribution, StandardNormal};

    /// Gradients `(3, 4, 0) + noise`, of which truncation loses the second entry, and which it makes noisier.
    fn samples(count: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        (0..count)
            .map(|_| {
                let whole = vec![3.0 + 0.5 * normal(), 4.0 + 0.5 * normal(), 0.5 * normal()];
                let cut = vec![whole[0], 0.0, whole[2] + normal()];
                (whole, cut)
            })
            .unzip()
    }

    /// What is known: bias 4/5, cosine 3/5, variance 0.25 + 1.25, signal to noise 3/√1.5.
    #[test]
    fn known_samples_have_their_bias_and_variance() {
        let (whole, cut) = samples(400, 1);
        let found = compare(&whole, &cut, &[0..3]);
        let near = |value: f64, error: f64, expected: f64| {
            assert!((value - expected).abs() < 4.0 * error, "{value} ± {error}, {expected}");
            assert!(error > 0.0 && error < 0.2, "{error}");
        };
        near(found.bias, found.bias_error, 0.8);
        near(found.cosine, found.cosine_error, 0.6);
        near(found.variance, found.variance_error, 1.5);
        near(found.signal_to_noise, found.signal_to_noise_error, 3.0 / 1.5f64.sqrt());
        let first = compare(&whole, &cut, &[0..1]);
        assert_eq!((first.bias, first.cosine, first.batch_bias), (0.0, 1.0, 0.0));
        let second = compare(&whole, &cut, &[1..2]);
        assert_eq!((second.bias, second.norm, second.variance), (1.0, 0.0, 0.0));
        assert!(second.cosine.is_nan(), "nothing has no direction");
        // The same parameters, in two parts.
        assert_eq!(compare(&whole, &cut, &[0..1, 1..3]), found);
    }

    /// The error bars are as wide as the numbers scatter from one experiment to the next: of 300 standard deviations, each
    /// is known to 4 %.
    #[test]
    fn error_bars_are_the_scatter_of_repeated_experiments() {
        let all: Vec<Comparison> = (0..300)
            .map(|seed| {
                let (whole, cut) = samples(40, 100 + seed);
                compare(&whole, &cut, &[0..3])
            })
            .collect();
        type Part = fn(&Comparison) -> (f64, f64);
        let parts: [Part; 4] = [
            |c| (c.bias, c.bias_error),
            |c| (c.variance, c.variance_error),
            |c| (c.signal_to_noise, c.signal_to_noise_error),
            |c| (c.batch_bias, c.batch_bias_error),
        ];
        for (k, part) in parts.iter().enumerate() {
            let values: Vec<f64> = all.iter().map(|c| part(c).0).collect();
            let scatter = mean(&values).1 * (values.len() as f64).sqrt();
            let claimed = all.iter().map(|c| part(c).1).sum::<f64>() / all.len() as f64;
            assert!((claimed / scatter - 1.0).abs() < 0.2, "{k}: {claimed} {scatter}");
        }
    }

    #[test]
    fn one_batch_has_no_error_bars() {
        let found = compare(&[vec![3.0, 4.0]], &[vec![3.0, 0.0]], &[0..2]);
        assert_eq!((found.bias, found.batch_bias, found.norm), (0.8, 0.8, 3.0));
        assert!(found.variance.is_nan() && found.bias_error.is_nan());
        assert!(found.signal_to_noise.is_nan() && found.batch_bias_error.is_nan());
        let two = compare(&[vec![1.0], vec![3.0]], &[vec![1.0], vec![3.0]], &[0..1]);
        assert_eq!((two.bias, two.variance), (0.0, 2.0));
    }
}
