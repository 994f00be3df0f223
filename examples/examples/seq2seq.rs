//! Words written backwards, by an encoder and a decoder with attention.
//!
//! Shows: `Seq2Seq` in a plain training loop with scheduled sampling, words of different lengths, greedy decoding and
//! beam search, and what the decoder attended to. To write a word backwards the decoder has to look at one letter after
//! the other, from the last one to the first: a line in the matrix of weights from one corner to the other.
//!
//! D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015.
//!
//! Command: `cargo run --release --example seq2seq`
//! (`--features wgpu` trains on another backend)
//!
//! What to expect: within a minute the loss falls below 0.01 nats per letter, and nearly all unseen words of up to eight
//! letters are right. Of words of up to sixteen letters, longer than any in training, about half are right. The weights lie
//! on the line from the last letter to the first.

use bptt::attention::Score;
use bptt::prelude::*;
use bptt::seq2seq::{
    BeamConfig, Decoded, Seq2Seq, Seq2SeqConfig, Teaching, TeachingSchedule, cross_entropy,
};
use bptt_examples::Random;
use burn::Tensor;
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, TensorData};

/// The letters have the numbers from 2 on, because 0 begins a word and 1 ends it.
const LETTERS: usize = 26;
const FIRST: usize = 2;
const LONGEST: usize = 8;
const BATCH: usize = 64;
const STEPS: u64 = 1200;

fn word(random: &mut Random, longest: usize) -> Vec<usize> {
    let length = 1 + random.below(longest);
    (0..length).map(|_| FIRST + random.below(LETTERS)).collect()
}

fn letters(symbols: &[usize]) -> String {
    symbols.iter().map(|&symbol| (b'a' + (symbol - FIRST) as u8) as char).collect()
}

/// Sequences of different lengths as `[B, T]`, and their lengths.
fn padded(sequences: &[Vec<usize>], device: &Device) -> (Tensor<2, Int>, Vec<usize>) {
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let time = lengths.iter().copied().max().unwrap_or(0);
    let row = |of: &Vec<usize>| (0..time).map(|t| of.get(t).map_or(0, |&s| s as i64)).collect();
    let rows: Vec<Vec<i64>> = sequences.iter().map(row).collect();
    let data = TensorData::new(rows.concat(), [sequences.len(), time]);
    (Tensor::from_data(data, device), lengths)
}

/// The word backwards, with the symbol that ends it.
fn backwards(word: &[usize]) -> Vec<usize> {
    word.iter().rev().copied().chain([1]).collect()
}

/// How many of the words were written backwards without an error, in percent.
fn right<'a>(words: &[Vec<usize>], written: impl Iterator<Item = &'a Decoded>) -> f64 {
    let is_right = |(word, written): &(&Vec<usize>, &Decoded)| {
        written.ended && written.symbols.iter().eq(word.iter().rev())
    };
    100.0 * words.iter().zip(written).filter(is_right).count() as f64 / words.len() as f64
}

/// Which letters of the word each written letter attended to: tenths, and a dot for less than a tenth.
fn print_alignment(word: &[usize], written: &Decoded) {
    println!("    {}", letters(word));
    for (symbol, weights) in written.symbols.iter().zip(&written.weights) {
        let tenth = |&weight: &f32| match (weight * 10.0).round() as u32 {
            0 => '.',
            10 => '#',
            tenth => char::from_digit(tenth, 10).unwrap_or('#'),
        };
        let row: String = weights[..word.len()].iter().map(tenth).collect();
        println!("  {} {row}", letters(&[*symbol]));
    }
}

fn train(device: &Device, random: &mut Random) -> Seq2Seq<Gru, Gru> {
    let encoder = GruConfig::new(32, 48).with_bidirectional(true).init(device);
    let decoder = |d_input| GruConfig::new(d_input, 96).init(device);
    let mut model = Seq2SeqConfig::new(FIRST + LETTERS, FIRST + LETTERS, 32)
        .with_score(Score::Additive)
        .with_d_attention(Some(48))
        .init(encoder, decoder, device);
    // In the end, half of the letters that the decoder reads are its own.
    let schedule = TeachingSchedule::Linear { start: 1.0, slope: 0.5 / STEPS as f64, floor: 0.5 };
    let mut optimizer = AdamConfig::new().init();
    let mut recent = 0.0;
    for step in 1..=STEPS {
        let words: Vec<_> = (0..BATCH).map(|_| word(random, LONGEST)).collect();
        let targets: Vec<_> = words.iter().map(|word| backwards(word)).collect();
        let (source, source_lengths) = padded(&words, device);
        let (target, target_lengths) = padded(&targets, device);
        let teaching = Teaching::Scheduled { truth: schedule.truth(step), seed: step };
        let scored = model.forward(source, Some(&source_lengths), target.clone(), &teaching);
        let loss = cross_entropy(scored.scores, target, Some(&target_lengths));
        recent += loss.clone().into_scalar::<f32>();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        // The learning rate falls to zero in a line.
        let rate = 5e-3 * (1.0 - step as f64 / (STEPS + 1) as f64);
        model = optimizer.step(rate, model, grads);
        if step % 200 == 0 {
            let truth = schedule.truth(step);
            println!(
                "step {step:4}  {:.4} nats per letter, true letters read: {truth:.2}",
                recent / 200.0
            );
            recent = 0.0;
        }
    }
    model
}

fn main() {
    let device = bptt_examples::device().autodiff();
    device.seed(1);
    let mut random = Random::new(1);
    println!("words of up to {LONGEST} letters, to be written backwards");
    let model = train(&device, &mut random).valid();

    let device = device.inner();
    for longest in [LONGEST, 2 * LONGEST] {
        let words: Vec<_> = (0..500).map(|_| word(&mut random, longest)).collect();
        let (source, lengths) = padded(&words, &device);
        let max_length = 2 * longest;
        let greedy = model.greedy(source.clone(), Some(&lengths), max_length);
        let beam = model.beam(source, Some(&lengths), &BeamConfig::new(5, max_length));
        println!(
            "unseen words of up to {longest:2} letters: right by greedy decoding {:.1} %, by a beam of 5 {:.1} %",
            right(&words, greedy.iter()),
            right(&words, beam.iter().map(|hypotheses| &hypotheses[0])),
        );
    }

    let word: Vec<usize> = "gradient".bytes().map(|b| FIRST + usize::from(b - b'a')).collect();
    let (source, _) = padded(std::slice::from_ref(&word), &device);
    let written = model.greedy(source.clone(), None, 2 * LONGEST).remove(0);
    println!("\nwhat each letter attended to, in tenths:");
    print_alignment(&word, &written);
    println!("\nthe best of a beam of 5, with their log-probabilities:");
    for decoded in model.beam(source, None, &BeamConfig::new(5, 2 * LONGEST)).remove(0) {
        println!("  {:10} {:8.3}", letters(&decoded.symbols), decoded.log_probability);
    }
}
