//! The model: its loss, gradient and Hessian-vector products.

use crate::curvature::{Dual, LayerResults, Point, Variables, hessian_vector_product};
use crate::dynamics::Matrix;
use crate::readout::data::{Batch, Input, Reads};
use crate::readout::loss::{Scored, score};
use crate::readout::parameters::{self, Block, Cursor, entries, extend, extend_weights};
use bptt::{AnyCell, Recurrent, RecurrentState, SequenceCell, SequenceMask};
use burn::Tensor;
use burn::tensor::{DType, IndexingUpdateOp};

/// A model: recurrent layers and a linear layer.
#[derive(Clone, Debug)]
pub struct Readout<C: SequenceCell> {
    /// A vector for each token, `[V, E]`, if inputs are tokens.
    pub embedding: Option<Tensor<2>>,
    /// The recurrent layers. They take `[B, T, I]`.
    pub recurrent: Recurrent<C>,
    /// The weight of the linear layer, `[D·P, O]`, as in `burn::nn::Linear`.
    pub weight: Tensor<2>,
    /// Its bias, `[O]`.
    pub bias: Option<Tensor<1>>,
    /// What it reads.
    pub reads: Reads,
}

/// The loss at a point, with its derivatives.
#[derive(Clone, Debug)]
pub struct Derivatives {
    /// The loss, times the share of its batch.
    pub loss: f64,
    /// Its gradient.
    pub gradient: Vec<f64>,
    /// Its Hessian times the direction; zeros without a direction.
    pub product: Vec<f64>,
}

impl Readout<AnyCell> {
    /// [`derivatives`](Self::derivatives), compiled in this crate. Each crate that calls the generic one compiles the kernels of
    /// all cells in dual numbers once more.
    pub fn any_derivatives(&self, batches: &[Batch], direction: Option<&[f64]>) -> Derivatives {
        self.derivatives(batches, direction)
    }
}

impl<C: SequenceCell> Readout<C> {
    /// The same in another float type.
    pub fn cast(mut self, dtype: DType) -> Self {
        for weights in &mut self.recurrent.weights {
            parameters::cast(weights, dtype);
        }
        Self {
            embedding: self.embedding.map(|embedding| embedding.cast(dtype)),
            weight: self.weight.cast(dtype),
            bias: self.bias.map(|bias| bias.cast(dtype)),
            ..self
        }
    }

    /// All parameters.
    pub fn parameters(&self) -> Vec<f64> {
        let mut all = Vec::new();
        all.extend(self.embedding.iter().flat_map(entries));
        self.recurrent.weights.iter().for_each(|weights| extend_weights(&mut all, weights));
        all.extend(entries(&self.weight));
        all.extend(self.bias.iter().flat_map(entries));
        all
    }

    /// The same with other parameters, in the order of [`parameters`](Self::parameters). They are rounded to the type of
    /// each tensor.
    ///
    /// # Panics
    ///
    /// If there are too few.
    pub fn with_parameters(mut self, values: &[f64]) -> Self {
        let mut left = Cursor::new(Some(values));
        self.embedding = self.embedding.map(|table| left.take(&table));
        for weights in &mut self.recurrent.weights {
            left.replace(&mut weights.weight_ih);
            let values = left.take(&weights.weight_hh.val());
            weights.weight_hh = weights.weight_hh.with_values(values);
            weights.bias_ih.iter_mut().for_each(|bias| left.replace(bias));
            weights.bias_hh.iter_mut().for_each(|bias| left.replace(bias));
            weights.weight_hr.iter_mut().for_each(|weight| left.replace(weight));
            weights.weight_diag.iter_mut().for_each(|weight| left.replace(weight));
        }
        self.weight = left.take(&self.weight);
        self.bias = self.bias.map(|bias| left.take(&bias));
        self
    }

    /// Which part of the parameters each tensor is.
    pub fn blocks(&self) -> Vec<Block> {
        parameters::blocks(
            self.embedding.as_ref(),
            &self.recurrent,
            &self.weight,
            self.bias.as_ref(),
        )
    }

    /// The loss of some batches, its gradient, and its Hessian times a direction.
    ///
    /// # Arguments
    ///
    /// - `direction`: in the order of [`parameters`](Self::parameters); `None`: only the loss and the gradient
    ///
    /// # Panics
    ///
    /// If shapes do not fit.
    pub fn derivatives(&self, batches: &[Batch], direction: Option<&[f64]>) -> Derivatives {
        let count = self.blocks().last().map_or(0, |block| block.range.end);
        let zeros = vec![0.0; count];
        let mut sum = Derivatives { loss: 0.0, gradient: zeros.clone(), product: zeros };
        for batch in batches {
            let of = self.of_batch(batch, direction);
            sum.loss += of.loss;
            let add = |to: &mut Vec<f64>, from: &[f64]| {
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            };
            add(&mut sum.gradient, &of.gradient);
            add(&mut sum.product, &of.product);
        }
        sum
    }

    fn of_batch(&self, batch: &Batch, direction: Option<&[f64]>) -> Derivatives {
        let mut along = Cursor::new(direction);
        let embedding = self.embedding.as_ref();
        let embedding = embedding.map(|e| Dual::new(e.clone(), along.take_like(e)));
        let mut layers = Variables::none(&self.recurrent);
        for (to, weights) in layers.weights.iter_mut().zip(&self.recurrent.weights) {
            *to = along.take_weights(weights);
        }
        let weight = Dual::new(self.weight.clone(), along.take_like(&self.weight));
        let bias = self.bias.as_ref().map(|b| Dual::new(b.clone(), along.take_like(b)));

        let input = self.input(batch, embedding.as_ref());
        layers.input = input.tangent;
        let mut at = Point::new(input.value);
        at.hidden = batch.hidden.clone();
        at.memory = batch.memory.clone();
        at.mask = batch.lengths.as_ref().map(|l| SequenceMask::Lengths(l.clone().into()));

        let mut scored = None;
        let found = hessian_vector_product(&self.recurrent, &at, &layers, |results| {
            let read = self.read(results);
            let [batch_size, time, _] = results.output.value.dims();
            let rows = batch.row_weights(self.reads, [batch_size, time], &read.value);
            let of = score(&read, &weight, bias.as_ref(), &batch.target, &rows);
            let d_results = self.spread(results, &of.d_read);
            scored = Some(of);
            d_results
        });
        let scored = scored.expect("the loss was asked for its slope");
        let gradient = self.collect(batch, &found.gradient, &scored, |x| x.value.clone());
        let product = match direction {
            None => vec![0.0; gradient.len()],
            Some(_) => self.collect(batch, &found.product, &scored, tangent),
        };
        Derivatives { loss: scored.loss, gradient, product }
    }

    /// For each row of a batch, the derivative of the row's own loss with respect to the output of the last layer at each
    /// of its steps, `[steps, P]`. A row's own loss is the mean over its answers.
    ///
    /// # Panics
    ///
    /// If shapes do not fit, or if the layers have a backward direction.
    pub fn output_gradients(&self, batch: &Batch) -> Vec<Matrix> {
        assert!(!self.recurrent.is_bidirectional(), "the outputs of one direction");
        let embedding = self.embedding.clone().map(Dual::constant);
        let input = self.input(batch, embedding.as_ref()).value;
        let [rows, time, _] = input.dims();
        let (hidden, memory) = self.recurrent.zero_state(rows, &input).into_parts();
        let hidden = batch.hidden.clone().unwrap_or(hidden);
        let state = Some(C::State::from_parts(hidden, batch.memory.clone().or(memory)));
        let (output, state) = match &batch.lengths {
            Some(lengths) => self.recurrent.forward_lengths(input, lengths, state),
            None => self.recurrent.forward(input, state),
        };
        let (hidden, _) = state.into_parts();
        let results = LayerResults {
            output: Dual::constant(output),
            hidden: Dual::constant(hidden),
            memory: None,
        };
        let read = self.read(&results);
        let weights = batch.row_weights(self.reads, [rows, time], &read.value);
        let weight = Dual::constant(self.weight.clone());
        let bias = self.bias.clone().map(Dual::constant);
        let d_read = score(&read, &weight, bias.as_ref(), &batch.target, &weights).d_read;
        let (d_read, weights) = (Matrix::from_tensor(d_read.value), Matrix::from_tensor(weights));
        let of_row = |row: usize| {
            let steps = batch.lengths.as_ref().map_or(time, |lengths| lengths[row]);
            // The place of a step's answer among the rows that were read, and how many answers the row has.
            let place = |step: usize| match self.reads {
                Reads::EveryStep => Some(row * time + step),
                Reads::LastHidden => (step + 1 == steps).then_some(row),
            };
            let answers = if self.reads == Reads::EveryStep { steps } else { 1 };
            Matrix::from_fn(steps, d_read.columns(), |step, unit| {
                let own = |at: usize| d_read.row(at)[unit] / weights.row(at)[0] / answers as f64;
                place(step).map_or(0.0, own)
            })
        };
        (0..rows).map(of_row).collect()
    }

    /// What the recurrent layers read of a batch, `[B, T, I]`.
    pub(crate) fn sequences(&self, batch: &Batch) -> Tensor<3> {
        let embedding = self.embedding.as_ref().map(|table| Dual::constant(table.clone()));
        self.input(batch, embedding.as_ref()).value
    }

    /// The same, in dual numbers.
    fn input(&self, batch: &Batch, embedding: Option<&Dual<Tensor<2>>>) -> Dual<Tensor<3>> {
        match (&batch.input, embedding) {
            (Input::Values(values), _) => Dual::constant(values.clone()),
            (Input::Tokens(tokens), Some(embedding)) => {
                let [rows, time] = tokens.dims();
                let flat = tokens.clone().reshape([rows * time]);
                embedding.linear(|table| {
                    let [_, width] = table.dims();
                    table.clone().select(0, flat.clone()).reshape([rows, time, width])
                })
            }
            (Input::Tokens(_), None) => panic!("tokens need a model with an embedding"),
        }
    }

    /// What the linear layer reads, `[N, D·P]`.
    fn read(&self, results: &LayerResults) -> Dual<Tensor<2>> {
        match self.reads {
            Reads::EveryStep => results.output.linear(|x| {
                let [batch, time, width] = x.dims();
                x.clone().reshape([batch * time, width])
            }),
            Reads::LastHidden => results.hidden.linear(|x| {
                let [all, batch, size] = x.dims();
                let directions = self.recurrent.d_output() / size;
                let last = x.clone().slice([all - directions..all]).swap_dims(0, 1);
                last.reshape([batch, directions * size])
            }),
        }
    }

    /// The slope of the loss where it was read, and zeros elsewhere.
    fn spread(&self, results: &LayerResults, d_read: &Dual<Tensor<2>>) -> LayerResults {
        let mut d_results = results.zeros();
        match self.reads {
            Reads::EveryStep => {
                let shape = results.output.value.dims();
                d_results.output = d_read.linear(|x| x.clone().reshape(shape));
            }
            Reads::LastHidden => {
                let [all, batch, size] = results.hidden.value.dims();
                let directions = self.recurrent.d_output() / size;
                d_results.hidden = d_read.linear(|x| {
                    let last = x.clone().reshape([batch, directions, size]).swap_dims(0, 1);
                    let below = results.hidden.value.clone().slice([0..all - directions]);
                    match all == directions {
                        true => last,
                        false => Tensor::cat(vec![below.zeros_like(), last], 0),
                    }
                });
            }
        }
        d_results
    }

    /// One part of the derivatives of all parameters: values or tangents.
    fn collect(
        &self,
        batch: &Batch,
        layers: &Variables,
        scored: &Scored,
        part: impl Fn(&Dual<Tensor<2>>) -> Tensor<2>,
    ) -> Vec<f64> {
        let mut all = Vec::new();
        if let (Some(table), Input::Tokens(tokens)) = (&self.embedding, &batch.input) {
            let d_input = layers.input.as_ref().expect("inputs have gradients");
            let [rows, time, width] = d_input.dims();
            let flat = tokens.clone().reshape([rows * time]);
            let d = d_input.clone().reshape([rows * time, width]);
            let sum = table.zeros_like().select_assign(0, flat, d, IndexingUpdateOp::Add);
            all.extend(entries(&sum));
        }
        for weights in &layers.weights {
            extend(&mut all, weights);
        }
        all.extend(entries(&part(&scored.d_weight)));
        if self.bias.is_some() {
            all.extend(entries(&part(&scored.d_bias)));
        }
        all
    }
}

/// The tangent, with zeros if there is none.
fn tangent(x: &Dual<Tensor<2>>) -> Tensor<2> {
    x.tangent.clone().unwrap_or_else(|| x.value.zeros_like())
}
