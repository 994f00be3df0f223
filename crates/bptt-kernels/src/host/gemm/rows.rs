//! Where the rows of a matrix lie that a product reads or writes.

/// Rows of a matrix in memory, in groups (the rows of one time step).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// The index of each row, in units of `row`; `None` if the rows are regular.
    table: Option<&'a [usize]>,
    /// The distance from one row's entry in that list to the next.
    every: usize,
    /// How many rows a group has.
    per_group: usize,
    /// The distance from one group to the next; negative if the layer runs from the last step to the first.
    group: isize,
    /// The distance from one row to the next.
    pub(crate) row: usize,
}

impl<'a> Rows<'a> {
    /// Rows one after the other.
    pub(crate) fn plain(row: usize) -> Self {
        Self::groups(usize::MAX, 0, row)
    }

    /// Groups of rows.
    pub(crate) fn groups(per_group: usize, group: isize, row: usize) -> Self {
        Self { table: None, every: 1, per_group, group, row }
    }

    /// Any rows.
    pub(crate) fn listed(table: &'a [usize], row: usize) -> Self {
        Self { table: Some(table), ..Self::plain(row) }
    }

    /// The listed rows, or all if there is no list.
    pub(crate) fn of(table: Option<&'a [usize]>, row: usize) -> Self {
        Self { table, ..Self::plain(row) }
    }

    /// The first of each two rows.
    pub(crate) fn firsts(self) -> Self {
        match self.table {
            Some(_) => Self { every: 2 * self.every, ..self },
            None => Self { per_group: self.per_group / 2, row: 2 * self.row, ..self },
        }
    }

    /// Where some successive rows lie, from row `first` on.
    #[inline(always)]
    pub(crate) fn offsets<const R: usize>(&self, first: usize) -> [isize; R] {
        let mut offsets = [0; R];
        if let Some(table) = self.table {
            for (r, offset) in offsets.iter_mut().enumerate() {
                *offset = (table[(first + r) * self.every] * self.row) as isize;
            }
            return offsets;
        }
        // One division for all rows, and none in the first group.
        let (mut group, mut index) = (0, first);
        if first >= self.per_group {
            (group, index) = (first / self.per_group, first % self.per_group);
        }
        let begin = |group: usize| (group as isize).wrapping_mul(self.group);
        // Mostly all are in one group. Then there is no check for each row, because a tile has little else to do.
        if R <= self.per_group - index {
            let begin = begin(group).wrapping_add((index * self.row) as isize);
            for (r, offset) in offsets.iter_mut().enumerate() {
                *offset = begin.wrapping_add(r.wrapping_mul(self.row) as isize);
            }
            return offsets;
        }
        for offset in &mut offsets {
            *offset = begin(group).wrapping_add((index * self.row) as isize);
            index += 1;
            if index == self.per_group {
                (group, index) = (group + 1, 0);
            }
        }
        offsets
    }
}
