//! A cell whose backward step is wrong on purpose, to test whether the checks notice.

use crate::measure::Outcome;
use crate::problem::Problem;
use crate::setting::Setting;
use bptt::cells::{Backward, Cell, Components, Rectify, State, Wrapper, wrapper_cell};

/// A cell with the wrong sign in the gradient of one gate. Its forward step is not changed. So the autograd engine,
/// which uses no hand-written backward step, gives the true gradients.
#[derive(Clone, Copy, Debug)]
pub struct Sabotaged<C> {
    /// The cell.
    pub cell: C,
    /// Which gate.
    pub gate: usize,
}

wrapper_cell!(Sabotaged<C: Cell>);

impl<C: Cell> Wrapper for Sabotaged<C> {
    type Inner = C;

    fn inner(&self) -> &C {
        &self.cell
    }

    fn step_backward<N: Rectify>(
        &self,
        saved: C::Saved<N>,
        before: &State<N, C::Memory<N>>,
        after: &State<N, C::Memory<N>>,
        cotangent: State<N, C::Memory<N>>,
    ) -> Backward<C, N> {
        let Backward { d_gates, d_separate, d_hidden, d_memory } =
            self.cell.step_backward(saved, before, after, cotangent);
        let mut gates = d_gates.into_vec();
        gates[self.gate] = -gates[self.gate].clone();
        Backward { d_gates: C::Gates::from_vec(gates), d_separate, d_hidden, d_memory }
    }
}

/// Measures a problem. If it has a plain LSTM, the sign of this gate's gradient is wrong.
///
/// # Errors
///
/// One line, if the options do not make a layer.
#[cfg(feature = "sabotage")]
pub(crate) fn measure(
    problem: &Problem,
    setting: &Setting,
    gate: usize,
) -> Result<Outcome, String> {
    let is_other = problem.options.clip.is_some() || problem.options.has_candidate_mask();
    if problem.options.cell_name() != "lstm" || is_other {
        return crate::measure::measure(problem, setting);
    }
    let cell = Sabotaged { cell: bptt::cells::Lstm, gate };
    let device = setting.device.clone().autodiff();
    let layer = problem.options.config().stack().try_init(cell, &device);
    let layer = layer.map_err(|error| error.to_string())?;
    Ok(crate::measure::measure_layer(problem, setting, layer))
}

/// Returns an error, because the feature is off. The sabotaged LSTM is another instantiation of every kernel, which few
/// builds need.
///
/// # Errors
///
/// One line that says how to build it.
#[cfg(not(feature = "sabotage"))]
pub(crate) fn measure(_: &Problem, _: &Setting, gate: usize) -> Result<Outcome, String> {
    Err(format!(
        "this build has no sabotaged cell; build it in: \
         cargo run --release --features sabotage -- verify --sabotage {gate}"
    ))
}
