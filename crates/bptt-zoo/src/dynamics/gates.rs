//! How long units hold what they have: by their gates, and measured; and how far gates are at their bounds.

use crate::dynamics::draw::{panels, row_of};
use crate::dynamics::options::DynamicsProgress;
use crate::dynamics::section::Section;
use crate::dynamics::trained::Trained;
use crate::error::Error;
use crate::median::median;
use bptt_probe::dynamics::{GateKind, GateUse, Trajectory, own_derivatives};
use bptt_probe::picture::{Axis, Figure, Plot};
use serde::Serialize;
use std::f64::consts::LN_2;

/// Over how many sequences gates are averaged.
const SEQUENCES: usize = 16;

/// How long the units hold what they have, and how far their gates are at their bounds, on validation sequences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Holding {
    /// The number of sequences.
    pub gate_sequences: usize,
    /// How far each gate is at its bounds.
    pub gates: Vec<NamedGate>,
    /// Over how many steps the half-lives are measured, from a quarter of the sequence on.
    pub half_life_steps: usize,
    /// Each memory of each unit; for a cell without a memory, each unit's `h`.
    pub units: Vec<HeldUnit>,
}

/// A gate with its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedGate {
    /// Its name, or the number of its rows' place in the weights.
    pub name: String,
    /// How far it is at its bounds.
    #[serde(flatten)]
    pub found: GateUse,
}

/// How long a unit holds what it has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldUnit {
    /// The layer, counted from the input.
    pub layer: usize,
    /// The unit, counted from 0; for a cell with several memories, those of the second one follow.
    pub unit: usize,
    /// The geometric mean of what is kept in a step: of the forget gate `f` of an LSTM, of the update gate `z` of a GRU; 0
    /// for an RNN.
    pub kept: f64,
    /// `-1 / ⟨ln f⟩`, in steps: after so many, `1/e` would be left if there were no other path. `None`: nothing is lost.
    pub time_constant: Option<f64>,
    /// After how many steps `|∂c_{t+k} / ∂c_t|` is first below a half, by all paths, as a mean over the sequences. `None`:
    /// not within `half_life_steps`.
    pub half_life: Option<f64>,
}

impl Holding {
    pub(super) fn measure(
        trained: &Trained,
        progress: &mut dyn FnMut(DynamicsProgress),
    ) -> Result<Self, Error> {
        let mut cases = trained.cases(SEQUENCES);
        // Those of the longest length, so that each has as many steps to follow.
        let time = cases.iter().map(|case| case.input.rows()).max().unwrap_or(0);
        cases.retain(|case| case.input.rows() == time);
        let mut network = trained.network(None)?;
        let held = Trajectory::held(&network);
        let places: Vec<_> = held.iter().map(|(_, place)| *place).collect();
        let start = time / 4;
        let mut logs = vec![0.0; held.len()];
        let mut own = vec![vec![0.0; held.len()]; time - start + 1];
        let mut gates: Vec<GateUse> = Vec::new();
        for (done, case) in cases.iter().enumerate() {
            progress(DynamicsProgress { stage: "gates", done, total: cases.len() });
            network.set_input(&case.input);
            let way = Trajectory::new(&network, &case.state, time);
            for kept in way.kept() {
                logs.iter_mut().zip(&kept).for_each(|(sum, kept)| *sum += kept.abs().ln());
            }
            add_gates(&mut gates, way.gates());
            let state = way.states()[start].clone();
            drop(way);
            let found = own_derivatives(&mut network, start, &state, &places, time - start);
            for (sums, found) in own.iter_mut().zip(&found) {
                sums.iter_mut().zip(found).for_each(|(sum, x)| *sum += x.abs());
            }
        }
        let count = cases.len() as f64;
        for gate in &mut gates {
            [&mut gate.mean, &mut gate.low, &mut gate.high].into_iter().for_each(|x| *x /= count);
        }
        let first = |layer: usize| held.iter().filter(|(other, _)| *other < layer).count();
        let unit = |(k, (layer, _)): (usize, &(usize, usize))| {
            let mean_log = logs[k] / (count * time as f64);
            let curve: Vec<_> = own.iter().map(|sums| sums[k] / count).collect();
            HeldUnit {
                layer: *layer,
                unit: k - first(*layer),
                kept: mean_log.exp(),
                time_constant: (mean_log < 0.0).then(|| -1.0 / mean_log),
                half_life: half_life(&curve),
            }
        };
        let cell = trained.settings.cell.name();
        let named = |found: GateUse| NamedGate { name: gate_name(cell, found.gate), found };
        Ok(Self {
            gate_sequences: cases.len(),
            gates: gates.into_iter().map(named).collect(),
            half_life_steps: time - start,
            units: held.iter().enumerate().map(unit).collect(),
        })
    }

    /// The half-lives, with the longest that could be measured for those that are longer.
    fn half_lives(&self) -> impl Iterator<Item = f64> + '_ {
        let most = self.half_life_steps as f64;
        self.units.iter().map(move |unit| unit.half_life.unwrap_or(most))
    }
}

fn add_gates(sums: &mut Vec<GateUse>, found: Vec<GateUse>) {
    if sums.is_empty() {
        *sums = found;
        return;
    }
    for (sum, found) in sums.iter_mut().zip(found) {
        sum.mean += found.mean;
        sum.low += found.low;
        sum.high += found.high;
    }
}

/// Where a curve that begins at 1 is first below a half. Between two steps it is taken to decay evenly.
fn half_life(curve: &[f64]) -> Option<f64> {
    let after = curve.iter().position(|x| *x < 0.5)?;
    let (before, below) = (curve[after.checked_sub(1)?], curve[after]);
    // All at once is within one step.
    let share = if below > 0.0 { (2.0 * before).ln() / (before / below).ln() } else { 0.0 };
    Some((after - 1) as f64 + share)
}

/// The name of a gate, in the order of the weights' rows.
fn gate_name(cell: &str, gate: usize) -> String {
    let names: &[&str] = match cell {
        "rnn" => &["h"],
        "lstm" => &["input", "forget", "candidate", "output"],
        "gru" => &["reset", "update", "candidate"],
        _ => &[],
    };
    names.get(gate).map_or_else(|| format!("gate {gate}"), |name| name.to_string())
}

/// The largest of some numbers.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NAN, f64::max)
}

impl Section for Holding {
    fn lines(&self) -> Vec<String> {
        let constants =
            || self.units.iter().map(|unit| unit.time_constant.unwrap_or(f64::INFINITY));
        let beyond = self.units.iter().filter(|unit| unit.half_life.is_none()).count();
        let mut lines = vec![
            format!(
                "time constants    by the gates: median {:.1} steps, longest {:.1}",
                median(constants()),
                largest(constants()),
            ),
            format!(
                "half-lives        measured: median {:.1} steps, longest {:.1}{}",
                median(self.half_lives()),
                largest(self.half_lives()),
                if beyond > 0 { format!(" or more ({beyond} units)") } else { String::new() },
            ),
        ];
        lines.extend(self.gates.iter().map(|NamedGate { name, found }| {
            let bounds = match found.kind {
                GateKind::Sigmoid => ["below 0.1", "above 0.9"],
                GateKind::Tanh => ["below -0.9", "above 0.9"],
                GateKind::Relu => ["at 0", "at an upper bound"],
            };
            let what = format!("{name}, layer {}", found.layer);
            let (low, high) = (100.0 * found.low, 100.0 * found.high);
            let [lower, upper] = bounds;
            format!("{what:17} {low:.0} % {lower}, {high:.0} % {upper}, mean {:.3}", found.mean)
        }));
        lines
    }

    fn figures(runs: &[(&str, &Self)]) -> Vec<Figure> {
        vec![of_half_lives(runs), of_gates(runs)]
    }
}

/// Half-lives by the gates against measured ones.
fn of_half_lives(runs: &[(&str, &Holding)]) -> Figure {
    /// A unit that keeps nothing would have no place on a logarithmic axis.
    const SHORTEST: f64 = 0.1;
    let most = runs.iter().map(|(_, found)| found.half_life_steps).max().unwrap_or(1) as f64;
    let points = |found: &Holding| -> Vec<(f64, f64)> {
        let gate = |unit: &HeldUnit| unit.time_constant.map_or(most, |steps| LN_2 * steps);
        let by_gate = found.units.iter().map(gate);
        let inside = |x: f64| x.clamp(SHORTEST, most);
        by_gate.zip(found.half_lives()).map(|(x, y)| (inside(x), inside(y))).collect()
    };
    let axis = Axis::logarithmic([SHORTEST, most]).with_space(0.03, 0.03);
    let mut plot = Plot::with_axes(axis, axis, [420.0, 320.0]);
    plot.line([SHORTEST, most].into_iter().map(|x| (x, x)), "zero");
    for (class, (name, found)) in row_of(runs) {
        plot.dots_of(class, points(found).into_iter(), 3.0);
        plot.legend_dots(class, name);
    }
    plot.figure(
        "How long units hold",
        "half-life by the gates, ln 2 · time constant (steps)",
        "measured half-life (steps)",
        "Each dot is a unit: its memory, or its h if the cell has none. To the right, what its forget gate (LSTM) or update \
         gate (GRU) alone would hold: the number of steps after which half of it is left. Upwards, what is left in truth, \
         of the derivative of the unit's memory with respect to itself some steps before, by all paths. Dots on the diagonal \
         hold by their gate. Those above it are held up by other units, those below it are overwritten through the gates. \
         Dots at the edges are at least, or at most, there; a plain RNN keeps nothing without its weights.",
    )
}

/// Shares of gates at their bounds.
fn of_gates(runs: &[(&str, &Holding)]) -> Figure {
    let rows = runs.iter().map(|(_, found)| found.gates.len()).max().unwrap_or(1).max(1);
    let svg = panels(runs, |_, found, size| gate_bars(found, size, rows));
    Figure {
        heading: "Saturated gates".into(),
        svg,
        reading: "For each gate, the share of units and steps at the lower bound (from the left) and at the upper bound \
                  (from the right): σ below 0.1 or above 0.9, tanh below −0.9 or above 0.9. A gate at a bound is a switch, \
                  and has almost no slope: no gradient flows through it. A forget gate at its upper bound is a memory that \
                  is held. If a tanh is at its bounds all the time, the unit passes no gradient on."
            .into(),
    }
}

/// Bars of one run.
fn gate_bars(found: &Holding, size: f64, rows: usize) -> String {
    let x = Axis::linear([0.0, 100.0]);
    let mut plot = Plot::rows(x, rows, [size, 46.0]);
    for (k, NamedGate { name, found }) in found.gates.iter().enumerate() {
        let top = -(k as f64);
        plot.name(1.0, top - 0.36, &format!("{name}, layer {}", found.layer));
        plot.block([0.0, 100.0 * found.low], [top - 0.86, top - 0.48], "s1");
        plot.block([100.0 - 100.0 * found.high, 100.0], [top - 0.86, top - 0.48], "s2");
    }
    plot.legend_block("s1", "at the lower bound");
    plot.legend_block("s2", "at the upper bound");
    plot.svg("Gates at their bounds", "share of units and steps (%)", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_lives_lie_between_the_steps() {
        let decay = |keep: f64| (0..40).map(|k| keep.powi(k)).collect::<Vec<_>>();
        for keep in [0.9, 0.99_f64, 0.3] {
            let found = half_life(&decay(keep));
            let expected = LN_2 / -keep.ln();
            match expected < 39.0 {
                true => assert!((found.expect("it falls") - expected).abs() < 1e-12, "{keep}"),
                false => assert_eq!(found, None),
            }
        }
        assert_eq!(half_life(&[1.0, 0.0]), Some(0.0));
    }
}
