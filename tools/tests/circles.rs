//! Of the project's own crates: which file imports which.

use bptt_tools::circles::{Edge, Graph};
use std::path::{Path, PathBuf};

/// The crates that are held to it: all of the workspace, but for the examples, which are files of their own.
const HELD: &[&str] = &[
    "crates/bptt-kernels",
    "crates/bptt-cells",
    "crates/bptt",
    "crates/bptt-probe",
    "crates/bptt-zoo",
    "crates/bptt-cli",
    "benches",
    "tools",
    "tools/mutants",
];

/// At run time: the binary may have been built where another clone lay.
fn root() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    Path::new(&package).join("..").canonicalize().expect("the workspace")
}

#[test]
fn no_file_imports_another_in_a_circle() {
    let mut found = Vec::new();
    for package in HELD {
        let graph = Graph::read(&root().join(package).join("src"));
        let graph = graph.unwrap_or_else(|error| panic!("{package}: {error}"));
        assert!(!graph.is_empty(), "{package}: no source");
        found.extend(graph.circles().iter().map(|circle| format!("{package}: {circle}")));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The folders of the kernels, and which others each may import from.
const LAYERS: &[(&str, &[&str])] = &[
    ("operation", &[]),
    ("reference", &["operation"]),
    ("cube", &["operation", "reference"]),
    ("host/simd", &[]),
    ("host/threads", &[]),
    ("host/memory", &["host/simd"]),
    ("host/gemm", &["host/simd", "host/threads", "host/memory"]),
    ("host/layout", &["operation", "host/simd", "host/threads", "host/memory", "host/gemm"]),
    ("host/step", &["operation", "host/simd", "host/memory", "host/layout"]),
    ("host/scan", &["operation", "host/simd", "host/threads", "host/memory", "host/gemm"]),
    (
        "host/sequence",
        &[
            "operation",
            "host/simd",
            "host/threads",
            "host/memory",
            "host/gemm",
            "host/layout",
            "host/step",
        ],
    ),
    (
        "recurrent",
        &[
            "operation",
            "reference",
            "cube",
            "host/simd",
            "host/memory",
            "host/gemm",
            "host/layout",
            "host/step",
            "host/sequence",
        ],
    ),
    ("scan", &["operation", "recurrent", "host/simd", "host/memory", "host/scan"]),
];

#[test]
fn layers_of_the_kernels_look_down_only() {
    let src = root().join("crates/bptt-kernels/src");
    let graph = Graph::read(&src).expect("the kernels' source");
    let layer = |file: &Path| {
        let file = file.strip_prefix(&src).expect("a file of the kernels");
        LAYERS.iter().find(|(folder, _)| file.starts_with(folder))
    };
    let is_wrong = |edge: &Edge| match (layer(&edge.from), layer(&edge.to)) {
        (Some((from, below)), Some((to, _))) => from != to && !below.contains(to),
        // The root exports what others import; nobody imports from it, nor from another file beside the layers.
        (None, Some(_)) => edge.from != src.join("lib.rs"),
        (_, None) => true,
    };
    let wrong: Vec<_> = graph.edges().filter(is_wrong).map(|edge| edge.to_string()).collect();
    assert!(wrong.is_empty(), "these imports are not of a layer below:\n{}", wrong.join("\n"));
}
