//! Random numbers that depend on the seed and on nothing else: not on the device, not on how many
//! numbers were drawn before.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// What random numbers are for; each purpose has a stream of its own.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Training = 1,
    Validation = 2,
    Sampling = 3,
    Dropout = 4,
}

/// The generator of one step of one purpose. A run that is resumed at step 1000 so draws what the
/// uninterrupted run draws there.
pub(crate) fn generator(seed: u64, purpose: Purpose, index: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    bytes[16..24].copy_from_slice(&index.to_le_bytes());
    StdRng::from_seed(bytes)
}
