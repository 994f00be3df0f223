//! Times as tables have them: dates in many forms, or plain numbers.

use crate::table::field::{number, shown};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Moment {
    /// A number, such as a year or a count of seconds.
    Number(f64),
    /// Microseconds since 1970. A time without a zone counts as UTC.
    Date(i64),
}

impl Moment {
    pub(crate) fn date(micros: i64) -> Option<NaiveDateTime> {
        DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
    }

    fn of(time: NaiveDateTime) -> Self {
        Self::Date(time.and_utc().timestamp_micros())
    }

    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal)
    }
}

/// How the times of a table are written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TimeForm {
    Numbers,
    /// A day or a time of a day, as `chrono` writes its form.
    Whole(String),
    /// A month, such as 2024-05.
    Month(String),
    /// A quarter, such as 2024-Q2.
    Quarter,
}

const DAYS: [&str; 12] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
];
const CLOCKS: [&str; 8] =
    ["", " %H:%M", " %H:%M:%S%.f", "T%H:%M", "T%H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p", " %H"];
const ZONES: [&str; 3] = ["", "%#z", " %#z"];
const MONTHS: [&str; 6] = ["%Y-%m", "%Y/%m", "%m/%Y", "%m.%Y", "%b %Y", "%b-%Y"];

impl TimeForm {
    fn all() -> Vec<Self> {
        let days = DAYS.iter().flat_map(|day| {
            let clocks = CLOCKS.iter().flat_map(move |clock| {
                let zones = if clock.is_empty() { &ZONES[..1] } else { &ZONES[..] };
                zones.iter().map(move |zone| format!("{day}{clock}{zone}"))
            });
            clocks.map(Self::Whole)
        });
        let months = MONTHS.iter().map(|month| Self::Month((*month).to_string()));
        days.chain(months).chain([Self::Quarter, Self::Numbers]).collect()
    }

    /// The form that a user has given.
    pub(crate) fn given(form: &str) -> Self {
        let has = |marks: &[&str]| marks.iter().any(|mark| form.contains(mark));
        match has(&["%d", "%e", "%j", "%F", "%D", "%s", "%c"]) {
            true => Self::Whole(form.to_string()),
            false => Self::Month(form.to_string()),
        }
    }

    /// What a user would write, for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Numbers => "numbers".to_string(),
            Self::Whole(form) | Self::Month(form) => {
                form.replace("%.f", "").replace("%#z", "%z").to_string()
            }
            Self::Quarter => "quarters".to_string(),
        }
    }

    pub(crate) fn parse(&self, field: &[u8]) -> Option<Moment> {
        let text = std::str::from_utf8(field).ok()?.trim();
        match self {
            Self::Numbers => number(text.as_bytes()).map(Moment::Number),
            Self::Quarter => {
                let (year, quarter) = text.split_once(['Q', 'q'])?;
                let year = year.trim_end_matches(['-', ' ']).parse().ok()?;
                let quarter: u32 =
                    quarter.parse().ok().filter(|quarter| (1..=4).contains(quarter))?;
                usual(NaiveDate::from_ymd_opt(year, 3 * quarter - 2, 1)?)
            }
            Self::Month(form) => {
                let day = NaiveDate::parse_from_str(&format!("{text} 1"), &format!("{form} %d"));
                usual(day.ok()?)
            }
            Self::Whole(form) if form.contains("%#z") || form.contains("%z") => {
                let time = DateTime::parse_from_str(text, form).ok()?.naive_utc();
                usual(time.date()).map(|_| Moment::of(time))
            }
            Self::Whole(form)
                if form.contains("%H") || form.contains("%I") || form.contains("%T") =>
            {
                // A form with hours only.
                let time = match form.ends_with("%H") {
                    true => {
                        NaiveDateTime::parse_from_str(&format!("{text}:00"), &format!("{form}:%M"))
                    }
                    false => NaiveDateTime::parse_from_str(text, form),
                };
                let time = time.ok()?;
                usual(time.date()).map(|_| Moment::of(time))
            }
            Self::Whole(form) if form.contains("%s") => {
                NaiveDateTime::parse_from_str(text, form).ok().map(Moment::of)
            }
            Self::Whole(form) => {
                if form == "%Y%m%d"
                    && (text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()))
                {
                    return None;
                }
                usual(NaiveDate::parse_from_str(text, form).ok()?)
            }
        }
    }
}

/// The beginning of a day, if its year has four digits.
fn usual(day: NaiveDate) -> Option<Moment> {
    let is_usual = (1000..=9999).contains(&day.year());
    is_usual.then(|| Moment::of(day.and_time(chrono::NaiveTime::MIN)))
}

/// How many rows every form is tried on.
const TRIED: usize = 200;

/// Finds out how the times of a column are written. It looks at each field once.
#[derive(Debug)]
pub(crate) struct TimeEvidence {
    forms: Vec<(TimeForm, usize)>,
    rows: usize,
    first: String,
}

impl TimeEvidence {
    pub(crate) fn new(given: Option<&str>) -> Self {
        let forms = match given {
            Some(form) => vec![TimeForm::given(form)],
            None => TimeForm::all(),
        };
        Self {
            forms: forms.into_iter().map(|form| (form, 0)).collect(),
            rows: 0,
            first: String::new(),
        }
    }

    pub(crate) fn look(&mut self, field: &[u8]) {
        if self.rows == 0 {
            self.first = shown(field);
        }
        self.rows += 1;
        if self.rows == TRIED {
            self.forms.retain(|(_, fits)| 2 * fits >= TRIED);
        }
        for (form, fits) in &mut self.forms {
            *fits += usize::from(form.parse(field).is_some());
        }
    }

    /// The first field.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// Whether a form fits at least half of the rows, be it the only one or not.
    pub(crate) fn has_form(&self) -> bool {
        self.forms.iter().any(|(_, fits)| *fits > 0 && 2 * fits >= self.rows)
    }

    /// The form that the most rows have.
    ///
    /// # Errors
    ///
    /// If there is none, or if several are possible and mean different times.
    pub(crate) fn form(&self, column: &str) -> Result<TimeForm, String> {
        let most = self.forms.iter().map(|(_, fits)| *fits).max().unwrap_or(0);
        let fits = self.forms.iter().filter(|(_, fits)| *fits == most && most > 0);
        let fits: Vec<&TimeForm> = fits.map(|(form, _)| form).collect();
        let day_first = |form: &&TimeForm| form.name().starts_with("%d");
        let month_first = |form: &&TimeForm| form.name().starts_with("%m");
        if most == 0 || 2 * most < self.rows {
            return Err(format!(
                "`{column}` is `{}` first, which is no time as 2024-12-31 23:59 or a number: give \
                 --time-format, such as %d.%m.%Y",
                self.first
            ));
        }
        match (fits.iter().find(|form| day_first(form)), fits.iter().find(|form| month_first(form)))
        {
            (Some(day), Some(month)) => Err(format!(
                "`{column}` is `{}` first: the day or the month may come first; give --time-format \
                 {} or {}",
                self.first,
                day.name(),
                month.name()
            )),
            // Dates come before numbers in the list, so 20240131 is a date, if all rows are.
            _ => Ok(fits[0].clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[&str]) -> Result<TimeForm, String> {
        let mut evidence = TimeEvidence::new(None);
        fields.iter().for_each(|field| evidence.look(field.as_bytes()));
        evidence.form("t")
    }

    fn read(fields: &[&str]) -> Vec<String> {
        let form = form(fields).unwrap();
        let of = |field: &&str| match form.parse(field.as_bytes()) {
            Some(Moment::Date(micros)) => Moment::date(micros).unwrap().to_string(),
            Some(Moment::Number(number)) => number.to_string(),
            None => "none".to_string(),
        };
        fields.iter().map(of).collect()
    }

    #[test]
    fn times_of_many_forms_are_read() {
        for (field, expected) in [
            ("2024-02-29", "2024-02-29 00:00:00"),
            ("2024-02-29 23:59", "2024-02-29 23:59:00"),
            ("2024-02-29T23:59:58", "2024-02-29 23:59:58"),
            ("2024-02-29T23:59:58Z", "2024-02-29 23:59:58"),
            ("2024-02-29T23:59:58.250+02:00", "2024-02-29 21:59:58.250"),
            ("29.02.2024 07:05", "2024-02-29 07:05:00"),
            ("31/12/2024", "2024-12-31 00:00:00"),
            ("12/31/2024 11:30 PM", "2024-12-31 23:30:00"),
            ("29 Feb 2024", "2024-02-29 00:00:00"),
            ("19580329", "1958-03-29 00:00:00"),
            ("2024-05", "2024-05-01 00:00:00"),
            ("May 2024", "2024-05-01 00:00:00"),
            ("2024-Q2", "2024-04-01 00:00:00"),
            ("1700", "1700"),
            ("0.25", "0.25"),
        ] {
            assert_eq!(read(&[field, field]), [expected, expected], "{field}");
        }
    }

    #[test]
    fn what_is_open_or_no_time_is_refused() {
        let message = form(&["03/04/2024", "05/04/2024"]).unwrap_err();
        assert!(message.contains("--time-format %d/%m/%Y or %m/%d/%Y"), "{message}");
        assert_eq!(form(&["03/04/2024", "13/04/2024"]).unwrap().name(), "%d/%m/%Y");
        assert!(form(&["soon", "later"]).unwrap_err().contains("`soon` first"));
        // One row that is none does not change what the others are.
        assert_eq!(read(&["2024-01-01", "2024-01-02", "Total"])[2], "none");
        let mut evidence = TimeEvidence::new(Some("%d/%m/%Y"));
        evidence.look(b"03/04/2024");
        assert!(evidence.form("t").is_ok());
    }
}
