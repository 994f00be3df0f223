//! The network's forecasts together with those of a linear autoregression.
//!
//! A network follows what is not linear, and a linear function of the window needs few values to be learned. Errors of the
//! two differ, so a mean of both is often better than either (Bates and Granger 1969). The validation part says how much of
//! each: that with the least squared error, nearer to a half where it says little.

use crate::tasks::forecast::head::Said;
use crate::tasks::forecast::linear::LinearForecast;
use serde::{Deserialize, Serialize};

/// With fewer windows in the validation part, all steps ahead are combined and corrected in the same way.
pub(crate) const FEWEST: usize = 20;

/// Two forecasts of a value, beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TwoForecasts {
    pub(crate) truth: f64,
    pub(crate) network: f64,
    pub(crate) linear: f64,
    /// What errors are divided by, so that those of several series and columns can be added.
    pub(crate) unit: f64,
}

/// The network's forecasts together with those of a linear autoregression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Combination {
    /// How much of a forecast is the network's, from 0 to 1: by step ahead and column, `[K·M]`, or one for all.
    pub network: Vec<f64>,
    /// The rest is this one's.
    pub linear: LinearForecast,
}

impl Combination {
    /// Where the squared error of the validation part is least, drawn towards a half where few windows say so. `windows` has
    /// `[K·M]` values each, of `targets` columns.
    pub(crate) fn shares(windows: &[Vec<TwoForecasts>], targets: usize) -> Vec<f64> {
        let values = windows.first().map_or(0, Vec::len);
        match windows.len() < FEWEST {
            true => vec![share(&mut windows.iter().flatten(), values as f64)],
            false => {
                // Windows overlap: their errors k steps ahead are alike for k windows.
                let alike = |at: usize| (at / targets + 1) as f64;
                let of = |at: usize| share(&mut windows.iter().map(|all| &all[at]), alike(at));
                (0..values).map(of).collect()
            }
        }
    }

    /// What is said together of the value at this place of `[K·M]`: the network's distribution, moved.
    pub(crate) fn apply(&self, at: usize, said: &Said, linear: f64) -> Said {
        let share = self.network.get(at).or(self.network.first()).copied().unwrap_or(1.0);
        let moved = (1.0 - share) * (linear - said.center);
        Said {
            center: said.center + moved,
            quantiles: said.quantiles.map(|quantile| quantile + moved),
            ..*said
        }
    }

    /// Whether it fits so many values after windows of this length, and its numbers can be used.
    pub(crate) fn is_sound(&self, values: usize, length: usize) -> bool {
        [1, values].contains(&self.network.len())
            && self.network.iter().all(|share| (0.0..=1.0).contains(share))
            && self.linear.is_sound(values, length)
    }

    /// How much of each, for a person.
    pub(crate) fn line(&self) -> String {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let mean = self.network.iter().sum::<f64>() / self.network.len() as f64;
        let ends = match &self.network[..] {
            [first, .., last] => {
                format!(" (of the first value {}, of the last {})", percent(*first), percent(*last))
            }
            _ => String::new(),
        };
        format!(
            "the model is the network to {}{ends} and the linear autoregression else, as the validation part \
             says",
            percent(mean)
        )
    }
}

/// The share of the network with the least squared error, in one with a prior: a half, with a deviation of a quarter, so that
/// none and all are two deviations away (Diebold and Pauly 1990 draw weights towards equal ones).
///
/// # Arguments
///
/// - `alike`: how many of the values count as one, since their errors are alike
fn share(values: &mut dyn Iterator<Item = &TwoForecasts>, alike: f64) -> f64 {
    const PRIOR: (f64, f64) = (0.5, 0.25 * 0.25);
    let (mut product, mut square, mut error, mut count) = (0.0, 0.0, 0.0, 0.0);
    for TwoForecasts { truth, network, linear, unit } in values {
        let (differs, wrong) = ((network - linear) / unit, (truth - linear) / unit);
        product += differs * wrong;
        square += differs * differs;
        error += wrong * wrong;
        count += 1.0;
    }
    if square <= 0.0 {
        return PRIOR.0;
    }
    let best = product / square;
    // The squared standard error of the slope of a line through the origin.
    let unsure = alike * ((error - best * product) / count).max(0.0) / square;
    let (middle, spread) = PRIOR;
    ((best * spread + middle * unsure) / (spread + unsure)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The errors of the two forecasts are given by window.
    fn shares(errors: &[(f64, f64)]) -> Vec<f64> {
        let window = |&(network, linear): &(f64, f64)| {
            vec![TwoForecasts {
                truth: 5.0,
                network: 5.0 + network,
                linear: 5.0 + linear,
                unit: 2.0,
            }]
        };
        Combination::shares(&errors.iter().map(window).collect::<Vec<_>>(), 1)
    }

    #[test]
    fn the_share_has_the_least_error() {
        let mut errors = vec![(1.0, -1.0), (-1.0, 1.0)];
        assert_eq!(shares(&errors), [0.5]);
        errors = vec![(1.0, -3.0), (-1.0, 3.0)];
        assert!((shares(&errors)[0] - 0.75).abs() < 1e-12);
        // Not below none, and not above all.
        assert_eq!(shares(&[(3.0, 1.0), (-3.0, -1.0)]), [0.0]);
        assert_eq!(shares(&[(1.0, 3.0), (-1.0, -3.0)]), [1.0]);
        assert_eq!(shares(&[(1.0, 1.0)]), [0.5]);
        // With enough windows, each step ahead has its own.
        let two = |network: f64| TwoForecasts { truth: 0.0, network, linear: 1.0, unit: 1.0 };
        let windows = vec![vec![two(0.0), two(1.5)]; FEWEST];
        assert_eq!(Combination::shares(&windows, 1), [1.0, 0.0]);
        assert_eq!(Combination::shares(&windows[1..], 1).len(), 1);
    }

    #[test]
    fn few_windows_say_less_than_many() {
        // Both are wrong in their own way; the network is better.
        let of = |count: usize| {
            let wave = |t: usize, times: f64| (t as f64 * times).sin();
            let errors: Vec<_> = (0..count).map(|t| (wave(t, 1.3), 2.0 * wave(t, 2.9))).collect();
            shares(&errors)[0]
        };
        let (few, many) = (of(20), of(20_000));
        assert!((many - 0.8).abs() < 0.01, "{many}");
        assert!(few < many - 0.02 && few > 0.5, "{few} {many}");
    }

    #[test]
    fn distributions_are_moved() {
        let linear = LinearForecast { lags: 1, weights: vec![vec![0.0, 0.0]; 2] };
        let both = Combination { network: vec![0.25, 1.0], linear };
        let said = Said { center: 2.0, scale: 3.0, quantiles: [1.0; 7] };
        let moved = both.apply(0, &said, 6.0);
        assert_eq!((moved.center, moved.scale, moved.quantiles[0]), (5.0, 3.0, 4.0));
        assert_eq!(both.apply(1, &said, 6.0), said);
        assert!(both.is_sound(2, 1) && !both.is_sound(3, 1) && !both.is_sound(2, 0));
        assert!(both.line().contains("to 62 % (of the first value 25 %, of the last 100 %)"));
    }
}
