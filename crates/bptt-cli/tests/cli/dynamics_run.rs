//! `bptt dynamics --run`

use super::{bptt, stderr, stdout};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn train(folder: &Path, name: &str, more: &[&str]) -> String {
    let out = folder.join(name).to_str().expect("a plain path").to_string();
    let sizes = ["--hidden", "5", "--batch", "128", "--steps", "3", "--out", &out];
    let done = bptt(&[&["train"], more, &sizes].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    out
}

fn measured(arguments: &[&str]) -> Value {
    let done = bptt(&[&["dynamics", "--time", "60"], arguments, &["--json", "-"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    serde_json::from_slice(&done.stdout).expect("standard output is JSON and nothing else")
}

fn list<'a>(found: &'a Value, name: &str) -> &'a Vec<Value> {
    found[name].as_array().unwrap_or_else(|| panic!("{name} is a list: {}", found[name]))
}

fn number(found: &Value, name: &str) -> f64 {
    found[name].as_f64().unwrap_or_else(|| panic!("{name} is a number: {found}"))
}

/// What is known of every run: the table of the book's chapter "Dynamics".
fn check_head(found: &Value, run: &str, cell: &str, state_size: usize) {
    for (name, expected) in [("run", run), ("task", "adding"), ("cell", cell)] {
        assert_eq!(found[name], expected);
    }
    assert_eq!(found["loss_name"], "mean squared error");
    assert_eq!(found["metric_name"], "within_0.04");
    assert!(number(found, "loss") > 0.0 && number(found, "metric") >= 0.0);
    for (name, expected) in [("layers", 2), ("hidden", 5), ("state_size", state_size), ("seed", 1)]
    {
        assert_eq!(found[name], expected, "{name}");
    }
}

fn check_gradients(found: &Value, memory: bool) {
    assert_eq!(found["gradient_sequences"], 64);
    let norms = list(found, "gradient_norms");
    let parts: &[&str] = if memory { &["hidden", "memory"] } else { &["hidden"] };
    assert_eq!(norms.len(), 8 * 2 * parts.len(), "8 steps, 2 layers");
    let mut rows = norms.iter();
    for layer in 0..2 {
        for part in parts {
            for step in 0..8 {
                let row = rows.next().expect("counted");
                assert_eq!((&row["layer"], &row["step"]), (&layer.into(), &step.into()));
                assert_eq!(row["part"], *part);
                let [norm, output, gates, along] =
                    ["norm", "output", "gates", "along"].map(|name| number(row, name));
                assert!(norm <= (output + gates + along) * (1.0 + 1e-12), "{row}");
                let is_last = step == 7;
                // The last layer has a loss at the last step only.
                assert_eq!(output > 0.0, *part == "hidden" && (is_last || layer == 0), "{row}");
                assert_eq!(gates > 0.0, !is_last, "{row}");
            }
        }
    }
}

fn check_spectrum(found: &Value, size: usize) {
    assert_eq!((&found["time"], &found["exponents"]), (&60.into(), &size.into()));
    assert_eq!((&found["transient"], &found["alignment"]), (&100.into(), &100.into()));
    for found in [found, &found["autonomous"]] {
        for name in ["lyapunov", "lyapunov_error"] {
            assert_eq!(list(found, name).len(), size, "{name}");
        }
        let exponents =
            list(found, "lyapunov").iter().map(|x| x.as_f64().unwrap_or(f64::NEG_INFINITY));
        assert!(exponents.is_sorted_by(|a, b| a >= b), "{found}");
        assert!((0.0..=size as f64).contains(&number(found, "kaplan_yorke")));
        assert!(number(found, "entropy_rate") >= 0.0);
    }
    let sum: f64 = list(found, "lyapunov").iter().map(|x| x.as_f64().expect("finite")).sum();
    let det = number(found, "sum_log_det");
    assert!((sum - det).abs() < 1e-9 * det.abs(), "{sum} and {det}");
    assert_eq!(
        (list(found, "convergence").len(), found["convergence"][0].as_array().map_or(0, Vec::len)),
        (20, 5)
    );
}

fn check_jacobians(found: &Value, size: usize, bounded: bool) {
    let steps: Vec<_> = list(found, "jacobians").iter().map(|at| at["step"].as_u64()).collect();
    assert_eq!(steps, (0..8).map(Some).collect::<Vec<_>>());
    for at in list(found, "jacobians") {
        let [radius, range, singular] =
            ["spectral_radius", "numerical_radius", "largest_singular_value"]
                .map(|x| number(at, x));
        // Of twelve directions, the numerical radius may be one percent too small.
        assert!(radius <= 1.01 * range && range <= singular * (1.0 + 1e-9), "{at}");
    }
    assert_eq!(found["jacobian_step"], 3);
    assert_eq!(
        (list(found, "eigenvalues").len(), list(found, "singular_values").len()),
        (size, size)
    );
    let first = &list(found, "eigenvalues")[0];
    let modulus = first[0].as_f64().expect("re").hypot(first[1].as_f64().expect("im"));
    assert!((modulus - number(found, "spectral_radius")).abs() < 1e-12);
    assert!(number(found, "numerical_radius") >= number(found, "spectral_radius") * 0.999);
    assert_eq!(list(found, "numerical_range").len(), 96);
    assert_eq!(found["product_sequences"], 8);
    let products = list(found, "jacobian_products");
    let spans: Vec<_> = products.iter().map(|product| product["span"].as_u64()).collect();
    assert_eq!(spans, [1, 2, 4, 8].map(Some));
    assert!(products.iter().all(|p| list(p, "log10_singular_values").len() == size));
    let bounds = list(found, "jacobian_bounds");
    assert_eq!(bounds.len(), if bounded { 2 } else { 0 });
    for (layer, bound) in bounds.iter().enumerate() {
        assert_eq!(bound["layer"], layer);
        assert!(number(bound, "largest") <= number(bound, "bound") * (1.0 + 1e-12), "{bound}");
    }
}

fn check_curvature(found: &Value) {
    let [most, least] = ["hessian_max", "hessian_min"].map(|x| number(found, x));
    assert!(most > 0.0 && most >= least, "{most}, {least}");
    for error in ["hessian_max_error", "hessian_min_error"] {
        assert!(number(found, error) >= 0.0);
    }
    assert!(found["hessian_converged"].is_boolean() && number(found, "condition") >= 1.0);
    assert_eq!(number(found, "hessian_share"), 1.0);
    assert!((1..=40).contains(&found["hessian_products"].as_u64().expect("a count")));
}

fn check_holding(found: &Value, cell: &str, gates: &[&str]) {
    assert_eq!((&found["gate_sequences"], &found["half_life_steps"]), (&16.into(), &6.into()));
    let names: Vec<_> = list(found, "gates").iter().map(|gate| gate["name"].clone()).collect();
    assert_eq!(names, [gates, gates].concat(), "{cell}");
    for gate in list(found, "gates") {
        assert!(["sigmoid", "tanh"].map(Value::from).contains(&gate["kind"]), "{gate}");
        assert!(gate["layer"].is_u64() && gate["gate"].is_u64() && gate["mean"].is_f64());
        let shares = number(gate, "low") + number(gate, "high");
        assert!((0.0..=1.0).contains(&shares), "{gate}");
    }
    let units = list(found, "units");
    assert_eq!(units.len(), 10);
    for (k, unit) in units.iter().enumerate() {
        assert_eq!((&unit["layer"], &unit["unit"]), (&(k / 5).into(), &(k % 5).into()));
        let (kept, steps) = (number(unit, "kept"), number(unit, "time_constant"));
        match cell {
            "rnn" => assert_eq!((kept, steps), (0.0, 0.0)),
            _ => assert!((steps + 1.0 / kept.ln()).abs() < 1e-9 * steps && kept > 0.1, "{unit}"),
        }
        assert!(unit["half_life"].as_f64().is_none_or(|steps| (0.0..=6.0).contains(&steps)));
    }
}

#[test]
fn the_json_has_every_field_in_the_documented_shape() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cells: [(&str, usize, &[&str]); 3] = [
        ("rnn", 10, &["h"]),
        ("lstm", 20, &["input", "forget", "candidate", "output"]),
        ("gru", 10, &["reset", "update", "candidate"]),
    ];
    for (cell, size, gates) in cells {
        let adding = ["adding", "--length", "8", "--layers", "2", "--cell", cell];
        let run = train(folder.path(), cell, &adding);
        let found = measured(&["--run", &run]);
        check_head(&found, &run, cell, size);
        check_gradients(&found, cell == "lstm");
        check_spectrum(&found, size);
        check_jacobians(&found, size, cell == "rnn");
        check_holding(&found, cell, gates);
        check_curvature(&found);
    }
}

#[test]
fn every_task_has_dynamics_and_several_runs_are_a_list() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let csv = folder.path().join("series.csv");
    let series = (0..80).map(|t| format!("{}\n", (t * t) % 17)).collect::<String>();
    fs::write(&csv, "level\n".to_string() + &series).expect("the folder can be written");
    let path = csv.to_str().expect("a plain path");
    let runs = [
        train(folder.path(), "copy", &["copy", "--length", "4"]),
        train(folder.path(), "parity", &["parity", "--length", "5", "--cell", "gru"]),
        train(folder.path(), "text", &["char-lm", "--time", "9", "--cell", "rnn"]),
        train(
            folder.path(),
            "forecast",
            &["forecast", "--csv", path, "--column", "level", "--length", "5"],
        ),
    ];
    let all: Vec<_> = runs.iter().flat_map(|run| ["--run", run]).collect();
    let found = measured(&[&all[..], &["--exponents", "2"]].concat());
    let found = found.as_array().expect("a list of runs");
    for (found, task) in found.iter().zip(["copy", "parity", "char-lm", "forecast"]) {
        assert_eq!(found["task"], task);
        assert_eq!(list(found, "lyapunov").len(), 2);
        assert_eq!(found["sum_log_det"], Value::Null, "not all exponents were measured");
        assert!(
            list(found, "gradient_norms").iter().any(|row| number(row, "norm") > 0.0),
            "{task}"
        );
        assert!(!list(found, "units").is_empty() && !list(found, "jacobian_products").is_empty());
    }
}

#[test]
fn the_page_has_all_runs_and_the_same_bytes_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let adding = |cell| ["adding", "--length", "8", "--cell", cell];
    let runs = [
        train(folder.path(), "<plain>", &adding("rnn")),
        train(folder.path(), "gated", &adding("lstm")),
    ];
    let written = |name: &str| {
        let file = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        let (json, html) = (file("json"), file("html"));
        let [j, h] = [&json, &html].map(|path| path.to_str().expect("a plain path"));
        let files = ["--time", "40", "--json", j, "--html", h];
        let done =
            bptt(&[&["dynamics", "--run", &runs[0], "--run", &runs[1]], &files[..]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        for part in
            ["‖dL/dh‖", "‖dL/dc‖", "largest exponent", "half-lives", "forget, layer 0", "bound"]
        {
            assert!(stdout(&done).contains(part), "no {part}: {}", stdout(&done));
        }
        let read = |path| fs::read_to_string(path).expect("the file was written");
        (read(json), read(html))
    };
    let (json, page) = written("first");
    assert_eq!((json, page.clone()), written("second"));
    assert_eq!(page.matches("<figcaption>").count(), 8);
    // Four pictures have a panel for each run.
    assert_eq!(page.matches("<svg").count(), 12);
    assert!(page.contains("rnn (&lt;plain&gt;)") && page.contains("lstm (gated)"));
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    for foreign in ["http://", "https://", "<script", "NaN", "inf", "<plain>"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn mistakes_are_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let adding = train(folder.path(), "adding", &["adding", "--length", "4"]);
    let both = train(folder.path(), "both", &["adding", "--length", "4", "--bidirectional"]);
    let nowhere = folder.path().join("no");
    let nowhere = nowhere.to_str().expect("a plain path");
    let page = folder.path().join("no/such.html");
    let page = page.to_str().expect("a plain path");
    let mistakes: [(&[&str], &str); 11] = [
        (&["--run", nowhere], "no run here"),
        (&["--run", &both], "backward direction"),
        (&["--run", &adding, "--random"], "--random"),
        (&["--run", &adding, "--cell", "rnn"], "--cell"),
        (&["--run", &adding, "--gain", "2"], "--gain"),
        (&["--run", &adding, "--hidden", "9"], "--hidden"),
        (&["--run", &adding, "--time", "19"], "--time 19: has to be at least 20"),
        (&["--run", &adding, "--exponents", "0"], "--exponents 0"),
        (&["--run", &adding, "--exponents", "11"], "no more than 10"),
        (&["--run", &adding, "--device", "abacus"], "unknown device 'abacus'"),
        (&["--run", &adding, "--html", page], "cannot write"),
    ];
    for (arguments, named) in mistakes {
        let done = bptt(&[&["dynamics"], arguments].concat());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
    }
}
