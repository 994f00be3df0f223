//! Attention whose score is a setting.

use crate::attention::additive::AdditiveAttention;
use crate::attention::dot::DotAttention;
use crate::attention::keys::Keys;
use crate::attention::padding::masked_softmax;
use crate::draw::drawn;
use crate::error::ConfigError;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// How a query `q` scores a key `k`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Score {
    /// `vᵀ tanh(W_q q + W_k k + b)`, Bahdanau, Cho & Bengio (2015).
    #[default]
    Additive,
    /// `qᵀ W k`, Luong, Pham & Manning (2015).
    General,
    /// `qᵀ k / √Q`, Vaswani et al. (2017). Queries and keys have one size.
    ScaledDot,
}

/// Makes an [`Attention`].
#[derive(Config, Debug)]
#[non_exhaustive]
pub struct AttentionConfig {
    /// The size of a query, `Q`.
    pub d_query: usize,
    /// The size of a state to attend to, `K`: the `d_output` of the layer that made it.
    pub d_key: usize,
    /// How a query scores a key.
    #[config(default = "Score::Additive")]
    pub score: Score,
    /// How many units the additive score has, `A`; `None`: `Q`.
    pub d_attention: Option<usize>,
}

impl AttentionConfig {
    /// Makes the module.
    ///
    /// # Panics
    ///
    /// If the sizes do not fit the score; [`try_init`](Self::try_init) returns this as an error.
    pub fn init(&self, device: &Device) -> Attention {
        self.try_init(device).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the module.
    ///
    /// # Errors
    ///
    /// One line that says which size does not fit the score.
    pub fn try_init(&self, device: &Device) -> Result<Attention, ConfigError> {
        let Self { d_query, d_key, score, d_attention } = *self;
        let error = |message: String| Err(ConfigError::new(format!("attention: {message}")));
        let sizes =
            [("d_query", d_query), ("d_key", d_key), ("d_attention", d_attention.unwrap_or(1))];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return error(format!("{name} is 0, and has to be at least 1"));
        }
        if let (Some(size), Score::General | Score::ScaledDot) = (d_attention, score) {
            return error(format!(
                "d_attention is {size}, and only the additive score has such units"
            ));
        }
        if score == Score::ScaledDot && d_query != d_key {
            return error(format!(
                "the scaled dot-product needs queries and keys of one size, and d_query is {d_query} \
                 and d_key is {d_key}: expected equal sizes, or `Score::General`"
            ));
        }
        Ok(drawn(match score {
            Score::Additive => {
                let sizes = [d_query, d_key, d_attention.unwrap_or(d_query)];
                Attention::Additive(AdditiveAttention::new(sizes, device))
            }
            Score::General => Attention::Dot(DotAttention::general(d_query, d_key, device)),
            Score::ScaledDot => Attention::Dot(DotAttention::scaled(d_query)),
        }))
    }
}

/// Attention over the outputs of a recurrent layer. Made by [`AttentionConfig`].
///
/// Shapes: `B` batch, `Tq` queries of a row, `Tk` steps of the sequence that is attended to, `Q` size of a query, `K` size
/// of a state, `A` units of the additive score.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has one or two of them, and a module is no field of a box"
)]
pub enum Attention {
    /// [`Score::Additive`]
    Additive(AdditiveAttention),
    /// [`Score::General`], [`Score::ScaledDot`]
    Dot(DotAttention),
}

/// What attention returns.
#[derive(Clone, Debug)]
pub struct Attended {
    /// The weighted sums of the values, `[B, Tq, K]`; zeros for a row of length zero.
    pub context: Tensor<3>,
    /// The weights, `[B, Tq, Tk]`. They are zero at the padding, and sum to one over the rest.
    pub weights: Tensor<3>,
}

impl Attention {
    /// Prepares a batch of sequences to be attended to. Keys are projected here, once for a sequence and not for each
    /// query.
    ///
    /// # Arguments
    ///
    /// - `states`: `[B, Tk, K]`, the outputs of a recurrent layer, batch first
    /// - `lengths`: one for each row, `0 ..= Tk`; `None`: all rows have the full length
    ///
    /// # Panics
    ///
    /// If the lengths do not fit the states, or the states do not fit the module.
    pub fn keys(&self, states: Tensor<3>, lengths: Option<&[usize]>) -> Keys {
        Keys::new(states, lengths, |states| match self {
            Self::Additive(additive) => additive.key.forward(states),
            Self::Dot(dot) => match &dot.key {
                Some(key) => key.forward(states),
                None => states,
            },
        })
    }

    /// Attends to the keys with each query.
    ///
    /// # Arguments
    ///
    /// - `query`: `[B, Tq, Q]`
    /// - `keys`: made by [`keys`](Self::keys) for the same rows
    ///
    /// # Panics
    ///
    /// If the query has other rows than the keys, or another size than the module.
    pub fn forward(&self, query: Tensor<3>, keys: &Keys) -> Attended {
        check_query(&query, keys);
        let scores = match self {
            Self::Additive(additive) => additive.scores(query, keys),
            Self::Dot(dot) => dot.scores(query, keys),
        };
        let weights = masked_softmax(scores, keys.padding.as_ref());
        Attended { context: weights.clone().matmul(keys.values.clone()), weights }
    }

    /// The context of each query, `[B, Tq, K]`: that of [`forward`](Self::forward), to rounding. Dot products are computed by
    /// Burn's own attention, which does not keep the weights of a long sequence in memory where the backend has a kernel
    /// for it.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn context(&self, query: Tensor<3>, keys: &Keys) -> Tensor<3> {
        check_query(&query, keys);
        match self {
            Self::Additive(_) => self.forward(query, keys).context,
            Self::Dot(dot) => dot.context(query, keys),
        }
    }
}

fn check_query(query: &Tensor<3>, keys: &Keys) {
    let [rows, time] = keys.dims();
    assert!(
        query.dims()[0] == rows,
        "attention: the query has shape {:?} ([B, Tq, Q]), and the keys have {rows} rows of {time} \
         steps: expected B = {rows}",
        query.dims(),
    );
}
