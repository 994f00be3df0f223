//! A fixed number of values that belong together: gates, memories, saved values.

/// A fixed number of values, one *plane* each: for a layer, a plane is `[B, H]`.
///
/// Arrays are planes, and so are the `Saved` structs of the cells, so that whoever stores a trace
/// can treat them as a list without knowing their names.
pub trait Planes<N>: Sized {
    /// How many.
    const LEN: usize;

    /// Builds the planes in order.
    fn from_fn(plane: impl FnMut(usize) -> N) -> Self;

    /// Hands the planes out in order.
    fn for_each(self, plane: impl FnMut(usize, N));

    /// The planes with a function applied to each.
    #[inline(always)]
    fn map(self, function: impl FnMut(N) -> N) -> Self {
        Self::from_vec(self.into_vec().into_iter().map(function).collect())
    }

    /// The planes as a list, in order.
    fn into_vec(self) -> Vec<N> {
        let mut all = Vec::with_capacity(Self::LEN);
        self.for_each(|_, plane| all.push(plane));
        all
    }

    /// The planes from a list.
    ///
    /// # Panics
    ///
    /// If the list is not [`LEN`](Self::LEN) long.
    fn from_vec(all: Vec<N>) -> Self {
        assert_eq!(all.len(), Self::LEN, "a list of planes of the wrong length");
        let mut all = all.into_iter();
        Self::from_fn(|_| all.next().expect("the length was checked"))
    }
}

impl<N, const LEN: usize> Planes<N> for [N; LEN] {
    const LEN: usize = LEN;

    #[inline(always)]
    fn from_fn(plane: impl FnMut(usize) -> N) -> Self {
        std::array::from_fn(plane)
    }

    #[inline(always)]
    fn for_each(self, mut plane: impl FnMut(usize, N)) {
        for (index, value) in self.into_iter().enumerate() {
            plane(index, value);
        }
    }

    #[inline(always)]
    fn map(self, function: impl FnMut(N) -> N) -> Self {
        <[N; LEN]>::map(self, function)
    }
}

/// Declares a struct of planes with names.
macro_rules! planes {
    ($(#[$meta:meta])* pub struct $Name:ident { $($(#[$field_meta:meta])* $field:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $Name<N> { $($(#[$field_meta])* pub $field: N),* }

        impl<N> $crate::planes::Planes<N> for $Name<N> {
            const LEN: usize = [$(stringify!($field)),*].len();

            #[inline(always)]
            fn from_fn(mut plane: impl FnMut(usize) -> N) -> Self {
                let mut index = 0..;
                let mut next = || plane(index.next().expect("counts without end"));
                Self { $($field: next()),* }
            }

            #[inline(always)]
            fn for_each(self, mut plane: impl FnMut(usize, N)) {
                let mut index = 0..;
                let mut next = |value| plane(index.next().expect("counts without end"), value);
                $(next(self.$field);)*
            }
        }
    };
}
pub(crate) use planes;

#[cfg(test)]
mod tests {
    use super::*;

    planes! {
        /// Two.
        pub struct Pair {
            /// First.
            a,
            /// Second.
            b,
        }
    }

    #[test]
    fn planes_keep_their_order() {
        let pair = Pair::from_vec(vec![1, 2]);
        assert_eq!((pair.a, pair.b, Pair::<i32>::LEN), (1, 2, 2));
        assert_eq!(pair.into_vec(), [1, 2]);
        assert_eq!(<[i32; 3]>::from_vec(vec![4, 5, 6]).into_vec(), [4, 5, 6]);
    }
}
