//! The first values of the parameters, by name: those of input weights, recurrent weights and biases apart.

pub(crate) mod bias;
mod name;
mod orthogonal;
mod spectral_radius;
pub(crate) mod weight;
