//! The spectral radius of drawn weights, by the eigenvalues of Francis's method.

use bptt::{GruConfig, LstmConfig};
use bptt_probe::dynamics::{Matrix, eigenvalues};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::Device;

/// The largest modulus of the eigenvalues of each gate's recurrent weights.
fn radii(weight: &Param<Tensor<2>>) -> Vec<f64> {
    let [rows, size] = weight.dims();
    let values: Vec<f64> = weight.to_data().iter().collect();
    let of_gate = |gate: &[f64]| {
        let matrix = Matrix::from_values(size, size, gate.to_vec());
        let (re, im) = eigenvalues(&matrix).expect("they converge")[0];
        re.hypot(im)
    };
    assert_eq!(rows % size, 0);
    values.chunks(size * size).map(of_gate).collect()
}

#[test]
fn weights_of_a_spectral_radius_have_it_in_every_gate() {
    for (radius, hidden) in [(0.95, 1), (0.95, 2), (1.25, 3), (0.9, 40), (2.0, 150)] {
        let initializer = format!("radius:{radius}").parse().expect("a name");
        let gru = GruConfig::new(2, hidden)
            .with_num_layers(2)
            .with_bidirectional(true)
            .with_recurrent_initializer(initializer)
            .init(&Device::flex());
        for weights in &gru.weights {
            let found = radii(weights.weight_hh.as_whole().expect("no heads"));
            assert_eq!(found.len(), 3);
            for found in found {
                assert!((found / radius - 1.0).abs() < 1e-4, "H = {hidden}: {found}, not {radius}");
            }
        }
    }
}

/// By the circular law; at `N = 300` the largest of many eigenvalues is at `1 ± 0.1`.
#[test]
fn normal_weights_have_about_the_radius_of_their_gain() {
    let initializer = "normal:1.5".parse().expect("a name");
    let lstm =
        LstmConfig::new(2, 300).with_recurrent_initializer(initializer).init(&Device::flex());
    for radius in radii(lstm.weights[0].weight_hh.as_whole().expect("no heads")) {
        assert!((radius / 1.5 - 1.0).abs() < 0.15, "{radius}");
    }
}
