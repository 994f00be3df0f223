//! The environments: what is seen, what can be done, and what it brings.

use super::cart_pole::{self, CartPole};
use super::outcome::Outcome;
use super::t_maze::{self, TMaze};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// What a policy acts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentKind {
    /// A pole on a cart, of which the velocities are not seen.
    #[default]
    CartPole,
    /// A corridor with a cue at its beginning and a junction at its end.
    TMaze,
}

/// An environment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Environment {
    CartPole,
    /// With so many steps in the corridor.
    TMaze(usize),
}

/// An episode in one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Episode {
    CartPole(CartPole),
    TMaze(TMaze),
}

/// A policy that always does the same where it sees the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Memoryless {
    /// Pushes to the right where `a · position + b · angle` is positive.
    Line([f64; 2]),
    /// The direction at each place that can be told from others.
    Directions([usize; 4]),
}

impl Environment {
    /// How many numbers are seen.
    pub(super) fn width(self) -> usize {
        match self {
            Self::CartPole => 2,
            Self::TMaze(_) => 3,
        }
    }

    pub(super) fn actions(self) -> usize {
        match self {
            Self::CartPole => 2,
            Self::TMaze(_) => 4,
        }
    }

    /// What a reward is worth a step later.
    pub(super) fn discount(self) -> f64 {
        match self {
            Self::CartPole => 0.99,
            Self::TMaze(_) => 0.98,
        }
    }

    pub(super) fn largest_return(self) -> f64 {
        match self {
            Self::CartPole => cart_pole::LONGEST_EPISODE as f64,
            Self::TMaze(_) => t_maze::GOAL,
        }
    }

    /// What rewards are multiplied with, so that what a step is worth is about 1 at most.
    pub(super) fn scale(self) -> f64 {
        match self {
            Self::CartPole => 1.0 - self.discount(),
            Self::TMaze(_) => 1.0 / t_maze::GOAL,
        }
    }

    /// After how many steps an episode ends.
    pub(super) fn longest_episode(self) -> usize {
        match self {
            Self::CartPole => cart_pole::LONGEST_EPISODE,
            Self::TMaze(length) => t_maze::longest_episode(length),
        }
    }

    pub(super) fn begin(self, random: &mut impl RngExt) -> Episode {
        match self {
            Self::CartPole => Episode::CartPole(CartPole::begin(random)),
            Self::TMaze(_) => Episode::TMaze(TMaze::begin(random)),
        }
    }

    /// What is seen, added to the other numbers.
    pub(super) fn see(self, episode: &Episode, seen: &mut Vec<f32>) {
        match episode {
            Episode::CartPole(pole) => seen.extend(pole.seen()),
            Episode::TMaze(maze) => seen.extend(maze.seen(self.corridor())),
        }
    }

    pub(super) fn act(self, episode: &mut Episode, action: usize) -> Outcome {
        match episode {
            Episode::CartPole(pole) => pole.push(action == 1),
            Episode::TMaze(maze) => maze.go(action, self.corridor()),
        }
    }

    /// Whether an episode is one of this environment.
    pub(super) fn has(self, episode: &Episode) -> bool {
        match self {
            Self::CartPole => matches!(episode, Episode::CartPole(_)),
            Self::TMaze(_) => matches!(episode, Episode::TMaze(_)),
        }
    }

    fn corridor(self) -> usize {
        match self {
            Self::CartPole => 0,
            Self::TMaze(length) => length,
        }
    }

    /// Policies without memory, among which the best is looked for: lines of 180 slopes, or all that there are.
    pub(super) fn memoryless(self) -> Vec<Memoryless> {
        match self {
            Self::CartPole => {
                let turns = (0..180).map(|k| std::f64::consts::TAU * f64::from(k) / 180.0);
                turns.map(|turn| Memoryless::Line([turn.cos(), turn.sin()])).collect()
            }
            Self::TMaze(_) => {
                let digits = |k: usize| [k % 4, k / 4 % 4, k / 16 % 4, k / 64];
                (0..256).map(|k| Memoryless::Directions(digits(k))).collect()
            }
        }
    }

    /// What such a policy does.
    pub(super) fn chosen(self, policy: Memoryless, episode: &Episode) -> usize {
        match (policy, episode) {
            (Memoryless::Line([a, b]), Episode::CartPole(pole)) => {
                let [position, angle] = pole.seen().map(f64::from);
                usize::from(a * position + b * angle > 0.0)
            }
            (Memoryless::Directions(of), Episode::TMaze(maze)) => of[maze.place(self.corridor())],
            _ => unreachable!("a policy of another environment"),
        }
    }
}
