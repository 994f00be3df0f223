//! The optimisers, all of them Burn's.

use crate::error::Error;
use crate::store::second_moments;
use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, AdjustLrFn, LambConfig,
    LionConfig, ModuleOptimizer, MuonConfig, Optimizer, RmsPropConfig, SgdConfig,
};
use serde::{Deserialize, Serialize};

/// Adam's decay of the mean of the gradient.
const BETA_1: f64 = 0.9;
/// Adam's decay of the mean of its square.
const BETA_2: f64 = 0.999;
/// Burn's default, 1e-5, is large compared with the gradients of long sequences.
const EPSILON: f64 = 1e-8;

/// How parameters follow their gradients. [`Settings::lr`](crate::Settings::lr) is the learning rate of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam: each parameter has a step size of its own.
    ///
    /// D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    #[default]
    Adam,
    /// Adam with decoupled weight decay.
    ///
    /// I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    AdamW,
    /// Gradient descent, plain or with momentum.
    Sgd,
    /// Adam without the mean of the gradient.
    ///
    /// T. Tieleman and G. Hinton, "Lecture 6.5: RMSProp", 2012.
    RmsProp,
    /// The matrices of the recurrent layers follow the nearest orthogonal matrix of their momentum; embeddings, the last
    /// layer and all vectors follow AdamW. The rate of the matrices is scaled so that one learning rate fits both.
    ///
    /// K. Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024; J. Liu and others, "Muon is scalable
    /// for LLM training", arXiv:2502.16982, 2025, for the scale.
    Muon,
    /// The sign of a momentum.
    ///
    /// X. Chen and others, "Symbolic discovery of optimization algorithms", NeurIPS 2023.
    Lion,
    /// Adam with a step size for each tensor, in proportion to its norm.
    ///
    /// Y. You and others, "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020.
    Lamb,
    /// Adam with Nesterov's momentum of the gradient's differences.
    ///
    /// X. Xie and others, "Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models", 2022.
    Adan,
    /// The sum of all squared gradients in place of their mean.
    ///
    /// J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods", Journal of Machine Learning Research 12 (2011).
    AdaGrad,
    /// Adam whose second moments are factored by rows and columns, without the mean of the gradient, and without a schedule
    /// of its own.
    ///
    /// N. Shazeer and M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML 2018.
    Adafactor,
}

impl OptimizerKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Adam,
        Self::AdamW,
        Self::Sgd,
        Self::RmsProp,
        Self::Muon,
        Self::Lion,
        Self::Lamb,
        Self::Adan,
        Self::AdaGrad,
        Self::Adafactor,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::AdamW => "adamw",
            Self::Sgd => "sgd",
            Self::RmsProp => "rmsprop",
            Self::Muon => "muon",
            Self::Lion => "lion",
            Self::Lamb => "lamb",
            Self::Adan => "adan",
            Self::AdaGrad => "adagrad",
            Self::Adafactor => "adafactor",
        }
    }

    /// The momentum of a run that gives none; `None`, if it has no such choice.
    pub(crate) fn usual_momentum(self) -> Option<f64> {
        match self {
            Self::Sgd | Self::RmsProp => Some(0.0),
            Self::Muon => Some(0.95),
            _ => None,
        }
    }

    /// The weight decay of a run that gives none.
    fn usual_decay(self) -> f64 {
        if self == Self::AdamW { 0.01 } else { 0.0 }
    }

    /// The optimiser of a run. Weight decay is for the matrices alone, by the field's custom: vectors such as biases have
    /// none.
    ///
    /// # Arguments
    ///
    /// - `momentum`, `decay`: `None` for the optimiser's own
    /// - `model`: its parameters have the ids that they will have in training
    pub(crate) fn init<M: Module>(
        self,
        momentum: Option<f64>,
        decay: Option<f64>,
        model: &M,
    ) -> ModuleOptimizer {
        let momentum = momentum.or(self.usual_momentum()).unwrap_or(0.0);
        let decay = decay.unwrap_or(self.usual_decay());
        let mut matrices = Matrices::default();
        model.visit(&mut matrices);
        let decayed = (matrices.all, decay);
        let [beta_1, beta_2, epsilon] = [BETA_1 as f32, BETA_2 as f32, EPSILON as f32];
        let penalty = |decay: f64| (decay > 0.0).then(|| WeightDecayConfig::new(decay as f32));
        let adamw = |decay: f64| {
            let config = AdamWConfig::new().with_beta_1(beta_1).with_beta_2(beta_2);
            config.with_epsilon(epsilon).with_weight_decay(decay as f32).build()
        };
        match self {
            Self::Adam => grouped(decayed, |decay| {
                let config = AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2);
                config.with_epsilon(epsilon).with_weight_decay(penalty(decay)).build()
            }),
            Self::AdamW => grouped(decayed, adamw),
            Self::Sgd => grouped(decayed, |decay| {
                let momentum = (momentum > 0.0).then_some(MomentumConfig {
                    momentum,
                    dampening: 0.0,
                    nesterov: false,
                });
                SgdConfig::new().with_weight_decay(penalty(decay)).with_momentum(momentum).build()
            }),
            Self::RmsProp => grouped(decayed, |decay| {
                let config = RmsPropConfig::new().with_momentum(momentum as f32);
                config.with_epsilon(epsilon).with_weight_decay(penalty(decay)).build()
            }),
            Self::Muon => {
                let momentum = MomentumConfig { momentum, dampening: 0.0, nesterov: true };
                let config = MuonConfig::new().with_momentum(momentum);
                let config = config.with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
                let muon = config.with_weight_decay(penalty(decay)).build();
                let hidden = ParamGroup::from_ids(matrices.hidden);
                grouped(decayed, adamw).with_group(hidden, muon, None)
            }
            Self::Lion => {
                grouped(decayed, |decay| LionConfig::new().with_weight_decay(decay as f32).build())
            }
            Self::Lamb => {
                grouped(decayed, |decay| LambConfig::new().with_weight_decay(decay as f32).build())
            }
            Self::Adan => {
                grouped(decayed, |decay| AdanConfig::new().with_weight_decay(decay as f32).build())
            }
            Self::AdaGrad => grouped(decayed, |decay| {
                let config = AdaGradConfig::new().with_epsilon(1e-10);
                config.with_weight_decay(penalty(decay)).build()
            }),
            Self::Adafactor => grouped(decayed, |decay| {
                let config = AdafactorConfig::new().with_relative_step(false);
                config.with_scale_parameter(false).with_weight_decay(decay as f32).build()
            }),
        }
    }

    /// Up to which sharpness it is stable on a quadratic: `2 / lr` for the Hessian with plain gradient descent, and for the
    /// preconditioned Hessian `(2 + 2 β₁) / ((1 - β₁) lr)` with Adam, `38 / lr`.
    ///
    /// J. Cohen, B. Ghorbani, S. Krishnan and others, "Adaptive gradient methods at the edge of stability",
    /// arXiv:2207.14484, 2022.
    pub(crate) fn bound(self, lr: f64) -> f64 {
        match self {
            Self::Adam | Self::AdamW => (2.0 + 2.0 * BETA_1) / ((1.0 - BETA_1) * lr),
            _ => 2.0 / lr,
        }
    }

    /// Adam's preconditioner after `t` steps, `(1 - β₁ᵗ) (√(v / (1 - β₂ᵗ)) + ε)`, a number for each parameter in the order
    /// of the module. Adam divides by it. `None` before the first step, and for all but Adam and AdamW.
    pub(crate) fn preconditioner(self, of: &ModuleOptimizer) -> Result<Option<Vec<f64>>, Error> {
        if !matches!(self, Self::Adam | Self::AdamW) {
            return Ok(None);
        }
        let moments = second_moments(of.to_record()).map_err(|why| {
            Error::input(format!("cannot read the state of the optimiser: {why}"))
        })?;
        Ok(moments.map(|(time, moments)| {
            let [first, second] = [BETA_1, BETA_2].map(|beta| 1.0 - beta.powf(time));
            moments.iter().map(|v| first * ((v / second).sqrt() + EPSILON)).collect()
        }))
    }
}

/// An optimiser of all parameters, of which some have weight decay.
fn grouped<O: Optimizer>(
    (decayed, decay): (Vec<ParamId>, f64),
    of: impl Fn(f64) -> O,
) -> ModuleOptimizer {
    let optimizer = ModuleOptimizer::from(of(0.0));
    match decay > 0.0 {
        true => optimizer.with_group(ParamGroup::from_ids(decayed), of(decay), None),
        false => optimizer,
    }
}

/// The parameters of a module that are matrices, or several matrices side by side.
#[derive(Default)]
struct Matrices {
    path: Vec<String>,
    all: Vec<ParamId>,
    /// Of these, single matrices that are neither an embedding nor the last layer.
    hidden: Vec<ParamId>,
}

impl ModuleVisitor for Matrices {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D < 2 {
            return;
        }
        self.all.push(param.id);
        let is_outer = self.path.iter().any(|name| name == "embedding" || name == "head");
        if D == 2 && !is_outer {
            self.hidden.push(param.id);
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::store::numbered;
    use bptt::{Lstm, LstmConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Model {
        recurrent: Lstm,
        head: Linear,
    }

    fn model(device: &Device) -> Model {
        device.seed(1);
        let recurrent = LstmConfig::new(1, 4).init(device);
        let head = LinearConfig::new(4, 2).init(device);
        numbered(Model { recurrent, head }.materialize())
    }

    /// Momentum and weight decay.
    type Options = (Option<f64>, Option<f64>);

    /// The values of the parameters after steps with the gradient 1 everywhere, and whether each is of a matrix.
    fn after(optimizer: OptimizerKind, options: Options, steps: usize) -> Vec<(Vec<f32>, bool)> {
        struct Collect(Vec<(Vec<f32>, bool)>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push((param.val().into_data().iter::<f32>().collect(), D > 1));
            }
        }
        struct Ones(GradientsParams);
        impl ModuleVisitor for Ones {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.register(param.id, param.val().inner().ones_like());
            }
        }
        let device = Device::flex().autodiff();
        let mut model = model(&device);
        let mut optim = optimizer.init(options.0, options.1, &model);
        for _ in 0..steps {
            let mut ones = Ones(GradientsParams::new());
            model.visit(&mut ones);
            model = optim.step(0.1, model, ones.0);
        }
        let mut collect = Collect(Vec::new());
        model.visit(&mut collect);
        collect.0
    }

    #[test]
    fn each_moves_all_parameters_and_weight_decay_only_the_matrices() {
        let [none, some] = [(None, Some(0.0)), (None, Some(0.5))];
        for kind in OptimizerKind::ALL {
            let before = after(kind, none, 0);
            let (plain, decayed) = (after(kind, none, 3), after(kind, some, 3));
            for ((before, plain), decayed) in before.iter().zip(&plain).zip(&decayed) {
                assert!(before != plain && plain.0.iter().all(|x| x.is_finite()), "{kind:?}");
                assert!(!before.1 || plain != decayed, "{kind:?}: no decay");
                assert!(before.1 || plain == decayed, "{kind:?}: a vector has decayed");
            }
        }
    }

    #[test]
    fn plain_and_heavy_steps_are_those_of_the_textbook() {
        let moved = |momentum: Option<f64>, steps| {
            let [before, after] =
                [0, steps].map(|steps| after(OptimizerKind::Sgd, (momentum, None), steps));
            f64::from(before[0].0[0]) - f64::from(after[0].0[0])
        };
        assert!((moved(None, 3) - 0.3).abs() < 1e-6);
        // Velocities 1, 1.5 and 1.75.
        assert!((moved(Some(0.5), 3) - 0.425).abs() < 1e-6);
    }

    #[test]
    fn decoupled_decay_shrinks_by_the_rate_and_muon_leaves_the_ends_to_adamw() {
        let device = Device::flex().autodiff();
        let mut matrices = Matrices::default();
        model(&device).visit(&mut matrices);
        // Two weights of the recurrent layer, and the last layer's.
        assert_eq!((matrices.all.len(), matrices.hidden.len()), (3, 2));
        let [none, some] =
            [Some(0.0), Some(0.5)].map(|d| after(OptimizerKind::AdamW, (None, d), 1));
        let before = after(OptimizerKind::AdamW, (None, None), 0);
        for ((none, some), before) in none.iter().zip(&some).zip(&before).filter(|(_, w)| w.1) {
            for ((none, some), before) in none.0.iter().zip(&some.0).zip(&before.0) {
                assert!((none - some - 0.1 * 0.5 * before).abs() < 1e-6, "{none} {some} {before}");
            }
        }
        // The last layer and the biases move as with AdamW, the recurrent matrices do not.
        let [adamw, muon] =
            [OptimizerKind::AdamW, OptimizerKind::Muon].map(|k| after(k, (None, Some(0.0)), 1));
        let same: Vec<bool> = adamw.iter().zip(&muon).map(|(a, b)| a == b).collect();
        assert_eq!(same.iter().filter(|same| !**same).count(), 2, "{same:?}");
    }
}
