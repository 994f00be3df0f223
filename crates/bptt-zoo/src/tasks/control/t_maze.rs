//! The T-maze: a cue at the beginning of a corridor says which way to turn at its end.
//!
//! B. Bakker, "Reinforcement learning with long short-term memory", NeurIPS 2001. The corridor has `N` steps. At its first
//! place a cue is seen, which tells where the goal is; at the junction it is to the north or to the south. Three bits are
//! seen: 011 or 110 at the first place, 101 in the corridor, 010 at the junction. The right turn brings 4. The wrong
//! one, and a step into a wall, bring -0.1. Who forgets the cue has 1.95 at most, on average.

use super::outcome::Outcome;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// What the goal brings, and with it the largest return.
pub(super) const GOAL: f64 = 4.0;
const MISTAKE: f64 = -0.1;

pub(super) const NORTH: usize = 0;
pub(super) const EAST: usize = 1;
pub(super) const SOUTH: usize = 2;
const WEST: usize = 3;

/// An episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TMaze {
    goal_is_north: bool,
    at: usize,
    steps: usize,
}

/// After how many steps an episode ends, in a corridor of this length.
pub(super) fn longest_episode(length: usize) -> usize {
    6 * (length + 1)
}

impl TMaze {
    pub(super) fn begin(random: &mut impl RngExt) -> Self {
        Self { goal_is_north: random.random(), at: 0, steps: 0 }
    }

    /// Which of the four things it can be that is seen: a cue for either goal, the corridor, or the junction.
    pub(super) fn place(&self, length: usize) -> usize {
        match self.at {
            0 => usize::from(!self.goal_is_north),
            at if at < length => 2,
            _ => 3,
        }
    }

    /// The bits that are seen.
    pub(super) fn seen(&self, length: usize) -> [f32; 3] {
        let seen = [[0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
        seen[self.place(length)]
    }

    /// Goes a step.
    pub(super) fn go(&mut self, direction: usize, length: usize) -> Outcome {
        self.steps += 1;
        let is_late = self.steps == longest_episode(length);
        if self.at == length && [NORTH, SOUTH].contains(&direction) {
            let is_right = (direction == NORTH) == self.goal_is_north;
            return Outcome { reward: if is_right { GOAL } else { MISTAKE }, ended: true };
        }
        let moved = match direction {
            EAST if self.at < length => Some(self.at + 1),
            WEST => self.at.checked_sub(1),
            _ => None,
        };
        self.at = moved.unwrap_or(self.at);
        Outcome { reward: if moved.is_some() { 0.0 } else { MISTAKE }, ended: is_late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cue_says_where_the_goal_is_and_walls_cost() {
        const LENGTH: usize = 3;
        for goal_is_north in [true, false] {
            let mut maze = TMaze { goal_is_north, at: 0, steps: 0 };
            let cue = if goal_is_north { [0.0, 1.0, 1.0] } else { [1.0, 1.0, 0.0] };
            assert_eq!(maze.seen(LENGTH), cue);
            for wall in [NORTH, SOUTH, WEST] {
                assert_eq!(maze.go(wall, LENGTH), Outcome { reward: MISTAKE, ended: false });
                assert_eq!(maze.at, 0);
            }
            for _ in 0..LENGTH {
                assert_eq!(maze.go(EAST, LENGTH), Outcome { reward: 0.0, ended: false });
            }
            assert_eq!(maze.seen(LENGTH), [0.0, 1.0, 0.0]);
            assert_eq!(maze.go(EAST, LENGTH).reward, MISTAKE);
            assert_eq!(maze.go(WEST, LENGTH).reward, 0.0);
            assert_eq!(maze.seen(LENGTH), [1.0, 0.0, 1.0]);
            maze.go(EAST, LENGTH);
            let mut other = maze.clone();
            let [north, south] = [maze.go(NORTH, LENGTH), other.go(SOUTH, LENGTH)];
            let (right, wrong) = if goal_is_north { (north, south) } else { (south, north) };
            assert_eq!(right, Outcome { reward: GOAL, ended: true });
            assert_eq!(wrong, Outcome { reward: MISTAKE, ended: true });
        }
        let mut lost = TMaze { goal_is_north: true, at: 0, steps: 0 };
        let ends = (1..).find(|_| lost.go(WEST, LENGTH).ended);
        assert_eq!(ends, Some(longest_episode(LENGTH)));
    }
}
