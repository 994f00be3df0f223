//! Runs the command as its users run it.

mod bench;
mod compare;
mod convert;
mod data;
mod dynamics;
mod dynamics_run;
mod dynamics_sweep;
mod forecast;
#[cfg(unix)]
mod interrupt;
mod landscape;
mod output;
mod predict;
mod recipe;
mod sample;
mod train;
mod tui;
#[cfg(feature = "wgpu")]
mod wgpu_kernels;

use std::path::Path;
use std::process::{Command, Output};

fn bptt(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bptt")).args(arguments).output().expect("the command starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn all_gradients_agree_on_the_host() {
    let done = bptt(&["verify"]);
    assert_eq!(done.status.code(), Some(0), "{}{}", stdout(&done), stderr(&done));
    let text = stdout(&done);
    assert!(text.contains(" 0 failed"), "{text}");
    // A line for each witness, and progress on the other stream.
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    for witness in bptt_probe::verify::WITNESSES {
        let of_witness = |line: &&str| line.split(' ').next() == Some(witness.name());
        let lines: Vec<_> = text.lines().filter(of_witness).collect();
        assert!(lines.len() == 1 && lines[0].ends_with(" ok"), "{}: {text}", witness.name());
    }
    assert!(stderr(&done).contains(" parts, "), "{}", stderr(&done));
}

#[test]
fn a_broken_backward_is_noticed_by_every_witness_and_leaves_autograd_alone() {
    for gate in ["0", "1", "2", "3"] {
        let done = bptt(&[
            "verify",
            "--cell",
            "lstm",
            "--device",
            "flex",
            "--dtype",
            "f64",
            "--sabotage",
            gate,
            "--json",
            "-",
        ]);
        assert_eq!(done.status.code(), Some(1), "gate {gate}: {}", stderr(&done));
        let rows: Vec<serde_json::Value> =
            serde_json::from_slice(&done.stdout).expect("standard output is JSON and nothing else");
        for witness in [
            "engines",
            "finite-difference",
            "reference",
            "complex-step",
            "dual",
            "rtrl",
            "double-double",
            "devices",
        ] {
            let failed = |row: &&serde_json::Value| row["pass"] == false;
            let by_witness = rows.iter().filter(|row| row["witness"] == witness);
            assert!(by_witness.filter(failed).count() > 0, "gate {gate}: {witness} saw nothing");
        }
        let autograd = rows.iter().filter(|row| row["engine"] == "autograd");
        assert!(autograd.clone().count() > 0);
        assert!(autograd.into_iter().all(|row| row["pass"] == true), "gate {gate}");
    }
}

#[test]
fn the_certificate_is_a_page_with_pictures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("certificate.html");
    let path = page.to_str().expect("a plain path");
    let arguments = ["verify", "--cell", "gru", "--device", "flex", "--witness", "double-double"];
    let done = bptt(&[&arguments[..], &["--html", path]].concat());
    assert_eq!(done.status.code(), Some(0), "{}{}", stdout(&done), stderr(&done));
    let page = std::fs::read_to_string(page).expect("the page was written");
    for part in ["comparisons passed", "--witness double-double", "<svg", "manual", "0.22.1"] {
        assert!(page.contains(part), "no {part}");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
}

/// The text and the page have a line for each pair of device and type. In f64 on flex there is the autograd engine alone,
/// because the manual engine is what all are compared with.
#[test]
fn each_device_and_type_is_compared_with_flex_in_f64() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("certificate.html");
    let path = page.to_str().expect("a plain path");
    let arguments =
        ["verify", "--verbose", "--cell", "rnn", "--witness", "devices", "--html", path];
    let devices: Vec<_> =
        bptt_probe::device::names().filter(|n| ["flex", "ndarray"].contains(n)).collect();
    let of_device = devices.iter().flat_map(|name| ["--device", name]);
    let done = bptt(&arguments.into_iter().chain(of_device).collect::<Vec<_>>());
    assert_eq!(done.status.code(), Some(0), "{}{}", stdout(&done), stderr(&done));
    let (text, page) =
        (stdout(&done), std::fs::read_to_string(page).expect("the page was written"));
    let (_, table) =
        text.split_once("Each device against flex in f64").expect("a table of devices");
    for name in devices {
        for dtype in ["f64", "f32"] {
            let is_pair = |line: &&str| line.split_whitespace().take(2).eq([name, dtype]);
            let lines: Vec<_> = table.lines().filter(is_pair).collect();
            assert!(lines.len() == 1 && lines[0].contains(" ok "), "{name} {dtype}: {table}");
            assert!(
                page.contains(&format!("<tr><td>{name}</td><td>{dtype}</td>")),
                "{name} {dtype}"
            );
        }
    }
}

#[test]
fn no_condition_number_excuses_a_broken_backward() {
    for gate in ["0", "1", "2", "3"] {
        let arguments = ["verify", "--cell", "lstm", "--device", "flex", "--dtype", "f32"];
        let done = bptt(&[&arguments[..], &["--witness", "engines", "--sabotage", gate]].concat());
        assert_eq!(done.status.code(), Some(1), "gate {gate}: {}", stderr(&done));
    }
}

/// Each entry is one mistake, which gives exit code 2 and one line that names it.
#[test]
fn mistakes_are_one_line_and_exit_code_2() {
    let mistakes: [(&[&str], &str); 5] = [
        (&["verify", "--kernel", "rows"], "has no kernel rows, which is for GPUs"),
        (&["verify", "--device", "abacus"], "unknown device 'abacus'"),
        (&["verify", "--reference", "no/such/folder"], "no/such/folder"),
        (&["verify", "--dtype", "f8"], "f8"),
        (&["verfy"], "verfy"),
    ];
    for (arguments, named) in mistakes {
        let done = bptt(arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
    }
}

#[test]
fn broken_reference_files_are_named_and_the_others_checked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Asked when the test runs: a target folder may be shared by several checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let source = Path::new(&package).join("../bptt-probe/reference");
    let sound = std::fs::read(source.join("lstm-plain.safetensors")).expect("a reference file");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("the folder can be written");
    };
    write("sound.safetensors", &sound);
    write("short.safetensors", &sound[..sound.len() - 9]);
    write("empty.safetensors", &[]);
    let text = String::from_utf8_lossy(&sound[..]).into_owned();
    assert!(text.contains("recurrent-reference-1"));
    let mut other = sound.clone();
    let at = sound.windows(21).position(|w| w == b"recurrent-reference-1").expect("the format");
    other[at + 20] = b'9';
    write("format.safetensors", &other);

    let done = bptt(&[
        "verify",
        "--witness",
        "reference",
        "--reference",
        folder.path().to_str().expect("a plain path"),
        "--json",
        "-",
        "--device",
        "flex",
    ]);
    assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
    for file in ["short.safetensors", "empty.safetensors", "format.safetensors"] {
        let named = stderr(&done).lines().filter(|line| line.contains(file)).count();
        assert_eq!(named, 1, "{file}: {}", stderr(&done));
    }
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&done.stdout).expect("JSON");
    assert!(rows.iter().any(|row| row["case"] == "sound" && row["pass"] == true));
}

/// On a software or real GPU, where the build has wgpu.
#[cfg(feature = "wgpu")]
#[test]
fn wgpu_agrees_with_the_other_engine_and_the_f64_reference() {
    let done = bptt(&["verify", "--device", "wgpu"]);
    assert_eq!(done.status.code(), Some(0), "{}{}", stdout(&done), stderr(&done));
}
