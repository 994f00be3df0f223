//! Sigmoid, tanh, the exponential and the logarithm of the sigmoid against exact arithmetic.

use super::isas;
use crate::host::simd::functions;
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use pulp::{Simd, WithSimd};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Sigmoid,
    Tanh,
    Exp,
    LogSigmoid,
}

/// Applies a function.
struct Map<'a, T>(Function, &'a [T], &'a mut [T]);

impl<T: Real> WithSimd for Map<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = T::lanes::<S>();
        for (x, y) in self.1.chunks(lanes).zip(self.2.chunks_mut(lanes)) {
            let x = T::load_partial(simd, x);
            let result = match self.0 {
                Function::Sigmoid => functions::sigmoid::<S, T>(simd, x),
                Function::Tanh => functions::tanh::<S, T>(simd, x),
                Function::Exp => functions::exp::<S, T>(simd, x),
                Function::LogSigmoid => functions::log_sigmoid::<S, T>(simd, x),
            };
            T::store_partial(simd, y, result);
        }
    }
}

fn map<T: Real>(isa: Isa, function: Function, x: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    isa.dispatch(Map(function, x, &mut y));
    y
}

/// Every 613th `f32`: seven million numbers of every sign, size and kind.
#[test]
fn f32_gates_are_good_to_two_units_in_the_last_place() {
    let all: Vec<f32> = (0..=u32::MAX).step_by(613).map(f32::from_bits).collect();
    for isa in isas() {
        use Function::{Exp, LogSigmoid, Sigmoid, Tanh};
        for function in [Sigmoid, Tanh, Exp, LogSigmoid] {
            for (&x, y) in all.iter().zip(map(isa, function, &all)) {
                let wide = f64::from(x);
                let exact = match function {
                    Sigmoid if wide < 0.0 => wide.exp() / (1.0 + wide.exp()),
                    Sigmoid => 1.0 / (1.0 + (-wide).exp()),
                    Tanh => wide.tanh(),
                    Exp => wide.exp(),
                    LogSigmoid => wide.min(0.0) - (-wide.abs()).exp().ln_1p(),
                };
                if x.is_nan() {
                    assert!(y.is_nan(), "NaN in, {y} out");
                    continue;
                }
                if exact.abs() > f64::from(f32::MAX) {
                    assert!(y.is_infinite(), "{function:?} at {x:e}: {y:e}");
                    continue;
                }
                if function == Exp && x > 87.0 {
                    // Its reciprocal is subnormal.
                    assert!(
                        (f64::from(y) / exact - 1.0).abs() < 1e-6,
                        "{isa:?} e^x at {x:e}: {y:e}"
                    );
                    continue;
                }
                // A unit in the last place of an `f32` of the size of the exact value.
                let exponent = exact.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
                let error = (f64::from(y) - exact).abs() / (exponent - 23.0).exp2();
                // Of the exponential's two units, and the division and the series behind it.
                let most = if function == LogSigmoid { 3.0 } else { 2.0 };
                assert!(error <= most, "{isa:?} {function:?} at {x:e}: {y:e}, {error} units");
            }
        }
    }
}

/// `x`, `σ(x)` and `tanh(x)`, the latter two as sums of two `f64`, computed with 200 bits.
#[rustfmt::skip]
const EXACT: [[f64; 5]; 31] = [
    [-745.2, 0.0, 0.0, -1.0, 0.0],
    [-708.5, 2.006132305331306e-308, -0.0, -1.0, 0.0],
    [-300.0, 5.148200222412013e-131, 2.962376373372979e-147, -1.0, 0.0],
    [-88.8, 2.720507997802789e-39, 2.386945166634304e-56, -1.0, 0.0],
    [-40.0, 4.248354255291589e-18, 1.063261941480036e-34, -1.0, 3.6097027756908306e-35],
    [-20.5, 1.2501528648238605e-09, -4.2505891149696525e-26, -1.0, 3.1257643786699776e-18],
    [-9.3, 9.141587385216144e-05, -6.452404776122155e-21, -0.9999999832832199, -8.289204722106864e-18],
    [-4.143857205844201, 0.015613891533039333, 3.4044119762022693e-19, -0.9994969488928328, -5.499840270464408e-17],
    [-3.452382352139589, 0.030697891892326034, -8.049389333501885e-19, -0.9979960198802772, 2.7033892094987688e-17],
    [-2.1, 0.10909682119561293, 4.429353775552454e-18, -0.9704519366134539, -3.139884906055107e-17],
    [-1.0, 0.2689414213699951, 1.679727399649845e-17, -0.7615941559557649, -3.7090214482164924e-17],
    [-0.6473351, 0.3435903174723576, -1.3025975085698283e-17, -0.5698732399033551, 4.9723740196644074e-17],
    [-0.624999, 0.34864536242568506, 1.9277003234961336e-17, -0.5545990299298503, 4.033983332471079e-17],
    [-0.3, 0.425557483188341, -8.05466865782085e-18, -0.2913126124515909, 6.4602656586469586e-18],
    [-0.001, 0.4997500000208333, 2.416532519975948e-17, -0.0009999996666668, -1.7800613799166557e-20],
    [-1e-10, 0.499999999975, 2.0685092740664752e-18, -1e-10, 3.3333333333333338e-31],
    [-1e-310, 0.5, 0.0, -1e-310, 0.0],
    [1e-300, 0.5, 0.0, 1e-300, 0.0],
    [1e-05, 0.5000025, -3.721113888476053e-17, 9.999999999666668e-06, -4.5758701526937e-22],
    [0.1, 0.52497918747894, -2.5084310194303448e-17, 0.09966799462495582, 3.542433877641546e-18],
    [0.5, 0.6224593312018546, -2.855738705812305e-17, 0.46211715726000974, 2.1916603238260928e-17],
    [0.62500001, 0.6513548669369713, -9.650646065097921e-18, 0.5545997292735738, -4.591211743314055e-17],
    [0.92822530316373, 0.7167150993149565, -3.273879155869843e-17, 0.7297654013063463, 2.1069535159666193e-17],
    [1.7, 0.8455347349164652, 4.2798323079227154e-17, 0.935409070603099, 6.160665782786146e-18],
    [3.3, 0.9644288107273639, -3.992634414087213e-17, 0.9972829600991421, 2.0750489070819206e-18],
    [7.7, 0.9995473777767595, -3.972661436200505e-17, 0.999999589895169, -4.5910947593580676e-17],
    [12.5, 0.9999962733607158, -2.372542274476846e-17, 0.9999999999722241, 4.967437262655545e-18],
    [19.0, 0.9999999943972036, 4.286535379372559e-17, 0.9999999999999999, 4.823964662155506e-17],
    [25.0, 0.9999999999861121, -5.3027432599930054e-17, 1.0, -3.8574996959278356e-22],
    [36.7, 0.9999999999999999, -4.161792468245296e-18, 1.0, -2.653475145003711e-32],
    [100.0, 1.0, -3.720075976020836e-44, 1.0, 0.0],
];

#[test]
fn f64_gates_are_good_to_two_units_in_the_last_place() {
    let x = EXACT.map(|row| row[0]);
    for isa in isas() {
        for (function, column) in [(Function::Sigmoid, 1), (Function::Tanh, 3)] {
            for (row, y) in EXACT.iter().zip(map(isa, function, &x)) {
                let (high, low) = (row[column], row[column + 1]);
                let unit = high.abs().next_up() - high.abs();
                let error = ((y - high) / unit - low / unit).abs();
                assert!(error <= 2.0, "{isa:?} {function:?} at {}: {error} units", row[0]);
            }
        }
    }
}

/// `x`, `e^x` and `log σ(x)`, the latter two as sums of two `f64`, computed with 50 digits.
#[rustfmt::skip]
const EXPONENTIALS: [[f64; 5]; 23] = [
    [-745.0, 5e-324, -0.0, -745.0, 0.0],
    [-300.0, 5.148200222412013e-131, 2.962376373372979e-147, -300.0, 0.0],
    [-88.8, 2.720507997802789e-39, 2.386945166634304e-56, -88.8, -2.720507997802789e-39],
    [-40.0, 4.248354255291589e-18, 1.2437470802645773e-34, -40.0, -4.248354255291589e-18],
    [-20.5, 1.2501528663867426e-09, 6.448235878237776e-26, -20.500000001250154, 8.926867703356068e-16],
    [-9.3, 9.142423147817327e-05, 3.358917093778538e-21, -9.300091420052539, 1.0225833093007953e-16],
    [-3.452382352139589, 0.031670097109616505, 3.2995414876028485e-18, -3.4835612947491503, 1.8893328251033304e-16],
    [-1.0, 0.36787944117144233, -1.2428753672788363e-17, -1.3132616875182228, -2.515869523777819e-17],
    [-0.3, 0.7408182206817179, -1.805530505953e-18, -0.8543552444685271, -4.828698568625145e-17],
    [-0.001, 0.999000499833375, -3.026024053145243e-17, -0.6936473055599401, 4.0511375002861627e-17],
    [-1e-10, 0.9999999999, 8.279037096265651e-18, -0.6931471806099453, -1.9054699590330087e-17],
    [1e-05, 1.00001000005, 9.70188425858504e-17, -0.6931421805724453, -5.4911772522957155e-17],
    [0.1, 1.1051709180756477, -8.149523913327619e-17, -0.6443966600735709, -1.0571540971906025e-17],
    [0.5, 1.6487212707001282, -4.731568479435833e-17, -0.4740769841801067, 5.522109052790765e-18],
    [0.92822530316373, 2.5300151811190283, -7.204411177540723e-18, -0.3330768683725192, 2.5534858316912808e-17],
    [1.7, 5.4739473917272, -3.893534160478951e-16, -0.1677860293862659, -1.2518835779606483e-17],
    [3.3, 27.112638920657883, -2.243840361146525e-16, -0.036219258870659285, 2.9646235854173335e-18],
    [7.7, 2208.347991887209, -7.484022760546847e-14, -0.00045272468759861747, 1.1994801972719787e-20],
    [12.5, 268337.2865208745, -2.0035114163950887e-11, -3.7266462281239904e-06, 7.447840642740716e-23],
    [25.0, 72004899337.38588, -6.992440211033874e-06, -1.3887943864867583e-11, 1.6689618991371171e-28],
    [36.7, 8681754200535380.0, 0.326667438982321, -1.1518409493076095e-16, -1.0547762643764222e-32],
    [100.0, 2.6881171418161356e+43, -1.6101271449201627e+27, -3.720075976020836e-44, 1.200099448811832e-60],
    [700.0, 1.0142320547350045e+304, 1.6666571920734673e+287, -9.85967654375977e-305, -8.5e-322],
];

#[test]
fn f64_exponentials_are_good_to_two_and_a_half_units_in_the_last_place() {
    let x = EXPONENTIALS.map(|row| row[0]);
    for isa in isas() {
        for (function, column) in [(Function::Exp, 1), (Function::LogSigmoid, 3)] {
            for (row, y) in EXPONENTIALS.iter().zip(map(isa, function, &x)) {
                let (high, low) = (row[column], row[column + 1]);
                let unit = high.abs().next_up() - high.abs();
                let error = ((y - high) / unit - low / unit).abs();
                assert!(error <= 2.5, "{isa:?} {function:?} at {}: {error} units", row[0]);
            }
        }
    }
}

#[test]
fn gates_have_limits_and_pass_nan_on() {
    let x = [f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e308, -1e308, f64::NAN];
    for isa in isas() {
        let y = map(isa, Function::Sigmoid, &x);
        assert_eq!(y[..6], [1.0, 0.0, 0.5, 0.5, 1.0, 0.0]);
        assert!(y[6].is_nan());
        let y = map(isa, Function::Exp, &x);
        assert_eq!(y[..6], [f64::INFINITY, 0.0, 1.0, 1.0, f64::INFINITY, 0.0]);
        assert!(y[6].is_nan());
        let y = map(isa, Function::LogSigmoid, &x);
        let half = -std::f64::consts::LN_2;
        assert_eq!(y[..2], [0.0, f64::NEG_INFINITY]);
        assert!(y[2..4].iter().all(|y| (y - half).abs() < 3e-16));
        assert_eq!(y[4..6], [0.0, -1e308]);
        assert!(y[6].is_nan());
        let y = map(isa, Function::Tanh, &x);
        assert_eq!(y[..6], [1.0, -1.0, 0.0, 0.0, 1.0, -1.0]);
        assert!(y[3].is_sign_negative() && y[6].is_nan());
    }
}
