//! A whole model's loss, its gradient and its exact Hessian-vector products: recurrent layers, a linear layer that
//! reads them, and the mean squared error or the cross entropy.
//!
//! The recurrent layers have
//! [`hessian_vector_product`](crate::curvature::hessian_vector_product). The linear layer and the loss are written here in dual numbers,
//! forward and backward, so the products are as exact as the gradient. With an embedding before the layers this covers
//! every model of the zoo.
//!
//! All parameters are one vector, in the order of the module: the embedding, the weights of each layer and direction,
//! the weight and the bias of the linear layer.

mod data;
mod loss;
mod model;
mod parameters;

pub use data::{Batch, Input, Reads, Target};
pub use model::{Derivatives, Readout};
pub use parameters::{Block, Filters};
