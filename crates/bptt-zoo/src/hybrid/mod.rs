//! A hybrid of linear recurrences and local attention, as Griffin is built.
//!
//! ```text
//! x ← x + mix(norm(x))        mix: RG-LRU in two blocks of three, local attention in the third
//! x ← x + mlp(norm(x))
//! ```
//!
//! The recurrences carry what is far away, in a state of a fixed size. The attention looks up what is near, in the last
//! `N` steps, its window. So a stream needs a state of a fixed size ([`Hybrid::step`]), and no step is as long as the text.
//!
//! S. De et al., "Griffin: mixing gated linear recurrences with local attention for efficient language models", 2024,
//! section 2. There, the RG-LRU is wider than the model by a third; here both have one width, and its gates read all units
//! and not a block of them.

mod attention;
mod block;
mod config;
mod conv;
mod mlp;
mod recurrent;
mod stack;

pub use attention::LocalAttention;
pub use block::{HybridBlock, TemporalMix};
pub use config::HybridConfig;
pub use conv::CausalConv;
pub use mlp::GatedMlp;
pub use recurrent::RecurrentMix;
pub use stack::Hybrid;
