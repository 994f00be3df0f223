//! The results of comparisons, for people and for programs.

use bptt::{Engine, Kernel};
use serde::Serialize;

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

/// A summary of all rows with the same cell, engine, kernel, device, dtype and witness.
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

/// Summaries of the rows, in the order in which they were added.
pub fn summaries(rows: &[Row]) -> Vec<Summary> {
    let mut all: Vec<(Summary, Vec<&str>)> = Vec::new();
    for row in rows {
        let key = |r: &Row| {
            let parts = [&r.witness, &r.device, &r.dtype, &r.engine, &r.kernel, &r.cell];
            parts.map(Clone::clone)
        };
        let index = all.iter().position(|(sum, _)| key(&sum.worst) == key(row));
        let index = index.unwrap_or_else(|| {
            let sum = Summary { worst: row.clone(), cases: 0, tensors: 0, failed: 0 };
            all.push((sum, vec![]));
            all.len() - 1
        });
        let (sum, cases) = &mut all[index];
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
    all.into_iter().map(|(sum, _)| sum).collect()
}

/// The summaries as a table that a person can read.
pub fn table(rows: &[Row]) -> String {
    let head = [
        "witness", "device", "dtype", "engine", "kernel", "cell", "cases", "tensors", "worst",
        "allowed", "", "where",
    ];
    let mut lines = vec![head.map(str::to_string)];
    for Summary { worst, cases, tensors, failed } in summaries(rows) {
        let verdict = if failed == 0 { "ok".to_string() } else { format!("{failed} FAILED") };
        lines.push([
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
            verdict,
            format!("{} {}", worst.case, worst.tensor),
        ]);
    }
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| match column {
                6..=9 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
