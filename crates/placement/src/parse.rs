//! Reading layouts and conditions.
//!
//! ```text
//! layout    = item { "," item }
//! item      = [ "~" ] [ number "*" ] condition
//! condition = both { "|" both }
//! both      = one { "&" one }
//! one       = { "!" } ( label | "any" | "(" condition ")" )
//! ```
//! `number*` counts for the whole condition after it: `2*a|b` are two replicas, each on a disk with `a` or `b`. Blanks may
//! stand anywhere but within a label or a number.
//!
//! # Invariants
//! 1. No text makes the reader go deeper than [`NESTING_MAX`] or keep more than the text's own length.
//! 2. An error names the place, what could stand there and what stands there.

use crate::{Condition, Item, Layout, LayoutError};
use std::fmt;
use types::{ANY_WORD, EXPRESSION_BYTES_MAX, Label, LabelError};

/// Most parentheses around a label.
pub const NESTING_MAX: usize = 16;
/// The longest piece of the text that an error repeats: a label of full length and a character.
const SHOWN_MAX: usize = types::LABEL_BYTES_MAX + 1;

/// Why a text is no layout or no condition, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {}: {problem}", at + 1)]
pub struct ParseError {
    /// Characters before the place.
    pub at: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Something else must stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What could.
        expected: &'static str,
        /// What does.
        found: Found,
    },
    /// A word that cannot be a label.
    #[error("{word:?} is no label: {error}")]
    Label {
        /// The word.
        word: String,
        /// Why.
        error: LabelError,
    },
    /// A number by itself.
    #[error(
        "{number} alone says how many and not where; for {number} replicas on any disks write {number}*any"
    )]
    Number {
        /// The number.
        number: String,
    },
    /// Too many replicas, too few, or only lagging ones.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// More parentheses than [`NESTING_MAX`].
    #[error("more than {NESTING_MAX} parentheses within each other")]
    Nesting,
    /// Longer than [`EXPRESSION_BYTES_MAX`].
    #[error("longer than {EXPRESSION_BYTES_MAX} characters")]
    TooLong,
}

/// What stands where something else must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing more.
    End,
    /// This.
    Text(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// A label in a text that no server and no disk has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLabel {
    /// Characters before it.
    pub at: usize,
    /// The label.
    pub label: Label,
    /// The one that was probably meant.
    pub nearest: Option<Label>,
}

impl fmt::Display for UnknownLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {}: no disk has the label {}", self.at + 1, self.label)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

impl Layout {
    /// Reads a layout.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut reader = Reader::new(text)?;
        let mut items = Vec::new();
        loop {
            let at = reader.next.at;
            items.push(reader.item()?);
            // Checked each time, so that the place is that of the item that is too much.
            let so_far = Self::new(items.iter().cloned());
            let done = reader.next.kind == Kind::End;
            match so_far {
                Err(LayoutError::AllLag) if !done => {}
                Err(error) => return Err(reader.error(at, error.into())),
                Ok(layout) if done => return Ok(layout),
                Ok(_) => {}
            }
            reader.take(Kind::Comma, "&, |, a comma or the end")?;
        }
    }
}

impl Condition {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut reader = Reader::new(text)?;
        let condition = reader.condition(0)?;
        reader.take(Kind::End, "&, | or the end")?;
        Ok(condition)
    }
}

/// The labels in a text that are not among those known, each once, in order. What is no label is passed over: it is for
/// [`Layout::parse`] to say.
pub fn unknown_labels<'a>(
    text: &str,
    known: impl IntoIterator<Item = &'a Label> + Clone,
) -> Vec<UnknownLabel> {
    let mut unknown: Vec<UnknownLabel> = Vec::new();
    let Ok(mut reader) = Reader::new(text) else { return unknown };
    while reader.next.kind != Kind::End {
        let token = reader.advance();
        let Ok(label) = Label::new(token.text) else { continue };
        let is_known = token.kind != Kind::Word || known.clone().into_iter().any(|one| *one == label);
        if !is_known && unknown.iter().all(|one| one.label != label) {
            let nearest = nearest(label.as_str(), known.clone()).cloned();
            unknown.push(UnknownLabel { at: reader.characters(token.at), label, nearest });
        }
    }
    unknown
}

/// The label that a person who wrote this probably meant: it differs in one character of three at most.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a Label>) -> Option<&'a Label> {
    let word = word.to_ascii_lowercase();
    let distance = |label: &Label| strsim::damerau_levenshtein(&word, &label.as_str().to_ascii_lowercase());
    let best = known.into_iter().map(|label| (distance(label), label)).min()?;
    (best.0 <= word.len().div_ceil(3)).then_some(best.1)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Comma,
    Star,
    Tilde,
    And,
    Or,
    Not,
    Open,
    Close,
    Word,
    Other,
    End,
}

/// A piece of the text; `at` in bytes.
#[derive(Clone, Copy)]
struct Token<'t> {
    kind: Kind,
    at: usize,
    text: &'t str,
}

const OPERAND: &str = "a label, any, ! or (";

/// Reads tokens with one of look-ahead.
struct Reader<'t> {
    text: &'t str,
    next: Token<'t>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Result<Self, ParseError> {
        let mut reader = Self { text, next: Token { kind: Kind::End, at: 0, text: "" } };
        if text.len() > EXPRESSION_BYTES_MAX {
            let mut at = EXPRESSION_BYTES_MAX;
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            return Err(reader.error(at, Problem::TooLong));
        }
        reader.advance();
        Ok(reader)
    }

    /// Gives the next token and reads the one after it.
    fn advance(&mut self) -> Token<'t> {
        let taken = self.next;
        let from = taken.at + taken.text.len();
        let rest = self.text[from..].trim_start();
        let at = self.text.len() - rest.len();
        let is_word = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
        let (kind, length) = match rest.chars().next() {
            None => (Kind::End, 0),
            Some(',') => (Kind::Comma, 1),
            Some('*') => (Kind::Star, 1),
            Some('~') => (Kind::Tilde, 1),
            Some('&') => (Kind::And, 1),
            Some('|') => (Kind::Or, 1),
            Some('!') => (Kind::Not, 1),
            Some('(') => (Kind::Open, 1),
            Some(')') => (Kind::Close, 1),
            Some(c) if is_word(&c) => (Kind::Word, rest.chars().take_while(is_word).count()),
            Some(c) => (Kind::Other, c.len_utf8()),
        };
        self.next = Token { kind, at, text: &rest[..length] };
        taken
    }

    fn characters(&self, at: usize) -> usize {
        self.text[..at].chars().count()
    }

    fn error(&self, at: usize, problem: Problem) -> ParseError {
        ParseError { at: self.characters(at), problem }
    }

    /// The next token is not one of those that could follow.
    fn unexpected(&self, expected: &'static str) -> ParseError {
        let found = match self.next.kind {
            Kind::End => Found::End,
            _ => Found::Text(self.next.text.chars().take(SHOWN_MAX).collect()),
        };
        self.error(self.next.at, Problem::Expected { expected, found })
    }

    fn take(&mut self, kind: Kind, expected: &'static str) -> Result<(), ParseError> {
        if self.next.kind != kind {
            return Err(self.unexpected(expected));
        }
        self.advance();
        Ok(())
    }

    fn item(&mut self) -> Result<Item, ParseError> {
        let lagging = self.next.kind == Kind::Tilde;
        if lagging {
            self.advance();
        }
        let is_number = self.next.kind == Kind::Word && self.next.text.bytes().all(|b| b.is_ascii_digit());
        let mut count = 1;
        if is_number {
            let number = self.advance();
            if self.next.kind != Kind::Star {
                let number_text = number.text.chars().take(SHOWN_MAX).collect();
                return Err(self.error(number.at, Problem::Number { number: number_text }));
            }
            // What does not fit is too much in any case.
            count = number.text.parse().unwrap_or(usize::MAX);
            self.advance();
        }
        Ok(Item { count, lagging, condition: self.condition(0)? })
    }

    fn condition(&mut self, depth: usize) -> Result<Condition, ParseError> {
        let mut parts = vec![self.both(depth)?];
        while self.next.kind == Kind::Or {
            self.advance();
            parts.push(self.both(depth)?);
        }
        Ok(Condition::either(parts))
    }

    fn both(&mut self, depth: usize) -> Result<Condition, ParseError> {
        let mut parts = vec![self.one(depth)?];
        while self.next.kind == Kind::And {
            self.advance();
            parts.push(self.one(depth)?);
        }
        Ok(Condition::all(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Condition, ParseError> {
        let mut negated = false;
        while self.next.kind == Kind::Not {
            self.advance();
            negated = !negated;
        }
        let condition = match self.next.kind {
            Kind::Word => {
                let word = self.advance();
                self.word(word)?
            }
            Kind::Open => {
                let open = self.advance();
                if depth == NESTING_MAX {
                    return Err(self.error(open.at, Problem::Nesting));
                }
                let inner = self.condition(depth + 1)?;
                self.take(Kind::Close, "&, | or )")?;
                inner
            }
            _ => return Err(self.unexpected(OPERAND)),
        };
        Ok(if negated { condition.not() } else { condition })
    }

    fn word(&self, word: Token<'t>) -> Result<Condition, ParseError> {
        if word.text == ANY_WORD {
            return Ok(Condition::ANY);
        }
        Label::new(word.text).map(Condition::label).map_err(|error| {
            let shown: String = word.text.chars().take(SHOWN_MAX).collect();
            let problem = match error {
                LabelError::Number => Problem::Number { number: shown },
                error => Problem::Label { word: shown, error },
            };
            self.error(word.at, problem)
        })
    }
}

#[cfg(test)]
mod tests;
