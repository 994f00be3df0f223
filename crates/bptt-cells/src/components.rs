//! A fixed number of values that belong together: gates, memories, saved values.

/// A fixed number of values that belong together: for a layer, each component is `[B, H]`.
///
/// Arrays and the `Saved` structs of the cells implement this trait. So code that stores a trace can handle them as a
/// list, without their names.
pub trait Components<N>: Sized {
    /// How many there are.
    const LEN: usize;

    /// Makes the components in order, by their index.
    fn from_fn(component: impl FnMut(usize) -> N) -> Self;

    /// Calls a function with each component in order, with its index.
    fn for_each(self, component: impl FnMut(usize, N));

    /// Applies a function to each component.
    #[inline(always)]
    fn map(self, function: impl FnMut(N) -> N) -> Self {
        Self::from_vec(self.into_vec().into_iter().map(function).collect())
    }

    /// The components as a list, in order.
    fn into_vec(self) -> Vec<N> {
        let mut all = Vec::with_capacity(Self::LEN);
        self.for_each(|_, component| all.push(component));
        all
    }

    /// The components from a list.
    ///
    /// # Panics
    ///
    /// If the list is not [`LEN`](Self::LEN) long.
    fn from_vec(all: Vec<N>) -> Self {
        assert_eq!(all.len(), Self::LEN, "a list of components of the wrong length");
        let mut all = all.into_iter();
        Self::from_fn(|_| all.next().expect("the length was checked"))
    }
}

impl<N, const LEN: usize> Components<N> for [N; LEN] {
    const LEN: usize = LEN;

    #[inline(always)]
    fn from_fn(component: impl FnMut(usize) -> N) -> Self {
        std::array::from_fn(component)
    }

    #[inline(always)]
    fn for_each(self, mut component: impl FnMut(usize, N)) {
        for (index, value) in self.into_iter().enumerate() {
            component(index, value);
        }
    }

    #[inline(always)]
    fn map(self, function: impl FnMut(N) -> N) -> Self {
        <[N; LEN]>::map(self, function)
    }
}

/// Declares a struct of components with names.
macro_rules! components {
    ($(#[$meta:meta])* pub struct $Name:ident { $($(#[$field_meta:meta])* $field:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $Name<N> { $($(#[$field_meta])* pub $field: N),* }

        impl<N> $crate::components::Components<N> for $Name<N> {
            const LEN: usize = [$(stringify!($field)),*].len();

            #[inline(always)]
            fn from_fn(mut component: impl FnMut(usize) -> N) -> Self {
                let mut index = 0..;
                let mut next = || component(index.next().expect("counts without end"));
                Self { $($field: next()),* }
            }

            #[inline(always)]
            fn for_each(self, mut component: impl FnMut(usize, N)) {
                let mut index = 0..;
                let mut next = |value| component(index.next().expect("counts without end"), value);
                $(next(self.$field);)*
            }
        }
    };
}
pub(crate) use components;

#[cfg(test)]
mod tests {
    use super::*;

    components! {
        /// Two.
        pub struct Pair {
            /// First.
            a,
            /// Second.
            b,
        }
    }

    #[test]
    fn components_keep_their_order() {
        let pair = Pair::from_vec(vec![1, 2]);
        assert_eq!((pair.a, pair.b, Pair::<i32>::LEN), (1, 2, 2));
        assert_eq!(pair.into_vec(), [1, 2]);
        assert_eq!(<[i32; 3]>::from_vec(vec![4, 5, 6]).into_vec(), [4, 5, 6]);
    }
}
