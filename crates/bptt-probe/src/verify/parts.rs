//! Cells side by side, one on each core.

use crate::report::Row;
use crate::ulp::Ulps;
use crate::verify::in_turn::{self, Progress};
use crate::verify::session::Verification;
use crate::verify::witness::Request;
use bptt::LayerKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// What a thread tells.
enum News {
    /// How far a cell is.
    Progress(usize, String, Progress),
    /// The results of a cell.
    Done(usize, Box<Result<Verification, String>>),
}

/// Verifies each cell by itself, several at the same time.
pub(super) fn verify(
    request: &Request,
    progress: &mut dyn FnMut(&str, Progress),
) -> Result<Verification, String> {
    let kinds = LayerKind::all();
    let count = thread::available_parallelism().map_or(1, usize::from).min(kinds.len());
    let next = AtomicUsize::new(0);
    let mut results: Vec<_> = kinds.iter().map(|_| None).collect();
    let (to, news) = channel();
    thread::scope(|scope| {
        for _ in 0..count {
            let (to, next, kinds) = (to.clone(), &next, &kinds);
            scope.spawn(move || work(request, kinds, next, &to));
        }
        // The threads' own ends are the last: the loop ends with them.
        drop(to);
        let mut compared = vec![0; kinds.len()];
        let mut done = vec![0; kinds.len()];
        for news in news {
            match news {
                News::Progress(k, device, of_cell) => {
                    (compared[k], done[k]) = (of_cell.compared, of_cell.done);
                    let (compared, done) = (compared.iter().sum(), done.iter().sum());
                    let total = of_cell.total * kinds.len();
                    progress(&device, Progress { compared, done, total, ..of_cell });
                }
                News::Done(k, result) => {
                    if let Ok(found) = &*result {
                        compared[k] = found.rows.len();
                        done[k] = request.devices.len() * request.dtypes.len();
                    }
                    results[k] = Some(*result);
                }
            }
        }
    });
    // A thread that panicked has panicked here, too, when the scope ended.
    let results = results.into_iter().map(|result| result.expect("each cell was verified"));
    let parts = results.collect::<Result<Vec<_>, _>>()?;
    Ok(joined(request, parts))
}

/// Verifies one cell after the other, as long as there are some.
fn work(request: &Request, kinds: &[LayerKind], next: &AtomicUsize, to: &Sender<News>) {
    loop {
        let k = next.fetch_add(1, Ordering::Relaxed);
        let Some(&kind) = kinds.get(k) else { return };
        let request = Request { cell: Some(kind), ..request.clone() };
        let mut tell = |device: &str, progress| {
            let _ = to.send(News::Progress(k, device.to_string(), progress));
        };
        let result = in_turn::verify(&request, &mut tell);
        if to.send(News::Done(k, Box::new(result))).is_err() {
            return;
        }
    }
}

/// The results as if one cell after the other had been verified.
fn joined(request: &Request, parts: Vec<Verification>) -> Verification {
    let mut whole = Verification::default();
    for part in parts {
        whole.rows.extend(part.rows);
        whole.conditions.extend(part.conditions);
        part.skipped.into_iter().for_each(|left_out| left_out.add_to(&mut whole.skipped));
        for line in part.broken {
            if !whole.broken.contains(&line) {
                whole.broken.push(line);
            }
        }
        for Ulps { way, errors, worst, at } in part.ulps {
            let all = Ulps::of(&mut whole.ulps, [&way[0], &way[1], &way[2], &way[3]]);
            if worst > all.worst {
                (all.worst, all.at) = (worst, at);
            }
            all.errors.extend(errors);
        }
    }
    // By device, type and witness; the sort keeps the order of the cells.
    let place = |row: &Row| {
        let device = request.devices.iter().position(|name| *name == row.device);
        let dtype = request.dtypes.iter().position(|dtype| dtype.name() == row.dtype);
        let witness = request.witnesses.iter().position(|witness| witness.name() == row.witness);
        (device, dtype, witness)
    };
    whole.rows.sort_by_cached_key(place);
    whole
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::setting::DType;
    use crate::verify::complex_step::ComplexStep;
    use crate::verify::kernels::Kernels;
    use bptt::Kernel;

    #[test]
    fn side_by_side_is_the_same_as_in_turn() {
        let request = Request {
            cell: None,
            devices: vec!["flex".into()],
            dtypes: vec![DType::F64, DType::F32],
            witnesses: vec![&Kernels, &ComplexStep],
            reference: None,
            kernel: Kernel::Auto,
            sabotage: None,
        };
        let (mut last, mut total) = (0, 0);
        let parts = verify(&request, &mut |_, progress| {
            assert!(progress.done < progress.total && progress.compared >= last);
            (last, total) = (progress.compared, progress.total);
        });
        assert_eq!(total, 2 * LayerKind::all().len());
        let (parts, whole) = (parts.unwrap(), in_turn::verify(&request, &mut |_, _| ()).unwrap());
        let of = |row: &Row| {
            (row.case.clone(), row.witness.clone(), row.tensor.clone(), row.error.to_bits())
        };
        assert!(parts.rows.iter().map(of).eq(whole.rows.iter().map(of)));
        assert_eq!(parts.skipped, whole.skipped);
        assert!(last > 0 && last <= parts.rows.len());
    }
}
