//! Numbers in a form for people.

/// A number with four digits after the decimal point. Small numbers have four significant digits, so that a loss of a
/// few millionths is not shown as `0.0000`.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    // Below each bound, one more digit is needed. Below the last bound, an exponent is easier to read than many zeros.
    match size {
        _ if size == 0.0 || !size.is_finite() => format!("{value:.4}"),
        _ if !(1e-4..1e15).contains(&size) => format!("{value:.3e}"),
        _ if size >= 0.1 => format!("{value:.4}"),
        _ if size >= 0.01 => format!("{value:.5}"),
        _ if size >= 0.001 => format!("{value:.6}"),
        _ => format!("{value:.7}"),
    }
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn small_numbers_have_digits_that_count() {
        for (value, expected) in [
            (0.0, "0.0000"),
            (30.8, "30.8000"),
            (-0.81234, "-0.8123"),
            (0.012345, "0.01235"),
            (0.0012345, "0.001234"),
            (0.00012345, "0.0001234"),
            (1.8e-5, "1.800e-5"),
            (1e300, "1.000e300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(figure(value), expected);
        }
    }
}
