//! `bptt dynamics`

use super::{bptt, stderr, stdout};
use serde_json::Value;

const SMALL: [&str; 8] = ["dynamics", "--random", "--hidden", "6", "--gain", "2.5", "--time", "60"];

fn measured(arguments: &[&str]) -> Value {
    let done = bptt(&[arguments, &["--json", "-"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    serde_json::from_slice(&done.stdout).expect("standard output is JSON and nothing else")
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().expect("a list").iter();
    all.map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn the_json_has_every_field_in_the_documented_shape() {
    for (cell, memories) in [("rnn", 0), ("lstm", 1), ("gru", 0)] {
        let found = measured(&[&SMALL[..], &["--cell", cell]].concat());
        let size = 6 * (1 + memories);
        let count = |name: &str| found[name].as_array().expect(name).len();
        assert_eq!(found["cell"], cell);
        assert_eq!((&found["hidden"], &found["state_size"]), (&6.into(), &size.into()));
        assert_eq!((&found["gain"], &found["seed"]), (&2.5.into(), &1.into()));
        assert_eq!((&found["time"], &found["exponents"]), (&60.into(), &size.into()));
        assert_eq!((&found["transient"], &found["alignment"]), (&100.into(), &100.into()));
        for name in ["lyapunov", "lyapunov_error", "eigenvalues", "singular_values"] {
            assert_eq!(count(name), size, "{cell}: {name}");
        }
        let exponents = numbers(&found["lyapunov"]);
        assert!(exponents.is_sorted_by(|a, b| a >= b), "{cell}: {exponents:?}");
        assert!(numbers(&found["lyapunov_error"]).iter().all(|error| *error >= 0.0));
        assert!(numbers(&found["singular_values"]).is_sorted_by(|a, b| a >= b));
        let (sum, det) = (exponents.iter().sum::<f64>(), found["sum_log_det"].as_f64());
        let det = det.expect("all exponents are measured");
        assert!((sum - det).abs() < 1e-9 * det.abs(), "{cell}: {sum} and {det}");
        let largest = numbers(&found["eigenvalues"][0]);
        let radius = found["spectral_radius"].as_f64().expect("a number");
        assert!((largest[0].hypot(largest[1]) - radius).abs() < 1e-12);
        let dimension = found["kaplan_yorke"].as_f64().expect("of the whole spectrum");
        assert!((0.0..=size as f64).contains(&dimension));
        assert!(found["entropy_rate"].as_f64().expect("of the whole spectrum") >= 0.0);
        assert_eq!((count("convergence"), count("log10_jacobian_norms")), (20, 61));
        assert_eq!(numbers(&found["convergence"][0]).len(), 5);
        assert_eq!(numbers(&found["log10_jacobian_norms"])[0], 0.0);
        assert_eq!(found["mean_field"].is_number(), cell == "rnn");
        match found["jacobian_bound"].as_f64() {
            Some(bound) => assert!(numbers(&found["singular_values"])[0] <= bound * (1.0 + 1e-12)),
            None => assert_ne!(cell, "rnn"),
        }
    }
}

#[test]
fn what_was_not_measured_is_null() {
    let found = measured(&[&SMALL[..], &["--cell", "rnn", "--exponents", "2"]].concat());
    assert_eq!(found["lyapunov"].as_array().map(Vec::len), Some(2));
    assert_eq!(found["sum_log_det"], Value::Null);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |name: &str, seed: &str| {
        let file = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        let (json, html) = (file("json"), file("html"));
        let paths = [json.to_str().expect("a plain path"), html.to_str().expect("a plain path")];
        let files = ["--cell", "gru", "--seed", seed, "--json", paths[0], "--html", paths[1]];
        let done = bptt(&[&SMALL[..], &files].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let read = |path| std::fs::read_to_string(path).expect("the file was written");
        (stdout(&done), read(&json), read(&html))
    };
    let (first, again, other) = (run("first", "1"), run("again", "1"), run("other", "2"));
    assert_eq!(first, again);
    assert!(first.0 != other.0 && first.1 != other.1 && first.2 != other.2);
}

#[test]
fn the_summary_has_the_numbers_and_a_line_of_bars() {
    let done = bptt(&[&SMALL[..], &["--cell", "rnn"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = stdout(&done);
    for part in
        ["largest exponent", "nats per step", "mean field", "6 of 6", "█", "spectral radius"]
    {
        assert!(text.contains(part), "no {part}: {text}");
    }
    assert_eq!(stderr(&done), "", "short work says nothing of its progress");
}

#[test]
fn the_page_is_self_contained_and_says_how_to_read_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("dynamics.html");
    let path = page.to_str().expect("a plain path");
    // At rest, half of an LSTM's exponents are -∞.
    let rest = ["dynamics", "--random", "--hidden", "6", "--gain", "0.5", "--time", "60"];
    let done = bptt(&[&rest[..], &["--cell", "lstm", "--html", path]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stdout(&done).contains("to −∞, 12 of 12"), "{}", stdout(&done));
    let page = std::fs::read_to_string(page).expect("the page was written");
    assert!(page.contains("−∞ nats per step"));
    assert_eq!(page.matches("<svg").count(), 4);
    assert_eq!(page.matches("<figcaption>").count(), 4);
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    for foreign in ["http://", "https://", "<script", "NaN", "inf"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

/// Each entry is one mistake, which gives exit code 2 and one line that names it.
#[test]
fn mistakes_are_one_line_and_exit_code_2() {
    let with = |name: &'static str, value: &'static str| {
        let mut all = [&SMALL[..], &["--cell", "rnn"]].concat();
        match all.iter().position(|argument| *argument == name) {
            Some(at) => all[at + 1] = value,
            None => all.extend([name, value]),
        }
        all
    };
    let mistakes = [
        (with("--gain", "-1"), "a gain of -1"),
        (with("--gain", "NaN"), "a gain of NaN"),
        (with("--hidden", "0"), "0 hidden units"),
        (with("--time", "19"), "19 steps"),
        (with("--exponents", "0"), "0 exponents"),
        (with("--exponents", "7"), "no more than 6"),
        (with("--cell", "perceptron"), "perceptron"),
        (with("--device", "abacus"), "unknown device 'abacus'"),
        (with("--json", "no/such/folder/x.json"), "no/such/folder"),
        (
            vec!["dynamics", "--cell", "rnn", "--hidden", "6", "--gain", "1", "--time", "60"],
            "--random",
        ),
    ];
    for (arguments, named) in mistakes {
        let done = bptt(&arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
    }
}

#[test]
fn fixed_points_of_a_run_are_found_for_the_input_that_is_given() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_string();
    let (run, page) = (path("run"), path("page.html"));
    let task = ["train", "flip-flop", "--bits", "2", "--length", "6", "--hidden", "4"];
    let done = bptt(&[&task[..], &["--batch", "4", "--steps", "2", "--out", &run]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let dynamics = ["dynamics", "--run", &run, "--time", "20", "--fixed-points"];
    let zero = measured(&[&dynamics[..], &["--html", &page]].concat());
    assert_eq!(zero["fixed_point_starts"], 512, "the default");
    assert_eq!(zero["fixed_point_input"], "zero");
    let point = &zero["fixed_points"][0];
    assert!(point["speed"].as_f64().expect("a number") < 1e-20, "{point}");
    assert_eq!((numbers(&point["projection"]).len(), numbers(&point["output"]).len()), (2, 2));
    let eigenvalue = numbers(&point["eigenvalues"][0]);
    let constant = numbers(&point["time_constants"])[0];
    let expected = -1.0 / eigenvalue[0].hypot(eigenvalue[1]).ln();
    assert!((constant - expected).abs() < 1e-9 * expected.abs(), "{constant} {expected}");
    let page = std::fs::read_to_string(page).expect("the page was written");
    assert!(page.contains("Fixed points and trajectories") && page.contains("first principal"));
    let mean = measured(&[&dynamics[..], &["7", "--input", "mean"]].concat());
    assert_eq!(
        (&mean["fixed_point_starts"], &mean["fixed_point_input"]),
        (&7.into(), &"mean".into())
    );
    // Without the option, nothing is searched.
    let without = measured(&dynamics[..5]);
    assert!(without.get("fixed_points").is_none());
    for (more, named) in [(&["0"][..], "--fixed-points 0"), (&["--input", "one"], "one")] {
        let done = bptt(&[&dynamics[..], more].concat());
        assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
        assert!(stderr(&done).contains(named), "{}", stderr(&done));
    }
    let done = bptt(&[&dynamics[..5], &["--input", "zero"]].concat());
    assert_eq!(done.status.code(), Some(2), "an input for nothing: {}", stdout(&done));
}

/// Every field of the section "Truncation" of the book.
#[test]
fn truncation_has_its_fields() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let out = out.to_str().expect("a plain path");
    let sizes = ["--length", "6", "--hidden", "4", "--batch", "256", "--steps", "3"];
    let done = bptt(&[&["train", "adding", "--out", out], &sizes[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let found = measured(&["dynamics", "--run", out, "--time", "20", "--truncation"]);
    assert_eq!((&found["truncation_steps"], &found["truncation_batches"]), (&6.into(), &4.into()));
    assert!(found["truncation_loss"].as_f64() > Some(0.0));
    assert!(found["window_within_1_percent"].as_u64() <= Some(6));
    assert!(found["window_within_1_percent_recurrent"].as_u64() <= Some(6));
    let windows = found["truncation"].as_array().expect("a list");
    let names: Vec<_> = windows.iter().map(|w| w["window"].as_u64().expect("a number")).collect();
    assert_eq!(names, [1, 2, 4, 6]);
    let numbers = [
        "bias",
        "bias_error",
        "cosine",
        "cosine_error",
        "norm",
        "variance",
        "variance_error",
        "signal_to_noise",
        "signal_to_noise_error",
        "batch_bias",
        "batch_bias_error",
    ];
    for window in windows {
        let groups = window["groups"].as_array().expect("a list");
        for of in groups.iter().chain([window]) {
            assert!(numbers.iter().all(|name| of[*name].is_number()), "{of}");
        }
        let names: Vec<_> = groups.iter().map(|group| group["group"].as_str()).collect();
        let expected =
            ["recurrent", "weight_ih_l0", "weight_hh_l0", "bias_l0", "readout"].map(Some);
        assert_eq!(names, expected);
        let parameters = groups[1..].iter().map(|group| group["parameters"].as_u64());
        assert_eq!(parameters.sum::<Option<u64>>(), Some(4 * 4 * (2 + 4 + 2) + 5));
        assert_eq!(groups[0]["parameters"], 4 * 4 * (2 + 4 + 2));
        // The linear layer is not cut.
        assert!(groups[4]["bias"].as_f64() < Some(1e-12));
    }
    // The last window is the whole gradient.
    assert!(windows[3]["bias"].as_f64() < Some(1e-12) && windows[0]["bias"].as_f64() > Some(0.01));
    let without = measured(&["dynamics", "--run", out, "--time", "20"]);
    assert!(without.get("truncation").is_none());

    let page = folder.path().join("page.html");
    let path = page.to_str().expect("a plain path");
    let more = ["--time", "20", "--truncation", "--html", path];
    let done = bptt(&[&["dynamics", "--run", out], &more[..]].concat());
    assert!(stdout(&done).contains("within 1 %"), "{}", stdout(&done));
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("What truncation loses") && !page.contains("NaN"));
}
