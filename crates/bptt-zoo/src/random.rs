//! Random numbers that depend on the seed, the purpose and the step only. They do not depend on the device or on how
//! many numbers were drawn before.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// What random numbers are for. Each purpose has its own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The data of a training step.
    Training = 1,
    /// The data of a validation.
    Validation = 2,
    /// The characters of a text that a model writes.
    Sampling = 3,
    /// Dropout in a training step.
    Dropout = 4,
    /// The directions, starts and probes of a landscape.
    Landscape = 5,
    /// Where the search for the sharpness begins.
    Sharpness = 6,
    /// Noise inside of the recurrent layers in a training step.
    Noise = 7,
    /// Which sequences are for training, for validation and for the test.
    Split = 8,
    /// The data of a test.
    Test = 9,
    /// Dropout of what the last layer reads, in a training step.
    OutputDropout = 10,
}

/// The generator of random numbers of one step, for one purpose. So a run that is resumed at step 1000 draws the same
/// numbers as an uninterrupted run at step 1000.
pub fn generator(seed: u64, purpose: Purpose, index: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    bytes[16..24].copy_from_slice(&index.to_le_bytes());
    StdRng::from_seed(bytes)
}
