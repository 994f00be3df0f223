//! Numbers with a decimal comma, or with marks between thousands.

use crate::table::field::{number, shown};

/// How the numbers of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) decimal: Mark,
    pub(crate) thousands: Option<Mark>,
}

/// A mark inside of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Point,
    Comma,
    /// A space of any width.
    Space,
    Apostrophe,
}

impl Mark {
    const ALL: [Self; 4] = [Self::Point, Self::Comma, Self::Space, Self::Apostrophe];

    fn of(character: char) -> Option<Self> {
        match character {
            '.' => Some(Self::Point),
            ',' => Some(Self::Comma),
            ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' => Some(Self::Space),
            '\'' | '’' => Some(Self::Apostrophe),
            _ => None,
        }
    }

    /// The mark that a user names by its character.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub(crate) fn named(text: &str, decimal: bool) -> Result<Self, String> {
        let mut characters = text.chars();
        let mark = characters.next().and_then(Self::of).filter(|_| characters.next().is_none());
        match (mark, decimal) {
            (Some(mark @ (Self::Point | Self::Comma)), _) | (Some(mark), false) => Ok(mark),
            (_, true) => Err("has to be `.` or `,`".to_string()),
            (_, false) => Err("has to be `.`, `,`, a space or an apostrophe".to_string()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Point => "points",
            Self::Comma => "commas",
            Self::Space => "spaces",
            Self::Apostrophe => "apostrophes",
        }
    }
}

impl Marks {
    /// 1234.5
    pub(crate) const PLAIN: Self = Self { decimal: Mark::Point, thousands: None };

    /// A finite number.
    pub(crate) fn number(&self, field: &[u8]) -> Option<f64> {
        if *self == Self::PLAIN {
            return number(field);
        }
        let shape = Shape::of(field)?;
        if shape.groups.iter().any(|(_, digits)| digits.is_empty()) {
            return None;
        }
        let mut digits = String::from(if shape.negative { "-" } else { "" });
        digits += &shape.groups[0].1;
        let mut decimal = false;
        for (at, (mark, group)) in shape.groups.iter().enumerate().skip(1) {
            let mark = (*mark)?;
            if decimal {
                return None;
            }
            if mark == self.decimal {
                decimal = true;
                digits.push('.');
            } else {
                let before = shape.groups[at - 1].1.len();
                let fits = (at > 1 && before == 3) || (at == 1 && (1..=3).contains(&before));
                if self.thousands != Some(mark) || !fits || group.len() != 3 {
                    return None;
                }
            }
            digits += group;
        }
        digits += &shape.exponent;
        number(digits.as_bytes())
    }
}

/// The digits of a field and the marks between them.
struct Shape {
    negative: bool,
    /// Digits, each with the mark before them.
    groups: Vec<(Option<Mark>, String)>,
    exponent: String,
}

impl Shape {
    fn of(field: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(field).ok()?.trim();
        let text = text.replace('\u{2212}', "-");
        let negative = text.starts_with('-');
        let text = text.strip_prefix(['-', '+']).unwrap_or(&text);
        let (text, exponent) = match text.find(['e', 'E']) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let mut groups = vec![(None, String::new())];
        for character in text.chars() {
            match Mark::of(character) {
                _ if character.is_ascii_digit() => groups.last_mut()?.1.push(character),
                Some(mark) => groups.push((Some(mark), String::new())),
                None => return None,
            }
        }
        let digits = groups.iter().any(|(_, digits)| !digits.is_empty());
        digits.then(|| Self { negative, groups, exponent: exponent.to_string() })
    }
}

/// What the numbers of a table say about their marks. It looks at each field once.
#[derive(Debug, Default)]
pub(crate) struct MarkEvidence {
    /// By mark: a field and its line that shows that the mark is a decimal one, that it separates thousands, or that it is
    /// one of both.
    decimal: [Option<(usize, String)>; 4],
    thousands: [Option<(usize, String)>; 4],
    either: [Option<(usize, String)>; 4],
}

impl MarkEvidence {
    /// Looks at a field. `at` is the byte where its row begins.
    pub(crate) fn look(&mut self, field: &[u8], at: usize) {
        if field.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
            return;
        }
        let Some(Shape { groups, .. }) = Shape::of(field) else { return };
        let marks: Vec<Mark> = groups.iter().filter_map(|(mark, _)| *mark).collect();
        let Some(&last) = marks.last() else { return };
        // `1.` and `.5` are numbers; with another mark, one side may be missing.
        if last != Mark::Point && groups.iter().any(|(_, digits)| digits.is_empty()) {
            return;
        }
        let put = |slots: &mut [Option<(usize, String)>; 4], mark: Mark| {
            slots[mark as usize].get_or_insert_with(|| (at, shown(field)));
        };
        let (before, after) = (&groups[groups.len() - 2].1, &groups[groups.len() - 1].1);
        // Between thousands there are three digits.
        let separated = if marks[0] == last { &groups[1..] } else { &groups[1..groups.len() - 1] };
        let is_separator = marks.len() > 1 || matches!(last, Mark::Space | Mark::Apostrophe);
        if is_separator && separated.iter().any(|(_, digits)| digits.len() != 3) {
            return;
        }
        if marks[0] != last {
            put(&mut self.thousands, marks[0]);
            put(&mut self.decimal, last);
        } else if is_separator {
            put(&mut self.thousands, last);
        } else if after.len() == 3 && (1..=3).contains(&before.len()) && before != "0" {
            put(&mut self.either, last);
        } else {
            put(&mut self.decimal, last);
        }
    }

    /// How the numbers are written, where that is sure or a user has said it; and a note, if it is not 1234.5.
    ///
    /// # Errors
    ///
    /// The byte of a row that leaves it open, or that contradicts another one, and what would be right.
    pub(crate) fn marks(
        &self,
        decimal: Option<Mark>,
        thousands: Option<Mark>,
    ) -> Result<(Marks, Option<String>), (usize, String)> {
        let of = |slots: &[Option<(usize, String)>; 4], mark: Mark| slots[mark as usize].clone();
        let comma = of(&self.decimal, Mark::Comma).or(of(&self.thousands, Mark::Point));
        let point = of(&self.decimal, Mark::Point).or(of(&self.thousands, Mark::Comma));
        let found = match (decimal, comma, point) {
            (Some(decimal), ..) => decimal,
            (None, Some((at, comma)), Some((_, point))) => {
                return Err((
                    at,
                    format!(
                        "`{comma}` has a decimal comma, and `{point}` a decimal point: write all numbers \
                         in one way, or give --decimal"
                    ),
                ));
            }
            (None, Some(_), None) => Mark::Comma,
            (None, None, Some(_)) => Mark::Point,
            (None, None, None) => match (thousands, of(&self.either, Mark::Comma)) {
                (Some(Mark::Point), _) => Mark::Comma,
                (None, Some((at, text))) => {
                    return Err((
                        at,
                        format!(
                            "`{text}` may be a number with a decimal comma or with a mark between \
                             thousands: give --decimal , or --thousands ,"
                        ),
                    ));
                }
                _ => Mark::Point,
            },
        };
        let separates = |mark: &Mark| {
            let seen = of(&self.thousands, *mark).or(of(&self.either, *mark));
            *mark != found && seen.is_some()
        };
        let mut all = Mark::ALL.into_iter().filter(separates);
        let thousands = thousands.or(all.next());
        let marks = Marks { decimal: found, thousands };
        let example = |mark: Mark| {
            of(&self.decimal, mark).or(of(&self.thousands, mark)).or(of(&self.either, mark))
        };
        let note = match (found, thousands) {
            (Mark::Point, None) => None,
            (Mark::Point, Some(mark)) => Some((mark, format!("{} between thousands", mark.name()))),
            (decimal, None) => Some((decimal, "decimal commas".to_string())),
            (decimal, Some(mark)) => {
                Some((decimal, format!("decimal commas and {} between thousands", mark.name())))
            }
        };
        let note = note.map(|(mark, what)| match example(mark) {
            Some((_, text)) => format!("numbers with {what} (`{text}`)"),
            None => format!("numbers with {what}"),
        });
        Ok((marks, note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Result<Vec<Option<f64>>, String> {
        let mut evidence = MarkEvidence::default();
        fields.iter().enumerate().for_each(|(at, field)| evidence.look(field.as_bytes(), at));
        let (marks, _) = evidence.marks(None, None).map_err(|(_, why)| why)?;
        Ok(fields.iter().map(|field| marks.number(field.as_bytes())).collect())
    }

    #[test]
    fn marks_are_found_where_they_are_sure() {
        let sure = |fields: &[&str], expected: &[f64]| {
            let expected: Vec<_> = expected.iter().copied().map(Some).collect();
            assert_eq!(read(fields), Ok(expected), "{fields:?}");
        };
        sure(&["1,5", "2", "-0,25"], &[1.5, 2.0, -0.25]);
        sure(&["1.234,5", "12.345.678", "7"], &[1234.5, 12_345_678.0, 7.0]);
        sure(&["1,234.5", "1,234"], &[1234.5, 1234.0]);
        sure(&["1 234,5", "1\u{202f}234", "3,125"], &[1234.5, 1234.0, 3.125]);
        sure(&["1'234.50", "\u{2212}2.5"], &[1234.5, -2.5]);
        sure(&["1.234", "2.5e3", "+1."], &[1.234, 2500.0, 1.0]);
        sure(&["0,125", "1,125"], &[0.125, 1.125]);
    }

    #[test]
    fn what_is_open_or_mixed_is_refused() {
        assert!(read(&["1,234", "5"]).unwrap_err().contains("give --decimal , or --thousands ,"));
        assert!(read(&["1,5", "2.5"]).unwrap_err().contains("in one way"));
        // Fields that do not fit what the others say are no numbers.
        assert_eq!(read(&["1,5", "1.2345"]).map(|all| all[1]).ok().flatten(), None);
        assert_eq!(read(&["12,34,567.5", "1.2.3", "2.5"]).unwrap(), [None, None, Some(2.5)]);
        assert_eq!(read(&["four", "1-2", ""]).unwrap(), [None, None, None]);
    }

    #[test]
    fn what_a_user_says_is_taken() {
        let mut evidence = MarkEvidence::default();
        evidence.look(b"1,234", 0);
        let (marks, note) = evidence.marks(Some(Mark::Comma), None).unwrap();
        assert_eq!((marks.number(b"1,234"), marks.number(b"1.234")), (Some(1.234), None));
        assert_eq!(note.unwrap(), "numbers with decimal commas (`1,234`)");
        let (marks, _) = evidence.marks(None, Some(Mark::Comma)).unwrap();
        assert_eq!(marks.number(b"1,234"), Some(1234.0));
        assert!(Mark::named("x", false).is_err() && Mark::named(" ", true).is_err());
    }
}
