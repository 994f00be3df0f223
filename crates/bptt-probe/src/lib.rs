//! bptt-probe
