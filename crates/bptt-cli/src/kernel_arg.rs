//! The manual engine's kernels, as the command line names them.

use bptt::Kernel;
use clap::ValueEnum;

/// A kernel of the manual engine.
#[derive(Clone, Copy, ValueEnum)]
pub enum KernelArg {
    /// The fastest that the device has
    Auto,
    /// The reference body in tensor operations
    Reference,
    /// On a GPU, one launch for each step
    Steps,
    /// On a GPU, one launch for the whole sequence
    Rows,
}

impl From<KernelArg> for Kernel {
    fn from(kernel: KernelArg) -> Self {
        match kernel {
            KernelArg::Auto => Self::Auto,
            KernelArg::Reference => Self::Reference,
            KernelArg::Steps => Self::Steps,
            KernelArg::Rows => Self::Rows,
        }
    }
}
