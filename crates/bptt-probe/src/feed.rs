//! The input modes: how a layer is given a problem's sequence.

use crate::loaded::{Loaded, MeasuredLayer, Results};
use crate::problem::{InputMode, LayerOptions, Problem};
use crate::setting::DType;
use bptt::{
    Bucketing, Buckets, MaskedOutput, PackedSequence, RecurrentState, SequenceOptions, Truncated,
};
use burn::Tensor;
use burn::data::dataloader::BatchStrategy;
use burn::tensor::{Bool, Gradients, Int, TensorData};
use std::ops::Range;

impl<L: MeasuredLayer> Loaded<L> {
    fn initial_state(&self) -> Option<L::State> {
        self.hidden.clone().map(|hidden| L::State::from_parts(hidden, self.cell.clone()))
    }

    /// The results on one tape, by the problem's input mode. Each window has its own tape, and a pool has no tape. So
    /// for these modes the layer is given the whole sequence.
    pub(crate) fn forward(&self, problem: &Problem) -> Results {
        let (state, input) = (self.initial_state(), self.input.clone());
        let options = &problem.options;
        let held = options.lengths.is_some() && options.masked_output == MaskedOutput::Hold;
        let (output, state) = match (&options.lengths, &options.mask, options.input_mode) {
            (Some(lengths), _, InputMode::Packed) => self.packed(lengths, options, state),
            (Some(lengths), _, InputMode::Batches(rows)) => self.in_batches(rows, lengths, options),
            (None, None, InputMode::Chunks(steps)) => self.in_chunks(steps, options, state),
            // The short forms are checked too: they run what they have a place for.
            _ if options.resets.is_some() || held => self.by_options(input, options, state),
            (Some(lengths), ..) => self.layer.forward_lengths(input, lengths, state),
            (None, Some(_), _) => {
                let mask = self.mask(options);
                self.layer.forward_masked(input, mask, options.masked_output, state)
            }
            (None, None, _) => self.layer.forward(input, state),
        };
        let (hidden, memory) = state.into_parts();
        (output, hidden, memory)
    }

    /// The whole sequence at once, with any combination of options.
    fn by_options(
        &self,
        input: Tensor<3>,
        options: &LayerOptions,
        state: Option<L::State>,
    ) -> (Tensor<3>, L::State) {
        let rows: Vec<_> = (0..options.batch).collect();
        let mut sequence = self
            .resets(options, &rows, 0..options.time)
            .unwrap_or_default()
            .with_masked_output(options.masked_output);
        if let Some(lengths) = &options.lengths {
            sequence = sequence.with_lengths(lengths);
        }
        if options.mask.is_some() {
            sequence = sequence.with_mask(self.mask(options));
        }
        self.layer.forward_with(input, &sequence, state)
    }

    /// The resets of these rows and steps, with their state; `None` if the problem has none.
    fn resets(
        &self,
        options: &LayerOptions,
        rows: &[usize],
        steps: Range<usize>,
    ) -> Option<SequenceOptions<L::State>> {
        let flags = options.resets.as_ref()?;
        let of_row = |&b: &usize| &flags[b * options.time..][steps.clone()];
        let flags: Vec<bool> = rows.iter().flat_map(of_row).copied().collect();
        let flags = self.flags(flags, [rows.len(), steps.len()]);
        let sequence = SequenceOptions::new().with_resets(flags);
        let Some(hidden) = self.reset_hidden.clone() else { return Some(sequence) };
        let rows = self.indices(rows);
        let state = L::State::from_parts(hidden, self.reset_cell.clone()).select_rows(rows);
        Some(sequence.with_reset_state(state))
    }

    fn mask(&self, options: &LayerOptions) -> Tensor<2, Bool> {
        let mask = options.mask.clone().expect("it was asked whether there is one");
        self.flags(mask, [options.batch, options.time])
    }

    fn flags(&self, flags: Vec<bool>, shape: [usize; 2]) -> Tensor<2, Bool> {
        Tensor::from_data(TensorData::new(flags, shape), &self.device)
    }

    /// The sequence without its padding.
    fn packed(
        &self,
        lengths: &[usize],
        options: &LayerOptions,
        state: Option<L::State>,
    ) -> (Tensor<3>, L::State) {
        let packed = PackedSequence::pack(self.input.clone(), lengths, options.batch_first);
        let rows: Vec<_> = (0..options.batch).collect();
        let longest = packed.batch_sizes().len();
        let (outputs, state) = match self.resets(options, &rows, 0..longest) {
            Some(resets) => self.layer.forward_packed_with(&packed, &resets, state),
            None => self.layer.forward_packed(&packed, state),
        };
        (outputs.pad(options.batch_first).0, state)
    }

    /// The results, and the gradients of the problem's loss as a list of summands.
    pub(crate) fn differentiated(&self, problem: &Problem) -> (Results, Vec<Gradients>) {
        let results = self.forward(problem);
        let InputMode::Windows(every) = problem.options.input_mode else {
            let gradients = self.loss(problem, results.clone()).backward();
            return (self.seen_from_a_pool(problem, results), vec![gradients]);
        };
        // A truncated pass gives no final state. So the part of the loss that depends on the state comes from a pass
        // over the whole sequence.
        let (_, hidden, memory) = results.clone();
        let mut gradients = vec![self.loss_of_state(problem, hidden, memory).backward()];
        let options = &problem.options;
        let dim = if options.batch_first { 1 } else { 0 };
        let d_output: Tensor<3> = self.tensor(problem.array("cotangent.output"));
        let mut truncated = Truncated::new(options.time, every, options.time, self.initial_state());
        let mut outputs = Vec::new();
        let rows: Vec<_> = (0..options.batch).collect();
        let input = |steps: Range<usize>| self.input.clone().slice_dim(dim, steps);
        let with_resets = |steps: Range<usize>| {
            let resets = self.resets(options, &rows, steps.clone());
            (input(steps), resets.expect("it was asked whether there are some"))
        };
        while let Some(window) = match options.resets {
            Some(_) => truncated.next_with(&self.layer, with_resets),
            None => truncated.next(&self.layer, input),
        } {
            let d_window = d_output.clone().slice_dim(dim, window.steps);
            outputs.push(window.outputs.clone());
            gradients.push((window.outputs * d_window).sum().backward());
        }
        ((Tensor::cat(outputs, dim), results.1, results.2), gradients)
    }

    /// Runs the layer in chunks of this many steps. Each chunk begins with the final state of the chunk before.
    fn in_chunks(
        &self,
        steps: usize,
        options: &LayerOptions,
        state: Option<L::State>,
    ) -> (Tensor<3>, L::State) {
        let dim = if options.batch_first { 1 } else { 0 };
        let mut state = state;
        let mut outputs = Vec::new();
        let rows: Vec<_> = (0..options.batch).collect();
        let mut done = 0;
        for chunk in self.input.clone().split(steps, dim) {
            let steps = done..done + chunk.dims()[dim];
            done = steps.end;
            let (output, after) = match self.resets(options, &rows, steps) {
                Some(resets) => self.layer.forward_with(chunk, &resets, state),
                None => self.layer.forward(chunk, state),
            };
            outputs.push(output);
            state = Some(after);
        }
        (Tensor::cat(outputs, dim), state.expect("a problem has a step"))
    }

    /// Runs the layer on the batches of a data loader with buckets. Each batch is padded to its longest row.
    fn in_batches(
        &self,
        rows: usize,
        lengths: &[usize],
        options: &LayerOptions,
    ) -> (Tensor<3>, L::State) {
        let (batch_dim, time_dim) = if options.batch_first { (0, 1) } else { (1, 0) };
        let all = lengths.to_vec();
        let mut buckets = Buckets::new(&Bucketing::new(rows), move |&b: &usize| all[b]);
        (0..options.batch).for_each(|b| buckets.add(b));
        let (mut outputs, mut hidden, mut memory) = (vec![], vec![], vec![]);
        let mut order = Vec::new();
        while let Some(of) = buckets.batch(true) {
            let rows = self.indices(&of);
            let lengths: Vec<usize> = of.iter().map(|&b| lengths[b]).collect();
            let longest = lengths.iter().copied().max().unwrap_or(0).max(1);
            let input = self.input.clone().select(batch_dim, rows.clone());
            let state = self.initial_state().map(|state| state.select_rows(rows));
            let input = input.narrow(time_dim, 0, longest);
            let (output, after) = match self.resets(options, &of, 0..longest) {
                Some(resets) => {
                    self.layer.forward_with(input, &resets.with_lengths(&lengths), state)
                }
                None => self.layer.forward_lengths(input, &lengths, state),
            };
            let mut rest = output.dims();
            rest[time_dim] = options.time - longest;
            outputs.push(match rest[time_dim] {
                0 => output,
                _ => {
                    let zeros = Tensor::zeros(rest, (&output.device(), output.dtype()));
                    Tensor::cat(vec![output, zeros], time_dim)
                }
            });
            let (h, c) = after.into_parts();
            hidden.push(h);
            memory.extend(c);
            order.extend(of);
        }
        let mut back = vec![0; order.len()];
        for (place, &b) in order.iter().enumerate() {
            back[b] = place;
        }
        let back = self.indices(&back);
        let join = |all: Vec<Tensor<3>>, dim| Tensor::cat(all, dim).select(dim, back.clone());
        let memory = (!memory.is_empty()).then(|| join(memory, 1));
        (join(outputs, batch_dim), L::State::from_parts(join(hidden, 1), memory))
    }

    fn indices(&self, all: &[usize]) -> Tensor<1, Int> {
        let all: Vec<i64> = all.iter().map(|&index| index as i64).collect();
        let count = all.len();
        Tensor::from_data(TensorData::new(all, [count]), &self.device)
    }

    /// If the input mode is a pool and the type is f32, the results of the pool's streams; otherwise `results`.
    fn seen_from_a_pool(&self, problem: &Problem, results: Results) -> Results {
        if problem.options.input_mode != InputMode::Pool || self.setting.dtype != DType::F32 {
            return results;
        }
        let [output, hidden, memory] =
            self.layer.seen_from_a_pool(problem).expect("the table knows what is in a pool");
        let memory = results.2.map(|_| self.tensor(&memory));
        (self.tensor(&output), self.tensor(&hidden), memory)
    }
}
