//! The options of `bptt train` that say how a model is trained.

use bptt_zoo::{Average, OptimizerKind, Recipe, Schedule};
use clap::{Args, ValueEnum};

/// How a model is trained. Defaults are added to the help texts.
#[derive(Args, Clone, Debug)]
pub struct RecipeArgs {
    /// How the parameters follow their gradients
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerArg>,
    /// Share of the last step in the next one, for sgd, rmsprop and muon [default: 0; muon 0.95]
    #[arg(long, value_name = "X")]
    momentum: Option<f64>,
    /// Weight decay of the matrices, not of vectors such as biases: decoupled for adamw, muon, lion, adan
    /// and adafactor, for the others in the gradient [default: 0; adamw 0.01]
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// How the learning rate changes: constant, linear, cosine, exponential, one-cycle, noam, step:N[:FACTOR],
    /// times 0.1 every N steps, or plateau:N[:FACTOR], halved after N validations without a lower loss
    #[arg(long, value_name = "NAME")]
    schedule: Option<Schedule>,
    /// Steps in which the learning rate rises to --lr
    #[arg(long, value_name = "N")]
    warmup: Option<u64>,
    /// Learning rate at the end, for linear, cosine, exponential and one-cycle [default: 0; exponential a
    /// hundredth of --lr, one-cycle 4e-6 of it]
    #[arg(long, value_name = "X")]
    final_lr: Option<f64>,
    /// Steps until the learning rate is there, the warm-up included [default: --steps of the first start]
    #[arg(long, value_name = "N")]
    pub schedule_steps: Option<u64>,
    /// End the run after N validations without a lower loss [default: never]
    #[arg(long, value_name = "N")]
    patience: Option<u64>,
    /// Batches whose gradients are averaged for one step
    #[arg(long, value_name = "N")]
    accumulate: Option<u64>,
    /// Share of the right label that is given to all labels alike in the training loss, for tasks that learn
    /// labels
    #[arg(long, value_name = "X")]
    label_smoothing: Option<f64>,
    /// Validate and keep an average of the weights: ema:DECAY, as in ema:0.999, or swa:STEP, the mean of all
    /// weights from this step on
    #[arg(long, value_name = "NAME")]
    average: Option<Average>,
}

impl RecipeArgs {
    /// The recipe with the given options.
    pub fn put(&self, recipe: &mut Recipe) {
        let Self { momentum, weight_decay, final_lr, schedule_steps, patience, .. } = *self;
        recipe.momentum = momentum.or(recipe.momentum);
        recipe.weight_decay = weight_decay.or(recipe.weight_decay);
        recipe.final_lr = final_lr.or(recipe.final_lr);
        recipe.schedule_steps = schedule_steps.or(recipe.schedule_steps);
        recipe.patience = patience.or(recipe.patience);
        recipe.schedule = self.schedule.unwrap_or(recipe.schedule);
        recipe.warmup = self.warmup.unwrap_or(recipe.warmup);
        recipe.accumulate = self.accumulate.unwrap_or(recipe.accumulate);
        recipe.label_smoothing = self.label_smoothing.unwrap_or(recipe.label_smoothing);
        recipe.average = self.average.unwrap_or(recipe.average);
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OptimizerArg {
    /// Each parameter has a step size of its own
    Adam,
    /// Adam with decoupled weight decay
    #[value(name = "adamw")]
    AdamW,
    /// Gradient descent, plain or with --momentum
    Sgd,
    /// Adam without the mean of the gradient
    #[value(name = "rmsprop")]
    RmsProp,
    /// Orthogonal steps for the recurrent layers' matrices, adamw for the rest
    Muon,
    /// The sign of a momentum: takes a smaller --lr
    Lion,
    /// Adam with a step size for each tensor
    Lamb,
    /// Adam with Nesterov's momentum
    Adan,
    /// The sum of all squared gradients in place of their mean
    #[value(name = "adagrad")]
    AdaGrad,
    /// Adam with second moments by rows and columns
    Adafactor,
}

impl From<OptimizerArg> for OptimizerKind {
    fn from(arg: OptimizerArg) -> Self {
        match arg {
            OptimizerArg::Adam => Self::Adam,
            OptimizerArg::AdamW => Self::AdamW,
            OptimizerArg::Sgd => Self::Sgd,
            OptimizerArg::RmsProp => Self::RmsProp,
            OptimizerArg::Muon => Self::Muon,
            OptimizerArg::Lion => Self::Lion,
            OptimizerArg::Lamb => Self::Lamb,
            OptimizerArg::Adan => Self::Adan,
            OptimizerArg::AdaGrad => Self::AdaGrad,
            OptimizerArg::Adafactor => Self::Adafactor,
        }
    }
}
