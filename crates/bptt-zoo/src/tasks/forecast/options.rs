//! The options of a forecast.

use crate::error::Error;
use crate::frame::Columns;
use crate::frame::format::TableFormat;
use crate::option::{LONGEST, TaskOption};
use crate::tasks::forecast::calendar::CalendarFeature;
use crate::tasks::forecast::head::Head;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The options of [`Forecast`](crate::Forecast).
///
/// [`Default`] is what runs had before there was a choice; [`Task::defaults`](crate::Task::defaults) is for new runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastOptions {
    /// Values in a window, `T`; 0: 50, or more if a season is longer.
    pub length: usize,
    /// How many values are predicted at once, `K`.
    pub horizon: usize,
    /// The file with the series.
    pub csv: Option<String>,
    /// The names of the columns that are forecast.
    pub column: Names,
    /// Columns that are known up to now.
    pub covariate: Vec<String>,
    /// Columns that are known ahead.
    pub known_covariate: Vec<String>,
    /// The column with the times.
    pub time_column: Option<String>,
    /// How the times are written, as `strftime` has it.
    pub time_format: Option<String>,
    /// The column with the names of the series.
    pub group_column: Option<String>,
    /// What of the time the model reads.
    pub calendar: Vec<String>,
    /// What the model says about a value.
    pub head: Head,
    /// How several values ahead are said.
    pub strategy: Strategy,
    /// What is said together with the network.
    pub combine: Combine,
    /// The length of the season in steps, for the seasonal naive forecast; 0: it is found.
    pub season: usize,
    /// How many percent at the end are the test part; 0: there is none.
    pub test_share: usize,
    /// How many test parts at the end are left out altogether, for a backtest with earlier origins.
    pub hold_back: usize,
    /// How the table is written. In JSON it is in the same object as the others.
    #[serde(flatten)]
    pub format: TableFormat,
}

/// Names of columns. In JSON a single one is a text, as in the folders of the first versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [] => to.serialize_none(),
            [one] => to.serialize_str(one),
            several => several.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            One(String),
            Several(Vec<String>),
        }
        Ok(match Option::deserialize(from)? {
            None => Self(Vec::new()),
            Some(Either::One(name)) => Self(vec![name]),
            Some(Either::Several(names)) => Self(names),
        })
    }
}

/// How several values ahead are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// All at once, each by outputs of its own.
    #[default]
    Direct,
    /// One after the other: the model says the next value, and reads it as if it were known.
    Recursive,
}

/// Values in a window where nobody says, and the most that a season makes of them.
pub(crate) const WINDOW: usize = 50;
pub(crate) const LONGEST_WINDOW: usize = 128;

/// What is said together with the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// Nothing.
    #[default]
    None,
    /// A linear autoregression, as much as the validation part says.
    Linear,
    /// A linear autoregression, of which the network learns the errors; as much of that as the validation part is sure of.
    Residual,
}

impl Default for ForecastOptions {
    fn default() -> Self {
        Self {
            length: WINDOW,
            horizon: 1,
            csv: None,
            column: Names::default(),
            covariate: Vec::new(),
            known_covariate: Vec::new(),
            time_column: None,
            time_format: None,
            group_column: None,
            calendar: Vec::new(),
            head: Head::Point,
            strategy: Strategy::Direct,
            combine: Combine::None,
            season: 0,
            test_share: 0,
            hold_back: 0,
            format: TableFormat::default(),
        }
    }
}

impl ForecastOptions {
    /// The options, for the command line.
    pub(crate) const OPTIONS: [TaskOption; 20] = {
        let [delimiter, decimal, thousands, na] = TableFormat::OPTIONS;
        [
            TaskOption::size(
                "length",
                "T",
                "values in a window (0: 50, or a season and a sixth where that is longer)",
                0,
                LONGEST,
            ),
            TaskOption::size("horizon", "K", "how many values to say at once", 1, 1 << 16),
            TaskOption::file(
                "csv",
                "a CSV file whose first line has the columns' names (`-`: standard input); an empty field \
                 is a gap",
            )
            .required(),
            TaskOption::texts("column", "NAME", "the column with the series; several times for several")
                .required(),
            TaskOption::texts(
                "covariate",
                "NAME",
                "a column that helps, and is known up to now; several times for several",
            ),
            TaskOption::texts(
                "known_covariate",
                "NAME",
                "a column that is known ahead, such as holidays; several times for several",
            ),
            TaskOption::text(
                "time_column",
                "NAME",
                "the column with dates or numbers, by which rows are sorted and gaps found",
            ),
            TaskOption::text(
                "time_format",
                "FORM",
                "how the times are written, such as %d.%m.%Y; without it, it is found where that is sure",
            ),
            TaskOption::text("group_column", "NAME", "the column that names the series of each row"),
            TaskOption::texts(
                "calendar",
                "WHAT",
                "what of the time the model reads: hour, weekday, yearday, or auto for those that fit",
            ),
            TaskOption::choice(
                "head",
                "HEAD",
                "what the model says of a value: a number, or a distribution",
                &["point", "gaussian", "student-t", "quantiles"],
            ),
            TaskOption::choice(
                "strategy",
                "HOW",
                "direct: all values ahead at once; recursive: one after the other",
                &["direct", "recursive"],
            ),
            TaskOption::choice(
                "combine",
                "WHAT",
                "residual: the network learns what a linear autoregression leaves, and what is sure of it is \
                 added; linear: a mean of the forecasts of both; none: the network's alone",
                &["none", "linear", "residual"],
            ),
            TaskOption::size(
                "season",
                "N",
                "steps in a season, for the seasonal naive forecast; 0: found by the calendar and \
                 autocorrelation",
                0,
                1 << 20,
            ),
            TaskOption::size(
                "test_share",
                "PERCENT",
                "how much of the series, at its end, is for the test alone; 0: no test",
                0,
                50,
            ),
            TaskOption::size(
                "hold_back",
                "N",
                "leave out so many test parts at the end altogether; `--folds` does it by itself",
                0,
                50,
            ),
            delimiter,
            decimal,
            thousands,
            na,
        ]
    };

    /// Checks what goes together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |why: String| Err(Error::input(why));
        self.format.check()?;
        if self.length == 1 {
            return wrong(format!("--length 1: has to be 2 to {LONGEST}, or 0 for what fits"));
        }
        let named = self.column.0.iter().chain(&self.covariate).chain(&self.known_covariate);
        let named = named.chain(&self.time_column).chain(&self.group_column);
        let mut names: Vec<&str> = named.map(|name| name.trim()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(format!(
                "the column `{}` is named twice: leave one out",
                pair[0].escape_debug()
            ));
        }
        if self.strategy == Strategy::Recursive && !self.covariate.is_empty() {
            return wrong(format!(
                "--strategy recursive: the next values of --covariate {} are not known; take direct, or \
                 --known-covariate",
                self.covariate[0].escape_debug()
            ));
        }
        let out = self.test_share * (self.hold_back + 1);
        if self.hold_back > 0 && (self.test_share == 0 || out > 80) {
            return wrong(format!(
                "--hold-back {}: with a --test-share of {} %, {out} % would not be for training; take less",
                self.hold_back, self.test_share
            ));
        }
        if self.time_column.is_none() && self.time_format.is_some() {
            return wrong("--time-format: it belongs to --time-column NAME".to_string());
        }
        for name in &self.calendar {
            if name != "auto" && CalendarFeature::named(name).is_none() {
                return wrong(format!(
                    "--calendar {}: has to be hour, weekday, yearday or auto",
                    name.escape_debug()
                ));
            }
            if self.time_column.is_none() {
                return wrong(format!("--calendar {name}: it needs --time-column NAME"));
            }
        }
        Ok(())
    }

    /// Checks that a model that reads their columns can go on with these.
    pub(crate) fn check_same_columns(&self, theirs: &Self) -> Result<(), Error> {
        let (own, other) = (self.columns(), theirs.columns());
        let parts = [
            ("columns", &own.targets, &other.targets),
            ("--covariate", &own.past, &other.past),
            ("--known-covariate", &own.ahead, &other.ahead),
        ];
        match parts.into_iter().find(|(_, own, other)| own != other) {
            Some((what, _, other)) => {
                let names = match other.is_empty() {
                    true => "none".to_string(),
                    false => format!("`{}`", other.join("`, `").escape_debug()),
                };
                Err(Error::input(format!("its model has other {what} ({names}): start without it")))
            }
            None => Ok(()),
        }
    }

    /// The columns of the table.
    pub(crate) fn columns(&self) -> Columns {
        Columns {
            targets: self.column.0.clone(),
            past: self.covariate.clone(),
            ahead: self.known_covariate.clone(),
            time: self.time_column.clone(),
            time_form: self.time_format.clone(),
            group: self.group_column.clone(),
        }
    }

    /// How many values the model says at once, for each target.
    pub(crate) fn outputs_ahead(&self) -> usize {
        match self.strategy {
            Strategy::Direct => self.horizon,
            Strategy::Recursive => 1,
        }
    }

    /// How many numbers each step of a window has at most.
    pub(crate) fn most_inputs(&self) -> usize {
        self.inputs(&self.features())
    }

    /// How many numbers each step of a window has, if the model reads this of the time.
    pub(crate) fn inputs(&self, calendar: &[CalendarFeature]) -> usize {
        let targets = self.column.0.len().max(1);
        let ahead = self.known_covariate.len().saturating_mul(self.outputs_ahead());
        let calendar: usize = calendar.iter().map(|feature| feature.width()).sum();
        2 * targets + self.covariate.len() + ahead + calendar
    }

    /// Whether the data decides what of the time the model reads.
    pub(crate) fn is_auto(&self) -> bool {
        self.calendar.iter().any(|name| name == "auto")
    }

    /// What of the time the model reads; with `auto` all that there is, of which the data leaves what
    /// fits.
    pub(crate) fn features(&self) -> Vec<CalendarFeature> {
        let is_asked = |feature: &CalendarFeature| {
            self.is_auto()
                || self.calendar.iter().any(|name| CalendarFeature::named(name) == Some(*feature))
        };
        CalendarFeature::ALL.into_iter().filter(is_asked).collect()
    }
}
