//! An initial state that is learned.

use crate::cell::SequenceCell;
use crate::recurrent::Recurrent;
use crate::state::RecurrentState;
use burn::Tensor;
use burn::module::{Module, Param};

/// The state that sequences begin from, as parameters: one state, which all rows of a batch share. Its gradient is the
/// sum over the rows. It is a module of its own beside the layer, so that a layer's parameters stay PyTorch's.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::LstmConfig;
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex().autodiff();
/// let lstm = LstmConfig::new(3, 8).init(&device);
/// let initial = lstm.initial_state(); // zeros, to begin with
///
/// let input = Tensor::<3>::random([4, 10, 3], Distribution::Default, &device);
/// let (output, _) = lstm.forward(input, Some(initial.state(4)));
/// let gradients = output.sum().backward();
/// assert_eq!(initial.hidden.grad(&gradients).unwrap().dims(), [1, 1, 8]);
/// # }
/// ```
///
/// As the [reset state](crate::SequenceOptions::with_reset_state), `state(1)` is enough for all rows.
#[derive(Module, Debug)]
pub struct InitialState {
    /// `[L·D, 1, P]`
    pub hidden: Param<Tensor<3>>,
    /// `[L·D·M, 1, H]`, for cells with memory.
    pub memory: Option<Param<Tensor<3>>>,
}

impl InitialState {
    /// Begins with the state that is given.
    ///
    /// # Arguments
    ///
    /// - `first`: the state of one row, hidden `[L·D, 1, P]`, such as `layer.zero_state(1, &input)`
    ///
    /// # Panics
    ///
    /// If the state has more or fewer rows than one.
    pub fn new<S: RecurrentState>(first: S) -> Self {
        let (hidden, memory) = first.detach().into_parts();
        let rows = hidden.dims()[1];
        assert!(
            rows == 1,
            "an initial state of {rows} rows: expected one row, which all rows share"
        );
        Self { hidden: Param::from_tensor(hidden), memory: memory.map(Param::from_tensor) }
    }

    /// The state of a batch. Gradients flow into the parameters.
    ///
    /// # Arguments
    ///
    /// - `batch`: `B`
    ///
    /// # Returns
    ///
    /// The state, hidden `[L·D, B, P]`.
    ///
    /// # Panics
    ///
    /// If the state's type has a memory and this has none.
    pub fn state<S: RecurrentState>(&self, batch: usize) -> S {
        let of_batch = |param: &Param<Tensor<3>>| {
            let [planes, _, size] = param.dims();
            param.val().expand([planes, batch, size])
        };
        S::from_parts(of_batch(&self.hidden), self.memory.as_ref().map(of_batch))
    }
}

impl<C: SequenceCell> Recurrent<C> {
    /// An initial state of zeros for this layer, to be learned. See [`InitialState`].
    pub fn initial_state(&self) -> InitialState {
        InitialState::new(self.zero_state(1, &self.weights[0].weight_ih.val()))
    }
}
