//! `+ - *` on values and on references, as [`Number`](bptt::cells::Number) requires.

/// Implements the four forms of each operator by the form on references.
macro_rules! operators {
    ($generic:tt $Type:ty; $($Op:ident $op:ident |$a:ident, $b:ident| $body:expr;)*) => {
        $($crate::scalar::operators::operators! { @one $generic $Type, $Op, $op, $a, $b, $body })*
    };
    (@one [$($generic:tt)*] $Type:ty, $Op:ident, $op:ident, $a:ident, $b:ident, $body:expr) => {
        impl<$($generic)*> $Op for &$Type {
            type Output = $Type;
            #[inline]
            fn $op(self, other: Self) -> $Type {
                let ($a, $b) = (self, other);
                $body
            }
        }
        impl<$($generic)*> $Op<$Type> for &$Type {
            type Output = $Type;
            #[inline]
            fn $op(self, other: $Type) -> $Type {
                self.$op(&other)
            }
        }
        impl<$($generic)*> $Op<&$Type> for $Type {
            type Output = $Type;
            #[inline]
            fn $op(self, other: &$Type) -> $Type {
                (&self).$op(other)
            }
        }
        impl<$($generic)*> $Op for $Type {
            type Output = $Type;
            #[inline]
            fn $op(self, other: $Type) -> $Type {
                (&self).$op(&other)
            }
        }
    };
}
pub(crate) use operators;
