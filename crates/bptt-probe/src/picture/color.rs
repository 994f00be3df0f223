//! A scale of colours, from dark to bright.

/// Ten colours of viridis, whose lightness rises evenly. So it is ordered for every kind of colour blindness, and on a
/// grey print.
const VIRIDIS: [[u8; 3]; 10] = [
    [68, 1, 84],
    [72, 40, 120],
    [62, 74, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [110, 206, 88],
    [181, 222, 43],
    [253, 231, 37],
];

/// The colour of a number from 0 to 1, as SVG writes it. What is no number is grey.
pub(super) fn color(share: f64) -> String {
    if share.is_nan() {
        return "#9a9a9a".to_string();
    }
    let last = VIRIDIS.len() - 1;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let low = (at as usize).min(last - 1);
    let part = at - low as f64;
    let mix = |channel: usize| {
        let [a, b] = [low, low + 1].map(|k| f64::from(VIRIDIS[k][channel]));
        (a + part * (b - a)).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::color;

    #[test]
    fn colors_go_from_dark_to_bright() {
        assert_eq!((color(0.0), color(1.0)), ("#440154".to_string(), "#fde725".to_string()));
        assert_eq!((color(-3.0), color(7.0)), (color(0.0), color(1.0)));
        assert_eq!(color(f64::NAN), "#9a9a9a");
        let lightness = |k: usize| {
            let text = color(k as f64 / 50.0);
            let channel = |at: usize| {
                f64::from(u8::from_str_radix(&text[at..at + 2], 16).expect("two digits"))
            };
            0.299 * channel(1) + 0.587 * channel(3) + 0.114 * channel(5)
        };
        assert!((1..=50).all(|k| lightness(k) > lightness(k - 1)));
    }
}
