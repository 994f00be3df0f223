//! Live streams: JSON lines in, a prediction for each out.
//!
//! Shows: a model that is trained for some seconds to tell the next value of a wave of unknown
//! frequency, and is then asked by any number of streams at once, each of which has a state of its
//! own in a `StreamPool`. Inputs that come together are worked together; none waits for more than
//! two milliseconds. A line that is wrong is answered with what is wrong about it, and changes nothing.
//!
//! Command (a fast wave and a slow one, and a line that is none):
//!
//! ```sh
//! for t in $(seq 0 20); do
//!     awk "BEGIN { printf \"{\\\"stream\\\": \\\"fast\\\", \\\"input\\\": [%.4f]}\n\", sin(0.9 * $t) }"
//!     awk "BEGIN { printf \"{\\\"stream\\\": \\\"slow\\\", \\\"input\\\": [%.4f]}\n\", sin(0.3 * $t) }"
//! done | (cat; echo 'nonsense') | cargo run --release --example streams
//! ```
//!
//! or by hand: `printf '{"stream": "a", "input": [0.5]}\n' | cargo run --release --example streams`
//! (`--features wgpu` runs on another backend)
//!
//! What to expect: what the training says goes to standard error, and then on standard output, the
//! last digits apart,
//!
//! ```text
//! {"stream":"fast","prediction":[-0.006748352]}
//! {"stream":"slow","prediction":[-0.006748352]}
//! {"stream":"fast","prediction":[1.147037]}
//! {"stream":"slow","prediction":[0.43303886]}
//! ...
//! {"line":43,"error":"expected ident at line 1 column 2"}
//! {"stream":"fast","prediction":[0.03361309]}
//! {"stream":"slow","prediction":[0.00484531]}
//! ```
//!
//! The last two are of sin(0.9 · 21) = 0.050 and sin(0.3 · 21) = 0.017, which nobody had told. An error
//! may stand before an answer to an earlier line, which still waited then.

use bptt::{Gru, GruConfig, StreamPool, StreamPoolConfig};
use bptt_examples::Random;
use burn::Tensor;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, TensorData};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

const BATCH: usize = 32;
const TIME: usize = 24;
const STEPS: usize = 400;

#[derive(Module, Debug)]
struct Forecast {
    gru: Gru,
    head: Linear,
}

/// A line that comes in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fed {
    stream: String,
    input: Vec<f32>,
}

/// A line that goes out.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Prediction { stream: &'a str, prediction: &'a [f32] },
    Wrong { line: usize, error: String },
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = bptt_examples::device().autodiff();
    device.seed(1);
    let model = trained(&device)?.valid();

    // Standard input blocks, so it is read by a thread of its own.
    let (sender, lines) = sync_channel(1024);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            // Else it is no text, or nobody listens any more.
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    serve(&model, lines, &mut std::io::stdout().lock())
}

/// Answers lines until there are no more.
fn serve(
    model: &Forecast,
    lines: Receiver<String>,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let config = StreamPoolConfig {
        max_wait: Duration::from_millis(2),
        max_idle: Some(Duration::from_secs(600)),
        ..StreamPoolConfig::default()
    };
    let mut pool: StreamPool<_, String> = config.init(&model.gru)?;
    let mut number = 0;
    loop {
        // Until the next line, or until the first of those that wait is due.
        let due = pool.due().map(|due| due.saturating_duration_since(Instant::now()));
        let line = lines.recv_timeout(due.unwrap_or(Duration::from_secs(1)));
        match &line {
            Ok(line) => {
                number += 1;
                if let Err(error) = take(model, &mut pool, line, out) {
                    let answer = Answer::Wrong { line: number, error: error.to_string() };
                    writeln!(out, "{}", serde_json::to_string(&answer)?)?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return answer(model, &mut pool, true, out),
        }
        answer(model, &mut pool, false, out)?;
        pool.evict_idle(Instant::now());
    }
}

/// One line: a new stream is added, and its input waits from now on.
fn take(
    model: &Forecast,
    pool: &mut StreamPool<bptt::GruCell, String>,
    line: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let Fed { stream, input } = serde_json::from_str(line)?;
    if input.len() != 1 || !input[0].is_finite() {
        return Err(format!("stream {stream:?}: expected one finite number, got {input:?}").into());
    }
    if pool.is_waiting(&stream) {
        // A stream's steps are one after the other.
        answer(model, pool, true, out)?;
    }
    let now = Instant::now();
    if !pool.contains(&stream) {
        pool.add(stream.clone(), now)?;
    }
    Ok(pool.feed(&stream, &input, now)?)
}

/// Writes the answers that are due, or all.
fn answer(
    model: &Forecast,
    pool: &mut StreamPool<bptt::GruCell, String>,
    all: bool,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let head = |outputs| model.head.forward(outputs);
    let answers = if all { pool.flush_with(head) } else { pool.poll_with(Instant::now(), head) };
    for (stream, prediction) in answers.iter() {
        writeln!(out, "{}", serde_json::to_string(&Answer::Prediction { stream, prediction })?)?;
    }
    Ok(out.flush()?)
}

/// A model that tells the next value of a wave.
fn trained(device: &Device) -> Result<Forecast, Box<dyn Error>> {
    let gru = GruConfig::new(1, 32).try_init(device)?;
    let head = LinearConfig::new(gru.d_output(), 1).init(device);
    let mut model = Forecast { gru, head };
    let mut optimizer = AdamConfig::new().init();
    let mut random = Random::new(1);
    for step in 1..=STEPS {
        let waves = waves(&mut random, device);
        let input = waves.clone().slice([0..BATCH, 0..TIME]);
        let target = waves.slice([0..BATCH, 1..TIME + 1]);
        let (outputs, _) = model.gru.forward(input, None);
        let error = (model.head.forward(outputs) - target).powf_scalar(2.0).mean();
        if step % 100 == 0 {
            eprintln!("step {step}  mean squared error {:.5}", error.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(error.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    Ok(model)
}

/// `[B, T + 1, 1]`
fn waves(random: &mut Random, device: &Device) -> Tensor<3> {
    let mut values = Vec::with_capacity(BATCH * (TIME + 1));
    for _ in 0..BATCH {
        let (frequency, phase) = (0.1 + random.uniform(), 6.3 * random.uniform());
        values.extend((0..=TIME).map(|t| (frequency * t as f32 + phase).sin()));
    }
    Tensor::from_data(TensorData::new(values, [BATCH, TIME + 1, 1]), device)
}
