//! `bptt train --tui`: Burn's interface for terminals shows the run.
//!
//! It counts epochs and the items in them: a run is one epoch, and a step is an item. It has the whole terminal, so what the
//! command prints meanwhile waits for its end.

use crate::failure::Failure;
use crate::interrupt::Interrupts;
use bptt_zoo::TrainProgress;
use burn_train::Interrupter;
use burn_train::logger::TrainingProgressLogger;
use burn_train::metric::{
    MetricAttributes, MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use burn_train::renderer::tui::TuiMetricsRendererWrapper;
use burn_train::renderer::{MetricState, MetricsRenderer, MetricsRendererTraining};
use std::io::{IsTerminal, stdin, stdout};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the interface is asked whether the run has to stop.
const LOOK: Duration = Duration::from_millis(100);
/// Of a run that ends by the clock, how many parts are counted.
const PARTS: f64 = 1000.0;

/// The interface. It opens with the first progress of a run.
pub struct Screen {
    metric: &'static str,
    interrupts: Interrupts,
    shown: Option<(Sender<TrainProgress>, JoinHandle<()>)>,
    waiting: Vec<String>,
}

impl Screen {
    /// For a task whose metric has this name.
    pub fn new(metric: &'static str, interrupts: &Interrupts) -> Result<Self, Failure> {
        if !(stdout().is_terminal() && stdin().is_terminal()) {
            let why = "--tui: standard input and output have to be a terminal; leave it out";
            return Err(Failure::usage(why));
        }
        Ok(Self { metric, interrupts: interrupts.clone(), shown: None, waiting: Vec::new() })
    }

    /// Shows how far the run is.
    pub fn show(&mut self, at: &TrainProgress) {
        let (metric, interrupts) = (self.metric, &self.interrupts);
        let (to, _) = self.shown.get_or_insert_with(|| {
            let (to, from) = channel();
            let interrupts = interrupts.clone();
            (to, std::thread::spawn(move || follow(&from, metric, &interrupts)))
        });
        // The interface panics if a person asks it to kill the program. The run ends, and is saved.
        if to.send(*at).is_err() {
            self.interrupts.ask();
        }
    }

    /// A line that is printed at the end. `false`: the interface is not open, and it can be printed now.
    pub fn keeps(&mut self, line: &str) -> bool {
        if self.shown.is_some() {
            self.waiting.push(line.to_string());
        }
        self.shown.is_some()
    }

    /// Gives the terminal back. These lines are to be printed.
    pub fn close(&mut self) -> Vec<String> {
        if let Some((to, thread)) = self.shown.take() {
            drop(to);
            if thread.join().is_err() {
                self.interrupts.ask();
            }
        }
        std::mem::take(&mut self.waiting)
    }
}

/// Draws until the sender is gone.
fn follow(from: &Receiver<TrainProgress>, metric: &str, interrupts: &Interrupts) {
    let interrupter = Interrupter::new();
    let mut screen = Drawn::new(interrupter.clone(), metric);
    loop {
        match from.recv_timeout(LOOK) {
            Ok(at) => screen.draw(&at),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if interrupter.should_stop() {
            interrupts.ask();
        }
    }
}

/// The interface with what it shows.
struct Drawn {
    renderer: TuiMetricsRendererWrapper,
    metrics: [MetricId; 3],
    begun: bool,
    /// The step of the last validation that is shown.
    validated: Option<u64>,
}

impl Drawn {
    fn new(interrupter: Interrupter, metric: &str) -> Self {
        let mut renderer = TuiMetricsRendererWrapper::new(interrupter, None);
        keep_signals();
        let metrics = ["Loss", "Learning rate", metric].map(|name| {
            let name = Arc::new(name.to_string());
            let metric_id = MetricId::new(name.clone());
            let attributes = MetricAttributes::Numeric(NumericAttributes {
                unit: None,
                higher_is_better: false,
            });
            let definition = MetricDefinition {
                metric_id: metric_id.clone(),
                name,
                description: None,
                attributes,
            };
            renderer.register_metric(definition);
            metric_id
        });
        Self { renderer, metrics, begun: false, validated: None }
    }

    fn draw(&mut self, at: &TrainProgress) {
        let (done, all) = match at.steps {
            Some(steps) => (at.step, steps),
            None => ((at.share * PARTS) as u64, PARTS as u64),
        };
        let [done, all] = [done, all].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        if !self.begun {
            self.renderer.start(1, 1, Some(all.max(1)), None);
            self.renderer.start_split("train", all.max(1));
            self.begun = true;
        }
        let state = |id: &MetricId, value: f64| {
            let said = format!("{value:.5e}");
            let entry = MetricEntry::new(id.clone(), SerializedEntry::new(said.clone(), said));
            MetricState::Numeric(entry, Some(NumericEntry::Value(value)))
        };
        let [loss, rate, metric] = &self.metrics;
        self.renderer.update_train(state(loss, at.loss));
        if let Some(lr) = at.lr {
            self.renderer.update_train(state(rate, lr));
        }
        if let Some(valid) = at.valid.filter(|valid| self.validated != Some(valid.step)) {
            self.validated = Some(valid.step);
            self.renderer.update_valid(state(loss, valid.loss));
            self.renderer.update_valid(state(metric, valid.metric));
        }
        self.renderer.update_split(done);
    }
}

/// The interface reads single keys, and Ctrl-C is one of them then. Here it stays a signal, which ends the run and saves it.
#[cfg(unix)]
fn keep_signals() {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    // Another thread makes the terminal so, soon.
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(10));
        let Ok(mut modes) = tcgetattr(stdin()) else { return };
        if !modes.local_modes.contains(LocalModes::ICANON) {
            modes.local_modes.insert(LocalModes::ISIG);
            let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
            return;
        }
    }
}

#[cfg(not(unix))]
fn keep_signals() {}
