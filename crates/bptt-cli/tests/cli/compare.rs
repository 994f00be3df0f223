//! `bptt compare`

use crate::{bptt, stderr, stdout};
use serde_json::Value;

#[test]
fn cells_are_compared_in_a_table_a_page_and_as_json() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_string();
    let (out, page, json) = (at("runs"), at("page.html"), at("found.json"));
    let sizes = ["--length", "8", "--hidden", "6", "--batch", "4", "--steps", "24"];
    let files =
        ["--out", &out, "--html", &page, "--json", &json, "--cells", "gru,rnn", "--seeds", "2"];
    let done = bptt(&[&["compare", "adding"], &sizes[..], &files].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = stdout(&done);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().next().expect("a head").starts_with("cell "), "{text}");
    let found = std::fs::read_to_string(&json).expect("it was written");
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let cells = found["cells"].as_array().expect("a list");
    assert_eq!((cells.len(), &cells[0]["hidden"]), (2, &Value::from(6)));
    for cell in cells {
        let seeds = |name: &str| cell[name].as_array().map(Vec::len);
        for name in ["seeds", "steps", "valid_loss", "metric"] {
            assert_eq!(seeds(name), Some(2), "{name}");
        }
        // A validation every twelfth of the steps.
        assert_eq!((seeds("curve"), seeds("forgetting")), (Some(12), Some(8)));
        // An RNN keeps nothing but its outputs.
        assert_eq!(
            cell["trace_bytes"].as_u64().map(|bytes| bytes > 0),
            Some(cell["cell"] == "gru")
        );
        for name in ["parameters", "step_ms"] {
            assert!(cell[name].as_f64().is_some_and(|number| number > 0.0), "{name}");
        }
    }
    assert!(std::fs::read_to_string(&page).expect("it was written").contains("Learning curves"));
    assert!(folder.path().join("runs/rnn-2/config.json").exists());
    // Each run says where it is.
    assert!(stderr(&done).contains("run 4 of 4, rnn seed 2"), "{}", stderr(&done));
}

#[test]
fn what_is_not_for_compare_is_one_line() {
    let mistakes: [(&[&str], &str); 5] = [
        (&["adding", "--cell", "gru"], "--cell: not for compare; give --cells"),
        (&["adding", "--resume"], "--resume: not for compare"),
        (&["adding", "--cells", "gru,gru"], "--cells: gru is there twice"),
        (&["adding", "--equal", "weight"], "parameters"),
        (&["char-lm", "--model", "hybrid"], "--model hybrid: is not made of layers of one cell"),
    ];
    for (arguments, named) in mistakes {
        let done = bptt(&[&["compare"], arguments].concat());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stdout(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
    }
}
