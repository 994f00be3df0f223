//! Jacobians along the trajectory, one by one and in products.

use crate::dynamics::draw::{panels, row_of};
use crate::dynamics::options::DynamicsProgress;
use crate::dynamics::section::Section;
use crate::dynamics::trained::{Case, Trained};
use crate::error::Error;
use bptt_probe::dynamics::random::LARGEST_JACOBIAN;
use bptt_probe::dynamics::{
    Matrix, Network, Trajectory, eigenvalues, jacobian, numerical_range, singular_values,
    span_products,
};
use bptt_probe::picture::{Axis, Figure, Plot, SERIES};
use serde::Serialize;

/// At how many steps the Jacobian is taken apart.
const STEPS: usize = 9;
/// Over how many sequences the products are averaged.
const SEQUENCES: usize = 8;
/// From how many directions a numerical range is drawn, in a half-plane.
const DIRECTIONS: usize = 48;
/// States of more numbers than this have no numerical range: it would take longer than all else.
const LARGEST_RANGE: usize = 600;

/// Jacobians `∂s_t / ∂s_{t-1}` of the state of all layers, along validation sequences. `None` for states of more than 2000
/// numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Jacobians {
    /// At some steps of the first sequence.
    pub jacobians: Vec<StepJacobian>,
    /// The step of the following fields: the middle of the first sequence.
    pub jacobian_step: usize,
    /// The largest modulus of `eigenvalues`.
    pub spectral_radius: f64,
    /// `[re, im]` of the eigenvalues, the largest first.
    pub eigenvalues: Vec<(f64, f64)>,
    /// The singular values, descending.
    pub singular_values: Vec<f64>,
    /// The largest modulus in the numerical range; `None` for states of more than 600 numbers.
    pub numerical_radius: Option<f64>,
    /// `[re, im]` of points on the boundary of the numerical range, anticlockwise.
    pub numerical_range: Option<Vec<(f64, f64)>>,
    /// The products of the Jacobians of the first 1, 2, 4, … and of all steps of a sequence.
    pub jacobian_products: Vec<JacobianProduct>,
    /// Over how many sequences the products are averaged.
    pub product_sequences: usize,
    /// The bound by the weights, for cells of which it is known (`rnn`).
    pub jacobian_bounds: Vec<JacobianBound>,
}

/// The Jacobian of one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepJacobian {
    /// The step, counted from 0.
    pub step: usize,
    /// The largest modulus of its eigenvalues.
    pub spectral_radius: f64,
    /// Its largest singular value: no gradient grows by more in this step.
    pub largest_singular_value: f64,
    /// The largest modulus in its numerical range.
    pub numerical_radius: Option<f64>,
}

/// The product of the Jacobians of some steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JacobianProduct {
    /// How many steps.
    pub span: usize,
    /// `log10` of its singular values, descending, each as a mean over sequences. NaN for those that are rounding in one
    /// of them: smaller than 1e-14 of the largest.
    pub log10_singular_values: Vec<f64>,
}

/// How far the weights alone bound the Jacobian of a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JacobianBound {
    /// The layer, counted from the input.
    pub layer: usize,
    /// `γ σ_max(U)`, with the largest slope `γ = 1` of the nonlinearity (Pascanu et al. 2013).
    pub bound: f64,
    /// The largest singular value of `∂h_t / ∂h_{t-1}` of this layer, at the steps of `jacobians`.
    pub largest: f64,
}

impl Jacobians {
    pub(super) fn measure(
        trained: &Trained,
        progress: &mut dyn FnMut(DynamicsProgress),
    ) -> Result<Option<Self>, Error> {
        let named = |why: String| Error::input(format!("{}: {why}", trained.run));
        let cases = trained.cases(SEQUENCES);
        let mut network = trained.network(None)?;
        let (Some(first), true) = (cases.first(), first_fits(&cases)) else { return Ok(None) };
        network.set_input(&first.input);
        let time = first.input.rows();
        let states = Trajectory::new(&network, &first.state, time).states().to_vec();
        let total = STEPS.min(time) + 1 + cases.len();
        let mut tell = |done| progress(DynamicsProgress { stage: "Jacobians", done, total });

        let mut at_steps = Vec::new();
        let mut blocks = vec![0.0_f64; trained.readout.recurrent.num_layers()];
        for k in 0..STEPS.min(time) {
            tell(k);
            let step = k * (time - 1) / (STEPS.min(time) - 1).max(1);
            let matrix = jacobian(&mut network, step, &states[step]);
            at_steps.push(StepJacobian::of(step, &matrix).map_err(named)?);
            for (block, most) in network.own_blocks(&matrix).iter().zip(&mut blocks) {
                *most = most.max(singular_values(block).map_err(named)?[0]);
            }
        }
        tell(at_steps.len());
        let jacobian_step = (time - 1) / 2;
        let matrix = jacobian(&mut network, jacobian_step, &states[jacobian_step]);
        let all = eigenvalues(&matrix).map_err(named)?;
        let range = ranged(&matrix).then(|| numerical_range(&matrix, DIRECTIONS)).transpose();
        let range = range.map_err(named)?;
        Ok(Some(Self {
            jacobian_step,
            spectral_radius: all[0].0.hypot(all[0].1),
            eigenvalues: all,
            singular_values: singular_values(&matrix).map_err(named)?,
            numerical_radius: range.as_ref().map(|range| range.radius),
            numerical_range: range.map(|range| range.boundary),
            jacobian_products: products(&mut network, &cases, |k| tell(at_steps.len() + 1 + k))
                .map_err(named)?,
            product_sequences: cases.len(),
            jacobian_bounds: bounds(trained, &blocks).map_err(named)?,
            jacobians: at_steps,
        }))
    }
}

fn first_fits(cases: &[Case]) -> bool {
    cases.first().is_some_and(|case| case.state.len() <= LARGEST_JACOBIAN && case.input.rows() > 0)
}

fn ranged(matrix: &Matrix) -> bool {
    matrix.rows() <= LARGEST_RANGE
}

impl StepJacobian {
    fn of(step: usize, matrix: &Matrix) -> Result<Self, String> {
        let (re, im) = eigenvalues(matrix)?[0];
        // A few directions give the radius to a percent.
        let range = ranged(matrix).then(|| numerical_range(matrix, 12)).transpose()?;
        Ok(Self {
            step,
            spectral_radius: re.hypot(im),
            largest_singular_value: singular_values(matrix)?[0],
            numerical_radius: range.map(|range| range.radius),
        })
    }
}

/// The products over spans, as means over sequences of the longest length.
fn products(
    network: &mut Network,
    cases: &[Case],
    mut tell: impl FnMut(usize),
) -> Result<Vec<JacobianProduct>, String> {
    let time = cases.iter().map(|case| case.input.rows()).max().unwrap_or(0);
    let mut sums: Vec<JacobianProduct> = Vec::new();
    let mut count = 0.0;
    for (k, case) in cases.iter().enumerate().filter(|(_, case)| case.input.rows() == time) {
        tell(k);
        network.set_input(&case.input);
        let found = span_products(network, 0, &case.state, time)?;
        count += 1.0;
        if sums.is_empty() {
            let zeros =
                |span| JacobianProduct { span, log10_singular_values: vec![0.0; case.state.len()] };
            sums = found.iter().map(|product| zeros(product.span)).collect();
        }
        for (sum, product) in sums.iter_mut().zip(&found) {
            let values = sum.log10_singular_values.iter_mut().zip(&product.log10_singular_values);
            values.for_each(|(sum, value)| *sum += value);
        }
    }
    for sum in &mut sums {
        sum.log10_singular_values.iter_mut().for_each(|value| *value /= count);
    }
    Ok(sums)
}

/// Pascanu's bounds, of the cells that have one: `h = φ(W x + U h)` with a slope of at most 1.
fn bounds(trained: &Trained, blocks: &[f64]) -> Result<Vec<JacobianBound>, String> {
    if trained.settings.cell != bptt::CellKind::Rnn {
        return Ok(Vec::new());
    }
    let weights = trained.readout.recurrent.weights.iter().zip(blocks).enumerate();
    let of = |(layer, (weights, largest)): (usize, (&bptt::Weights, &f64))| {
        let bound = singular_values(&Matrix::from_tensor(weights.weight_hh.whole()))?[0];
        Ok(JacobianBound { layer, bound, largest: *largest })
    };
    weights.map(of).collect()
}

impl Section for Jacobians {
    fn lines(&self) -> Vec<String> {
        let range = self.numerical_radius.map(|w| format!(", numerical radius {w:.4}"));
        let mut lines = vec![format!(
            "one Jacobian      spectral radius {:.4}{}, largest singular value {:.4} (step {})",
            self.spectral_radius,
            range.unwrap_or_default(),
            self.singular_values[0],
            self.jacobian_step,
        )];
        if let Some(product) = self.jacobian_products.last() {
            let values = &product.log10_singular_values;
            let usable = values.iter().filter(|log| **log > -1.0).count();
            lines.push(format!(
                "product of {:<7}largest singular value 10^{:.2}; {usable} of {} are above 0.1",
                product.span,
                values[0],
                values.len(),
            ));
        }
        lines.extend(self.jacobian_bounds.iter().map(|JacobianBound { layer, bound, largest }| {
            format!(
                "bound, layer {layer}    γ σ_max(U) = {bound:.4}; largest singular value found {largest:.4}"
            )
        }));
        lines
    }

    fn figures(runs: &[(&str, &Self)]) -> Vec<Figure> {
        vec![of_planes(runs), of_products(runs), of_steps(runs)]
    }
}

/// Eigenvalues and numerical range of one Jacobian of each run.
fn of_planes(runs: &[(&str, &Jacobians)]) -> Figure {
    let reach = |found: &Jacobians| found.numerical_radius.unwrap_or(found.spectral_radius);
    let reach = 1.1 * runs.iter().map(|(_, found)| reach(found)).fold(1.0, f64::max);
    let svg = panels(runs, |_, found, size| {
        let mut plot = Plot::square(reach, size);
        plot.unit_circle();
        if let Some(boundary) = &found.numerical_range {
            plot.line(boundary.iter().chain(boundary.first()).copied(), "s3");
        }
        plot.dots(found.eigenvalues.iter().copied(), 2.2);
        plot.legend("theory", "the circle of radius 1");
        if found.numerical_range.is_some() {
            plot.legend("s3", "numerical range");
        }
        plot.svg("Eigenvalues and numerical range", "real part", "imaginary part")
    });
    Figure {
        heading: "One step, in the plane".into(),
        svg,
        reading: "The derivative of the step in the middle of a validation sequence. Each dot is an eigenvalue: a mode \
                  that the step shrinks inside of the circle, and grows outside of it. Dots at 1 are what the network \
                  holds. The dotted curve is the boundary of the numerical range, which contains all that the matrix \
                  does to one vector, z*Jz. Where it is much wider than the dots, the eigenvectors are far from \
                  orthogonal: a product of such steps may first grow although every eigenvalue is small."
            .into(),
    }
}

/// Singular values of products, against the span.
fn of_products(runs: &[(&str, &Jacobians)]) -> Figure {
    /// As much is left of nothing, for a picture.
    const FLOOR: f64 = -20.0;
    let ranks = [("largest", 0.0), ("tenth of the way down", 0.1), ("middle", 0.5)];
    let curve = |found: &Jacobians, share: f64| -> Vec<(f64, f64)> {
        let point = |product: &JacobianProduct| {
            let values = &product.log10_singular_values;
            let rank = (share * (values.len() - 1) as f64).round() as usize;
            (product.span as f64, values[rank])
        };
        found.jacobian_products.iter().map(point).collect()
    };
    let mut all = vec![(1.0, 0.0)];
    for (_, found) in runs {
        ranks.iter().for_each(|(_, share)| all.extend(curve(found, *share)));
    }
    all.retain(|(_, log)| *log > FLOOR);
    let x = Axis::logarithmic_of(all.iter().map(|point| point.0));
    let y = Axis::of(all.iter().map(|point| point.1)).with_space(0.05, 0.08);
    let svg = panels(runs, |_, found, size| {
        let mut plot = Plot::with_axes(x, y, [size, 240.0]);
        plot.level(0.0, "zero");
        for (class, (name, share)) in SERIES.into_iter().zip(ranks) {
            plot.line(curve(found, share).into_iter(), class);
            plot.dots_of(class, curve(found, share).into_iter(), 2.5);
            plot.legend(class, name);
        }
        plot.svg(
            "Singular values of products of Jacobians",
            "steps in the product",
            "log₁₀ of singular value",
        )
    });
    Figure {
        heading: "Products of Jacobians".into(),
        svg,
        reading: "What a gradient is multiplied with on its way back over 1, 2, 4, … steps, from the beginning of a \
                  sequence on: the largest singular value of the product, the one a tenth of the way down the list, and \
                  the middle one. At 0 a direction is passed on as it is. As long as some lines stay near 0, the \
                  gradient gets through in that many directions; where the largest falls, all are lost."
            .into(),
    }
}

/// Radii along the sequence.
fn of_steps(runs: &[(&str, &Jacobians)]) -> Figure {
    let radius = |found: &Jacobians| -> Vec<(f64, f64)> {
        found.jacobians.iter().map(|at| ((at.step + 1) as f64, at.spectral_radius)).collect()
    };
    let singular = |found: &Jacobians| -> Vec<(f64, f64)> {
        found.jacobians.iter().map(|at| ((at.step + 1) as f64, at.largest_singular_value)).collect()
    };
    let both = runs.iter().flat_map(|(_, found)| radius(found).into_iter().chain(singular(found)));
    let bounds =
        runs.iter().flat_map(|(_, found)| found.jacobian_bounds.iter().map(|b| (1.0, b.bound)));
    let all: Vec<_> = both.chain(bounds).chain([(1.0, 1.0), (1.0, 0.0)]).collect();
    let mut plot = Plot::new(all.iter().copied(), 260.0);
    plot.level(1.0, "zero");
    for (class, (name, found)) in row_of(runs) {
        plot.line(singular(found).into_iter(), class);
        plot.dots_of(class, radius(found).into_iter(), 3.5);
        let bound = found.jacobian_bounds.iter().map(|b| b.bound).fold(f64::NAN, f64::max);
        let more = match bound.is_nan() {
            true => String::new(),
            false => format!(", γ σ_max(U) = {bound:.3}"),
        };
        plot.legend(class, &format!("{name}: largest singular value{more}"));
        plot.legend_dots(class, &format!("{name}: spectral radius"));
    }
    plot.figure(
        "Along the sequence",
        "step of the sequence",
        "size of the Jacobian",
        "At some steps of a validation sequence, the largest singular value of the Jacobian (line) and its spectral \
         radius (dots). No step can lengthen a gradient by more than the line. For a plain RNN the weights alone bound \
         the line, by γ σ_max(U) (Pascanu et al. 2013): a bound below 1 would force gradients to vanish, one above 1 \
         says nothing. How far the line lies below the bound is the work of the slopes of tanh.",
    )
}
