//! Matrices of f64 in plain memory, and their products on a device.

use burn::Tensor;
use burn::tensor::{DType, Device, TensorData};

/// A matrix of f64, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    /// The identity.
    pub fn identity(size: usize) -> Self {
        Self::from_fn(size, size, |row, column| if row == column { 1.0 } else { 0.0 })
    }

    /// A matrix from its entries, which are asked for row by row.
    pub fn from_fn(
        rows: usize,
        columns: usize,
        mut entry: impl FnMut(usize, usize) -> f64,
    ) -> Self {
        let mut values = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            values.extend((0..columns).map(|column| entry(row, column)));
        }
        Self { rows, columns, values }
    }

    /// A matrix from its values in row-major order.
    ///
    /// # Panics
    ///
    /// If there are not `rows · columns` values.
    pub fn from_values(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), rows * columns, "{rows} x {columns} numbers");
        Self { rows, columns, values }
    }

    /// A tensor's values, in f64.
    pub fn from_tensor(tensor: Tensor<2>) -> Self {
        let [rows, columns] = tensor.dims();
        let data = tensor.into_data().convert::<f64>();
        let values = data.try_into_vec().expect("converted to f64");
        Self { rows, columns, values }
    }

    /// As a tensor in f64.
    fn into_tensor(self, device: &Device) -> Tensor<2> {
        let data = TensorData::new(self.values, [self.rows, self.columns]);
        Tensor::from_data(data, (device, DType::F64))
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The values, row by row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values, row by row, to be changed.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// A row, to be changed.
    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// One row to be changed, and another to be read.
    pub(crate) fn row_pair(&mut self, changed: usize, read: usize) -> (&mut [f64], &[f64]) {
        assert!(read < changed, "the row that is read comes first");
        let (before, after) = self.values.split_at_mut(changed * self.columns);
        (&mut after[..self.columns], &before[read * self.columns..(read + 1) * self.columns])
    }

    /// Three rows from a row on, to be changed.
    pub(crate) fn three_rows(&mut self, first: usize) -> [&mut [f64]; 3] {
        let rows = &mut self.values[first * self.columns..(first + 3) * self.columns];
        let (a, rest) = rows.split_at_mut(self.columns);
        let (b, c) = rest.split_at_mut(self.columns);
        [a, b, c]
    }

    /// These rows, as a matrix.
    pub fn rows_of(&self, rows: std::ops::Range<usize>) -> Self {
        let values = self.values[rows.start * self.columns..rows.end * self.columns].to_vec();
        Self { rows: rows.len(), columns: self.columns, values }
    }

    /// These columns, as a matrix.
    pub fn columns_of(&self, columns: std::ops::Range<usize>) -> Self {
        let mut values = Vec::with_capacity(self.rows * columns.len());
        for row in 0..self.rows {
            values.extend_from_slice(&self.row(row)[columns.clone()]);
        }
        Self { rows: self.rows, columns: columns.len(), values }
    }

    /// Writes a matrix of the same rows over columns of this one.
    pub fn set_columns(&mut self, first: usize, from: &Self) {
        for row in 0..self.rows {
            self.row_mut(row)[first..first + from.columns].copy_from_slice(from.row(row));
        }
    }

    /// The mean of the rows.
    pub(crate) fn mean_row(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.columns];
        for row in 0..self.rows {
            add_scaled(&mut mean, 1.0 / self.rows as f64, self.row(row));
        }
        mean
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        Self::from_fn(self.columns, self.rows, |row, column| {
            self.values[column * self.columns + row]
        })
    }
}

/// The right factor of many products, kept on a device.
#[derive(Clone, Debug)]
pub struct Factor {
    device: Device,
    /// Transposed in memory, because the product reads it in that order, and need not copy it.
    transposed: Tensor<2>,
}

impl Factor {
    /// A matrix with a row for each output, as the weights of a layer are.
    pub fn new(matrix: &Matrix, device: &Device) -> Self {
        Self { device: device.clone(), transposed: matrix.transposed().into_tensor(device) }
    }

    /// `rows · Aᵀ`: the product of the matrix `A` with each of the rows.
    pub fn times(&self, rows: Matrix) -> Matrix {
        Matrix::from_tensor(rows.into_tensor(&self.device).matmul(self.transposed.clone()))
    }

    /// `rows · A`: the product of the transposed matrix with each of the rows.
    pub fn back(&self, rows: Matrix) -> Matrix {
        let plain = self.transposed.clone().transpose();
        Matrix::from_tensor(rows.into_tensor(&self.device).matmul(plain))
    }
}

/// `rows -= (rows · Qᵀ) · Q`: what is left of the rows without their components along the orthonormal rows of `Q`.
pub(crate) fn subtract_projections(rows: &mut Matrix, basis: &Matrix, device: &Device) {
    let q = basis.clone().into_tensor(device);
    let components = rows.clone().into_tensor(device).matmul(q.clone().transpose());
    let along = Matrix::from_tensor(components.matmul(q));
    rows.values.iter_mut().zip(&along.values).for_each(|(x, along)| *x -= along);
}

/// `Σ a b`, in eight sums side by side, which the compiler computes in registers.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// `y += factor · x`
pub(crate) fn add_scaled(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}
