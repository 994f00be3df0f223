//! The options that all scanned layers have.

use crate::engine::Engine;
use crate::error::ConfigError;
use bptt_kernels::Kernel;

/// The options of a stack, besides its parameters.
#[derive(Clone, Debug)]
pub(super) struct StackOptions {
    pub(super) num_layers: usize,
    pub(super) batch_first: bool,
    pub(super) bidirectional: bool,
    pub(super) reverse: bool,
    pub(super) engine: Engine,
    pub(super) kernel: Kernel,
}

impl StackOptions {
    pub(super) fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }
}

/// The error for an engine that scanned layers do not have.
pub(super) fn check_engine(name: &str, engine: Engine) -> Result<(), ConfigError> {
    match engine {
        Engine::Rtrl => Err(ConfigError::new(format!(
            "{name}: a layer that runs as a scan has no engine rtrl: expected manual or autograd"
        ))),
        _ => Ok(()),
    }
}
