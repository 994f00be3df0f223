//! What PyTorch computed in f64, from files.

use crate::device;
use crate::problem::Problem;
use crate::reference;
use crate::setting::DType;
use crate::verify::session::{Session, Verification};
use crate::verify::witness::{Comparison, Request, Witness};
use bptt::Engine;

/// Both engines against PyTorch's outputs and gradients.
pub struct Pytorch;

impl Witness for Pytorch {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn help(&self) -> &'static str {
        "What PyTorch computed in f64"
    }

    fn description(&self) -> &'static str {
        "outputs and gradients that PyTorch computed in f64"
    }

    fn tolerance(&self, dtype: DType, device: &str) -> f64 {
        match dtype {
            DType::F64 => 1e-11,
            DType::F32 if device::is_host(device) => 2e-5,
            DType::F32 | DType::Bf16 | DType::F16 => 1e-4,
        }
    }

    fn begin(&self, request: &Request, found: &mut Verification) -> Result<Comparison, String> {
        let problems = match &request.reference {
            Some(folder) => {
                let folder = reference::read_folder(folder)?;
                found.broken = folder.broken;
                folder.problems
            }
            None => reference::built_in(),
        };
        Ok(Box::new(move |session| compare(session, &problems)))
    }
}

fn compare(session: &mut Session<'_>, problems: &[Problem]) -> Result<(), String> {
    if session.dtype().is_half() {
        session.skip_dtype("the files' inputs have more digits; double-double rounds them first");
        return Ok(());
    }
    for problem in problems {
        if !session.wants(problem.options.cell) {
            continue;
        }
        for engine in Engine::BACKWARD {
            let measured = session.measure(problem, engine)?;
            session.compare(problem, engine, (&measured, &problem.expected));
        }
    }
    Ok(())
}
