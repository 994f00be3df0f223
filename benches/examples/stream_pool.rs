//! Measures a pool of live streams: the latency of an answer, and how many steps it works a second.
//!
//! Command: `cargo run --release -p bptt-benches --example stream_pool` (half a minute), or with
//! `million`, a million steps of streams that come and go, and the memory that the process has.
//!
//! Expect a line for each number of streams: from the moment an input is fed to the moment its answer
//! is there, where all streams are fed at once and batches have at most 128 rows, the median and
//! the 95th and 99th percentile; and streams times steps a second. An LSTM, I = H = 128, on flex, f32.
//! With `million`: resident memory at the start, in the middle and at the end, which should be
//! the same but for some hundred KB.

use bptt::{LstmCell, LstmConfig, StreamPool, StreamPoolConfig};
use burn::tensor::Device;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// `I` and `H`.
const SIZE: usize = 128;
/// How long each number of streams is measured.
const SECONDS: f64 = 5.0;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("million") => million(),
        _ => [1, 64, 1024].into_iter().for_each(latencies),
    }
}

fn pool(size: usize, config: StreamPoolConfig) -> StreamPool<LstmCell, usize> {
    let device = Device::flex();
    device.seed(1);
    config.init(&LstmConfig::new(size, size).init(&device)).expect("it runs forward, in f32")
}

fn latencies(streams: usize) {
    let config = StreamPoolConfig { max_wait: Duration::ZERO, ..Default::default() };
    let mut pool = pool(SIZE, config);
    let input = [0.5; SIZE];
    for key in 0..streams {
        pool.add(key, Instant::now()).expect("it is new");
    }
    let mut fed = vec![Instant::now(); streams];
    let (mut latencies, mut steps) = (Vec::new(), 0);
    let start = Instant::now();
    let mut warm = false;
    while !warm || start.elapsed().as_secs_f64() < SECONDS {
        // Each is fed, and what makes a whole batch is worked meanwhile, as a server would.
        for key in 0..streams {
            fed[key] = Instant::now();
            pool.feed(&key, &input, fed[key]).expect("it is free");
            if pool.waiting() == 128 || key + 1 == streams {
                let answers = pool.poll(fed[key]);
                steps += answers.len();
                let now = Instant::now();
                let of = answers.iter().map(|(key, _)| now - fed[*key]);
                latencies.extend(of.map(|latency| latency.as_secs_f64() * 1e6));
            }
        }
        if !warm {
            // The first round packs the weights.
            warm = true;
            (latencies, steps) = (Vec::new(), 0);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    let percentile = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "{streams:5} streams   p50 {:7.1} µs   p95 {:7.1} µs   p99 {:7.1} µs   {:9.0} streams·steps/s",
        percentile(0.5),
        percentile(0.95),
        percentile(0.99),
        steps as f64 / seconds,
    );
}

/// A thousand streams, fed in turns; after each hundred steps one goes and another comes.
fn million() {
    const STEPS: usize = 1_000_000;
    const STREAMS: usize = 1000;
    const BATCH: usize = 100;
    let config = StreamPoolConfig { max_streams: STREAMS, max_batch: BATCH, ..Default::default() };
    let mut pool = pool(16, config);
    let now = Instant::now();
    let mut turns = VecDeque::new();
    for key in 0..STREAMS {
        pool.add(key, now).expect("it is new");
        turns.push_back(key);
    }
    for round in 0..=STEPS / BATCH {
        let done = round * BATCH;
        let name = match done {
            10_000 => "start",
            _ if done == STEPS / 2 => "middle",
            STEPS => "end",
            _ => "",
        };
        if !name.is_empty() {
            println!("{name:<6} after {done:8} steps: {} KB resident", resident());
        }
        // The one that was fed least recently has to go.
        let gone = pool.add(STREAMS + round, now).expect("it is new").map(|gone| gone.key);
        assert_eq!(gone, turns.pop_front());
        turns.push_back(STREAMS + round);
        for _ in 0..BATCH {
            let key = turns.pop_front().expect("a thousand");
            pool.feed(&key, &[0.5; 16], now).expect("it is free");
            turns.push_back(key);
        }
        assert_eq!(pool.poll(now).len(), BATCH);
    }
    println!("{} streams, {:.1} s", pool.len(), now.elapsed().as_secs_f64());
}

/// How much memory the process has, in KB; 0 where there is no `/proc`.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
