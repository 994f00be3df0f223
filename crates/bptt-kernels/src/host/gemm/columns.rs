//! Where the columns of the planes lie in a row.

/// The columns of some planes in a row. First come, plane by plane, the columns that fill whole panels; then, plane by
/// plane, the remaining columns. The remaining columns of all planes lie side by side, and one product computes them
/// together. So a product has at most one panel that is not full, and no column is padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// How many columns of a plane are in whole panels.
    pub(crate) whole: usize,
    /// How many columns of a plane remain.
    pub(crate) rest: usize,
    /// The distance from its first column in whole panels to its first remaining column.
    pub(crate) rest_at: usize,
    /// Whether columns behind the last one may be overwritten, up to a whole SIMD vector.
    pub(crate) padded: bool,
}

impl Columns {
    /// This many columns side by side, in panels of `panel` columns.
    pub(crate) fn plain(count: usize, panel: usize) -> Self {
        let whole = count - count % panel;
        Self { whole, rest: count - whole, rest_at: whole, padded: false }
    }

    /// The columns of rows that are padded.
    pub(crate) fn padded(self) -> Self {
        Self { padded: true, ..self }
    }

    /// No columns.
    pub(crate) fn none() -> Self {
        Self::plain(0, 1)
    }

    pub(crate) fn count(&self) -> usize {
        self.whole + self.rest
    }

    /// How many panels they need.
    pub(crate) fn panels(&self, panel: usize) -> usize {
        self.whole / panel + self.rest.div_ceil(panel)
    }

    /// Where column `index` lies, and how many columns follow it without a gap, with itself.
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
