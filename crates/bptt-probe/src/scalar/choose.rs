//! The scalar layer of a problem's options, chosen at run time.

use crate::problem::LayerOptions;
use crate::scalar::cell::{Analytic, Real};
use crate::scalar::layer::ScalarLayer;
use crate::scalar::number::Scalar;
#[cfg(feature = "scanned-cells")]
use crate::scalar::scanned::ScanLayer;
#[cfg(feature = "scanned-cells")]
use bptt::LayerKind;
use bptt::cells::{AnalyticCell, AnalyticVisitor, Cell, Rectify};
use bptt::{CellVisitor, SequenceCell};
use std::marker::PhantomData;

/// The layer of the options, for numbers that have an order.
pub fn real<N: Scalar + Rectify>(options: &LayerOptions) -> Box<dyn ScalarLayer<N>> {
    #[cfg(feature = "scanned-cells")]
    if let LayerKind::Scanned(kind) = options.cell {
        return Box::new(ScanLayer::real(kind, options.log_space));
    }
    match options.has_candidate_mask() {
        true => options.cell().accept_dropped(OnReal(PhantomData)).expect("the layer was made"),
        false => options.cell().accept(OnReal(PhantomData)),
    }
}

/// The layer of the options, for any number; `None` if it is not analytic (because of a rectifier or a bound, or a
/// candidate that is made positive).
pub fn analytic<N: Scalar>(options: &LayerOptions) -> Option<Box<dyn ScalarLayer<N>>> {
    #[cfg(feature = "scanned-cells")]
    if let LayerKind::Scanned(kind) = options.cell {
        let layer = (!options.log_space).then(|| ScanLayer::analytic(kind));
        return layer.map(|layer| Box::new(layer) as Box<dyn ScalarLayer<N>>);
    }
    match options.has_candidate_mask() {
        true => options.cell().accept_dropped(OnAny(PhantomData)).flatten(),
        false => options.cell().accept(OnAny(PhantomData)),
    }
}

/// A cell as [`Real`].
struct OnReal<N>(PhantomData<N>);

impl<N: Scalar + Rectify> CellVisitor for OnReal<N> {
    type Output = Box<dyn ScalarLayer<N>>;

    fn visit<C: Cell>(self, cell: C) -> Self::Output {
        Box::new(Real(cell))
    }
}

/// A cell as [`Analytic`], if it is analytic.
struct OnAny<N>(PhantomData<N>);

impl<N: Scalar> CellVisitor for OnAny<N> {
    type Output = Option<Box<dyn ScalarLayer<N>>>;

    fn visit<C: Cell>(self, cell: C) -> Self::Output {
        cell.accept_analytic(self)
    }
}

impl<N: Scalar> AnalyticVisitor for OnAny<N> {
    type Output = Box<dyn ScalarLayer<N>>;

    fn visit<C: AnalyticCell>(self, cell: C) -> Self::Output {
        Box::new(Analytic(cell))
    }
}
