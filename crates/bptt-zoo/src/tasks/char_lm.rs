//! A character model: which character comes next in a text?
//!
//! Character -> vector -> recurrent layers -> linear -> cross entropy, in nats per character. In place of characters there
//! may be other tokens ([`Tokenizer`](crate::Tokenizer)). The text is read in
//! parallel streams, chunk after chunk. The state of each stream is carried to its next chunk and detached. So
//! gradients go back to the beginning of the chunk only, but the state has information from before it.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::option::{LONGEST, TaskOption};
use crate::random::{Purpose, generator};
use crate::read::data_name;
use crate::settings::Settings;
use crate::stream_layer::StreamLayer;
use crate::task::{Scores, SequenceSize, Task};
use crate::tasks::char_lm_options::{CharLmOptions, ModelKind, check_model, check_tokenizer};
use crate::tasks::corpus::Corpus;
use crate::tasks::parts::{
    cross_entropy, readout, sequence_model, smoothed_cross_entropy, with_notes,
};
use crate::text::{Streams, Text};
use crate::tokenizer::TokenizerKind;
use bptt::{AnyCell, AnyLayer, AnyState, RecurrentState};
use bptt_probe::readout::{Batch, Input, Readout, Reads, Target};
use burn::Tensor;
use burn::module::Module;
use burn::nn::{DropoutConfig, Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::module::embedding;
use burn::tensor::{Device, Int, TensorData};
use rand::RngExt;
use std::path::Path;

/// Reads characters and predicts the next one: a score for each character of the vocabulary, `V`.
#[derive(Module, Debug)]
pub struct CharModel<R: Module> {
    /// `V -> E`; `None`: it is tied, and the vectors are the columns of the head's weight.
    pub embedding: Option<Embedding>,
    /// Any recurrent layer, or a [`Hybrid`](crate::Hybrid), over inputs of size `E`.
    pub recurrent: R,
    /// `H -> V`
    pub head: Linear,
}

impl CharModel<AnyLayer> {
    /// Makes a model of recurrent layers for these settings and a vocabulary of this size.
    ///
    /// # Errors
    ///
    /// If the settings do not make such a model.
    pub fn new(settings: &Settings, vocabulary: usize, device: &Device) -> Result<Self, Error> {
        let options: CharLmOptions = settings.options()?;
        if options.model != ModelKind::Recurrent {
            return Err(Error::input("--model hybrid: expected a model of recurrent layers"));
        }
        let recurrent = settings.layer_config(options.embedding).try_init(device);
        let recurrent = recurrent.map_err(|error| Error::input(error.to_string()))?;
        Ok(char_model(recurrent, &options, vocabulary, device))
    }
}

/// A model around these layers.
pub(crate) fn char_model<R: StreamLayer>(
    layers: R,
    options: &CharLmOptions,
    vocabulary: usize,
    device: &Device,
) -> CharModel<R> {
    let table = || EmbeddingConfig::new(vocabulary, options.embedding).init(device);
    CharModel {
        embedding: (!options.tie_embeddings).then(table),
        head: LinearConfig::new(layers.output_size(), vocabulary).init(device),
        recurrent: layers,
    }
}

impl<R: StreamLayer> CharModel<R> {
    /// Scores for the character after each one.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T]`
    /// - `state`: the state after the chunk before
    ///
    /// # Returns
    ///
    /// - the scores, `[B·T, V]`
    /// - the state after the chunk
    pub fn forward(&self, input: Tensor<2, Int>, state: Option<R::State>) -> (Tensor<2>, R::State) {
        let (output, state) = self.outputs(input, state);
        (self.head.forward(output), state)
    }

    /// What the head reads, `[B·T, H]`, and the state after the chunk.
    fn outputs(&self, input: Tensor<2, Int>, state: Option<R::State>) -> (Tensor<2>, R::State) {
        let [batch, time] = input.dims();
        let vectors = self.vectors(input);
        // The recurrent layers may have another type than the rest.
        let outer = vectors.dtype();
        let (output, state) =
            self.recurrent.chunk(vectors.cast(self.recurrent.parameter_dtype()), state);
        (output.reshape([batch * time, self.recurrent.output_size()]).cast(outer), state)
    }

    /// Reads one more character in each row and scores the next one: `[B]` -> `[B, V]`.
    pub fn step(&self, input: Tensor<1, Int>, state: Option<R::State>) -> (Tensor<2>, R::State) {
        let batch = input.dims()[0];
        let vectors = self.vectors(input.reshape([batch, 1]));
        let vectors = vectors.reshape([batch, self.recurrent.input_size()]);
        let outer = vectors.dtype();
        let (output, state) =
            self.recurrent.one_step(vectors.cast(self.recurrent.parameter_dtype()), state);
        (self.head.forward(output.cast(outer)), state)
    }

    /// The vectors of characters: `[B, T]` -> `[B, T, E]`.
    fn vectors(&self, input: Tensor<2, Int>) -> Tensor<3> {
        match &self.embedding {
            Some(table) => table.forward(input),
            None => embedding(self.head.weight.val().transpose(), input),
        }
    }

    /// The mean cross entropy in nats per character, and the state after the chunk.
    ///
    /// # Arguments
    ///
    /// - `input`, `target`: `[B, T]`
    /// - `state`: the state after the chunk before
    pub fn loss(
        &self,
        input: Tensor<2, Int>,
        target: Tensor<2, Int>,
        state: Option<R::State>,
    ) -> (Tensor<1>, R::State) {
        let [batch, time] = target.dims();
        let (scores, state) = self.forward(input, state);
        (cross_entropy(scores, target.reshape([batch * time])).mean(), state)
    }
}

sequence_model!(CharModel, |model, input| match input {
    Input::Tokens(tokens) => Some(model.vectors(tokens.clone())),
    Input::Values(_) => None,
});

/// The character model's task: a text.
#[derive(Clone, Debug)]
pub struct CharLm {
    pub(crate) settings: Settings,
    options: CharLmOptions,
    corpus: Corpus,
    train: Streams,
    valid: Streams,
}

impl CharLm {
    /// Makes the task for these settings and a text. The first 90 % of the text is for training, the rest is for
    /// validation.
    ///
    /// # Errors
    ///
    /// If the text is shorter than a chunk.
    pub fn with_text(settings: &Settings, text: Text) -> Result<Self, Error> {
        let options: CharLmOptions = settings.options()?;
        let corpus = Corpus::new(options.tokenizer, options.vocab_size, text)?;
        let (train, valid) = corpus.split();
        let time = options.time;
        let streams = Streams::over(train.len(), settings.batch, time);
        // If the validation part is short, it is one chunk, which is shorter than the others.
        let valid_time = time.min(valid.len().saturating_sub(1)).max(1);
        let valid_streams = Streams::over(valid.len(), settings.batch, valid_time);
        let (Some(train), Some(valid)) = (streams, valid_streams) else {
            return Err(too_short(&options, &corpus));
        };
        Ok(Self { settings: settings.clone(), options, train, valid, corpus })
    }

    fn tensors(
        streams: &Streams,
        (input, target): (Vec<i32>, Vec<i32>),
        device: &Device,
    ) -> (Tensor<2, Int>, Tensor<2, Int>) {
        let tensor = |numbers: Vec<i32>| {
            let time = numbers.len() / streams.streams;
            Tensor::from_data(TensorData::new(numbers, [streams.streams, time]), device)
        };
        (tensor(input), tensor(target))
    }
}

/// What is said of a text that is too short.
fn too_short(options: &CharLmOptions, corpus: &Corpus) -> Error {
    let time = options.time;
    let name = options.text.as_deref().map_or("the shipped text", data_name);
    let (train, valid) = corpus.split();
    if options.tokenizer != TokenizerKind::Chars {
        let unit = corpus.unit();
        return Error::input(format!(
            "{name}: its first nine tenths have {} {unit}, the rest {}, and --time {time} needs {} and 2: take a longer \
             text, a smaller --time or --tokenizer chars",
            train.len(),
            valid.len(),
            time + 1,
        ));
    }
    // The training part is nine tenths of the text. It must have at least one chunk and the target of its last
    // character.
    let needed = ((time + 1) * 10).div_ceil(9).max(11);
    Error::input(format!(
        "{name}: the text has {} characters, and --time {time} needs at least {needed}: take a longer text or a \
         smaller --time",
        train.len() + valid.len(),
    ))
}

impl CharLm {
    /// How many tokens are in the vocabulary.
    pub(crate) fn vocabulary(&self) -> usize {
        self.corpus.tokenizer.size()
    }

    /// [`Task::loss`], of any model.
    pub(crate) fn loss_of<R: StreamLayer<State = AnyState>>(
        &self,
        model: &CharModel<R>,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        let chunk = (step % self.train.chunks() as u64) as usize;
        // At the beginning of the text there is no state.
        let state = state.filter(|_| chunk > 0);
        let (input, target) = self.train_chunk(chunk, device);
        let (output, state) = model.outputs(input, state);
        let scores = model.head.forward(self.dropped(output, step, device));
        let target = target.flatten(0, 1);
        let smoothing = self.settings.recipe.label_smoothing;
        (smoothed_cross_entropy(scores, target, smoothing).mean(), Some(state))
    }

    /// What the head reads in a training step, of `[B·T, H]` outputs. The numbers that are dropped depend on the step alone, so
    /// that a resumed run drops the same ones.
    fn dropped(&self, output: Tensor<2>, step: u64, device: &Device) -> Tensor<2> {
        let share = self.options.output_dropout;
        if share == 0.0 {
            return output;
        }
        device.seed(generator(self.settings.seed, Purpose::OutputDropout, step).random());
        DropoutConfig::new(share).init().forward(output)
    }

    /// [`Task::validate`], of any model.
    pub(crate) fn scores_of<R: StreamLayer>(
        &self,
        model: &CharModel<R>,
        device: &Device,
    ) -> Scores {
        let (mut sum, mut count, mut state) = (0.0, 0, None);
        for (input, target) in self.valid_chunks(device) {
            let tokens = target.shape().num_elements();
            let (loss, next) = model.loss(input, target, state.take());
            sum += f64::from(loss.into_scalar::<f32>()) * tokens as f64;
            count += tokens;
            state = Some(next);
        }
        let loss = sum / count as f64;
        Scores { loss, metric: loss / std::f64::consts::LN_2 * self.tokens_per_character() }
    }

    /// How many tokens of the validation there are for each of its characters. The first token is never a target.
    fn tokens_per_character(&self) -> f64 {
        if self.options.tokenizer == TokenizerKind::Chars {
            return 1.0;
        }
        let targets = self.valid.streams * self.valid.length;
        let (characters, _) = self.corpus.tokenizer.lengths(&self.corpus.split().1[1..=targets]);
        targets as f64 / characters.max(1) as f64
    }

    /// A chunk of the training text: characters and the characters after them.
    fn train_chunk(&self, chunk: usize, device: &Device) -> (Tensor<2, Int>, Tensor<2, Int>) {
        let time = self.train.time;
        let read = self.train.read(self.corpus.split().0, chunk * time, time);
        Self::tensors(&self.train, read, device)
    }

    /// The chunks of the validation text: characters and the characters after them.
    fn valid_chunks(
        &self,
        device: &Device,
    ) -> impl Iterator<Item = (Tensor<2, Int>, Tensor<2, Int>)> {
        let valid = self.corpus.split().1;
        let Streams { length, time, .. } = self.valid;
        (0..length).step_by(time).map(move |start| {
            // The last chunk has the characters that are left.
            let time = time.min(length - start);
            Self::tensors(&self.valid, self.valid.read(valid, start, time), device)
        })
    }
}

impl Task for CharLm {
    const NAME: &'static str = "char-lm";
    const ABOUT: &'static str = "Predict the next character of a text";
    const LOSS: &'static str = "nats per character";
    const METRIC: &'static str = "bits_per_character";
    const LEARNS_LABELS: bool = true;
    const OPTIONS: &'static [TaskOption] = &[
        TaskOption::size(
            "time",
            "T",
            "characters in a chunk, how far gradients go back",
            1,
            LONGEST,
        ),
        TaskOption::size("embedding", "E", "size of a character's vector", 1, 1 << 16),
        TaskOption::file(
            "text",
            "a UTF-8 text (`-`: standard input) [default: a text about back-propagation through time \
             that comes with bptt]",
        ),
        TaskOption::choice(
            "model",
            "NAME",
            "what reads the characters: recurrent, layers of --cell; or hybrid, blocks of RG-LRU and \
             local attention, 3 of them unless --layers says otherwise, of the width --hidden",
            &["recurrent", "hybrid"],
        ),
        TaskOption::size(
            "window",
            "N",
            "steps that the attention of --model hybrid reaches [default: 64]",
            2,
            LONGEST,
        ),
        TaskOption::choice(
            "tokenizer",
            "NAME",
            "what a token is: chars, the characters that occur; bytes; words, the frequent ones, and else bytes; or bpe, \
             parts of words by byte pair encoding",
            &["chars", "bytes", "words", "bpe"],
        ),
        TaskOption::size(
            "vocab_size",
            "N",
            "how many tokens words and bpe have at most, 256 bytes among them [default: 4096 for words, 1024 for bpe]",
            257,
            1 << 17,
        ),
        TaskOption::switch(
            "tie_embeddings",
            "one matrix for the characters' vectors and for the last layer; needs --embedding and --hidden of one size",
        ),
        TaskOption::probability(
            "output_dropout",
            "probability of dropping an output of the recurrent layers while training [default: 0]",
        ),
    ];
    const ONE_DIRECTION: Option<&'static str> =
        Some("the backward direction would read the characters that are to be said");
    const LOGARITHMIC: bool = false;

    type Options = CharLmOptions;
    type Model = CharModel<AnyLayer>;

    fn defaults() -> Settings {
        let common = Settings::new(Self::NAME, &CharLmOptions::default());
        let sizes = Settings { hidden: 128, batch: 32, ..common };
        Settings { lr: 4e-3, steps: Some(2000), validate_every: 500, ..sizes }
    }

    fn adapted(mut settings: Settings) -> Settings {
        // With fewer blocks there is no attention.
        if settings.options::<CharLmOptions>().is_ok_and(|given| given.model == ModelKind::Hybrid) {
            settings.layers = 3;
        }
        settings
    }

    fn check(settings: &Settings, options: &CharLmOptions) -> Result<(), Error> {
        check_tokenizer(options)?;
        check_model(settings, &Self::defaults(), options)
    }

    fn loss_name(options: &CharLmOptions) -> &'static str {
        match options.tokenizer {
            TokenizerKind::Chars => Self::LOSS,
            TokenizerKind::Bytes => "nats per byte",
            TokenizerKind::Words | TokenizerKind::Bpe => "nats per token",
        }
    }

    fn model_name(options: &CharLmOptions) -> Option<&'static str> {
        (options.model == ModelKind::Hybrid).then_some("hybrid")
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let CharLmOptions { text, .. } = settings.options()?;
        Self::with_text(settings, Text::load(text.as_deref().map(Path::new))?)
    }

    fn sequence_size(options: &CharLmOptions) -> SequenceSize {
        // The input is the vector of a character, and is trained.
        SequenceSize { time: options.time, input: options.embedding, input_has_gradients: true }
    }

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        CharModel::new(&self.settings, self.vocabulary(), device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        self.loss_of(model, step, state, device)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        self.scores_of(model, device)
    }

    /// Each chunk begins with the state in which the model left the chunk before, as in the validation. These states are
    /// constants, as in training.
    fn readout(
        &self,
        model: &Self::Model,
        device: &Device,
    ) -> Option<(Readout<AnyCell>, Vec<Batch>)> {
        // A tied matrix would count twice among the parameters.
        let embedding = Some(model.embedding.as_ref()?.weight.val());
        let mut state: Option<AnyState> = None;
        let mut batches = Vec::new();
        for (input, target) in self.valid_chunks(device) {
            let (_, next) = model.forward(input.clone(), state.clone());
            let [streams, time] = target.dims();
            let target = Target::Classes(target.reshape([streams * time]));
            let (hidden, memory) = state.map(RecurrentState::into_parts).unzip();
            let share = time as f64 / self.valid.length as f64;
            let batch = Batch::new(Input::Tokens(input), target);
            batches.push(Batch { hidden, memory: memory.flatten(), share, ..batch });
            state = Some(next);
        }
        let read = readout(&model.recurrent, &model.head, Reads::EveryStep)?;
        Some((Readout { embedding, ..read }, batches))
    }

    fn training_batch(&self, device: &Device) -> Option<Batch> {
        let (input, target) = self.train_chunk(0, device);
        let [streams, time] = target.dims();
        let target = Target::Classes(target.reshape([streams * time]));
        Some(Batch::new(Input::Tokens(input), target))
    }

    fn units(&self) -> (usize, &'static str) {
        (self.train.streams * self.train.time, self.corpus.unit())
    }

    fn describe(&self) -> String {
        let line = format!(
            "{}; {} streams in chunks of {}; a pass is {} steps",
            self.corpus.describe(),
            self.train.streams,
            self.train.time,
            self.train.chunks(),
        );
        with_notes(line, &self.corpus.notes, self.options.text.as_deref())
    }

    fn info(&self) -> FolderInfo {
        FolderInfo { text: Some(self.corpus.info()), ..FolderInfo::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(characters: usize, time: usize) -> Result<CharLm, Error> {
        let text = Text::parse(&vec![b'x'; characters], "t").unwrap();
        CharLm::with_text(&CharLm::defaults().with_option("time", time), text)
    }

    #[test]
    fn the_shortest_text_that_a_message_asks_for_is_enough() {
        for time in [1, 7, 8, 9, 64, 100] {
            let needed = (1..1000).find(|&characters| task(characters, time).is_ok()).unwrap();
            let message = task(needed - 1, time).unwrap_err().to_string();
            let asked = format!(
                "has {} characters, and --time {time} needs at least {needed}:",
                needed - 1
            );
            assert!(message.contains(&asked), "{message}; {needed} are enough");
        }
    }
}
