//! What users rely on besides the gradients: names, sizes, initial numbers, messages.

use super::*;
use bptt::{RecurrentLayer, cast};

#[derive(Default)]
struct Paths {
    stack: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Paths {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((self.stack.join("."), param.val().dims().to_vec()));
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.stack.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.stack.pop();
    }
}

fn paths(module: &impl Module) -> Vec<(String, Vec<usize>)> {
    let mut paths = Paths::default();
    module.visit(&mut paths);
    paths.found
}

fn device() -> Device {
    Device::flex()
}

#[test]
fn parameters_have_names_and_shapes() {
    let gru = MinGruConfig::new(3, 5).with_num_layers(2).with_bidirectional(true).init(&device());
    let expected = [
        ("layers.0.weight_ih", vec![10, 3]),
        ("layers.0.bias_ih", vec![10]),
        ("layers.1.weight_ih", vec![10, 3]),
        ("layers.1.bias_ih", vec![10]),
        ("layers.2.weight_ih", vec![10, 10]),
        ("layers.2.bias_ih", vec![10]),
        ("layers.3.weight_ih", vec![10, 10]),
        ("layers.3.bias_ih", vec![10]),
    ];
    let expected: Vec<_> = expected.map(|(name, dims)| (name.to_string(), dims)).into();
    assert_eq!(paths(&gru), expected);
    assert_eq!(gru.num_params(), 2 * (40 + 110));
    let projected = paths(&RgLruConfig::new(3, 5).init(&device()));
    assert_eq!(projected[0], ("layers.0.weight_in".to_string(), vec![5, 3]));
    let own = paths(&RgLruConfig::new(5, 5).init(&device()));
    assert_eq!(own[0], ("layers.0.weight_ih".to_string(), vec![10, 5]));
}

#[test]
fn layers_fit_into_generic_models() {
    fn last<R: RecurrentLayer>(layer: &R, input: Tensor<3>) -> [usize; 3] {
        let (output, _) = layer.forward(input, None);
        assert_eq!(output.dims()[2], layer.d_output());
        output.dims()
    }
    let input = || Tensor::<3>::ones([2, 6, 3], &device());
    let lru = LruConfig::new(3, 4).with_num_layers(2).with_bidirectional(true);
    assert_eq!(last(&lru.init(&device()), input()), [2, 6, 8]);
    assert_eq!(last(&S5Config::new(3, 4).with_d_output(7).init(&device()), input()), [2, 6, 7]);
    assert_eq!(last(&MinLstmConfig::new(3, 4).init(&device()), input()), [2, 6, 4]);
}

/// The ring of LRU, the decay of RG-LRU, and candidates that are positive.
#[test]
fn initial_numbers_are_those_of_the_papers() {
    let [low, high] = [0.4, 0.9];
    let lru = LruConfig::new(3, 500).with_r_min(low).with_r_max(high).with_max_phase(1.0);
    let layer = lru.init(&device()).layers.remove(0);
    let radius = numbers(layer.nu_log.val().exp().neg().exp());
    assert!(radius.iter().all(|&r| (low - 1e-5..=high + 1e-5).contains(&r)));
    // Uniform in the ring: as many below the radius that halves its area, to six standard deviations.
    let half = ((low * low + high * high) / 2.0_f64).sqrt();
    let below = radius.iter().filter(|&&r| r < half).count() as f64;
    assert!((below - 250.0).abs() < 6.0 * (500.0_f64 / 4.0).sqrt(), "{below} of 500");
    for (gamma, r) in numbers(layer.gamma_log.val().exp()).iter().zip(&radius) {
        assert!((gamma - (1.0 - r * r).sqrt()).abs() < 1e-5);
    }
    assert!(numbers(layer.theta_log.val().exp()).iter().all(|&phase| phase <= 1.0 + 1e-6));

    let layer = RgLruConfig::new(3, 300).init(&device()).layers.remove(0);
    let decay = numbers(layer.lambda.val().exp().log1p().mul_scalar(-8.0).exp());
    assert!(decay.iter().all(|a| (0.9 - 1e-4..=0.999 + 1e-4).contains(a)));

    let input = Noise::new(1).tensor::<3>([2, 30, 3], &device(), DType::F32).mul_scalar(5.0);
    for positive in [true, false] {
        let gru = MinGruConfig::new(3, 8).with_log_space(positive).init(&device());
        let lstm = MinLstmConfig::new(3, 8).with_log_space(positive).init(&device());
        for outputs in [gru.forward(input.clone(), None).0, lstm.forward(input.clone(), None).0] {
            assert_eq!(numbers(outputs).iter().all(|&h| h > 0.0), positive);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_in_one_line() {
    let refused = |error: bptt::ConfigError, parts: &[&str]| {
        let message = error.to_string();
        assert!(
            !message.contains('\n') && parts.iter().all(|part| message.contains(part)),
            "{message}"
        );
    };
    let gru = || MinGruConfig::new(3, 4);
    let error = gru().with_engine(Engine::Rtrl).try_init(&device()).expect_err("no such engine");
    refused(error, &["mingru", "rtrl", "manual or autograd"]);
    let error = MinGruConfig::new(3, 0).try_init(&device()).expect_err("no units");
    refused(error, &["d_hidden is 0"]);
    let both = gru().with_bidirectional(true).with_reverse(true);
    refused(both.try_init(&device()).expect_err("both"), &["exclude each other"]);
    let ring = LruConfig::new(3, 4).with_r_min(0.9).with_r_max(0.5);
    refused(ring.try_init(&device()).expect_err("an empty ring"), &["r_min is 0.9", "r_max 0.5"]);
    let steps = S5Config::new(3, 4).with_step_min(0.5);
    refused(steps.try_init(&device()).expect_err("no steps"), &["step_min <= step_max"]);

    let layer = gru().init(&device());
    let message = complaint(|| layer.forward(Tensor::ones([2, 5, 2], &device()), None));
    assert!(message.contains("[2, 5, 2]") && message.contains("I = 3"), "{message}");
    let state = ScannedState::new(Tensor::zeros([1, 3, 4], &device()));
    let message = complaint(|| layer.forward(Tensor::ones([2, 5, 3], &device()), Some(state)));
    assert!(message.contains("[1, 3, 4]") && message.contains("[1, 2, 4]"), "{message}");
    let message =
        complaint(|| layer.forward_lengths(Tensor::ones([2, 5, 3], &device()), &[6, 1], None));
    assert!(message.contains("length 6"), "{message}");
    let message = complaint(|| layer.with_engine(Engine::Rtrl));
    assert!(message.contains("manual or autograd"), "{message}");
    let back = gru().with_reverse(true).init(&device());
    let message = complaint(|| back.step(Tensor::ones([2, 3], &device()), None));
    assert!(message.contains("forward only"), "{message}");
}

/// A sequence whose gates would take terabytes.
#[test]
#[cfg(target_os = "linux")]
fn what_cannot_fit_is_refused_before_it_is_allocated() {
    let layer = MinGruConfig::new(1, 1 << 20).init(&device());
    let input = Tensor::<3>::zeros([1, 1, 1], &device()).expand([1000, 1000, 1]);
    let message = complaint(|| layer.forward(input, None));
    assert!(message.contains("T = 1000 steps of B = 1000 rows"), "{message}");
}

/// Types of 16 bits: computed in f32 and rounded.
struct Half;

impl Visit for Half {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        let layer = cast(layer.valid(), DType::BF16);
        let input = Noise::new(1).tensor::<3>([2, 9, 3], &device(), DType::BF16);
        let wide = cast(layer.clone(), DType::F32);
        let (outputs, end) = layer.forward(input.clone(), None);
        assert_eq!((outputs.dtype(), end.hidden.dtype()), (DType::BF16, DType::BF16));
        let (expected, _) = wide.forward(input.cast(DType::F32), None);
        // Gates are rounded to 8 bits, and states are sums of a few of them.
        close(&[numbers(outputs)], &[numbers(expected)], 0.05, layer.name());
    }
}

#[test]
fn half_precision_is_near() {
    every_layer(Shape::plain(3, 5), &mut Half);
}

#[test]
fn parameters_are_saved_and_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("layer");
    let saved = LruConfig::new(3, 4).with_num_layers(2).init(&device());
    saved.clone().save_file(file.clone()).expect("saved");
    let loaded = LruConfig::new(3, 4).with_num_layers(2).init(&device()).load_file(file);
    let input = Noise::new(1).tensor::<3>([2, 5, 3], &device(), DType::F32);
    let outputs = [saved, loaded].map(|layer| numbers(layer.forward(input.clone(), None).0));
    assert_eq!(outputs[0], outputs[1]);
}
