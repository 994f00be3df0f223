//! What to compute.

use crate::error::Error;
use burn::tensor::DType;
use std::path::PathBuf;

/// Where the loss is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaneKind {
    /// On a plane of two random directions with normalised filters.
    Random,
    /// On the plane of the eigenvectors with the two largest eigenvalues.
    Eigenvectors,
    /// Along the line to another run.
    Runs,
    /// On the plane through the run and two others.
    Through,
}

impl PlaneKind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Eigenvectors => "eigenvectors",
            Self::Runs => "runs",
            Self::Through => "through",
        }
    }
}

/// What to compute.
#[derive(Clone, Debug, PartialEq)]
pub struct LandscapeOptions {
    /// Where the loss is evaluated.
    pub plane: PlaneKind,
    /// The folder of the other run, for [`PlaneKind::Runs`].
    pub to: Option<PathBuf>,
    /// The folders of the two others, for [`PlaneKind::Through`]: of runs, or of their checkpoints.
    pub through: Vec<PathBuf>,
    /// The points along each axis of a plane, or along the line.
    pub points: usize,
    /// How far a plane goes on either side, in units of its directions; `None`: as far as there is something to see.
    pub span: Option<f64>,
    /// The largest number of steps of Lanczos' method for the ends of the spectrum, and the number for each probe.
    pub steps: usize,
    /// The random probes for the density and the trace; 0: neither.
    pub probes: usize,
    /// How many batches of the validation data the curvature is of; `None`: all.
    pub batches: Option<usize>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The type in which the curvature is computed: `F64`, or `F32` on devices without it.
    pub dtype: DType,
}

impl Default for LandscapeOptions {
    fn default() -> Self {
        Self {
            plane: PlaneKind::Random,
            to: None,
            through: Vec::new(),
            points: 31,
            span: None,
            steps: 60,
            probes: 6,
            batches: None,
            seed: 1,
            dtype: DType::F64,
        }
    }
}

impl LandscapeOptions {
    /// Checks that the options make sense together.
    ///
    /// # Errors
    ///
    /// The first option that is wrong, by its name on the command line.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::input(message));
        match (self.plane, &self.to) {
            (PlaneKind::Runs, None) => {
                return wrong("--plane runs: give --to DIR, the folder of the other run".into());
            }
            (PlaneKind::Random | PlaneKind::Eigenvectors | PlaneKind::Through, Some(_)) => {
                let plane = self.plane.name();
                return wrong(format!("--to belongs to --plane runs, and this is {plane}"));
            }
            _ => {}
        }
        match (self.plane, self.through.len()) {
            (PlaneKind::Through, 2) => {}
            (PlaneKind::Through, count) => {
                return wrong(format!(
                    "--plane through: give --through DIR twice, for the other two points of the plane; {count} given"
                ));
            }
            (_, 0) => {}
            _ => {
                let plane = self.plane.name();
                return wrong(format!("--through belongs to --plane through, and this is {plane}"));
            }
        }
        let sizes = [
            ("points", self.points, 2, 2001),
            ("steps", self.steps, 2, 1000),
            ("batches", self.batches.unwrap_or(1), 1, usize::MAX),
        ];
        for (name, value, least, most) in sizes {
            if !(least..=most).contains(&value) {
                return wrong(format!("--{name} {value}: has to be {least} to {most}"));
            }
        }
        if self.probes == 1 || self.probes > 1000 {
            let probes = self.probes;
            return wrong(format!("--probes {probes}: has to be 0, or 2 to 1000"));
        }
        match self.span {
            Some(span) if !(span > 0.0 && span <= 1e6) => {
                wrong(format!("--span {span}: has to be above 0 and at most 1e6"))
            }
            Some(_) if self.plane == PlaneKind::Through => wrong(
                "--span is the extent around the run, and --plane through shows its three points"
                    .into(),
            ),
            Some(_) if self.plane == PlaneKind::Runs => {
                wrong("--span is the extent of a plane, and --plane runs is a line".into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        let complaint = |change: fn(&mut LandscapeOptions)| {
            let mut options = LandscapeOptions::default();
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        LandscapeOptions::default().check().unwrap();
        assert!(complaint(|o| o.plane = PlaneKind::Runs).contains("give --to DIR"));
        assert!(complaint(|o| o.to = Some("x".into())).starts_with("--to belongs to --plane runs"));
        assert!(complaint(|o| o.plane = PlaneKind::Through).contains("give --through DIR twice"));
        assert!(complaint(|o| o.through = vec!["x".into()]).starts_with("--through belongs to"));
        let three = |o: &mut LandscapeOptions| {
            (o.plane, o.through) = (PlaneKind::Through, vec!["x".into(); 3]);
        };
        assert!(complaint(three).ends_with("3 given"));
        let wide = |o: &mut LandscapeOptions| {
            (o.plane, o.through, o.span) = (PlaneKind::Through, vec!["x".into(); 2], Some(1.0));
        };
        assert!(complaint(wide).starts_with("--span is the extent around the run"));
        assert!(complaint(|o| o.points = 1).starts_with("--points 1: has to be 2"));
        assert!(complaint(|o| o.steps = 1).starts_with("--steps 1:"));
        assert!(complaint(|o| o.probes = 1).starts_with("--probes 1: has to be 0, or 2"));
        assert!(complaint(|o| o.batches = Some(0)).starts_with("--batches 0:"));
        assert!(complaint(|o| o.span = Some(f64::NAN)).starts_with("--span NaN:"));
        let line = |o: &mut LandscapeOptions| {
            (o.plane, o.to, o.span) = (PlaneKind::Runs, Some("x".into()), Some(1.0));
        };
        assert!(complaint(line).starts_with("--span is the extent of a plane"));
    }
}
