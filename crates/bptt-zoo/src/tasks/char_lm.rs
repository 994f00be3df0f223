//! A character model: what comes next in a text?
//!
//! Character -> vector -> recurrent layers -> linear -> cross entropy, in nats per character. The
//! text is read in parallel streams, chunk after chunk; each stream's state is carried over to its
//! next chunk and detached, so that gradients go back to the chunk's beginning and memory further.

use crate::error::Error;
use crate::folder_files::{FolderInfo, TextInfo};
use crate::read::data_name;
use crate::settings::Settings;
use crate::tasks::parts::{cross_entropy, with_notes};
use crate::tasks::{Scores, SequenceModel, Task};
use crate::text::{Streams, Text};
use bptt::{AnyRecurrent, AnyState, Engine, RecurrentLayer};
use burn::Tensor;
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, TensorData};

/// Reads characters and says what comes next, as a score for each character of the vocabulary, `V`.
#[derive(Module, Debug)]
pub struct CharModel<R: Module> {
    /// `V -> E`
    pub embedding: Embedding,
    /// Any recurrent layer over inputs of size `E`.
    pub recurrent: R,
    /// `H -> V`
    pub head: Linear,
}

impl CharModel<AnyRecurrent> {
    /// A new model for some settings and a vocabulary of a size.
    ///
    /// # Errors
    ///
    /// If the settings do not make one.
    pub fn new(settings: &Settings, vocabulary: usize, device: &Device) -> Result<Self, Error> {
        let recurrent = settings.recurrent(settings.embedding, device)?;
        Ok(Self {
            embedding: EmbeddingConfig::new(vocabulary, settings.embedding).init(device),
            head: LinearConfig::new(recurrent.d_output(), vocabulary).init(device),
            recurrent,
        })
    }
}

impl<R: RecurrentLayer> CharModel<R> {
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
        let [batch, time] = input.dims();
        let (output, state) = self.recurrent.forward(self.embedding.forward(input), state);
        let output = output.reshape([batch * time, self.recurrent.d_output()]);
        (self.head.forward(output), state)
    }

    /// Scores for what comes after one more character in each row: `[B]` -> `[B, V]`.
    pub fn step(&self, input: Tensor<1, Int>, state: Option<R::State>) -> (Tensor<2>, R::State) {
        let batch = input.dims()[0];
        let vectors = self.embedding.forward(input.reshape([batch, 1]));
        let vectors = vectors.reshape([batch, self.recurrent.d_input()]);
        let (output, state) = self.recurrent.step(vectors, state);
        (self.head.forward(output), state)
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

impl SequenceModel for CharModel<AnyRecurrent> {
    fn with_engine(self, engine: Engine) -> Self {
        Self { recurrent: self.recurrent.with_engine(engine), ..self }
    }
}

/// The character model's task: a text.
#[derive(Clone, Debug)]
pub struct CharLm {
    settings: Settings,
    text: Text,
    train: Streams,
    valid: Streams,
}

impl CharLm {
    /// The task for some settings and a text, of which the first 90 % are trained on and the rest
    /// is validated on.
    ///
    /// # Errors
    ///
    /// If the text is shorter than a chunk.
    pub fn new(settings: &Settings, text: Text) -> Result<Self, Error> {
        let (train, valid) = text.split();
        let time = settings.time;
        let name = settings.text.as_deref().map_or("the shipped text", data_name);
        let too_short = || {
            // The training part, nine tenths of the text, has to hold a chunk and its last target.
            let needed = ((time + 1) * 10).div_ceil(9).max(11);
            Error::input(format!(
                "{name}: the text has {} characters, and --time {time} needs at least {needed}: \
                 take a longer text or a smaller --time",
                text.numbers.len(),
            ))
        };
        let streams = Streams::over(train.len(), settings.batch, time).ok_or_else(too_short)?;
        // A short validation part is one chunk of what there is.
        let valid_time = time.min(valid.len().saturating_sub(1)).max(1);
        let valid_streams =
            Streams::over(valid.len(), settings.batch, valid_time).ok_or_else(too_short)?;
        Ok(Self { settings: settings.clone(), train: streams, valid: valid_streams, text })
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

impl Task for CharLm {
    type Model = CharModel<AnyRecurrent>;

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        CharModel::new(&self.settings, self.text.vocabulary.len(), device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        let chunk = (step % self.train.chunks() as u64) as usize;
        // A pass begins where nothing was read before.
        let state = state.filter(|_| chunk > 0);
        let time = self.train.time;
        let read = self.train.read(self.text.split().0, chunk * time, time);
        let (input, target) = Self::tensors(&self.train, read, device);
        let (loss, state) = model.loss(input, target, state);
        (loss, Some(state))
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        let valid = self.text.split().1;
        let Streams { streams, stretch, time } = self.valid;
        let (mut sum, mut count, mut state) = (0.0, 0, None);
        for start in (0..stretch).step_by(time) {
            // The last chunk is as long as what is left.
            let time = time.min(stretch - start);
            let read = self.valid.read(valid, start, time);
            let (input, target) = Self::tensors(&self.valid, read, device);
            let (loss, next) = model.loss(input, target, state.take());
            sum += f64::from(loss.into_scalar::<f32>()) * (streams * time) as f64;
            count += streams * time;
            state = Some(next);
        }
        let loss = sum / count as f64;
        Scores { loss, metric: loss / std::f64::consts::LN_2 }
    }

    fn metric_name(&self) -> &'static str {
        "bits_per_character"
    }

    fn units(&self) -> (usize, &'static str) {
        (self.train.streams * self.train.time, "characters")
    }

    fn describe(&self) -> String {
        let line = format!(
            "{} characters, {} different; {} streams in chunks of {}; a pass is {} steps",
            self.text.numbers.len(),
            self.text.vocabulary.len(),
            self.train.streams,
            self.train.time,
            self.train.chunks(),
        );
        with_notes(line, &self.text.notes, self.settings.text.as_deref())
    }

    fn logarithmic(&self) -> bool {
        false
    }

    fn info(&self) -> FolderInfo {
        let text = TextInfo {
            characters: self.text.numbers.len(),
            fingerprint: format!("{:016x}", self.text.fingerprint),
            vocabulary: self.text.vocabulary.iter().collect(),
        };
        FolderInfo { text: Some(text), ..FolderInfo::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskKind;

    fn task(characters: usize, time: usize) -> Result<CharLm, Error> {
        let text = Text::parse(&vec![b'x'; characters], "t").unwrap();
        CharLm::new(&Settings { time, ..Settings::new(TaskKind::CharLm) }, text)
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
