//! `bptt dynamics --sweep`

use super::{bptt, stderr, stdout};
use serde_json::{Value, json};

const SMALL: [&str; 5] = ["dynamics", "--hidden", "4", "--time", "40"];

fn measured(arguments: &[&str]) -> Value {
    let done = bptt(&[&SMALL[..], arguments, &["--json", "-"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    serde_json::from_slice(&done.stdout).expect("standard output is JSON and nothing else")
}

#[test]
fn the_json_has_every_field_in_the_documented_shape() {
    for (sweep, gain) in
        [("gain", Value::Null), ("radius", Value::Null), ("forget-bias", json!(1.0))]
    {
        let range = ["--from", "0.5", "--to", "1.5", "--points", "3"];
        let found = measured(&[&["--sweep", sweep], &range[..]].concat());
        assert_eq!((&found["sweep"], &found["values"]), (&json!(sweep), &json!([0.5, 1.0, 1.5])));
        assert_eq!(
            (&found["hidden"], &found["seed"], &found["gain"]),
            (&json!(4), &json!(1), &gain)
        );
        assert_eq!((&found["time"], &found["transient"]), (&json!(40), &json!(100)));
        assert_eq!(found["alignment"], 100);
        let cells = found["cells"].as_array().expect("a list");
        assert_eq!(cells.len(), 3);
        for (cell, (name, size)) in cells.iter().zip([("rnn", 4), ("lstm", 8), ("gru", 4)]) {
            assert_eq!((&cell["cell"], &cell["state_size"]), (&json!(name), &json!(size)));
            assert_eq!(cell["exponents"], size);
            assert_eq!(cell["changes"], json!(sweep != "forget-bias" || name != "rnn"));
            let points = cell["points"].as_array().expect("a list");
            for (point, value) in points.iter().zip([0.5, 1.0, 1.5]) {
                let count = |name: &str| point[name].as_array().expect(name).len();
                assert_eq!(point["value"], value);
                assert_eq!((count("lyapunov"), count("lyapunov_error")), (size, size));
                assert_eq!((count("eigenvalues"), count("log10_jacobian_norms")), (size, 41));
                let largest = point["eigenvalues"][0].as_array().expect("a pair");
                let part = |k: usize| largest[k].as_f64().expect("a number");
                let radius = point["spectral_radius"].as_f64().expect("a number");
                assert!((part(0).hypot(part(1)) - radius).abs() < 1e-12);
            }
            assert_eq!(points.len(), 3);
        }
    }
}

#[test]
fn the_usual_values_are_round_and_the_summary_says_what_changes() {
    let done = bptt(&[&SMALL[..], &["--sweep", "forget-bias", "--cells", "rnn,lstm"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = stdout(&done);
    for part in ["forget-bias from -3 to 4, 29 values", "nats per step", "█", "does not change"] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    assert!(text.contains("lstm") && !text.contains("gru"));
}

#[test]
fn the_same_seed_gives_the_same_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |name: &str, seed: &str| {
        let page = folder.path().join(name);
        let path = page.to_str().expect("a plain path");
        let more = ["--sweep", "gain", "--points", "3", "--seed", seed, "--html", path];
        let done = bptt(&[&SMALL[..], &more].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        std::fs::read_to_string(page).expect("the page was written")
    };
    let first = run("first.html", "1");
    assert_eq!(first, run("again.html", "1"));
    assert_ne!(first, run("other.html", "2"));
    assert!(first.contains("type=\"range\"") && !first.contains("http"));
}

/// Each entry is one mistake, which gives exit code 2 and one line that names it.
#[test]
fn mistakes_are_one_line_and_exit_code_2() {
    let mistakes: [(&[&str], &str); 11] = [
        (&["--sweep", "size"], "size"),
        (&["--sweep", "gain", "--gain", "1"], "--gain with --sweep gain"),
        (&["--sweep", "gain", "--from", "-1"], "a gain of -1"),
        (&["--sweep", "radius", "--from", "0"], "a radius of 0"),
        (&["--sweep", "gain", "--from", "2", "--to", "1"], "ascend"),
        (&["--sweep", "gain", "--points", "1"], "at least two"),
        (&["--sweep", "forget-bias", "--cells", "rnn"], "lstm or gru"),
        (&["--sweep", "gain", "--cells", "rnn,perceptron"], "perceptron"),
        (&["--sweep", "gain", "--random"], "--random"),
        (&["--sweep", "gain", "--cell", "rnn"], "--cell"),
        (
            &["--random", "--cell", "rnn", "--gain", "1", "--points", "3"],
            "--points without --sweep",
        ),
    ];
    for (arguments, named) in mistakes {
        let done = bptt(&[&SMALL[..], arguments].concat());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
    }
}
