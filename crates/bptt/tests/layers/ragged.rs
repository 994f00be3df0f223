//! Batches of ragged data: the batches of Burn's data loaders, and how much of them is padding.

use super::plain;
use bptt::{Bucketing, GruConfig, PadBatcher, Padding, RaggedBatch};
use burn::Tensor;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use std::sync::Arc;

/// Sequences with lengths from 1 to 200, in no order. The first number identifies a sequence.
fn sequences() -> Vec<Vec<f32>> {
    (0..1003).map(|k| vec![k as f32; k * 7919 % 200 + 1]).collect()
}

fn bucketed(bucketing: &Bucketing) -> Arc<dyn DataLoader<RaggedBatch>> {
    let data = InMemDataset::new(sequences());
    bucketing.loader(data, PadBatcher::new(1), Vec::len, &plain())
}

/// For each batch, the sequences in it.
type Epoch = Vec<Vec<usize>>;

/// Runs an epoch, and checks each batch.
fn epoch(loader: &dyn DataLoader<RaggedBatch>) -> (Epoch, Padding) {
    let (mut all, mut padding) = (Vec::new(), Padding::default());
    for batch in loader.iter() {
        let batch = batch.expect("it is in memory");
        let longest = batch.lengths.iter().copied().max().expect("not empty");
        assert_eq!(batch.input.dims(), [batch.lengths.len(), longest, 1]);
        let values: Vec<f32> = batch.input.to_data().iter().collect();
        let mut names = Vec::new();
        for (row, &length) in values.chunks(longest).zip(&batch.lengths) {
            let name = row[0];
            names.push(name as usize);
            assert_eq!(length, name as usize * 7919 % 200 + 1);
            assert!(row[..length].iter().all(|&x| x == name));
            assert!(row[length..].iter().all(|&x| x == 0.0));
        }
        padding = padding + batch.padding();
        all.push(names);
    }
    let mut names: Vec<usize> = all.iter().flatten().copied().collect();
    names.sort_unstable();
    assert!(names.into_iter().eq(0..1003), "each sequence once");
    (all, padding)
}

#[test]
fn bucketing_leaves_little_padding() {
    let plain = DataLoaderBuilder::new(PadBatcher::new(1))
        .batch_size(16)
        .shuffle(1)
        .build(InMemDataset::new(sequences()));
    let (_, before) = epoch(&*plain);
    assert!(before.share() > 0.4, "{before:?}");
    for (window, num_workers, most) in [(1000, 0, 0.02), (20, 0, 0.1), (20, 2, 0.1), (1, 0, 0.6)] {
        let bucketing = Bucketing { window, num_workers, shuffle: Some(1), ..Bucketing::new(16) };
        let (batches, padding) = epoch(&*bucketed(&bucketing));
        assert_eq!(padding.valid, before.valid);
        assert!(padding.share() < most, "{bucketing:?}: {padding:?}");
        // All batches are full except the last one in the windows of each worker.
        let short = batches.iter().filter(|batch| batch.len() < 16).count();
        assert!(short <= num_workers.max(1), "{bucketing:?}: {short} short batches");
    }
}

#[test]
fn epochs_differ_and_a_seed_repeats_them() {
    let bucketing = Bucketing { window: 1000, shuffle: Some(3), ..Bucketing::new(16) };
    let (a, b) = (bucketed(&bucketing), bucketed(&bucketing));
    let (first, second) = (epoch(&*a).0, epoch(&*a).0);
    assert_eq!(first, epoch(&*b).0);
    assert_eq!(second, epoch(&*b).0);
    // Not only the content of the batches differs, but also the order of short and long batches.
    let lengths =
        |epoch: &Epoch| epoch.iter().map(|batch| batch[0] * 7919 % 200).collect::<Vec<_>>();
    assert_ne!(lengths(&first), lengths(&second));
    assert!(!lengths(&first).is_sorted());
    let other = Bucketing { shuffle: Some(4), ..bucketing.clone() };
    assert_ne!(epoch(&*bucketed(&other)).0, first);
    // Without a seed, the order is always the same, the shortest first.
    let still = bucketed(&Bucketing { shuffle: None, ..bucketing });
    let first = epoch(&*still).0;
    assert_eq!(first, epoch(&*still).0);
    assert!(lengths(&first).is_sorted());
}

#[test]
fn a_batch_is_what_a_layer_takes() {
    let gru = GruConfig::new(2, 3).init(&plain());
    let rows = [vec![0.5; 2], vec![], vec![-0.5; 6]];
    let RaggedBatch { input, lengths, .. } = RaggedBatch::pad(&rows, 2, &plain());
    assert_eq!(lengths, [1, 0, 3]);
    let (_, state) = gru.forward_lengths(input, &lengths, None);
    let (_, alone) = gru.forward(Tensor::full([1, 1, 2], 0.5, &plain()), None);
    super::close(state.hidden.narrow(1, 0, 1), alone.hidden);
    let message = super::complaint(|| RaggedBatch::pad(&[vec![0.0; 3]], 2, &plain()));
    assert_eq!(message, "a sequence of 3 numbers with I = 2: expected whole steps");
}
