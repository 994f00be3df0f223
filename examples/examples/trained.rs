//! Two trained models that come with the project: a policy that keeps a pole upright, and a translator of dates.
//!
//! Shows: loading the folder of a run in a program; a policy one step at a time, with its state; translations. The models are in
//! `examples/models`, each with the command that made it.
//!
//! Command: `cargo run --release --example trained`
//!
//! What to expect: the pole, of which the policy sees no velocity, stays up for 200 steps; without its memory it falls within a
//! few dozen. Of four dates in words, each has its ISO form.

use bptt::prelude::*;
use bptt_zoo::predict::translate_texts;
use bptt_zoo::{RegressorConfig, RunFolder};
use burn::Tensor;
use burn::tensor::Device;
use std::path::Path;

/// A cart with a pole, as in `bptt train control`.
struct Pole {
    position: f64,
    velocity: f64,
    angle: f64,
    angular_velocity: f64,
}

impl Pole {
    /// Pushes the cart for a fiftieth of a second, and says whether the pole is still up.
    fn push(&mut self, right: bool) -> bool {
        let force = if right { 10.0 } else { -10.0 };
        let (sin, cos) = self.angle.sin_cos();
        let push = (force + 0.05 * self.angular_velocity.powi(2) * sin) / 1.1;
        let angular = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos.powi(2) / 1.1));
        let acceleration = push - 0.05 * angular * cos / 1.1;
        self.position += 0.02 * self.velocity;
        self.velocity += 0.02 * acceleration;
        self.angle += 0.02 * self.angular_velocity;
        self.angular_velocity += 0.02 * angular;
        self.position.abs() <= 2.4 && self.angle.to_degrees().abs() <= 12.0
    }
}

fn main() -> Result<(), bptt_zoo::Error> {
    let device = Device::default();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");

    let policy = RunFolder::new(models.join("control")).load::<RegressorConfig>(&device)?;
    for has_memory in [true, false] {
        let mut pole =
            Pole { position: 0.02, velocity: -0.01, angle: 0.03, angular_velocity: 0.02 };
        let (mut steps, mut state, mut is_up) = (0, None, true);
        while is_up && steps < 200 {
            let seen = [(pole.position / 2.4) as f32, (pole.angle.to_degrees() / 12.0) as f32];
            let (output, after) =
                policy.recurrent.step(Tensor::from_floats([seen], &device), state.take());
            state = has_memory.then_some(after);
            // The scores of the two actions, and the value.
            let scores: Vec<f32> = policy.head.forward(output).into_data().iter().collect();
            is_up = pole.push(scores[1] > scores[0]);
            steps += 1;
        }
        let how = if has_memory { "with its memory" } else { "without it" };
        println!("the policy {how}: {steps} steps");
    }

    let dates = ["the tenth of september 1970", "sun 3 mar 02", "July 4, 1976", "31.12.99"];
    let dates = dates.map(str::to_string);
    for date in translate_texts(&RunFolder::new(models.join("translate")), &dates, &device)? {
        println!("{:30} {} ({:.1} %)", date.source, date.said, 100.0 * date.probability);
    }
    Ok(())
}
