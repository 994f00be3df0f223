//! The zoo's models, saved and loaded with their config.

use crate::{alone, start, tiny};
use bptt::{AnyLayerConfig, AnyRecurrentConfig, CellKind, LayerKind};
use bptt_zoo::{
    Adder, Adding, CharLm, CharModel, ClassifierConfig, Copying, Forecast, ForecasterConfig,
    ModelConfig, Parity, RunFolder, Settings, Standardization, TaggerConfig, Task, TextInfo,
};
use burn::Tensor;
use burn::tensor::{Device, Distribution, Int, TensorData};
use tempfile::tempdir;

#[test]
fn a_trained_model_is_loaded_in_a_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let out = folder.path().join("text");
    let (result, _) = start(&tiny::<CharLm>(), &out, false).unwrap();
    let (model, tokenizer) = RunFolder::new(&out).char_model(&device).unwrap();
    let input = Tensor::<2, Int>::zeros([1, 3], &device);
    let (scores, _) = model.forward(input, None);
    assert_eq!(scores.dims(), [3, tokenizer.size()]);
    assert!(result.parameters > 0);

    let out = folder.path().join("adding");
    start(&tiny::<Adding>(), &out, false).unwrap();
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
    let settings = tiny::<Adding>();
    let adder: Adder<_> = Adding::new(&settings).unwrap().model(&device).unwrap();
    let input = Tensor::ones([2, 5, 2], &device);
    let before = adder.forward(input.clone()).into_data();
    run.save_model(&settings, None, adder).unwrap();
    run.adder(&device).unwrap().forward(input).into_data().assert_eq(&before, true);

    let settings = tiny::<CharLm>();
    let text = TextInfo {
        characters: 9,
        fingerprint: String::new(),
        vocabulary: "abc".to_string(),
        tokenizer: None,
    };
    run.save_model(&settings, Some(text), CharModel::new(&settings, 3, &device).unwrap()).unwrap();
    let (_, tokenizer) = run.char_model(&device).unwrap();
    assert_eq!(tokenizer.vocabulary(), Some(&['a', 'b', 'c'][..]));
}

/// A folder from a stranger.
#[test]
fn a_folder_that_does_not_fit_is_refused_in_a_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let run = RunFolder::new(folder.path());
    let settings = tiny::<Adding>();
    run.save_model(&settings, None, Adding::new(&settings).unwrap().model(&device).unwrap())
        .unwrap();
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
    // Sizes that make sense but do not fit the weights.
    std::fs::write(&config, text.replace("\"hidden\": 8", "\"hidden\": 9")).unwrap();
    assert!(refused().contains("weight_ih_l0"));
    std::fs::write(&config, text).unwrap();
    let model = run.model();
    let bytes = std::fs::read(&model).unwrap();
    std::fs::write(&model, &bytes[..bytes.len() / 2]).unwrap();
    refused();
}

/// Trains, and compares the validation of the loaded model with that of the trained one, to the bit.
fn is_loaded_as_it_was_trained<C: ModelConfig, T: Task<Model = C::Model>>() {
    for (cell, bidirectional, heads) in [(CellKind::Lstm, false, 2), (CellKind::Gru, true, 1)] {
        let settings = Settings { cell: cell.into(), bidirectional, heads, ..tiny::<T>() };
        let folder = tempdir().unwrap();
        let (result, _) = start(&settings, folder.path(), false).unwrap();
        let device = Device::flex();
        let model = RunFolder::new(folder.path()).load::<C>(&device).unwrap();
        let scores = T::new(&settings).unwrap().validate(&model, &device);
        assert_eq!(
            (scores.loss, scores.metric),
            (result.valid_loss, result.metric),
            "{settings:?}"
        );
    }
}

#[test]
fn every_model_is_loaded_as_it_was_trained() {
    let _alone = alone();
    is_loaded_as_it_was_trained::<ClassifierConfig, Parity>();
    is_loaded_as_it_was_trained::<TaggerConfig, Copying>();
    is_loaded_as_it_was_trained::<ForecasterConfig, Forecast>();
}

/// Layers of every kind for inputs of a size.
fn layers(d_input: usize) -> impl Iterator<Item = AnyLayerConfig> {
    let kinds = LayerKind::all().into_iter().flat_map(|kind| [(kind, false), (kind, true)]);
    kinds.map(move |(kind, bidirectional)| {
        let config = match kind.cell() {
            Some(cell) => AnyRecurrentConfig::new(cell, d_input, 5)
                .with_reset_after(!bidirectional || cell != CellKind::Gru)
                .into(),
            None => AnyLayerConfig::new(kind, d_input, 5),
        };
        config.with_num_layers(2).with_bidirectional(bidirectional)
    })
}

/// A model that was saved before layers had heads.
#[test]
fn a_config_without_newer_options_is_read() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let run = RunFolder::new(folder.path());
    let config = TaggerConfig::new(AnyRecurrentConfig::new(CellKind::Gru, 3, 4).into(), 2);
    run.save(&config, config.try_init(&Device::flex()).unwrap()).unwrap();
    let path = folder.path().join("config.json");
    let mut json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let layers = json["model"]["config"]["recurrent"].as_object_mut().unwrap();
    assert_eq!(layers.remove("num_heads"), Some(1.into()));
    std::fs::write(&path, json.to_string()).unwrap();
    let loaded = run.load::<TaggerConfig>(&Device::flex()).unwrap();
    assert_eq!(loaded.recurrent.recurrent().unwrap().num_heads(), 1);
}

/// Saves a model and loads it again.
fn there_and_back<C: ModelConfig>(config: &C) -> (C::Model, C::Model) {
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let model = config.try_init(&device).unwrap();
    let run = RunFolder::new(folder.path());
    run.save(config, model.clone()).unwrap();
    let message = run.settings().unwrap_err().to_string();
    assert!(message.contains("no run of `bptt train`"), "{message}");
    (model, run.load::<C>(&device).unwrap())
}

#[test]
fn every_model_that_is_saved_is_loaded_to_the_bit() {
    let _alone = alone();
    let device = Device::flex();
    let random = |size| Tensor::<3>::random([3, 6, size], Distribution::Default, &device);
    let lengths = Some(&[6, 0, 4][..]);
    for layers in layers(3) {
        let input = random(3);
        let (saved, loaded) = there_and_back(&ClassifierConfig::new(layers.clone(), 4));
        let scores = loaded.forward(input.clone(), lengths);
        assert_eq!(scores.dims(), [3, 4]);
        scores.into_data().assert_eq(&saved.forward(input.clone(), lengths).into_data(), true);

        let (saved, loaded) = there_and_back(&TaggerConfig::new(layers, 4));
        let scores = loaded.forward(input.clone(), lengths);
        assert_eq!(scores.dims(), [3, 6, 4]);
        scores.into_data().assert_eq(&saved.forward(input, lengths).into_data(), true);
    }
    let standard = Standardization { mean: 1.0 / 3.0, deviation: 0.1, change: 1e-9 };
    for layers in layers(2) {
        let (saved, loaded) = there_and_back(&ForecasterConfig::new(layers, 2, standard));
        let windows = [vec![0.1, 0.2, 0.4], vec![0.3]];
        let answers = loaded.forecast(&windows, &device);
        assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(answers, saved.forecast(&windows, &device));
        // The forecast of a window does not depend on the other windows.
        assert_eq!(saved.forecast(&windows[..1], &device), answers[..1]);
    }
}

/// Numbers in the padding change nothing, and a row alone gives the same results as in a batch with longer rows.
#[test]
fn lengths_are_respected() {
    let _alone = alone();
    let device = Device::flex();
    let lengths = [2, 5, 1];
    let input = Tensor::<3>::random([3, 5, 3], Distribution::Default, &device);
    let inside = |t: usize, b: usize| f32::from(t < lengths[b]);
    let mask: Vec<f32> = (0..3).flat_map(|b| (0..5).map(move |t| inside(t, b))).collect();
    let mask = Tensor::<3>::from_data(TensorData::new(mask, [3, 5, 1]), &device);
    let other = input.clone() * mask.clone() + (mask.neg() + 1.0) * 1e3;
    let labels =
        Tensor::<2, Int>::from_data([[0, 1, 3, 3, 3], [1, 2, 0, 1, 2], [2, 0, 0, 0, 0]], &device);
    let elsewhere =
        Tensor::<2, Int>::from_data([[0, 1, 0, 2, 1], [1, 2, 0, 1, 2], [2, 3, 1, 1, 1]], &device);
    for layers in layers(3) {
        let classifier = ClassifierConfig::new(layers.clone(), 4).try_init(&device).unwrap();
        let scores = classifier.forward(input.clone(), Some(&lengths));
        let same = classifier.forward(other.clone(), Some(&lengths));
        same.into_data().assert_eq(&scores.to_data(), true);
        let alone = classifier.forward(input.clone().slice([0..1, 0..2]), None);
        let difference = (alone - scores.clone().slice([0..1])).abs().max();
        assert!(difference.into_scalar::<f32>() < 1e-6);
        let cut = classifier.forward(input.clone(), None);
        assert!((cut - scores).slice([0..1]).abs().max().into_scalar::<f32>() > 1e-4);

        let tagger = TaggerConfig::new(layers, 4).try_init(&device).unwrap();
        let scores = tagger.forward(input.clone(), Some(&lengths));
        let same = tagger.forward(other.clone(), Some(&lengths));
        let first = |scores: &Tensor<3>| scores.clone().slice([0..1, 0..2]);
        first(&same).into_data().assert_eq(&first(&scores).into_data(), true);
        let loss = tagger.loss(scores.clone(), labels.clone(), Some(&lengths)).into_scalar::<f32>();
        let same = tagger.loss(scores.clone(), elsewhere.clone(), Some(&lengths));
        assert_eq!(same.into_scalar::<f32>(), loss);
        // The mean over the eight valid steps.
        let row = |b: usize, time: usize| {
            let scores = scores.clone().slice([b..b + 1, 0..time]);
            let labels = labels.clone().slice([b..b + 1, 0..time]);
            time as f32 * tagger.loss(scores, labels, None).into_scalar::<f32>()
        };
        let mean = (row(0, 2) + row(1, 5) + row(2, 1)) / 8.0;
        assert!((loss - mean).abs() < 1e-5, "{loss}, expected {mean}");
    }
}

#[test]
fn another_kind_of_model_is_refused_in_a_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let run = RunFolder::new(folder.path());
    let refused = |message: String, wanted: &str| {
        assert!(message.contains(wanted) && message.lines().count() == 1, "{message}");
    };
    let classifier =
        |run: &RunFolder| run.load::<ClassifierConfig>(&device).unwrap_err().to_string();
    refused(classifier(&run), "no run here");
    start(&tiny::<Copying>(), run.path(), false).unwrap();
    refused(classifier(&run), "a tagger, expected a classifier");
    refused(
        run.char_model(&device).unwrap_err().to_string(),
        "a run of `copy`, expected one of `char-lm`",
    );
    start(&tiny::<Adding>(), run.path(), false).unwrap();
    refused(classifier(&run), "a run of `adding`, expected a classifier");
    let config = TaggerConfig::new(AnyLayerConfig::new(CellKind::Gru, 3, 4), 5);
    run.save(&config, config.try_init(&device).unwrap()).unwrap();
    refused(classifier(&run), "a tagger, expected a classifier");
    refused(run.adder(&device).unwrap_err().to_string(), "no run of `bptt train`");
}

/// A folder from a stranger.
#[test]
fn a_model_that_does_not_fit_its_config_is_refused_in_a_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let run = RunFolder::new(folder.path());
    let standard = Standardization { mean: 1.0, deviation: 2.0, change: 0.5 };
    let layers = AnyLayerConfig::new(CellKind::Lstm, 2, 8);
    let config = ForecasterConfig::new(layers, 3, standard);
    run.save(&config, config.try_init(&device).unwrap()).unwrap();
    let refused = || {
        let message = run.load::<ForecasterConfig>(&device).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    };
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, named) in [
        ("\"d_hidden\": 8", "\"d_hidden\": 999999999999", "model.bpk has"),
        ("\"d_input\": 2", "\"d_input\": 18446744073709551615", "model.bpk has"),
        ("\"num_layers\": 1", "\"num_layers\": 4000000000000000000", "model.bpk has"),
        ("\"horizon\": 3", "\"horizon\": 1099511627776", "model.bpk has"),
        ("\"d_hidden\": 8", "\"d_hidden\": 0", "d_hidden is 0"),
        ("\"d_hidden\": 8", "\"d_hidden\": 9", "weight_ih_l0"),
        ("\"horizon\": 3", "\"horizon\": 4", "head"),
        ("\"horizon\": 3", "\"horizon\": 0", "without an answer"),
        ("\"d_input\": 2", "\"d_input\": 3", "a forecaster's is 2"),
        ("\"deviation\": 2.0", "\"deviation\": 0.0", "deviation"),
        ("\"batch_first\": true", "\"batch_first\": false", "batch_first"),
        ("\"kind\": \"lstm\"", "\"kind\": \"hopfield\"", "hopfield"),
        ("\"kind\": \"forecaster\"", "\"kind\": \"a\\nb\"", "a a\\nb, expected a forecaster"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "no {from} in {text}");
        std::fs::write(&path, changed).unwrap();
        let message = refused();
        assert!(message.contains(named), "{to}: {message}");
    }
    std::fs::write(&path, &text).unwrap();
    let bytes = std::fs::read(run.model()).unwrap();
    std::fs::write(run.model(), &bytes[..bytes.len() / 2]).unwrap();
    refused();
    std::fs::remove_file(run.model()).unwrap();
    assert!(refused().contains("no model yet"));
}
