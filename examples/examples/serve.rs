//! A service: many streams ask a trained run at once.
//!
//! Shows: how to load the model of a run folder; a `StreamPool` behind a loop, with a thread for each connection;
//! what to do with an input whose stream still waits for an answer; how to save the streams, so that they go on after a
//! restart. The book's chapter "From a run to a service" explains it.
//!
//! Command, after `cargo run --release -- train char-lm --seconds 20 --out runs/text`:
//!
//! ```sh
//! printf '1 The gradi\n2 a recurrent netw\n1 e\n3 \xe2\x98\x83\n' | cargo run --release --example serve -- runs/text
//! cargo run --release --example serve -- runs/text 127.0.0.1:7070
//! ```
//!
//! The second one listens on a port instead of standard input: `nc 127.0.0.1 7070`. A line is the number of a stream,
//! a blank, and the next characters of the stream. The answer is what the model expects after them.
//!
//! What to expect, the probabilities apart (the answers to different streams come in any order):
//!
//! ```text
//! 3 error: the model has never seen '☃'
//! 1 expects 'e' with probability 0.98
//! 1 expects 'n' with probability 0.96
//! 2 expects 'o' with probability 0.97
//! ```

use bptt::{AnyCell, AnyLayer, RecurrentLayer, SavedStreams, StreamPool, StreamPoolConfig};
use bptt_zoo::{CharModel, RunFolder};
use burn::Tensor;
use burn::tensor::activation::softmax;
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How often the streams are saved.
const SAVE: Duration = Duration::from_secs(30);

/// What the threads of the connections tell the loop.
enum Event {
    Came(usize, Box<dyn Write + Send>),
    Line(usize, String),
    Left(usize),
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(run) = arguments.next() else {
        return Err("which run? Give the folder that `bptt train char-lm --out` wrote".into());
    };
    let mut service = Service::new(&run)?;
    // If lines come faster than they are answered, the senders wait. So memory does not grow.
    let (sender, events) = sync_channel(1024);
    match arguments.next() {
        Some(address) => {
            let listener = TcpListener::bind(address)?;
            // With the port 0, the system chooses one.
            eprintln!("listening on {}", listener.local_addr()?);
            std::thread::spawn(move || {
                for (number, connection) in listener.incoming().flatten().enumerate() {
                    let Ok(writer) = connection.try_clone() else { continue };
                    let sender = sender.clone();
                    std::thread::spawn(move || {
                        read(BufReader::new(connection), number, Box::new(writer), &sender)
                    });
                }
            });
        }
        None => {
            let out = Box::new(std::io::stdout());
            std::thread::spawn(move || read(std::io::stdin().lock(), 0, out, &sender));
        }
    }
    service.serve(&events)
}

/// Sends the lines of a connection, until it ends or nobody listens any more.
fn read(lines: impl BufRead, from: usize, out: Box<dyn Write + Send>, to: &SyncSender<Event>) {
    let mut open = to.send(Event::Came(from, out)).is_ok();
    for line in lines.lines().map_while(Result::ok) {
        open = open && to.send(Event::Line(from, line)).is_ok();
    }
    // If this fails, the service has ended.
    let _ = to.send(Event::Left(from));
}

/// A character of a stream that has no answer yet.
struct Waiting {
    /// Its number in the vocabulary.
    number: usize,
    /// Who gets the answer; `None` if more characters follow in the same line.
    asked_by: Option<usize>,
}

struct Service {
    model: CharModel<AnyLayer>,
    vocabulary: Vec<char>,
    /// What the recurrent layer reads for each character.
    vectors: Vec<Vec<f32>>,
    pool: StreamPool<AnyCell, u64>,
    /// The first of each stream is in the pool, which takes one at a time. The others wait for its answer.
    queues: HashMap<u64, VecDeque<Waiting>>,
    connections: HashMap<usize, Box<dyn Write + Send>>,
    file: PathBuf,
}

impl Service {
    fn new(run: &str) -> Result<Self, Box<dyn Error>> {
        let folder = RunFolder::new(run);
        let (model, tokenizer) = folder.char_model(&bptt_examples::device())?;
        let vocabulary = tokenizer.vocabulary().ok_or("the model's tokens are not characters")?;
        let vocabulary = vocabulary.to_vec();
        let width = model.recurrent.d_input();
        let table = model.embedding.as_ref();
        let table = table.ok_or("the embedding is tied: expected one of its own")?.weight.val();
        let vectors: Vec<f32> = table.into_data().iter::<f32>().collect();
        let vectors = vectors.chunks(width).map(<[f32]>::to_vec).collect();
        let recurrent = model.recurrent.recurrent();
        let recurrent = recurrent.ok_or("the model runs as a scan: expected a cell, as lstm")?;
        let mut pool: StreamPool<_, u64> = StreamPoolConfig::default().init(recurrent)?;
        let file = folder.path().join("streams.bpk");
        if file.exists() {
            pool.restore(&SavedStreams::load(&file)?, Instant::now())?;
        }
        let (queues, connections) = (HashMap::new(), HashMap::new());
        Ok(Self { model, vocabulary, vectors, pool, queues, connections, file })
    }

    /// Answers until all connections and the listener are gone.
    fn serve(&mut self, events: &Receiver<Event>) -> Result<(), Box<dyn Error>> {
        let mut saved = Instant::now();
        loop {
            // Until somebody says something, or until the first of the inputs that wait is due.
            let due = self.pool.due().map(|due| due.saturating_duration_since(Instant::now()));
            match events.recv_timeout(due.unwrap_or(SAVE).min(SAVE)) {
                Ok(Event::Came(who, out)) => drop(self.connections.insert(who, out)),
                Ok(Event::Line(who, line)) => {
                    if let Err(error) = self.take(who, &line) {
                        let stream = line.split(' ').next().unwrap_or_default();
                        self.say(who, &format!("{stream} error: {error}"));
                    }
                }
                // Standard input ends before its last answers are there.
                Ok(Event::Left(who)) => {
                    self.answer_all()?;
                    self.connections.remove(&who);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.save(),
            }
            self.answer(false)?;
            if saved.elapsed() > SAVE {
                self.save()?;
                saved = Instant::now();
            }
        }
    }

    /// One line. A stream that is new begins with a state of zeros.
    fn take(&mut self, who: usize, line: &str) -> Result<(), Box<dyn Error>> {
        let (stream, text) = line.split_once(' ').ok_or("expected a number, a blank and a text")?;
        let stream: u64 = stream.parse().map_err(|_| "the stream is not a number")?;
        if text.is_empty() {
            return Err("there is no character after the blank".into());
        }
        let number = |c: char| {
            let found = self.vocabulary.binary_search(&c);
            found.map_err(|_| format!("the model has never seen {c:?}"))
        };
        // All characters are looked up before any is fed, so that a wrong line changes nothing.
        let numbers = text.chars().map(number).collect::<Result<Vec<_>, _>>()?;
        let now = Instant::now();
        if !self.pool.contains(&stream) {
            self.pool.add(stream, now)?;
        }
        let last = numbers.len() - 1;
        for (place, number) in numbers.into_iter().enumerate() {
            let queue = self.queues.entry(stream).or_default();
            queue.push_back(Waiting { number, asked_by: (place == last).then_some(who) });
            if queue.len() == 1 {
                self.pool.feed(&stream, &self.vectors[number], now)?;
            }
        }
        Ok(())
    }

    /// Sends the answers that are due, or all that wait in the pool, and feeds what waited for them.
    fn answer(&mut self, all: bool) -> Result<(), Box<dyn Error>> {
        let head = |outputs: Tensor<2>| softmax(self.model.head.forward(outputs), 1);
        let now = Instant::now();
        let answers = if all { self.pool.flush_with(head) } else { self.pool.poll_with(now, head) };
        for (stream, scores) in answers.iter() {
            let queue = self.queues.get_mut(stream).expect("what is answered was asked");
            let asked_by = queue.pop_front().and_then(|answered| answered.asked_by);
            match queue.front() {
                Some(next) => self.pool.feed(stream, &self.vectors[next.number], now)?,
                None => drop(self.queues.remove(stream)),
            }
            let Some(who) = asked_by else { continue };
            let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            let best = best.expect("a vocabulary has characters");
            let (character, probability) = (self.vocabulary[best], scores[best]);
            let line = format!("{stream} expects {character:?} with probability {probability:.2}");
            self.say(who, &line);
        }
        Ok(())
    }

    fn answer_all(&mut self) -> Result<(), Box<dyn Error>> {
        while self.pool.waiting() > 0 {
            self.answer(true)?;
        }
        Ok(())
    }

    /// The states of all streams. None may wait, because its input would be lost.
    fn save(&mut self) -> Result<(), Box<dyn Error>> {
        self.answer_all()?;
        Ok(self.pool.snapshot()?.save(&self.file)?)
    }

    /// A connection that does not take its answers is closed; the others go on.
    fn say(&mut self, who: usize, line: &str) {
        if let Some(out) = self.connections.get_mut(&who)
            && writeln!(out, "{line}").and_then(|()| out.flush()).is_err()
        {
            self.connections.remove(&who);
        }
    }
}
