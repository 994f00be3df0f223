//! Texts and numbers as a picture writes them.

/// Text as HTML and SVG write it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number with three significant digits, as at the ticks of an axis: `0.25`, `−3`, `10⁻⁵`, `2.5·10⁻⁷`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_string();
    }
    if !value.is_finite() {
        return format!("{value}").replace("-inf", "−∞").replace("inf", "∞");
    }
    let text = if (1e-3..1e5).contains(&size) {
        let decimals = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
        plain(&format!("{value:.decimals$}")).to_string()
    } else {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let power: String = power.chars().map(raised).collect();
        match plain(digits) {
            "1" => format!("10{power}"),
            "-1" => format!("-10{power}"),
            digits => format!("{digits}·10{power}"),
        }
    };
    text.replace('-', "−")
}

/// Without zeros at the end.
fn plain(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// A sign of an exponent.
fn raised(sign: char) -> char {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    sign.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.25, "−0.25"),
            (123.4, "123"),
            (99_999.0, "99999"),
            (0.00123, "0.00123"),
            (1e-5, "10⁻⁵"),
            (-1e12, "−10¹²"),
            (-2.5e-7, "−2.5·10⁻⁷"),
            (1.5e6, "1.5·10⁶"),
            (f64::NEG_INFINITY, "−∞"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
