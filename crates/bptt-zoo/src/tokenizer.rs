//! Texts as numbers: by characters, bytes, words, or parts of words.
//!
//! Each token stands for some bytes, and a text is the bytes of its tokens, one after the other. So nothing of a text is
//! lost, and models with different tokenizers can be compared, in bits per byte or per character.

#[cfg(feature = "bpe")]
mod bpe;
mod words;

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What a token is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenizerKind {
    /// A character that occurs in the text.
    #[default]
    Chars,
    /// A byte of the text in UTF-8.
    Bytes,
    /// A frequent word, with the space before it. All else is byte by byte.
    Words,
    /// A part of a word: two tokens that are often side by side become one, again and again, from bytes on (R. Sennrich,
    /// B. Haddow and A. Birch, "Neural machine translation of rare words with subword units", ACL 2016).
    Bpe,
}

impl TokenizerKind {
    /// The size of the vocabulary if none is given; `None` if it cannot be chosen.
    pub(crate) fn default_size(self) -> Option<usize> {
        match self {
            Self::Chars | Self::Bytes => None,
            Self::Words => Some(4096),
            Self::Bpe => Some(1024),
        }
    }

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chars => "chars",
            Self::Bytes => "bytes",
            Self::Words => "words",
            Self::Bpe => "bpe",
        }
    }
}

/// What a run folder has of a tokenizer that is not [`TokenizerKind::Chars`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredTokenizer {
    /// [`TokenizerKind::Bytes`]
    Bytes,
    /// [`TokenizerKind::Words`]: the words, the most frequent first. Their numbers follow those of the bytes.
    Words(Vec<String>),
    /// [`TokenizerKind::Bpe`]: the content of a `tokenizer.json` of the library tokenizers.
    Bpe(serde_json::Value),
}

/// Makes numbers from a text, and bytes from numbers.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    /// The bytes of each token, by its number.
    tokens: Vec<Vec<u8>>,
    encoder: Encoder,
}

#[derive(Clone, Debug)]
enum Encoder {
    /// In the order of their code points.
    Chars(Vec<char>),
    Bytes,
    Words(HashMap<String, u32>),
    #[cfg(feature = "bpe")]
    Bpe(Box<bpe::Bpe>),
}

/// A text as numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The numbers of its tokens.
    pub numbers: Vec<u32>,
    /// The characters that are left out because the tokenizer does not have them, in order, with how often each occurs.
    pub unknown: Vec<(char, usize)>,
}

impl Tokenizer {
    /// The characters of a vocabulary.
    ///
    /// # Arguments
    ///
    /// - `vocabulary`: in the order of their code points, each once
    pub fn chars(vocabulary: Vec<char>) -> Self {
        let tokens = vocabulary.iter().map(|character| character.to_string().into_bytes());
        Self { tokens: tokens.collect(), encoder: Encoder::Chars(vocabulary) }
    }

    /// The 256 bytes.
    pub fn bytes() -> Self {
        Self { tokens: all_bytes(), encoder: Encoder::Bytes }
    }

    /// The 256 bytes, and the most frequent words of a text: those that occur twice or more.
    ///
    /// # Arguments
    ///
    /// - `size`: how many tokens there are at most
    pub fn words(text: &str, size: usize) -> Self {
        Self::of_words(words::frequent(text, size.saturating_sub(256)))
    }

    /// The 256 bytes and these words.
    fn of_words(words: Vec<String>) -> Self {
        let mut tokens = all_bytes();
        let numbers = words.iter().zip(256..).map(|(word, number)| (word.clone(), number));
        let encoder = Encoder::Words(numbers.collect());
        tokens.extend(words.into_iter().map(String::into_bytes));
        Self { tokens, encoder }
    }

    /// The 256 bytes, and what comes of merging the most frequent pairs of tokens in a text.
    ///
    /// # Arguments
    ///
    /// - `size`: how many tokens there are at most
    ///
    /// # Errors
    ///
    /// If this build is without the feature `bpe`.
    pub fn bpe(text: &str, size: usize) -> Result<Self, Error> {
        #[cfg(feature = "bpe")]
        return Self::of_bpe(bpe::Bpe::learned(text, size)).map_err(Error::Input);
        #[cfg(not(feature = "bpe"))]
        {
            let _ = (text, size);
            Err(Error::input(NOT_IN_THIS_BUILD))
        }
    }

    #[cfg(feature = "bpe")]
    fn of_bpe(bpe: Result<bpe::Bpe, String>) -> Result<Self, String> {
        let bpe = bpe?;
        Ok(Self { tokens: bpe.tokens()?, encoder: Encoder::Bpe(Box::new(bpe)) })
    }

    /// A tokenizer of this kind for a text.
    ///
    /// # Errors
    ///
    /// As [`bpe`](Self::bpe).
    pub(crate) fn learned(
        kind: TokenizerKind,
        text: &str,
        size: Option<usize>,
    ) -> Result<Self, Error> {
        let size = size.or(kind.default_size()).unwrap_or(0);
        match kind {
            TokenizerKind::Chars => {
                let mut vocabulary: Vec<char> = text.chars().collect();
                vocabulary.sort_unstable();
                vocabulary.dedup();
                Ok(Self::chars(vocabulary))
            }
            TokenizerKind::Bytes => Ok(Self::bytes()),
            TokenizerKind::Words => Ok(Self::words(text, size)),
            TokenizerKind::Bpe => Self::bpe(text, size),
        }
    }

    /// The tokenizer of a run folder, from what [`to_stored`](Self::to_stored) gave.
    ///
    /// # Errors
    ///
    /// Why what is stored is no tokenizer.
    pub(crate) fn stored(
        vocabulary: &str,
        tokenizer: Option<&StoredTokenizer>,
    ) -> Result<Self, String> {
        match tokenizer {
            None => Ok(Self::chars(vocabulary.chars().collect())),
            Some(StoredTokenizer::Bytes) => Ok(Self::bytes()),
            Some(StoredTokenizer::Words(words)) => Ok(Self::of_words(words.clone())),
            #[cfg(feature = "bpe")]
            Some(StoredTokenizer::Bpe(json)) => Self::of_bpe(bpe::Bpe::stored(json)),
            #[cfg(not(feature = "bpe"))]
            Some(StoredTokenizer::Bpe(_)) => Err(NOT_IN_THIS_BUILD.to_string()),
        }
    }

    /// What a run folder has to store: the vocabulary, if the tokens are characters, and the tokenizer, if not.
    pub(crate) fn to_stored(&self) -> (String, Option<StoredTokenizer>) {
        let words = || self.tokens[256..].iter().map(|word| String::from_utf8_lossy(word).into());
        match &self.encoder {
            Encoder::Chars(vocabulary) => (vocabulary.iter().collect(), None),
            Encoder::Bytes => (String::new(), Some(StoredTokenizer::Bytes)),
            Encoder::Words(_) => (String::new(), Some(StoredTokenizer::Words(words().collect()))),
            #[cfg(feature = "bpe")]
            Encoder::Bpe(bpe) => (String::new(), Some(StoredTokenizer::Bpe(bpe.to_json()))),
        }
    }

    /// What a token is.
    pub fn kind(&self) -> TokenizerKind {
        match self.encoder {
            Encoder::Chars(_) => TokenizerKind::Chars,
            Encoder::Bytes => TokenizerKind::Bytes,
            Encoder::Words(_) => TokenizerKind::Words,
            #[cfg(feature = "bpe")]
            Encoder::Bpe(_) => TokenizerKind::Bpe,
        }
    }

    /// How many tokens there are, `V`.
    pub fn size(&self) -> usize {
        self.tokens.len()
    }

    /// The characters, in the order of their numbers, if the tokens are characters.
    pub fn vocabulary(&self) -> Option<&[char]> {
        match &self.encoder {
            Encoder::Chars(vocabulary) => Some(vocabulary),
            _ => None,
        }
    }

    /// The bytes of a token.
    ///
    /// # Panics
    ///
    /// If there is no token with this number.
    pub fn token(&self, number: u32) -> &[u8] {
        &self.tokens[number as usize]
    }

    /// The number of the token with these bytes, if there is one.
    pub fn number(&self, bytes: &[u8]) -> Option<u32> {
        self.tokens.iter().position(|token| token == bytes).map(|number| number as u32)
    }

    /// The bytes of some tokens, one after the other. They may end inside of a character.
    pub fn decode(&self, numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|&number| self.token(number)).copied().collect()
    }

    /// How many characters some tokens have together, and how many bytes. A character belongs to the token with its first
    /// byte.
    pub fn lengths(&self, numbers: &[u32]) -> (usize, usize) {
        let each = self
            .tokens
            .iter()
            .map(|token| (token.iter().filter(|b| begins(**b)).count(), token.len()));
        let each: Vec<_> = each.collect();
        numbers.iter().fold((0, 0), |(characters, bytes), &number| {
            let (more, longer) = each[number as usize];
            (characters + more, bytes + longer)
        })
    }

    /// A text as numbers.
    pub fn encode(&self, text: &str) -> Encoded {
        let numbers = match &self.encoder {
            Encoder::Chars(vocabulary) => return known(text.chars(), vocabulary),
            Encoder::Bytes => text.bytes().map(u32::from).collect(),
            Encoder::Words(numbers) => words::encoded(text, numbers),
            #[cfg(feature = "bpe")]
            Encoder::Bpe(bpe) => bpe.encoded(text),
        };
        Encoded { numbers, unknown: Vec::new() }
    }
}

/// What is said of a build without [`TokenizerKind::Bpe`].
pub(crate) const NOT_IN_THIS_BUILD: &str =
    "--tokenizer bpe: not in this build; build it with --features bpe, or take --tokenizer words";

/// Whether a character begins with this byte.
fn begins(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

fn all_bytes() -> Vec<Vec<u8>> {
    (0..=u8::MAX).map(|byte| vec![byte]).collect()
}

/// The numbers of the characters of a vocabulary, and those that it does not have.
fn known(characters: impl Iterator<Item = char>, vocabulary: &[char]) -> Encoded {
    let mut unknown = BTreeMap::<char, usize>::new();
    let mut numbers = Vec::new();
    for character in characters {
        match vocabulary.binary_search(&character) {
            Ok(number) => numbers.push(number as u32),
            Err(_) => *unknown.entry(character).or_default() += 1,
        }
    }
    Encoded { numbers, unknown: unknown.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters of several scripts, line ends, indentation, and characters of four bytes.
    const TEXTS: [&str; 6] = [
        "",
        "The cat's hat, the cat's mat.\n\n    the  cat 123 cat\t-- the \n",
        "na\u{ef}ve caf\u{e9} \u{2014} na\u{ef}ve caf\u{e9}",
        "\u{4e2d}\u{6587}\u{ff0c}\u{4e2d}\u{6587}\u{3002}",
        "\u{1f600}\u{1f600} e\u{301} \u{92e}\u{947}\u{902} \u{92e}\u{947}\u{902}",
        "  \n \n\n'tis \u{2019}tis don't don\u{2019}t",
    ];

    fn tokenizers(text: &str) -> Vec<Tokenizer> {
        let mut all = vec![Tokenizer::bytes(), Tokenizer::words(text, 300)];
        #[cfg(feature = "bpe")]
        all.push(Tokenizer::bpe(text, 300).unwrap());
        all.push(Tokenizer::learned(TokenizerKind::Chars, text, None).unwrap());
        all
    }

    #[test]
    fn a_text_is_the_bytes_of_its_tokens() {
        for learned in TEXTS {
            for tokenizer in tokenizers(learned) {
                for text in TEXTS {
                    let Encoded { numbers, unknown } = tokenizer.encode(text);
                    if tokenizer.kind() != TokenizerKind::Chars || text == learned {
                        let name = tokenizer.kind().name();
                        assert_eq!(tokenizer.decode(&numbers), text.as_bytes(), "{name} {text:?}");
                        let lengths = (text.chars().count(), text.len());
                        assert_eq!(tokenizer.lengths(&numbers), lengths, "{name} {text:?}");
                        assert_eq!(unknown, []);
                    }
                }
            }
        }
    }

    #[test]
    fn frequent_parts_are_one_token() {
        let text = "the cat and the hat and the mat. ".repeat(9);
        for tokenizer in tokenizers(&text) {
            let count = tokenizer.encode(" the hat").numbers.len();
            let expected = match tokenizer.kind() {
                TokenizerKind::Chars | TokenizerKind::Bytes => 8,
                TokenizerKind::Words | TokenizerKind::Bpe => 2,
            };
            assert_eq!(count, expected, "{:?}", tokenizer.kind());
        }
    }

    /// As a run folder keeps it.
    #[test]
    fn what_is_stored_is_the_same_tokenizer() {
        for learned in TEXTS {
            for tokenizer in tokenizers(learned) {
                let (vocabulary, stored) = tokenizer.to_stored();
                let json = serde_json::to_string(&stored).unwrap();
                let stored: Option<StoredTokenizer> = serde_json::from_str(&json).unwrap();
                let again = Tokenizer::stored(&vocabulary, stored.as_ref()).unwrap();
                assert_eq!(again.tokens, tokenizer.tokens);
                for text in TEXTS {
                    assert_eq!(again.encode(text), tokenizer.encode(text), "{text:?}");
                }
                // Learned again, it is the same: a resumed run depends on it.
                let kind = tokenizer.kind();
                let second = Tokenizer::learned(kind, learned, Some(300)).unwrap();
                assert_eq!(second.to_stored(), tokenizer.to_stored(), "{kind:?}");
            }
        }
    }

    #[test]
    fn unknown_characters_are_counted() {
        let tokenizer = Tokenizer::chars(vec!['a', 'b']);
        let Encoded { numbers, unknown } = tokenizer.encode("ba\u{e9}b\u{e9}");
        assert_eq!((numbers, unknown), (vec![1, 0, 1], vec![('\u{e9}', 2)]));
        assert_eq!(tokenizer.number(b"b"), Some(1));
        assert_eq!(tokenizer.number(b"c"), None);
    }

    /// A folder from a stranger.
    #[cfg(feature = "bpe")]
    #[test]
    fn a_broken_bpe_is_refused() {
        let (_, stored) = Tokenizer::bpe(&TEXTS[1].repeat(3), 270).unwrap().to_stored();
        let Some(StoredTokenizer::Bpe(json)) = stored else { panic!("{stored:?}") };
        let spoilt = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut json = json.clone();
            change(&mut json);
            Tokenizer::stored("", Some(&StoredTokenizer::Bpe(json))).map(|_| ())
        };
        assert_eq!(spoilt(&|_| ()), Ok(()));
        let broken: [&dyn Fn(&mut serde_json::Value); 5] = [
            &|json| *json = 3.into(),
            &|json| json["model"]["merges"] = serde_json::json!([["\u{4e2d}", "a"]]),
            &|json| json["model"]["vocab"]["a"] = 100_000.into(),
            &|json| drop(json["model"]["vocab"].as_object_mut().unwrap().remove("a")),
            &|json| {
                json["added_tokens"] = serde_json::json!([{
                    "id": 5, "content": "x", "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": false
                }])
            },
        ];
        for (index, change) in broken.into_iter().enumerate() {
            assert!(spoilt(change).is_err(), "{index}");
        }
    }
}
