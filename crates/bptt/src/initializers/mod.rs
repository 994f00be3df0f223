//! The first values of the parameters, by name: those of input weights, recurrent weights and biases apart.

pub(crate) mod bias;
pub(crate) mod diagonal;
mod name;
mod orthogonal;
mod spectral_radius;
pub(crate) mod weight;
