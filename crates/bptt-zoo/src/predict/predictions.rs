//! Predictions, and how they are written.

use crate::error::Error;
use crate::labelled::confusion::Confusion;
use crate::labelled::score::likeliest;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What a model says about the sequences of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// What was learned.
    pub answers: Answers,
    /// The labels, in the order of the probabilities; none for numbers.
    pub labels: Vec<String>,
    /// The sequences, in the order of the file.
    pub sequences: Vec<PredictedSequence>,
    /// How good the answers are, if the file has right ones.
    pub scores: Option<PredictionScores>,
    /// What a person should know about how the file was read.
    pub notes: Vec<String>,
}

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// A label for each sequence.
    Label,
    /// A label for each step.
    LabelPerStep,
    /// A number for each sequence.
    Number,
}

/// What a model says about one sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedSequence {
    /// Its name in the file, or the number of its line.
    pub id: String,
    /// For each answer the probabilities of all labels, or the number. There is one answer, or one for each step.
    pub said: Vec<Vec<f64>>,
    /// The right answer, if the file has it.
    pub(crate) known: Option<Known>,
}

/// A right answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Known {
    /// The numbers of the labels.
    Classes(Vec<usize>),
    Number(f64),
}

/// How good predictions are, where the right answers are known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictionScores {
    /// How many sequences have a right answer.
    pub sequences: usize,
    /// The share of right labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The mean F1 of the labels ([`Confusion::macro_f1`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// The root mean square of the errors of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Which label the model says where which one is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

impl Predictions {
    /// The scores of the sequences whose answers are known.
    pub(super) fn judge(&mut self) {
        let mut confusion = Confusion::new(&self.labels);
        let (mut count, mut squares) = (0, 0.0);
        for sequence in &self.sequences {
            match &sequence.known {
                Some(Known::Classes(classes)) => {
                    for (&right, said) in classes.iter().zip(&sequence.said) {
                        confusion.add(right, likeliest(said));
                    }
                }
                Some(Known::Number(number)) => squares += (sequence.said[0][0] - number).powi(2),
                None => continue,
            }
            count += 1;
        }
        let is_number = self.answers == Answers::Number;
        self.scores = (count > 0).then(|| PredictionScores {
            sequences: count,
            accuracy: (!is_number).then(|| confusion.accuracy()),
            macro_f1: (!is_number).then(|| confusion.macro_f1()),
            rmse: is_number.then(|| (squares / count as f64).sqrt()),
            confusion: (!is_number).then_some(confusion),
        });
    }

    /// A line of JSON for each sequence, `{"id", "label", "probabilities"}`; with a label for each step `{"id", "labels",
    /// "probabilities"}`, a list each; with a number `{"id", "value"}`. A right answer, where it is known, is `y`.
    pub fn json_lines(&self) -> String {
        self.sequences.iter().map(|sequence| self.json(sequence).to_string() + "\n").collect()
    }

    fn json(&self, sequence: &PredictedSequence) -> Value {
        let PredictedSequence { id, said, known } = sequence;
        let label = |said: &Vec<f64>| self.labels[likeliest(said)].clone();
        let probabilities = |said: &Vec<f64>| {
            let each = self.labels.iter().zip(said);
            Value::Object(each.map(|(label, p)| (label.clone(), rounded(*p).into())).collect())
        };
        let mut line = match self.answers {
            Answers::Label => {
                json!({ "id": id, "label": label(&said[0]), "probabilities": probabilities(&said[0]) })
            }
            Answers::LabelPerStep => json!({
                "id": id,
                "labels": said.iter().map(label).collect::<Vec<_>>(),
                "probabilities": said.iter().map(probabilities).collect::<Vec<_>>(),
            }),
            Answers::Number => json!({ "id": id, "value": said[0][0] }),
        };
        let right = known.as_ref().map(|known| match (known, self.answers) {
            (Known::Number(number), _) => json!(number),
            (Known::Classes(classes), Answers::Label) => json!(self.labels[classes[0]]),
            (Known::Classes(classes), _) => {
                classes.iter().map(|&class| json!(self.labels[class])).collect()
            }
        });
        let fields: Option<&mut Map<String, Value>> = line.as_object_mut();
        if let (Some(fields), Some(right)) = (fields, right) {
            fields.insert("y".to_string(), right);
        }
        line
    }

    /// The same as a CSV table: a row for each sequence, or for each step. The columns are `id`, `step` (where there is a row
    /// for each step, from 1), `label` or `value`, `y` (empty if it is not known), and `p(…)` for each label.
    ///
    /// # Errors
    ///
    /// If the table cannot be written.
    pub fn csv(&self) -> Result<Vec<u8>, Error> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| Error::input(format!("cannot write a table: {error}"));
        let has_steps = self.answers == Answers::LabelPerStep;
        let mut head = vec!["id".to_string()];
        head.extend(has_steps.then(|| "step".to_string()));
        head.push(if self.answers == Answers::Number { "value" } else { "label" }.to_string());
        head.push("y".to_string());
        head.extend(self.labels.iter().map(|label| format!("p({label})")));
        table.write_record(&head).map_err(failed)?;
        for PredictedSequence { id, said, known } in &self.sequences {
            for (k, said) in said.iter().enumerate() {
                let mut row = vec![id.clone()];
                row.extend(has_steps.then(|| (k + 1).to_string()));
                row.push(match self.answers {
                    Answers::Number => said[0].to_string(),
                    _ => self.labels[likeliest(said)].clone(),
                });
                row.push(match known {
                    Some(Known::Classes(classes)) => self.labels[classes[k]].clone(),
                    Some(Known::Number(number)) => number.to_string(),
                    None => String::new(),
                });
                if self.answers != Answers::Number {
                    row.extend(said.iter().map(|p| rounded(*p).to_string()));
                }
                table.write_record(&row).map_err(failed)?;
            }
        }
        table.into_inner().map_err(|error| Error::input(format!("cannot write a table: {error}")))
    }
}

/// A probability with the digits that a network in `f32` can vouch for.
fn rounded(probability: f64) -> f64 {
    (probability * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(answers: Answers, said: Vec<Vec<f64>>, known: Option<Known>) -> Predictions {
        let labels = if answers == Answers::Number { vec![] } else { vec!["a", "b,c"] };
        let labels = labels.into_iter().map(str::to_string).collect();
        let sequences = vec![PredictedSequence { id: "s".to_string(), said, known }];
        let mut all = Predictions { answers, labels, sequences, scores: None, notes: Vec::new() };
        all.judge();
        all
    }

    #[test]
    fn lines_and_tables_say_the_same() {
        let one =
            predictions(Answers::Label, vec![vec![0.25, 0.75]], Some(Known::Classes(vec![0])));
        assert_eq!(
            one.json_lines(),
            "{\"id\":\"s\",\"label\":\"b,c\",\"probabilities\":{\"a\":0.25,\"b,c\":0.75},\"y\":\"a\"}\n"
        );
        let csv = String::from_utf8(one.csv().unwrap()).unwrap();
        assert_eq!(csv, "id,label,y,p(a),\"p(b,c)\"\ns,\"b,c\",a,0.25,0.75\n");
        assert_eq!(one.scores.unwrap().accuracy, Some(0.0));

        let steps = predictions(Answers::LabelPerStep, vec![vec![0.9, 0.1], vec![0.2, 0.8]], None);
        let line: Value = serde_json::from_str(&steps.json_lines()).unwrap();
        assert_eq!(line["labels"], json!(["a", "b,c"]));
        assert_eq!(line["probabilities"][1]["a"], json!(0.2));
        assert!(line.get("y").is_none() && steps.scores.is_none());
        let csv = String::from_utf8(steps.csv().unwrap()).unwrap();
        assert!(
            csv.starts_with("id,step,label,y,p(a)") && csv.contains("\ns,2,\"b,c\",,0.2,0.8\n")
        );

        let number = predictions(Answers::Number, vec![vec![1.5]], Some(Known::Number(1.0)));
        assert_eq!(number.json_lines(), "{\"id\":\"s\",\"value\":1.5,\"y\":1.0}\n");
        assert_eq!(String::from_utf8(number.csv().unwrap()).unwrap(), "id,value,y\ns,1.5,1\n");
        assert_eq!(number.scores.unwrap().rmse, Some(0.5));
    }
}
