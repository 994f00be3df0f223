//! Sweeps over the dynamics of random networks, and their page.

use bptt::CellKind;
use bptt_probe::dynamics::random::{Random, random};
use bptt_probe::dynamics::sweep::{Parameter, Point, Sweep, SweepReport, page, sweep};
use bptt_probe::dynamics::{eigenvalues, random_weights};
use burn::tensor::Device;
use serde_json::Value;

const HIDDEN: usize = 8;
const TIME: usize = 200;

fn swept(parameter: Parameter, values: &[f64]) -> SweepReport {
    let wanted =
        Sweep { hidden: HIDDEN, time: TIME, seed: 3, ..Sweep::new(parameter, values.to_vec()) };
    sweep(&wanted, &Device::flex(), &mut |_| ()).expect("the settings are right")
}

fn point<'a>(report: &'a SweepReport, cell: &str, k: usize) -> &'a Point {
    let found = report.cells.iter().find(|found| found.cell == cell);
    &found.expect("the cell is in the sweep").points[k]
}

/// The eigenvalues of the rows of one gate.
fn of_gate(cell: CellKind, gate: usize) -> Vec<(f64, f64)> {
    let weights = random_weights(cell, HIDDEN, 1.0, 3);
    eigenvalues(&weights.rows_of(gate * HIDDEN..(gate + 1) * HIDDEN)).expect("they converge")
}

/// The largest modulus of `shift + scale z`.
fn radius(of: &[(f64, f64)], shift: f64, scale: f64) -> f64 {
    of.iter().map(|(re, im)| (shift + scale * re).hypot(scale * im)).fold(0.0, f64::max)
}

#[test]
fn a_gain_is_that_of_a_random_network_to_the_bit() {
    let report = swept(Parameter::Gain, &[0.7, 1.9]);
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let wanted =
            Random { cell, hidden: HIDDEN, gain: 1.9, time: TIME, exponents: None, seed: 3 };
        let alone = random(&wanted, &Device::flex(), &mut |_| ()).expect("the settings are right");
        let here = point(&report, cell.name(), 1);
        assert_eq!(here.lyapunov, alone.lyapunov, "{}", cell.name());
        assert_eq!(here.log10_jacobian_norms, alone.log10_jacobian_norms);
        assert_eq!(Some(&here.eigenvalues), alone.eigenvalues.as_ref());
    }
}

/// At rest the Jacobian is known. With a radius of 0.6 the state is gone after 400 steps, but for rounding.
#[test]
fn a_radius_is_that_of_every_gate() {
    let report = swept(Parameter::Radius, &[0.3, 0.6]);
    assert!((point(&report, "rnn", 1).spectral_radius - 0.6).abs() < 1e-9);
    for (cell, gate) in [(CellKind::Lstm, 2), (CellKind::Gru, 2)] {
        let all = of_gate(cell, gate);
        let expected = radius(&all, 0.5, 0.25 * 0.6 / radius(&all, 0.0, 1.0));
        let found = point(&report, cell.name(), 1);
        assert!((found.spectral_radius - expected).abs() < 1e-9, "{}: {expected}", cell.name());
        assert!((found.lyapunov[0] - expected.ln()).abs() < 0.02, "{}: {expected}", cell.name());
    }
}

#[test]
fn a_forget_bias_holds_the_memory_at_rest_and_the_rnn_has_none() {
    let (low, high) = (-2.0, -0.5);
    let report = swept(Parameter::ForgetBias, &[low, high]);
    for (k, bias) in [low, high].into_iter().enumerate() {
        let held = 1.0 / (1.0 + (-bias).exp());
        // c' = σ(b) c + ¼ U_g c, and h' = σ(b) h + ½ (1 - σ(b)) U_n h.
        let lstm = radius(&of_gate(CellKind::Lstm, 2), held, 0.25);
        let gru = radius(&of_gate(CellKind::Gru, 2), held, 0.5 * (1.0 - held));
        for (cell, expected) in [("lstm", lstm), ("gru", gru)] {
            let found = point(&report, cell, k).spectral_radius;
            assert!(expected < 0.9, "{cell} is at rest: {expected}");
            assert!((found - expected).abs() < 1e-6, "{cell} at {bias}: {found}, {expected}");
        }
    }
    let rnn = &report.cells[0];
    assert!(!rnn.changes && report.cells[1].changes && report.cells[2].changes);
    assert_eq!(rnn.points[0].lyapunov, rnn.points[1].lyapunov);
    assert_eq!((rnn.points[0].value, rnn.points[1].value), (low, high));
    assert!(report.summary().contains("does not change"));
}

/// Cells without recurrent products have diagonal weights, and other numbers of rows.
#[test]
fn every_cell_can_be_swept() {
    for parameter in Parameter::ALL {
        let wanted = Sweep {
            cells: CellKind::ALL.to_vec(),
            hidden: 5,
            time: 20,
            ..Sweep::new(parameter, vec![0.2, 0.4])
        };
        let report = sweep(&wanted, &Device::flex(), &mut |_| ()).expect("all stay finite");
        assert_eq!(report.cells.len(), CellKind::ALL.len());
        for cell in &report.cells {
            assert!(cell.points.iter().all(|point| point.lyapunov.len() == cell.exponents));
            let [first, last] = [0, 1].map(|k| &cell.points[k].lyapunov);
            assert_eq!(first != last, cell.changes, "{} over {}", cell.cell, parameter.name());
        }
    }
}

#[test]
fn progress_ends_with_all_steps() {
    let wanted = Sweep {
        hidden: 3,
        time: 20,
        ..Sweep::new(Parameter::ForgetBias, Parameter::ForgetBias.values([-1.0, 1.0], 3))
    };
    let mut told = Vec::new();
    let mut tell = |progress: bptt_probe::dynamics::random::Progress| {
        told.push((progress.done, progress.total));
    };
    sweep(&wanted, &Device::flex(), &mut tell).expect("the settings are right");
    // The RNN is measured once, the others three times.
    assert_eq!(told.last(), Some(&(7 * 220, 7 * 220)));
    assert!(told.is_sorted());
}

#[test]
fn mistakes_are_one_line() {
    let usual = || Sweep::new(Parameter::Gain, vec![0.5, 1.0]);
    let bias = Sweep { parameter: Parameter::ForgetBias, ..usual() };
    let large = Sweep { hidden: 1001, cells: vec![CellKind::Gru, CellKind::Lstm], ..usual() };
    let mistakes = [
        (Sweep { hidden: 0, ..usual() }, "0 hidden units"),
        (Sweep { time: 19, ..usual() }, "19 steps"),
        (Sweep { gain: 0.0, ..bias.clone() }, "a gain of 0"),
        (Sweep { values: vec![1.0], ..usual() }, "at least two"),
        (Sweep { values: vec![1.0, 0.5], ..usual() }, "ascend"),
        (Sweep { values: vec![0.0, 0.5], ..usual() }, "a gain of 0: expected a positive"),
        (Sweep { values: vec![0.0, f64::INFINITY], ..bias.clone() }, "a forget-bias of inf"),
        (Sweep { cells: vec![CellKind::Rnn], ..bias.clone() }, "lstm or gru"),
        (Sweep { cells: vec![], ..usual() }, "no cell"),
        (large, "at most 2000"),
    ];
    for (wrong, named) in mistakes {
        let message = wrong.check().expect_err(named);
        assert!(message.contains(named) && !message.contains('\n'), "{named}: {message}");
    }
    assert_eq!(bias.check(), Ok(()));
    assert_eq!(Parameter::Gain.values([0.2, 3.0], 29)[1..3], [0.3, 0.4]);
}

/// The numbers that the page's script is given.
fn embedded(page: &str) -> Value {
    let begin = "<script type=\"application/json\" id=\"data\">";
    let from = page.find(begin).expect("the page has data") + begin.len();
    let end = from + page[from..].find("</script>").expect("they end");
    serde_json::from_str(&page[from..end]).expect("they are JSON")
}

/// Whether a number of the page is that of the report, to half of its last digit. `null` is what is not finite.
fn same(found: &Value, expected: f64, digit: f64) -> bool {
    match found.as_f64() {
        Some(found) => (found - expected).abs() <= 0.5001 * digit,
        None => found.is_null() && !expected.is_finite(),
    }
}

#[test]
fn the_page_has_the_numbers_of_the_report() {
    let report = swept(Parameter::ForgetBias, &[-1.0, 0.0, 1.0]);
    let page = page(&report);
    let data = embedded(&page);
    assert_eq!(data["values"], serde_json::json!([-1.0, 0.0, 1.0]));
    for (cell, report) in report.cells.iter().enumerate() {
        for (k, point) in report.points.iter().enumerate() {
            let found = &data["cells"][cell]["points"][k];
            let check = |name: &str, expected: &[f64], digit: f64| {
                let found = found[name].as_array().expect("a list");
                assert_eq!(found.len(), expected.len(), "{name}");
                let all = found.iter().zip(expected);
                for (found, expected) in all {
                    assert!(same(found, *expected, digit), "{name}: {found}, {expected}");
                }
            };
            check("norms", &point.log10_jacobian_norms, 0.01);
            check("lyapunov", &point.lyapunov, 1e-4);
            let parts: Vec<_> = point.eigenvalues.iter().flat_map(|(re, im)| [*re, *im]).collect();
            check("eigenvalues", &parts, 1e-3);
            assert!(same(&found["error"], point.lyapunov_error[0], 1e-4));
            assert!(same(&found["radius"], point.spectral_radius, 1e-4));
        }
    }
}

#[test]
fn the_page_is_self_contained_and_has_a_setting_without_its_script() {
    let report = swept(Parameter::Gain, &[0.5, 1.0, 2.0]);
    let page = page(&report);
    assert_eq!((page.matches("<svg").count(), page.matches("<figcaption>").count()), (10, 4));
    for part in ["type=\"range\"", "<label for=\"slider\">", "@media print", "nats per step"] {
        assert!(page.contains(part), "{part}");
    }
    for foreign in ["http://", "https://", "src=", "NaN", "inf\""] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    // Every path that the script moves is drawn already, at the setting in the middle.
    for kind in ["norms", "slope", "eigenvalues", "spectrum"] {
        for cell in 0..3 {
            let at = page.find(&format!("id=\"{kind}-{cell}\"")).expect("a path");
            let path = &page[at..at + 80];
            assert!(path.contains("d=\"M"), "{path}");
        }
    }
    assert!(
        page.contains("value=\"1\"") && page.contains("<output id=\"value\" for=\"slider\">1<")
    );
    assert!(page.len() < 200_000, "{} bytes", page.len());
}
