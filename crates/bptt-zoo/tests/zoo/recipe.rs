//! Training as it is done: optimisers, schedules, patience, accumulated gradients, averages, smoothed labels, tied embeddings.

use crate::folders::assert_same;
use crate::{alone, losses, options, start, start_with, tiny};
use bptt_zoo::sample::sample;
use bptt_zoo::{
    Adding, Average, CharLm, CharModel, OptimizerKind, Parity, Point, Probes, Recipe, RunFolder,
    Settings, Task,
};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use std::path::Path;
use tempfile::tempdir;

/// A recipe with a bit of everything.
fn full(schedule: &str, average: &str) -> Recipe {
    let has_end = ["linear", "cosine", "exponential", "one-cycle"].contains(&schedule);
    Recipe {
        weight_decay: Some(0.1),
        schedule: schedule.parse().unwrap(),
        warmup: 3,
        schedule_steps: has_end.then_some(17),
        patience: Some(100),
        accumulate: 2,
        average: average.parse().unwrap(),
        ..Recipe::default()
    }
}

/// Whole, in parts that end at validations, and in parts that end anywhere.
fn resumes(settings: &Settings, what: &str) {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let of = |steps| Settings {
        steps: Some(steps),
        lr: 1.0 / 300.0,
        validate_every: 4,
        ..settings.clone()
    };
    start(&of(20), &at("whole"), false).unwrap();
    for steps in (4..=20).step_by(4) {
        start(&of(steps), &at("parts"), steps > 4).unwrap();
    }
    assert_same(&at("whole"), &at("parts"), what);
    for steps in [3, 7, 9, 20] {
        start(&of(steps), &at("anywhere"), steps > 3).unwrap();
    }
    let read = |run: &str, name: &str| {
        std::fs::read(at(run).join("checkpoint-20").join(name)).unwrap_or_default()
    };
    assert!(!read("whole", "model.bpk").is_empty());
    for name in ["model.bpk", "average.bpk", "optimizer.bpk", "state.bpk"] {
        assert!(read("whole", name) == read("anywhere", name), "{what}: {name}");
    }
    assert_eq!(losses(&at("whole")), losses(&at("anywhere")), "{what}");
}

#[test]
fn every_optimizer_is_resumed_to_the_bit() {
    let _alone = alone();
    for optimizer in OptimizerKind::ALL {
        let momentum =
            (optimizer == OptimizerKind::Sgd || optimizer == OptimizerKind::RmsProp).then_some(0.9);
        let recipe = Recipe { momentum, weight_decay: Some(0.1), ..Recipe::default() };
        resumes(&Settings { optimizer, recipe, ..tiny::<Parity>() }, optimizer.name());
    }
}

#[test]
fn every_schedule_and_average_is_resumed_to_the_bit() {
    let _alone = alone();
    let recipes = [
        ("constant", "swa:2"),
        ("linear", "ema:0.9"),
        ("cosine", "ema:0.9"),
        ("exponential", "none"),
        ("step:4:0.5", "swa:3"),
        ("noam", "none"),
        ("one-cycle", "none"),
        // Every validation that is not better lowers the rate.
        ("plateau:1:0.5", "ema:0.5"),
    ];
    for (schedule, average) in recipes {
        let recipe = full(schedule, average);
        resumes(&Settings { recipe: recipe.clone(), ..tiny::<Parity>() }, schedule);
        // With a state that is carried on, smoothed labels and a tied embedding.
        let recipe = Recipe { label_smoothing: 0.1, ..recipe };
        let settings = Settings { recipe, ..tiny::<CharLm>() }.with_option("embedding", 8);
        resumes(&settings.with_option("tie_embeddings", true), schedule);
    }
}

#[test]
fn the_points_have_the_rate_of_the_schedule() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let recipe = Recipe { schedule: "linear".parse().unwrap(), warmup: 5, ..Recipe::default() };
    let settings =
        Settings { lr: 0.01, recipe, steps: Some(15), validate_every: 5, ..tiny::<Parity>() };
    start(&settings, folder.path(), false).unwrap();
    let text = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
    let points = text.lines().map(|line| serde_json::from_str::<Point>(line).unwrap());
    let rates: Vec<f64> = points.map(|point| point.lr.unwrap()).collect();
    for (found, expected) in rates.iter().zip([0.01, 0.006, 0.001]) {
        assert!((found - expected).abs() < 1e-12, "{rates:?}");
    }
    // The schedule is that of the first start, whatever a resumed run adds.
    let stored = RunFolder::new(folder.path()).settings().unwrap();
    assert_eq!(stored.recipe.schedule_steps, Some(15));
}

/// The parameters of a checkpoint, one after the other.
fn values<M: Module>(model: &M) -> Vec<f32> {
    struct Values(Vec<f32>);
    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut values = Values(Vec::new());
    model.visit(&mut values);
    values.0
}

/// One step of plain gradient descent over three batches goes along the mean of their gradients.
#[test]
fn accumulated_gradients_are_the_mean_of_those_of_the_batches() {
    let _alone = alone();
    struct Gradients<'a>(&'a GradientsParams, Vec<f32>);
    impl ModuleVisitor for Gradients<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id).unwrap();
            self.1.extend(gradient.into_data().iter::<f32>());
        }
    }
    let folder = tempdir().unwrap();
    let recipe = Recipe { accumulate: 3, ..Recipe::default() };
    let base = Settings {
        recipe,
        optimizer: OptimizerKind::Sgd,
        clip: f64::INFINITY,
        lr: 0.1,
        ..tiny::<Adding>()
    };
    let settings = Settings { dropout: 0.0, layers: 1, steps: Some(1), validate_every: 1, ..base };
    start(&settings, folder.path(), false).unwrap();
    let found = RunFolder::new(folder.path()).adder(&Device::flex()).unwrap();

    let device = Device::flex().autodiff();
    device.seed(settings.seed);
    let task = Adding::new(&settings).unwrap();
    let model = task.model(&device).unwrap().materialize();
    let mut expected = values(&model.valid());
    for batch in 0..3 {
        let (loss, _) = task.loss(&model, batch, None, &device);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let mut collect = Gradients(&gradients, Vec::new());
        model.visit(&mut collect);
        expected.iter_mut().zip(collect.1).for_each(|(value, g)| *value -= 0.1 / 3.0 * g);
    }
    for (found, expected) in values(&found).iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-6, "{found}, {expected}");
    }
    // Another number of batches is another step.
    let once = Settings { recipe: Recipe::default(), ..settings };
    start(&once, folder.path(), false).unwrap();
    let other = RunFolder::new(folder.path()).adder(&Device::flex()).unwrap();
    let differ = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-5;
    assert!(values(&other).iter().zip(&expected).any(differ));
}

#[test]
fn a_run_without_better_validations_ends() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path();
    // A rate at which nothing can be learned.
    let recipe = Recipe { patience: Some(2), ..Recipe::default() };
    let settings =
        Settings { lr: 1e-30, recipe, steps: Some(100), validate_every: 3, ..tiny::<Parity>() };
    let (result, lines) = start(&settings, out, false).unwrap();
    assert_eq!((result.steps, result.best_step), (9, 3), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("2 validations without a lower loss"), "{lines:?}");
    let message = start(&settings, out, true).unwrap_err().to_string();
    assert!(
        message.contains("ended at step 9, after 2 validations") && message.contains("--patience"),
        "{message}"
    );
    let more = Recipe { patience: Some(4), ..settings.recipe.clone() };
    let (result, _) = start(&Settings { recipe: more, ..settings }, out, true).unwrap();
    assert_eq!(result.steps, 15);
}

/// What is validated, kept and tested is the average; what is trained on is not.
#[test]
fn the_average_is_what_is_kept() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let run = |average: &str| {
        let out = folder.path().join(average.replace(':', "-"));
        let recipe = Recipe { average: average.parse().unwrap(), ..Recipe::default() };
        let base = Settings { recipe, layers: 1, dropout: 0.0, ..tiny::<Adding>() };
        let settings = Settings { steps: Some(6), validate_every: 6, ..base };
        let (result, _) = start(&settings, &out, false).unwrap();
        let kept = RunFolder::new(&out).adder(&Device::flex()).unwrap();
        let scores = Adding::new(&settings).unwrap().validate(&kept, &Device::flex());
        assert!((scores.loss - result.valid_loss).abs() < 1e-9, "{average}");
        let names = ["checkpoint-6/model.bpk", "checkpoint-6/average.bpk", "model.bpk"];
        names.map(|name| std::fs::read(out.join(name)).unwrap_or_default())
    };
    let [plain, none, kept] = run("none");
    assert!(none.is_empty() && kept == plain);
    let [trained, average, kept] = run("ema:0.9");
    assert!(plain == trained, "the average changes nothing of the training");
    assert!(kept == average && average != trained);
    // Over one step, the mean is the weights themselves.
    let [trained, average, _] = run("swa:6");
    assert!(trained == average);
    let [trained, average, kept] = run("swa:3");
    assert!(trained != average && kept == average);
    assert_eq!("swa:3".parse(), Ok(Average::Swa(3)));
}

#[test]
fn labels_are_smoothed_where_there_are_labels() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let recipe = Recipe { label_smoothing: 0.2, ..Recipe::default() };
    let settings = Settings { recipe: recipe.clone(), ..tiny::<Adding>() };
    let message = start(&settings, folder.path(), false).unwrap_err().to_string();
    assert!(
        message.starts_with("--label-smoothing 0.2: adding does not learn labels"),
        "{message}"
    );
    let settings = Settings { recipe, ..tiny::<Parity>() };
    let probes = Probes { sharpness: Some(5), ..Probes::default() };
    let message = start_with(&settings, folder.path(), false, probes).unwrap_err().to_string();
    assert!(message.starts_with("--probe sharpness: "), "{message}");
    // The training loss has the smoothing, the validation loss has not.
    let (out, plain) = (folder.path().join("a"), folder.path().join("b"));
    let of =
        |recipe| Settings { recipe, lr: 1e-30, steps: Some(1), dropout: 0.0, ..tiny::<Parity>() };
    let (smooth, _) = start(&of(settings.recipe.clone()), &out, false).unwrap();
    let (usual, _) = start(&of(Recipe::default()), &plain, false).unwrap();
    assert_eq!(smooth.valid_loss, usual.valid_loss);
    assert_ne!(smooth.train_loss, usual.train_loss);
}

fn tied(out: &Path) -> Settings {
    let settings = tiny::<CharLm>().with_option("embedding", 8);
    start(&settings, &out.join("apart"), false).unwrap();
    settings.with_option("tie_embeddings", true)
}

#[test]
fn a_tied_embedding_is_the_last_layer() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = tied(folder.path());
    // The check of the engines' gradients is at the beginning of the run, over the tied matrix too.
    let run = RunFolder::new(folder.path().join("tied"));
    let (result, lines) = start(&settings, run.path(), false).unwrap();
    assert!(lines[0].starts_with("check: manual and autograd gradients agree"), "{lines:?}");
    let (model, tokenizer) = run.char_model(&Device::flex()).unwrap();
    assert!(model.embedding.is_none());
    let (apart, _) =
        RunFolder::new(folder.path().join("apart")).char_model(&Device::flex()).unwrap();
    assert_eq!(apart.num_params() - result.parameters, 8 * tokenizer.size());
    sample(&run, &options("The gate", 1), &Device::flex()).unwrap();
    // A gradient reaches the rows of characters that are read, which are no answers.
    let device = Device::flex().autodiff();
    let model = CharModel::new(&settings, 7, &device).unwrap();
    let input = Tensor::<2, Int>::from_ints([[3, 1]], &device);
    let (scores, _) = model.forward(input, None);
    let gradients = scores.slice([0..2, 5..6]).sum().backward();
    let gradient = model.head.weight.grad(&gradients).unwrap();
    let size = |column: usize| {
        gradient.clone().slice([0..8, column..column + 1]).abs().sum().into_scalar::<f32>()
    };
    assert!([1, 3, 5].map(size).iter().all(|size| *size > 0.0));
    assert!([0, 2, 4, 6].map(size).iter().all(|size| *size == 0.0));

    let message = start(&settings.with_option("embedding", 9), run.path(), false).unwrap_err();
    let expected =
        "--tie-embeddings: needs --embedding and --hidden of one size, and they are 9 and 8";
    assert_eq!(message.to_string(), expected);
}
