//! Values that are far from all others, which may stand for no value.

use crate::median::median;

/// With fewer values, it is not known what is usual.
const FEWEST: usize = 20;
/// A value is pointed out if it is further from the median than so many times the usual distance, and as far from its
/// neighbours.
const FAR: f64 = 15.0;
/// Where more than one value in so many is far from the others, this is how the series is.
const RARE: usize = 20;

/// A note about values that are far from the others, with the line of the first one.
pub(crate) fn note(
    column: &str,
    values: &[Option<f64>],
    lines: &[usize],
    groups: &[usize],
) -> Option<String> {
    let known: Vec<usize> = (0..values.len()).filter(|&row| values[row].is_some()).collect();
    let value = |row: usize| values[row].unwrap_or(0.0);
    if known.len() < FEWEST {
        return None;
    }
    let all = || known.iter().map(|&row| value(row));
    let middle = median(all());
    let usual = 1.4826 * median(all().map(|value| (value - middle).abs()));
    let same = |a: usize, b: usize| groups.is_empty() || groups[a] == groups[b];
    let steps = known.windows(2).filter(|pair| same(pair[0], pair[1]));
    // NaN, if no value has a neighbour.
    let step = 1.4826 * median(steps.map(|pair| (value(pair[1]) - value(pair[0])).abs()));
    if !(usual > 0.0 && usual.is_finite()) {
        return None;
    }
    let far: Vec<usize> = (0..known.len())
        .filter(|&k| {
            let around = known[k.saturating_sub(3)..(k + 4).min(known.len())].iter();
            let near = median(around.map(|&row| value(row)));
            let value = value(known[k]);
            (value - middle).abs() > FAR * usual
                && (value - near).abs() > FAR * step.max(usual / 10.0)
        })
        .collect();
    let first = *far.first()?;
    if far.len() * RARE > known.len() {
        return None;
    }
    let (row, count) = (known[first], far.len());
    let what = match count {
        1 => "is far from all other values".to_string(),
        _ => format!("and {} more are far from all others", count - 1),
    };
    Some(format!(
        "`{column}`: {} in line {} {what}; if it stands for no value, give --na {}",
        value(row),
        lines[row],
        value(row)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_far_from_all_others_is_pointed_out() {
        let lines: Vec<usize> = (2..200).collect();
        let wave = |t: usize| Some(20.0 + (t as f64 * 0.3).sin() + 0.01 * t as f64);
        let mut values: Vec<_> = (0..198).map(wave).collect();
        assert_eq!(note("x", &values, &lines, &[]), None);
        values[50] = Some(-99.99);
        let said = note("x", &values, &lines, &[]).unwrap();
        assert!(
            said.contains("-99.99 in line 52 is far") && said.contains("--na -99.99"),
            "{said}"
        );
        values[51] = Some(-99.99);
        assert!(note("x", &values, &lines, &[]).unwrap().contains("and 1 more are far"));
        // A level that shifts, and a series of bursts.
        let shift: Vec<_> =
            (0..198).map(|t| wave(t).map(|x| if t > 150 { x + 90.0 } else { x })).collect();
        assert_eq!(note("x", &shift, &lines, &[]), None);
        let bursts: Vec<_> =
            (0..198).map(|t| Some(if t % 9 == 0 { 500.0 } else { t as f64 / 99.0 })).collect();
        assert_eq!(note("x", &bursts, &lines, &[]), None);
    }
}
