//! Labels: what an operator says about a server or a disk, so that storage classes can ask for it.
//!
//! A label is a word (`ssd`) or `key=value` (`site=home`). It is compared as a whole: `site=home` is neither the
//! word `site` nor the word `home`. Disks inherit what their server has ([`Labels::over`]).
//!
//! # Invariants
//! 1. A word, a key and a value each begin with a letter or a digit and go on with letters, digits, `-`, `_` and `.`,
//!    all of ASCII. So a label never needs quotes, neither in a label expression nor in a shell.
//! 2. A label is 1 to [`LABEL_BYTES_MAX`] bytes long and is neither `any`, which in an expression means every disk, nor
//!    all digits, which there are a number of replicas.
//! 3. [`Labels`] is sorted and holds a key at most once, so that a failure domain has one name.
//!
//! # Elsewhere
//! Expressions over labels: `placement`.

use std::fmt;

/// Longest label.
pub const LABEL_BYTES_MAX: usize = 64;
/// Most labels given to one server or to one disk.
pub const LABELS_MAX: usize = 64;
/// The word that means every disk in an expression, and is no label.
pub const ANY_WORD: &str = "any";

/// A checked label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Box<str>);

/// What is wrong with a label. Positions count bytes from 0; what a person reads counts characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Nothing at all.
    #[error("a label cannot be empty")]
    Empty,
    /// More than [`LABEL_BYTES_MAX`] bytes.
    #[error("a label has at most {LABEL_BYTES_MAX} characters, this one has {bytes}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A word, a key or a value begins with `-`, `_` or `.`.
    #[error("character {} is {found:?}, but a label begins with a letter or a digit", at + 1)]
    BadStart {
        /// Where.
        at: usize,
        /// What is there.
        found: char,
    },
    /// Neither letter, digit, `-`, `_` nor `.`, nor the first `=`.
    #[error("character {} is {found:?}, but a label has letters, digits, -, _ and . and at most one =", at + 1)]
    BadCharacter {
        /// Where.
        at: usize,
        /// What is there.
        found: char,
    },
    /// `=home`.
    #[error("there is no key before the =")]
    NoKey,
    /// `site=`.
    #[error("there is no value after the = at character {}", at + 1)]
    NoValue {
        /// Where the `=` is.
        at: usize,
    },
    /// Digits alone.
    #[error("a label of digits alone would be read as a number of replicas")]
    Number,
    /// The word [`ANY_WORD`].
    #[error("{ANY_WORD:?} means every disk and cannot be a label")]
    Reserved,
}

/// Why labels do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// More than [`LABELS_MAX`].
    #[error("at most {LABELS_MAX} labels can be given to one server or disk")]
    TooMany,
    /// Two values for one key.
    #[error("{first} and {second} give two values to one key")]
    TwoValues {
        /// The one that is there.
        first: Label,
        /// The one that was to be added.
        second: Label,
    },
}

impl Label {
    /// Checks a label, without keeping it.
    pub fn check(text: &str) -> Result<(), LabelError> {
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        if text.len() > LABEL_BYTES_MAX {
            return Err(LabelError::TooLong { bytes: text.len() });
        }
        let mut equals = None;
        let mut begins = true;
        for (at, found) in text.char_indices() {
            match found {
                '=' if at == 0 => return Err(LabelError::NoKey),
                '=' if equals.is_none() => {
                    (equals, begins) = (Some(at), true);
                    continue;
                }
                '-' | '_' | '.' if begins => return Err(LabelError::BadStart { at, found }),
                '-' | '_' | '.' | 'a'..='z' | 'A'..='Z' | '0'..='9' => begins = false,
                _ => return Err(LabelError::BadCharacter { at, found }),
            }
        }
        match equals {
            Some(at) if begins => Err(LabelError::NoValue { at }),
            None if text == ANY_WORD => Err(LabelError::Reserved),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => Err(LabelError::Number),
            _ => Ok(()),
        }
    }

    /// Checks and keeps a label.
    pub fn new(text: &str) -> Result<Self, LabelError> {
        Self::check(text).map(|()| Self(text.into()))
    }

    /// The label as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Of `key=value` the key.
    pub fn key(&self) -> Option<&str> {
        self.0.split_once('=').map(|(key, _)| key)
    }

    /// Of `key=value` the value.
    pub fn value(&self) -> Option<&str> {
        self.0.split_once('=').map(|(_, value)| value)
    }
}

impl std::str::FromStr for Label {
    type Err = LabelError;
    fn from_str(text: &str) -> Result<Self, LabelError> {
        Self::new(text)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A sorted set of labels.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<Label>);

impl Labels {
    /// Puts labels together; one that comes twice counts once.
    pub fn new(labels: impl IntoIterator<Item = Label>) -> Result<Self, LabelsError> {
        let mut set = Self::default();
        for label in labels {
            set.insert(label)?;
        }
        Ok(set)
    }

    /// Adds a label. False: it was there.
    pub fn insert(&mut self, label: Label) -> Result<bool, LabelsError> {
        let Err(at) = self.0.binary_search(&label) else { return Ok(false) };
        if let Some(first) = label.key().and_then(|key| self.with_key(key)) {
            return Err(LabelsError::TwoValues { first: first.clone(), second: label });
        }
        if self.0.len() >= LABELS_MAX {
            return Err(LabelsError::TooMany);
        }
        self.0.insert(at, label);
        Ok(true)
    }

    /// Takes a label away. False: it was not there.
    pub fn remove(&mut self, label: &str) -> bool {
        let found = self.position(label);
        found.map(|at| self.0.remove(at)).is_ok()
    }

    /// Whether the label is there, as a whole.
    pub fn has(&self, label: &str) -> bool {
        self.position(label).is_ok()
    }

    /// What the key stands for here: of `site=home` and `site` it is `home`.
    pub fn value_of(&self, key: &str) -> Option<&str> {
        self.with_key(key).and_then(Label::value)
    }

    /// What a disk with these labels has on a server with those: both, but of a key that both have the disk's own value
    /// alone. There can be twice [`LABELS_MAX`].
    pub fn over(&self, server: &Self) -> Self {
        let inherited = server.iter().filter(|label| {
            let overruled = label.key().is_some_and(|key| self.with_key(key).is_some());
            !overruled && !self.has(label.as_str())
        });
        let mut all: Vec<Label> = self.iter().chain(inherited).cloned().collect();
        all.sort_unstable();
        Self(all)
    }

    /// The labels in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, label: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|one| one.as_str().cmp(label))
    }

    fn with_key(&self, key: &str) -> Option<&Label> {
        self.0.iter().find(|label| label.key() == Some(key))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, label) in self.iter().enumerate() {
            write!(f, "{}{label}", if number == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        Labels::new(text.split_whitespace().map(|word| Label::new(word).unwrap())).unwrap()
    }

    #[test]
    fn a_label_is_a_word_or_a_key_with_a_value() {
        let site = Label::new("site=home").unwrap();
        assert_eq!((site.key(), site.value()), (Some("site"), Some("home")));
        let word = Label::new("nvme-gen4_v1.2").unwrap();
        assert_eq!((word.key(), word.value()), (None, None));
        for good in
            ["a", "2tb", "1.5", "rack=2", "any1", "any=1", "x=any", "Any", &"x".repeat(LABEL_BYTES_MAX)]
        {
            assert_eq!(Label::new(good).map(|label| label.to_string()).as_deref(), Ok(good));
        }
    }

    #[test]
    fn what_is_wrong_with_a_label_is_said_with_the_place() {
        use LabelError::*;
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        let cases = [
            ("", Empty),
            (long.as_str(), TooLong { bytes: LABEL_BYTES_MAX + 1 }),
            ("-ssd", BadStart { at: 0, found: '-' }),
            ("site=.x", BadStart { at: 5, found: '.' }),
            ("s sd", BadCharacter { at: 1, found: ' ' }),
            ("größe", BadCharacter { at: 2, found: 'ö' }),
            ("a=b=c", BadCharacter { at: 3, found: '=' }),
            ("=home", NoKey),
            ("site=", NoValue { at: 4 }),
            ("any", Reserved),
            ("42", Number),
        ];
        for (text, error) in cases {
            assert_eq!(Label::new(text), Err(error), "{text:?}");
        }
        assert!(Label::new("s sd").unwrap_err().to_string().starts_with("character 2 is ' '"));
    }

    #[test]
    fn a_set_is_sorted_and_compares_labels_as_a_whole() {
        let mut set = labels("ssd site=home nvme ssd");
        assert_eq!(set.to_string(), "nvme site=home ssd");
        assert!(set.has("ssd") && set.has("site=home"));
        assert!(!set.has("site") && !set.has("home") && !set.has("sd"));
        assert_eq!((set.value_of("site"), set.value_of("ssd")), (Some("home"), None));
        assert!(set.remove("ssd") && !set.remove("ssd") && !set.has("ssd"));
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn a_set_has_one_value_for_a_key_and_an_end() {
        let mut set = labels("site=home");
        let work = Label::new("site=work").unwrap();
        let refused =
            LabelsError::TwoValues { first: Label::new("site=home").unwrap(), second: work.clone() };
        assert_eq!(set.insert(work), Err(refused));
        assert_eq!(set.insert(Label::new("site=home").unwrap()), Ok(false));
        let many = |count: usize| Labels::new((0..count).map(|n| Label::new(&format!("l{n}")).unwrap()));
        assert_eq!(many(LABELS_MAX).unwrap().len(), LABELS_MAX);
        assert_eq!(many(LABELS_MAX + 1), Err(LabelsError::TooMany));
    }

    #[test]
    fn a_disk_inherits_from_its_server_what_it_does_not_say_itself() {
        let disk = labels("ssd site=attic");
        let server = labels("ssd site=home rack=2 fast");
        assert_eq!(disk.over(&server), labels("fast rack=2 site=attic ssd"));
        assert_eq!(Labels::default().over(&server), server);
        assert_eq!(disk.over(&Labels::default()), disk);
    }
}
