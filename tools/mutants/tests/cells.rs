//! The tests, tested: each mutant of the cells' backward steps has to be caught.

use bptt_mutants::of_cells;
use bptt_mutants::suite::Fate;
use bptt_probe::device;

/// Those that the suite cannot tell from the cell: none of the tiny cases may let any other pass.
const EQUIVALENT: [(&str, &str); 0] = [];

#[test]
fn every_mutant_of_a_backward_step_is_caught_by_the_tiny_cases() {
    let device = device::open("flex").unwrap();
    let verdicts = of_cells(&device, true).unwrap();
    let survivors: Vec<_> = verdicts
        .iter()
        .filter(|verdict| verdict.fate == Fate::Survived)
        .filter(|v| !EQUIVALENT.contains(&(v.place.as_str(), v.mutation.as_str())))
        .map(|v| format!("{} by {}: {}", v.place, v.kernel, v.mutation))
        .collect();
    assert!(survivors.is_empty(), "of {} mutants, {survivors:#?}", verdicts.len());
    assert!(verdicts.len() > 400, "only {} mutants", verdicts.len());
}
