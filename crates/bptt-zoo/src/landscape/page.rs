//! The landscape as a page.

use crate::figure::figure;
use crate::landscape::result::{DensityCurve, Landscape, LineBetween, PlanePoint};
use crate::landscape::sharpness;
use bptt_probe::landscape::Surface;
use bptt_probe::picture::{Chart, Curve, Figure, HeatMap, Mark, Page, Place};
use std::f64::consts::TAU;
use std::path::Path;

/// The smallest size of an eigenvalue in a picture, as a share of the largest.
const SMALLEST: f64 = 1e-7;
/// How many sizes there are between the two.
const SIZES: usize = 280;

/// The last part of a path is enough to tell folders apart, and short enough for a picture.
fn last_part(path: &str) -> String {
    Path::new(path).file_name().unwrap_or(path.as_ref()).to_string_lossy().into_owned()
}

impl Landscape {
    /// The landscape as a page of HTML with pictures: self-contained, without scripts, readable on paper.
    pub fn html(&self) -> String {
        let Self { run, task, cell, parameters, .. } = self;
        let mut figures = Vec::new();
        if let Some(surface) = &self.surface {
            figures.push(self.map(surface));
            figures.extend(self.profile(surface));
        }
        figures.extend(self.line.as_ref().map(|line| self.between(line)));
        if let Some(density) = &self.density {
            figures.push(self.counts(density));
            figures.push(self.spectrum(density));
        }
        figures.extend(sharpness::figures(&self.sharpness));
        let page = Page {
            title: format!("The loss around a trained {cell}"),
            summary: format!(
                "A run of {task} in {run}: {parameters} parameters, and a validation loss of {} {}.",
                figure(self.loss),
                self.loss_name
            ),
            facts: self.facts(),
            figures,
        };
        page.html()
    }

    fn facts(&self) -> Vec<(String, String)> {
        let within = |value: f64, error: f64| format!("{} ± {error:.1e}", figure(value));
        let aligned: f64 = self.gradient_alignment.iter().sum();
        let count = self.top_eigenvalues.len();
        let stable = if self.hessian_max < self.two_over_lr { "below" } else { "above" };
        let mut facts = vec![
            ("largest eigenvalue", within(self.hessian_max, self.hessian_max_error)),
            ("smallest eigenvalue", within(self.hessian_min, self.hessian_min_error)),
            ("condition number", format!("at least {:.2e}", self.condition)),
        ];
        if let (Some(trace), Some(error)) = (self.trace, self.trace_error) {
            let text = format!("{} ± {} (standard error)", figure(trace), figure(error));
            facts.push(("sum of the eigenvalues", text));
        }
        facts.extend([
            ("norm of the gradient", figure(self.gradient_norm)),
            (
                "gradient in the top eigenvectors",
                format!(
                    "{:.1} % of its square along {count} of {}",
                    100.0 * aligned,
                    self.parameters
                ),
            ),
            (
                "2 / learning rate",
                format!("{}; the largest eigenvalue is {stable} it", figure(self.two_over_lr)),
            ),
            (
                "data of the curvature",
                format!("{:.0} % of the validation data", 100.0 * self.share),
            ),
            ("Hessian-vector products", self.products.to_string()),
            ("seed", self.seed.to_string()),
        ]);
        if !self.converged {
            let text = "the ends of the spectrum have not converged: take more --steps";
            facts.push(("note", text.to_string()));
        }
        facts.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }

    /// The names of the axes of the plane.
    fn axes(&self) -> [String; 2] {
        match self.plane {
            "eigenvectors" => [0, 1].map(|k| {
                let value = self.top_eigenvalues.get(k).copied().map(figure).unwrap_or_default();
                format!("distance along eigenvector {} (eigenvalue {value})", k + 1)
            }),
            "through" => {
                let [first, second, third] = [0, 1, 2].map(|k| self.point_name(k));
                [
                    format!("distance from {first} towards {second}"),
                    format!("distance towards {third}"),
                ]
            }
            _ => ["first", "second"]
                .map(|which| format!("{which} random direction (1: as long as the weights)")),
        }
    }

    /// The last part of the path of a point: enough to tell the folders apart, and short enough for the picture.
    fn point_name(&self, k: usize) -> String {
        let point = self.points.as_ref().and_then(|points| points.get(k));
        point.map(|point| last_part(&point.run)).unwrap_or_default()
    }

    fn map(&self, surface: &Surface) -> Figure {
        let axes = self.axes();
        let points = self.points.iter().flatten();
        let place = |(k, point): (usize, &PlanePoint)| Place {
            at: [point.x, point.y],
            name: self.point_name(k),
        };
        let places: Vec<_> = points.enumerate().map(place).collect();
        let map = HeatMap {
            title: "The loss on a plane",
            x: &surface.x,
            y: &surface.y,
            height: &surface.loss,
            axes: [&axes[0], &axes[1]],
            height_name: self.loss_name,
            center: places.is_empty(),
            paths: &[],
            places: &places,
        };
        let plane = match self.plane {
            "eigenvectors" => {
                "The axes are the eigenvectors of the Hessian with the two largest eigenvalues: the directions in \
                 which the loss bends most. Near the cross, a contour is an ellipse, and it is longer where the \
                 eigenvalue is smaller."
            }
            "through" => {
                "The plane goes through the three models with a name. Both axes are Euclidean distances, on the same scale. \
                 A ridge between two of them is a barrier; a valley that connects them bends, if the straight line leaves it."
            }
            _ => {
                "The axes are random directions in which every filter is as long as that of the trained weights, so \
                 that planes of different networks can be compared. At distance 1, the change is as large as the \
                 weights. Biases stay as they are."
            }
        };
        Figure {
            heading: "The loss on a plane".to_string(),
            svg: map.svg(),
            reading: format!(
                "{} Brighter is a higher loss, on the scale to the right, which is \
                 logarithmic. Along a line the loss is the same; where lines are close, it is steep. Grey is no \
                 number. {plane}",
                if self.points.is_some() {
                    "The crosses are trained models."
                } else {
                    "The cross is the trained model."
                },
            ),
        }
    }

    /// The row of the surface through the center, if there is one.
    fn profile(&self, surface: &Surface) -> Option<Figure> {
        let middle = surface.y.iter().position(|y| *y == 0.0)?;
        let points = surface.x.iter().zip(&surface.loss[middle]).map(|(x, loss)| [*x, *loss]);
        let curve = Curve::new(points.collect());
        let axes = self.axes();
        let chart = Chart {
            title: "The loss along the first axis",
            axes: [&axes[0], self.loss_name],
            floor: None,
            logarithmic: [false, true],
            curves: &[curve],
            marks: &[Mark { at: 0.0, name: "the trained model".to_string() }],
        };
        Some(Figure {
            heading: "The loss along the first axis".to_string(),
            svg: chart.svg(),
            reading: "The same loss as above, on the horizontal line through the cross. A smooth, wide valley means \
                      that the loss changes little if the weights do; a narrow one, that it is sensitive. Steps and \
                      walls are the cliffs that gradient clipping is for."
                .to_string(),
        })
    }

    fn between(&self, line: &LineBetween) -> Figure {
        let points = line.t.iter().zip(&line.loss).map(|(t, loss)| [*t, *loss]).collect();
        let mark = |at: f64, path: &str| Mark { at, name: last_part(path) };
        let chart = Chart {
            title: "The loss between two runs",
            axes: ["place on the line (0: the run, 1: the other run)", self.loss_name],
            floor: None,
            logarithmic: [false, true],
            curves: &[Curve::new(points)],
            marks: &[mark(0.0, &self.run), mark(1.0, &line.to)],
        };
        Figure {
            heading: "The loss between two runs".to_string(),
            svg: chart.svg(),
            reading: format!(
                "The weights go in a straight line from the one run (loss {}) to the other (loss {}), which are {} \
                 apart. Between them the loss rises by {} above the straight line from loss to loss. Without such a \
                 barrier, both are in one valley. A barrier need not mean that the networks compute different things: \
                 units in another order make one, too.",
                figure(self.loss),
                figure(line.to_loss),
                figure(line.distance),
                figure(line.barrier),
            ),
        }
    }

    /// How many eigenvalues are beyond a size, on either side of zero.
    fn counts(&self, density: &DensityCurve) -> Figure {
        let largest = f64::max(self.hessian_max.abs(), self.hessian_min.abs());
        let sizes: Vec<f64> =
            (0..=SIZES).map(|k| largest * SMALLEST.powf(1.0 - k as f64 / SIZES as f64)).collect();
        let count = |size: f64, sign: f64| {
            let points = density.points.iter().zip(&density.weights);
            let beyond = points.filter(|(point, _)| sign * **point >= size * (1.0 - 1e-9));
            beyond.map(|(_, weight)| weight).sum::<f64>() * self.parameters as f64
        };
        let curve = |sign: f64, dashed: bool, name: &str| {
            let points = sizes.iter().map(|&size| [size, count(size, sign)]).collect();
            Curve { dashed, name: name.to_string(), ..Curve::new(points) }
        };
        let chart = Chart {
            title: "The number of eigenvalues beyond a size",
            axes: ["size (logarithmic)", "number of eigenvalues (logarithmic)"],
            floor: Some(0.5),
            logarithmic: [true, true],
            curves: &[
                curve(1.0, false, "above this size: the loss bends upwards"),
                curve(-1.0, true, "below minus this size: the loss bends downwards"),
            ],
            marks: &[],
        };
        Figure {
            heading: "How many eigenvalues are large".to_string(),
            svg: chart.svg(),
            reading: format!(
                "For each size, how many of the {} eigenvalues of the Hessian are beyond it. On the right is the largest, \
                 which is one. A long slope to the left means that most directions are nearly flat: there are few steep \
                 ones, and gradient descent has to be slow for their sake. The dashed line counts directions in which the \
                 loss bends downwards; at a minimum there are none. Eigenvalues that have converged are counted as they \
                 are. The others are an estimate from {} random probes with {} steps each.",
                self.parameters, density.probes, density.steps,
            ),
        }
    }

    fn spectrum(&self, density: &DensityCurve) -> Figure {
        let points = density.eigenvalue.iter().zip(&density.density).map(|(x, y)| [*x, *y]);
        let mut marks: Vec<_> =
            self.top_eigenvalues.iter().map(|&at| Mark { at, name: String::new() }).collect();
        let (low, high) = (density.eigenvalue[0], density.eigenvalue[density.eigenvalue.len() - 1]);
        if (low..=high).contains(&self.two_over_lr) {
            marks.push(Mark { at: self.two_over_lr, name: "2 / learning rate".to_string() });
        }
        // A fifth of the height of a single eigenvalue.
        let single = 1.0 / (self.parameters as f64 * density.sigma * TAU.sqrt());
        let chart = Chart {
            title: "The density of the eigenvalues",
            axes: ["eigenvalue of the Hessian", "density (logarithmic)"],
            floor: Some(0.2 * single),
            logarithmic: [false, true],
            curves: &[Curve { filled: true, ..Curve::new(points.collect()) }],
            marks: &marks,
        };
        Figure {
            heading: "How the eigenvalues are distributed".to_string(),
            svg: chart.svg(),
            reading: format!(
                "The share of the {} eigenvalues near each value, on a logarithmic axis. Most are near zero: in these \
                 directions the loss is flat. Those far to the right are the few steep directions. What is left of \
                 zero is where the loss bends downwards. The short lines are the {} largest eigenvalues. The curve is \
                 an estimate from {} random probes with {} steps each, and every eigenvalue is widened to a bell with \
                 a standard deviation of {}. A single eigenvalue has the height {}.",
                self.parameters,
                self.top_eigenvalues.len(),
                density.probes,
                density.steps,
                figure(density.sigma),
                figure(single),
            ),
        }
    }
}
