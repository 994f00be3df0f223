//! The network's forecasts together with those of a linear autoregression.
//!
//! A network follows what is not linear, and a linear function of the window needs few values to be learned. Errors of the
//! two differ, so a mean of both is often better than either (Bates and Granger 1969). The validation part says how much of
//! each: that with the least squared error, nearer to a half where it says little.

use crate::series::Standardization;
use crate::tasks::forecast::data::OneSeries;
use crate::tasks::forecast::head::Said;
use crate::tasks::forecast::linear::LinearForecast;
use serde::{Deserialize, Serialize};

/// With fewer windows in the validation part, all steps ahead are combined and corrected in the same way.
pub(crate) const FEWEST: usize = 20;
/// With fewer windows, what a network adds is added in the same way for all steps ahead.
const EACH: usize = 200;
/// The square of how many standard errors what a network adds has to be better than nothing, if one network was tried.
const SURE: f64 = 4.0;

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
    /// The linear forecast whose errors the network has learned. In place of it, `linear`, which has learned from the validation
    /// part too, is what the network's part is added to. `None`: the network has learned values, and not errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<LinearForecast>,
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

    /// How much of what the network adds to linear forecasts is sure. `windows` has `[K·M]` values each, of `targets` columns.
    /// `looks` is of how many networks this one was the best on them: the largest of so many effects of chance is about
    /// √(2 ln looks) standard errors.
    pub(crate) fn evident_shares(
        windows: &[Vec<TwoForecasts>],
        targets: usize,
        looks: u64,
    ) -> Vec<f64> {
        let sure = SURE.max(2.0 * (looks.max(1) as f64).ln());
        let values = windows.first().map_or(0, Vec::len);
        let ahead = values / targets.max(1);
        match windows.len() < EACH {
            true => {
                let all: Vec<Vec<_>> = windows.iter().map(|all| all.iter().collect()).collect();
                vec![evident_share(&all, ahead, sure)]
            }
            false => {
                let of = |at: usize| {
                    let all: Vec<Vec<_>> = windows.iter().map(|all| vec![&all[at]]).collect();
                    evident_share(&all, at / targets + 1, sure)
                };
                (0..values).map(of).collect()
            }
        }
    }

    /// What is said together after the window that ends before the step `end`, in place of what the network says.
    pub(crate) fn of(
        &self,
        one: &OneSeries,
        scales: &[Standardization],
        end: usize,
        said: &[Said],
    ) -> Vec<Said> {
        let linear = self.linear.of(one, scales, end);
        let trained = match &self.trained {
            Some(trained) => trained.of(one, scales, end),
            None => linear.clone(),
        };
        let both = linear.into_iter().zip(trained).zip(said).enumerate();
        both.map(|(at, ((linear, trained), said))| self.apply(at, said, linear, trained)).collect()
    }

    /// What is said together of the value at this place of `[K·M]`: the network's distribution, moved. `trained` is the linear
    /// forecast that the share is of.
    pub(crate) fn apply(&self, at: usize, said: &Said, linear: f64, trained: f64) -> Said {
        let share = self.network.get(at).or(self.network.first()).copied().unwrap_or(1.0);
        let moved = (1.0 - share) * (trained - said.center) + (linear - trained);
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
            && self.trained.as_ref().is_none_or(|linear| linear.is_sound(values, length))
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
        let share = percent(mean);
        match self.trained.is_some() {
            true if self.network.iter().all(|share| *share == 0.0) => {
                "the model is the linear part alone: the validation part is not sure that the network adds to it"
                    .to_string()
            }
            true => format!(
                "the model is the linear part and {share}{ends} of what the network adds to it, as the \
                 validation part says"
            ),
            false => format!(
                "the model is the network to {share}{ends} and the linear autoregression else, as the \
                 validation part says"
            ),
        }
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

/// How much of what a network adds to a linear forecast is used, where little may be due to chance: none, if its sign is not
/// sure, and else what has the least squared error, less what chance may have added to it (the estimator
/// of James and Stein, cut off at 0). Errors of windows that overlap are alike, so the standard
/// error is that of Newey and West 1987, as in the test of Diebold and Mariano 1995.
///
/// # Arguments
///
/// - `windows`: by window, the values that share a number
/// - `ahead`: how many windows overlap
/// - `sure`: the square of how many standard errors it has to be better
fn evident_share(windows: &[Vec<&TwoForecasts>], ahead: usize, sure: f64) -> f64 {
    let pair = |both: &&TwoForecasts| {
        ((both.network - both.linear) / both.unit, (both.truth - both.linear) / both.unit)
    };
    let (mut product, mut square) = (0.0, 0.0);
    for (differs, wrong) in windows.iter().flatten().map(pair) {
        product += differs * wrong;
        square += differs * differs;
    }
    if windows.len() < 2 || square <= 0.0 || product <= 0.0 {
        return 0.0;
    }
    let best = product / square;
    let moment = |window: &Vec<&TwoForecasts>| {
        window.iter().map(pair).map(|(differs, wrong)| differs * (wrong - best * differs)).sum()
    };
    let moments: Vec<f64> = windows.iter().map(moment).collect();
    let lag =
        |back: usize| -> f64 { moments.iter().zip(&moments[back..]).map(|(a, b)| a * b).sum() };
    let alike = (1..ahead.min(moments.len()))
        .map(|back| 2.0 * (1.0 - back as f64 / ahead as f64) * lag(back))
        .sum::<f64>();
    let count = windows.len() as f64;
    let unsure = (lag(0) + alike).max(0.0) / (square * square) * count / (count - 1.0);
    (best * (1.0 - sure * unsure / (best * best)).max(0.0)).min(1.0)
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
        let linear =
            LinearForecast { lags: 1, weights: vec![vec![0.0, 0.0]; 2], bases: Vec::new() };
        let both = Combination { network: vec![0.25, 1.0], linear, trained: None };
        let said = Said { center: 2.0, scale: 3.0, quantiles: [1.0; 7] };
        let moved = both.apply(0, &said, 6.0, 6.0);
        assert_eq!((moved.center, moved.scale, moved.quantiles[0]), (5.0, 3.0, 4.0));
        assert_eq!(both.apply(1, &said, 6.0, 6.0), said);
        assert!(both.is_sound(2, 1) && !both.is_sound(3, 1) && !both.is_sound(2, 0));
        assert!(both.line().contains("to 62 % (of the first value 25 %, of the last 100 %)"));
    }

    /// A network that has the size of a linear forecast's errors, and says `true_share` of them.
    fn added(count: usize, of_errors: f64) -> Vec<Vec<TwoForecasts>> {
        let wave = |t: usize, times: f64| (t as f64 * times).sin();
        let window = |t: usize| {
            let (wrong, other) = (wave(t, 1.3), wave(t, 2.9));
            vec![TwoForecasts {
                truth: wrong,
                network: of_errors * wrong + other,
                linear: 0.0,
                unit: 3.0,
            }]
        };
        (0..count).map(window).collect()
    }

    #[test]
    fn what_a_network_adds_is_used_where_it_is_sure() {
        let share = |windows: &[Vec<TwoForecasts>]| Combination::evident_shares(windows, 1, 1)[0];
        // The best share is a / (a² + 1).
        assert_eq!(share(&added(180, 0.0)), 0.0);
        assert_eq!(share(&added(180, -1.0)), 0.0);
        assert!((share(&added(190, 1.0)) - 0.5).abs() < 0.02, "{}", share(&added(190, 1.0)));
        let (few, many) = (share(&added(20, 0.4)), share(&added(190, 0.4)));
        assert!(few < many && many < 0.4 / 1.16, "{few} {many}");
        assert_eq!(share(&added(1, 1.0)), 0.0);
        // The best of many networks is good by chance too.
        let of_many = Combination::evident_shares(&added(190, 0.4), 1, 30)[0];
        assert!(of_many < many && Combination::evident_shares(&added(190, 0.4), 1, 7)[0] == many);
        assert_eq!(Combination::evident_shares(&added(EACH, 1.0), 1, 1).len(), 1);
        // Each step has its own, where there are many windows.
        let two =
            |window: Vec<TwoForecasts>| [window[0], TwoForecasts { network: 0.0, ..window[0] }];
        let both: Vec<_> = added(EACH, 1.0).into_iter().map(|one| two(one).to_vec()).collect();
        let shares = Combination::evident_shares(&both, 1, 1);
        assert!(shares[0] > 0.4 && shares[1] == 0.0, "{shares:?}");
        assert_eq!(Combination::evident_shares(&both[1..], 1, 1).len(), 1);
    }

    #[test]
    fn errors_of_windows_that_overlap_say_less() {
        // Each error is said ten times.
        let windows: Vec<Vec<TwoForecasts>> =
            added(18, 0.4).into_iter().flat_map(|one| vec![one; 10]).collect();
        let all: Vec<Vec<&TwoForecasts>> = windows.iter().map(|one| vec![&one[0]]).collect();
        assert!(evident_share(&all, 10, SURE) < evident_share(&all, 1, SURE));
    }

    #[test]
    fn what_the_network_adds_moves_to_the_newer_linear_forecast() {
        let linear = LinearForecast { lags: 1, weights: vec![vec![0.0, 0.0]], bases: Vec::new() };
        let both =
            Combination { network: vec![0.25], linear: linear.clone(), trained: Some(linear) };
        let said = Said { center: 2.0, scale: 3.0, quantiles: [1.0; 7] };
        let moved = both.apply(0, &said, 7.0, 6.0);
        assert_eq!((moved.center, moved.quantiles[0]), (7.0 - 0.25 * 4.0, 5.0));
        assert!(both.line().contains("the linear part and 25 % of what the network adds"));
        let none = Combination { network: vec![0.0], ..both };
        assert!(none.line().contains("the linear part alone"), "{}", none.line());
    }
}
