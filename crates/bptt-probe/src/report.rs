//! The results of comparisons, for people and for programs.

use bptt::{Engine, Kernel};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
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
    summaries_by(rows.iter(), |r| {
        [&r.witness, &r.device, &r.dtype, &r.engine, &r.kernel, &r.cell].map(String::as_str)
    })
}

/// Summaries of what the witness `devices` found, one for each pair of device and dtype, over all cells and engines.
pub fn device_summaries(rows: &[Row]) -> Vec<Summary> {
    let linked = rows.iter().filter(|row| row.witness == DEVICES);
    summaries_by(linked, |row| [&row.device, &row.dtype].map(String::as_str))
}

/// A summary for each key, in the order in which the keys occur.
fn summaries_by<'a, const N: usize>(
    rows: impl Iterator<Item = &'a Row>,
    key: impl Fn(&'a Row) -> [&'a str; N],
) -> Vec<Summary> {
    let mut index = HashMap::new();
    let mut all: Vec<(Summary, HashSet<&str>)> = Vec::new();
    for row in rows {
        let at = *index.entry(key(row)).or_insert_with(|| {
            let sum = Summary { worst: row.clone(), cases: 0, tensors: 0, failed: 0 };
            all.push((sum, HashSet::new()));
            all.len() - 1
        });
        let (sum, cases) = &mut all[at];
        sum.cases += usize::from(cases.insert(&row.case));
        sum.tensors += 1;
        sum.failed += usize::from(!row.pass);
        if row.error / row.tolerance > sum.worst.error / sum.worst.tolerance {
            sum.worst = row.clone();
        }
    }
    all.into_iter().map(|(sum, _)| sum).collect()
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
    aligned(&with_head(head, summaries(rows).into_iter().map(line)), 6..10)
}

/// One line for each witness: how many comparisons, the worst error in each type, over all devices, engines and cells, and
/// whether all of them passed. The worst is the largest multiple of its tolerance. It fits into 80 columns.
pub fn witness_table(rows: &[Row]) -> String {
    let mut dtypes: Vec<&str> = Vec::new();
    for row in rows {
        if !dtypes.contains(&row.dtype.as_str()) {
            dtypes.push(&row.dtype);
        }
    }
    let by_witness = summaries_by(rows.iter(), |row| [row.witness.as_str()]);
    let by_type = summaries_by(rows.iter(), |row| [&row.witness, &row.dtype].map(String::as_str));
    let mut lines = vec![Vec::from_iter(
        ["witness", "compared"].into_iter().chain(dtypes.iter().copied()).map(String::from),
    )];
    for Summary { worst: Row { witness, .. }, tensors, failed, .. } in by_witness {
        let mut line = vec![witness.clone(), tensors.to_string()];
        for &dtype in &dtypes {
            // A witness may not compare in every type.
            let of_type = |sum: &&Summary| sum.worst.witness == witness && sum.worst.dtype == dtype;
            let worst = by_type.iter().find(of_type).map(|sum| &sum.worst);
            line.push(worst.map_or("-".into(), |worst| format!("{:.1e}", worst.error)));
        }
        line.push(verdict(failed));
        lines.push(line);
    }
    lines[0].push(String::new());
    let numbers = 1..2 + dtypes.len();
    aligned(&lines, numbers)
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
    aligned(&with_head(head, all.into_iter().map(line)), 2..6)
}

fn verdict(failed: usize) -> String {
    if failed == 0 { "ok".to_string() } else { format!("{failed} FAILED") }
}

/// The lines of a table, its head first.
fn with_head<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Vec<Vec<String>> {
    let head = head.map(str::to_string);
    std::iter::once(head).chain(rows).map(Vec::from).collect()
}

/// Lines with aligned columns, as many as the first line has. The columns in `numbers` are aligned to the right.
fn aligned(lines: &[Vec<String>], numbers: Range<usize>) -> String {
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..lines[0].len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(witness: &str, dtype: &str, error: f64, tolerance: f64) -> Row {
        Row {
            case: "lstm-plain".into(),
            cell: "lstm".into(),
            engine: "manual".into(),
            kernel: "auto".into(),
            device: "flex".into(),
            dtype: dtype.into(),
            witness: witness.into(),
            tensor: "output".into(),
            error,
            tolerance,
            pass: error <= tolerance,
            entries: 1,
        }
    }

    #[test]
    fn there_is_a_line_for_each_witness_with_the_worst_in_each_type() {
        let rows = [
            row("engines", "f64", 1e-15, 1e-12),
            row("engines", "f64", 3e-14, 1e-12),
            row("engines", "f32", 2e-7, 1e-6),
            row("finite-difference", "f64", 1e-6, 1e-7),
        ];
        let text = witness_table(&rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "witness            compared      f64     f32",
                "engines                   3  3.0e-14  2.0e-7  ok",
                "finite-difference         1   1.0e-6       -  1 FAILED",
            ]
        );
    }

    #[test]
    fn every_line_for_a_witness_fits_into_80_columns() {
        let dtypes = ["f64", "f32", "bf16", "f16"];
        let rows = dtypes.map(|dtype| row("finite-difference", dtype, 1e-300, 1e-12));
        let rows: Vec<_> = rows.iter().cycle().take(400_000).cloned().collect();
        assert!(witness_table(&rows).lines().all(|line| line.len() <= 80));
    }
}
