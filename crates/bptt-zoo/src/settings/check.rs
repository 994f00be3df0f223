//! What settings of the recurrent layers make no sense together.

use super::{Settings, input};
use crate::error::Error;
use bptt::{BiasInitializer, Engine, Kernel, SequenceCell, WeightInitializer};
use bptt_probe::device;

impl Settings {
    /// Checks that the engine and the device have the kernel.
    pub(super) fn check_kernel(&self) -> Result<(), Error> {
        let name = self.kernel.name();
        if self.kernel != Kernel::Auto && self.engine != Engine::Manual {
            return input(format!(
                "--kernel {name}: --engine {} has no kernels to choose from; leave it out, or take --engine manual",
                self.engine.name(),
            ));
        }
        device::check_kernel(&self.device, self.kernel)
            .or_else(|why| input(format!("--kernel {name}: {why}")))
    }

    /// Checks that the cell can have so many heads.
    pub(super) fn check_heads(&self) -> Result<(), Error> {
        let Self { heads, hidden, cell, .. } = self;
        let layout = cell.cell().map(|cell| cell.default_cell().layout());
        if *heads > 1 && !layout.is_some_and(|layout| layout.has_recurrent_weights()) {
            return input(format!(
                "--heads {heads}: {} has no recurrent matrix, leave it out",
                cell.name()
            ));
        }
        match *heads > 0 && hidden % heads == 0 {
            true => Ok(()),
            false => input(format!("--heads {heads}: has to divide --hidden {hidden}")),
        }
    }

    /// Checks that the cell can have its initialisers.
    pub(super) fn check_initializers(&self) -> Result<(), Error> {
        let Self { init, recurrent_init, bias_init, .. } = self;
        let Some(cell) = self.cell.cell() else { return self.check_scanned() };
        let checks = [
            ("init", init.to_string(), init.check_input()),
            ("recurrent-init", recurrent_init.to_string(), recurrent_init.check_recurrent(false)),
            ("bias-init", bias_init.to_string(), bias_init.check(&cell.default_cell())),
        ];
        checks.into_iter().try_for_each(|(flag, value, check)| {
            check.or_else(|why| input(format!("--{flag} {value}: {why}")))
        })
    }

    /// Checks the settings that a layer which runs as a scan does not have.
    fn check_scanned(&self) -> Result<(), Error> {
        let name = self.cell.name();
        if self.engine == Engine::Rtrl {
            return input(format!("--engine rtrl: {name} runs as a scan, take manual or autograd"));
        }
        let usual = WeightInitializer::Torch;
        let others = [
            ("init", self.init.to_string(), self.init == usual),
            ("recurrent-init", self.recurrent_init.to_string(), self.recurrent_init == usual),
            ("bias-init", self.bias_init.to_string(), self.bias_init == BiasInitializer::Torch),
        ];
        match others.iter().find(|(.., is_usual)| !is_usual) {
            Some((flag, value, _)) => input(format!(
                "--{flag} {value}: {name} runs as a scan, and has first values of its own; leave the option out"
            )),
            None => Ok(()),
        }
    }
}
