//! How good a policy is, beside policies without a network.

use super::environment::{Environment, Episode};
use crate::random::{Purpose, generator};
use rand::RngExt;
use serde::Serialize;

/// What begins episodes that policies are judged on, whatever the seed of a run is.
const FIXED: u64 = 1;
/// How many episodes a validation has.
const VALID: u64 = 64;
/// How many episodes the test has.
const TEST: u64 = 256;

/// Returns of policies without a network, on the episodes of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ControlScores {
    /// The mean return of random actions.
    pub random_return: f64,
    /// That of the best policy without memory, of those that were tried: of the validation's episodes it has the best mean.
    pub memoryless_return: f64,
    /// The largest return that there is.
    pub largest_return: f64,
}

/// The episodes of the validation or of the test, at their beginning.
pub(super) fn episodes(environment: Environment, purpose: Purpose) -> Vec<Episode> {
    let count = if purpose == Purpose::Test { TEST } else { VALID };
    let begin = |k| environment.begin(&mut generator(FIXED, purpose, k));
    (0..count).map(begin).collect()
}

pub(super) fn mean(returns: &[f64]) -> f64 {
    returns.iter().sum::<f64>() / returns.len() as f64
}

/// The mean return of a policy that says an action for each episode as it is.
fn mean_return(
    environment: Environment,
    episodes: &[Episode],
    mut policy: impl FnMut(&Episode) -> usize,
) -> f64 {
    let mut play = |begun: &Episode| {
        let mut episode = begun.clone();
        let mut sum = 0.0;
        loop {
            let action = policy(&episode);
            let outcome = environment.act(&mut episode, action);
            sum += outcome.reward;
            if outcome.ended {
                return sum;
            }
        }
    };
    mean(&episodes.iter().map(&mut play).collect::<Vec<_>>())
}

impl ControlScores {
    pub(super) fn of(environment: Environment) -> Self {
        let test = episodes(environment, Purpose::Test);
        let valid = episodes(environment, Purpose::Validation);
        let mut random = generator(FIXED, Purpose::Test, TEST);
        let actions = environment.actions();
        let random_return = mean_return(environment, &test, |_| random.random_range(0..actions));
        let tried = environment.memoryless().into_iter();
        let judged = tried.map(|policy| {
            (policy, mean_return(environment, &valid, |at| environment.chosen(policy, at)))
        });
        let (best, _) =
            judged.max_by(|(_, a), (_, b)| a.total_cmp(b)).expect("there are policies to try");
        Self {
            random_return,
            memoryless_return: mean_return(environment, &test, |at| environment.chosen(best, at)),
            largest_return: environment.largest_return(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_forgets_the_cue_guesses_and_who_sees_no_velocity_falls() {
        let maze = ControlScores::of(Environment::TMaze(10));
        // Four for the right turn and -0.1 for the other, of 256 episodes about one half each; five standard errors.
        assert!((maze.memoryless_return - 1.95).abs() < 0.65, "{maze:?}");
        assert!(maze.random_return < 0.0, "{maze:?}");
        let pole = ControlScores::of(Environment::CartPole);
        // Random pushes last 22 steps, as is well known.
        assert!((pole.random_return - 22.0).abs() < 4.0, "{pole:?}");
        assert!(pole.memoryless_return > pole.random_return, "{pole:?}");
        assert!(pole.memoryless_return < 0.6 * pole.largest_return, "{pole:?}");
    }
}
