//! Errors in units in the last place.

use crate::setting::DType;

/// The distance between two neighbouring numbers of the type near `at`.
pub fn ulp(dtype: DType, at: f64) -> f64 {
    // The exponent is read from the bits, which is exact. A logarithm may round up.
    let exponent = ((at.abs().max(dtype.least()).to_bits() >> 52) & 0x7ff) as i32 - 1023;
    // Two factors are used, because the smallest unit of an f64 is subnormal.
    f64::from(exponent).exp2() * dtype.epsilon()
}

/// The errors of all entries of one engine, kernel, device and type, in units in the last place. The unit is that of
/// the true value, or that of the root mean square of its tensor if this is larger. An entry may be small because large
/// terms cancel, and it cannot be more exact than these terms.
#[derive(Clone, Debug)]
pub struct Ulps {
    /// The device, the type, the engine, the kernel.
    pub way: [String; 4],
    /// All errors, in the order in which they were added.
    pub errors: Vec<f64>,
    /// The largest error.
    pub worst: f64,
    /// Where the largest error is: case, tensor, entry.
    pub at: String,
}

impl Ulps {
    /// The entry of the list for this device, type, engine and kernel. It is added if there is none.
    pub(crate) fn of<'a>(all: &'a mut Vec<Self>, way: [&str; 4]) -> &'a mut Self {
        let index = all.iter().position(|ulps| ulps.way == way).unwrap_or_else(|| {
            let way = way.map(str::to_string);
            all.push(Self { way, errors: vec![], worst: -1.0, at: String::new() });
            all.len() - 1
        });
        &mut all[index]
    }

    pub(crate) fn add(&mut self, error: f64, at: impl FnOnce() -> String) {
        // NaN counts as an infinite error.
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if error > self.worst {
            (self.worst, self.at) = (error, at());
        }
        self.errors.push(error);
    }

    /// The quantile of the errors: this share of all errors is not larger. With a share of 1, it is the largest error.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.errors.clone();
        sorted.sort_by(f64::total_cmp);
        let index = (share * sorted.len() as f64).ceil() as usize;
        sorted[index.clamp(1, sorted.len()) - 1]
    }
}

/// The errors as a table that a person can read.
pub fn ulp_table(all: &[Ulps]) -> String {
    let mut text = format!(
        "{:<8}  {:<5}  {:<8}  {:<9}  {:>7}  {:>6}  {:>6}  {:>6}  {}\n",
        "device", "dtype", "engine", "kernel", "entries", "median", "99 %", "worst", "ulp, where"
    );
    for ulps in all {
        let [device, dtype, engine, kernel] = &ulps.way;
        text.push_str(&format!(
            "{device:<8}  {dtype:<5}  {engine:<8}  {kernel:<9}  {:>7}  {:>6.2}  {:>6.2}  {:>6.1}  {}\n",
            ulps.errors.len(),
            ulps.quantile(0.5),
            ulps.quantile(0.99),
            ulps.worst,
            ulps.at,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{bf16, f16};

    #[test]
    fn a_unit_is_the_distance_to_the_next_number() {
        for x in [1.0, 1.5, 2.0, 0.1, 1e-300, 12345.678, f64::MIN_POSITIVE] {
            let next = f64::from_bits(f64::to_bits(x) + 1);
            assert_eq!(ulp(DType::F64, x), next - x, "{x:e}");
        }
        for x in [1.0_f32, 0.1, 3e-38, 7e8] {
            let next = f32::from_bits(x.to_bits() + 1);
            assert_eq!(ulp(DType::F32, f64::from(x)), f64::from(next) - f64::from(x), "{x:e}");
        }
        for x in [1.0, 0.1, 3e-38, 7e8].map(bf16::from_f64) {
            let next = bf16::from_bits(x.to_bits() + 1);
            assert_eq!(ulp(DType::Bf16, x.to_f64()), next.to_f64() - x.to_f64(), "{x:e}");
        }
        // The last of them is subnormal.
        for x in [1.0, 0.1, 6e4, 7e-5, 1e-6].map(f16::from_f64) {
            let next = f16::from_bits(x.to_bits() + 1);
            assert_eq!(ulp(DType::F16, x.to_f64()), next.to_f64() - x.to_f64(), "{x:e}");
        }
    }

    #[test]
    fn quantiles_are_of_the_errors() {
        let mut all = vec![];
        for i in 0..100 {
            Ulps::of(&mut all, ["a", "b", "c", "d"]).add(f64::from(i), || i.to_string());
        }
        let ulps = &all[0];
        assert_eq!((ulps.quantile(0.5), ulps.quantile(0.99), ulps.worst), (49.0, 98.0, 99.0));
        assert_eq!(ulps.at, "99");
    }
}
