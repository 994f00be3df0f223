//! `bptt train forecast` and `bptt predict --csv`: from a table as people have it to a page.

use crate::{bptt, stderr, stdout};
use serde_json::Value;
use std::path::Path;

/// Hours of a load in January: semicolons, decimal commas, German dates, a missing hour, two rows that are swapped.
fn table(hours: usize) -> String {
    let row = |t: usize| {
        let wave = (t as f64 * std::f64::consts::TAU / 24.0).sin();
        let load = format!("{:.2}", 50.0 + 20.0 * wave + ((t * 37) % 11) as f64 / 10.0);
        format!("{:02}.01.2024 {:02}:00;{}\n", 1 + t / 24, t % 24, load.replace('.', ","))
    };
    let mut rows: Vec<String> = (0..hours).filter(|t| *t != 30).map(row).collect();
    rows.swap(3, 4);
    "Zeit;Last\n".to_string() + &rows.concat()
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it was written")
}

const SMALL: [&str; 8] = ["--hidden", "4", "--batch", "16", "--steps", "20", "--length", "12"];

/// The result of a run as JSON.
fn train(arguments: &[&str]) -> (Value, String) {
    let done = bptt(&[&["train", "forecast", "--json", "-"], &SMALL[..], arguments].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    (serde_json::from_slice(&done.stdout).expect("JSON"), stderr(&done))
}

#[test]
fn a_table_as_people_have_it_becomes_a_page_with_forecasts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| folder.path().join(name);
    let (data, run) = (of("last.csv"), of("run"));
    std::fs::write(&data, table(360)).expect("it can be written");
    let series = ["--csv", plain(&data), "--column", "Last", "--time-column", "Zeit"];
    let more = ["--out", plain(&run), "--horizon", "6", "--head", "gaussian", "--calendar", "auto"];
    let (result, said) = train(&[&series[..], &more].concat());
    for part in [
        "360 values, 1 of them filled in; windows of 12, 6 ahead",
        "fields separated by `;`",
        "numbers with decimal commas",
        "times read as %d.%m.%Y %H:%M",
        "rows sorted by `Zeit`: 1 was before the one above it",
        "a row for each hour, 1 step without a row, the first after 2024-01-02T05:00",
        "; of the calendar the model reads hour",
        "; bptt predict --run ",
        "seasonal naive (24)",
        "linear autoregression (12)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(result["baselines"].as_array().map(Vec::len), Some(4));
    assert_eq!(result["horizon_error"].as_array().map(Vec::len), Some(6));
    assert!((0.0..=1.0).contains(&result["coverage"].as_f64().expect("a number")));
    assert!(result["errors"]["pinball"].as_f64() < result["errors"]["mae"].as_f64());
    assert_eq!(result["test_sequences"], 36 - 5);

    let (table, page) = (of("predictions.csv"), of("page.html"));
    let files = ["--csv", plain(&data), "--out", plain(&table), "--html", plain(&page)];
    let done = bptt(&[&["predict", "--run", plain(&run), "--json", "-"], &files[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let judged: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&judged["forecasts"], &judged["horizon"]), (&354.into(), &6.into()));
    assert_eq!(judged["scores"]["values"], 347, "the missing hour is not known");
    // The last tenth is the test, which the run did not learn from.
    assert_eq!(judged["new_scores"]["values"], 36);
    assert!(stderr(&done).contains("36 of the known values are after those"), "{}", stderr(&done));
    let table = read(&table);
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[0], "time,ahead,forecast,p05,p10,p25,p50,p75,p90,p95,truth");
    assert!(rows[1].starts_with("2024-01-01T12:00,1,"), "{}", rows[1]);
    assert!(rows[354].starts_with("2024-01-16T05:00,6,") && rows[354].ends_with(','));
    let numbers: Vec<f64> =
        rows[354].split(',').skip(3).take(7).map(|x| x.parse().expect("a number")).collect();
    assert!(numbers.is_sorted() && numbers[0] < numbers[6], "{numbers:?}");
    let page = read(&page);
    assert!(page.contains("intervals of 50 % and 90 %") && page.contains("2024-01-16T00:00"));
    assert!(!page.contains("NaN"), "every number is one");
}

#[test]
fn predictions_are_those_of_the_test() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| folder.path().join(name);
    let data = of("last.csv");
    std::fs::write(&data, table(360)).expect("it can be written");
    let series = ["--csv", plain(&data), "--column", "Last", "--time-column", "Zeit"];
    for (name, more) in [
        ("residual", &[][..]),
        ("linear", &["--combine", "linear"]),
        ("none", &["--combine", "none"]),
        ("steps", &["--horizon", "3", "--strategy", "recursive", "--test-share", "12"]),
    ] {
        let run = of(name);
        let (result, said) = train(&[&series[..], &["--out", plain(&run)], more].concat());
        let has_linear = name != "none";
        assert_eq!(result["linear"].is_object(), has_linear, "{name}");
        assert_eq!(said.contains("its linear part alone"), has_linear, "{said}");
        assert_eq!(said.contains("the model is the linear part"), has_linear && name != "linear");
        let (files, table) = ([plain(&data), plain(&run)], of("p.csv"));
        let ask = ["predict", "--csv", files[0], "--run", files[1], "--out", plain(&table)];
        let done = bptt(&[&ask[..], &["--json", "-"]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let judged: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        let test = &result["errors"];
        if name != "steps" {
            let [a, b] =
                [&judged["new_scores"], test].map(|one| one["rmse"].as_f64().expect("one"));
            assert!((a - b).abs() < 1e-5 * b, "{name}: {a} {b}");
            let [a, b] = [&judged["new_scores"]["coverage"], &result["coverage"]];
            assert!((a.as_f64().expect("one") - b.as_f64().expect("one")).abs() < 1e-9, "{name}");
        }
        // The quantiles have followed the errors of the test, and a file that begins later goes on with them.
        let [fixed, latest] = [&result["fixed_coverage"], &result["calibration"]["latest"]];
        assert!((0.0..=1.0).contains(&fixed.as_f64().expect("one")), "{name}");
        let ahead = if name == "steps" { 3 } else { 1 };
        assert_eq!(latest.as_array().map(Vec::len), Some(ahead), "{name}");
        assert_ne!(latest, &result["calibration"]["offsets"], "{name}");
        let newest = of("newest.csv");
        let all = read(&data);
        let lines: Vec<&str> = all.lines().collect();
        let rows = [&lines[..1], &lines[lines.len() - 12..]].concat().join("\n");
        std::fs::write(&newest, rows + "\n").expect("it can be written");
        let next = of("next.csv");
        let files = ["--csv", plain(&newest), "--run", plain(&run), "--out", plain(&next)];
        let done = bptt(&[&["predict"], &files[..]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let last = |path: &Path| -> Vec<f64> {
            let table = read(path);
            let row = table.lines().last().expect("a row");
            row.split(',').skip(1).take(9).map(|x| x.parse().expect("a number")).collect()
        };
        // What comes next is said alike of the whole file and of its end.
        for (whole, newest) in last(&table).iter().zip(last(&next)) {
            assert!((whole - newest).abs() < 1e-4 * whole.abs(), "{name}: {whole} {newest}");
        }
        // A test with other weights is refused.
        let path = run.join("test.json");
        if has_linear {
            let wrong = read(&path).replacen("\"lags\": 12", "\"lags\": 11", 1);
            std::fs::write(&path, wrong).expect("it can be written");
            let done = bptt(&["predict", "--run", plain(&run), "--csv", plain(&data)]);
            assert!(stderr(&done).contains("`combination` in test.json does not fit"), "{name}");
        }
    }
}

#[test]
fn several_series_columns_and_covariates_go_together() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| folder.path().join(name);
    let (data, run) = (of("shops.csv"), of("run"));
    let mut text = "day,shop,sales,visits,price,holiday\n".to_string();
    for t in 0..150_usize {
        for (shop, level) in [("north", 10.0), ("south", 300.0)] {
            let holiday = usize::from(t % 10 == 9);
            let sales = level * (1.0 + 0.1 * ((t % 7) as f64) + holiday as f64);
            let known = if t < 140 { format!("{sales:.1},{}", t % 7) } else { ",".to_string() };
            text += &format!("{t},{shop},{known},{},{holiday}\n", t % 3);
        }
    }
    std::fs::write(&data, &text).expect("it can be written");
    let columns = [
        "--csv",
        plain(&data),
        "--column",
        "sales",
        "--column",
        "visits",
        "--covariate",
        "price",
        "--known-covariate",
        "holiday",
        "--group-column",
        "shop",
        "--time-column",
        "day",
        "--horizon",
        "3",
        "--head",
        "quantiles",
        "--out",
        plain(&run),
    ];
    let (result, said) = train(&columns);
    assert!(said.contains("560 values of 2 series"), "{said}");
    assert_eq!(result["columns"][1]["name"], "visits");
    // Each series has its errors; those of the north are smaller only in its own unit.
    let series = result["series"].as_array().expect("a list");
    let names: Vec<_> = series.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["north", "south"]);
    let rmse = |one: &Value| one["rmse"].as_f64().expect("a number");
    let mean = (series.iter().map(|one| rmse(one).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!((mean - rmse(&result["errors"])).abs() < 1e-9, "{result}");
    assert!(said.contains("\nnorth ") && said.contains("\nsouth "), "{said}");
    let done = bptt(&["predict", "--run", plain(&run), "--csv", plain(&data)]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let lines: Vec<Value> =
        stdout(&done).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = lines.last().expect("a line");
    assert_eq!((&last["series"], &last["column"]), (&"south".into(), &"visits".into()));
    assert_eq!(
        (&last["time"], &last["ahead"], &last["truth"]),
        (&"142".into(), &3.into(), &Value::Null)
    );
    // Without rows beyond the last value, nothing is known ahead.
    let short: String = text.lines().take(281).map(|line| line.to_string() + "\n").collect();
    std::fs::write(&data, short).expect("it can be written");
    let done = bptt(&["predict", "--run", plain(&run), "--csv", plain(&data)]);
    let said = stderr(&done);
    let note = "nothing is said beyond the last value of 2 series: what is known ahead ends 0 steps after it, and 3 are";
    assert_eq!(said.matches("nothing is said").count(), 1, "{said}");
    assert!(said.contains(note), "{said}");
}

#[test]
fn new_rows_are_learned_by_a_warm_start_and_folds_are_a_table() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| folder.path().join(name);
    let (data, first, second, folds) = (of("last.csv"), of("first"), of("second"), of("folds"));
    let series = ["--csv", plain(&data), "--column", "Last", "--time-column", "Zeit"];
    std::fs::write(&data, table(240)).expect("it can be written");
    train(&[&series[..], &["--out", plain(&first)]].concat());
    std::fs::write(&data, table(300)).expect("it can be written");
    let resumed =
        [&["train", "forecast", "--resume", "--steps", "30", "--out", plain(&first)], &series[..]];
    let done = bptt(&resumed.concat());
    assert!(stderr(&done).contains("not the one that the run began with"), "{}", stderr(&done));
    assert!(stderr(&done).contains("--warm-start "), "{}", stderr(&done));
    let warm = ["--warm-start", plain(&first), "--out", plain(&second)];
    train(&[&series[..], &warm].concat());
    let scales = |run: &Path| -> Value {
        let config: Value = serde_json::from_str(&read(&run.join("config.json"))).expect("JSON");
        config["forecast"]["scales"].clone()
    };
    assert_eq!(scales(&first), scales(&second), "the weights mean the same");
    let linear = |run: &Path| -> Value {
        let config: Value = serde_json::from_str(&read(&run.join("config.json"))).expect("JSON");
        config["model"]["config"]["linear"].clone()
    };
    assert!(linear(&first)["lags"] == 12 && linear(&first) == linear(&second));
    // A network that learned values does not go on with errors.
    let (plain_run, other) = (of("plain"), of("other"));
    train(&[&series[..], &["--combine", "none", "--out", plain(&plain_run)]].concat());
    assert_eq!(linear(&plain_run), Value::Null);
    let begin = ["train", "forecast", "--warm-start", plain(&plain_run), "--out", plain(&other)];
    let done = bptt(&[&begin[..], &SMALL[..], &series[..]].concat());
    assert_eq!(done.status.code(), Some(2));
    let why = "its network was trained with --combine none: say so";
    assert!(stderr(&done).contains(why), "{}", stderr(&done));
    // What was scaled by another run is resumed as it was.
    let done = bptt(&["train", "forecast", "--resume", "--steps", "30", "--out", plain(&second)]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert_eq!(scales(&first), scales(&second));
    assert_eq!(linear(&first), linear(&second));

    let (result, said) = train(&[&series[..], &["--folds", "3", "--out", plain(&folds)]].concat());
    let backs: Vec<_> =
        result["folds"].as_array().expect("a list").iter().map(|fold| &fold["hold_back"]).collect();
    assert_eq!(backs, [2, 1, 0]);
    assert!(said.contains("backtest") && said.contains("\nmean "), "{said}");
    assert!(of("folds-fold-1").join("test.json").is_file());
}

#[test]
fn what_makes_no_sense_is_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| folder.path().join(name);
    let (data, run) = (of("last.csv"), of("run"));
    std::fs::write(&data, table(240)).expect("it can be written");
    let wrong = |more: &[&str], named: &str| {
        let begin =
            ["train", "forecast", "--csv", plain(&data), "--column", "Last", "--out", plain(&run)];
        let done = bptt(&[&begin[..], more].concat());
        assert_eq!(done.status.code(), Some(2), "{more:?}: {}", stdout(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{}", stderr(&done));
        assert!(stderr(&done).contains(named), "{named}: {}", stderr(&done));
    };
    wrong(&["--column", "Last"], "is named twice");
    wrong(&["--delimiter", "ab"], "--delimiter ab: has to be one character");
    wrong(&["--calendar", "hour"], "--calendar hour: it needs --time-column");
    wrong(&["--time-column", "Zeit", "--calendar", "moon"], "hour, weekday, yearday or auto");
    wrong(&["--time-column", "Uhr"], "no column `Uhr`; there are: Zeit, Last");
    wrong(&["--head", "round"], "(possible values: point, gaussian, student-t, quantiles)");
    wrong(&["--strategy", "recursive", "--covariate", "x"], "take direct, or --known-covariate");
    wrong(&["--folds", "3", "--test-share", "0"], "--folds 3: the first of them has --hold-back 2");
    wrong(&["--warm-start", plain(&run)], "no run here");
    assert!(!run.exists());
    let (_, _) = train(&["--csv", plain(&data), "--column", "Last", "--out", plain(&run)]);
    let predict = |more: &[&str]| bptt(&[&["predict", "--run", plain(&run)], more].concat());
    assert!(stderr(&predict(&["--data", plain(&data)])).contains("give --csv FILE"));
    assert!(stderr(&predict(&[])).contains("the run is one of forecast; give --csv FILE"));
    // A model of another column, or that reads something else of the time, is no beginning.
    let other = of("other.csv");
    std::fs::write(&other, table(240).replace("Last", "Strom")).expect("it can be written");
    let warm = |more: &[&str]| {
        let begin = ["train", "forecast", "--csv", plain(&other), "--warm-start", plain(&run)];
        let done = bptt(&[&begin[..], &["--out", plain(&of("warm"))], more].concat());
        assert_eq!(done.status.code(), Some(2), "{more:?}: {}", stdout(&done));
        stderr(&done)
    };
    let message = warm(&["--column", "Strom"]);
    assert!(
        message.contains("its model has other columns (`Last`): start without it"),
        "{message}"
    );
    std::fs::write(&other, table(240)).expect("it can be written");
    let message = warm(&["--column", "Last", "--time-column", "Zeit", "--calendar", "hour"]);
    assert!(message.contains("its model reads something else of the time"), "{message}");
    let day = table(240)
        .replace(" 00:00", "")
        .lines()
        .filter(|line| !line.contains(':'))
        .fold(String::new(), |all, line| all + line + "\n");
    std::fs::write(&other, day).expect("it can be written");
    let done = bptt(&[
        "train",
        "forecast",
        "--csv",
        plain(&other),
        "--column",
        "Last",
        "--time-column",
        "Zeit",
        "--calendar",
        "hour",
        "--out",
        plain(&of("days")),
    ]);
    assert!(
        stderr(&done)
            .contains("--calendar hour: it is the same in all rows, which are 1 day apart"),
        "{}",
        stderr(&done)
    );
    std::fs::write(&data, table(8)).expect("it can be written");
    let done = predict(&["--csv", plain(&data)]);
    assert!(
        stderr(&done).contains("8 values, and the model reads windows of 12"),
        "{}",
        stderr(&done)
    );
}

#[test]
fn windows_reach_beyond_a_season() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| folder.path().join(name);
    let (data, run, short) = (of("weeks.csv"), of("run"), of("short"));
    let wave = |t: usize| 50.0 + 20.0 * (t as f64 * std::f64::consts::TAU / 52.0).sin();
    let row = |t: usize| format!("{:.2}\n", wave(t) + ((t * 37) % 11) as f64 / 10.0);
    std::fs::write(&data, "x\n".to_string() + &(0..400).map(row).collect::<String>())
        .expect("it can be written");
    let ask = ["train", "forecast", "--csv", plain(&data), "--column", "x", "--hidden", "4"];
    let ask = [&ask[..], &["--steps", "5", "--batch", "8"]].concat();
    let ask = |more: &[&str]| bptt(&[&ask[..], more].concat());
    let done = ask(&["--out", plain(&run)]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let said = stdout(&done);
    for part in [
        "windows of 61, 1 ahead",
        "windows reach beyond a season of 52 (--length)",
        "linear autoregression (61)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let done = bptt(&["predict", "--run", plain(&run), "--csv", plain(&data)]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stderr(&done).contains("340 forecasts"), "{}", stderr(&done));
    // What is asked for is what there is.
    let done = ask(&["--out", plain(&short), "--length", "50"]);
    assert!(stdout(&done).contains("windows of 50, 1 ahead"), "{}", stdout(&done));
    let done = ask(&["--out", plain(&of("next")), "--warm-start", plain(&short)]);
    assert_eq!(done.status.code(), Some(2));
    let why = "its windows have 50 values, and 61 fit this table: say --length 50";
    assert!(stderr(&done).contains(why), "{}", stderr(&done));
    let done = ask(&["--out", plain(&of("next")), "--length", "1"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr(&done).contains("--length 1: has to be 2 to"), "{}", stderr(&done));
}
