//! What is asked for: the tensors that go in and come out, the plan of a layer, what of a long
//! sequence is kept. It knows nobody else of this crate.

pub(crate) mod any_tensor;
pub(crate) mod operands;
pub(crate) mod plan;
pub(crate) mod schedule;
pub(crate) mod weight_cache;
