//! Dates as people write them, and their ISO form.

use chrono::{Datelike, NaiveDate};

/// The first day of 1950. The days are those of a hundred years, so that a year of two digits is known.
const FIRST_YEAR: i32 = 1950;
const YEARS: i32 = 100;

/// The characters of dates in words. The model knows them by their places.
const LETTERS: &str = " ,-./0123456789abcdefghijklmnopqrstuvwxyz";
/// The characters of ISO dates.
const ISO: &str = "0123456789-";
/// How many symbols a source has.
pub(super) const SOURCE_SYMBOLS: usize = LETTERS.len();
/// The symbols that begin and end a target, behind those of its characters.
pub(super) const BEGIN: usize = ISO.len();
pub(super) const END: usize = BEGIN + 1;
pub(super) const TARGET_SYMBOLS: usize = END + 1;
/// How many symbols a target has, with its end.
pub(super) const TARGET_LENGTH: usize = "1950-01-01".len() + 1;

/// The forms, each by the tenth of September 1970.
pub(super) const FORMS: [&str; 12] = [
    "10 september 1970",
    "september 10, 1970",
    "10 sep 1970",
    "sep 10 1970",
    "thursday, september 10, 1970",
    "10th of september 1970",
    "thu 10 sep 70",
    "10.9.70",
    "10/09/1970",
    "the tenth of september 1970",
    "september the tenth, nineteen seventy",
    "thursday the tenth of september nineteen seventy",
];

/// How long a date in words is at most: that of a wednesday in september.
pub(super) const LONGEST_DATE: usize = 64;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const ORDINALS: [&str; 20] = [
    "",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];

/// All days, in order.
pub(super) fn days() -> Vec<NaiveDate> {
    let first = |year| NaiveDate::from_ymd_opt(year, 1, 1).expect("a day");
    let end = first(FIRST_YEAR + YEARS);
    first(FIRST_YEAR).iter_days().take_while(|day| *day < end).collect()
}

/// A date in one of the [`FORMS`].
pub(super) fn written(date: NaiveDate, form: usize) -> String {
    let (day, year) = (date.day(), date.year());
    let month = MONTHS[date.month0() as usize];
    let weekday = WEEKDAYS[date.weekday().num_days_from_monday() as usize];
    let (short, short_day, two) = (&month[..3], &weekday[..3], year % 100);
    let number = date.month();
    match form {
        0 => format!("{day} {month} {year}"),
        1 => format!("{month} {day}, {year}"),
        2 => format!("{day} {short} {year}"),
        3 => format!("{short} {day} {year}"),
        4 => format!("{weekday}, {month} {day}, {year}"),
        5 => format!("{day}{} of {month} {year}", ending(day)),
        6 => format!("{short_day} {day} {short} {two:02}"),
        7 => format!("{day}.{number}.{two:02}"),
        8 => format!("{day:02}/{number:02}/{year}"),
        9 => format!("the {} of {month} {year}", ordinal(day)),
        10 => format!("{month} the {}, {}", ordinal(day), year_in_words(year)),
        11 => format!("{weekday} the {} of {month} {}", ordinal(day), year_in_words(year)),
        _ => unreachable!("there are {} forms", FORMS.len()),
    }
}

/// A date as ISO 8601 has it.
pub(super) fn iso(date: NaiveDate) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

/// The ending of a number that counts days: 1st, 2nd, 3rd, 4th.
fn ending(day: u32) -> &'static str {
    match (day, day % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

fn ordinal(day: u32) -> String {
    let (tens, rest) = (day as usize / 10, day as usize % 10);
    match (day, rest) {
        (..=19, _) => ORDINALS[day as usize].to_string(),
        (20, _) => "twentieth".to_string(),
        (30, _) => "thirtieth".to_string(),
        _ => format!("{}-{}", TENS[tens], ORDINALS[rest]),
    }
}

fn in_words(number: usize) -> String {
    let (tens, rest) = (number / 10, number % 10);
    match (number, rest) {
        (..=19, _) => SMALL[number].to_string(),
        (_, 0) => TENS[tens].to_string(),
        _ => format!("{}-{}", TENS[tens], SMALL[rest]),
    }
}

/// Nineteen seventy, nineteen oh five, two thousand and nine, twenty twenty-four.
fn year_in_words(year: i32) -> String {
    let (century, rest) = ((year / 100) as usize, (year % 100) as usize);
    match (century, rest) {
        (20, 0) => "two thousand".to_string(),
        (20, 1..=9) => format!("two thousand and {}", in_words(rest)),
        (_, 0) => format!("{} hundred", in_words(century)),
        (_, 1..=9) => format!("{} oh {}", in_words(century), in_words(rest)),
        _ => format!("{} {}", in_words(century), in_words(rest)),
    }
}

/// The symbols of a text; the first character that no date has, if there is one.
pub(super) fn source_symbols(text: &str) -> Result<Vec<usize>, char> {
    text.chars().map(|c| LETTERS.chars().position(|letter| letter == c).ok_or(c)).collect()
}

/// The symbols of an ISO date, with the end.
pub(super) fn target_symbols(iso: &str) -> Vec<usize> {
    let of = |c| ISO.chars().position(|other| other == c).expect("digits and dashes");
    iso.chars().map(of).chain([END]).collect()
}

/// The text of target symbols; an end or a beginning in the middle is a question mark.
pub(super) fn target_text(symbols: &[usize]) -> String {
    symbols.iter().map(|&symbol| ISO.chars().nth(symbol).unwrap_or('?')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn forms_are_those_of_the_list() {
        let date = NaiveDate::from_ymd_opt(1970, 9, 10).unwrap();
        for (form, expected) in FORMS.iter().enumerate() {
            assert_eq!(written(date, form), *expected);
        }
        let of = |y, m, d, form| written(NaiveDate::from_ymd_opt(y, m, d).unwrap(), form);
        assert_eq!(of(2024, 5, 21, 10), "may the twenty-first, twenty twenty-four");
        assert_eq!(of(2009, 1, 30, 11), "friday the thirtieth of january two thousand and nine");
        assert_eq!(of(2000, 2, 12, 10), "february the twelfth, two thousand");
        assert_eq!(of(2000, 2, 12, 6), "sat 12 feb 00");
        for (day, text) in
            [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (23, "23rd")]
        {
            assert_eq!(of(1999, 7, day, 5), format!("{text} of july 1999"));
        }
    }

    /// Each text has one date: a reader can know it.
    #[test]
    fn all_days_are_known_from_each_form() {
        let days = days();
        assert_eq!(days.len(), 36_525);
        let mut longest = 0;
        for form in 0..FORMS.len() {
            let mut seen = HashMap::new();
            for &day in &days {
                let text = written(day, form);
                longest = longest.max(text.len());
                assert!(source_symbols(&text).is_ok(), "{text}");
                assert_eq!(seen.insert(text, day), None);
            }
        }
        assert_eq!(longest, LONGEST_DATE);
    }

    #[test]
    fn symbols_are_the_text() {
        let date = NaiveDate::from_ymd_opt(1970, 9, 10).unwrap();
        let symbols = target_symbols(&iso(date));
        assert_eq!((symbols.len(), symbols.last()), (TARGET_LENGTH, Some(&END)));
        assert_eq!(target_text(&symbols[..10]), "1970-09-10");
        assert_eq!(target_text(&[1, BEGIN]), "1?");
        assert_eq!(source_symbols("a\u{e9}b"), Err('\u{e9}'));
    }
}
