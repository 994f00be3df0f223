//! Cart-pole without velocities: a pole on a cart is kept upright by pushing the cart.
//!
//! A. G. Barto, R. S. Sutton and C. W. Anderson, "Neuronlike adaptive elements that can solve difficult learning control
//! problems", IEEE Transactions on Systems, Man, and Cybernetics 13 (1983), with the constants and the Euler steps of the usual
//! version, CartPole-v0 of Gym. What is seen is the position and the angle. The velocities are not seen, as in D. Wierstra, A.
//! Förster, J. Peters and J. Schmidhuber, "Recurrent policy gradients", Logic Journal of the IGPL 18 (2010): they follow
//! from two steps, so a policy needs memory.

use super::outcome::Outcome;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// After how many steps an episode ends.
pub(super) const LONGEST_EPISODE: usize = 200;

const GRAVITY: f64 = 9.8;
const CART_MASS: f64 = 1.0;
const POLE_MASS: f64 = 0.1;
/// Half of the pole's length.
const HALF_LENGTH: f64 = 0.5;
const FORCE: f64 = 10.0;
/// Seconds in a step.
const STEP: f64 = 0.02;
/// Beyond it, on either side, an episode ends.
const LARGEST_POSITION: f64 = 2.4;
/// The same in radians: 12 degrees.
const LARGEST_ANGLE: f64 = 12.0 * std::f64::consts::PI / 180.0;

/// An episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CartPole {
    position: f64,
    velocity: f64,
    angle: f64,
    angular_velocity: f64,
    steps: usize,
}

impl CartPole {
    pub(super) fn begin(random: &mut impl RngExt) -> Self {
        let mut small = || random.random_range(-0.05..0.05);
        let (position, velocity) = (small(), small());
        Self { position, velocity, angle: small(), angular_velocity: small(), steps: 0 }
    }

    /// The position and the angle, as shares of the largest.
    pub(super) fn seen(&self) -> [f32; 2] {
        [(self.position / LARGEST_POSITION) as f32, (self.angle / LARGEST_ANGLE) as f32]
    }

    /// Pushes the cart for a step. Each step brings 1.
    pub(super) fn push(&mut self, right: bool) -> Outcome {
        let force = if right { FORCE } else { -FORCE };
        let mass = CART_MASS + POLE_MASS;
        let (sin, cos) = self.angle.sin_cos();
        let push = (force + POLE_MASS * HALF_LENGTH * self.angular_velocity.powi(2) * sin) / mass;
        let angular = (GRAVITY * sin - cos * push)
            / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos.powi(2) / mass));
        let acceleration = push - POLE_MASS * HALF_LENGTH * angular * cos / mass;
        self.position += STEP * self.velocity;
        self.velocity += STEP * acceleration;
        self.angle += STEP * self.angular_velocity;
        self.angular_velocity += STEP * angular;
        self.steps += 1;
        let has_failed = self.position.abs() > LARGEST_POSITION || self.angle.abs() > LARGEST_ANGLE;
        Outcome { reward: 1.0, ended: has_failed || self.steps == LONGEST_EPISODE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn at_rest(angle: f64) -> CartPole {
        CartPole { position: 0.0, velocity: 0.0, angle, angular_velocity: 0.0, steps: 0 }
    }

    /// By hand, from an upright pole at rest: a push of 10 N gives the cart and the pole the accelerations 9.756 and -14.634.
    #[test]
    fn a_push_from_rest_is_that_of_the_equations() {
        let mut pole = at_rest(0.0);
        pole.push(true);
        assert_eq!((pole.position, pole.angle), (0.0, 0.0));
        assert!((pole.velocity - 0.02 * 9.756_097_56).abs() < 1e-8, "{pole:?}");
        assert!((pole.angular_velocity + 0.02 * 14.634_146_3).abs() < 1e-8, "{pole:?}");
        let mut mirrored = at_rest(0.0);
        mirrored.push(false);
        assert_eq!(mirrored.velocity, -pole.velocity);
        assert_eq!(mirrored.angular_velocity, -pole.angular_velocity);
    }

    /// Who knows the velocities keeps it upright to the end, and who pushes one way falls within a dozen steps.
    #[test]
    fn it_can_be_kept_upright_and_falls_by_itself() {
        for seed in 0..20 {
            let begun = CartPole::begin(&mut StdRng::seed_from_u64(seed));
            assert!(
                [begun.position, begun.velocity, begun.angle, begun.angular_velocity]
                    .iter()
                    .all(|x| x.abs() < 0.05)
            );
            let run = |policy: &dyn Fn(&CartPole) -> bool| {
                let mut pole = begun.clone();
                let mut steps = 1;
                while !pole.push(policy(&pole)).ended {
                    steps += 1;
                }
                steps
            };
            let sum = |p: &CartPole| {
                p.angle + 0.3 * p.angular_velocity + 0.02 * p.position + 0.05 * p.velocity
            };
            assert_eq!(run(&|pole| sum(pole) > 0.0), LONGEST_EPISODE, "seed {seed}");
            assert!((7..=12).contains(&run(&|_| true)), "seed {seed}");
        }
    }
}
