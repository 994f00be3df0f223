//! Compares each cell's `step_backward` with central differences of its `step`, in plain f64.

use bptt_cells::{
    Backward, Cell, Clipped, Components, Dual, GateRole, GruDreamer, GruLayerNorm, GruResetAfter,
    GruResetAfterDropped, GruResetBefore, GruResetBeforeDropped, HiddenTerm, IndRnnRelu,
    IndRnnTanh, Layout, Lem, Lstm, LstmCoupled, LstmDropped, LstmLayerNorm, LstmPeephole, Mgu,
    Number, Rectify, Rhn, RnnRelu, RnnTanh, Row, Slstm, State, Unicornn,
};

/// The weight of the gated hidden state, a scalar, so that a cell with such a state is a function of its gates.
const GATED_WEIGHT: f64 = 0.7;

/// Converts one list to everything that a step depends on: gates, separate products, hidden state, memory. In the list,
/// the units of each are side by side.
fn unpack<C: Layout>(all: &[f64]) -> Operands<C> {
    let mut all = all.chunks_exact(units::<C>()).map(|units| Row(units.to_vec()));
    let mut next = || all.next().expect("the list is long enough");
    let gates = C::Gates::from_fn(|_| next());
    let separate = C::Separate::from_fn(|_| next());
    let hidden = next();
    let memory = C::Memory::from_fn(|_| next());
    (gates, separate, State { hidden, memory })
}

type Operands<C> = (
    <C as Layout>::Gates<Row<f64>>,
    <C as Layout>::Separate<Row<f64>>,
    State<Row<f64>, <C as Layout>::Memory<Row<f64>>>,
);

/// How many units a row has: more than one if the cell couples them.
fn units<C: Layout>() -> usize {
    if C::COUPLES_UNITS { 3 } else { 1 }
}

fn size<C: Layout>() -> usize {
    units::<C>() * (C::GATES + C::Separate::<f64>::LEN + 1 + C::Memory::<f64>::LEN)
}

fn has_gated<C: Layout>() -> bool {
    C::HIDDEN_TERMS.contains(&HiddenTerm::Gated)
}

/// Adds the gated product to the last gate, as the layer does.
fn with_inner<C: Cell, N: Rectify>(
    cell: &C,
    gates: C::Gates<N>,
    before: &State<N, C::Memory<N>>,
) -> C::Gates<N> {
    if !has_gated::<C>() {
        return gates;
    }
    let gated = cell.gated_hidden(&gates, before);
    let mut gates = gates.into_vec();
    let last = gates.pop().expect("a cell has gates");
    gates.push(last + gated.scale(GATED_WEIGHT));
    C::Gates::from_vec(gates)
}

fn loss<C: Cell>(cell: &C, all: &[f64], cotangent: &[f64]) -> f64 {
    let (gates, separate, before) = unpack::<C>(all);
    let gates = with_inner(cell, gates, &before);
    let (after, _) = cell.step(gates, separate, &before);
    let results = [after.hidden].into_iter().chain(after.memory.into_vec());
    results.flat_map(|row| row.0).zip(cotangent).map(|(x, d)| x * d).sum()
}

fn gradient<C: Cell>(cell: &C, all: &[f64], cotangent: &[f64]) -> Vec<f64> {
    let (gates, separate, before) = unpack::<C>(all);
    let gates = with_inner(cell, gates, &before);
    let (after, saved) = cell.step(gates, separate, &before);
    let mut d = cotangent.chunks_exact(units::<C>()).map(|units| Row(units.to_vec()));
    let mut next = || d.next().expect("one for each result");
    let d = State { hidden: next(), memory: C::Memory::from_fn(|_| next()) };
    let mut back: Backward<C, Row<f64>> = cell.step_backward(saved.clone(), &before, &after, d);
    if has_gated::<C>() {
        // The last gate is the gated one, so d_gated is its weight times its gradient.
        let Backward { d_gates, d_separate, d_hidden, d_memory } = back;
        let gates = d_gates.into_vec();
        let d_gated = gates[gates.len() - 1].scale(GATED_WEIGHT);
        let so_far =
            Backward { d_gates: C::Gates::from_vec(gates), d_separate, d_hidden, d_memory };
        back = cell.gated_hidden_backward(&saved, &before, d_gated, so_far);
    }
    let mut all = back.d_gates.into_vec();
    all.extend(back.d_separate.into_vec());
    all.push(back.d_hidden.unwrap_or(Row(vec![0.0; units::<C>()])));
    all.extend(back.d_memory.into_vec());
    all.into_iter().flat_map(|row| row.0).collect()
}

fn check<C: Cell>(cell: C) {
    check_in(cell, |_| ());
}

/// Checks a cell at points that are moved into its domain.
fn check_in<C: Cell>(cell: C, into_domain: impl Fn(&mut [f64])) {
    // A fixed low-discrepancy sequence. Its points are generic, and away from the rectifier's kink.
    let value = |k: usize| (k as f64 * 0.618_033_988_749_895 + 0.3).fract() * 3.0 - 1.55;
    for point in 0..50 {
        let mut all: Vec<f64> = (0..size::<C>()).map(|k| value(point * 11 + k)).collect();
        into_domain(&mut all);
        let results = units::<C>() * (1 + C::Memory::<f64>::LEN);
        let cotangent: Vec<f64> = (0..results).map(|k| value(point * 7 + k + 5)).collect();
        let by_hand = gradient(&cell, &all, &cotangent);
        for k in 0..all.len() {
            let h = 1e-5;
            let at = |offset: f64| {
                let mut all = all.clone();
                all[k] += offset;
                loss(&cell, &all, &cotangent)
            };
            // A formula of fourth order; its error is about 1e-11 here.
            let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
            assert!(
                (slope - by_hand[k]).abs() < 1e-9,
                "{} at point {point}, entry {k}: by hand {}, by differences {slope}",
                C::NAME,
                by_hand[k],
            );
        }
    }
}

#[test]
fn step_backward_is_the_transposed_jacobian_of_step() {
    check(RnnTanh);
    check(RnnRelu);
    check(Lstm);
    check(LstmCoupled);
    check(Clipped { cell: Lstm, bound: 0.6 });
    check(Clipped { cell: LstmCoupled, bound: 0.6 });
    check(GruResetAfter);
    check(GruResetBefore);
    check(LstmDropped);
    check(GruResetAfterDropped);
    check(GruResetBeforeDropped);
    check(LstmPeephole);
    check(Mgu);
    check(Lem::default());
    check(Lem { step: 0.3 });
    check(Rhn);
    check(IndRnnTanh);
    check(IndRnnRelu);
    check(LstmLayerNorm);
    check(GruLayerNorm);
    check(GruDreamer);
    check(Unicornn::default());
    check(Unicornn { step: 0.4, alpha: 2.5 });
    // The normaliser is a sum of positive numbers. It is behind four gates, `h` and `c`.
    check_in(Slstm, |all| all[6] = 0.5 + all[6].abs());
}

#[test]
fn layouts_agree_with_their_planes() {
    fn agree<C: Layout>() {
        assert_eq!(C::GATES, C::Gates::<f64>::LEN, "{}", C::NAME);
        let count = |kind| C::HIDDEN_TERMS.iter().filter(|&&r| r == kind).count();
        assert_eq!(count(HiddenTerm::Separate), C::Separate::<f64>::LEN, "{}", C::NAME);
        assert!(count(HiddenTerm::Gated) <= 1, "{}", C::NAME);
        assert!(C::DIAGONAL_WEIGHTS <= C::Memory::<f64>::LEN, "{}", C::NAME);
        assert!([0, C::GATES].contains(&count(HiddenTerm::None)), "{}", C::NAME);
        assert!([0, C::GATES].contains(&C::GATE_ROLES.len()), "{}", C::NAME);
        let roles = C::DIAGONAL_ROLES.len();
        assert!([0, C::DIAGONAL_WEIGHTS].contains(&roles), "{}", C::NAME);
        assert!(!(C::COUPLES_UNITS && has_gated::<C>()), "{}", C::NAME);
        if has_gated::<C>() {
            assert_eq!(C::HIDDEN_TERMS.last(), Some(&HiddenTerm::Gated), "{}", C::NAME);
        }
    }
    agree::<RnnTanh>();
    agree::<RnnRelu>();
    agree::<Lstm>();
    agree::<LstmCoupled>();
    agree::<Clipped<Lstm>>();
    agree::<GruResetAfter>();
    agree::<GruResetBefore>();
    agree::<LstmPeephole>();
    agree::<Mgu>();
    agree::<Lem>();
    agree::<Rhn>();
    agree::<IndRnnTanh>();
    agree::<IndRnnRelu>();
    agree::<Slstm>();
    agree::<LstmLayerNorm>();
    agree::<GruLayerNorm>();
    agree::<GruDreamer>();
    agree::<Unicornn>();
}

/// A layer hands diagonal weights on from step to step, so a step must not change them.
#[test]
fn a_step_returns_its_diagonal_weights_as_they_are() {
    fn holds<C: Cell>(cell: C) {
        let all: Vec<f64> = (0..size::<C>()).map(|k| 0.1 + k as f64).collect();
        let (gates, separate, before) = unpack::<C>(&all);
        let (after, _) = cell.step(gates, separate, &before);
        let [before, after] = [before.memory, after.memory].map(|memory| memory.into_vec());
        let first = before.len() - C::DIAGONAL_WEIGHTS;
        assert!(first < before.len(), "{}", C::NAME);
        for (before, after) in before[first..].iter().zip(&after[first..]) {
            assert_eq!(before.0, after.0, "{}", C::NAME);
        }
    }
    holds(LstmPeephole);
    holds(IndRnnTanh);
    holds(IndRnnRelu);
    holds(LstmLayerNorm);
    holds(GruLayerNorm);
    holds(GruDreamer);
    holds(Unicornn::default());
}

/// The stabiliser changes nothing: a sequence by the plain equations has the same `h`.
#[test]
fn the_stabiliser_of_an_slstm_changes_no_output() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut c, mut n) = (0.0, 0.0);
    let mut state = State { hidden: 0.0, memory: [0.0; 3] };
    for t in 0..40 {
        let a = |k: usize| ((4 * t + k) as f64 * 0.618_033_988_749_895).fract() * 8.0 - 4.0;
        let gates = [a(0), a(1), a(2), a(3)];
        let (i, f) = (gates[0].exp(), sigmoid(gates[1]));
        c = f * c + i * gates[2].tanh();
        n = f * n + i;
        (state, _) = Cell::step(&Slstm, gates, [], &state);
        let h = sigmoid(gates[3]) * c / n;
        assert!((state.hidden - h).abs() < 1e-14 * h.abs().max(1e-3), "{t}: {}, {h}", state.hidden);
    }
    // The first step reads its input, however far the input gate is shut.
    for a_i in [-1000.0, 5.0] {
        let begin = State { hidden: 0.0, memory: [0.0; 3] };
        let (first, _) = Cell::step(&Slstm, [a_i, 900.0, 0.5, 0.3], [], &begin);
        assert!((first.hidden - sigmoid(0.3) * 0.5_f64.tanh()).abs() < 1e-15, "{}", first.hidden);
    }
    // The plain equations overflow here.
    for a_i in [800.0, -500.0, 900.0] {
        let (after, saved) = Cell::step(&Slstm, [a_i, 1.0, 0.5, 0.3], [], &state);
        let d = State { hidden: 1.0, memory: [0.1, 0.2, 0.3] };
        let back = Cell::step_backward(&Slstm, saved, &state, &after, d);
        assert!(after.hidden.is_finite() && back.d_gates.iter().all(|d| d.is_finite()));
        state = after;
    }
}

#[test]
fn functions_and_their_derivatives_agree() {
    type Function = fn(Dual<f64>) -> Dual<f64>;
    let functions: [(&str, Function); 5] = [
        ("exp", |x| x.exp()),
        ("log_sigmoid", |x| x.log_sigmoid()),
        ("recip", |x| x.recip()),
        ("inverse_sqrt", |x| (x * x).inverse_sqrt(0.1)),
        ("scale", |x| x.scale(-0.7)),
    ];
    for (name, function) in functions {
        for x in [-30.0, -1.5, -0.2, 0.3, 2.0, 30.0] {
            let of = |x: f64| function(Dual::new(x, Some(1.0)));
            let slope = of(x).tangent.expect("the input has one");
            let h = 1e-4;
            let differences = 8.0 * (of(x + h).value - of(x - h).value)
                - (of(x + 2.0 * h).value - of(x - 2.0 * h).value);
            let off = slope - differences / (12.0 * h);
            assert!(off.abs() < 1e-9 * of(x).value.abs().max(1.0), "{name} at {x}: {off}");
        }
    }
    assert_eq!((-800.0_f64).log_sigmoid(), -800.0);
    assert!(f64::NAN.log_sigmoid().is_nan());
}

#[test]
fn peepholes_follow_their_equations() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let before = State { hidden: 0.0, memory: [0.5, 0.6, -0.7, 0.8] };
    let (after, _) = Cell::step(&LstmPeephole, [0.1, 0.2, 0.3, 0.4], [], &before);
    // The input gate and the forget gate see the memory before the step, the output gate the one after it.
    let (i, f) = (sigmoid(0.1 + 0.6 * 0.5), sigmoid(0.2 - 0.7 * 0.5));
    let c = f * 0.5 + i * 0.3_f64.tanh();
    assert!((after.memory[0] - c).abs() < 1e-15);
    assert!((after.hidden - sigmoid(0.4 + 0.8 * c) * c.tanh()).abs() < 1e-15);
}

#[test]
fn gates_do_with_the_memory_what_their_roles_say() {
    fn keeps<C: Cell>(cell: C) {
        // What is left of the memory 0.5 if the gates that hold it are wide open, or wide shut.
        let memory_after = |open: f64| {
            let gates = C::Gates::from_fn(|g| match C::GATE_ROLES[g] {
                GateRole::Forget => open,
                GateRole::Input => -open,
                GateRole::Other => -0.9,
            });
            let separate = C::Separate::from_fn(|_| 0.2);
            let before = State { hidden: 0.5, memory: C::Memory::from_fn(|_| 0.5) };
            let gates = with_inner(&cell, gates, &before);
            let (after, _) = cell.step(gates, separate, &before);
            after.memory.into_vec().first().copied().unwrap_or(after.hidden)
        };
        assert!((memory_after(50.0) - 0.5).abs() < 1e-15, "{}", C::NAME);
        assert!((memory_after(-50.0) - 0.5).abs() > 0.1, "{}", C::NAME);
    }
    keeps(Lstm);
    keeps(LstmCoupled);
    keeps(Clipped { cell: Lstm, bound: 0.6 });
    keeps(GruResetAfter);
    keeps(GruResetBefore);
    keeps(LstmPeephole);
    keeps(Slstm);
    keeps(Mgu);
    keeps(Lem::default());
    keeps(Rhn);
    assert!(RnnTanh::GATE_ROLES.is_empty() && IndRnnTanh::GATE_ROLES.is_empty());
}

/// The equations once more, in loops over plain numbers.
#[test]
fn normalised_cells_follow_their_equations() {
    const H: usize = 3;
    let value = |k: usize| (k as f64 * 0.618_033_988_749_895 + 0.3).fract() * 3.0 - 1.55;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let normal = |a: &[f64], epsilon: f64| -> Vec<f64> {
        let mean = a.iter().sum::<f64>() / a.len() as f64;
        let variance = a.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / a.len() as f64;
        a.iter().map(|x| (x - mean) / (variance + epsilon).sqrt()).collect()
    };
    let same = |found: &Row<f64>, expected: &dyn Fn(usize) -> f64| {
        for (unit, found) in found.0.iter().enumerate() {
            assert!((found - expected(unit)).abs() < 1e-14, "{unit}: {found}");
        }
    };

    let all: Vec<f64> = (0..size::<LstmLayerNorm>()).map(value).collect();
    let (gates, separate, before) = unpack::<LstmLayerNorm>(&all);
    let (after, _) = Cell::step(&LstmLayerNorm, gates, separate, &before);
    // Eight products, `h`, `c`, then the diagonal weights.
    let (x, u) = (normal(&all[..4 * H], 1e-5), normal(&all[4 * H..8 * H], 1e-5));
    let (c, diagonal) = (&all[9 * H..10 * H], &all[10 * H..]);
    let a = |k: usize, j: usize| {
        let at = |row: usize| diagonal[(row + k) * H + j];
        at(0) * x[k * H + j] + at(4) * u[k * H + j] + at(8)
    };
    let c = |j: usize| sigmoid(a(1, j)) * c[j] + sigmoid(a(0, j)) * a(2, j).tanh();
    same(&after.memory[0], &c);
    let memory = normal(&[c(0), c(1), c(2)], 1e-5);
    let read = |j: usize| (diagonal[12 * H + j] * memory[j] + diagonal[13 * H + j]).tanh();
    same(&after.hidden, &|j| sigmoid(a(3, j)) * read(j));

    let all: Vec<f64> = (0..size::<GruLayerNorm>()).map(value).collect();
    let (gates, separate, before) = unpack::<GruLayerNorm>(&all);
    let (after, _) = Cell::step(&GruLayerNorm, gates, separate, &before);
    let (x, u) = (normal(&all[..3 * H], 1e-5), normal(&all[3 * H..6 * H], 1e-5));
    let (h, diagonal) = (&all[6 * H..7 * H], &all[7 * H..]);
    same(&after.hidden, &|j| {
        let at = |row: usize| diagonal[row * H + j];
        let part = |k: usize| [at(k) * x[k * H + j], at(3 + k) * u[k * H + j]];
        let [r, z] = [0, 1].map(|k| sigmoid(part(k)[0] + part(k)[1] + at(6 + k)));
        let n = (part(2)[0] + at(8) + r * (part(2)[1] + at(9))).tanh();
        (1.0 - z) * n + z * h[j]
    });

    let all: Vec<f64> = (0..size::<GruDreamer>()).map(value).collect();
    let (gates, separate, before) = unpack::<GruDreamer>(&all);
    let (after, _) = Cell::step(&GruDreamer, gates, separate, &before);
    let x = normal(&all[..3 * H], 1e-3);
    let (h, diagonal) = (&all[3 * H..4 * H], &all[4 * H..]);
    same(&after.hidden, &|j| {
        let a = |k: usize| diagonal[k * H + j] * x[k * H + j] + diagonal[(3 + k) * H + j];
        let u = sigmoid(a(2) - 1.0);
        u * (sigmoid(a(0)) * a(1)).tanh() + (1.0 - u) * h[j]
    });
}

/// Without friction and input, the energy `z² / 2 + log cosh(w y) / w + α y² / 2` neither grows nor shrinks.
#[test]
fn an_oscillator_keeps_its_energy() {
    let cell = Unicornn { step: 0.05, alpha: 0.5 };
    let (w, c) = (1.3_f64, 0.4);
    let mut state = State { hidden: 0.8, memory: [0.0, w, c] };
    let energy = |state: &State<f64, [f64; 3]>| {
        let (y, z) = (state.hidden, state.memory[0]);
        z * z / 2.0 + (w * y).cosh().ln() / w + 0.5 * y * y / 2.0
    };
    let (begin, mut lowest) = (energy(&state), f64::INFINITY);
    for _ in 0..5000 {
        (state, _) = Cell::step(&cell, [0.0], [], &state);
        assert!((energy(&state) - begin).abs() < 0.02 * begin, "{}", energy(&state));
        lowest = state.hidden.min(lowest);
    }
    assert!(lowest < -0.75, "it swings: {lowest}");
}

#[test]
fn lstm_follows_its_equations() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let before = State { hidden: 0.0, memory: [0.5] };
    let (after, _) = Cell::step(&Lstm, [0.1, 0.2, 0.3, 0.4], [], &before);
    let c = sigmoid(0.2) * 0.5 + sigmoid(0.1) * 0.3_f64.tanh();
    assert!((after.memory[0] - c).abs() < 1e-15);
    assert!((after.hidden - sigmoid(0.4) * c.tanh()).abs() < 1e-15);
}

#[test]
fn a_clipped_memory_is_read_out_at_its_bound() {
    let before = State { hidden: 0.0, memory: [5.0] };
    let clipped = Clipped { cell: Lstm, bound: 0.6 };
    for sign in [1.0, -1.0] {
        let before = State { memory: [sign * before.memory[0]], ..before };
        let (after, saved) = Cell::step(&clipped, [0.0, 3.0, 0.0, 0.4], [], &before);
        assert_eq!(after.memory, [sign * 0.6]);
        assert_eq!(after.hidden, saved.o * f64::tanh(sign * 0.6));
        // The memory is clipped, so only the output gate has a gradient.
        let d = State { hidden: 1.0, memory: [1.0] };
        let back = Cell::step_backward(&clipped, saved, &before, &after, d);
        assert_eq!(back.d_gates[..3], [0.0; 3]);
        assert_ne!(back.d_gates[3], 0.0);
        assert_eq!(back.d_memory, [0.0]);
    }
    let (after, _) = Cell::step(&clipped, [f64::NAN, 0.0, 0.0, 0.0], [], &before);
    assert!(after.memory[0].is_nan());
}

#[test]
fn the_rectifier_hides_no_nan() {
    let before = State { hidden: 0.0, memory: [] };
    let (after, _) = Cell::step(&RnnRelu, [f64::NAN], [], &before);
    assert!(after.hidden.is_nan());
}
