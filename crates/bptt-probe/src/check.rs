//! A certificate for a cell of your own.

use crate::case::numbers::{around_one, into_domain};
use crate::device;
use crate::measure::{Outcome, measure_layer, relative_error};
use crate::problem::{Array, LayerOptions, Problem};
use crate::scalar::{Dual, Real, Values, columns};
use crate::setting::{DType, Setting};
use bptt::cells::{Backward, Cell, Components, HiddenTerm, Number, Row, State};
use bptt::{CellKind, Engine, Kernel, MaskedOutput};
use bptt_kernels::CellLayout;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeMap;
use std::fmt;

/// The result of [`check`]. `Display` gives it as text.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The cell's name.
    pub cell: String,
    /// One entry for each derivative of one step, and for each gradient of a layer.
    pub findings: Vec<Finding>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was compared, and with what.
    pub what: String,
    /// `‖a − b‖₂ / ‖b‖₂`
    pub error: f64,
    /// The largest error that passes.
    pub tolerance: f64,
}

impl Finding {
    /// Whether the error is within the tolerance.
    pub fn pass(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl Certificate {
    /// Whether all derivatives are right.
    pub fn is_right(&self) -> bool {
        self.findings.iter().all(Finding::pass)
    }

    fn add(&mut self, what: String, error: f64, tolerance: f64) {
        let error = if error.is_nan() { f64::INFINITY } else { error };
        self.findings.push(Finding { what, error, tolerance });
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong: Vec<_> = self.findings.iter().filter(|finding| !finding.pass()).collect();
        let worst = self.findings.iter().map(|finding| finding.error).fold(0.0, f64::max);
        match wrong.len() {
            0 => writeln!(
                f,
                "{}: right in all of {} comparisons, the worst error {worst:.1e}",
                self.cell,
                self.findings.len()
            )?,
            count => writeln!(
                f,
                "{}: WRONG in {count} of {} comparisons",
                self.cell,
                self.findings.len()
            )?,
        }
        for finding in wrong.iter().take(12) {
            writeln!(
                f,
                "  {}: {:.1e} off, allowed {:.0e}",
                finding.what, finding.error, finding.tolerance
            )?;
        }
        if wrong.len() > 12 {
            writeln!(f, "  and {} more", wrong.len() - 12)?;
        }
        self.skipped.iter().try_for_each(|line| writeln!(f, "  left out: {line}"))
    }
}

/// Checks the hand-written backward step of a cell in two parts:
///
/// - one step: `step_backward` (and `gated_hidden_backward`) is compared with dual numbers, operand by operand, so that
///   a message names the gate whose derivative is wrong
/// - layers of the cell, stacked, in both directions, with lengths, masks and resets: the fast kernel and the reference
///   kernel are compared with Burn's autograd and with dual numbers
///
/// The layers need a device in host memory. They are left out in a build without such a device.
///
/// # Panics
///
/// If the cell's own code panics.
pub fn check<C: Cell>(cell: C) -> Certificate {
    let mut certificate =
        Certificate { cell: C::NAME.to_string(), findings: vec![], skipped: vec![] };
    one_step(cell, &mut certificate);
    match device::names().find(|name| device::is_host(name)) {
        Some(name) => layers(cell, name, &mut certificate),
        None => certificate.skipped.push("layers: this build has neither flex nor ndarray".into()),
    }
    certificate
}

/// At how many random points one step is checked.
const POINTS: usize = 50;

/// The operands of a step, in order, and their names.
struct Operands<C>(std::marker::PhantomData<C>);

impl<C: Cell> Operands<C> {
    const GATES: usize = C::GATES;
    const SEPARATE: usize = C::Separate::<f64>::LEN;
    const MEMORIES: usize = C::Memory::<f64>::LEN;
    /// The number of operands: gates, separate products, memories, and the hidden state.
    const ALL: usize = Self::GATES + Self::SEPARATE + Self::MEMORIES + 1;

    fn names() -> Vec<String> {
        let gates = (0..Self::GATES).map(|g| format!("d_gates[{g}]"));
        let separate = (0..Self::SEPARATE).map(|a| format!("d_separate[{a}]"));
        let memories = (0..Self::MEMORIES).map(|m| format!("d_memory[{m}]"));
        gates.chain(separate).chain(memories).chain(["d_hidden".to_string()]).collect()
    }
}

/// Compares each derivative of a step with dual numbers.
fn one_step<C: Cell>(cell: C, certificate: &mut Certificate) {
    let mut rng = StdRng::seed_from_u64(1);
    let names = Operands::<C>::names();
    let outputs = 1 + Operands::<C>::MEMORIES;
    // off[output][operand] and size[output][operand]: sums of squares over all points.
    let mut off = vec![vec![0.0; names.len()]; outputs];
    let mut size = off.clone();
    // A cell that couples the units of a row needs several of them.
    let units = if C::COUPLES_UNITS { 3 } else { 1 };
    for _ in 0..POINTS {
        let mut row = || Row((0..units).map(|_| StandardNormal.sample(&mut rng)).collect());
        let at: Vec<Row<f64>> = names.iter().map(|_| row()).collect();
        let d = if C::COUPLES_UNITS { row() } else { Row(vec![1.0]) };
        let weight = row().0[0];
        for output in 0..outputs {
            let by_hand = by_hand(cell, &at, weight, (output, &d));
            let exact = by_dual_numbers(cell, &at, weight, (output, &d));
            for (k, (by_hand, exact)) in by_hand.into_iter().zip(exact).enumerate() {
                for (by_hand, exact) in by_hand.0.into_iter().zip(exact.0) {
                    off[output][k] += (by_hand - exact).powi(2);
                    size[output][k] += exact.powi(2);
                }
            }
        }
    }
    for output in 0..outputs {
        let of = match output {
            0 => "h'".to_string(),
            m => format!("memory[{}]'", m - 1),
        };
        for (k, name) in names.iter().enumerate() {
            // If the derivative is zero at all points, the error is absolute.
            let norm = if size[output][k] == 0.0 { 1.0 } else { size[output][k] };
            let what = format!("one step: {name} (dual numbers, from d_{of})");
            certificate.add(what, (off[output][k] / norm).sqrt(), 1e-13);
        }
    }
}

/// The operands as the cell's components.
fn components<N: Clone, G: Components<N>, A: Components<N>, M: Components<N>>(
    at: &[N],
) -> (G, A, State<N, M>) {
    let (gates, rest) = at.split_at(G::LEN);
    let (separate, rest) = rest.split_at(A::LEN);
    let (memory, hidden) = rest.split_at(M::LEN);
    let before = State { hidden: hidden[0].clone(), memory: M::from_vec(memory.to_vec()) };
    (G::from_vec(gates.to_vec()), A::from_vec(separate.to_vec()), before)
}

fn has_gated<C: Cell>() -> bool {
    C::HIDDEN_TERMS.contains(&HiddenTerm::Gated)
}

/// The derivatives of one output with respect to all operands, by the cell's `step_backward`, if dLoss/d(output) is `d`.
/// `weight` is the weight of the gated hidden state.
fn by_hand<C: Cell>(
    cell: C,
    at: &[Row<f64>],
    weight: f64,
    (output, d): (usize, &Row<f64>),
) -> Vec<Row<f64>> {
    let mut at = at.to_vec();
    let last = C::GATES - 1;
    let components = components::<Row<f64>, C::Gates<_>, C::Separate<_>, C::Memory<_>>;
    if has_gated::<C>() {
        let (gates, _, before) = components(&at);
        at[last] = &at[last] + cell.gated_hidden(&gates, &before).scale(weight);
    }
    let (gates, separate, before) = components(&at);
    let (after, saved) = cell.step(gates, separate, &before);
    let zero = || Row(vec![0.0; d.0.len()]);
    let d_at = |place: usize| if place == output { d.clone() } else { zero() };
    let cotangent = State { hidden: d_at(0), memory: C::Memory::from_fn(|m| d_at(m + 1)) };
    let back = cell.step_backward(saved.clone(), &before, &after, cotangent);
    let Backward { d_gates, d_separate, d_hidden, d_memory } = match has_gated::<C>() {
        true => {
            let Backward { d_gates, d_separate, d_hidden, d_memory } = back;
            let all = d_gates.into_vec();
            let d_gated = all[last].scale(weight);
            let d_gates = C::Gates::from_vec(all);
            let so_far = Backward { d_gates, d_separate, d_hidden, d_memory };
            cell.gated_hidden_backward(&saved, &before, d_gated, so_far)
        }
        false => back,
    };
    let states = d_memory.into_vec().into_iter().chain([d_hidden.unwrap_or_else(zero)]);
    d_gates.into_vec().into_iter().chain(d_separate.into_vec()).chain(states).collect()
}

/// The same derivatives by dual numbers.
fn by_dual_numbers<C: Cell>(
    cell: C,
    at: &[Row<f64>],
    weight: f64,
    (output, d): (usize, &Row<f64>),
) -> Vec<Row<f64>> {
    let column = |seeded: (usize, usize)| {
        let slope = |at: (usize, usize)| if at == seeded { 1.0 } else { 0.0 };
        let row = |(k, row): (usize, &Row<f64>)| {
            let number = |(unit, &x): (usize, &f64)| Dual::new(x, [slope((k, unit))]);
            Row(row.0.iter().enumerate().map(number).collect())
        };
        let mut at: Vec<Row<Dual<f64, 1>>> = at.iter().enumerate().map(row).collect();
        let components = components::<Row<Dual<f64, 1>>, C::Gates<_>, C::Separate<_>, C::Memory<_>>;
        if has_gated::<C>() {
            let (gates, _, before) = components(&at);
            let gated = cell.gated_hidden(&gates, &before);
            at[C::GATES - 1] = &at[C::GATES - 1] + gated.scale(weight);
        }
        let (gates, separate, before) = components(&at);
        let (after, _saved) = cell.step(gates, separate, &before);
        let result = match output {
            0 => after.hidden,
            m => after.memory.into_vec().swap_remove(m - 1),
        };
        result.0.iter().zip(&d.0).map(|(x, d)| x.slopes[0] * d).sum()
    };
    let row = |k| Row((0..d.0.len()).map(|unit| column((k, unit))).collect());
    (0..Operands::<C>::ALL).map(row).collect()
}

/// The options with which layers of the cell are checked.
fn variants<C: Cell>() -> Vec<(&'static str, LayerOptions)> {
    // The kind only chooses defaults here. The layer has the cell that is passed.
    let base = LayerOptions { batch: 3, ..LayerOptions::plain(CellKind::Gru) };
    let mut all = vec![
        ("plain", base.clone()),
        ("no bias", LayerOptions { bias: false, ..base.clone() }),
        ("reverse", LayerOptions { reverse: true, ..base.clone() }),
        (
            "two layers, both directions, lengths",
            LayerOptions {
                num_layers: 2,
                bidirectional: true,
                lengths: Some(vec![5, 0, 3]),
                ..base.clone()
            },
        ),
        (
            "holes, held",
            LayerOptions {
                mask: Some((0..15).map(|i| i % 4 != 1).collect()),
                masked_output: MaskedOutput::Hold,
                ..base.clone()
            },
        ),
    ];
    // The first step, a step inside, the last step of a row, and one at its length.
    let resets = |places: [[usize; 2]; 4]| {
        let is_set = |i: usize| places.contains(&[i / 5, i % 5]);
        LayerOptions {
            resets: Some((0..15).map(is_set).collect()),
            reset_state: true,
            ..base.clone()
        }
    };
    let ragged = resets([[0, 0], [0, 2], [2, 2], [2, 3]]);
    let lengths = Some(vec![5, 0, 3]);
    all.push((
        "two layers, both directions, lengths, resets",
        LayerOptions { num_layers: 2, bidirectional: true, lengths, ..ragged },
    ));
    let holes = Some((0..15).map(|i| i % 4 != 1).collect());
    all.push((
        "holes, held, resets",
        LayerOptions {
            mask: holes,
            masked_output: MaskedOutput::Hold,
            ..resets([[0, 1], [0, 2], [1, 0], [2, 4]])
        },
    ));
    if CellLayout::of::<C>().has_recurrent_weights() {
        all.push(("two heads", LayerOptions { num_heads: 2, ..base.clone() }));
    }
    if C::PROJECTABLE {
        all.push(("projection", LayerOptions { proj_size: 2, ..base }));
    }
    all
}

/// A problem with these options for the cell.
fn problem<C: Cell>(name: &str, options: LayerOptions) -> Problem {
    let mut rng = StdRng::seed_from_u64(2);
    let deviation = 1.0 / (options.hidden_size as f64).sqrt();
    let shapes = options.given_of(&CellLayout::of::<C>()).expect("small sizes");
    let mut given = BTreeMap::new();
    for (name, shape) in shapes {
        let parameter = name.starts_with("weight") || name.starts_with("bias");
        let scale = if parameter { deviation } else { 1.0 };
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let values = (0..shape.iter().product()).map(|_| scale * normal()).collect();
        let mut array = Array { shape, values };
        if name.starts_with("weight_diag") {
            around_one(C::DIAGONAL_ROLES, &mut array);
        }
        given.insert(name, array);
    }
    into_domain(C::NAME, &mut given);
    Problem { name: name.to_string(), options, given, expected: BTreeMap::new() }
}

fn layers<C: Cell>(cell: C, device: &str, certificate: &mut Certificate) {
    let device = match device::open(device) {
        Ok(device) => device,
        Err(why) => return certificate.skipped.push(format!("layers: {why}")),
    };
    for (name, options) in variants::<C>() {
        let problem = problem::<C>(name, options);
        let exact: Values<f64> = columns::<f64, 8>(&Real(cell), &problem);
        let run = |engine, kernel| -> Result<Outcome, String> {
            let setting = Setting { engine, kernel, device: device.clone(), dtype: DType::F64 };
            let on = device.clone().autodiff();
            let layer = problem.options.config().stack().try_init(cell, &on);
            Ok(measure_layer(&problem, &setting, layer.map_err(|error| error.to_string())?))
        };
        let autograd = run(Engine::Autograd, Kernel::Auto);
        for (kernel, label) in
            [(Kernel::Auto, "fast kernel"), (Kernel::Reference, "reference kernel")]
        {
            let (manual, autograd) = match (run(Engine::Manual, kernel), autograd.clone()) {
                (Ok(manual), Ok(autograd)) => (manual, autograd),
                (Err(why), _) | (_, Err(why)) => {
                    certificate.skipped.push(format!("{name}: {why}"));
                    continue;
                }
            };
            for (tensor, values) in &manual {
                let what = |with: &str| format!("layer, {name}: {tensor} ({label}, {with})");
                let error = relative_error(values, &autograd[tensor]);
                certificate.add(what("autograd"), error, 1e-12);
                let shape = values.shape.clone();
                let exact = Array { shape, values: exact[tensor].clone() };
                certificate.add(what("dual numbers"), relative_error(values, &exact), 1e-13);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sabotaged;
    use crate::case;
    use bptt::cells::Lstm;
    use bptt::{CellVisitor, SequenceCell};

    #[test]
    fn the_projects_cells_are_right() {
        // A layer that runs as a scan has no cell of this kind.
        let cells = case::cells().into_iter().filter(|(_, options)| options.cell.cell().is_some());
        for (name, options) in cells {
            let certificate = options.cell().accept(Check);
            assert!(certificate.is_right(), "{name}: {certificate}");
            assert!(certificate.findings.len() > 3, "{name}: {certificate}");
        }
    }

    struct Check;

    impl CellVisitor for Check {
        type Output = Certificate;

        fn visit<C: Cell>(self, cell: C) -> Certificate {
            check(cell)
        }
    }

    #[test]
    fn a_wrong_gate_is_named_and_no_other() {
        for gate in 0..4 {
            let certificate = check(Sabotaged { cell: Lstm, gate });
            let in_step = |finding: &&Finding| finding.what.starts_with("one step");
            let wrong: Vec<_> =
                certificate.findings.iter().filter(in_step).filter(|f| !f.pass()).collect();
            assert!(!wrong.is_empty(), "{certificate}");
            let name = format!("d_gates[{gate}]");
            assert!(wrong.iter().all(|finding| finding.what.contains(&name)), "{certificate}");
        }
    }
}
