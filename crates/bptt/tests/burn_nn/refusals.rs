//! Layers that cannot be converted are refused, and the message has the reason.

use crate::flex;
use bptt::burn_nn::ConversionError;
use bptt::{Gru, GruConfig, GruState, Lstm, LstmConfig, Rnn, RnnConfig};
use burn::Tensor;
use burn::module::Module;
use burn::nn::activation::ActivationConfig;
use burn::nn::{self};

fn refused<T>(result: Result<T, ConversionError>, parts: &[&str]) {
    let line = result.err().expect("refused").to_string();
    assert!(!line.contains('\n'), "{line}");
    for part in parts {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
}

#[test]
fn other_activations_and_clips_of_the_hidden_state() {
    let device = flex();
    let lstm = nn::LstmConfig::new(2, 3, true);
    let hard = ActivationConfig::HardSigmoid(nn::HardSigmoidConfig::new());
    let with = lstm.clone().with_gate_activation(hard).init(&device);
    refused(Lstm::try_from(with), &["burn::nn::Lstm", "gate_activation", "HardSigmoid"]);
    let with = lstm.clone().with_cell_activation(ActivationConfig::Relu).init(&device);
    refused(Lstm::try_from(with), &["cell_activation is Relu", "Tanh"]);
    let with = lstm.clone().with_hidden_activation(ActivationConfig::Identity).init(&device);
    refused(Lstm::try_from(with), &["hidden_activation is Identity"]);
    let with = lstm.with_clip(Some(-1.0)).init(&device);
    refused(Lstm::try_from(with), &["burn::nn::Lstm", "clip is -1"]);

    let gru = nn::GruConfig::new(2, 3, true);
    let with = gru.clone().with_hidden_activation(ActivationConfig::Relu).init(&device);
    refused(Gru::try_from(with), &["burn::nn::Gru", "hidden_activation is Relu"]);
    let with = gru.with_clip(Some(0.5)).init(&device);
    refused(Gru::try_from(with), &["burn::nn::Gru", "clipped to 0.5"]);

    let rnn = nn::RnnConfig::new(2, 3, true);
    let with = rnn.clone().with_hidden_activation(ActivationConfig::Sigmoid).init(&device);
    refused(Rnn::try_from(with), &["burn::nn::Rnn", "hidden_activation is Sigmoid"]);
    let with = rnn.with_clip(Some(0.5)).init(&device);
    refused(Rnn::try_from(with), &["burn::nn::Rnn", "clipped to 0.5"]);
}

#[test]
fn directions_that_are_not_alike_and_gates_that_do_not_fit() {
    let device = flex();
    let mut bi = nn::BiLstmConfig::new(2, 3, true).init(&device);
    bi.reverse.clip = Some(1.0);
    refused(Lstm::try_from(bi), &["two directions differ"]);
    let mut bi = nn::BiGruConfig::new(2, 3, true).init(&device);
    bi.reverse = nn::GruConfig::new(4, 3, true).init(&device);
    refused(Gru::try_from(bi), &["two directions differ"]);
    let mut bi = nn::BiRnnConfig::new(2, 3, true).init(&device);
    bi.forward.reverse = true;
    refused(Rnn::try_from(bi), &["forward direction", "reverse = true"]);

    let mut lstm = nn::LstmConfig::new(2, 3, true).init(&device);
    lstm.forget_gate = None;
    refused(Lstm::try_from(lstm), &["no forget gate"]);
    let mut lstm = nn::LstmConfig::new(2, 3, true).init(&device);
    lstm.cell_gate.input_transform = nn::LinearConfig::new(5, 3).init(&device);
    refused(Lstm::try_from(lstm), &["[5, 3]", "expected [2, 3]"]);
    let mut lstm = nn::LstmConfig::new(2, 3, true).init(&device);
    lstm.cell_gate.hidden_transform.bias = None;
    refused(Lstm::try_from(lstm), &["some of its gates have a bias"]);
    let mut gru = nn::GruConfig::new(2, 3, true).init(&device);
    gru.d_hidden = 4;
    refused(Gru::try_from(gru), &["d_hidden is 4"]);

    let device = flex().autodiff();
    let mut gru = nn::GruConfig::new(2, 3, true).init(&device);
    gru.new_gate = gru.new_gate.no_grad();
    refused(Gru::try_from(gru), &["frozen"]);
}

#[test]
fn what_ours_have_and_theirs_have_not() {
    let device = flex();
    let config = LstmConfig::new(2, 4);
    let two = config.clone().with_num_layers(2).init(&device);
    refused(nn::Lstm::try_from(two), &["2 layers", "burn::nn::Lstm has one"]);
    let projected = config.clone().with_proj_size(2).init(&device);
    refused(nn::Lstm::try_from(projected), &["projection"]);
    let bi = config.clone().with_bidirectional(true).init(&device);
    refused(nn::Lstm::try_from(bi), &["two directions", "burn::nn::BiLstm"]);
    refused(nn::BiLstm::try_from(config.init(&device)), &["one direction", "a burn::nn::Lstm"]);
    let rnn = RnnConfig::new(2, 3).init(&device);
    refused(nn::BiRnn::try_from(rnn), &["one direction", "a burn::nn::Rnn"]);

    let config = GruConfig::new(2, 3);
    let reverse = config.clone().with_reverse(true).init(&device);
    refused(nn::Gru::try_from(reverse), &["no reverse"]);
    let time_first = config.with_batch_first(false).init(&device);
    refused(nn::Gru::try_from(time_first), &["[B, T, I]"]);

    let state = GruState::new(Tensor::zeros([2, 3, 4], &device));
    refused(Tensor::<2>::try_from(state), &["2 layers or directions", "has one"]);
    let state = GruState::new(Tensor::zeros([1, 3, 4], &device));
    refused(Tensor::<3>::try_from(state), &["1 layers or directions", "has two"]);
}
