//! Pictures in the files of MNIST.
//!
//! Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition", Proceedings of the
//! IEEE 86 (1998). The form of the files (IDX): a number that says what it is, the sizes, 32 bits each with the highest byte first, and
//! then a byte for each pixel or label. Fashion-MNIST and others have the same form.

use crate::error::Error;
use crate::read;
use std::path::{Path, PathBuf};

/// The side of a picture.
pub(super) const SIDE: usize = 28;
/// The longest file that is read (256 MiB).
const LONGEST_FILE: u64 = 1 << 28;
/// The first numbers of a file with pictures and of one with labels: bytes in three dimensions and in one.
const PICTURES: u32 = 0x0803;
const LABELS: u32 = 0x0801;
/// How many labels there are.
const CLASSES: u8 = 10;

/// Pictures with their digits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pictures {
    /// The pixels of each, row by row: 0 to 255.
    pub(super) pixels: Vec<Vec<u8>>,
    pub(super) digits: Vec<u8>,
}

/// The pictures for training and those for the test, from the four files in a folder.
///
/// # Errors
///
/// The first file that is missing or is not what it should be.
pub(super) fn read(folder: &Path) -> Result<[Pictures; 2], Error> {
    Ok([part(folder, "train")?, part(folder, "t10k")?])
}

fn part(folder: &Path, name: &str) -> Result<Pictures, Error> {
    let path = find(folder, name, "images", 3)?;
    let (sizes, bytes) = parsed(&path, PICTURES, 3)?;
    let [count, rows, columns] = sizes[..] else { unreachable!("three sizes") };
    if [rows, columns] != [SIDE; 2] {
        return Err(wrong(
            &path,
            format!("pictures of {rows}x{columns} pixels, expected {SIDE}x{SIDE}"),
        ));
    }
    let pixels: Vec<Vec<u8>> = bytes.chunks(SIDE * SIDE).map(<[u8]>::to_vec).collect();
    let path = find(folder, name, "labels", 1)?;
    let (sizes, digits) = parsed(&path, LABELS, 1)?;
    if sizes != [count] {
        return Err(wrong(&path, format!("{} labels for {count} pictures", sizes[0])));
    }
    if let Some(at) = digits.iter().position(|digit| *digit >= CLASSES) {
        let digit = digits[at];
        return Err(wrong(
            &path,
            format!("label {at} is {digit}, and has to be 0 to {}", CLASSES - 1),
        ));
    }
    Ok(Pictures { pixels, digits })
}

/// The path of a file, which has one of two names.
fn find(folder: &Path, part: &str, what: &str, dimensions: usize) -> Result<PathBuf, Error> {
    let names = ["-", "."].map(|sign| format!("{part}-{what}{sign}idx{dimensions}-ubyte"));
    let paths = names.clone().map(|name| folder.join(name));
    if let Some(path) = paths.iter().find(|path| path.is_file()) {
        return Ok(path.clone());
    }
    let zipped = names.iter().map(|name| folder.join(format!("{name}.gz"))).find(|p| p.is_file());
    Err(match zipped {
        Some(path) => {
            wrong(&path, "compressed files are not read; unpack it with gunzip".to_string())
        }
        None => wrong(
            folder,
            format!("no file {}; give the folder with the four files of MNIST", names[0]),
        ),
    })
}

/// The sizes in the head of a file, and the bytes after it.
fn parsed(path: &Path, kind: u32, dimensions: usize) -> Result<(Vec<usize>, Vec<u8>), Error> {
    let mut bytes = read::file(path, LONGEST_FILE)?;
    let number = |k: usize| {
        let four = bytes.get(4 * k..4 * k + 4)?;
        Some(u32::from_be_bytes(four.try_into().expect("four bytes")))
    };
    match number(0) {
        Some(found) if found == kind => {}
        Some(found) => {
            let why =
                format!("begins with {found:#010x}, and a file of this kind with {kind:#010x}");
            return Err(wrong(path, why));
        }
        None => return Err(wrong(path, "shorter than its first number".to_string())),
    }
    let sizes = (1..=dimensions).map(|k| number(k).map(|size| size as usize));
    let Some(sizes) = sizes.collect::<Option<Vec<_>>>() else {
        return Err(wrong(path, "ends before its sizes".to_string()));
    };
    let content = bytes.split_off(4 * (dimensions + 1));
    let expected = sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    if expected != Some(content.len()) {
        let product = sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        return Err(wrong(path, format!("{} bytes for {product}", content.len())));
    }
    Ok((sizes, content))
}

fn wrong(path: &Path, why: String) -> Error {
    Error::input(format!("{}: {why}", path.display()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file of this kind.
    fn file(kind: u32, sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
        let head = [kind].into_iter().chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
        head.chain(bytes.iter().copied()).collect()
    }

    /// Writes the four files with so many pictures: picture `k` is of digit `k % 10`, and all its pixels are `k`.
    pub(in crate::tasks::digits) fn write(folder: &Path, counts: [u32; 2]) {
        for (name, count) in ["train", "t10k"].into_iter().zip(counts) {
            let pixels: Vec<u8> = (0..count).flat_map(|k| [k as u8; SIDE * SIDE]).collect();
            let digits: Vec<u8> = (0..count).map(|k| (k % 10) as u8).collect();
            let images = file(PICTURES, &[count, SIDE as u32, SIDE as u32], &pixels);
            std::fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
            let labels = file(LABELS, &[count], &digits);
            std::fs::write(folder.join(format!("{name}-labels.idx1-ubyte")), labels).unwrap();
        }
    }

    #[test]
    fn pictures_are_those_of_the_files_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = || read(folder.path()).unwrap_err().to_string();
        assert!(message().contains("no file train-images-idx3-ubyte"), "{}", message());
        let images = folder.path().join("train-images-idx3-ubyte");
        std::fs::write(images.with_extension("gz"), "").unwrap();
        assert!(message().contains("unpack it with gunzip"), "{}", message());

        write(folder.path(), [12, 3]);
        let [train, test] = read(folder.path()).unwrap();
        assert_eq!((train.pixels.len(), test.pixels.len()), (12, 3));
        assert_eq!((train.pixels[11][0], train.digits[11]), (11, 1));

        for (bytes, expected) in [
            (vec![0, 0], "shorter than its first number"),
            (file(LABELS, &[1], &[1]), "begins with 0x00000801"),
            (file(PICTURES, &[1], &[]), "ends before its sizes"),
            (file(PICTURES, &[1, 2, 2], &[0; 4]), "pictures of 2x2 pixels, expected 28x28"),
            (file(PICTURES, &[2, 28, 28], &[0; 784]), "784 bytes for 2x28x28"),
            (file(PICTURES, &[u32::MAX; 3], &[0; 4]), "4 bytes for"),
            (file(PICTURES, &[1, 28, 28], &[0; 784]), "12 labels for 1 pictures"),
        ] {
            std::fs::write(&images, bytes).unwrap();
            assert!(message().contains(expected), "{}", message());
            assert_eq!(message().lines().count(), 1);
        }
        write(folder.path(), [1, 1]);
        let labels = folder.path().join("t10k-labels.idx1-ubyte");
        std::fs::write(labels, file(LABELS, &[1], &[10])).unwrap();
        assert!(message().contains("label 0 is 10"), "{}", message());
    }
}
