//! Rust source as words and signs, without comments and literals.

/// A word, a `::`, or a single sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// From 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Whether it can be a part of a path.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(is_of_word)
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// All tokens, in order.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut reader = Reader { rest: source, line: 1, tokens: Vec::new() };
    while !reader.rest.is_empty() {
        reader.next();
    }
    reader.tokens
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Reader<'a> {
    /// Reads so many bytes.
    fn take(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(count);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn push(&mut self, count: usize) {
        let line = self.line;
        let text = self.take(count);
        self.tokens.push(Token { text, line });
    }

    /// Reads to the end of what ends with `end`, or to the end of all.
    fn skip_to(&mut self, end: &str) {
        let count = self.rest.find(end).map_or(self.rest.len(), |at| at + end.len());
        self.take(count);
    }

    /// Reads a token, or something that is none.
    fn next(&mut self) {
        let rest = self.rest;
        let first = rest.chars().next().expect("something is left");
        match first {
            _ if rest.starts_with("//") => self.skip_to("\n"),
            _ if rest.starts_with("/*") => self.block_comment(),
            _ if rest.starts_with("::") => self.push(2),
            '"' => self.string(),
            '\'' => self.quote(),
            _ if is_of_word(first) => self.word(),
            _ if first.is_whitespace() => {
                self.take(first.len_utf8());
            }
            _ => self.push(first.len_utf8()),
        }
    }

    /// Block comments may be in each other.
    fn block_comment(&mut self) {
        let mut depth = 0;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
            } else {
                let first = self.rest.chars().next().map_or(0, char::len_utf8);
                self.take(first);
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A string with escapes.
    fn string(&mut self) {
        let mut escaped = true;
        let end = self.rest.char_indices().find(|&(_, c)| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        self.take(end.map_or(self.rest.len(), |(at, _)| at + 1));
    }

    /// A character, or a lifetime.
    fn quote(&mut self) {
        let mut chars = self.rest.char_indices().skip(1);
        match (chars.next(), chars.next()) {
            // What is escaped may itself be a quote.
            (Some((_, '\\')), Some((at, escaped))) => {
                self.take(at + escaped.len_utf8());
                self.skip_to("'");
            }
            (Some(_), Some((at, '\''))) => {
                self.take(at + 1);
            }
            _ => {
                self.take(1);
                let end = self.rest.find(|c| !is_of_word(c)).unwrap_or(self.rest.len());
                self.take(end);
            }
        }
    }

    /// A word, or the prefix of a string and the string.
    fn word(&mut self) {
        let end = self.rest.find(|c| !is_of_word(c)).unwrap_or(self.rest.len());
        let (word, behind) = self.rest.split_at(end);
        if !matches!(word, "r" | "b" | "br" | "c" | "cr") {
            return self.push(end);
        }
        let hashes = behind.len() - behind.trim_start_matches('#').len();
        if !behind[hashes..].starts_with('"') {
            if word == "b" && behind.starts_with('\'') {
                self.take(end);
                return self.quote();
            }
            if word == "r" && hashes == 1 {
                // A raw name: the name is what counts.
                self.take(end + 1);
                return self.word();
            }
            return self.push(end);
        }
        self.take(end + hashes);
        if word.contains('r') {
            self.take(1);
            self.skip_to(&format!("\"{}", "#".repeat(hashes)));
        } else {
            self.string();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_literals_are_left_out() {
        assert_eq!(texts("a // b\n/* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(
            texts(r##"a("b \" c", r"\", r#"d " e"#, b"f", 'g', '\'', b'h')"##).concat(),
            "a(,,,,,,)"
        );
        assert_eq!(texts("fn a<'b>(c: &'b d) {}").concat(), "fna<>(c:&d){}");
        assert_eq!(texts("use r#type::x;"), ["use", "type", "::", "x", ";"]);
        assert_eq!(texts("a::<b>(\"never closed"), ["a", "::", "<", "b", ">", "("]);
    }

    #[test]
    fn lines_are_counted() {
        let lines: Vec<_> = tokens("a\n\"b\nc\"\n/* \n */ d").iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 5]);
    }
}
