//! Cells around other cells.

use crate::cell::{Backward, Cell, Forward, Layout, State};
use crate::number::Rectify;
use std::fmt::Debug;

type Gates<C, N> = <C as Layout>::Gates<N>;
type Separate<C, N> = <C as Layout>::Separate<N>;
type Memory<C, N> = <C as Layout>::Memory<N>;
type Saved<C, N> = <C as Layout>::Saved<N>;

/// A cell around another cell, which changes some of its functions. The functions that it does not define are those of
/// the inner cell. The layout is always that of the inner cell. [`wrapper_cell!`](crate::wrapper_cell) implements
/// [`Cell`] for it.
pub trait Wrapper: Copy + Debug + Send + Sync + 'static {
    /// The cell inside.
    type Inner: Cell;

    /// The cell inside.
    fn inner(&self) -> &Self::Inner;

    /// See [`Cell::step`].
    #[inline(always)]
    fn step<N: Rectify>(
        &self,
        gates: Gates<Self::Inner, N>,
        separate: Separate<Self::Inner, N>,
        before: &State<N, Memory<Self::Inner, N>>,
    ) -> Forward<Self::Inner, N> {
        self.inner().step(gates, separate, before)
    }

    /// See [`Cell::step_backward`].
    #[inline(always)]
    fn step_backward<N: Rectify>(
        &self,
        saved: Saved<Self::Inner, N>,
        before: &State<N, Memory<Self::Inner, N>>,
        after: &State<N, Memory<Self::Inner, N>>,
        cotangent: State<N, Memory<Self::Inner, N>>,
    ) -> Backward<Self::Inner, N> {
        self.inner().step_backward(saved, before, after, cotangent)
    }

    /// See [`Cell::gated_hidden`].
    #[inline(always)]
    fn gated_hidden<N: Rectify>(
        &self,
        gates: &Gates<Self::Inner, N>,
        before: &State<N, Memory<Self::Inner, N>>,
    ) -> N {
        self.inner().gated_hidden(gates, before)
    }

    /// See [`Cell::gated_hidden_of_saved`].
    #[inline(always)]
    fn gated_hidden_of_saved<N: Rectify>(
        &self,
        saved: &Saved<Self::Inner, N>,
        hidden_before: &N,
    ) -> N {
        self.inner().gated_hidden_of_saved(saved, hidden_before)
    }

    /// See [`Cell::gated_hidden_backward`].
    #[inline(always)]
    fn gated_hidden_backward<N: Rectify>(
        &self,
        saved: &Saved<Self::Inner, N>,
        before: &State<N, Memory<Self::Inner, N>>,
        d_gated: N,
        so_far: Backward<Self::Inner, N>,
    ) -> Backward<Self::Inner, N> {
        self.inner().gated_hidden_backward(saved, before, d_gated, so_far)
    }
}

/// Implements [`Layout`](crate::Layout) and [`Cell`](crate::Cell) for a [`Wrapper`](crate::Wrapper) that is
/// generic over its inner cell: `wrapper_cell!(Clipped<C: Clippable>);`
///
/// It is a macro because `Cell` is already implemented for every `AnalyticCell`, and Rust does not allow a second
/// blanket implementation for every `Wrapper`.
#[macro_export]
macro_rules! wrapper_cell {
    ($Wrapper:ident<$C:ident: $bound:path>) => {
        impl<$C: $bound> $crate::Layout for $Wrapper<$C> {
            const NAME: &'static str = $C::NAME;
            const HIDDEN_TERMS: &'static [$crate::HiddenTerm] = $C::HIDDEN_TERMS;
            const GATE_ROLES: &'static [$crate::GateRole] = $C::GATE_ROLES;
            const PROJECTABLE: bool = $C::PROJECTABLE;
            const DIAGONAL_WEIGHTS: usize = $C::DIAGONAL_WEIGHTS;
            const DIAGONAL_ROLES: &'static [$crate::DiagonalRole] = $C::DIAGONAL_ROLES;
            const COUPLES_UNITS: bool = $C::COUPLES_UNITS;
            type Gates<N: $crate::Number> = $C::Gates<N>;
            type Separate<N: $crate::Number> = $C::Separate<N>;
            type Memory<N: $crate::Number> = $C::Memory<N>;
            type Saved<N: $crate::Number> = $C::Saved<N>;
        }

        impl<$C: $bound> $crate::Cell for $Wrapper<$C> {
            #[inline(always)]
            fn step<N: $crate::Rectify>(
                &self,
                gates: $C::Gates<N>,
                separate: $C::Separate<N>,
                before: &$crate::State<N, $C::Memory<N>>,
            ) -> ($crate::State<N, $C::Memory<N>>, $C::Saved<N>) {
                $crate::Wrapper::step(self, gates, separate, before)
            }

            #[inline(always)]
            fn step_backward<N: $crate::Rectify>(
                &self,
                saved: $C::Saved<N>,
                before: &$crate::State<N, $C::Memory<N>>,
                after: &$crate::State<N, $C::Memory<N>>,
                cotangent: $crate::State<N, $C::Memory<N>>,
            ) -> $crate::Backward<Self, N> {
                let back = $crate::Wrapper::step_backward(self, saved, before, after, cotangent);
                let $crate::Backward { d_gates, d_separate, d_hidden, d_memory } = back;
                $crate::Backward { d_gates, d_separate, d_hidden, d_memory }
            }

            #[inline(always)]
            fn gated_hidden<N: $crate::Rectify>(
                &self,
                gates: &$C::Gates<N>,
                before: &$crate::State<N, $C::Memory<N>>,
            ) -> N {
                $crate::Wrapper::gated_hidden(self, gates, before)
            }

            #[inline(always)]
            fn gated_hidden_of_saved<N: $crate::Rectify>(
                &self,
                saved: &$C::Saved<N>,
                hidden_before: &N,
            ) -> N {
                $crate::Wrapper::gated_hidden_of_saved(self, saved, hidden_before)
            }

            #[inline(always)]
            fn gated_hidden_backward<N: $crate::Rectify>(
                &self,
                saved: &$C::Saved<N>,
                before: &$crate::State<N, $C::Memory<N>>,
                d_gated: N,
                so_far: $crate::Backward<Self, N>,
            ) -> $crate::Backward<Self, N> {
                let $crate::Backward { d_gates, d_separate, d_hidden, d_memory } = so_far;
                let so_far = $crate::Backward { d_gates, d_separate, d_hidden, d_memory };
                let back =
                    $crate::Wrapper::gated_hidden_backward(self, saved, before, d_gated, so_far);
                let $crate::Backward { d_gates, d_separate, d_hidden, d_memory } = back;
                $crate::Backward { d_gates, d_separate, d_hidden, d_memory }
            }
        }
    };
}

// By its path within the crate, too.
pub(crate) use wrapper_cell;
