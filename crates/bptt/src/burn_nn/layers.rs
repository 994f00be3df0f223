//! Conversions of layers from and to `burn::nn`.

use crate::burn_nn::gates::{join, split};
use crate::burn_nn::refuse::refuse;
use crate::cell::{GruCell, LstmCell, Nonlinearity, RnnCell, SequenceCell};
use crate::error::ConversionError;
use crate::recurrent::{Options, Recurrent};
use crate::{Engine, Kernel};
use burn::nn::activation::Activation;
use burn::nn::{self, DropoutConfig, GateController};
use burn::nn::{Sigmoid, Tanh};

/// A layer of `burn::nn` in one direction.
trait Direction: Sized {
    /// The cell of bptt.
    type Cell: SequenceCell;

    /// The name in messages.
    const NAME: &'static str;

    /// The cell with its options; an error if the cell does not have one of them.
    fn cell(&self) -> Result<Self::Cell, ConversionError>;

    /// Its gates in PyTorch's order.
    fn gates(&self) -> Result<Vec<&GateController>, ConversionError>;

    /// Whether inputs are `[B, T, I]`, and whether the layer runs from the last step to the first.
    fn layout(&self) -> Layout;

    /// Makes the layer with these gates.
    fn from_gates(
        cell: &Self::Cell,
        gates: Vec<GateController>,
        d_hidden: usize,
        layout: Layout,
    ) -> Result<Self, ConversionError>;
}

#[derive(Clone, Copy)]
struct Layout {
    batch_first: bool,
    reverse: bool,
}

/// The layout that both directions of a bidirectional layer must have, because the layer itself reverses their inputs.
const WITHIN: Layout = Layout { batch_first: true, reverse: false };

fn sigmoid() -> Activation {
    Activation::Sigmoid(Sigmoid::new())
}

fn tanh() -> Activation {
    Activation::Tanh(Tanh::new())
}

/// The activation's name in Burn: `Relu`, `LeakyRelu`, …
fn activation_name(activation: &Activation) -> String {
    let text = format!("{activation:?}");
    text.split(['(', ' ', '{']).next().unwrap_or_default().to_string()
}

fn want(
    name: &str,
    option: &str,
    activation: &Activation,
    wanted: &Activation,
) -> Result<(), ConversionError> {
    if std::mem::discriminant(activation) == std::mem::discriminant(wanted) {
        return Ok(());
    }
    refuse(format!(
        "{name}: {option} is {}, and here it is always {}",
        activation_name(activation),
        activation_name(wanted),
    ))
}

fn no_clip(name: &str, clip: Option<f64>) -> Result<(), ConversionError> {
    match clip {
        None => Ok(()),
        Some(clip) => refuse(format!(
            "{name}: its hidden state is clipped to {clip}, and here only an LSTM's memory can be"
        )),
    }
}

impl Direction for nn::Rnn {
    type Cell = RnnCell;
    const NAME: &'static str = "burn::nn::Rnn";

    fn cell(&self) -> Result<RnnCell, ConversionError> {
        no_clip(Self::NAME, self.clip)?;
        match &self.hidden_activation {
            Activation::Tanh(_) => Ok(RnnCell(Nonlinearity::Tanh)),
            Activation::Relu(_) => Ok(RnnCell(Nonlinearity::Relu)),
            other => refuse(format!(
                "{}: hidden_activation is {}, and here it is Tanh or Relu",
                Self::NAME,
                activation_name(other),
            )),
        }
    }

    fn gates(&self) -> Result<Vec<&GateController>, ConversionError> {
        Ok(vec![&self.gate])
    }

    fn layout(&self) -> Layout {
        Layout { batch_first: self.batch_first, reverse: self.reverse }
    }

    fn from_gates(
        cell: &RnnCell,
        gates: Vec<GateController>,
        d_hidden: usize,
        layout: Layout,
    ) -> Result<Self, ConversionError> {
        let [gate] = exactly(gates);
        Ok(Self {
            gate,
            d_hidden,
            batch_first: layout.batch_first,
            reverse: layout.reverse,
            clip: None,
            hidden_activation: match cell.0 {
                Nonlinearity::Tanh => tanh(),
                Nonlinearity::Relu => Activation::Relu(nn::Relu::new()),
            },
        })
    }
}

impl Direction for nn::Lstm {
    type Cell = LstmCell;
    const NAME: &'static str = "burn::nn::Lstm";

    fn cell(&self) -> Result<LstmCell, ConversionError> {
        want(Self::NAME, "gate_activation", &self.gate_activation, &sigmoid())?;
        want(Self::NAME, "cell_activation", &self.cell_activation, &tanh())?;
        want(Self::NAME, "hidden_activation", &self.hidden_activation, &tanh())?;
        let cell = LstmCell { input_forget: self.input_forget, clip: self.clip };
        cell.check().map_err(|reason| ConversionError::new(format!("{}: {reason}", Self::NAME)))?;
        Ok(cell)
    }

    fn gates(&self) -> Result<Vec<&GateController>, ConversionError> {
        // With coupled gates Burn ignores the forget gate, if there is one.
        match (self.input_forget, &self.forget_gate) {
            (true, _) => Ok(vec![&self.input_gate, &self.cell_gate, &self.output_gate]),
            (false, Some(forget_gate)) => {
                Ok(vec![&self.input_gate, forget_gate, &self.cell_gate, &self.output_gate])
            }
            (false, None) => refuse(format!(
                "{}: there is no forget gate, although input_forget is false",
                Self::NAME
            )),
        }
    }

    fn layout(&self) -> Layout {
        Layout { batch_first: self.batch_first, reverse: self.reverse }
    }

    fn from_gates(
        cell: &LstmCell,
        mut gates: Vec<GateController>,
        d_hidden: usize,
        layout: Layout,
    ) -> Result<Self, ConversionError> {
        let forget_gate = (!cell.input_forget).then(|| gates.remove(1));
        let [input_gate, cell_gate, output_gate] = exactly(gates);
        Ok(Self {
            input_gate,
            forget_gate,
            output_gate,
            cell_gate,
            d_hidden,
            batch_first: layout.batch_first,
            reverse: layout.reverse,
            clip: cell.clip,
            input_forget: cell.input_forget,
            gate_activation: sigmoid(),
            cell_activation: tanh(),
            hidden_activation: tanh(),
        })
    }
}

// Burn's equations are the same: `h' = (1 - z) ⊙ n + z ⊙ h`, with a bias for each product in every gate, and with both
// forms of the reset.
impl Direction for nn::Gru {
    type Cell = GruCell;
    const NAME: &'static str = "burn::nn::Gru";

    fn cell(&self) -> Result<GruCell, ConversionError> {
        no_clip(Self::NAME, self.clip)?;
        want(Self::NAME, "gate_activation", &self.gate_activation, &sigmoid())?;
        want(Self::NAME, "hidden_activation", &self.hidden_activation, &tanh())?;
        Ok(GruCell { reset_after: self.reset_after })
    }

    fn gates(&self) -> Result<Vec<&GateController>, ConversionError> {
        Ok(vec![&self.reset_gate, &self.update_gate, &self.new_gate])
    }

    fn layout(&self) -> Layout {
        WITHIN
    }

    fn from_gates(
        cell: &GruCell,
        gates: Vec<GateController>,
        d_hidden: usize,
        layout: Layout,
    ) -> Result<Self, ConversionError> {
        if layout.reverse {
            return refuse(format!("{}: it has no reverse", Self::NAME));
        }
        if !layout.batch_first {
            return refuse(format!("{}: its inputs are always [B, T, I]", Self::NAME));
        }
        let [reset_gate, update_gate, new_gate] = exactly(gates);
        Ok(Self {
            update_gate,
            reset_gate,
            new_gate,
            d_hidden,
            reset_after: cell.reset_after,
            gate_activation: sigmoid(),
            hidden_activation: tanh(),
            clip: None,
        })
    }
}

fn exactly<const N: usize>(gates: Vec<GateController>) -> [GateController; N] {
    gates.try_into().unwrap_or_else(|_| panic!("as many gates as the cell has"))
}

/// Makes a layer of bptt from one or two directions of `burn::nn`.
fn ours<D: Direction>(
    directions: &[&D],
    layout: Layout,
) -> Result<Recurrent<D::Cell>, ConversionError> {
    let mut weights = Vec::with_capacity(directions.len());
    for direction in directions {
        weights.push(join(D::NAME, &direction.gates()?)?);
    }
    let cell = directions[0].cell()?;
    let sizes = weights[0].weight_ih.dims();
    let d_hidden = weights[0].weight_hh.val().dims()[1];
    let bias = weights[0].bias_ih.is_some();
    if let [forward, reverse] = directions {
        // The cells are compared by their `Debug` output, which has all of their options.
        let same = format!("{cell:?}") == format!("{:?}", reverse.cell()?)
            && sizes == weights[1].weight_ih.dims()
            && bias == weights[1].bias_ih.is_some();
        if !same {
            return refuse(format!(
                "{}: its two directions differ in sizes, bias or options, and here they share them",
                D::NAME
            ));
        }
        let Layout { batch_first, reverse } = forward.layout();
        if !batch_first || reverse {
            return refuse(format!(
                "{}: the forward direction of a bidirectional layer has batch_first = \
                 {batch_first} and reverse = {reverse}, which Burn's config never sets",
                D::NAME
            ));
        }
    }
    Ok(Recurrent {
        weights: weights.into(),
        dropout: DropoutConfig::new(0.0).init(),
        cell,
        custom_kernel: None,
        gradient_probe: None,
        noise: None,
        options: Options {
            d_input: sizes[1],
            d_hidden,
            num_layers: 1,
            proj_size: None,
            num_heads: 1,
            batch_first: layout.batch_first,
            bidirectional: directions.len() == 2,
            reverse: layout.reverse,
            engine: Engine::default(),
            kernel: Kernel::default(),
            trace_budget: None,
        },
    })
}

/// Makes the directions of `burn::nn` from a layer of bptt, each with this layout.
fn theirs<D: Direction>(
    layer: &Recurrent<D::Cell>,
    bidirectional: bool,
    layout: Layout,
) -> Result<Vec<D>, ConversionError> {
    let (name, options) = (layer.cell.name(), &layer.options);
    if options.num_layers > 1 {
        return refuse(format!(
            "{name}: it has {} layers, and {} has one",
            options.num_layers,
            D::NAME
        ));
    }
    if options.proj_size.is_some() {
        return refuse(format!("{name}: it has a projection, and {} has none", D::NAME));
    }
    if options.num_heads > 1 {
        let heads = options.num_heads;
        return refuse(format!("{name}: it has {heads} heads, and {} has none", D::NAME));
    }
    if options.bidirectional != bidirectional {
        let (has, bi) =
            if bidirectional { ("one direction", "") } else { ("two directions", "Bi") };
        let family = D::NAME.replace("burn::nn::", &format!("burn::nn::{bi}"));
        return refuse(format!("{name}: it has {has}, and is a {family}"));
    }
    let each = layer.weights.iter().map(|weights| {
        let gates = split(weights, layer.cell.gates());
        D::from_gates(&layer.cell, gates, options.d_hidden, layout)
    });
    each.collect()
}

macro_rules! conversions {
    ($($Ours:ident is $One:ident or $Two:ident;)*) => {$(
        impl TryFrom<nn::$One> for crate::$Ours {
            type Error = ConversionError;

            /// See [`burn_nn`](crate::burn_nn).
            fn try_from(layer: nn::$One) -> Result<Self, ConversionError> {
                check_hidden(<nn::$One as Direction>::NAME, layer.d_hidden, &layer)?;
                ours(&[&layer], layer.layout())
            }
        }

        impl TryFrom<nn::$Two> for crate::$Ours {
            type Error = ConversionError;

            /// See [`burn_nn`](crate::burn_nn).
            fn try_from(layer: nn::$Two) -> Result<Self, ConversionError> {
                let layout = Layout { batch_first: layer.batch_first, reverse: false };
                check_hidden(<nn::$One as Direction>::NAME, layer.d_hidden, &layer.forward)?;
                ours(&[&layer.forward, &layer.reverse], layout)
            }
        }

        impl TryFrom<crate::$Ours> for nn::$One {
            type Error = ConversionError;

            /// See [`burn_nn`](crate::burn_nn).
            fn try_from(layer: crate::$Ours) -> Result<Self, ConversionError> {
                let Options { batch_first, reverse, .. } = layer.options;
                let mut directions = theirs(&layer, false, Layout { batch_first, reverse })?;
                Ok(directions.remove(0))
            }
        }

        impl TryFrom<crate::$Ours> for nn::$Two {
            type Error = ConversionError;

            /// See [`burn_nn`](crate::burn_nn).
            fn try_from(layer: crate::$Ours) -> Result<Self, ConversionError> {
                let mut directions = theirs::<nn::$One>(&layer, true, WITHIN)?;
                let reverse = directions.remove(1);
                Ok(Self {
                    forward: directions.remove(0),
                    reverse,
                    d_hidden: layer.options.d_hidden,
                    batch_first: layer.options.batch_first,
                })
            }
        }
    )*};
}
conversions! {
    Rnn is Rnn or BiRnn;
    Lstm is Lstm or BiLstm;
    Gru is Gru or BiGru;
}

fn check_hidden<D: Direction>(
    name: &str,
    d_hidden: usize,
    layer: &D,
) -> Result<(), ConversionError> {
    let found = layer.gates()?[0].hidden_transform.weight.dims()[0];
    if found == d_hidden {
        return Ok(());
    }
    refuse(format!("{name}: d_hidden is {d_hidden}, and the weights are for {found}"))
}
