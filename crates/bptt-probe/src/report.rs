//! The results of comparisons, for people and for programs.

use bptt::{Engine, Kernel};
use serde::Serialize;
use std::ops::Range;

/// The name of the witness that compares devices. Its rows have a table of their own.
pub(crate) const DEVICES: &str = "devices";

/// One tensor, compared with a witness.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The name in the case table, or the reference file's stem.
    pub case: String,
    /// The cell's name.
    pub cell: String,
    /// Which engine was checked.
    pub engine: String,
    /// Which kernel ran it (`-` for the autograd engine).
    pub kernel: String,
    /// On which device.
    pub device: String,
    /// In which type.
    pub dtype: String,
    /// By which witness.
    pub witness: String,
    /// `output`, `h_n`, `grad.weight_ih_l0`, …
    pub tensor: String,
    /// `‖a − b‖₂ / max(‖b‖₂, tiny)`
    pub error: f64,
    /// The largest error that passes.
    pub tolerance: f64,
    /// Whether the error is within the tolerance.
    pub pass: bool,
    /// How many numbers the tensor has.
    #[serde(skip)]
    pub entries: usize,
}

/// The kernel's name; `-` for engines without kernels.
pub(crate) fn kernel_name(engine: Engine, kernel: Kernel) -> &'static str {
    match engine {
        Engine::Manual => kernel.name(),
        _ => "-",
    }
}

/// A summary of rows that have something in common.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The row whose error is the largest multiple of its tolerance.
    pub worst: Row,
    /// How many cases.
    pub cases: usize,
    /// How many tensors.
    pub tensors: usize,
    /// How many of them failed.
    pub failed: usize,
}

/// Summaries of the rows with the same cell, engine, kernel, device, dtype and witness, in the order in which they were
/// added.
pub fn summaries(rows: &[Row]) -> Vec<Summary> {
    let key = |r: &Row| {
        let parts = [&r.witness, &r.device, &r.dtype, &r.engine, &r.kernel, &r.cell];
        parts.map(Clone::clone)
    };
    summaries_by(rows.iter(), key)
}

/// Summaries of what the witness `devices` found, one for each pair of device and dtype, over all cells and engines.
pub fn device_summaries(rows: &[Row]) -> Vec<Summary> {
    let linked = rows.iter().filter(|row| row.witness == DEVICES);
    summaries_by(linked, |row| [row.device.clone(), row.dtype.clone()])
}

/// A summary for each key, in the order in which the keys occur.
fn summaries_by<'a, const N: usize>(
    rows: impl Iterator<Item = &'a Row>,
    key: impl Fn(&Row) -> [String; N],
) -> Vec<Summary> {
    let mut all: Vec<([String; N], Summary, Vec<&str>)> = Vec::new();
    for row in rows {
        let key = key(row);
        let index = all.iter().position(|(other, ..)| *other == key).unwrap_or_else(|| {
            let sum = Summary { worst: row.clone(), cases: 0, tensors: 0, failed: 0 };
            all.push((key, sum, vec![]));
            all.len() - 1
        });
        let (_, sum, cases) = &mut all[index];
        if !cases.contains(&row.case.as_str()) {
            cases.push(&row.case);
            sum.cases += 1;
        }
        sum.tensors += 1;
        sum.failed += usize::from(!row.pass);
        if row.error / row.tolerance > sum.worst.error / sum.worst.tolerance {
            sum.worst = row.clone();
        }
    }
    all.into_iter().map(|(_, sum, _)| sum).collect()
}

/// The summaries as a table that a person can read.
pub fn table(rows: &[Row]) -> String {
    let head = [
        "witness", "device", "dtype", "engine", "kernel", "cell", "cases", "tensors", "worst",
        "allowed", "", "where",
    ];
    let line = |Summary { worst, cases, tensors, failed }: Summary| {
        [
            worst.witness,
            worst.device,
            worst.dtype,
            worst.engine,
            worst.kernel,
            worst.cell,
            cases.to_string(),
            tensors.to_string(),
            format!("{:.1e}", worst.error),
            format!("{:.0e}", worst.tolerance),
            verdict(failed),
            format!("{} {}", worst.case, worst.tensor),
        ]
    };
    aligned(head, summaries(rows).into_iter().map(line), 6..10)
}

/// One line for each pair of device and dtype that the witness `devices` compared. Empty if it did not run.
pub fn device_table(rows: &[Row]) -> String {
    let all = device_summaries(rows);
    if all.is_empty() {
        return String::new();
    }
    let head = ["device", "dtype", "cases", "tensors", "worst", "allowed", "", "where"];
    let line = |Summary { worst, cases, tensors, failed }: Summary| {
        [
            worst.device,
            worst.dtype,
            cases.to_string(),
            tensors.to_string(),
            format!("{:.1e}", worst.error),
            format!("{:.0e}", worst.tolerance),
            verdict(failed),
            format!("{} {}, {}", worst.case, worst.tensor, worst.engine),
        ]
    };
    aligned(head, all.into_iter().map(line), 2..6)
}

fn verdict(failed: usize) -> String {
    if failed == 0 { "ok".to_string() } else { format!("{failed} FAILED") }
}

/// Lines with aligned columns. The columns in `numbers` are aligned to the right.
fn aligned<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    numbers: Range<usize>,
) -> String {
    let lines: Vec<_> = std::iter::once(head.map(str::to_string)).chain(rows).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| match numbers.contains(&column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
