//! A tensor as it is in a file: a type, a shape, bytes.

use burn::tensor::{BoolStore, DType, TensorData};
use safetensors::Dtype;

/// The type of a tensor's elements, little-endian in every file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // Their names say what they are.
pub enum Element {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

impl Element {
    const ALL: [Self; 13] = [
        Self::Bool,
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::U64,
        Self::I64,
        Self::F16,
        Self::BF16,
        Self::F32,
        Self::F64,
    ];

    /// The name in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Bytes of one element.
    pub fn width(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether it can be a layer's parameter.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// The same type in Burn.
    pub fn dtype(self) -> DType {
        match self {
            Self::Bool => DType::Bool(BoolStore::Native),
            Self::U8 => DType::U8,
            Self::I8 => DType::I8,
            Self::U16 => DType::U16,
            Self::I16 => DType::I16,
            Self::U32 => DType::U32,
            Self::I32 => DType::I32,
            Self::U64 => DType::U64,
            Self::I64 => DType::I64,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }

    pub(crate) fn of_burn(dtype: DType) -> Result<Self, String> {
        let of = Self::ALL.into_iter().find(|element| element.dtype() == dtype);
        of.ok_or_else(|| format!("the type {dtype:?} is not supported"))
    }

    pub(crate) fn safetensors(self) -> Dtype {
        match self {
            Self::Bool => Dtype::BOOL,
            Self::U8 => Dtype::U8,
            Self::I8 => Dtype::I8,
            Self::U16 => Dtype::U16,
            Self::I16 => Dtype::I16,
            Self::U32 => Dtype::U32,
            Self::I32 => Dtype::I32,
            Self::U64 => Dtype::U64,
            Self::I64 => Dtype::I64,
            Self::F16 => Dtype::F16,
            Self::BF16 => Dtype::BF16,
            Self::F32 => Dtype::F32,
            Self::F64 => Dtype::F64,
        }
    }

    pub(crate) fn of_safetensors(dtype: Dtype) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.safetensors() == dtype)
    }
}

/// A tensor as a file has it, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    element: Element,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    /// Makes an array of this type and shape.
    ///
    /// # Errors
    ///
    /// If there are more or fewer bytes than the shape needs.
    pub fn new(element: Element, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Self, String> {
        let needed = shape
            .iter()
            .try_fold(element.width(), |product, &size| product.checked_mul(size))
            .ok_or_else(|| format!("the shape {shape:?} is absurd"))?;
        if needed != bytes.len() {
            return Err(format!(
                "{} of shape {shape:?} has {} bytes, and needs {needed}",
                element.name(),
                bytes.len()
            ));
        }
        Ok(Self { element, shape, bytes })
    }

    /// The type of its elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements one after the other, the last dimension fastest, little-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Zeros, which have the same bits in every type.
    pub(crate) fn zeros(element: Element, shape: &[usize]) -> Self {
        let bytes = vec![0; shape.iter().product::<usize>() * element.width()];
        Self { element, shape: shape.to_vec(), bytes }
    }

    /// Its numbers as f64. The type has to be a float type.
    pub(crate) fn to_f64(&self) -> Vec<f64> {
        let (shape, dtype) = (self.shape.clone(), self.element.dtype());
        TensorData::from_bytes_vec(self.bytes.clone(), shape, dtype).iter::<f64>().collect()
    }

    /// Numbers rounded to a float type.
    pub(crate) fn of_f64(
        element: Element,
        shape: Vec<usize>,
        values: Vec<f64>,
    ) -> Result<Self, String> {
        let count = values.len();
        let data = TensorData::new(values, [count]).convert_dtype(element.dtype());
        Self::new(element, shape, data.into_bytes().to_vec())
    }

    /// The same bytes in another shape with as many elements.
    pub(crate) fn reshaped(mut self, shape: &[usize]) -> Self {
        assert_eq!(self.shape.iter().product::<usize>(), shape.iter().product::<usize>());
        self.shape = shape.to_vec();
        self
    }

    /// Some columns of a matrix.
    pub(crate) fn columns(&self, from: usize, count: usize) -> Self {
        let &[rows, all] = &self.shape[..] else { panic!("a matrix, not {:?}", self.shape) };
        let width = self.element.width();
        let row = |k: usize| &self.bytes[(k * all + from) * width..][..count * width];
        let bytes = (0..rows).flat_map(row).copied().collect();
        Self { element: self.element, shape: vec![rows, count], bytes }
    }

    /// `[m, n] -> [n, m]`
    pub(crate) fn transposed(&self) -> Self {
        let &[m, n] = &self.shape[..] else { panic!("a matrix, not {:?}", self.shape) };
        let width = self.element.width();
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for j in 0..n {
            for i in 0..m {
                let at = (i * n + j) * width;
                bytes.extend_from_slice(&self.bytes[at..at + width]);
            }
        }
        Self { element: self.element, shape: vec![n, m], bytes }
    }

    /// The same blocks of the first dimension in another order: block `k` of the result is block `order[k]` of this
    /// array. All blocks have the same size.
    pub(crate) fn blocks(&self, order: &[usize]) -> Self {
        let block = self.bytes.len() / order.len();
        let bytes = order.iter().flat_map(|&k| &self.bytes[k * block..(k + 1) * block]);
        Self { element: self.element, shape: self.shape.clone(), bytes: bytes.copied().collect() }
    }

    /// Row `k` of the first dimension.
    pub(crate) fn row(&self, k: usize) -> Self {
        let row = self.bytes.len() / self.shape[0];
        let bytes = self.bytes[k * row..(k + 1) * row].to_vec();
        Self { element: self.element, shape: self.shape[1..].to_vec(), bytes }
    }

    /// Concatenates arrays of one type along the first dimension.
    pub(crate) fn stacked(arrays: &[Self]) -> Self {
        let mut shape = arrays[0].shape.clone();
        shape[0] = arrays.iter().map(|array| array.shape[0]).sum();
        let bytes = arrays.iter().flat_map(|array| &array.bytes).copied().collect();
        Self { element: arrays[0].element, shape, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[u8], shape: &[usize]) -> Array {
        Array::new(Element::U8, shape.to_vec(), values.to_vec()).unwrap()
    }

    #[test]
    fn arrays_are_turned_and_put_together() {
        let a = bytes(&[1, 2, 3, 4, 5, 6], &[2, 3]);
        assert_eq!(a.transposed(), bytes(&[1, 4, 2, 5, 3, 6], &[3, 2]));
        assert_eq!(a.blocks(&[1, 0]), bytes(&[4, 5, 6, 1, 2, 3], &[2, 3]));
        assert_eq!(a.row(1), bytes(&[4, 5, 6], &[3]));
        let b = bytes(&[7, 8, 9], &[1, 3]);
        assert_eq!(Array::stacked(&[a, b]), bytes(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[3, 3]));
    }

    #[test]
    fn sizes_have_to_fit() {
        assert!(Array::new(Element::F32, vec![2], vec![0; 7]).unwrap_err().contains("needs 8"));
        let absurd = Array::new(Element::F32, vec![usize::MAX, 2], vec![]);
        assert!(absurd.unwrap_err().contains("absurd"));
    }
}
