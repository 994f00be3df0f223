//! The runs before the measured ones.

use std::time::{Duration, Instant};

/// How many runs come at least before the measured ones. The first of them counts the memory.
const WARM_UPS: usize = 2;

/// How long these runs take at least. In the first milliseconds of a program, its threads may share a core.
const WARM_UP: Duration = Duration::from_millis(100);

/// Runs that are not measured.
///
/// # Arguments
///
/// - `done`: how many runs there were already
pub(super) fn warm_up(
    done: usize,
    mut run: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let begin = Instant::now();
    let mut runs = done;
    while runs < WARM_UPS || begin.elapsed() < WARM_UP {
        run()?;
        runs += 1;
    }
    Ok(())
}
