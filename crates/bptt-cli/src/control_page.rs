//! A page about a policy.

use bptt_probe::picture::{Axis, Page, Plot};
use bptt_zoo::{ControlScores, Point, RunResult, TestScores, figure};

/// The width and the height of a plot, between its axes.
const SIZE: [f64; 2] = [640.0, 300.0];

/// The page: the return in the course of the training, beside those of policies without a network.
///
/// # Arguments
///
/// - `points`: the points of the learning curve
pub fn control_page(
    result: &RunResult,
    test: &TestScores,
    others: &ControlScores,
    points: &[Point],
) -> String {
    let ControlScores { random_return, memoryless_return, largest_return } = *others;
    let returns = || points.iter().filter_map(|point| Some((point.step as f64, point.metric?)));
    let levels = [0.0, random_return, memoryless_return, largest_return, test.test_metric];
    let heights =
        Axis::of(returns().map(|(_, metric)| metric).chain(levels)).with_space(0.04, 0.06);
    let last = returns().next_back().map_or(1.0, |(step, _)| step.max(1.0));
    let mut plot = Plot::with_axes(Axis::linear([0.0, last]), heights, SIZE);
    for (level, class, name) in [
        (largest_return, "zero", "the largest return"),
        (memoryless_return, "s2 dashed", "the best policy without memory that was tried"),
        (random_return, "s3", "random actions"),
    ] {
        plot.line([(0.0, level), (last, level)].into_iter(), class);
        plot.legend(class, name);
    }
    plot.line(returns(), "s1");
    plot.dots_of("s1", returns(), 2.5);
    plot.legend("s1", "the network");
    let curve = plot.figure(
        "Return in the course of the training",
        "training step",
        "mean return of an episode",
        "Each dot is a validation: the mean return of 64 episodes, always the same ones, in each of which the network takes the \
         action of the highest score. The levels are of the test's episodes.",
    );
    let facts = [
        ("cell", result.cell.to_string()),
        ("the network", figure(test.test_metric)),
        ("the largest return", figure(largest_return)),
        ("the best policy without memory", figure(memoryless_return)),
        ("random actions", figure(random_return)),
        ("episodes of the test", test.test_sequences.to_string()),
    ];
    let page = Page {
        title: format!("{}: {}", result.task, result.out),
        summary: "Mean returns of the best model and of policies without a network, in episodes that the training has not used."
            .to_string(),
        facts: facts.map(|(name, value)| (name.to_string(), value)).to_vec(),
        figures: vec![curve],
    };
    page.html()
}
