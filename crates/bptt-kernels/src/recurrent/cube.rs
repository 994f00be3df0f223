//! The CubeCL backends, with and without fusion: they run the reference body.

use crate::recurrent::dispatch::differentiated;
use burn::backend::Cube;

differentiated!(Cube);
