//! The input mode of a pool of streams.

use crate::problem::{Array, LayerOptions, Problem};
use crate::scalar::is_reset;
use bptt::{Recurrent, SequenceCell, StreamPool, StreamPoolConfig, StreamState};
use std::time::Instant;

/// Output, final hidden state and final memory of a pool's streams, one for each row of a problem; of a cell without
/// memory the last of these is empty.
pub(crate) fn seen_from_a_pool<C: SequenceCell>(
    layer: &Recurrent<C>,
    problem: &Problem,
) -> [Array; 3] {
    let options = &problem.options;
    let config = StreamPoolConfig { max_batch: 3, ..StreamPoolConfig::default() };
    let mut pool: StreamPool<C, usize> =
        config.init(layer).expect("an f32 layer that runs forward");
    let (now, all) = (Instant::now(), "the pool has this stream");
    let state = |[h, c]: [&str; 2], b| StreamState {
        hidden: row_of(problem, h, b),
        memory: row_of(problem, c, b),
    };
    for b in 0..options.batch {
        pool.add_from(b, &state(["h_0", "c_0"], b), now).expect("there is room");
    }
    let mut output = problem.array("cotangent.output").clone();
    output.values.fill(0.0);
    let width = options.state_size();
    // Each stream begins one step later than the stream before, so a batch has different steps in it.
    for tick in 0..options.time + options.batch {
        let step = |b: usize| {
            let length = options.lengths.as_ref().map_or(options.time, |all| all[b]);
            tick.checked_sub(b).filter(|&t| t < length)
        };
        for b in 0..options.batch {
            if let Some(t) = step(b) {
                match (is_reset(options, t, b, false), options.reset_state) {
                    (true, true) => pool.set_state(&b, &state(["h_reset", "c_reset"], b)),
                    (true, false) => pool.reset(&b),
                    (false, _) => Ok(()),
                }
                .expect(all);
                pool.feed(&b, &step_of(problem, t, b), now).expect(all);
            }
        }
        for (&b, answer) in pool.flush().iter() {
            let t = step(b).expect("it was fed");
            let to = &mut output.values[place(options, t, b) * width..][..width];
            to.iter_mut().zip(answer).for_each(|(to, &x)| *to = f64::from(x));
        }
    }
    let states: Vec<_> = (0..options.batch).map(|b| pool.state(&b).expect(all)).collect();
    // The shape of a state is `[rows, B, n]`; the state of a stream has its rows one behind the other.
    let state = |of: &str, numbers: &dyn Fn(&StreamState) -> &[f32]| {
        let Some(like) = problem.given.get(&format!("cotangent.{of}")) else {
            return Array { shape: vec![0, options.batch, 0], values: vec![] };
        };
        let [rows, batch, width] = like.shape[..] else { panic!("a state has three dimensions") };
        let at = (0..rows).flat_map(|row| (0..batch).map(move |b| (row, b)));
        let values = at.flat_map(|(row, b)| numbers(&states[b])[row * width..][..width].to_vec());
        Array { shape: like.shape.clone(), values: values.map(f64::from).collect() }
    };
    let hidden = state("h_n", &|state| &state.hidden);
    let memory = state("c_n", &|state| &state.memory);
    [output, hidden, memory]
}

/// The index, in a sequence, of step `t` of row `b`.
fn place(options: &LayerOptions, t: usize, b: usize) -> usize {
    if options.batch_first { b * options.time + t } else { t * options.batch + b }
}

/// The input of one step of one row.
fn step_of(problem: &Problem, t: usize, b: usize) -> Vec<f32> {
    let width = problem.options.input_size;
    let from = place(&problem.options, t, b) * width;
    problem.array("input").values[from..from + width].iter().map(|&x| x as f32).collect()
}

/// The state of a row, layer by layer, from a state `[L, B, n]`; empty if the problem has no such state.
fn row_of(problem: &Problem, name: &str, b: usize) -> Vec<f32> {
    let Some(Array { shape, values }) = problem.given.get(name) else { return vec![] };
    let layers = (0..shape[0]).flat_map(|layer| {
        let from = (layer * shape[1] + b) * shape[2];
        &values[from..from + shape[2]]
    });
    layers.map(|&x| x as f32).collect()
}
