//! The layers that are measured, those of bptt and those of `burn::nn`, with one interface.

use crate::bench::settings::{Contender, Mode, Settings};
use bptt::{
    AnyLayer, AnyLayerConfig, AnyRecurrentConfig, AnyState, CellKind, RecurrentLayer, cast,
};
use burn::Tensor;
use burn::module::Module;
use burn::nn;
use burn::tensor::Device;

/// A layer of bptt or of `burn::nn`.
#[allow(clippy::large_enum_variant, reason = "there is one, on the stack")]
pub(super) enum Model {
    Ours(AnyLayer),
    Rnn(nn::Rnn),
    Lstm(nn::Lstm),
    Gru(nn::Gru),
}

/// The state that a [`Model`] carries from step to step.
pub(super) enum State {
    Ours(AnyState),
    Rnn(nn::RnnState<2>),
    Lstm(nn::LstmState<2>),
    Gru(Tensor<2>),
}

/// The layer of this project, in `f32`, on a device without autodiff.
pub(super) fn layer(settings: &Settings, device: &Device) -> Result<AnyLayer, String> {
    let Contender::Ours(engine) = settings.engine else {
        return Err(format!("{} is not a layer of bptt", settings.engine.name()));
    };
    let config = match settings.cell.cell() {
        Some(cell) => AnyRecurrentConfig::new(cell, settings.input, settings.hidden)
            .with_num_heads(settings.heads)
            .with_noise(settings.noise)
            .into(),
        None => AnyLayerConfig::new(settings.cell, settings.input, settings.hidden),
    };
    config
        .with_num_layers(settings.layers)
        .with_bidirectional(settings.bidirectional)
        .with_engine(engine)
        .with_kernel(settings.kernel)
        .try_init(device)
        .map_err(|error| error.to_string())
}

impl Model {
    /// The layer that the settings name.
    ///
    /// # Arguments
    ///
    /// - `device`: without autodiff; for training, the layer is on the device with autodiff then
    pub(super) fn new(settings: &Settings, device: &Device) -> Result<Self, String> {
        /// In its type before it is on the tape, so that its parameters are leaves there and no results of a cast.
        fn typed<M: Module>(settings: &Settings, module: M) -> M {
            let module = cast(module, settings.dtype.burn());
            if settings.mode == Mode::Train { module.train() } else { module }
        }
        let (input, hidden) = (settings.input, settings.hidden);
        Ok(match (settings.engine, settings.cell.cell()) {
            (Contender::Ours(_), _) => Self::Ours(typed(settings, layer(settings, device)?)),
            (_, Some(CellKind::Rnn)) => {
                Self::Rnn(typed(settings, nn::RnnConfig::new(input, hidden, true).init(device)))
            }
            (_, Some(CellKind::Lstm)) => {
                Self::Lstm(typed(settings, nn::LstmConfig::new(input, hidden, true).init(device)))
            }
            (_, Some(CellKind::Gru)) => {
                Self::Gru(typed(settings, nn::GruConfig::new(input, hidden, true).init(device)))
            }
            _ => {
                let name = settings.cell.name();
                return Err(format!("burn::nn has no layer of the cell {name}"));
            }
        })
    }

    /// `[B, T, I]` to `[B, T, D·H]`.
    pub(super) fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Ours(layer) => layer.forward(input, None).0,
            Self::Rnn(layer) => layer.forward(input, None).0,
            Self::Lstm(layer) => layer.forward(input, None).0,
            Self::Gru(layer) => layer.forward(input, None),
        }
    }

    pub(super) fn train(&self, input: &Tensor<3>, device: &Device) -> Result<(), String> {
        let input = input.clone().detach().require_grad();
        let gradients = self.forward(input.clone()).sum().backward();
        let of_input = input.grad(&gradients);
        wait(device)?;
        drop((of_input, gradients));
        Ok(())
    }

    pub(super) fn stream(&self, row: &Tensor<2>, steps: usize) {
        let mut state = None;
        for _ in 0..steps {
            state = Some(self.step(row.clone(), state));
        }
    }

    /// One step of a stream.
    pub(super) fn step(&self, input: Tensor<2>, state: Option<State>) -> State {
        // Burn's layers have no `step`, so this runs a sequence of one step.
        let one = |input: Tensor<2>| input.unsqueeze_dim::<3>(1);
        match (self, state) {
            (Self::Ours(layer), Some(State::Ours(state))) => {
                State::Ours(layer.step(input, Some(state)).1)
            }
            (Self::Ours(layer), _) => State::Ours(layer.step(input, None).1),
            (Self::Rnn(layer), Some(State::Rnn(state))) => {
                State::Rnn(layer.forward(one(input), Some(state)).1)
            }
            (Self::Rnn(layer), _) => State::Rnn(layer.forward(one(input), None).1),
            (Self::Lstm(layer), Some(State::Lstm(state))) => {
                State::Lstm(layer.forward(one(input), Some(state)).1)
            }
            (Self::Lstm(layer), _) => State::Lstm(layer.forward(one(input), None).1),
            (Self::Gru(layer), Some(State::Gru(state))) => {
                State::Gru(layer.forward(one(input), Some(state)).squeeze_dim(1))
            }
            (Self::Gru(layer), _) => State::Gru(layer.forward(one(input), None).squeeze_dim(1)),
        }
    }
}

/// Waits until the device has finished its work.
pub(super) fn wait(device: &Device) -> Result<(), String> {
    device.sync().map_err(|error| {
        let error = error.to_string();
        format!("the device failed while it was measured: {}", error.lines().next().unwrap_or(""))
    })
}
