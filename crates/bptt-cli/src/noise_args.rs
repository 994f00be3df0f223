//! The options of noise, which `bptt train` and `bptt bench` have.

use bptt::NoiseRates;
use clap::Args;

/// Noise inside of the recurrent layers while they are trained. Defaults are added to the help texts of `train`.
#[derive(Args, Clone, Copy, Debug)]
pub struct NoiseArgs {
    /// Zoneout: probability that a unit keeps its state of the step before; P,Q for hidden state and
    /// memory apart
    #[arg(long, value_name = "P")]
    pub zoneout: Option<NoiseRates>,
    /// Variational dropout, one mask for all steps of a sequence: of the layers' inputs and of the
    /// hidden state in recurrent products; P,Q for the two apart
    #[arg(long, value_name = "P")]
    pub variational_dropout: Option<NoiseRates>,
    /// Recurrent dropout without memory loss: probability of dropping a number of the candidate (lstm
    /// and gru)
    #[arg(long, value_name = "P")]
    pub recurrent_dropout: Option<f64>,
    /// Weight drop: probability of dropping a recurrent weight for a sequence
    #[arg(long, value_name = "P")]
    pub weight_drop: Option<f64>,
}
