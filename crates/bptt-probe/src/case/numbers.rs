//! The random numbers of a case.

use crate::case::shapes::Case;
use crate::problem::{Array, Problem};
use bptt::SequenceCell;
use bptt::cells::DiagonalRole;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeMap;

impl Case {
    /// The case with its numbers. The numbers depend only on the name of the case.
    pub fn problem(&self) -> Problem {
        // FNV-1a gives the same seed in every build, unlike the standard hasher.
        let seed = self.name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut rng = StdRng::seed_from_u64(seed);
        let options = self.options.clone();
        let mut given = BTreeMap::new();
        for (name, shape) in options.given().expect("the table's sizes are small") {
            let (mean, deviation) = self.distribution(&name);
            let count = shape.iter().product();
            let values = (0..count).map(|_| -> f64 { mean + deviation * normal(&mut rng) });
            let mut array = Array { values: values.collect(), shape };
            if name.starts_with("weight_diag") {
                around_one(options.cell().layout().diagonal_roles, &mut array);
            }
            given.insert(name, array);
        }
        into_domain(options.cell_name(), &mut given);
        Problem { name: self.name.clone(), options, given, expected: BTreeMap::new() }
    }

    /// Mean and standard deviation of a tensor's numbers.
    fn distribution(&self, name: &str) -> (f64, f64) {
        let options = &self.options;
        let usual = 1.0 / (options.hidden_size as f64).sqrt();
        #[cfg(feature = "scanned-cells")]
        if let Some(mean) = options.cell.cell().map_or(crate::scanned::mean(name), |_| None) {
            return (mean, (self.gain * usual).min(usual));
        }
        let is_weight = ["weight", "bias", "readout"].iter().any(|kind| name.starts_with(kind));
        let is_diagonal = name.starts_with("weight_diag")
            || (name.starts_with("weight_hh") && !options.cell().layout().has_recurrent_weights());
        match (is_weight, is_diagonal) {
            (false, _) => (0.0, 1.0),
            (true, false) => (0.0, self.gain * usual),
            // Large ones make a unit expand small differences step by step, instead of saturating it.
            (true, true) => (0.0, (self.gain * usual).min(usual)),
        }
    }
}

/// Makes random gains among the diagonal weights such as a cell has: they begin at 1.
pub(crate) fn around_one(roles: &[DiagonalRole], weight_diag: &mut Array) {
    let rows = weight_diag.values.chunks_exact_mut(weight_diag.shape[1]).zip(roles);
    for (row, _) in rows.filter(|(_, role)| **role == DiagonalRole::Gain) {
        row.iter_mut().for_each(|gain| *gain += 1.0);
    }
}

/// Makes random memories such as the cell can have. The normaliser `n` of an sLSTM is a sum of positive numbers, and `h`
/// is divided by it.
pub(crate) fn into_domain(cell: &str, given: &mut BTreeMap<String, Array>) {
    if cell != "slstm" {
        return;
    }
    for name in ["c_0", "c_reset"] {
        let Some(Array { shape, values }) = given.get_mut(name) else { continue };
        let plane = shape[1] * shape[2];
        for (k, plane) in values.chunks_exact_mut(plane).enumerate() {
            if k % 3 == 1 {
                plane.iter_mut().for_each(|n| *n = 0.5 + n.abs());
            }
        }
    }
}

fn normal(rng: &mut StdRng) -> f64 {
    StandardNormal.sample(rng)
}
