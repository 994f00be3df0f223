//! Fixed points of trained networks: the memories of a flip-flop, and what is in the JSON.

use crate::{alone, start, tiny, tiny_of, with_derivatives};
use bptt::CellKind;
use bptt_probe::dynamics::fixed_points::Kind;
use bptt_zoo::{
    ConstantInput, DynamicsOptions, FixedPoints, FlipFlop, RunDynamics, RunFolder, Settings,
    dynamics, dynamics_page,
};
use burn::tensor::Device;
use std::collections::BTreeSet;
use std::path::Path;
use tempfile::tempdir;

fn measured(out: &Path, starts: usize, input: Option<ConstantInput>) -> RunDynamics {
    let options = DynamicsOptions {
        time: 20,
        exponents: Some(1),
        fixed_points: Some(starts),
        input,
        ..DynamicsOptions::default()
    };
    dynamics(&RunFolder::new(out), &options, &Device::flex(), &mut |_| ()).unwrap()
}

fn found(out: &Path, starts: usize, input: Option<ConstantInput>) -> FixedPoints {
    measured(out, starts, input).fixed_points.expect("they were wanted")
}

/// Two bits have four memories. The stable points are these, each with its own answer, and the others lie between: for
/// each bit, one of three.
#[test]
fn the_stable_points_of_a_flip_flop_are_its_memories() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let settings = Settings {
            cell: cell.into(),
            hidden: 16,
            layers: 1,
            dropout: 0.0,
            batch: 32,
            steps: Some(400),
            ..tiny::<FlipFlop>()
        };
        let settings = settings.with_option("bits", 2).with_option("length", 30);
        let (result, lines) = start(&settings, folder.path(), false).unwrap();
        assert!(lines[1].contains("2 bits over 30 steps, a pulse every 10 steps"), "{lines:?}");
        assert!(result.metric > 0.99 && result.valid_loss < 0.05, "{result:?}");

        let found = found(folder.path(), 200, None);
        assert_eq!(found.fixed_point_input, ConstantInput::Zero);
        let stable = found.fixed_points.iter().filter(|point| point.kind == Kind::Stable);
        let stable: Vec<_> = stable.filter(|point| point.distance < 0.3).collect();
        let answers = stable.iter().map(|point| {
            let near_one = point.output.iter().all(|x| (x.abs() - 1.0).abs() < 0.3);
            assert!(near_one, "{cell:?} {:?}", point.output);
            point.output.iter().map(|x| *x > 0.0).collect::<Vec<_>>()
        });
        let answers: BTreeSet<_> = answers.collect();
        assert_eq!((stable.len(), answers.len()), (4, 4), "{cell:?}");
        assert!(found.fixed_points.iter().all(|point| point.speed < 1e-20));
        let unstable = |count: usize| {
            found.fixed_points.iter().filter(|point| point.unstable == count).count()
        };
        assert_eq!([0, 1, 2].map(unstable), [4, 4, 1], "{cell:?}");
    }
}

/// What the report says of every task, and its JSON.
#[test]
fn every_task_has_fixed_points_for_an_input_that_fits_it() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    for task in with_derivatives() {
        let out = folder.path().join(task.name);
        start(&tiny_of(task), &out, false).unwrap();
        let all = measured(&out, 6, None);
        // A pixel between black and white is 0, as the flip-flop is without a pulse.
        let zero = ["digits", "flip-flop"].contains(&task.name);
        let found = all.fixed_points.clone().expect("they were wanted");
        let expected = if zero { ConstantInput::Zero } else { ConstantInput::Mean };
        assert_eq!(found.fixed_point_input, expected, "{}", task.name);
        let counted = |points: &[bptt_zoo::FixedPoint]| -> usize {
            points.iter().map(|point| point.found).sum()
        };
        let ended = counted(&found.fixed_points) + counted(&found.slow_points);
        assert_eq!(ended + found.fixed_point_neither, 6, "{}", task.name);
        assert!(found.principal_shares[0] >= found.principal_shares[1]);
        assert!(found.principal_shares.iter().sum::<f64>() <= 1.0 + 1e-9, "{}", task.name);
        assert!(!found.trajectories.is_empty() && found.trajectories.len() <= 24);
        for point in found.fixed_points.iter().chain(&found.slow_points) {
            let sizes = [&point.eigenvalues.len(), &point.time_constants.len(), &point.state.len()];
            assert_eq!(sizes, [&all.state_size; 3], "{}", task.name);
            assert_eq!(point.output.len(), found.fixed_points[0].output.len());
        }
        let json = serde_json::to_value(&all).unwrap();
        for field in [
            "fixed_point_input",
            "fixed_point_starts",
            "fixed_point_neither",
            "state_spread",
            "principal_shares",
            "fixed_points",
            "slow_points",
            "trajectories",
        ] {
            assert!(!json[field].is_null(), "{field}");
        }
        if let Some(point) = json["fixed_points"].get(0) {
            let fields: Vec<_> = point.as_object().unwrap().keys().map(String::as_str).collect();
            let expected = [
                "distance",
                "eigenvalues",
                "found",
                "kind",
                "marginal",
                "output",
                "projection",
                "speed",
                "state",
                "time_constants",
                "unstable",
            ];
            assert_eq!(fields.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(expected));
        }
        let page = dynamics_page(std::slice::from_ref(&all));
        assert!(page.contains("Fixed points and trajectories") && page.contains("class=\"orbit\""));
        assert!(all.summary().contains("fixed points      "));
        assert!(!page.contains("NaN"), "{}", task.name);
    }
    // The other input is taken if it is wanted. The same options give the same numbers.
    let out = folder.path().join("parity");
    let [a, b] = [0; 2].map(|_| found(&out, 6, Some(ConstantInput::Zero)));
    assert_eq!((a.fixed_point_input, &a), (ConstantInput::Zero, &b));
    assert_ne!(a.fixed_points, found(&out, 6, None).fixed_points);
}
