//! `char-lm --model hybrid`: what a hybrid reads, how its runs go on, and what is refused.

use crate::{alone, losses, options, start, start_with, tiny};
use bptt::{CellKind, Engine};
use bptt_probe::DType;
use bptt_zoo::sample::sample;
use bptt_zoo::{
    CharLm, CharModel, Hybrid, HybridConfig, Probes, RunFolder, Settings, TASKS, Task, Text,
};
use burn::tensor::{Device, Distribution, Int, Tensor};
use tempfile::tempdir;

fn tiny_hybrid() -> Settings {
    Settings { layers: 4, ..tiny::<CharLm>() }
        .with_option("model", "hybrid")
        .with_option("window", 5)
}

fn hybrid(device: &Device) -> Hybrid {
    device.seed(4);
    HybridConfig::new(6, 8).with_num_blocks(6).with_window(4).try_init(device).unwrap()
}

fn largest(difference: Tensor<3>) -> f32 {
    difference.abs().max().into_scalar::<f32>()
}

#[test]
fn a_later_step_changes_no_earlier_output() {
    let _alone = alone();
    let device = Device::flex();
    let model = hybrid(&device);
    let input = Tensor::<3>::random([2, 11, 6], Distribution::Default, &device);
    let (before, _) = model.forward(input.clone(), None);
    for changed in [1, 4, 10] {
        let other = input
            .clone()
            .slice_assign([0..2, changed..changed + 1], Tensor::ones([2, 1, 6], &device));
        let difference = model.forward(other, None).0 - before.clone();
        assert_eq!(largest(difference.clone().slice([0..2, 0..changed])), 0.0);
        for t in changed..11 {
            assert!(largest(difference.clone().slice([0..2, t..t + 1])) > 0.0, "{changed} {t}");
        }
    }
}

#[test]
fn chunks_and_steps_are_the_whole_sequence() {
    let _alone = alone();
    let device = Device::flex();
    let model = hybrid(&device);
    // Longer than the window, several times.
    let input = Tensor::<3>::random([3, 19, 6], Distribution::Default, &device);
    let (whole, last) = model.forward(input.clone(), None);
    for sizes in [vec![1; 19], vec![2, 1, 9, 7], vec![18, 1], vec![3, 3, 3, 3, 3, 3, 1]] {
        let (mut state, mut from) = (None, 0);
        for size in sizes {
            let chunk = input.clone().slice([0..3, from..from + size]);
            let (output, next) = model.forward(chunk, state.take());
            let difference = output - whole.clone().slice([0..3, from..from + size]);
            assert!(largest(difference) < 2e-5, "step {from}");
            state = Some(next);
            from += size;
        }
        let state = state.unwrap();
        assert!(largest(state.hidden - last.hidden.clone()) < 2e-5);
        assert_eq!(state.memory.unwrap().into_data(), last.memory.clone().unwrap().into_data());
    }
    let (step, _) = model.step(input.clone().slice([0..3, 0..1]).squeeze_dim(1), None);
    assert!(largest(step.unsqueeze_dim(1) - whole.slice([0..3, 0..1])) < 2e-5);
}

/// Each row of a batch is a sequence by itself.
#[test]
fn rows_do_not_see_each_other() {
    let _alone = alone();
    let device = Device::flex();
    let model = hybrid(&device);
    let input = Tensor::<3>::random([3, 9, 6], Distribution::Default, &device);
    let (all, _) = model.forward(input.clone(), None);
    for b in 0..3 {
        let (alone, _) = model.forward(input.clone().slice([b..b + 1]), None);
        assert!(largest(alone - all.clone().slice([b..b + 1])) < 1e-5, "row {b}");
    }
}

#[test]
fn either_engine_has_the_same_curve_and_a_resumed_run_the_same_bits() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let [whole, parts, autograd] =
        ["whole", "parts", "autograd"].map(|name| folder.path().join(name));
    let settings = tiny_hybrid();
    let (result, lines) = start(&settings, &whole, false).unwrap();
    assert!(lines[0].starts_with("check: manual and autograd gradients agree to "), "{lines:?}");
    assert!(lines[1].starts_with("char-lm hybrid, "), "{lines:?}");
    assert_eq!(result.cell, "hybrid");

    start(&Settings { engine: Engine::Autograd, ..settings.clone() }, &autograd, false).unwrap();
    let (manual, other) = (losses(&whole), losses(&autograd));
    assert!(manual[0] != manual[19], "nothing was learned");
    for (a, b) in manual.iter().zip(&other) {
        assert!((a - b).abs() < 1e-4 * b.abs(), "{manual:?}, {other:?}");
    }

    start(&Settings { steps: Some(9), ..settings.clone() }, &parts, false).unwrap();
    start(&settings, &parts, true).unwrap();
    for name in ["model.bpk", "optimizer.bpk", "state.bpk"] {
        let file =
            |out: &std::path::Path| std::fs::read(out.join("checkpoint-20").join(name)).unwrap();
        assert!(file(&whole) == file(&parts), "{name}");
    }
    let other = settings.with_option("window", 6);
    let message =
        start(&Settings { steps: Some(30), ..other }, &parts, true).unwrap_err().to_string();
    assert!(message.starts_with("--window 6: the run to resume has 5"), "{message}");
}

#[test]
fn a_run_is_loaded_and_writes_text() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let run = RunFolder::new(folder.path().join("run"));
    let (result, _) = start(&tiny_hybrid(), run.path(), false).unwrap();
    let (model, tokenizer) = run.hybrid_char_model(&device).unwrap();

    // The loaded model has the loss of the run, chunk by chunk as the validation reads.
    let text = Text::load(None).unwrap();
    assert_eq!(tokenizer.vocabulary(), Some(&text.vocabulary[..]));
    let numbers = Tensor::<2, Int>::from_data([[3, 1, 6, 0, 2, 5, 4, 3, 2, 1]], &device);
    let (whole, _) = model.forward(numbers.clone(), None);
    let mut state = None;
    for t in 0..10 {
        let (scores, next) =
            model.step(numbers.clone().slice([0..1, t..t + 1]).reshape([1]), state.take());
        state = Some(next);
        let difference = (scores - whole.clone().slice([t..t + 1])).abs().max();
        assert!(difference.into_scalar::<f32>() < 2e-5, "step {t}");
    }
    let write = |seed| sample(&run, &options("The gate", seed), &device).unwrap();
    assert_eq!(write(1).texts[0].text.chars().count(), 60);
    assert_eq!(write(1), write(1));
    assert_ne!(write(1), write(2));
    assert!(result.parameters > 0);

    let message = run.char_model(&device).unwrap_err().to_string();
    assert!(message.contains("the model is Hybrid, expected Recurrent"), "{message}");
    start(&tiny::<CharLm>(), run.path(), false).unwrap();
    let message = run.hybrid_char_model(&device).unwrap_err().to_string();
    assert!(message.contains("the model is Recurrent, expected Hybrid"), "{message}");
}

#[test]
fn what_a_hybrid_does_not_have_is_refused_in_a_line() {
    let _alone = alone();
    let check = |settings: &Settings| {
        let task = TASKS.iter().find(|task| task.name == CharLm::NAME).unwrap();
        let message = task.check(settings).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    };
    let of = tiny_hybrid;
    let mistakes = [
        (
            Settings { cell: CellKind::Gru.into(), ..of() },
            "--cell gru: a hybrid has no such choice",
        ),
        (Settings { dtype: DType::Bf16, ..of() }, "--dtype bf16: a hybrid has no such choice"),
        (Settings { bidirectional: true, ..of() }, "--bidirectional: not for char-lm"),
        (
            Settings { recurrent_init: "orthogonal".parse().unwrap(), ..of() },
            "--recurrent-init orthogonal: a",
        ),
        (Settings { engine: Engine::Rtrl, ..of() }, "--engine rtrl: not for --model hybrid"),
        (Settings { hidden: 7, ..of() }, "--hidden 7: has to be even"),
        (Settings { layers: 2, ..of() }, "--layers 2: every third block"),
        (of().with_option("window", 1), "--window 1: has to be 2"),
        (of().with_option("model", "hybird"), "--model hybird: has to be recurrent or hybrid"),
        (of().with_option("model", "recurrent"), "--window 5: recurrent layers have no attention"),
    ];
    for (settings, expected) in mistakes {
        let message = check(&settings);
        assert!(message.contains(expected), "{message}, expected {expected}");
    }
    let folder = tempdir().unwrap();
    let probes = Probes { gradients: Some(1), ..Probes::default() };
    let message = start_with(&of(), folder.path(), false, probes).unwrap_err().to_string();
    assert!(message.starts_with("--probe: the probes read recurrent layers"), "{message}");
    assert!(CharModel::new(&of(), 7, &Device::flex()).is_err());
}
