//! The dynamics of systems whose exponents are known.

use bptt::{CellKind, SequenceCell};
use bptt_probe::dynamics::mean_field::{gaussian_products, tanh_network};
use bptt_probe::dynamics::{
    LayerNumbers, Matrix, Network, Settings, Spectrum, System, eigenvalues, log_abs_det, lyapunov,
    orthonormalise,
};
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

pub(crate) fn normal(rng: &mut StdRng) -> f64 {
    StandardNormal.sample(rng)
}

pub(crate) fn random_matrix(rows: usize, columns: usize, scale: f64, seed: u64) -> Matrix {
    let mut rng = StdRng::seed_from_u64(seed);
    Matrix::from_fn(rows, columns, |_, _| scale * normal(&mut rng))
}

fn measure(system: &mut dyn System, state: &[f64], exponents: usize, time: usize) -> Spectrum {
    let settings = Settings::new(exponents, time, 7);
    lyapunov(system, state, &settings, &Device::flex(), &mut |_| ()).expect("sound settings")
}

/// Each exponent is where it should be, within so many standard errors, and the errors are small enough to tell.
fn assert_near(spectrum: &Spectrum, expected: &[f64], errors: f64, largest_error: f64) {
    for (k, expected) in expected.iter().enumerate() {
        let (found, error) = (spectrum.exponents[k], spectrum.errors[k]);
        let off = (found - expected).abs();
        assert!(off <= errors * error + 1e-12, "λ_{}: {found} ± {error}, not {expected}", k + 1);
        assert!(error <= largest_error, "λ_{}: an error bar of {error}", k + 1);
    }
}

/// The sum of all exponents is the mean of ln |det J|, which elimination gives.
fn assert_sum(spectrum: &Spectrum, allowed: f64) {
    let sum: f64 = spectrum.exponents.iter().sum();
    let det = spectrum.mean_log_det.expect("of the whole spectrum");
    assert!((sum - det).abs() <= allowed * det.abs(), "{sum} and {det}");
}

/// `x' = 1 - a x² + y, y' = b x` of Hénon.
struct Henon;

impl System for Henon {
    fn size(&self) -> usize {
        2
    }

    fn step(&mut self, _time: usize, bundle: &mut Matrix) {
        let (a, b) = (1.4, 0.3);
        let x = bundle.row(0)[0];
        for k in 0..bundle.rows() {
            let [u, v] = *bundle.row(k) else { unreachable!() };
            let new = match k {
                0 => [1.0 - a * u * u + v, b * u],
                _ => [-2.0 * a * x * u + v, b * u],
            };
            bundle.row_mut(k).copy_from_slice(&new);
        }
    }
}

#[test]
fn henon() {
    let spectrum = measure(&mut Henon, &[0.1, 0.1], 2, 100_000);
    // 0.4192 to four digits, and det J = -0.3 everywhere.
    assert_near(&spectrum, &[0.4192, 0.3_f64.ln() - 0.4192], 3.0, 0.002);
    assert!((spectrum.exponents.iter().sum::<f64>() - 0.3_f64.ln()).abs() < 1e-12);
    assert_sum(&spectrum, 1e-10);
    let dimension = spectrum.kaplan_yorke().expect("all exponents");
    assert!((dimension - 1.258).abs() < 0.003, "{dimension}");
    let entropy = spectrum.entropy_rate().expect("all exponents");
    assert_eq!(entropy, spectrum.exponents[0]);
}

/// One step of `dt` of Lorenz's flow by Runge and Kutta's method of order 4, with its variational equation.
struct Lorenz {
    dt: f64,
}

impl Lorenz {
    fn flow(bundle: &Matrix) -> Matrix {
        let (sigma, rho, beta) = (10.0, 28.0, 8.0 / 3.0);
        let mut out = bundle.clone();
        let [x, y, z] = *bundle.row(0) else { unreachable!() };
        for k in 0..bundle.rows() {
            let [u, v, w] = *bundle.row(k) else { unreachable!() };
            out.row_mut(k).copy_from_slice(&match k {
                0 => [sigma * (y - x), x * (rho - z) - y, x * y - beta * z],
                _ => [sigma * (v - u), (rho - z) * u - v - x * w, y * u + x * v - beta * w],
            });
        }
        out
    }

    fn moved(from: &Matrix, by: f64, along: &Matrix) -> Matrix {
        let values = from.values().iter().zip(along.values()).map(|(x, d)| x + by * d);
        Matrix::from_values(from.rows(), from.columns(), values.collect())
    }
}

impl System for Lorenz {
    fn size(&self) -> usize {
        3
    }

    fn step(&mut self, _time: usize, bundle: &mut Matrix) {
        let dt = self.dt;
        let k1 = Self::flow(bundle);
        let k2 = Self::flow(&Self::moved(bundle, dt / 2.0, &k1));
        let k3 = Self::flow(&Self::moved(bundle, dt / 2.0, &k2));
        let k4 = Self::flow(&Self::moved(bundle, dt, &k3));
        for (weight, k) in [(1.0, k1), (2.0, k2), (2.0, k3), (1.0, k4)] {
            *bundle = Self::moved(bundle, dt * weight / 6.0, &k);
        }
    }
}

#[test]
fn lorenz() {
    let dt = 0.01;
    let spectrum = measure(&mut Lorenz { dt }, &[1.0, 1.0, 20.0], 3, 600_000);
    let [first, second, third] = [0, 1, 2].map(|k| spectrum.exponents[k] / dt);
    // Three standard errors, of a run of 6000 units of time.
    assert!(spectrum.errors[0] / dt < 0.006, "{:?}", spectrum.errors);
    assert!((first - 0.9056).abs() < 0.015, "{first}");
    assert!(second.abs() < 0.001, "{second}");
    assert!((third + 14.572).abs() < 0.015, "{third}");
    // The divergence of the flow is -(σ + 1 + β) everywhere; the method of order 4 is off by its own error.
    assert!((first + second + third + 41.0 / 3.0).abs() < 1e-3);
}

/// A product of independent Gaussian matrices.
struct FreshMatrices {
    size: usize,
}

impl System for FreshMatrices {
    fn size(&self) -> usize {
        self.size
    }

    fn step(&mut self, time: usize, bundle: &mut Matrix) {
        let scale = 1.0 / (self.size as f64).sqrt();
        let matrix = random_matrix(self.size, self.size, scale, time as u64);
        for k in 1..bundle.rows() {
            let row = bundle.row(k).to_vec();
            let product = |i: usize| matrix.row(i).iter().zip(&row).map(|(a, x)| a * x).sum();
            let product: Vec<f64> = (0..self.size).map(product).collect();
            bundle.row_mut(k).copy_from_slice(&product);
        }
    }
}

#[test]
fn products_of_gaussian_matrices() {
    let size = 12;
    let spectrum = measure(&mut FreshMatrices { size }, &vec![0.0; size], size, 8000);
    let expected: Vec<_> = (1..=size).map(|i| gaussian_products(size, i)).collect();
    assert_near(&spectrum, &expected, 4.0, 0.02);
    assert_sum(&spectrum, 1e-12);
}

/// An autonomous network with these recurrent weights.
fn network(cell: &impl SequenceCell, weight_hh: Matrix) -> Network {
    Network::from_numbers(cell, &[LayerNumbers::autonomous(weight_hh)], None, &Device::flex())
}

#[test]
fn a_tanh_network_is_as_mean_field_says() {
    for gain in [2.0, 3.0] {
        let (device, size) = (Device::flex(), 300);
        let theory = tanh_network(gain, 0.0).exponent;
        let mean = (0..2_u64).map(|seed| {
            let mut network = Network::random(CellKind::Rnn, size, gain, seed, &device);
            let state = random_matrix(1, size, 1.0, seed);
            measure(&mut network, state.row(0), 1, 1000).exponents[0]
        });
        let mean = mean.sum::<f64>() / 2.0;
        // At this size the mean over networks is about 0.008 lower, and one network differs from it by 0.005.
        assert!((mean + 0.008 - theory).abs() < 0.015, "gain {gain}: {mean}, mean field {theory}");
    }
}

#[test]
fn noise_suppresses_chaos_as_mean_field_says() {
    let (size, gain) = (200, 1.5);
    let numbers = LayerNumbers {
        weight_ih: Matrix::identity(size),
        ..LayerNumbers::autonomous(random_matrix(size, size, gain / (size as f64).sqrt(), 3))
    };
    let input = random_matrix(1300, size, 1.0, 4);
    let cell = CellKind::Rnn.default_cell();
    let mut driven = Network::from_numbers(&cell, &[numbers], Some(&input), &Device::flex());
    let settings = Settings { transient: 100, alignment: 200, ..Settings::new(1, 1000, 5) };
    let state = vec![0.0; size];
    let spectrum =
        lyapunov(&mut driven, &state, &settings, &Device::flex(), &mut |_| ()).expect("sound");
    let theory = tanh_network(gain, 1.0).exponent;
    assert!(theory < -0.1);
    assert!((spectrum.exponents[0] - theory).abs() < 0.015, "{:?} {theory}", spectrum.exponents);
}

#[test]
fn below_a_gain_of_1_the_largest_exponent_is_that_of_the_weights() {
    let weights = random_matrix(40, 40, 0.6 / 40_f64.sqrt(), 1);
    let largest = eigenvalues(&weights).expect("they converge")[0];
    let mut network = network(&CellKind::Rnn.default_cell(), weights);
    let spectrum = measure(&mut network, random_matrix(1, 40, 0.3, 2).row(0), 1, 20_000);
    let expected = largest.0.hypot(largest.1).ln();
    assert!((spectrum.exponents[0] - expected).abs() < 1e-3, "{:?}", spectrum.exponents);
}

#[test]
fn gated_cells_at_rest_follow_from_the_weights_of_their_candidates() {
    // At h = 0 and c = 0 every gate is 1/2. The state of a GRU then moves by 1/2 + U_n / 4, and so does the memory of an
    // LSTM, with its U_g. Both are the third gate.
    let size = 20;
    for kind in [CellKind::Gru, CellKind::Lstm] {
        let cell = kind.default_cell();
        let weights = random_matrix(cell.gates() * size, size, 1.2 / (size as f64).sqrt(), 8);
        let candidate = weights.rows_of(2 * size..3 * size);
        let at_rest = Matrix::from_fn(size, size, |row, column| {
            let kept = if row == column { 0.5 } else { 0.0 };
            kept + 0.25 * candidate.row(row)[column]
        });
        let (re, im) = eigenvalues(&at_rest).expect("they converge")[0];
        let mut network = network(&cell, weights);
        let state = random_matrix(1, network.size(), 0.3, 2);
        let found = measure(&mut network, state.row(0), 1, 10_000).exponents[0];
        let expected = re.hypot(im).ln();
        assert!((found - expected).abs() < 1e-3, "{kind:?}: {found}, at rest {expected}");
        assert!(expected < -0.05, "a network that comes to rest");
    }
}

#[test]
fn the_spectrum_of_an_lstm_at_rest_is_known_as_a_whole() {
    // Its Jacobian has the rank N, because h' is c' / 2: as many exponents are finite.
    let size = 40;
    let cell = CellKind::Lstm.default_cell();
    let weights = random_matrix(4 * size, size, 1.0 / (size as f64).sqrt(), 2);
    let candidate = weights.rows_of(2 * size..3 * size);
    let memory = Matrix::from_fn(size, size, |row, column| {
        let kept = if row == column { 0.5 } else { 0.0 };
        kept + 0.25 * candidate.row(row)[column]
    });
    let expected = eigenvalues(&memory).expect("they converge");
    let mut network = network(&cell, weights);
    let state = random_matrix(1, 2 * size, 0.3, 3);
    let spectrum = measure(&mut network, state.row(0), 2 * size, 2000);
    for (k, (found, (re, im))) in spectrum.exponents.iter().zip(&expected).enumerate() {
        let expected = re.hypot(*im).ln();
        assert!((found - expected).abs() < 0.01, "λ_{}: {found}, at rest {expected}", k + 1);
    }
    assert!(spectrum.exponents[size..].iter().all(|x| *x == f64::NEG_INFINITY));
    assert_eq!(spectrum.mean_log_det, Some(f64::NEG_INFINITY));
}

#[test]
fn the_sum_is_that_of_the_weights_and_the_slopes() {
    let size = 24;
    let weights = random_matrix(size, size, 2.0 / (size as f64).sqrt(), 1);
    let log_det = log_abs_det(weights.clone());
    /// A network that adds up `ln φ'` of its states.
    struct Watched {
        network: Network,
        from: usize,
        sum: f64,
    }
    impl System for Watched {
        fn size(&self) -> usize {
            self.network.size()
        }
        fn step(&mut self, time: usize, bundle: &mut Matrix) {
            self.network.step(time, bundle);
            if time >= self.from {
                self.sum += bundle.row(0).iter().map(|h| (1.0 - h * h).ln()).sum::<f64>();
            }
        }
        fn log_det(&mut self, _: usize, _: &[f64]) -> f64 {
            0.0
        }
    }
    let network = network(&CellKind::Rnn.default_cell(), weights);
    let mut watched = Watched { network, from: 200, sum: 0.0 };
    let spectrum = measure(&mut watched, random_matrix(1, size, 1.0, 2).row(0), size, 1000);
    let sum: f64 = spectrum.exponents.iter().sum();
    let expected = log_det + watched.sum / 1000.0;
    assert!((sum - expected).abs() < 1e-9 * expected.abs(), "{sum} {expected}");
}

#[test]
fn the_sum_is_the_mean_determinant_for_every_cell() {
    // The stabiliser of an sLSTM says nothing that its other memories do not say: the determinant is zero.
    for kind in CellKind::ALL.into_iter().filter(|kind| kind.name() != "slstm") {
        let device = Device::flex();
        let mut network = Network::random(kind, 10, 3.0, 2, &device);
        let size = network.size();
        let spectrum = measure(&mut network, random_matrix(1, size, 1.0, 3).row(0), size, 400);
        if kind.name() == "unicornn" {
            // Its step is symplectic, and so keeps volumes.
            let sum: f64 = spectrum.exponents.iter().sum();
            let det = spectrum.mean_log_det.expect("of the whole spectrum");
            assert!(sum.abs() < 1e-12 && det.abs() < 1e-12, "{sum} and {det}, not 0");
        } else {
            assert_sum(&spectrum, 1e-9);
        }
        assert!(spectrum.exponents.is_sorted_by(|a, b| a >= b), "{:?}", spectrum.exponents);
    }
}

#[test]
fn an_orthogonal_network_at_rest_neither_grows_nor_shrinks() {
    let mut weights = random_matrix(20, 20, 1.0, 1);
    orthonormalise(&mut weights, &Device::flex());
    let mut network = network(&CellKind::Rnn.default_cell(), weights);
    let spectrum = measure(&mut network, &[0.0; 20], 20, 1000);
    assert!(spectrum.exponents.iter().all(|x| x.abs() < 1e-12), "{:?}", spectrum.exponents);
}

#[test]
fn a_linear_network_decays_as_its_eigenvalues_say() {
    // A rectifier with states that stay positive is linear: U = S D S⁻¹ with positive states on the first eigenvector.
    let (fast, slow) = (0.5, 0.9);
    let weights = Matrix::from_values(2, 2, vec![slow, 0.2, 0.0, fast]);
    let cell = bptt::RnnCell(bptt::Nonlinearity::Relu);
    let spectrum = measure(&mut network(&cell, weights), &[1.0, 0.5], 2, 600);
    let expected = [f64::ln(slow), f64::ln(fast)];
    for (found, expected) in spectrum.exponents.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{:?}", spectrum.exponents);
    }
}

#[test]
fn a_direction_that_vanishes_has_no_finite_exponent() {
    // The second unit does not depend on anything, and nothing depends on it.
    let weights = Matrix::from_values(2, 2, vec![0.9, 0.0, 0.0, 0.0]);
    let cell = CellKind::Rnn.default_cell();
    let spectrum = measure(&mut network(&cell, weights), &[0.0, 0.0], 2, 100);
    assert!((spectrum.exponents[0] - 0.9_f64.ln()).abs() < 1e-9);
    assert_eq!(spectrum.exponents[1], f64::NEG_INFINITY);
    assert_eq!(spectrum.mean_log_det, Some(f64::NEG_INFINITY));
    assert_eq!(spectrum.kaplan_yorke(), Some(0.0));
    assert!(spectrum.entropy_rate().is_some_and(|rate| rate.to_bits() == 0), "0, and not -0");
}

#[test]
fn settings_that_do_not_fit_are_one_line() {
    let refused = |settings: Settings| {
        lyapunov(&mut Henon, &[0.1, 0.1], &settings, &Device::flex(), &mut |_| ()).unwrap_err()
    };
    assert!(refused(Settings::new(0, 100, 1)).contains("at least 1"));
    assert!(refused(Settings::new(3, 100, 1)).contains("no more than 2"));
    assert!(refused(Settings::new(1, 19, 1)).contains("at least 20"));
    // Outside of its basin, Hénon's map goes to infinity.
    let settings = Settings::new(1, 100, 1);
    let lost = lyapunov(&mut Henon, &[9.0, 9.0], &settings, &Device::flex(), &mut |_| ());
    assert!(lost.unwrap_err().contains("no longer finite"));
}
