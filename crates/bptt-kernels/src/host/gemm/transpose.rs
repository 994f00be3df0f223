//! Transposed copies.

/// How many rows and columns are copied at once: so few that they stay in registers.
const TILE: usize = 4;

/// How many columns are copied before the next ones: their lines in `to` stay in the first-level cache.
const COLUMNS: usize = 16;

/// Copies a matrix, transposed: element `[r, c]` to `[c, r]`.
///
/// # Arguments
///
/// - `from`, `to`: the matrices, each from its first element on, and the distance from one row to the next
/// - `sizes`: how many rows and columns `from` has
///
/// # Panics
///
/// If an element is not inside of its slice.
pub(crate) fn transpose<T: Copy>(
    (from, from_row): (&[T], usize),
    (to, to_row): (&mut [T], usize),
    [rows, columns]: [usize; 2],
) {
    let whole = rows - rows % TILE;
    for first in (0..columns).step_by(COLUMNS) {
        let end = columns.min(first + COLUMNS);
        for r in (0..whole).step_by(TILE) {
            let mut c = first;
            while c + TILE <= end {
                let tile: [[T; TILE]; TILE] = std::array::from_fn(|i| {
                    let at = (r + i) * from_row + c;
                    from[at..][..TILE].try_into().expect("as many elements")
                });
                for j in 0..TILE {
                    let to = &mut to[(c + j) * to_row + r..][..TILE];
                    to.copy_from_slice(&[tile[0][j], tile[1][j], tile[2][j], tile[3][j]]);
                }
                c += TILE;
            }
            for c in c..end {
                for r in r..r + TILE {
                    to[c * to_row + r] = from[r * from_row + c];
                }
            }
        }
        for r in whole..rows {
            for c in first..end {
                to[c * to_row + r] = from[r * from_row + c];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_copied_once() {
        for (rows, columns) in [(1, 1), (3, 40), (4, 4), (7, 33), (9, 16), (32, 5), (0, 3)] {
            let (from_row, to_row) = (columns + 2, rows + 1);
            let from: Vec<_> = (0..rows * from_row).collect();
            let mut to = vec![usize::MAX; columns * to_row];
            transpose((&from, from_row), (&mut to, to_row), [rows, columns]);
            for (c, row) in to.chunks_exact(to_row).enumerate() {
                let expected = (0..rows).map(|r| r * from_row + c).chain([usize::MAX]);
                assert!(row.iter().copied().eq(expected), "{rows} {columns}: {c}");
            }
        }
    }
}
