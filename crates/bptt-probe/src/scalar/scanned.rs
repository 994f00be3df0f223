//! Layers that run as a scan, step by step: their equations from the papers, and not the coefficients that the engines
//! compute. The chapter "Cells" has them.

use crate::problem::LayerOptions;
use crate::scalar::layer::{RowState, ScalarLayer, ScalarPart, Values};
use crate::scalar::noise::{Noise, StepNoise};
use crate::scalar::number::Scalar;
use crate::scalar::step::dot;
use bptt::cells::{Rectify, State};
use bptt::scanned::ScannedKind;

/// A layer of this kind.
pub(super) struct ScanLayer<N> {
    kind: ScannedKind,
    /// What is done with a candidate.
    candidate: fn(N) -> N,
}

impl<N: Scalar> ScanLayer<N> {
    /// For numbers without an order.
    pub(super) fn analytic(kind: ScannedKind) -> Self {
        Self { kind, candidate: |x| x }
    }
}

impl<N: Scalar + Rectify> ScanLayer<N> {
    /// For numbers with an order. The candidate may be made positive: `x + 1/2` for `x ≥ 0`, and `σ(x)` below.
    pub(super) fn real(kind: ScannedKind, log_space: bool) -> Self {
        let positive = |x: N| x.relu() + (-(-x).relu()).sigmoid();
        Self { kind, candidate: if log_space { positive } else { |x| x } }
    }
}

impl<N: Scalar> ScalarLayer<N> for ScanLayer<N> {
    fn memories(&self) -> usize {
        0
    }

    fn part<'a>(
        &'a self,
        options: &LayerOptions,
        given: &'a Values<N>,
        suffix: &str,
        _: &Noise,
    ) -> Box<dyn ScalarPart<N> + 'a> {
        let given = |name: &str| given.get(&format!("{name}{suffix}")).map(Vec::as_slice);
        match self.kind.is_complex() {
            true => Box::new(Diagonal::of(self.kind, options.hidden_size, given)),
            false => Box::new(Gated {
                layer: self,
                hidden: options.hidden_size,
                weight_in: given("weight_in"),
                weight_ih: given("weight_ih").expect("a weight of each gated layer"),
                bias_ih: given("bias_ih"),
                // c softplus(Λ) = -8 log σ(-Λ)
                decay: given("lambda")
                    .into_iter()
                    .flatten()
                    .map(|lambda| N::constant(-8.0) * (-lambda.clone()).log_sigmoid())
                    .collect(),
            }),
        }
    }
}

/// minGRU, minLSTM and RG-LRU.
struct Gated<'a, N> {
    layer: &'a ScanLayer<N>,
    hidden: usize,
    /// Of an RG-LRU whose input has not the size of its state.
    weight_in: Option<&'a [N]>,
    weight_ih: &'a [N],
    bias_ih: Option<&'a [N]>,
    /// Of an RG-LRU.
    decay: Vec<N>,
}

impl<N: Scalar> Gated<'_, N> {
    /// The pre-activation of a gate of unit `j`.
    fn gate(&self, gate: usize, j: usize, x: &[N]) -> N {
        let row = gate * self.hidden + j;
        let product = dot(self.weight_ih, row, x);
        match self.bias_ih {
            Some(bias) => product + &bias[row],
            None => product,
        }
    }

    /// `h'` of unit `j`.
    fn unit(&self, j: usize, x: &[N], h: &N) -> N {
        let gate = |gate| self.gate(gate, j, x);
        let candidate = || (self.layer.candidate)(gate(0));
        match self.layer.kind {
            // h' = (1 - z) h + z c
            ScannedKind::MinGru => {
                let z = gate(1).sigmoid();
                z.one_minus() * h + z * candidate()
            }
            // h' = (f h + i c) / (f + i)
            ScannedKind::MinLstm => {
                let (f, i) = (gate(1).sigmoid(), gate(2).sigmoid());
                (&f * h + &i * candidate()) * (f + i).recip()
            }
            // h' = a h + √(1 - a²) i x, a = e^(-8 softplus(Λ) r)
            ScannedKind::RgLru => {
                let (r, i) = (gate(0).sigmoid(), gate(1).sigmoid());
                let decay = &self.decay[j] * r;
                let a = (-decay.clone()).exp();
                // 1 - a² = tanh(-log a) (1 + a²), which has all its digits where a is near 1.
                let scale = (decay.tanh() * (&(&a * &a) + N::constant(1.0))).sqrt();
                a * h + scale * i * &x[j]
            }
            other => unreachable!("{} has no gates", other.name()),
        }
    }
}

impl<N: Scalar> ScalarPart<N> for Gated<'_, N> {
    fn step(&self, x: &[N], before: &RowState<N>, _: &StepNoise<'_>) -> RowState<N> {
        let projected: Option<Vec<N>> =
            self.weight_in.map(|weight| (0..self.hidden).map(|j| dot(weight, j, x)).collect());
        let x = projected.as_deref().unwrap_or(x);
        let hidden = (0..self.hidden).map(|j| self.unit(j, x, &before.hidden[j])).collect();
        State { hidden, memory: vec![] }
    }

    fn output(&self, _x: Option<&[N]>, state: &RowState<N>) -> Vec<N> {
        state.hidden.clone()
    }
}

/// A complex number.
#[derive(Clone)]
struct Complex<N>([N; 2]);

impl<N: Scalar> Complex<N> {
    fn times(&self, other: &Self) -> Self {
        let ([a, b], [c, d]) = (&self.0, &other.0);
        Self([a * c - b * d, a * d + b * c])
    }

    fn plus(&self, other: &Self) -> Self {
        Self([&self.0[0] + &other.0[0], &self.0[1] + &other.0[1]])
    }

    /// `e^(re + i im)`
    fn exp(re: N, im: &N) -> Self {
        let (size, [sin, cos]) = (re.exp(), im.sin_cos());
        Self([&size * cos, size * sin])
    }

    /// `1 / z`
    fn recip(&self) -> Self {
        let [re, im] = &self.0;
        let inverse = (re * re + im * im).recip();
        Self([re * &inverse, -(im * inverse)])
    }
}

/// LRU and S5: `h' = λ h + γ B x`, `y = Re(C h) + D x`.
struct Diagonal<'a, N> {
    /// `λ` and `γ` of each unit.
    factors: Vec<[Complex<N>; 2]>,
    weight: [&'a [N]; 2],
    readout: [&'a [N]; 2],
    skip: &'a [N],
}

impl<'a, N: Scalar> Diagonal<'a, N> {
    fn of(kind: ScannedKind, hidden: usize, given: impl Fn(&str) -> Option<&'a [N]>) -> Self {
        let tensor = |name: &str| given(name).expect("a parameter of each complex layer");
        let unit = |names: [&str; 3], j: usize| names.map(|name| tensor(name)[j].clone());
        let zero = N::constant(0.0);
        let factors = (0..hidden).map(|j| match kind {
            // λ = exp(-exp(ν) + i exp(θ)), γ = exp(γ')
            ScannedKind::Lru => {
                let [nu, theta, gamma] = unit(["nu_log", "theta_log", "gamma_log"], j);
                [Complex::exp(-nu.exp(), &theta.exp()), Complex([gamma.exp(), zero.clone()])]
            }
            // Λ = -exp(ρ) + i ω, λ = exp(Λ Δ), γ = (λ - 1) / Λ
            _ => {
                let [rate, frequency, step] = unit(["rate_log", "frequency", "step_log"], j);
                let (rate, step) = (-rate.exp(), step.exp());
                let factor = Complex::exp(&rate * &step, &(&frequency * &step));
                let less = factor.plus(&Complex([N::constant(-1.0), zero.clone()]));
                let scale = less.times(&Complex([rate, frequency]).recip());
                [factor, scale]
            }
        });
        Self {
            factors: factors.collect(),
            weight: [tensor("weight_re"), tensor("weight_im")],
            readout: [tensor("readout.weight_re"), tensor("readout.weight_im")],
            skip: tensor("readout.weight_skip"),
        }
    }

    /// The state of unit `j`. Real parts come first.
    fn unit(&self, j: usize, state: &RowState<N>) -> Complex<N> {
        let imaginary = self.factors.len() + j;
        Complex([state.hidden[j].clone(), state.hidden[imaginary].clone()])
    }
}

impl<N: Scalar> ScalarPart<N> for Diagonal<'_, N> {
    fn step(&self, x: &[N], before: &RowState<N>, _: &StepNoise<'_>) -> RowState<N> {
        let after = self.factors.iter().enumerate().map(|(j, [lambda, gamma])| {
            let read = Complex(self.weight.map(|weight| dot(weight, j, x)));
            lambda.times(&self.unit(j, before)).plus(&gamma.times(&read)).0
        });
        let (re, im): (Vec<_>, Vec<_>) = after.map(|[re, im]| (re, im)).unzip();
        State { hidden: [re, im].concat(), memory: vec![] }
    }

    fn output(&self, x: Option<&[N]>, state: &RowState<N>) -> Vec<N> {
        let (re, im) = state.hidden.split_at(self.factors.len());
        let [weight_re, weight_im] = self.readout;
        let one = |o: usize| {
            let of_state = dot(weight_re, o, re) - dot(weight_im, o, im);
            match x {
                Some(x) => of_state + dot(self.skip, o, x),
                None => of_state,
            }
        };
        (0..weight_re.len() / re.len()).map(one).collect()
    }
}
