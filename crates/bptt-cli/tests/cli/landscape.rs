//! `bptt landscape`

use crate::{bptt, stderr, stdout};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Few points, steps and probes.
const SMALL: [&str; 6] = ["--points", "3", "--steps", "6", "--probes", "2"];

fn train(folder: &Path, name: &str, more: &[&str]) -> String {
    let out = folder.join(name).to_str().expect("a plain path").to_string();
    let sizes = ["--hidden", "4", "--batch", "256", "--steps", "3", "--out", &out];
    let done = bptt(&[&["train"], more, &sizes].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    out
}

fn landscape(run: &str, more: &[&str]) -> std::process::Output {
    bptt(&[&["landscape", "--run", run], &SMALL[..], more].concat())
}

/// Every field of the chapter "The loss around a run".
#[test]
fn the_json_has_the_fields_of_the_book() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let adding = ["adding", "--length", "6"];
    let run = train(folder.path(), "a", &adding);
    let other = train(folder.path(), "b", &[&adding[..], &["--seed", "2"]].concat());
    let third = train(folder.path(), "c", &[&adding[..], &["--seed", "3"]].concat());
    for (more, plane) in [
        (&[][..], "random"),
        (&["--plane", "eigenvectors"], "eigenvectors"),
        (&["--to", &other], "runs"),
        (&["--through", &other, "--through", &third], "through"),
    ] {
        let done = landscape(&run, &[more, &["--json", "-"]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let json: Value = serde_json::from_slice(&done.stdout).expect("JSON and nothing else");
        for name in [
            "loss",
            "share",
            "curvature_loss",
            "gradient_norm",
            "hessian_max",
            "hessian_max_error",
            "hessian_min",
            "hessian_min_error",
            "condition",
            "trace",
            "trace_error",
            "lr",
            "two_over_lr",
        ] {
            assert!(json[name].as_f64().is_some(), "{name}: {json}");
        }
        for (name, expected) in
            [("run", run.as_str()), ("task", "adding"), ("cell", "lstm"), ("plane", plane)]
        {
            assert_eq!(json[name], expected);
        }
        assert_eq!((&json["seed"], &json["loss_name"]), (&1.into(), &"mean squared error".into()));
        assert!(json["parameters"].as_u64() > Some(100) && json["converged"].is_boolean());
        assert!(json["products"].as_u64() >= Some(6 + 2 * 6));
        let numbers = |of: &Value| of.as_array().map(Vec::len).expect("a list");
        let count = numbers(&json["top_eigenvalues"]);
        assert!(count > 1 && json["top_eigenvalues"][0] == json["hessian_max"]);
        assert_eq!(
            (numbers(&json["top_errors"]), numbers(&json["gradient_alignment"])),
            (count, count)
        );
        let density = &json["density"];
        assert_eq!(numbers(&density["density"]), numbers(&density["eigenvalue"]));
        assert_eq!(numbers(&density["points"]), numbers(&density["weights"]));
        assert!(density["sigma"].as_f64() > Some(0.0));
        assert_eq!((&density["probes"], &density["steps"]), (&2.into(), &6.into()));
        if plane == "runs" {
            let line = &json["line"];
            assert_eq!((numbers(&line["t"]), numbers(&line["loss"])), (3, 3));
            assert!(json["surface"].is_null() && line["to"] == other.as_str());
            for name in ["to_loss", "distance", "barrier"] {
                assert!(line[name].as_f64().is_some(), "{name}: {line}");
            }
        } else {
            let surface = &json["surface"];
            assert_eq!((numbers(&surface["x"]), numbers(&surface["y"])), (3, 3));
            assert_eq!((numbers(&surface["loss"]), numbers(&surface["loss"][2])), (3, 3));
            assert!(json["line"].is_null());
        }
        assert_eq!(numbers(&json["sharpness"]), 0);
        if plane == "through" {
            for (point, expected) in
                json["points"].as_array().expect("a list").iter().zip([&run, &other, &third])
            {
                assert_eq!(point["run"], expected.as_str());
                assert!(["x", "y", "loss"].iter().all(|name| point[*name].is_number()), "{point}");
            }
            assert_eq!(numbers(&json["points"]), 3);
            assert_eq!(json["points"][0]["loss"], json["loss"]);
        } else {
            assert!(json["points"].is_null());
        }
    }
}

#[test]
fn the_page_has_its_pictures_and_the_same_bytes_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = train(folder.path(), "run", &["parity", "--length", "5"]);
    let written = |name: &str| {
        let path = |end: &str| folder.path().join(format!("{name}.{end}"));
        let (json, html) = (path("json"), path("html"));
        let [j, h] = [&json, &html].map(|path| path.to_str().expect("a plain path"));
        let done = landscape(&run, &["--json", j, "--html", h]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        assert!(stdout(&done).contains("eigenvalues of the Hessian from"), "{}", stdout(&done));
        assert!(stdout(&done).contains("nats per sequence"), "{}", stdout(&done));
        (fs::read(json).expect("JSON"), fs::read_to_string(html).expect("a page"))
    };
    let (json, page) = written("first");
    assert_eq!((json, page.clone()), written("second"));
    assert_eq!(page.matches("<svg").count(), 4);
    assert_eq!(page.matches("<figcaption>").count(), 4);
    for part in
        ["prefers-color-scheme: dark", "@media print", "condition number", "nats per sequence"]
    {
        assert!(page.contains(part), "no {part}");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert!(!page.contains("NaN"));
}

/// Points may be checkpoints. The page marks all three, and has the sharpness along the training.
#[test]
fn a_plane_goes_through_runs_and_checkpoints() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let parity = ["parity", "--length", "5"];
    let probe = ["--probe", "sharpness", "--every", "1"];
    let run = train(folder.path(), "first", &[&parity[..], &probe].concat());
    let other = train(folder.path(), "second", &[&parity[..], &["--seed", "2"]].concat());
    let third = train(folder.path(), "third", &[&parity[..], &["--seed", "3"]].concat());
    let checkpoint = third + "/checkpoint-3";
    let page = folder.path().join("page.html");
    let path = page.to_str().expect("a plain path");
    let done = landscape(&run, &["--through", &other, "--through", &checkpoint, "--html", path]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stdout(&done).contains("checkpoint-3 at "), "{}", stdout(&done));
    assert!(stdout(&done).contains("sharpness along the training"), "{}", stdout(&done));
    let page = fs::read_to_string(page).expect("a page");
    for part in ["first</text>", "second</text>", "checkpoint-3</text>", "2 / learning rate"] {
        assert!(page.contains(part), "no {part}");
    }
    assert!(page.contains("Sharpness along the training") && !page.contains("NaN"));
}

#[test]
fn what_cannot_be_drawn_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let csv = folder.path().join("series.csv");
    let series = (0..80).map(|t| format!("{}\n", (t * t) % 17)).collect::<String>();
    fs::write(&csv, "level\n".to_string() + &series).expect("the folder can be written");
    let path = csv.to_str().expect("a plain path");
    let adding = train(folder.path(), "adding", &["adding", "--length", "4"]);
    let copy = train(folder.path(), "copy", &["copy", "--length", "4"]);
    let forecast = ["forecast", "--csv", path, "--column", "level", "--length", "5"];
    let forecast = train(folder.path(), "forecast", &forecast);
    fs::remove_file(&csv).expect("it is there");
    let nowhere = folder.path().join("no");
    let nowhere = nowhere.to_str().expect("a plain path");
    let page = folder.path().join("no/such.html");
    let page = page.to_str().expect("a plain path");
    let mistakes: [(&str, &[&str], &str); 15] = [
        (nowhere, &[], "no run here"),
        (&forecast, &[], "series.csv"),
        (&adding, &["--to", &copy], "a run of `copy`, expected one of `adding`"),
        (&adding, &["--to", nowhere], "no run here"),
        (&adding, &["--plane", "runs"], "give --to DIR"),
        (&adding, &["--plane", "random", "--to", &copy], "--to belongs to --plane runs"),
        (&adding, &["--through", &copy], "give --through DIR twice"),
        (
            &adding,
            &["--through", &copy, "--plane", "random"],
            "--through belongs to --plane through",
        ),
        (&adding, &["--through", &adding, "--through", &adding], "are on one line, or two of them"),
        (&adding, &["--through", &copy, "--through", &adding], "expected one of `adding`"),
        (&adding, &["--through", nowhere, "--through", &adding], "no run here"),
        (&adding, &["--plane", "flat"], "flat"),
        (&adding, &["--span", "-1"], "--span -1"),
        (&adding, &["--device", "abacus"], "unknown device 'abacus'"),
        (&adding, &["--html", page], "cannot write"),
    ];
    for (run, more, named) in mistakes {
        let done = landscape(run, more);
        assert_eq!(done.status.code(), Some(2), "{more:?}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{more:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{more:?}: {}", stderr(&done));
    }
}
