//! Handles Ctrl-C and the other signals that ask the command to end.

use crate::failure::Failure;
use crate::output;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The time between two checks for a signal. It is short enough to seem immediate.
const LOOK: Duration = Duration::from_millis(20);

/// Signals within this time after the first count as the same signal, because `timeout` sends a signal to the process
/// and to its group.
const SAME: Duration = Duration::from_millis(200);

/// The signals that ask for an end.
#[derive(Clone)]
pub struct Interrupts {
    /// Tells the run to end.
    stop: Arc<AtomicBool>,
    /// The last signal; 0: none.
    signal: Arc<AtomicUsize>,
    /// Whether a further signal ends the process at once.
    impatient: Arc<AtomicBool>,
    /// Whether there is a run to be saved.
    begun: Arc<Mutex<bool>>,
}

impl Interrupts {
    /// Begins to listen for signals.
    pub fn listen() -> Result<Self, Failure> {
        let listening = Self {
            stop: Arc::default(),
            signal: Arc::default(),
            impatient: Arc::default(),
            begun: Arc::default(),
        };
        for number in signals() {
            let Self { stop, signal, impatient, .. } = listening.clone();
            flag::register_conditional_shutdown(number, 128 + number, impatient)
                .and_then(|_| flag::register_usize(number, signal, number as usize))
                .and_then(|_| flag::register(number, stop))
                .map_err(|error| Failure::usage(format!("cannot listen for signals: {error}")))?;
        }
        let watching = listening.clone();
        std::thread::spawn(move || watching.watch());
        Ok(listening)
    }

    /// Set when an end is asked for.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Asks for an end as Ctrl-C does.
    #[cfg(feature = "tui")]
    pub fn ask(&self) {
        self.signal.store(SIGINT as usize, Ordering::SeqCst);
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Is called when there is a run to be saved. From now on a signal does not end the process by itself.
    pub fn begin(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Returns an error with the exit code if there was a signal.
    pub fn end(&self) -> Result<(), Failure> {
        match self.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Failure::interrupted(exit_code(signal), name(signal))),
        }
    }

    /// Answers the first signal.
    fn watch(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
        }
        let signal = self.signal.load(Ordering::SeqCst);
        // The lock is held until the process ends or goes on, so that no run begins in between.
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !*begun {
            output::note(&format!("bptt: {}: ended before the training began", name(signal)));
            std::process::exit(exit_code(signal).into());
        }
        drop(begun);
        output::note(&format!(
            "bptt: {}: the run ends after this step, once it is validated and saved; another signal \
             ends it now",
            name(signal)
        ));
        std::thread::sleep(SAME);
        self.impatient.store(true, Ordering::SeqCst);
    }
}

/// The exit code that shells use for a signal.
fn exit_code(signal: usize) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

fn name(signal: usize) -> &'static str {
    match i32::try_from(signal) {
        Ok(SIGINT) => "SIGINT",
        Ok(SIGTERM) => "SIGTERM",
        _ => "SIGHUP",
    }
}

#[cfg(not(unix))]
fn signals() -> Vec<i32> {
    vec![SIGINT, SIGTERM]
}

/// The signals to listen for. A process that was started with `nohup` ignores SIGHUP, so it continues when its terminal
/// is closed.
#[cfg(unix)]
fn signals() -> Vec<i32> {
    use signal_hook::consts::SIGHUP;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    match ignored >> (SIGHUP - 1) & 1 {
        1 => vec![SIGINT, SIGTERM],
        _ => vec![SIGINT, SIGTERM, SIGHUP],
    }
}
