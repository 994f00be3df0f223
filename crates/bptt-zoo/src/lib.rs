//! bptt-zoo
