//! The zoo's models, saved and loaded with their config.

use crate::{alone, start, tiny};
use bptt_zoo::{Adder, Adding, CharModel, RunFolder, Task, TaskKind, TextInfo};
use burn::Tensor;
use burn::tensor::{Device, Int};
use tempfile::tempdir;

#[test]
fn a_trained_model_is_loaded_in_a_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let out = folder.path().join("text");
    let (result, _) = start(&tiny(TaskKind::CharLm), &out, false).unwrap();
    let (model, vocabulary) = RunFolder::new(&out).char_model(&device).unwrap();
    let input = Tensor::<2, Int>::zeros([1, 3], &device);
    let (scores, _) = model.forward(input, None);
    assert_eq!(scores.dims(), [3, vocabulary.len()]);
    assert!(result.parameters > 0);

    let out = folder.path().join("adding");
    start(&tiny(TaskKind::Adding), &out, false).unwrap();
    let adder = RunFolder::new(&out).adder(&device).unwrap();
    assert_eq!(adder.forward(Tensor::zeros([2, 5, 2], &device)).dims(), [2]);
    let message = RunFolder::new(&out).char_model(&device).unwrap_err().to_string();
    assert!(message.contains("a run of `adding`, expected one of `char-lm`"), "{message}");
}

#[test]
fn a_model_that_was_trained_elsewhere_is_saved_with_its_config() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let run = RunFolder::new(folder.path());
    let settings = tiny(TaskKind::Adding);
    let adder: Adder<_> = Adding::new(&settings).model(&device).unwrap();
    let input = Tensor::ones([2, 5, 2], &device);
    let before = adder.forward(input.clone()).into_data();
    run.save_model(&settings, None, adder).unwrap();
    run.adder(&device).unwrap().forward(input).into_data().assert_eq(&before, true);

    let settings = tiny(TaskKind::CharLm);
    let text =
        TextInfo { characters: 9, fingerprint: String::new(), vocabulary: "abc".to_string() };
    run.save_model(&settings, Some(text), CharModel::new(&settings, 3, &device).unwrap()).unwrap();
    assert_eq!(run.char_model(&device).unwrap().1, ['a', 'b', 'c']);
}

/// A folder from a stranger.
#[test]
fn a_folder_that_does_not_fit_is_refused_in_a_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let run = RunFolder::new(folder.path());
    let settings = tiny(TaskKind::Adding);
    run.save_model(&settings, None, Adding::new(&settings).model(&device).unwrap()).unwrap();
    let refused = || {
        let message = run.adder(&device).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    };
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let huge = text.replace("\"hidden\": 8", "\"hidden\": 999999999999");
    assert_ne!(huge, text);
    std::fs::write(&config, huge).unwrap();
    assert!(refused().contains("--hidden 999999999999"));
    // Sizes that make sense, but are not those of the weights.
    std::fs::write(&config, text.replace("\"hidden\": 8", "\"hidden\": 9")).unwrap();
    assert!(refused().contains("weight_ih_l0"));
    std::fs::write(&config, text).unwrap();
    let model = run.model();
    let bytes = std::fs::read(&model).unwrap();
    std::fs::write(&model, &bytes[..bytes.len() / 2]).unwrap();
    refused();
}
