//! Jacobians of layers, and what takes them apart.

use crate::dynamics::{normal, random_matrix};
use bptt::{
    AnyRecurrentConfig, CellKind, GruConfig, LstmConfig, RecurrentState, RnnConfig, SequenceCell,
};
use bptt_probe::dynamics::{
    Factor, Matrix, Network, System, eigenvalues, jacobian, jacobian_norms, log_abs_det,
    orthonormalise, singular_values,
};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The Jacobian of a step by the layer itself, with central differences.
fn by_differences<C: SequenceCell>(
    layer: &bptt::Recurrent<C>,
    input: &Matrix,
    state: &[f64],
) -> Matrix {
    const H: f64 = 1e-6;
    let device = Device::flex();
    let tensor = |values: Vec<f64>, shape: [usize; 3]| {
        Tensor::<3>::from_data(TensorData::new(values, shape), (&device, DType::F64))
    };
    let (layers, hidden) = (layer.num_layers(), layer.d_hidden());
    let memories = layer.cell().memories();
    let width = layer.d_output();
    let part = width + memories * hidden;
    let step = |state: &[f64]| -> Vec<f64> {
        let of = |from: usize, count: usize| -> Vec<f64> {
            state.chunks(part).flat_map(|layer| layer[from..from + count].to_vec()).collect()
        };
        let h = tensor(of(0, width), [layers, 1, width]);
        let c = (memories > 0)
            .then(|| tensor(of(width, memories * hidden), [layers * memories, 1, hidden]));
        let x = tensor(input.row(0).to_vec(), [1, 1, input.columns()]);
        let (_, after) = layer.forward(x, Some(C::State::from_parts(h, c)));
        let (h, c) = after.into_parts();
        let numbers = |x: Tensor<3>| x.into_data().try_into_vec::<f64>().expect("f64");
        let (h, c) = (numbers(h), c.map(numbers).unwrap_or_default());
        (0..layers)
            .flat_map(|l| {
                let count = memories * hidden;
                let h = h[l * width..(l + 1) * width].to_vec();
                let c = c[l * count..(l + 1) * count].to_vec();
                h.into_iter().chain(c)
            })
            .collect()
    };
    let columns: Vec<Vec<f64>> = (0..state.len())
        .map(|j| {
            let moved = |by: f64| {
                let mut state = state.to_vec();
                state[j] += by;
                step(&state)
            };
            let (up, down) = (moved(H), moved(-H));
            up.iter().zip(&down).map(|(up, down)| (up - down) / (2.0 * H)).collect()
        })
        .collect();
    Matrix::from_fn(state.len(), state.len(), |i, j| columns[j][i])
}

/// Draws the parameters again, in f64 and by a seed: those of `init` depend on which test runs first.
pub(crate) fn redrawn<M: Module>(layer: M, seed: u64) -> M {
    struct Redrawn(StdRng);
    impl ModuleMapper for Redrawn {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| {
                let count = tensor.shape().num_elements();
                let values: Vec<f64> = (0..count).map(|_| 0.5 * normal(&mut self.0)).collect();
                let data = TensorData::new(values, tensor.dims());
                Tensor::from_data(data, (&tensor.device(), DType::F64))
            })
        }
    }
    layer.map(&mut Redrawn(StdRng::seed_from_u64(seed)))
}

/// The Jacobian of a layer is the derivative of what the layer itself computes.
fn assert_jacobian<C: SequenceCell>(layer: bptt::Recurrent<C>, name: &str) {
    let layer = redrawn(layer, 4);
    let device = Device::flex();
    let input = random_matrix(1, layer.d_input(), 1.0, 5);
    let data = TensorData::new(input.values().to_vec(), [1, input.columns()]);
    let tensor = Tensor::<2>::from_data(data, (&device, DType::F64));
    let mut network = Network::new(&layer, Some(tensor), &device).expect("one direction");
    let state = random_matrix(1, network.size(), 1.0, 6);
    let found = jacobian(&mut network, 0, state.row(0));
    let expected = by_differences(&layer, &input, state.row(0));
    let size = expected.values().iter().fold(0.0, |size: f64, x| size.max(x.abs()));
    for (found, expected) in found.values().iter().zip(expected.values()) {
        assert!((found - expected).abs() < 1e-8 * size, "{name}: {found}, not {expected}");
    }
    assert!(size > 0.1, "{name}");
}

#[test]
fn jacobians_are_the_derivatives_of_every_layer() {
    let device = Device::flex();
    assert_jacobian(RnnConfig::new(3, 4).init(&device), "rnn");
    assert_jacobian(
        RnnConfig::new(3, 4).with_nonlinearity(bptt::Nonlinearity::Relu).init(&device),
        "rnn, relu",
    );
    assert_jacobian(LstmConfig::new(3, 4).init(&device), "lstm");
    assert_jacobian(LstmConfig::new(3, 4).with_proj_size(2).init(&device), "lstm, projected");
    assert_jacobian(LstmConfig::new(3, 4).with_input_forget(true).init(&device), "lstm, coupled");
    assert_jacobian(LstmConfig::new(3, 4).with_clip(Some(1.0)).init(&device), "lstm, clipped");
    assert_jacobian(GruConfig::new(3, 4).init(&device), "gru");
    assert_jacobian(GruConfig::new(3, 4).with_reset_after(false).init(&device), "gru, before");
    assert_jacobian(GruConfig::new(3, 4).with_num_layers(3).init(&device), "gru, three layers");
    assert_jacobian(
        GruConfig::new(3, 4).with_reset_after(false).with_num_layers(2).init(&device),
        "gru, before, two layers",
    );
    assert_jacobian(
        LstmConfig::new(3, 4).with_num_layers(2).with_proj_size(3).with_bias(false).init(&device),
        "lstm, two layers, projected, without biases",
    );
}

#[test]
fn jacobians_of_the_other_cells_are_derivatives_too() {
    // Of an sLSTM this holds for any normaliser that is not near zero.
    let others = CellKind::ALL.into_iter().filter(|kind| kind.name() != "slstm");
    for kind in others {
        let config = AnyRecurrentConfig::new(kind, 3, 4);
        assert_jacobian(config.init(&Device::flex()), kind.name());
        let config = config.with_num_layers(2).with_bias(false);
        assert_jacobian(config.init(&Device::flex()), &format!("{}, two layers", kind.name()));
    }
}

#[test]
fn a_layer_with_a_backward_direction_is_refused() {
    let device = Device::flex();
    let layer = GruConfig::new(3, 4).with_bidirectional(true).init(&device);
    let refused = Network::new(&layer, None, &device).err().expect("an error");
    assert!(refused.contains("backward direction"), "{refused}");
}

#[test]
fn orthonormal_rows_are_orthonormal_and_their_logarithms_are_the_determinant() {
    for (rows, columns) in [(1, 3), (5, 5), (40, 40), (37, 90)] {
        let mut block = random_matrix(rows, columns, 1.0, 9);
        // Nearly parallel rows: what is left of each is a millionth.
        for row in 1..rows {
            let first = block.row(0).to_vec();
            block.row_mut(row).iter_mut().zip(first).for_each(|(x, first)| *x = first + 1e-6 * *x);
        }
        let before = block.clone();
        let logs = orthonormalise(&mut block, &Device::flex());
        for a in 0..rows {
            for b in 0..=a {
                let dot: f64 = block.row(a).iter().zip(block.row(b)).map(|(x, y)| x * y).sum();
                let expected = if a == b { 1.0 } else { 0.0 };
                assert!((dot - expected).abs() < 1e-13, "{rows} x {columns}: {a} {b} {dot}");
            }
        }
        if rows == columns {
            let det = log_abs_det(before);
            assert!((logs.iter().sum::<f64>() - det).abs() < 1e-6 * det.abs().max(1.0));
        }
    }
}

#[test]
fn rows_of_which_nothing_is_left_are_replaced_and_spoil_no_other() {
    // Products of a matrix of rank 30: from row 30 on there is only rounding.
    let (rank, size) = (30, 80);
    let (left, right) = (random_matrix(size, rank, 1.0, 1), random_matrix(rank, size, 1.0, 2));
    let mut block = Factor::new(&right.transposed(), &Device::flex()).times(left);
    let logs = orthonormalise(&mut block, &Device::flex());
    assert!(logs[..rank].iter().all(|log| log.is_finite()), "{logs:?}");
    assert!(logs[rank..].iter().all(|log| *log == f64::NEG_INFINITY), "{logs:?}");
    for a in 0..size {
        for b in 0..=a {
            let dot: f64 = block.row(a).iter().zip(block.row(b)).map(|(x, y)| x * y).sum();
            let expected = if a == b { 1.0 } else { 0.0 };
            assert!((dot - expected).abs() < 1e-13, "{a} {b} {dot}");
        }
    }
}

#[test]
fn eigenvalues_and_singular_values_of_known_matrices() {
    // The companion matrix of (x - 3)(x² - 2x + 5), whose roots are 3 and 1 ± 2i.
    let companion = Matrix::from_values(3, 3, vec![5.0, -11.0, 15.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    let found = eigenvalues(&companion).expect("they converge");
    for ((re, im), expected) in found.iter().zip([(3.0, 0.0), (1.0, 2.0), (1.0, -2.0)]) {
        assert!((re - expected.0).hypot(im - expected.1) < 1e-12, "{found:?}");
    }
    let diagonal = Matrix::from_values(3, 3, vec![0.0, -2.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 3.0]);
    let found = singular_values(&diagonal).expect("they converge");
    for (found, expected) in found.iter().zip([3.0, 2.0, 0.5]) {
        assert!((found - expected).abs() < 1e-14, "{found}");
    }
    // A larger one: sums and products of both are known from the matrix.
    let matrix = random_matrix(60, 60, 1.0, 11);
    let (values, singular) = (eigenvalues(&matrix).unwrap(), singular_values(&matrix).unwrap());
    let trace: f64 = (0..60).map(|k| matrix.row(k)[k]).sum();
    assert!((values.iter().map(|z| z.0).sum::<f64>() - trace).abs() < 1e-11);
    assert!(values.iter().map(|z| z.1).sum::<f64>().abs() < 1e-11);
    let det = log_abs_det(matrix.clone());
    assert!((values.iter().map(|z| z.0.hypot(z.1).ln()).sum::<f64>() - det).abs() < 1e-10);
    assert!((singular.iter().map(|s| s.ln()).sum::<f64>() - det).abs() < 1e-10);
    let squares: f64 = matrix.values().iter().map(|x| x * x).sum();
    assert!((singular.iter().map(|s| s * s).sum::<f64>() / squares - 1.0).abs() < 1e-12);
    assert!(eigenvalues(&Matrix::from_values(1, 1, vec![f64::NAN])).is_err());
}

#[test]
fn norms_of_products_are_those_of_the_formed_product() {
    let device = Device::flex();
    let mut network = Network::random(CellKind::Gru, 8, 2.0, 3, &device);
    let state = random_matrix(1, 8, 1.0, 4);
    let norms = jacobian_norms(&mut network, 0, state.row(0), 6, 5);
    assert_eq!((norms.len(), norms[0]), (7, 0.0));
    // All directions together, and not the 32 of them.
    let mut bundle =
        Matrix::from_fn(9, 8, |row, column| if row == 0 { state.row(0)[column] } else { 0.0 });
    (0..8).for_each(|k| bundle.row_mut(1 + k)[k] = 1.0);
    for (t, norm) in norms.iter().enumerate() {
        let square: f64 = bundle.values()[8..].iter().map(|x| x * x).sum();
        let exact = (square / 8.0).log10() / 2.0;
        assert!((norm - exact).abs() < 0.1, "after {t} steps: {norm}, formed {exact}");
        network.step(t, &mut bundle);
    }
}
