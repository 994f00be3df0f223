//! Whole models: a file of a model with Burn's layers is read into the same model with layers of bptt.

use crate::{error, flex, noise};
use bptt::burn_nn::{convert_record, load_file};
use bptt::{Gru, GruConfig, Lstm, LstmConfig, Rnn, RnnConfig};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{self, Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::tensor::{DType, Device, Int};

const WORDS: usize = 11;
const WIDTH: usize = 4;
const HIDDEN: usize = 6;
const DRAWN: Initializer = Initializer::Normal { mean: 0.0, std: 0.5 };

/// A model with recurrent layers of every kind, and other modules around and between them.
#[derive(Module, Debug)]
struct Model<L, G, R> {
    embedding: Embedding,
    /// A layer with two directions, below another module.
    encoder: Encoder<L>,
    decoder: Vec<G>,
    rnn: Option<R>,
    head: Linear,
}

#[derive(Module, Debug)]
struct Encoder<L> {
    lstm: L,
    norm: nn::LayerNorm,
}

type Old = Model<nn::BiLstm, nn::Gru, nn::Rnn>;
type New = Model<Lstm, Gru, Rnn>;

fn embedding(device: &Device) -> Embedding {
    EmbeddingConfig::new(WORDS, WIDTH).init(device)
}

fn old(device: &Device) -> Old {
    let gru = |width| nn::GruConfig::new(width, HIDDEN, true).with_initializer(DRAWN).init(device);
    Model {
        embedding: embedding(device),
        encoder: Encoder {
            lstm: nn::BiLstmConfig::new(WIDTH, HIDDEN, true).with_initializer(DRAWN).init(device),
            norm: nn::LayerNormConfig::new(2 * HIDDEN).init(device),
        },
        decoder: vec![gru(2 * HIDDEN), gru(HIDDEN)],
        rnn: Some(nn::RnnConfig::new(HIDDEN, 3, false).with_initializer(DRAWN).init(device)),
        head: LinearConfig::new(3, 2).init(device),
    }
}

fn new(device: &Device) -> New {
    Model {
        embedding: embedding(device),
        encoder: Encoder {
            lstm: LstmConfig::new(WIDTH, HIDDEN).with_bidirectional(true).init(device),
            norm: nn::LayerNormConfig::new(2 * HIDDEN).init(device),
        },
        decoder: vec![
            GruConfig::new(2 * HIDDEN, HIDDEN).init(device),
            GruConfig::new(HIDDEN, HIDDEN).init(device),
        ],
        rnn: Some(RnnConfig::new(HIDDEN, 3).with_bias(false).init(device)),
        head: LinearConfig::new(3, 2).init(device),
    }
}

impl Old {
    fn forward(&self, words: Tensor<2, Int>) -> Tensor<3> {
        let (x, _) = self.encoder.lstm.forward(self.embedding.forward(words), None);
        let x = self.encoder.norm.forward(x);
        let x = self.decoder.iter().fold(x, |x, gru| gru.forward(x, None));
        let (x, _) = self.rnn.as_ref().expect("there").forward(x, None);
        self.head.forward(x)
    }
}

impl New {
    fn forward(&self, words: Tensor<2, Int>) -> Tensor<3> {
        let (x, _) = self.encoder.lstm.forward(self.embedding.forward(words), None);
        let x = self.encoder.norm.forward(x);
        let x = self.decoder.iter().fold(x, |x, gru| gru.forward(x, None).0);
        let (x, _) = self.rnn.as_ref().expect("there").forward(x, None);
        self.head.forward(x)
    }
}

fn words(device: &Device) -> Tensor<2, Int> {
    let numbers = (0..30).map(|k| (k * k + 3) % WORDS as i32).collect::<Vec<_>>();
    Tensor::<1, Int>::from_data(numbers.as_slice(), device).reshape([3, 10])
}

#[test]
fn a_whole_model_that_burn_wrote_is_read_with_our_layers_in_it() {
    let device = flex();
    let folder = tempfile::tempdir().expect("a folder");
    let (old, words) = (old(&device), words(&device));
    let expected = old.forward(words.clone());
    old.clone().save_file(folder.path().join("model.bpk")).expect("saved");

    // Burn also allows a name without the extension.
    for name in ["model.bpk", "model"] {
        let fresh = new(&device);
        assert!(error(&fresh.forward(words.clone()), &expected) > 1e-2);
        let loaded = load_file(fresh, folder.path().join(name)).expect("loaded");
        assert!(error(&loaded.forward(words.clone()), &expected) < 1e-12);
    }

    // The same function reads files of the new model, and `convert_record` gives the same result.
    let record = convert_record(old.into_record(), &new(&device)).expect("converted");
    let loaded = new(&device).try_load_record(record).expect("loaded");
    loaded.clone().save_file(folder.path().join("ours.bpk")).expect("saved");
    let again = load_file(new(&device), folder.path().join("ours.bpk")).expect("loaded");
    assert!(error(&again.forward(words), &expected) < 1e-12);
}

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| values.cast(self.0))
    }
}

#[test]
fn a_file_of_coupled_gates_in_half_precision_at_the_root_of_a_model() {
    let device = flex();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("layer.bpk");
    let theirs = nn::LstmConfig::new(WIDTH, HIDDEN, true)
        .with_initializer(DRAWN)
        .with_input_forget(true)
        .init(&device);
    let half = theirs.map(&mut Cast(DType::F16));
    half.clone().save_file(&path).expect("saved");
    let config = LstmConfig::new(WIDTH, HIDDEN).with_input_forget(true);
    let loaded = load_file(config.init(&device), &path).expect("loaded");
    assert_eq!(loaded.weights[0].weight_hh.val().dtype(), DType::F16);

    // The numbers are compared in f64, the type of this device.
    let wide = &mut Cast(DType::F64);
    let (loaded, theirs) = (loaded.map(wide), half.map(wide));
    let input = noise([2, 5, WIDTH], &device);
    let (expected, _) = theirs.forward(input.clone(), None);
    assert!(error(&loaded.forward(input, None).0, &expected) < 1e-12);
}

#[test]
fn files_that_do_not_fit_say_what_is_wrong() {
    let device = flex();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("layer.bpk");
    let complaint = |config: LstmConfig| {
        load_file(config.init(&device), &path).expect_err("refused").to_string()
    };
    assert!(complaint(LstmConfig::new(3, 4)).contains("layer.bpk"));

    nn::LstmConfig::new(3, 4, true).init(&device).save_file(&path).expect("saved");
    let line = complaint(LstmConfig::new(3, 5));
    assert!(line.contains("weight_ih_l0: shape mismatch"), "{line}");
    assert!(line.contains("[20, 3]") && line.contains("[16, 3]"), "{line}");
    let line = complaint(LstmConfig::new(3, 4).with_input_forget(true));
    assert!(line.contains("[12, 3]") && line.contains("[16, 3]"), "{line}");
    let line = complaint(LstmConfig::new(3, 4).with_num_layers(2));
    assert!(line.contains("Missing tensors") && line.contains("weight_ih_l1"), "{line}");
    let line = complaint(LstmConfig::new(3, 4).with_bias(false));
    assert!(line.contains("Unused tensors") && line.contains("bias_ih_l0"), "{line}");
    let line = complaint(LstmConfig::new(3, 4).with_bidirectional(true));
    assert!(line.contains("Missing tensors") && line.contains("weight_ih_l0_reverse"), "{line}");

    let whole = std::fs::read(&path).expect("read");
    for length in [0, 7, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).expect("cut short");
        assert!(complaint(LstmConfig::new(3, 4)).contains("layer.bpk"));
    }
}
