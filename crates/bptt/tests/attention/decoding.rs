//! Greedy decoding and beam search, against each other and against all sequences there are.

use super::seq2seq::{LENGTHS, SYMBOLS, config, model, source};
use super::{differ, numbers, plain};
use bptt::seq2seq::{BeamConfig, Decoded, Feeding, Seq2Seq, Teaching};
use bptt::{AnyRecurrent, CellKind};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

type Model = Seq2Seq<AnyRecurrent, AnyRecurrent>;

fn models() -> impl Iterator<Item = Model> {
    let feedings = [Feeding::Attentional, Feeding::Context];
    (0..8).map(move |seed| {
        let config = config().with_feeding(feedings[seed as usize % 2]);
        model(&config, [CellKind::Lstm, CellKind::Gru], &plain(), 10 + seed)
    })
}

/// The log-probabilities of sequences of one length for one source, by the scores of training.
fn scored(
    model: &Model,
    source: &Tensor<2, Int>,
    length: usize,
    sequences: &[Vec<usize>],
) -> Vec<f64> {
    let rows = sequences.len();
    let symbols = sequences.concat().into_iter().map(|symbol| symbol as i64).collect::<Vec<_>>();
    let target = Tensor::<2, Int>::from_data(TensorData::new(symbols, [rows, length]), &plain());
    let source = source.clone().repeat_dim(0, rows);
    let scores = model.forward(source, None, target.clone(), &Teaching::Forced).scores;
    let chosen = log_softmax(scores, 2).gather(2, target.unsqueeze_dim(2));
    numbers(&chosen).chunks(length).map(|row| row.iter().sum()).collect()
}

/// All sequences of up to `max_length` symbols: those that end, and the longest ones without an end.
fn all_sequences(end: usize, max_length: usize) -> Vec<Vec<Vec<usize>>> {
    let mut by_length = Vec::new();
    let mut open: Vec<Vec<usize>> = vec![Vec::new()];
    for length in 1..=max_length {
        let longer = |of: &Vec<usize>, s| of.iter().copied().chain([s]).collect::<Vec<_>>();
        let mut here: Vec<_> = open.iter().map(|of| longer(of, end)).collect();
        let symbols = (0..SYMBOLS).filter(|&symbol| symbol != end);
        open = symbols.flat_map(|s| open.iter().map(move |of| longer(of, s))).collect();
        if length == max_length {
            here.extend(open.iter().cloned());
        }
        by_length.push(here);
    }
    by_length
}

#[test]
fn a_wide_beam_is_exhaustive_search() {
    const MAX: usize = 4;
    for (seed, model) in models().take(4).enumerate() {
        let alpha = [0.0, 0.6, 1.5, 0.6][seed];
        let source = source(&plain()).slice([1..2, 0..3]);
        let mut expected: Vec<(f64, Vec<usize>)> = Vec::new();
        for (before, sequences) in all_sequences(model.end, MAX).into_iter().enumerate() {
            let length = before + 1;
            let penalty = ((5 + length) as f64 / 6.0).powf(alpha);
            let scores = scored(&model, &source, length, &sequences);
            expected.extend(scores.into_iter().map(|score| score / penalty).zip(sequences));
        }
        // 1 + 4 + 16 + 64 that end, and 256 that do not.
        assert_eq!(expected.len(), 341);
        expected.sort_by(|a, b| b.0.total_cmp(&a.0));

        let config = BeamConfig::new(1000, MAX).with_length_penalty(alpha);
        let found = model.beam(source, None, &config).remove(0);
        assert_eq!(found.len(), expected.len());
        for (found, (score, symbols)) in found.iter().zip(&expected) {
            assert!((found.score - score).abs() < 1e-11, "{found:?}, expected {symbols:?}");
        }
        // Equal scores may be in any order further down, so only the best ones are compared.
        for (found, (_, symbols)) in found.iter().zip(&expected).take(10) {
            let mut whole = found.symbols.clone();
            whole.extend(found.ended.then_some(model.end));
            assert_eq!(&whole, symbols);
        }
    }
}

#[test]
fn a_beam_of_one_is_greedy() {
    let mut kinds = [0; 2];
    for model in models() {
        for max_length in [1, 3, 12] {
            let greedy = model.greedy(source(&plain()), Some(&LENGTHS), max_length);
            let config = BeamConfig::new(1, max_length).with_length_penalty(0.0);
            let beam = model.beam(source(&plain()), Some(&LENGTHS), &config);
            for (greedy, beam) in greedy.iter().zip(&beam) {
                assert_eq!(beam.len(), 1);
                assert_eq!((&greedy.symbols, greedy.ended), (&beam[0].symbols, beam[0].ended));
                assert!((greedy.score - beam[0].score).abs() < 1e-12);
                let flat = |of: &Decoded| {
                    of.weights.concat().into_iter().map(f64::from).collect::<Vec<_>>()
                };
                assert!(differ(&flat(greedy), &flat(&beam[0])) < 1e-6);
                kinds[usize::from(greedy.ended)] += 1;
            }
        }
    }
    assert!(kinds.iter().all(|&count| count > 0), "both kinds of ends: {kinds:?}");
}

#[test]
fn each_row_of_a_batch_is_searched_as_if_it_were_alone() {
    for model in models() {
        let config = BeamConfig::new(3, 6);
        let all = model.beam(source(&plain()), Some(&LENGTHS), &config);
        for (row, length) in LENGTHS.into_iter().enumerate().take(2) {
            let alone = source(&plain()).slice([row..row + 1, 0..length]);
            let alone = model.beam(alone, None, &config).remove(0);
            assert_eq!(all[row].len(), alone.len());
            for (found, alone) in all[row].iter().zip(&alone) {
                assert_eq!(found.symbols, alone.symbols);
                assert!((found.score - alone.score).abs() < 1e-12);
                // Nothing attends to the padding.
                for (found, alone) in found.weights.iter().zip(&alone.weights) {
                    assert!(found[length..].iter().all(|&weight| weight == 0.0));
                    let pairs = found.iter().zip(alone);
                    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
                }
            }
        }
    }
}

#[test]
fn hypotheses_have_the_probability_of_their_symbols() {
    for model in models() {
        let source = source(&plain()).slice([0..1]);
        for decoded in model.beam(source.clone(), None, &BeamConfig::new(4, 5)).remove(0) {
            assert_eq!(decoded.symbols.len(), decoded.weights.len());
            let mut symbols = decoded.symbols.clone();
            symbols.extend(decoded.ended.then_some(model.end));
            let expected = scored(&model, &source, symbols.len(), &[symbols])[0];
            assert!((decoded.log_probability - expected).abs() < 1e-12, "{decoded:?}");
            for weights in &decoded.weights {
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }
}
