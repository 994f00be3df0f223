//! `bptt train`

use crate::{bptt, stderr, stdout};

/// A file with a series. It exists as long as the returned folder.
fn series() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("series.csv");
    let lines = (0..80).map(|t| format!("{t},{}\n", (t * t) % 17)).collect::<String>();
    std::fs::write(&file, "time,level\n".to_string() + &lines).expect("the folder can be written");
    let path = file.to_str().expect("a plain path").to_string();
    (folder, path)
}

/// What every run of `every_task_is_trained_and_resumed` has.
const SIZES: [&str; 10] =
    ["--hidden", "4", "--heads", "2", "--batch", "4", "--steps", "3", "--kernel", "reference"];

#[test]
fn every_task_is_trained_and_resumed() {
    let (folder, csv) = series();
    let labelled = ["classify", "regress", "tag"].map(|task| {
        let path = folder.path().join(format!("{task}.jsonl"));
        std::fs::write(&path, crate::predict::lines(task, 40)).expect("it can be written");
        path.to_str().expect("a plain path").to_string()
    });
    let tasks: [(&[&str], &str, &str); 9] = [
        (&["adding", "--length", "4"], "always saying 1 has loss 0.1667", "within_0.04"),
        (&["char-lm", "--time", "8", "--embedding", "4"], "characters", "bits_per_character"),
        (&["classify", "--data", &labelled[0]], "always saying `high` has accuracy", "accuracy"),
        (&["copy", "--length", "4"], "remembering none has loss 0.8664", "recalled"),
        (&["flip-flop", "--bits", "2", "--length", "4"], "always saying 0 has loss 1", "accuracy"),
        (&["forecast", "--csv", &csv, "--column", "level", "--length", "5"], "80 values", "rmse"),
        (&["parity", "--length", "4", "--bidirectional"], "guessing has loss 0.6931", "accuracy"),
        (&["regress", "--data", &labelled[1]], "always saying the mean", "rmse"),
        (&["tag", "--data", &labelled[2], "--class-weights", "balanced"], "2 labels", "accuracy"),
    ];
    for (task, said, metric) in tasks {
        let out = folder.path().join(task[0]);
        let out = out.to_str().expect("a plain path");
        let run = |more: &[&str]| {
            let done = bptt(&[&["train"], task, &["--out", out, "--json", "-"], more].concat());
            assert_eq!(done.status.code(), Some(0), "{task:?}: {}", stderr(&done));
            assert!(stderr(&done).contains(said), "{task:?}: {}", stderr(&done));
            let result: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
            assert_eq!(
                (&result["task"], &result["metric_name"]),
                (&task[0].into(), &metric.into())
            );
            assert!(result["valid_loss"].as_f64() > Some(0.0), "{result}");
            result["steps"].clone()
        };
        let names = ["--init", "he", "--recurrent-init", "orthogonal", "--bias-init", "chrono:20"];
        assert_eq!(run(&[&SIZES, &names[..]].concat()), 3);
        let config = std::fs::read_to_string(folder.path().join(task[0]).join("config.json"));
        let config: serde_json::Value =
            serde_json::from_str(&config.expect("it is there")).expect("JSON");
        let settings = &config["settings"];
        assert_eq!(settings["heads"], 2);
        assert_eq!(settings["kernel"], "reference");
        assert_eq!(settings["init"], "kaiming-uniform");
        assert_eq!(settings["recurrent_init"], "orthogonal");
        assert_eq!(settings["bias_init"], "chrono:20");
        assert_eq!(run(&["--resume", "--steps", "5"]), 5);
    }
}

#[test]
fn what_cannot_be_trained_is_one_line_and_exit_code_2() {
    let (_folder, csv) = series();
    let mistakes: [(&[&str], &str); 20] = [
        (&["parity", "--device", "ndarray", "--dtype", "bf16"], "ndarray has no such type"),
        (&["parity", "--engine", "rtrl", "--dtype", "f16"], "not for --engine rtrl"),
        (&["forecast"], "give --csv FILE and --column NAME"),
        (&["forecast", "--csv", &csv], "give --csv FILE and --column NAME"),
        (&["forecast", "--csv", "no/such.csv", "--column", "level"], "cannot read no/such.csv"),
        (&["forecast", "--csv", &csv, "--column", "x"], "there are: time, level"),
        (&["forecast", "--csv", &csv, "--column", "level", "--length", "90"], "too few"),
        (&["parity", "--csv", &csv], "--csv belongs to forecast, and this is parity"),
        (&["copy", "--time", "3"], "--time belongs to char-lm, control, and this is copy"),
        (
            &["char-lm", "--bidirectional"],
            "--bidirectional belongs to adding, classify, copy, digits, flip-flop, forecast, parity, regress, tag, temporal-order, translate",
        ),
        (&["parity", "--length", "1"], "--length 1: has to be 2"),
        (&["parity", "--heads", "3", "--hidden", "8"], "--heads 3: has to divide --hidden 8"),
        (&["parity", "--heads", "0"], "--heads 0: has to divide --hidden"),
        (
            &["parity", "--cell", "indrnn", "--heads", "2"],
            "--heads 2: indrnn has no recurrent matrix",
        ),
        (&["flip-flop", "--bits", "0"], "--bits 0: has to be 1 to 256"),
        (
            &["parity", "--cell", "rnn", "--bias-init", "chrono:40"],
            "--bias-init chrono:40: it sets the gates that hold the memory, and rnn-tanh has none",
        ),
        (
            &["parity", "--recurrent-init", "identity:big"],
            "`big` is no number: expected identity[:SCALE]",
        ),
        (
            &["char-lm", "--model", "hybrid", "--cell", "gru"],
            "--cell: --model hybrid is not made of layers of one cell",
        ),
        (&["char-lm", "--window", "8"], "--window 8: recurrent layers have no attention"),
        (&["parity", "--init", "radius:1"], "--init radius:1: input weights are not square"),
    ];
    for (arguments, named) in mistakes {
        let done = bptt(&[&["train"], arguments].concat());
        assert_eq!(
            done.status.code(),
            Some(2),
            "{arguments:?}: {}{}",
            stdout(&done),
            stderr(&done)
        );
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
    }
}

/// The help text is made of the list of tasks.
#[test]
fn help_has_every_task_with_its_options_and_defaults() {
    let done = bptt(&["train", "--help"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    // Lines are wrapped at the width of the terminal.
    let help = stdout(&done).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "- adding: Remember two marked numbers of a sequence and add them",
        "- char-lm: Predict the next character of a text",
        "--cell <CELL> The recurrent cell [default: lstm; chorales and copy and digits gru]",
        "--hidden <H> Size of the hidden state [default: 64; char-lm and copy and digits 128, chorales 192, control and forecast and reber and temporal-order 32]",
        "--dtype <DTYPE> In which type the recurrent layers compute; the parameters that are trained are f32 \
         [default: f32]",
        "--lr <X> Learning rate [default: 0.01; char-lm 0.004, control and digits and translate 0.005]",
        "--optimizer <OPTIMIZER> How the parameters follow their gradients [default: adam]",
        "--clip <X> Scale gradients down to this global norm; `inf` for never [default: 1]",
        "--bidirectional Read each sequence backward as well [not for char-lm, chorales, control, reber]",
        "--length <T> adding: numbers in a sequence; control: steps in the corridor of a t-maze [10]; copy: the pause; flip-flop: steps in a sequence; forecast: \
         values in a window (0: 50, or a season and a sixth where that is longer); \
         parity: bits in the longest sequence; temporal-order: symbols in a sequence \
         [default: 50; copy 10, forecast 0, parity 40, temporal-order 100]",
        "--bits <K> flip-flop: bits to remember, each with an input and an output [default: 3]",
        "--column <NAME> forecast: the column with the series",
        "- classify: Say the label of sequences of your own: a classifier",
        "--class-weights <HOW> classify: none, or balanced",
        "--init <NAME> First values of the input weights: torch, xavier-uniform,",
        "chrono:T_MAX, with the longest dependence in steps [default: torch]",
    ] {
        assert!(help.contains(part), "no `{part}` in\n{help}");
    }
    let done = bptt(&["train", "addng"]);
    assert_eq!(done.status.code(), Some(2));
    let line = stderr(&done);
    assert!(
        line.contains(
            "possible values: adding, char-lm, chorales, classify, control, copy, digits, flip-flop, forecast, parity, reber, regress, tag, \
             temporal-order, translate"
        ),
        "{line}"
    );
    let done = bptt(&["train", "adding", "--length", "-3"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr(&done).contains("'-3'"), "{}", stderr(&done));
}

/// As Hugging Face's Trainer leaves a model. (From the reports huggingface/community-events#77 and
/// jakeret/tf_unet#34: a training run that erased what lay in the folder it was given.)
#[test]
fn a_folder_of_another_program_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
    };
    let files = [
        ("config.json", "{\"model_type\": \"bert\"}\n"),
        ("checkpoint-500/model.safetensors", "not to be lost\n"),
        ("checkpoint-1000/model.safetensors", "not to be lost\n"),
    ];
    files.iter().for_each(|(name, text)| write(name, text));
    let out = folder.path().to_str().expect("a plain path");
    for more in [&["--steps", "2", "--hidden", "4", "--batch", "4"][..], &["--resume"]] {
        let done = bptt(&[&["train", "parity", "--out", out], more].concat());
        assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
        assert!(stderr(&done).starts_with(&format!("bptt: {out}: no run")), "{}", stderr(&done));
        assert_eq!(stderr(&done).lines().count(), 1, "{}", stderr(&done));
    }
    for (name, text) in files {
        let found = std::fs::read_to_string(folder.path().join(name)).expect("it is there");
        assert_eq!(found, text, "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 3);
}

/// Two processes, because hash maps have another random order in each process.
#[test]
fn two_processes_leave_the_same_optimizer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |name: &str| {
        let out = folder.path().join(name);
        let path = out.to_str().expect("a plain path");
        let sizes = ["--hidden", "5", "--layers", "3", "--batch", "2", "--steps", "2"];
        let done = bptt(&[&["train", "adding", "--out", path], &sizes[..]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        std::fs::read(out.join("checkpoint-2/optimizer.bpk")).expect("it was written")
    };
    let first = run("first");
    assert!((0..4).all(|k| run(&format!("other-{k}")) == first));
}

/// The fields of the chapter "The loss around a run".
#[test]
fn a_probe_of_the_sharpness_writes_its_lines() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fields = |optimizer: &str| {
        let out = folder.path().join(optimizer);
        let path = out.to_str().expect("a plain path");
        let sizes = ["--length", "6", "--hidden", "4", "--batch", "4", "--steps", "3"];
        let probe = ["--probe", "gradients,sharpness", "--every", "2", "--optimizer", optimizer];
        let done = bptt(&[&["train", "adding", "--out", path], &sizes[..], &probe].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        assert!(out.join("gradients.jsonl").exists());
        let text = std::fs::read_to_string(out.join("sharpness.jsonl")).expect("it was written");
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let fields = line.as_object().expect("an object").clone();
            assert!(fields.values().all(|value| value.is_number()), "{line}");
            fields.keys().cloned().collect::<Vec<_>>()
        };
        text.lines().map(line).collect::<Vec<_>>()
    };
    let always = ["loss", "sharpness", "sharpness_error", "step", "two_over_lr"];
    let adam = ["loss", "preconditioned", "preconditioned_bound", "sharpness", "sharpness_error"];
    let adam = [&adam[..], &["step", "two_over_lr"]].concat();
    let sorted = |mut lines: Vec<Vec<String>>| {
        lines.iter_mut().for_each(|fields| fields.sort());
        lines
    };
    assert_eq!(sorted(fields("sgd")), [&always[..], &always]);
    assert_eq!(sorted(fields("adam")), [&always[..], &adam]);
    let done = bptt(&["train", "adding", "--optimizer", "adamant"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr(&done).contains("adamant"), "{}", stderr(&done));
}

#[test]
fn what_real_time_learning_would_take_is_said_before_it_is_taken() {
    let done = bptt(&["train", "char-lm", "--engine", "rtrl", "--hidden", "512"]);
    assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
    let line = stderr(&done);
    for part in ["--engine rtrl: takes about ", " GB at --hidden 512", "--engine manual"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(line.lines().count(), 1, "{line}");
}

#[test]
fn a_quiet_run_prints_its_result_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run").to_str().expect("a plain path").to_string();
    let run = ["train", "adding", "--hidden", "4", "--batch", "4", "--steps", "3", "--out", &out];
    for quiet in ["--quiet", "-q"] {
        let done = bptt(&[&run[..], &[quiet]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let text = stdout(&done);
        assert!(text.starts_with("done: 3 steps in ") && text.lines().count() == 1, "{text}");
        assert_eq!(stderr(&done), "");
    }
    let done = bptt(&[&run[..], &["--quiet", "--json", "-"]].concat());
    serde_json::from_slice::<serde_json::Value>(&done.stdout).expect("JSON and nothing else");
    // Where there is no terminal, nothing is drawn and nothing is coloured.
    let done = bptt(&run);
    for text in [stdout(&done), stderr(&done)] {
        assert!(!text.contains('\x1b') && !text.contains('\r'), "{text:?}");
    }
}
