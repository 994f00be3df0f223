//! Live streams: each has the same bits as if it were alone. Also limits, errors, files and memory.

use super::plain;
use bptt::{
    AnyCell, AnyRecurrent, AnyRecurrentConfig, CellKind, GruConfig, LstmConfig, RecurrentState,
    RnnConfig, SavedStreams, StreamPool, StreamPoolConfig, StreamState,
};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use proptest::prelude::*;
use std::time::{Duration, Instant};

type Pool<K> = StreamPool<AnyCell, K>;

fn pool<K: bptt::StreamKey>(layer: &AnyRecurrent, config: StreamPoolConfig) -> Pool<K> {
    config.init(layer).expect("it runs forward, in f32")
}

fn layer(kind: CellKind, device: &Device) -> AnyRecurrent {
    AnyRecurrentConfig::new(kind, 3, 17).with_num_layers(2).init(device)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The stream's input of a step.
fn input(stream: usize, step: usize) -> [f32; 3] {
    std::array::from_fn(|k| ((stream * 7 + step * 3 + k) as f32).sin())
}

/// One stream alone, by steps of the layer, one after the other.
#[derive(Clone, Debug, Default)]
struct Alone {
    state: Option<bptt::AnyState>,
    steps: usize,
}

impl Alone {
    fn step(&mut self, layer: &AnyRecurrent, input: &[f32]) -> Vec<f32> {
        let data = TensorData::new(input.to_vec(), [1, input.len()]);
        let x = Tensor::<2>::from_data(data, &plain());
        let (output, state) = layer.step(x, self.state.take());
        self.state = Some(state);
        self.steps += 1;
        output.into_data().iter().collect()
    }

    fn state(&self, layer: &AnyRecurrent) -> StreamState {
        let zero = Tensor::<1>::zeros([1], &plain());
        let state = self.state.clone().unwrap_or_else(|| layer.zero_state(1, &zero));
        let (hidden, memory) = state.into_parts();
        let numbers = |x: Tensor<3>| x.into_data().iter().collect::<Vec<f32>>();
        StreamState { hidden: numbers(hidden), memory: memory.map_or_else(Vec::new, numbers) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_stream_among_others_is_the_stream_alone(
        kind in prop::sample::select(CellKind::ALL.to_vec()),
        max_batch in 1..9_usize,
        events in prop::collection::vec((0..10_u8, 0..12_usize), 1..200),
    ) {
        let layer = layer(kind, &plain());
        let config = StreamPoolConfig { max_batch, max_wait: ms(5), ..Default::default() };
        let mut pool: Pool<usize> = pool(&layer, config);
        let mut alone: Vec<Option<Alone>> = vec![None; 12];
        let mut away: Vec<Option<(StreamState, Alone)>> = vec![None; 12];
        let mut now = Instant::now();
        for (event, k) in events {
            match event {
                0..=5 => {
                    // The stream is fed if it is in the pool and has no waiting input. Otherwise it is added, or the
                    // waiting batch is computed first.
                    if alone[k].is_none() {
                        pool.add(k, now).expect("there was none");
                        alone[k] = Some(Alone::default());
                    }
                    if pool.is_waiting(&k) {
                        prop_assert!(pool.feed(&k, &[0.0; 3], now).is_err());
                    } else {
                        let step = alone[k].as_ref().map_or(0, |alone| alone.steps);
                        pool.feed(&k, &input(k, step), now).expect("it is free");
                    }
                }
                6 => now += ms(3),
                7 => {
                    if let Some(alone) = alone[k].take() {
                        let state = pool.remove(&k).expect("it was there");
                        prop_assert_eq!(&state, &alone.state(&layer));
                        away[k] = Some((state, alone));
                    } else if let Some((state, known)) = away[k].take() {
                        // It comes back with its saved state.
                        pool.add_from(k, &state, now).expect("it was away");
                        alone[k] = Some(known);
                    }
                }
                _ => {}
            }
            let answers = if event == 9 { pool.flush() } else { pool.poll(now) };
            for (k, output) in answers.iter() {
                let alone = alone[*k].as_mut().expect("it was fed");
                let expected = alone.step(&layer, &input(*k, alone.steps));
                prop_assert_eq!(bits(output), bits(&expected));
            }
            prop_assert!(pool.waiting() < max_batch);
            prop_assert!(pool.due().is_none_or(|due| due > now));
        }
        prop_assert_eq!(pool.len(), alone.iter().flatten().count());
        pool.flush();
        prop_assert_eq!(pool.waiting(), 0);
    }
}

#[test]
#[allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]
fn large_batches_are_each_stream_alone() {
    let devices = [
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
    ];
    for device in devices {
        for kind in CellKind::ALL {
            let layer = layer(kind, &device);
            let config = StreamPoolConfig { max_batch: 300, ..Default::default() };
            let [mut together, mut single]: [Pool<usize>; 2] =
                [config, StreamPoolConfig { max_batch: 1, ..Default::default() }]
                    .map(|config| pool(&layer, config));
            let now = Instant::now();
            for k in 0..300 {
                together.add(k, now).expect("new");
                single.add(k, now).expect("new");
            }
            for step in 0..3 {
                for k in 0..300 {
                    together.feed(&k, &input(k, step), now).expect("free");
                    single.feed(&k, &input(k, step), now).expect("free");
                }
                let (a, b) = (together.poll(now), single.poll(now));
                assert_eq!((a.len(), b.len()), (300, 300));
                for ((k, a), (l, b)) in a.iter().zip(b.iter()) {
                    assert_eq!((k, bits(a)), (l, bits(b)), "{kind:?} on {device:?}, step {step}");
                }
            }
        }
    }
}

#[test]
fn an_input_waits_for_others_and_no_longer_than_it_may() {
    let layer = layer(CellKind::Gru, &plain());
    let config = StreamPoolConfig { max_batch: 3, max_wait: ms(10), ..Default::default() };
    let mut pool: Pool<&str> = pool(&layer, config);
    let start = Instant::now();
    for key in ["a", "b", "c", "d", "e"] {
        assert_eq!(pool.add(key, start).expect("new"), None);
    }
    assert_eq!(pool.due(), None);
    pool.feed(&"a", &[1.0; 3], start).expect("free");
    pool.feed(&"b", &[1.0; 3], start + ms(4)).expect("free");
    assert_eq!(pool.due(), Some(start + ms(10)));
    assert!(pool.poll(start + ms(9)).is_empty());
    // The first input is due. The other one is computed in the same batch.
    let answers = pool.poll(start + ms(10));
    assert_eq!(answers.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["a", "b"]);
    assert!(answers.iter().all(|(_, output)| output.len() == 17));
    // A full batch does not wait. The remaining inputs wait.
    for key in ["e", "d", "c", "b"] {
        pool.feed(&key, &[0.5; 3], start + ms(20)).expect("free");
    }
    let answers = pool.poll(start + ms(20));
    assert_eq!(answers.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["e", "d", "c"]);
    assert!(pool.is_waiting(&"b") && pool.waiting() == 1);
    assert_eq!(pool.flush().len(), 1);
    assert_eq!(pool.due(), None);
}

#[test]
fn what_is_refused_is_one_line_and_changes_nothing() {
    let layer = layer(CellKind::Lstm, &plain());
    let config = StreamPoolConfig { max_streams: 2, ..Default::default() };
    let mut pool: Pool<&str> = pool(&layer, config);
    let now = Instant::now();
    pool.add("a", now).expect("new");
    pool.feed(&"a", &input(0, 0), now).expect("free");
    let other = StreamState { hidden: vec![0.0; 34], memory: Vec::new() };
    let saved = |keys: &[&'static str]| SavedStreams {
        streams: keys
            .iter()
            .map(|&key| (key, StreamState { hidden: vec![0.0; 34], memory: vec![0.0; 34] }))
            .collect(),
    };
    let errors = [
        (pool.add("a", now).map(drop), "there is a stream \"a\" already"),
        (pool.feed(&"b", &[1.0; 3], now), "there is no stream \"b\": expected one that was added"),
        (pool.feed(&"a", &[1.0; 4], now), "stream \"a\": the input has 4 numbers, expected I = 3"),
        (
            pool.feed(&"a", &[1.0; 3], now),
            "stream \"a\": its last input still waits for an answer, and a stream has one at a time",
        ),
        (pool.remove(&"b").map(drop), "there is no stream \"b\": expected one that was added"),
        (
            pool.add_from("b", &other, now).map(drop),
            "stream \"b\": its state has 34 hidden numbers and 0 of memory, expected 34 and 34",
        ),
        (
            pool.snapshot().map(drop),
            "1 inputs wait for an answer: expected none, so that nothing is lost by saving",
        ),
        (
            pool.restore(&saved(&["b", "c"]), now),
            "2 streams to restore, and room for 1 beside the 1 that are here",
        ),
        (pool.restore(&saved(&["a"]), now), "there is a stream \"a\" already"),
    ];
    for (error, expected) in errors {
        assert_eq!(error.expect_err("refused").to_string(), expected);
    }
    assert_eq!((pool.len(), pool.waiting()), (1, 1));
    // The input is still the first one.
    let expected = Alone::default().step(&layer, &input(0, 0));
    let answers = pool.flush();
    assert_eq!(answers.iter().next().map(|(_, output)| bits(output)), Some(bits(&expected)));
    // There is enough room, but the snapshot has a key twice.
    pool.remove(&"a").expect("there");
    let error = pool.restore(&saved(&["b", "b"]), now).expect_err("twice");
    assert_eq!(error.to_string(), "stream \"b\" is in the snapshot twice");
    assert!(pool.is_empty());
}

#[test]
fn a_head_that_loses_a_row_leaves_the_inputs_where_they_are() {
    let layer = layer(CellKind::Rnn, &plain());
    let mut pool: Pool<u64> = pool(&layer, StreamPoolConfig::default());
    let now = Instant::now();
    for key in 0..2 {
        pool.add(key, now).expect("new");
        pool.feed(&key, &input(0, 0), now).expect("free");
    }
    let before = pool.state(&0).expect("there");
    let message = super::complaint(|| pool.flush_with(|outputs| outputs.slice([0..1])));
    assert!(message.contains("[1, 17] of 2 rows"), "{message}");
    assert_eq!((pool.waiting(), pool.state(&0).expect("there")), (2, before));
    let answers = pool.flush_with(|outputs| outputs.sum_dim(1));
    assert!(answers.iter().all(|(_, output)| output.len() == 1));
}

#[test]
fn layers_that_have_no_next_step_or_are_f64_are_refused() {
    let config = StreamPoolConfig::default();
    let both = LstmConfig::new(3, 4).with_bidirectional(true).init(&plain());
    let error = config.init::<_, u64>(&both).expect_err("refused").to_string();
    assert_eq!(error, "lstm: streams need a layer that runs forward only");
    let back = GruConfig::new(3, 4).with_reverse(true).init(&plain());
    assert!(config.init::<_, u64>(&back).is_err());
    let mut f64 = RnnConfig::new(3, 4).init(&plain());
    let weight = f64.weights[0].weight_ih.val().cast(burn::tensor::DType::F64);
    f64.weights[0].weight_ih = burn::module::Param::from_tensor(weight);
    let error = config.init::<_, u64>(&f64).expect_err("refused").to_string();
    assert_eq!(error, "rnn-tanh: streams are f32, and the layer is f64");
    let none = StreamPoolConfig { max_batch: 0, ..config };
    assert!(none.init::<_, u64>(&RnnConfig::new(3, 4).init(&plain())).is_err());
}

#[test]
fn the_stream_fed_least_recently_goes_first() {
    let layer = layer(CellKind::Gru, &plain());
    let config = StreamPoolConfig { max_streams: 3, max_idle: Some(ms(100)), ..Default::default() };
    let mut pool: Pool<&str> = pool(&layer, config);
    let start = Instant::now();
    for key in ["a", "b", "c"] {
        pool.add(key, start).expect("new");
    }
    for (key, at) in [("a", 10), ("c", 20), ("a", 30)] {
        pool.feed(&key, &[1.0; 3], start + ms(at)).expect("free");
        pool.flush();
    }
    let expected = pool.state(&"c").expect("there");
    let gone = pool.add("d", start + ms(40)).expect("new").expect("it was full");
    assert_eq!(gone.key, "b");
    let gone = pool.add("e", start + ms(50)).expect("new").expect("it was full");
    assert_eq!((gone.key, gone.state), ("c", expected));
    // A stream with a waiting input is not evicted.
    pool.feed(&"a", &[1.0; 3], start + ms(60)).expect("free");
    assert_eq!(pool.add("f", start + ms(60)).expect("new").expect("full").key, "d");
    assert!(pool.contains(&"a") && pool.is_waiting(&"a"));
    for key in ["e", "f"] {
        pool.feed(&key, &[1.0; 3], start + ms(60)).expect("free");
    }
    let error = pool.add("g", start + ms(60)).expect_err("no room").to_string();
    assert_eq!(error, "no room for stream \"g\": all of the 3 streams have an input that waits");
    pool.flush();
    // Eviction by idle time.
    pool.feed(&"f", &[1.0; 3], start + ms(120)).expect("free");
    pool.flush();
    assert!(pool.evict_idle(start + ms(160)).is_empty());
    let gone = pool.evict_idle(start + ms(161));
    assert_eq!(gone.iter().map(|gone| gone.key).collect::<Vec<_>>(), ["a", "e"]);
    assert!(pool.contains(&"f") && pool.len() == 1);
}

#[test]
fn streams_go_on_from_a_file_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in CellKind::ALL {
        let layer = layer(kind, &plain());
        let now = Instant::now();
        let mut pool: Pool<String> = pool(&layer, StreamPoolConfig::default());
        let keys = ["plain", "with \"quotes\"", "ümläut"].map(String::from);
        for (k, key) in keys.iter().enumerate() {
            pool.add(key.clone(), now).expect("new");
            for step in 0..=k {
                pool.feed(key, &input(k, step), now).expect("free");
                pool.flush();
            }
        }
        let saved = pool.snapshot().expect("nothing waits");
        let path = folder.path().join(format!("{kind:?}.streams"));
        saved.save(&path).expect("written");
        let json = serde_json::to_string(&saved).expect("written");
        let read: [SavedStreams<String>; 2] =
            [SavedStreams::load(&path).expect("read"), serde_json::from_str(&json).expect("read")];
        for read in read {
            assert_eq!(read, saved);
            let mut again: Pool<String> =
                super::stream_pool::pool(&layer, StreamPoolConfig::default());
            again.restore(&read, now).expect("it fits");
            let mut before: Pool<String> =
                super::stream_pool::pool(&layer, StreamPoolConfig::default());
            before.restore(&saved, now).expect("it fits");
            for pool in [&mut again, &mut before] {
                for (k, key) in keys.iter().enumerate() {
                    pool.feed(key, &input(k, 9), now).expect("free");
                }
            }
            assert_eq!(again.flush(), before.flush());
        }
    }
}

#[test]
fn an_empty_pool_has_a_file_too() {
    let path = tempfile::tempdir().expect("a folder").keep().join("none");
    SavedStreams::<u64> { streams: Vec::new() }.save(&path).expect("written");
    assert_eq!(SavedStreams::<u64>::load(&path).expect("read").streams, []);
    std::fs::remove_dir_all(path.parent().expect("a folder")).expect("removed");
}

#[test]
fn bad_files_are_one_clear_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("streams");
    let load = || SavedStreams::<u64>::load(&path).expect_err("refused").to_string();
    let shown = path.display().to_string();
    let check = |error: String, part: &str| {
        assert!(error.starts_with(&format!("cannot read {shown}: ")), "{error}");
        assert!(error.contains(part) && error.lines().count() == 1, "{error}");
    };
    check(load(), "No such file");
    let state = StreamState { hidden: vec![0.5; 400], memory: vec![1.5; 300] };
    let saved = SavedStreams { streams: vec![(1_u64, state.clone()), (2, state.clone())] };
    saved.save(&path).expect("written");
    let whole = std::fs::read(&path).expect("read");
    // Files that are cut short.
    for length in [0, 3, 20, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).expect("written");
        check(load(), "");
    }
    std::fs::write(&path, b"{\"stream\": 1}, which is no burnpack file").expect("written");
    check(load(), "magic number");
    // A burnpack file with other content.
    let layer = layer(CellKind::Gru, &plain());
    let other = folder.path().join("layer.bpk");
    layer.into_record().save(&other).expect("written");
    std::fs::rename(&other, &path).expect("moved");
    check(load(), "not one of streams (bptt-streams-1)");
    // Keys of another type.
    let named = SavedStreams { streams: vec![("a".to_string(), state.clone())] };
    named.save(&path).expect("written");
    check(load(), "names do not read");
    // States of different sizes are not written.
    let short = StreamState { hidden: vec![0.5; 399], ..state.clone() };
    let error = SavedStreams { streams: vec![(1_u64, state), (2, short)] }.save(&path);
    let error = error.expect_err("refused").to_string();
    let expected =
        format!("cannot write {shown}: `hidden` has 400 numbers in one state and 399 in another");
    assert_eq!(error, expected);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_number_of_steps() {
    // This would notice if each step kept 200 bytes, or if evicted streams were kept.
    let layer = AnyRecurrentConfig::new(CellKind::Lstm, 3, 4).init(&super::tracked());
    let config = StreamPoolConfig { max_streams: 8, max_batch: 4, ..Default::default() };
    let mut pool: Pool<usize> = pool(&layer, config);
    let now = Instant::now();
    let mut base = 0;
    let (mut answered, mut evicted) = (0, 0);
    for step in 0..100_000 {
        // Every tenth step a stream is added, and the oldest is evicted.
        let key = step / 10;
        if step % 10 == 0 {
            evicted += usize::from(pool.add(key, now).expect("new").is_some());
        }
        pool.feed(&key, &input(0, step), now).expect("free");
        answered += pool.flush().len();
        if step == 10_000 {
            base = super::resident();
        }
    }
    let grown = super::resident().saturating_sub(base);
    assert_eq!((answered, evicted, pool.len()), (100_000, 9_992, 8));
    assert!(grown < 16 << 20, "{grown} bytes more after 90,000 steps");
}
