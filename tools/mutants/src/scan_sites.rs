//! What is changed in the backward passes of scans: in the kernels, in the form by tensor operations, and in the cells.

use crate::site::{Site, site};
use bptt::Kernel;

const SCAN: &str = "bptt-kernels/src/host/scan/backward.rs";
const SCAN_INPUT: &str = "bptt-kernels/src/host/scan/input/backward.rs";
const SCAN_TENSORS: &str = "bptt-kernels/src/scan/tensors.rs";
const MIN_GRU: &str = "bptt-cells/src/scanned/min_gru.rs";
const MIN_LSTM: &str = "bptt-cells/src/scanned/min_lstm.rs";
const RG_LRU: &str = "bptt-cells/src/scanned/rg_lru.rs";
const DIAGONAL: &str = "bptt-cells/src/scanned/diagonal.rs";
const CANDIDATE: &str = "bptt-cells/src/scanned/candidate.rs";
const LINEAR: &str = "bptt-cells/src/scanned/linear.rs";

/// All of them.
#[rustfmt::skip]
pub(crate) const SITES: &[Site] = &[
    // Scans, and their products.
    site(SCAN, "let d = «carried.plus(&span.load(simd, self.d_states))»;", &[
        ("the cotangent of a step's state not added", "carried"),
        ("what comes from the step behind not added", "span.load(simd, self.d_states)"),
    ]),
    site(SCAN, "let d_before = «done.a.times_backward(&d)»;", &[
        ("a factor not conjugated", "done.a.times(&d)"),
        ("the factor left out", "d.clone()"),
    ]),
    site(SCAN, "let d_a = «before.times_backward(&d)»;", &[
        ("the factor for the state before the step", "done.a.times_backward(&d)"),
    ]),
    site(SCAN, "_ if flags & RESET != 0 => «reset»,", &[
        ("the initial state for that of a reset", "scan.of_row(scan.initial, row)"),
    ]),
    site(SCAN, "span.store(simd, self.d_carried, «d»);\n                    continue;", &[
        ("a masked step hands no gradient on", "zeros(simd)"),
    ]),
    site(SCAN, "span.store(simd, to, «so_far.plus(&d)»);", &[("one reset's gradient alone", "d")]),
    site(SCAN, "«span.store::<S, T, C::State<_>>(simd, from, zeros(simd));»", &[
        ("the gradient crosses a reset", "let _ = from;"),
    ]),
    site(SCAN, "span.store(simd, self.d_constants, «sum(so_far, d_constants)»);", &[
        ("the constants' gradient of one step alone", "{ let _ = so_far; d_constants }"),
    ]),
    site(SCAN_INPUT, "«products.add_to_weight(d_gates, &units, &steps, &mut sums);»", &[
        ("the weight's gradient of the last steps alone", "if steps.end == plan.time { products.add_to_weight(d_gates, &units, &(steps.end - 1..steps.end), &mut sums); }"),
    ]),
    site(SCAN_INPUT, "let at = «(plane * hidden + units.start + first) * size»;", &[
        ("the gradients of all gates in the rows of the first", "(units.start + first) * size"),
    ]),
    site(SCAN_INPUT, "let last = «of.planes() * units.len()»;", &[
        ("the first gate's gradient for that of the last", "0"),
    ]),
    site(SCAN_INPUT, "add_up(constants, «d_constants.as_slice()»);", &[
        ("the constants' gradient of one row alone", "&d_constants.as_slice()[..constants.len()]"),
    ]),

    site(SCAN_INPUT, "add: «has_last || chunk > 0»,", &[
        ("the gradient of the gate that is the input not kept", "chunk > 0"),
    ]),
    site(SCAN_INPUT, "let to = «of.scan.row(step, row)» * of.size + units.start;", &[
        ("the rows of that gate in the order of the steps", "index"),
    ]),

    // Scans by tensor operations.
    site(SCAN_TENSORS, "let d_b = doubled(«order.opposite()», ", &[
        ("the scan back in the direction of the scan forward", "order"),
    ]),
    site(SCAN_TENSORS, "«a.clone().map(next).conj()», d_h, ", &[
        ("a factor not conjugated", "a.clone().map(next)"),
        ("the factor of the step itself", "a.clone().conj()"),
    ]),
    site(SCAN_TENSORS, ", d_h, «resets.as_ref()»);", &[("the gradient crosses a reset", "None")]),
    site(SCAN_TENSORS, "planes(&«states_before(operands, plan, states)», plan.hidden);", &[
        ("the state after the step for that before it", "states"),
    ]),
    site(SCAN_TENSORS, "let d_a = «before.times_backward(&d_b)»;", &[
        ("the factor for the state before the step", "a.times_backward(&d_b)"),
    ]),
    site(SCAN_TENSORS, "let d_before = joined(«a.times_backward(&d_b)»);", &[
        ("the factor left out", "d_b.clone()"),
        ("a factor not conjugated for what a segment begins with", "a.times(&d_b)"),
    ]),
    site(SCAN_TENSORS, "let d = «select(Recorded(d.0.expand([outer, inner, plan.hidden])))»;", &[
        ("masked steps in the constants' gradient", "Recorded(d.0.expand([outer, inner, plan.hidden]))"),
    ]),
    site(SCAN_TENSORS, "«d.0.sum_dim(0)».sum_dim(1)", &[
        ("the constants' gradient of one row or step alone", "d.0.narrow(0, 0, 1)"),
    ]),
    site(SCAN_TENSORS, "gates: joined(«d_gates.map(select)»),", &[
        ("the gates' gradient at masked steps", "d_gates"),
    ]),
    site(SCAN_TENSORS, "let mut d_initial = «order.early(&d_before, 1)»;", &[
        ("the last step's gradient for the initial state", "order.late(&d_before, 1)"),
    ]),
    site(SCAN_TENSORS, "d_initial = «filled(d_initial, &at_first, 0.0)»;", &[
        ("the initial state's gradient where it is reset", "d_initial"),
    ]),
    site(SCAN_TENSORS, "«filled(d_before, &elsewhere, 0.0)».sum_dim(order.axis)", &[
        ("the reset state's gradient of all steps", "d_before"),
    ]),

    // The cells of scans, which a number cannot mutate: their layers are not generic over the cell.
    site(MIN_GRU, "let d_z = («&d_b * &c.value - d_a») * z.sigmoid_slope();", &[
        ("the factor's part left out", "&d_b * &c.value"),
        ("the candidate's part left out", "-d_a"),
        ("the sign of the factor's part turned", "&d_b * &c.value + d_a"),
    ]),
    site(MIN_GRU, "let d_h = c.backward(«d_b * z», POSITIVE);", &[("the gate left out", "d_b")]),
    site(MIN_GRU, "([d_h.clone(), d_z.clone()], «[d_h, d_z]»)", &[("the biases exchanged", "[d_z, d_h]")]),
    site(MIN_LSTM, "let d = «d_a - &d_b * &c.value»;", &[
        ("the candidate's part left out", "d_a"),
        ("the factor's part left out", "-(&d_b * &c.value)"),
        ("the sign of the candidate's part turned", "d_a + &d_b * &c.value"),
    ]),
    site(MIN_LSTM, "let d_p = «&d * f * of_p»;", &[("a factor of the forget gate left out", "&d * f")]),
    site(MIN_LSTM, "let d_q = «-(d * &i * of_q)»;", &[
        ("the sign of the input gate turned", "d * &i * of_q"),
        ("a factor of the input gate left out", "-(d * &i)"),
    ]),
    site(MIN_LSTM, "let d_h = c.backward(«d_b * i», POSITIVE);", &[("the gate left out", "d_b")]),
    site(MIN_LSTM, "([d_h.clone(), d_p.clone(), d_q.clone()], «[d_h, d_p, d_q]»)", &[
        ("the gates' biases exchanged", "[d_h, d_q, d_p]"),
    ]),
    site(RG_LRU, "let d_l = «(d_a - &d_b * &i * &x * &a * m.recip()) * &a»;", &[
        ("the root's part left out", "d_a * &a"),
        ("the factor's own part left out", "-(&d_b * &i * &x * &a * m.recip()) * &a"),
        ("a factor of the root's slope left out", "(d_a - &d_b * &i * &x * m.recip()) * &a"),
        ("the root itself for its slope", "(d_a - &d_b * &i * &x * &a * &m) * &a"),
        ("the slope of the logarithm left out", "d_a - &d_b * &i * &x * &a * m.recip()"),
    ]),
    site(RG_LRU, "let d_s = «-(&d_l * &r)»;", &[
        ("the rate's gradient with the other sign", "&d_l * &r"),
        ("the gate left out of the rate's gradient", "-d_l.clone()"),
    ]),
    site(RG_LRU, "let d_r = «-(d_l * s * r.sigmoid_slope())»;", &[
        ("the rate left out of the gate's gradient", "-(d_l * r.sigmoid_slope())"),
        ("the slope of the gate left out", "-(d_l * s)"),
    ]),
    site(RG_LRU, "let d_scaled = «d_b * m»;", &[("the root left out", "d_b")]),
    site(RG_LRU, "let d_i = «&d_scaled * x * i.sigmoid_slope()»;", &[
        ("the input left out of the gate's gradient", "&d_scaled * i.sigmoid_slope()"),
    ]),
    site(RG_LRU, "let d_x = «d_scaled * i»;", &[("the gate left out of the input's gradient", "d_scaled")]),
    site(DIAGONAL, "let [dg_re, dg_im] = «v.times_backward(&d_b)»;", &[
        ("the input not conjugated", "v.times(&d_b)"),
        ("the factor's gradient for that of the scale", "[d_re.clone(), d_im.clone()]"),
    ]),
    site(DIAGONAL, "let d_v = «[g_re.clone(), g_im.clone()].times_backward(&d_b)»;", &[
        ("the scale not conjugated", "[g_re.clone(), g_im.clone()].times(&d_b)"),
        ("the scale left out", "d_b.clone()"),
    ]),
    site(CANDIDATE, "let excess = «&d - &d * self.sigmoid.sigmoid_slope()»;", &[
        ("no gradient below zero", "d.clone()"),
        ("the slope below zero turned", "&d * self.sigmoid.sigmoid_slope()"),
    ]),
    site(LINEAR, "«[a * re + b * im, a * im - b * re]»", &[
        ("the gradient of a complex product not conjugated", "[a * re - b * im, a * im + b * re]"),
        ("the imaginary part of a complex factor left out", "[a * re, a * im]"),
    ]),
];

/// Which kernels a file of scans is part of.
pub(crate) fn kernels(file: &str) -> &'static [Kernel] {
    match file {
        SCAN | SCAN_INPUT => &[Kernel::Auto],
        SCAN_TENSORS => &[Kernel::Reference],
        _ => &[Kernel::Auto, Kernel::Reference],
    }
}
