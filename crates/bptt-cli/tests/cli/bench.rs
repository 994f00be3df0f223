//! `bptt bench`

use crate::{bptt, stderr, stdout};
use std::process::Output;

/// `bptt bench` of a tiny layer.
fn tiny_bench(arguments: &[&str]) -> Output {
    let tiny = ["bench", "--batch", "2", "--time", "3", "--input", "4", "--hidden", "5"];
    bptt(&[&tiny[..], &["--repeats", "2"], arguments].concat())
}

#[test]
fn every_engine_and_mode_is_measured() {
    for cell in ["rnn", "lstm", "gru"] {
        for engine in ["manual", "autograd", "burn-nn"] {
            for mode in ["train", "infer", "step"] {
                let what = ["--cell", cell, "--engine", engine, "--mode", mode];
                let done = tiny_bench(&[&what[..], &["--no-ceiling", "--json", "-"]].concat());
                assert_eq!(done.status.code(), Some(0), "{what:?}: {}", stderr(&done));
                let report: serde_json::Value =
                    serde_json::from_slice(&done.stdout).expect("JSON and nothing else");
                assert_eq!(report["cell"], cell);
                assert_eq!(report["engine"], engine);
                assert_eq!(report["mode"], mode);
                assert!(report["median_ms"].as_f64() > Some(0.0), "{what:?}: {report}");
                assert!(report["peak_bytes"].as_u64() > Some(0), "{what:?}: {report}");
                // Single steps have percentiles, and whole runs have none.
                for name in ["p50_ms", "p99_ms", "p999_ms"] {
                    assert_eq!(report[name].is_number(), mode == "step", "{what:?}: {report}");
                }
                assert_eq!(report["load"], serde_json::Value::Null);
            }
        }
    }
}

/// Without a tape, the outputs of an inner layer are there for some steps only; and both directions write their outputs to
/// one place.
#[test]
fn inference_takes_little_more_than_its_outputs() {
    let sizes = ["--batch", "4", "--time", "2000", "--input", "8", "--hidden", "96"];
    let kind = ["bench", "--cell", "lstm", "--mode", "infer", "--repeats", "1", "--no-ceiling"];
    let peak = |arguments: &[&str]| {
        let done = bptt(&[&kind[..], &sizes, &["--json", "-"], arguments].concat());
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        report["peak_bytes"].as_f64().expect("it is in host memory")
    };
    let outputs = f64::from(4 * 2000 * 96 * 4);
    for threads in ["1", "2"] {
        let stack = peak(&["--layers", "3", "--threads", threads]) / outputs;
        assert!(stack > 1.0 && stack < 1.9, "{threads} threads: {stack} times the outputs");
        let both = peak(&["--bidirectional", "--threads", threads]) / (2.0 * outputs);
        assert!(both > 1.0 && both < 1.5, "{threads} threads: {both} times the outputs");
    }
}

#[test]
fn what_cannot_be_measured_is_one_line_and_exit_code_2() {
    let mistakes: [(&[&str], &str); 10] = [
        (&["--kernel", "steps", "--device", "flex"], "device 'flex' has no kernel steps"),
        (&["--hidden", "0"], "hidden is 0"),
        (&["--repeats", "0"], "repeats is 0"),
        (&["--threads", "0"], "--threads"),
        (&["--dtype", "f8"], "f8"),
        (&["--hidden", "99999999999999"], "too large"),
        (&["--device", "abacus"], "unknown device 'abacus'"),
        (&["--engine", "burn-nn", "--layers", "2"], "burn-nn has one layer"),
        (&["--engine", "autograd", "--kernel", "reference"], "no kernels"),
        (&["--mode", "step", "--bidirectional"], "no next step"),
    ];
    for (arguments, named) in mistakes {
        let given = |name| arguments.contains(&name);
        let sizes = ["--batch", "--time", "--input", "--hidden"];
        let rest = sizes.into_iter().filter(|name| !given(name)).flat_map(|name| [name, "3"]);
        let all = ["bench", "--cell", "lstm"].into_iter().chain(rest);
        let done = bptt(&all.chain(arguments.iter().copied()).collect::<Vec<_>>());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
    }
}

/// Without a cell and sizes: every engine and `burn::nn`, in training and inference, as a list.
#[test]
fn without_options_the_engines_are_compared() {
    let done = bptt(&["bench", "--repeats", "1", "--json", "-"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let reports: Vec<serde_json::Value> =
        serde_json::from_slice(&done.stdout).expect("a list in JSON and nothing else");
    let pairs: Vec<_> =
        reports.iter().map(|r| (r["engine"].as_str(), r["mode"].as_str())).collect();
    let expected = ["manual", "autograd", "burn-nn"]
        .into_iter()
        .flat_map(|engine| ["train", "infer"].map(|mode| (Some(engine), Some(mode))));
    assert_eq!(pairs, expected.collect::<Vec<_>>());
    // The text is a table of them.
    for engine in ["manual", "autograd", "burn-nn"] {
        let lines = stderr(&done);
        assert_eq!(lines.lines().filter(|line| line.starts_with(engine)).count(), 1, "{lines}");
    }
}

#[test]
fn half_of_the_sizes_are_no_comparison() {
    let mistakes: [(&[&str], &str); 4] = [
        (&["--hidden", "5"], "--cell is missing: --hidden needs"),
        (&["--cell", "lstm", "--input", "5"], "--hidden is missing"),
        (&["--engine", "autograd"], "--cell is missing: --engine needs"),
        (&["--streams", "5"], "--cell is missing: --streams needs"),
    ];
    for (arguments, named) in mistakes {
        let done = bptt(&[&["bench"], arguments].concat());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
    }
}

#[test]
fn a_measurement_has_all_fields_and_readable_lines() {
    let stack = ["--heads", "5", "--layers", "2", "--bidirectional", "--kernel", "reference"];
    let stack = [&stack[..], &["--threads", "1"]].concat();
    let done = tiny_bench(&[&["--cell", "lstm"], &stack[..], &["--json", "-"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stderr(&done).contains("product of 1024 x 1024 matrices"), "{}", stderr(&done));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let sizes =
        [("batch", 2), ("time", 3), ("input", 4), ("hidden", 5), ("heads", 5), ("layers", 2)];
    for (name, expected) in sizes.into_iter().chain([("threads", 1), ("repeats", 2)]) {
        assert_eq!(report[name], expected, "{name}");
    }
    assert_eq!(report["kernel"], "reference");
    assert_eq!(report["device"], "flex");
    assert_eq!(report["dtype"], "f32");
    assert_eq!(report["bidirectional"], true);
    for name in ["median_ms", "min_ms", "max_ms", "gflops", "peak_bytes"] {
        assert!(report[name].is_number(), "{name}: {report}");
    }
}

/// One layer in inference is beside what bounds it; a stack is not.
#[test]
fn a_layer_is_measured_beside_its_bounds() {
    for mode in ["infer", "step"] {
        let done = tiny_bench(&["--cell", "lstm", "--mode", mode, "--json", "-"]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        assert!(stderr(&done).contains("the same products alone take"), "{}", stderr(&done));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert!(report["ceiling_gflops"].as_f64() > Some(0.0), "{report}");
        let bounds = &report["bounds"];
        let [alone, large, products, reading] =
            ["alone_ms", "large_ms", "products_ms", "reading_ms"]
                .map(|name| bounds[name].as_f64().expect("a number"));
        assert!(large > 0.0 && reading > 0.0 && products > 0.0, "{report}");
        assert_eq!(alone, large.max(reading), "{report}");
        assert_eq!(bounds["by"], if reading > large { "cache" } else { "products" }, "{report}");
    }
    let done = tiny_bench(&["--cell", "lstm", "--mode", "infer", "--layers", "2", "--json", "-"]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert!(report["bounds"].is_null() && report["ceiling_gflops"].is_number(), "{report}");
}

#[test]
fn single_steps_are_enough_for_the_percentiles() {
    let done = tiny_bench(&["--cell", "gru", "--mode", "step", "--no-ceiling", "--json", "-"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stderr(&done).contains("10000 single steps"), "{}", stderr(&done));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(report["samples"], 10_000);
    let [p50, p99, p999, longest] = ["p50_ms", "p99_ms", "p999_ms", "longest_ms"]
        .map(|name| report[name].as_f64().expect("a number"));
    assert!(p50 <= p99 && p99 <= p999 && p999 <= longest, "{report}");
    assert!(report["clock_ms"].as_f64() < Some(p50), "{report}");
}

#[test]
fn every_type_is_measured() {
    for dtype in ["f64", "f32", "bf16", "f16"] {
        for mode in ["train", "infer", "step"] {
            let what = ["--cell", "lstm", "--device", "flex", "--dtype", dtype, "--mode", mode];
            let done = tiny_bench(&[&what[..], &["--no-ceiling", "--json", "-"]].concat());
            assert_eq!(done.status.code(), Some(0), "{what:?}: {}", stderr(&done));
            let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
            assert_eq!((&report["dtype"], &report["mode"]), (&dtype.into(), &mode.into()));
        }
    }
}

/// ndarray has no types of 16 bits.
#[test]
fn types_that_a_device_lacks_are_said_in_a_line() {
    let what = ["--cell", "gru", "--witness", "double-double", "--dtype", "bf16"];
    let done = bptt(&[&["verify", "--verbose"], &what[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}{}", stdout(&done), stderr(&done));
    assert!(stdout(&done).contains("left out: bf16 on ndarray: it has no such type"));
    assert!(stdout(&done).contains(" 0 failed"), "{}", stdout(&done));
    let done = tiny_bench(&["--cell", "gru", "--device", "ndarray", "--dtype", "f16"]);
    assert_eq!(done.status.code(), Some(2), "{}", stdout(&done));
    assert!(stderr(&done).contains("device 'ndarray' has no f16"), "{}", stderr(&done));
}

/// `bptt bench --mode pool` of a tiny layer.
fn pool_bench(arguments: &[&str]) -> Output {
    let tiny = ["bench", "--cell", "gru", "--mode", "pool", "--input", "4", "--hidden", "5"];
    bptt(&[&tiny[..], arguments].concat())
}

#[test]
fn a_pool_under_load_is_measured() {
    let load = ["--streams", "16", "--rate", "2000", "--seconds", "1", "--deadline", "500"];
    let done = pool_bench(&[&load[..], &["--max-batch", "8", "--json", "-"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stderr(&done).contains("from arrival to answer"), "{}", stderr(&done));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&report["mode"], &report["batch"]), (&"pool".into(), &8.into()));
    let load = &report["load"];
    assert_eq!((&load["streams"], &load["rate"]), (&16.into(), &2000.0.into()));
    assert_eq!(load["answers"], load["inputs"]);
    assert_eq!(report["samples"], load["inputs"]);
    assert!(load["inputs"].as_u64() > Some(1700), "{report}");
    assert!(report["p99_ms"].as_f64() >= report["p50_ms"].as_f64(), "{report}");
    assert!(load["mean_batch"].as_f64() >= Some(1.0), "{report}");
}

#[test]
fn a_load_above_what_the_pool_serves_is_said() {
    // One stream has an answer each 50 ms, and an input each 10 ms.
    let load = ["--streams", "1", "--rate", "100", "--seconds", "1", "--max-wait", "50"];
    let done = pool_bench(&load);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = stdout(&done);
    assert!(text.contains("above what the pool serves"), "{text}");
    assert!(text.contains("smaller --max-wait"), "{text}");
}

#[test]
fn loads_that_make_no_sense_are_one_line_and_exit_code_2() {
    let mistakes: [(&[&str], &str); 8] = [
        (&["--streams", "0"], "streams is 0"),
        (&["--max-batch", "0"], "max-batch is 0"),
        (&["--rate", "-5"], "rate is -5"),
        (&["--deadline", "nan"], "deadline is NaN"),
        (&["--seconds", "ten"], "ten"),
        (&["--batch", "3"], "--batch is not for --mode pool"),
        (&["--engine", "burn-nn"], "no pool"),
        (&["--dtype", "f64"], "streams are f32"),
    ];
    let other = ["bench", "--cell", "gru", "--input", "4", "--hidden", "5"];
    let sizes = ["--batch", "2", "--time", "3"];
    let of_others: [(&[&str], &str); 2] = [
        (&sizes[..2], "--time is missing"),
        (&["--batch", "2", "--time", "3", "--rate", "9"], "--rate is only for --mode pool"),
    ];
    let pools = mistakes.map(|(arguments, named)| (pool_bench(arguments), named));
    let others =
        of_others.map(|(arguments, named)| (bptt(&[&other[..], arguments].concat()), named));
    for (done, named) in pools.into_iter().chain(others) {
        assert_eq!(done.status.code(), Some(2), "{named}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{named}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{named}: {}", stderr(&done));
    }
}
