//! Compares Hessian-vector products with differences of gradients, compares the kernels, and checks symmetry.

use bptt::{AnyRecurrent, Engine, Kernel, SequenceMask};
use bptt_probe::curvature::{
    Curvature, Dual, LayerResults, Point, Variables, WeightVariables, hessian_vector_product,
};
use bptt_probe::{Array, DType, Problem, Setting, case, measure, relative_error};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

pub(crate) type Arrays = BTreeMap<String, Array>;

pub(crate) fn tensor<const D: usize>(array: &Array) -> Tensor<D> {
    let data = TensorData::new(array.values.clone(), array.shape.clone());
    Tensor::from_data(data, (&Device::flex(), burn::tensor::DType::F64))
}

fn array<const D: usize>(tensor: &Tensor<D>) -> Array {
    Array { shape: tensor.dims().to_vec(), values: tensor.to_data().iter::<f64>().collect() }
}

/// The rows of a matrix, or of the blocks of all heads under each other.
fn rows(array: &Array) -> Array {
    let columns = *array.shape.last().unwrap();
    Array { shape: vec![array.values.len() / columns, columns], values: array.values.clone() }
}

fn variables(suffixes: &[String], of: &Arrays) -> Variables {
    let weights = suffixes.iter().map(|suffix| WeightVariables {
        weight_ih: of.get(&format!("weight_ih{suffix}")).map(tensor),
        weight_hh: of.get(&format!("weight_hh{suffix}")).map(|weight| tensor(&rows(weight))),
        bias_ih: of.get(&format!("bias_ih{suffix}")).map(tensor),
        bias_hh: of.get(&format!("bias_hh{suffix}")).map(tensor),
        weight_hr: of.get(&format!("weight_hr{suffix}")).map(tensor),
        weight_diag: of.get(&format!("weight_diag{suffix}")).map(tensor),
    });
    Variables {
        input: of.get("input").map(tensor),
        hidden: of.get("h_0").map(tensor),
        memory: of.get("c_0").map(tensor),
        reset_hidden: of.get("h_reset").map(tensor),
        reset_memory: of.get("c_reset").map(tensor),
        weights: weights.collect(),
    }
}

pub(crate) fn arrays(suffixes: &[String], of: &Variables) -> Arrays {
    let mut all = Arrays::new();
    let mut add = |name: String, array: Option<Array>| {
        all.extend(array.map(|array| (name, array)));
    };
    add("input".into(), of.input.as_ref().map(array));
    add("h_0".into(), of.hidden.as_ref().map(array));
    add("c_0".into(), of.memory.as_ref().map(array));
    add("h_reset".into(), of.reset_hidden.as_ref().map(array));
    add("c_reset".into(), of.reset_memory.as_ref().map(array));
    for (suffix, weights) in suffixes.iter().zip(&of.weights) {
        add(format!("weight_ih{suffix}"), weights.weight_ih.as_ref().map(array));
        add(format!("weight_hh{suffix}"), weights.weight_hh.as_ref().map(array));
        add(format!("bias_ih{suffix}"), weights.bias_ih.as_ref().map(array));
        add(format!("bias_hh{suffix}"), weights.bias_hh.as_ref().map(array));
        add(format!("weight_hr{suffix}"), weights.weight_hr.as_ref().map(array));
        add(format!("weight_diag{suffix}"), weights.weight_diag.as_ref().map(array));
    }
    all
}

fn layer(problem: &Problem) -> (AnyRecurrent, Vec<String>) {
    let mut layer = problem.options.config().init(&Device::flex());
    let suffixes: Vec<_> = layer.suffixes().collect();
    for (weights, given) in
        layer.weights.iter_mut().zip(variables(&suffixes, &problem.given).weights)
    {
        weights.weight_ih = Param::from_tensor(given.weight_ih.unwrap());
        weights.weight_hh = weights.weight_hh.with_values(given.weight_hh.unwrap());
        weights.bias_ih = given.bias_ih.map(Param::from_tensor);
        weights.bias_hh = given.bias_hh.map(Param::from_tensor);
        weights.weight_hr = given.weight_hr.map(Param::from_tensor);
        weights.weight_diag = given.weight_diag.map(Param::from_tensor);
    }
    (layer, suffixes)
}

fn point(problem: &Problem) -> Point {
    let options = &problem.options;
    let mut point = Point::new(tensor(problem.array("input")));
    point.hidden = problem.given.get("h_0").map(tensor);
    point.memory = problem.given.get("c_0").map(tensor);
    point.masked_output = options.masked_output;
    point.mask = options.lengths.as_ref().map(|l| SequenceMask::Lengths(l.clone().into()));
    let (batch, time) = (options.batch, options.time);
    let time_first = |flags: &Vec<bool>| {
        let places = (0..time).flat_map(|t| (0..batch).map(move |b| (t, b)));
        places.map(|(t, b)| flags[b * time + t]).collect()
    };
    if let Some(mask) = &options.mask {
        point.mask = Some(SequenceMask::Steps(time_first(mask)));
    }
    point.resets = options.resets.as_ref().map(time_first);
    point.reset_hidden = problem.given.get("h_reset").map(tensor);
    point.reset_memory = problem.given.get("c_reset").map(tensor);
    point
}

/// A direction for everything that the loss depends on.
fn direction(problem: &Problem, seed: u64) -> Arrays {
    let mut rng = StdRng::seed_from_u64(seed);
    let given = problem.given.iter().filter(|(name, _)| !name.starts_with("cotangent."));
    given
        .map(|(name, like)| {
            let values = like.values.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
            (name.clone(), Array { shape: like.shape.clone(), values })
        })
        .collect()
}

/// The problem's own loss, which is linear in the results.
fn linear(problem: &Problem) -> impl Fn(&LayerResults) -> LayerResults {
    let constant = |name: &str| problem.given.get(name).map(|d| Dual::constant(tensor(d)));
    let d_results = LayerResults {
        output: constant("cotangent.output").unwrap(),
        hidden: constant("cotangent.h_n").unwrap(),
        memory: constant("cotangent.c_n"),
    };
    move |_| d_results.clone()
}

fn product(problem: &Problem, along: &Arrays) -> (Curvature, Vec<String>) {
    product_by(Kernel::Auto, problem, along)
}

fn product_by(kernel: Kernel, problem: &Problem, along: &Arrays) -> (Curvature, Vec<String>) {
    let (layer, suffixes) = layer(problem);
    let layer = layer.with_kernel(kernel);
    let along = variables(&suffixes, along);
    (hessian_vector_product(&layer, &point(problem), &along, linear(problem)), suffixes)
}

/// The cases of cells that run step by step: a layer that runs as a scan has no such products.
fn of_cells() -> impl Iterator<Item = case::Case> {
    case::table().into_iter().filter(|case| case.options.cell.cell().is_some())
}

fn cases() -> impl Iterator<Item = Problem> {
    // Large or strongly curved cases add nothing here, and their differences are not exact enough.
    let left_out = ["wide", "long", "saturated", "budget"];
    let wanted = move |case: &case::Case| !left_out.iter().any(|name| case.name.contains(name));
    // Products are those of evaluation: zoneout is its expectation, and nothing is dropped.
    let evaluated = |case: &case::Case| case.options.noise.is_none() || case.options.evaluates;
    let wanted = move |case: &case::Case| wanted(case) && evaluated(case);
    of_cells().filter(wanted).map(|case| case.problem())
}

fn moved(problem: &Problem, along: &Arrays, step: f64) -> Problem {
    let mut moved = problem.clone();
    for (name, along) in along {
        let values = &mut moved.given.get_mut(name).unwrap().values;
        values.iter_mut().zip(&along.values).for_each(|(value, d)| *value += step * d);
    }
    moved
}

#[test]
fn products_are_differences_of_gradients() {
    const STEP: f64 = 1e-5;
    let setting = Setting {
        engine: Engine::Autograd,
        kernel: Kernel::Auto,
        device: Device::flex(),
        dtype: DType::F64,
    };
    let mut count = 0;
    for problem in cases() {
        let along = direction(&problem, 1);
        let (curvature, suffixes) = product(&problem, &along);
        let (gradient, found) =
            (arrays(&suffixes, &curvature.gradient), arrays(&suffixes, &curvature.product));
        let at = measure(&problem, &setting).unwrap();
        let above = measure(&moved(&problem, &along, STEP), &setting).unwrap();
        let below = measure(&moved(&problem, &along, -STEP), &setting).unwrap();
        for name in along.keys() {
            let grad = format!("grad.{name}");
            let expected = match name.starts_with("weight_hh") {
                true => rows(&at[&grad]),
                false => at[&grad].clone(),
            };
            let error = relative_error(&gradient[name], &expected);
            assert!(error < 1e-12, "{} {grad}: {error:.1e}", problem.name);
            let (above, below) = (&above[&grad], &below[&grad]);
            let pairs = above.values.iter().zip(&below.values);
            let values = pairs.map(|(a, b)| (a - b) / (2.0 * STEP)).collect();
            let expected = Array { shape: found[name].shape.clone(), values };
            let error = relative_error(&found[name], &expected);
            assert!(error < 1e-6, "{} H v of {name}: {error:.1e}", problem.name);
            count += 1;
        }
    }
    assert!(count > 600, "only {count} tensors");
}

/// All cases of the table, along all variables and along one variable at a time, so that tangents are missing in every
/// place.
#[test]
fn products_by_the_kernels_are_those_of_the_reference_body() {
    for case in of_cells() {
        let problem = case.problem();
        let everything = direction(&problem, 17);
        let one = |name: &String| Arrays::from([(name.clone(), everything[name].clone())]);
        let mut directions: Vec<_> = everything.keys().map(one).collect();
        directions.push(everything.clone());
        for along in directions {
            let (kernels, suffixes) = product_by(Kernel::Auto, &problem, &along);
            let (reference, _) = product_by(Kernel::Reference, &problem, &along);
            let results = |of: &Curvature| {
                let mut all = vec![of.results.output.clone(), of.results.hidden.clone()];
                all.extend(of.results.memory.clone());
                let zero = |x: &Dual<Tensor<3>>| x.value.zeros_like();
                let both = |x: &Dual<Tensor<3>>| {
                    [x.value.clone(), x.tangent.clone().unwrap_or_else(|| zero(x))]
                };
                all.iter().flat_map(both).map(|x| array(&x)).collect::<Vec<_>>()
            };
            let found = results(&kernels).into_iter().zip(results(&reference));
            for (n, (found, expected)) in found.enumerate() {
                let error = relative_error(&found, &expected);
                assert!(error <= 1e-12, "{}: result {n} is {error:e} off", case.name);
            }
            let both = [
                (arrays(&suffixes, &kernels.gradient), arrays(&suffixes, &reference.gradient)),
                (arrays(&suffixes, &kernels.product), arrays(&suffixes, &reference.product)),
            ];
            for (found, expected) in both {
                for (name, expected) in expected {
                    let error = relative_error(&found[&name], &expected);
                    assert!(error <= 1e-11, "{}: {name} is {error:e} off", case.name);
                }
            }
        }
    }
}

#[test]
fn the_hessian_is_symmetric() {
    let mut flat = Vec::new();
    for problem in cases() {
        let (u, v) = (direction(&problem, 2), direction(&problem, 3));
        let (hu, suffixes) = product(&problem, &u);
        let (hv, _) = product(&problem, &v);
        let (u, v) = (variables(&suffixes, &u), variables(&suffixes, &v));
        let (uhv, vhu) = (u.dot(&hv.product), v.dot(&hu.product));
        let scale = u.dot(&u).sqrt() * hv.product.dot(&hv.product).sqrt();
        if scale == 0.0 {
            flat.push(problem.name.clone());
        }
        assert!((uhv - vhu).abs() <= 1e-13 * scale, "{}: {uhv} {vhu}", problem.name);
    }
    // The rectifier of the only unit is shut at all steps.
    assert_eq!(flat, ["indrnn-relu-one-unit"]);
}

/// A loss with a second derivative, `Σ y² / 2`, in the direction of a single matrix.
#[test]
fn a_curved_loss_brings_its_own_second_derivative() {
    const STEP: f64 = 1e-5;
    let problem = case::find("gru-deep-bidirectional").unwrap().problem();
    let squared =
        |results: &LayerResults| LayerResults { output: results.output.clone(), ..results.zeros() };
    let only =
        BTreeMap::from([("weight_hh_l0".to_string(), problem.array("weight_hh_l0").clone())]);
    let run = |problem: &Problem| {
        let (layer, suffixes) = layer(problem);
        let along = variables(&suffixes, &only);
        let curvature = hessian_vector_product(&layer, &point(problem), &along, squared);
        (arrays(&suffixes, &curvature.gradient), arrays(&suffixes, &curvature.product))
    };
    let (_, found) = run(&problem);
    let (above, _) = run(&moved(&problem, &only, STEP));
    let (below, _) = run(&moved(&problem, &only, -STEP));
    for (name, found) in &found {
        let pairs = above[name].values.iter().zip(&below[name].values);
        let values = pairs.map(|(a, b)| (a - b) / (2.0 * STEP)).collect();
        let error = relative_error(found, &Array { shape: found.shape.clone(), values });
        assert!(error < 1e-7, "{name}: {error:.1e}");
    }
}
