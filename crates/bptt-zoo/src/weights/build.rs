//! From a layer's tensors in a file to a layer.

use crate::weights::contents::Tensors;
use crate::weights::layer::{FoundLayer, LayerOptions};
#[cfg(feature = "diagonal-cells")]
use bptt::IndRnnCell;
#[cfg(feature = "gated-cells")]
use bptt::cells::Lem;
#[cfg(feature = "diagonal-cells")]
use bptt::cells::Unicornn;
use bptt::{
    AnyCell, CellKind, GruCell, LstmCell, Nonlinearity, Recurrent, RnnCell, SequenceCell,
    StackConfig,
};
use burn::Tensor;
use burn::module::{Initializer, Param};
use burn::tensor::{DType, Device, TensorData};

/// Makes a layer of the tensors that were found.
pub(super) fn build<C: FileCell>(
    layer: &FoundLayer,
    options: &LayerOptions,
    cell: C,
    tensors: &Tensors,
    dtype: Option<DType>,
    device: &Device,
) -> Result<Recurrent<C>, String> {
    // Random values would be replaced at once, and drawing them would change the next random numbers of the device.
    let config = StackConfig::new(layer.d_input, layer.d_hidden)
        .with_num_layers(layer.num_layers)
        .with_num_heads(layer.num_heads)
        .with_proj_size((layer.proj_size > 0).then_some(layer.proj_size))
        .with_bias(layer.bias)
        .with_batch_first(options.batch_first)
        .with_dropout(options.dropout)
        .with_noise(options.noise)
        .with_bidirectional(layer.bidirectional)
        .with_reverse(options.reverse)
        .with_input_initializer(Initializer::Zeros.into())
        .with_recurrent_initializer(Initializer::Zeros.into())
        .with_bias_initializer(Initializer::Zeros.into());
    let mut made = config.try_init(cell, device).map_err(|error| error.to_string())?;
    let dtype = dtype.unwrap_or_else(|| layer.element(tensors).dtype());
    let values = |part: &str, suffix: &str| {
        let name = format!("{}{part}{suffix}", layer.prefix);
        let array = &tensors[&name];
        let (bytes, from) = (array.bytes().to_vec(), array.element().dtype());
        TensorData::from_bytes_vec(bytes, array.shape().to_vec(), from).convert_dtype(dtype)
    };
    let suffixes: Vec<_> = made.suffixes().collect();
    for (weights, suffix) in made.weights.iter_mut().zip(&suffixes) {
        let of = |part: &str| values(part, suffix);
        weights.weight_ih = matrix(of("weight_ih"), device, dtype);
        weights.weight_hh = match layer.num_heads {
            1 => matrix(of("weight_hh"), device, dtype).into(),
            _ => {
                let blocks = Tensor::<3>::from_data(of("weight_hh"), (device, dtype));
                Param::from_tensor(blocks).into()
            }
        };
        weights.bias_ih = layer.bias.then(|| vector(of("bias_ih"), device, dtype));
        // A cell without recurrent products has one bias.
        weights.bias_hh = weights.bias_hh.is_some().then(|| vector(of("bias_hh"), device, dtype));
        let diagonal = weights.weight_diag.is_some();
        weights.weight_diag = diagonal.then(|| matrix(of("weight_diag"), device, dtype));
        let projected = layer.proj_size > 0;
        weights.weight_hr = projected.then(|| matrix(of("weight_hr"), device, dtype));
    }
    Ok(made)
}

fn matrix(data: TensorData, device: &Device, dtype: DType) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::from_data(data, (device, dtype)))
}

fn vector(data: TensorData, device: &Device, dtype: DType) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::from_data(data, (device, dtype)))
}

/// The cell of a layer that was found.
///
/// # Errors
///
/// If it has a rectifier, and this build has the cell without one only.
pub(super) fn cell(layer: &FoundLayer, options: &LayerOptions) -> Result<AnyCell, String> {
    let cell = match layer.cell {
        CellKind::Rnn => AnyCell::Rnn(RnnCell(options.nonlinearity)),
        CellKind::Lstm => {
            AnyCell::Lstm(LstmCell { input_forget: options.input_forget, clip: options.clip })
        }
        CellKind::Gru => AnyCell::Gru(GruCell { reset_after: options.reset_after }),
        #[cfg(feature = "diagonal-cells")]
        CellKind::IndRnn => AnyCell::IndRnn(IndRnnCell(options.nonlinearity)),
        #[cfg(feature = "diagonal-cells")]
        CellKind::Unicornn => {
            let cell = Unicornn::default();
            let [step, alpha] = options.oscillator.unwrap_or([cell.step, cell.alpha]);
            if ![step, alpha].iter().all(|number| number.is_finite()) {
                return Err(format!("its oscillators have Δ = {step} and α = {alpha}: not finite"));
            }
            AnyCell::Unicornn(Unicornn { step, alpha })
        }
        #[cfg(feature = "gated-cells")]
        CellKind::Lem => {
            let step = options.time_step.unwrap_or(Lem::default().step);
            if !step.is_finite() {
                return Err(format!("its time step is Δ = {step}: not finite"));
            }
            AnyCell::Lem(Lem { step })
        }
        other => other.default_cell(),
    };
    match options.nonlinearity == Nonlinearity::Relu && !cell.name().ends_with("-relu") {
        true if cell.name().ends_with("-tanh") => Err(format!(
            "its cell is {} with relu, which this build does not have",
            layer.cell.name()
        )),
        _ => Ok(cell),
    }
}

/// A cell whose layers can be in a file: those of [`Rnn`](bptt::Rnn), [`Lstm`](bptt::Lstm), [`Gru`](bptt::Gru) and
/// [`AnyRecurrent`](bptt::AnyRecurrent).
pub trait FileCell: SequenceCell {
    /// Converts the cell, if it is of this kind.
    fn of_any(cell: AnyCell) -> Option<Self>;

    /// Converts the cell to the type that holds any cell.
    fn any(&self) -> AnyCell;
}

impl FileCell for AnyCell {
    fn of_any(cell: AnyCell) -> Option<Self> {
        Some(cell)
    }

    fn any(&self) -> AnyCell {
        *self
    }
}

macro_rules! file_cell {
    ($Cell:ident, $kind:ident) => {
        impl FileCell for $Cell {
            fn of_any(cell: AnyCell) -> Option<Self> {
                match cell {
                    AnyCell::$kind(cell) => Some(cell),
                    _ => None,
                }
            }

            fn any(&self) -> AnyCell {
                AnyCell::$kind(*self)
            }
        }
    };
}

file_cell!(RnnCell, Rnn);
file_cell!(LstmCell, Lstm);
file_cell!(GruCell, Gru);
