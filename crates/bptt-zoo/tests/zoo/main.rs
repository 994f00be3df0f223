//! Whole runs of a small size: curves, resumed runs, folders and samples.
//!
//! `cargo test --release -p bptt-zoo --features flex`
#![cfg(feature = "flex")]

mod compare;
mod control;
mod data;
mod fixed_points;
mod folders;
mod gradients;
#[cfg(feature = "scanned-cells")]
mod hybrid;
mod jacobians;
mod labelled;
mod landscape;
mod models;
mod noise;
mod recipe;
mod sharpness;
mod spoilt;
mod stranger;
mod tokens;
mod translate;
mod weights;
mod weights_broken;
mod weights_cases;
mod weights_cells;
#[cfg(feature = "scanned-cells")]
mod weights_scanned;

use bptt::{Engine, LayerKind};
use bptt_probe::DType;
use bptt_zoo::sample::{Choice, SampleOptions, SampledText, sample, score};
use bptt_zoo::{
    Adding, AnyTask, CharLm, CharModel, Error, Forecast, ForecastOptions, ForecasterConfig,
    OptionKind, Parity, Probes, RunFolder, RunResult, Schedule, Session, Settings, TASKS, Task,
    Text, train,
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard};
use tempfile::tempdir;

/// One run at a time, because the random numbers of the device are shared by the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A wave on a slope, with a gap.
fn series() -> String {
    let value = |t: usize| 20.0 + 0.1 * t as f64 + 3.0 * (0.4 * t as f64).sin();
    let line = |t| if t == 50 { "50,\n".to_string() } else { format!("{t},{}\n", value(t)) };
    "time,level\n".to_string() + &(0..240).map(line).collect::<String>()
}

/// Settings of a small and short run of a task.
fn tiny<T: Task>() -> Settings {
    tiny_of(&AnyTask::of::<T>())
}

/// The same for a task of the list. Its sizes are at most 12, and its data file has a wave, or labelled sequences.
fn tiny_of(task: &AnyTask) -> Settings {
    let mut settings = Settings {
        hidden: 8,
        layers: 2,
        batch: 4,
        dropout: 0.2,
        steps: Some(20),
        validate_every: 1000,
        device: "flex".to_string(),
        ..task.defaults()
    };
    for option in task.options {
        let size = settings.options[option.name].as_u64();
        settings = match option.kind {
            // A size without a default belongs to another model.
            OptionKind::Size(..) => match size {
                // A length that depends on the data.
                Some(0) if option.name == "length" => settings.with_option(option.name, 12),
                Some(size) => settings.with_option(option.name, size.min(12)),
                None => settings,
            },
            OptionKind::File if task.name == "chorales" => {
                let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chorales.json");
                let chorale = |k: usize| {
                    let steps =
                        (0..5 + k % 4).map(|t| format!("[{}, {}]", 40 + (t + k) % 7, 60 - t));
                    format!("[{}]", steps.collect::<Vec<_>>().join(", "))
                };
                let part = |count: usize| (0..count).map(chorale).collect::<Vec<_>>().join(", ");
                let [train, valid, test] = [9, 3, 3].map(part);
                let text =
                    format!("{{\"train\": [{train}], \"valid\": [{valid}], \"test\": [{test}]}}");
                bptt_zoo::write_whole(&file, text.as_bytes()).expect("the folder of the tests");
                settings.with_option(option.name, file.display().to_string())
            }
            OptionKind::File if option.name == "data" => {
                let name = format!("{}.jsonl", task.name);
                let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
                let lines = labelled::json_lines(task.name, 60);
                bptt_zoo::write_whole(&file, lines.as_bytes()).expect("the folder of the tests");
                settings.with_option(option.name, file.display().to_string())
            }
            OptionKind::File if option.required => {
                let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("series.csv");
                bptt_zoo::write_whole(&file, series().as_bytes()).expect("the folder of the tests");
                settings.with_option(option.name, file.display().to_string())
            }
            OptionKind::Text | OptionKind::Texts if option.required => {
                settings.with_option(option.name, "level")
            }
            _ => settings,
        };
    }
    // The same schedule for a run that ends early and is resumed, and for the whole one.
    if settings.recipe.schedule == Schedule::Cosine {
        settings.recipe.schedule_steps = Some(60);
    }
    settings
}

/// The tasks whose loss has second derivatives here. Each note of a chorale has a probability of its own, and that loss is
/// neither the mean squared error nor the cross entropy; a policy has no data before it acts; and a model with attention is
/// more than recurrent layers.
fn with_derivatives() -> impl Iterator<Item = &'static AnyTask> {
    TASKS.iter().filter(|task| !["chorales", "control", "translate"].contains(&task.name))
}

fn start(settings: &Settings, out: &Path, resume: bool) -> Result<(RunResult, Vec<String>), Error> {
    start_with(settings, out, resume, Probes::default())
}

fn start_with(
    settings: &Settings,
    out: &Path,
    resume: bool,
    probes: Probes,
) -> Result<(RunResult, Vec<String>), Error> {
    let stop = AtomicBool::new(false);
    let mut lines = Vec::new();
    let say = &mut |line: &str| lines.push(line.to_string());
    let device = Device::flex();
    let out = out.to_path_buf();
    let begun = &mut || {};
    let progress = None;
    let warm_start = None;
    let session =
        Session { device, out, resume, warm_start, stop: &stop, probes, begun, say, progress };
    train(settings, session).map(|result| (result, lines))
}

/// The training losses of the last steps, one by one.
fn losses(out: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(out.join("checkpoint.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["recent"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect()
}

#[test]
fn either_engine_has_the_same_curve() {
    let _alone = alone();
    for task in TASKS {
        for cell in LayerKind::all() {
            let folder = tempdir().unwrap();
            let curve = |engine: Engine| {
                let out = folder.path().join(engine.name());
                // Small steps: the optimiser divides by gradients, and a large step carries their rounding on.
                let lr = 2e-3;
                start(&Settings { cell, engine, lr, ..tiny_of(task) }, &out, false).unwrap();
                losses(&out)
            };
            let (manual, autograd) = (curve(Engine::Manual), curve(Engine::Autograd));
            assert_eq!(manual.len(), 20);
            assert!(manual[0] != manual[19], "nothing was learned");
            for (step, (a, b)) in manual.iter().zip(&autograd).enumerate() {
                assert!(
                    (a - b).abs() < 1e-4 * b.abs(),
                    "{} {cell:?} step {step}: {a}, {b}",
                    task.name
                );
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_does_not() {
    let _alone = alone();
    for task in TASKS {
        let folder = tempdir().unwrap();
        let run = |name: &str, seed: u64| {
            let out = folder.path().join(name);
            start(&Settings { seed, ..tiny_of(task) }, &out, false).unwrap();
            (losses(&out), std::fs::read(out.join("model.bpk")).unwrap())
        };
        let first = run("first", 7);
        assert!(first == run("second", 7));
        assert!(first.0 != run("other", 8).0);
    }
}

#[test]
fn a_resumed_run_goes_on_as_the_uninterrupted_one() {
    let _alone = alone();
    for task in TASKS {
        let folder = tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        // The interruption is not at the end of a chunk or an epoch, and there is dropout.
        start(&tiny_of(task), &whole, false).unwrap();
        start(&Settings { steps: Some(9), ..tiny_of(task) }, &parts, false).unwrap();
        let (result, lines) = start(&tiny_of(task), &parts, true).unwrap();
        assert_eq!(result.steps, 20);
        assert!(
            lines[0].starts_with("check: manual and autograd gradients agree to "),
            "{lines:?}"
        );
        assert_eq!(losses(&whole), losses(&parts));
        let model = |out: &Path| std::fs::read(out.join("checkpoint-20/model.bpk")).unwrap();
        assert!(model(&whole) == model(&parts));
        assert!(!parts.join("checkpoint-9").exists());
        let steps: Vec<u64> = std::fs::read_to_string(parts.join("metrics.jsonl"))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<bptt_zoo::Point>(line).unwrap().step)
            .collect();
        assert_eq!(steps, [9, 20]);

        let message = start(&tiny_of(task), &parts, true).unwrap_err().to_string();
        assert!(message.contains("at step 20 already"), "{message}");
        let other = Settings { hidden: 9, steps: Some(30), ..tiny_of(task) };
        assert!(start(&other, &parts, true).unwrap_err().to_string().starts_with("--hidden 9:"));
    }
}

#[test]
fn a_run_folder_is_complete_and_a_stop_is_clean() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let (stop, mut lines) = (AtomicBool::new(true), Vec::new());
    let say = &mut |line: &str| lines.push(line.to_string());
    let device = Device::flex();
    let mut begun = 0;
    let session = Session {
        device,
        out: out.clone(),
        resume: false,
        warm_start: None,
        stop: &stop,
        probes: Default::default(),
        begun: &mut || begun += 1,
        say,
        progress: None,
    };
    let result = train(&tiny::<CharLm>(), session).unwrap();
    assert_eq!((result.steps, result.best_step, begun), (0, 0, 1));
    assert!(lines[0].starts_with("check: "), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("stopped at step 0"), "{lines:?}");

    let (result, _) = start(&tiny::<CharLm>(), &out, true).unwrap();
    assert_eq!((result.steps, result.task, result.cell), (20, "char-lm", "lstm"));
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        ".bptt-run",
        "checkpoint-20",
        "checkpoint.json",
        "config.json",
        "learning-curve.svg",
        "metrics.csv",
        "metrics.jsonl",
        "model.bpk",
    ];
    assert_eq!(names, expected);
    let json = serde_json::to_string(&result).unwrap();
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
    let mut fields: Vec<&str> = fields.keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut expected = [
        "task",
        "cell",
        "engine",
        "device",
        "steps",
        "seconds",
        "train_loss",
        "valid_loss",
        "metric",
        "metric_name",
        "parameters",
        "best_step",
        "out",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
}

#[test]
fn a_short_adding_problem_is_learned() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = Settings {
        hidden: 16,
        layers: 1,
        dropout: 0.0,
        batch: 32,
        steps: Some(300),
        ..tiny::<Adding>()
    }
    .with_option("length", 6);
    for dtype in DType::ALL {
        let settings = Settings { dtype, ..settings.clone() };
        let (result, lines) = start(&settings, folder.path(), false).unwrap();
        // A model that always answers the mean has 0.167.
        assert!(result.valid_loss < 0.03, "{result:?}");
        let said = format!("engine manual, recurrent layers in {}:", dtype.name());
        assert_eq!(lines[1].contains(&said), dtype != DType::F32, "{lines:?}");
    }
}

/// The gradients are so small that all of them are zero in f16, or so large that they are infinite, if the loss has a
/// factor that does not fit.
#[test]
fn the_loss_of_f16_finds_its_factor() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = Settings { dtype: DType::F16, steps: Some(40), ..tiny::<CharLm>() };
    start(&settings, folder.path(), false).unwrap();
    let factor = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("checkpoint.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["loss_scale"]["factor"].as_f64()
    };
    let found = factor(folder.path()).expect("f16 has one");
    assert!((2.0..=65_536.0).contains(&found) && found.log2().fract() == 0.0, "{found}");
    let message = start(
        &Settings { dtype: DType::Bf16, steps: Some(60), ..settings.clone() },
        folder.path(),
        true,
    );
    let message = message.unwrap_err().to_string();
    assert!(message.starts_with("--dtype \"bf16\": the run to resume has \"f16\""), "{message}");
    start(&Settings { dtype: DType::Bf16, ..settings }, folder.path(), false).unwrap();
    assert_eq!(factor(folder.path()), None);
}

#[test]
fn short_sequences_have_their_parity_learned() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = Settings {
        hidden: 16,
        layers: 1,
        dropout: 0.0,
        batch: 32,
        steps: Some(400),
        ..tiny::<Parity>()
    }
    .with_option("length", 4);
    let (result, lines) = start(&settings, folder.path(), false).unwrap();
    assert!(lines[1].contains("guessing has loss 0.6931"), "{lines:?}");
    assert_eq!(result.metric_name, "accuracy");
    assert!(result.metric > 0.98 && result.valid_loss < 0.1, "{result:?}");
}

#[test]
fn a_wave_on_a_slope_is_forecast_beyond_what_was_trained_on() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = Settings {
        hidden: 16,
        layers: 1,
        dropout: 0.0,
        batch: 16,
        steps: Some(300),
        ..tiny::<Forecast>()
    }
    .with_option("horizon", 2)
    .with_option("combine", "none")
    .with_option("test_share", 0);
    let (result, lines) = start(&settings, folder.path(), false).unwrap();
    assert!(
        lines[1].contains("240 values, 1 of them filled in; windows of 12, 2 ahead"),
        "{lines:?}"
    );
    // Repeating the last value has a loss of 1 for one step ahead, and more for two.
    assert!(result.valid_loss < 0.02, "{result:?}");
    let model = RunFolder::new(folder.path()).load::<ForecasterConfig>(&Device::flex()).unwrap();
    let value = |t: usize| 20.0 + 0.1 * t as f64 + 3.0 * (0.4 * t as f64).sin();
    let window = |end: usize| (end - 12..end).map(value).collect::<Vec<_>>();
    let answers = model.forecast(&[window(240), window(100)], &Device::flex());
    for (answer, end) in answers.iter().zip([240, 100]) {
        assert_eq!(answer.len(), 2);
        for (k, found) in answer.iter().enumerate() {
            let expected = value(end + k);
            assert!((found - expected).abs() < 0.3, "{found}, expected {expected}");
        }
    }
}

#[test]
fn another_series_is_not_resumed() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let (file, out) = (folder.path().join("series.csv"), folder.path().join("run"));
    let settings = tiny::<Forecast>().with_option("csv", file.display().to_string());
    std::fs::write(&file, series()).unwrap();
    start(&settings, &out, false).unwrap();
    std::fs::write(&file, series().replace("\n7,", "\n7,1")).unwrap();
    let longer = Settings { steps: Some(30), ..settings };
    let message = start(&longer, &out, true).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: ", file.display())), "{message}");
    assert!(message.contains("the series is not the one that the run began with"), "{message}");
}

#[test]
fn a_model_without_preferences_has_the_entropy_of_the_vocabulary() {
    let _alone = alone();
    let device = Device::flex();
    let text = Text::load(None).unwrap();
    let characters = text.vocabulary.len() as f64;
    let task = CharLm::with_text(&tiny::<CharLm>(), text).unwrap();
    let mut model = task.model(&device).unwrap();
    model.head.weight = model.head.weight.map(|weight| weight * 0.0);
    model.head.bias = model.head.bias.map(|bias| bias.map(|bias| bias * 0.0));
    let scores = task.validate(&model, &device);
    assert!((scores.loss - characters.ln()).abs() < 1e-5, "{scores:?}");
    assert!((scores.metric - characters.log2()).abs() < 1e-5, "{scores:?}");
}

#[test]
fn one_character_at_a_time_is_the_same_as_a_chunk() {
    let _alone = alone();
    let device = Device::flex();
    for cell in LayerKind::all() {
        let settings = Settings { cell, ..tiny::<CharLm>() };
        let model = CharModel::new(&settings, 7, &device).unwrap();
        let numbers = [3, 1, 6, 0, 2];
        let (whole, _) = model.forward(Tensor::<2, Int>::from_data([numbers], &device), None);
        let mut state = None;
        for (t, number) in numbers.into_iter().enumerate() {
            let input = Tensor::<1, Int>::from_data([number], &device);
            let (scores, next) = model.step(input, state.take());
            state = Some(next);
            let difference = (scores - whole.clone().slice([t..t + 1])).abs().max();
            assert!(difference.into_scalar::<f32>() < 1e-5, "{cell:?}, step {t}");
        }
    }
}

fn options(prompt: &str, seed: u64) -> SampleOptions {
    let choice = Choice { temperature: 1.0, top_k: None, top_p: None };
    SampleOptions { prompt: prompt.to_string(), length: 60, choice, samples: 1, stop: vec![], seed }
}

#[test]
fn samples_follow_seed_and_prompt() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let run = RunFolder::new(folder.path().join("run"));
    start(&tiny::<CharLm>(), run.path(), false).unwrap();
    let write = |options: &SampleOptions| sample(&run, options, &Device::flex()).unwrap();
    let first = |prompt, seed| write(&options(prompt, seed)).texts.remove(0).text;
    let text = first("The gate", 1);
    assert_eq!(text.chars().count(), 60);
    assert_eq!(text, first("The gate", 1));
    assert_ne!(text, first("The gate", 2));
    first("", 1);
    // What the model never saw is left out, and said.
    let written = write(&options("The \u{e9}gate", 1));
    assert_eq!(written.texts[0].text, text);
    assert!(written.notes[0].contains("'\u{e9}'"), "{:?}", written.notes);
    // Of several texts, the first is the one that is written alone.
    let several = write(&SampleOptions { samples: 3, ..options("The gate", 1) });
    assert_eq!(several.texts.len(), 3);
    assert_eq!(several.texts[0].text, text);
    assert_ne!(several.texts[1].text, text);
    // A text ends before the string at which it has to stop.
    let stop: String = text.chars().skip(7).take(2).collect();
    let stopped = write(&SampleOptions { stop: vec![stop.clone()], ..options("The gate", 1) });
    let SampledText { text: short, stopped } = &stopped.texts[0];
    assert!(*stopped && text.starts_with(&format!("{short}{stop}")), "{short:?} of {text:?}");
    // Among one character there is no choice.
    let one = |seed| {
        let choice = Choice { temperature: 1.0, top_k: Some(1), top_p: None };
        write(&SampleOptions { choice, ..options("The gate", seed) }).texts
    };
    assert_eq!(one(1), one(2));
    let choice = Choice { temperature: -1.0, top_k: None, top_p: None };
    let cold = SampleOptions { choice, ..options("", 1) };
    assert!(sample(&run, &cold, &Device::flex()).unwrap_err().to_string().contains("-1"));
}

#[test]
fn scores_are_those_of_the_validation() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let run = RunFolder::new(folder.path().join("run"));
    start(&tiny::<CharLm>(), run.path(), false).unwrap();
    let (model, tokenizer) = run.char_model(&Device::flex()).unwrap();
    let text = "The gates of the cell are open.\n".repeat(40);
    let of = |text: &str| score(&run, &Text::parse(text.as_bytes(), "t").unwrap(), &Device::flex());
    let found = of(&text).unwrap();
    // The whole text at once.
    let numbers: Vec<i32> =
        tokenizer.encode(&text).numbers.into_iter().map(|number| number as i32).collect();
    let count = numbers.len() - 1;
    let tensor = |numbers: &[i32]| {
        Tensor::<2, Int>::from_data(TensorData::new(numbers.to_vec(), [1, count]), &Device::flex())
    };
    let (whole, _) = model.loss(tensor(&numbers[..count]), tensor(&numbers[1..]), None);
    let whole = f64::from(whole.into_scalar::<f32>());
    assert!((found.nats_per_character - whole).abs() < 1e-5, "{found:?}, not {whole}");
    assert_eq!((found.characters, found.unknown), (count, 0));
    assert!((found.perplexity.ln() - found.nats_per_character).abs() < 1e-12);
    // Characters that the model never saw change nothing, and are counted.
    let strange = of(&format!("\u{e9}{text}\u{e9}")).unwrap();
    assert_eq!(strange.nats_per_character, found.nats_per_character);
    assert_eq!(strange.unknown, 2);
    assert!(of("\u{e9}a").unwrap_err().to_string().contains("2 at least"));
}

#[test]
fn broken_folders_are_one_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let run = RunFolder::new(folder.path().join("run"));
    let complaint = || {
        let error = sample(&run, &options("", 1), &Device::flex()).expect_err("should not work");
        let message = error.to_string();
        assert!(matches!(error, Error::Input(_)) && message.lines().count() == 1, "{message}");
        message
    };
    assert!(complaint().contains("no run here"));
    start(&tiny::<Adding>(), run.path(), false).unwrap();
    assert!(complaint().contains("a run of `adding`"));

    start(&tiny::<CharLm>(), run.path(), false).unwrap();
    let model = std::fs::read(run.model()).unwrap();
    for length in [0, 3, 40, model.len() / 2, model.len() - 1] {
        std::fs::write(run.model(), &model[..length]).unwrap();
        assert!(complaint().contains("model.bpk"), "{length} bytes");
    }
    // An undamaged file of another model.
    let other = tempdir().unwrap();
    start(&Settings { hidden: 9, ..tiny::<CharLm>() }, other.path(), false).unwrap();
    std::fs::copy(other.path().join("model.bpk"), run.model()).unwrap();
    assert!(complaint().contains("model.bpk"));
    std::fs::remove_file(run.model()).unwrap();
    assert!(complaint().contains("no model yet"));
    std::fs::write(run.path().join("config.json"), "{ \"settings\": 3 }").unwrap();
    assert!(complaint().contains("config.json"));
}

/// The path of the data may change, but the data must not: its fingerprint is compared.
#[test]
fn a_run_goes_on_with_a_file_that_was_moved() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let (at, to) = (folder.path().join("series.csv"), folder.path().join("moved.csv"));
    let of = |path: &Path, steps| {
        let settings = tiny::<Forecast>().with_option("csv", path.display().to_string());
        Settings { steps: Some(steps), ..settings }
    };
    let out = folder.path().join("run");
    std::fs::write(&at, series()).unwrap();
    start(&of(&at, 5), &out, false).unwrap();
    std::fs::rename(&at, &to).unwrap();
    assert_eq!(start(&of(&to, 7), &out, true).unwrap().0.steps, 7);
    // From now on the run has the new path.
    let stored: ForecastOptions = RunFolder::new(&out).settings().unwrap().options().unwrap();
    assert_eq!(stored.csv, Some(to.display().to_string()));
    // Another column is other data.
    let message = start(&of(&to, 9).with_option("column", "time"), &out, true).unwrap_err();
    assert!(
        message.to_string().starts_with("--column \"time\": the run to resume has"),
        "{message}"
    );
}

#[test]
fn another_text_is_not_resumed() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let (file, out) = (folder.path().join("text.txt"), folder.path().join("run"));
    let settings = tiny::<CharLm>().with_option("text", file.display().to_string());
    std::fs::write(&file, "to be or not to be. ".repeat(20)).unwrap();
    start(&settings, &out, false).unwrap();
    std::fs::write(&file, "to be or not to bee. ".repeat(20)).unwrap();
    let longer = Settings { steps: Some(30), ..settings };
    let message = start(&longer, &out, true).unwrap_err().to_string();
    assert!(message.contains("not the one that the run began with"), "{message}");
}
