//! Fuzzes without a fuzzer: changes the files of the corpus at random, for some seconds.
//!
//! `cargo run --release --example mutate -- SECONDS [SEED]`
//!
//! A file that panics is left as `crash-FORMAT`. One that makes its reader take more memory than a
//! multiple of its own length ends the run, too.

use bptt_zoo::weights::{BURNPACK, PYTORCH, SAFETENSORS};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};
use std::alloc::System;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[global_allocator]
static MEMORY: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a reader may take: a fixed amount, and so many bytes for each of the file.
const FIXED: usize = 1 << 20;
const PER_BYTE: usize = 60;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    /// One change; numbers that sizes are likely to break at come often.
    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.below(256) as u8),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            // A piece of another file, or of this one.
            3 if !other.is_empty() => {
                let from = self.below(other.len());
                let length = self.below(64).min(other.len() - from);
                let end = (at + length).min(bytes.len());
                bytes.splice(at..end, other[from..from + length].iter().copied());
            }
            4 if at + 8 <= bytes.len() => {
                let numbers = [0, u64::MAX, 1 << 63, 1 << 32, u64::from(u32::MAX), 1 << 40];
                let number = numbers[self.below(6)].to_le_bytes();
                let width = [2, 4, 8][self.below(3)];
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            _ if at < bytes.len() => {
                bytes[at] = match self.below(4) {
                    0 => 0,
                    1 => 0xff,
                    2 => bytes[at] ^ (1 << self.below(8)),
                    _ => self.below(256) as u8,
                }
            }
            _ => {}
        }
    }
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(60);
    let seed = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut random = Random(seed);
    for (format, name) in
        [(PYTORCH, "pytorch"), (SAFETENSORS, "safetensors"), (BURNPACK, "burnpack")]
    {
        let mut seeds = seeds(&corpus.join(name));
        for folder in ["zoo/weights", "cases/weights"] {
            let tests = corpus.join("../../crates/bptt-zoo/tests").join(folder);
            seeds.extend(self::seeds(&tests));
        }
        let until = Instant::now() + Duration::from_secs(seconds) / 3;
        let (mut count, mut most) = (0u64, 0.0f64);
        while Instant::now() < until {
            let mut bytes = seeds[random.below(seeds.len())].clone();
            let other = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(6) {
                random.change(&mut bytes, &other);
            }
            MEMORY.reset_peak_memory();
            let before = MEMORY.get_peak_memory();
            let done =
                std::panic::catch_unwind(AssertUnwindSafe(|| bptt_fuzz::read(format, &bytes)));
            let taken = MEMORY.get_peak_memory().saturating_sub(before);
            let allowed = FIXED + PER_BYTE * bytes.len();
            most = most.max(taken as f64 / allowed as f64);
            if done.is_err() || taken > allowed {
                let path = format!("crash-{name}");
                std::fs::write(&path, &bytes).expect("the folder can be written");
                println!("{path}: {taken} bytes of memory for a file of {}", bytes.len());
                std::process::exit(1);
            }
            count += 1;
        }
        println!("{name}: {count} files, at most {:.0} % of the memory allowed", most * 100.0);
    }
}
