//! Where the columns of planes are in a row.

/// The columns of some planes in a row: of each plane those that fill whole panels, then of each what is left
/// over. What is left of one plane lies beside what is left of the next, and is multiplied together with it:
/// no panel of a product is mostly empty, and no column is there for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// How many are in whole panels,
    pub(crate) whole: usize,
    /// how many are left over,
    pub(crate) rest: usize,
    /// and from the first of those to the first of these.
    pub(crate) rest_at: usize,
    /// Whether what is behind the last may be overwritten, to the end of a register.
    pub(crate) padded: bool,
}

impl Columns {
    /// So many, one beside the other, in panels of `panel`.
    pub(crate) fn plain(count: usize, panel: usize) -> Self {
        let whole = count - count % panel;
        Self { whole, rest: count - whole, rest_at: whole, padded: false }
    }

    /// Where rows are padded.
    pub(crate) fn padded(self) -> Self {
        Self { padded: true, ..self }
    }

    /// None at all.
    pub(crate) fn none() -> Self {
        Self::plain(0, 1)
    }

    pub(crate) fn count(&self) -> usize {
        self.whole + self.rest
    }

    /// How many panels they fill, or begin to fill.
    pub(crate) fn panels(&self, panel: usize) -> usize {
        self.whole / panel + self.rest.div_ceil(panel)
    }

    /// Where column `index` is, and how many there are from it on without a gap.
    #[inline(always)]
    pub(crate) fn from(&self, index: usize) -> (usize, usize) {
        match index < self.whole {
            true if self.rest_at != self.whole => (index, self.whole - index),
            true => (index, self.count() - index),
            false => (self.rest_at + (index - self.whole), self.count() - index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_panels_and_beside_each_other() {
        let columns = Columns { whole: 32, rest: 12, rest_at: 70, padded: false };
        assert_eq!((columns.count(), columns.panels(16)), (44, 3));
        assert_eq!([0, 16, 31].map(|index| columns.from(index)), [(0, 32), (16, 16), (31, 1)]);
        assert_eq!([32, 40].map(|index| columns.from(index)), [(70, 12), (78, 4)]);
        let columns = Columns::plain(37, 16);
        assert_eq!([columns.whole, columns.rest, columns.rest_at], [32, 5, 32]);
        assert_eq!([0, 16, 33].map(|index| columns.from(index)), [(0, 37), (16, 21), (33, 4)]);
        assert_eq!(Columns::none().panels(16), 0);
    }
}
