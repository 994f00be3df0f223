use super::*;
use csv::ReaderBuilder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn columns(targets: &[&str]) -> Columns {
    let targets = targets.iter().map(|name| (*name).to_string()).collect();
    Columns { targets, time: Some("t".to_string()), ..Columns::default() }
}

fn parse(text: &str, columns: &Columns) -> Result<Frame, String> {
    let format = TableFormat::default();
    let frame = Frame::parse(text.as_bytes(), "f.csv", columns, &format, None);
    frame.map_err(|error| error.to_string())
}

#[test]
fn a_table_as_people_have_it_is_read() {
    let text = "t;x;y\n01.02.2024;1.234,5;3\n03.02.2024;2,25;NA\n02.02.2024;2;4\n05.02.2024;3;5\n\
                20.02.2024;4;6\n";
    let frame = parse(text, &columns(&["x", "y"])).unwrap();
    let series = &frame.series[0];
    assert_eq!(series.columns[0][..5], [Some(1234.5), Some(2.0), Some(2.25), None, Some(3.0)]);
    assert_eq!((series.columns[1][2], series.columns[1].len()), (None, 20));
    assert_eq!(
        frame.notes,
        [
            "fields separated by `;`",
            "numbers with decimal commas and points between thousands (`1.234,5`)",
            "times read as %d.%m.%Y",
            "`NA` in line 3 read as no value",
            "rows sorted by `t`: 1 was before the one above it",
            "a row for each day, 15 steps without a row, the first after 2024-02-03",
        ]
    );
}

#[test]
fn several_series_are_kept_apart() {
    let text = "t,g,x\n2024-01-01,a,1\n2024-01-02,a,2\n2024-01-02,b,3\n2024-01-03,b,4\n";
    let groups = Columns { group: Some("g".to_string()), ..columns(&["x"]) };
    let frame = parse(text, &groups).unwrap();
    let of = |k: usize| (frame.series[k].name.as_str(), frame.series[k].start);
    assert_eq!((of(0), of(1)), (("a", 0), ("b", 1)));
    assert_eq!(frame.series[1].columns, [[Some(3.0), Some(4.0)]]);
    let message = parse(text, &columns(&["x"])).unwrap_err();
    assert!(
        message.starts_with("f.csv, line 4: `t` is the same as in line 3; keep one row")
            && message.contains("--group-column"),
        "{message}"
    );
}

#[test]
fn rows_that_fit_no_grid_are_named() {
    let hours = "t,x\n2024-01-01 00:00,1\n2024-01-01 01:00,1\n2024-01-01 02:00,1\n";
    let message =
        parse(&(hours.to_string() + "2024-01-01 02:30,5\n"), &columns(&["x"])).unwrap_err();
    assert!(message.contains("line 5") && message.contains("steps of 1 hour"), "{message}");
    let message = parse(&(hours.to_string() + "Total,3\n"), &columns(&["x"])).unwrap_err();
    assert!(
        message.starts_with("f.csv, line 5: `Total` looks like a row that sums up"),
        "{message}"
    );
    let message = parse(&(hours.to_string() + "soon,3\n"), &columns(&["x"])).unwrap_err();
    assert!(message.starts_with("f.csv, line 5:"), "{message}");
    let message =
        parse(&(hours.to_string() + "2034-01-01 02:00,5\n"), &columns(&["x"])).unwrap_err();
    assert!(message.contains("only 4 of"), "{message}");
    assert!(parse("t,x\n2024-01-01,1\n", &columns(&["x"])).unwrap_err().contains("two times"));
}

#[test]
fn words_for_no_value_may_be_numbers() {
    let text = "t,x\n1,5\n2,-99.99\n3,6\n4,nix\n";
    let format = TableFormat { na: vec!["-99.99".into(), "nix".into()], ..TableFormat::default() };
    let frame = Frame::parse(text.as_bytes(), "f", &columns(&["x"]), &format, None).unwrap();
    assert_eq!(frame.series[0].columns, [[Some(5.0), None, Some(6.0), None]]);
}

/// No input causes a panic, and each file that is accepted is read in the same way by another reader.
#[test]
fn what_is_taken_is_what_the_file_says() {
    let pieces = ["x", ",", ",", "1", "2.5", "\n", "\n", "\r\n", "\r", "\"", "\"", " ", "b"];
    let mut random = StdRng::seed_from_u64(1);
    let mut taken = 0;
    let columns = Columns { targets: vec!["x".to_string()], ..Columns::default() };
    for _ in 0..50_000 {
        let length = random.random_range(0..20);
        let piece = |_| pieces[random.random_range(0..pieces.len())];
        let text = "t,x\n".to_string() + &(0..length).map(piece).collect::<String>();
        let Ok(found) = parse(&text, &columns) else { continue };
        let mut reader = ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let spaced = found.notes.iter().any(|note| note.contains("spaces between thousands"));
        let commas = found.notes.iter().any(|note| note.contains("decimal commas"));
        let expected = reader.records().map(|record| {
            let record = record.expect("what is taken is a table");
            let field = if spaced { record[1].replace(' ', "") } else { record[1].to_string() };
            let field = if commas { field.replace(',', ".") } else { field };
            field.parse::<f64>().ok()
        });
        let values = &found.series[0].columns[0];
        assert_eq!(*values, expected.collect::<Vec<_>>(), "{text:?}");
        taken += usize::from(values.len() > 1);
    }
    assert!(taken > 50, "{taken}");
}

#[test]
fn times_that_nobody_asked_for_are_pointed_out() {
    let of = |text: &str, group: Option<&str>| {
        let columns = Columns {
            targets: vec!["x".to_string()],
            group: group.map(str::to_string),
            ..Columns::default()
        };
        let frame = parse(text, &columns).unwrap();
        assert_eq!(frame.grid, None);
        frame.notes
    };
    let hours = "when,x,n\n2024-01-01 00:00,1,5\n2024-01-01 01:00,2,6\n2024-01-01 02:00,3,7\n";
    let said = of(hours, None).concat();
    assert!(said.starts_with("`when` looks like times, 1 hour apart, and is not used"), "{said}");
    assert!(said.contains("--time-column when"), "{said}");
    // A row is missing, and the last one is out of order.
    let odd = hours.to_string() + "2024-01-01 04:00,4,8\n2024-01-01 03:00,5,9\n";
    let said = of(&odd, None).concat();
    assert!(said.contains("and 2 of its rows are not 1 hour after the row above"), "{said}");
    // Two series, each without a gap.
    let two = "d,g,x\n01.02.2024,a,1\n01.02.2024,b,2\n02.02.2024,a,3\n02.02.2024,b,4\n";
    let said = of(two, Some("g")).concat();
    assert!(said.contains("`d` looks like times, 1 day apart"), "{said}");
    // The day or the month may come first.
    assert!(of("d,x\n01/02/2024,1\n02/03/2024,2\n", None).concat().contains("`d` looks like"));
    // Numbers, names and texts that are no dates in all rows.
    assert_eq!(of("n,m,x\n1.2345,a,3\n2.3456,b,4\n", None), [""; 0]);
    assert_eq!(of("n,x\n2024-01-01,3\nno,4\nno,5\n", None), [""; 0]);
}

#[test]
fn a_table_of_another_step_is_not_that_of_the_model() {
    let hours = "t,x\n2024-01-01 00:00,1\n2024-01-01 01:00,1\n2024-01-01 02:00,1\n";
    let grid = parse(hours, &columns(&["x"])).unwrap().grid.unwrap();
    let read = |text: &str| {
        let format = TableFormat::default();
        let frame = Frame::parse(text.as_bytes(), "f.csv", &columns(&["x"]), &format, Some(&grid));
        frame.map_err(|error| error.to_string())
    };
    let two = "t,x\n2024-01-02 00:00,1\n2024-01-02 02:00,1\n2024-01-02 04:00,1\n";
    let message = read(two).unwrap_err();
    assert!(message.contains("`t` is 2 hours, and the model learned steps of 1 hour"), "{message}");
    // With a gap, its usual step is still that of the model.
    let gap =
        "t,x\n2024-01-02 00:00,1\n2024-01-02 01:00,1\n2024-01-02 04:00,1\n2024-01-02 05:00,1\n";
    assert_eq!(read(gap).unwrap().series[0].start, 24);
}
