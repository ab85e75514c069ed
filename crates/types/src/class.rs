//! Storage classes: what an operator wants of the chunks of a path.
//!
//! A class holds its label expressions as text, in the one way in which they are printed. Whoever makes a class has had
//! `placement` read them; here only length and characters are checked, so that metadata stays readable to a release whose
//! expressions know more.
//!
//! # Invariants
//! 1. A [`ClassName`] begins with a letter or digit and goes on with letters, digits, `-`, `_` and `.`, all of ASCII: it
//!    never needs quotes in a shell.
//! 2. An [`Expression`] is 1 to [`EXPRESSION_BYTES_MAX`] bytes of printable ASCII.
//! 3. The key of [`Spread::Label`] is a word, and neither `disk` nor `host`.
//!
//! # Elsewhere
//! What expressions mean and whether a class can be met: `placement`. Which inode has which class: `meta`.

use crate::{Label, LabelError, REPLICAS_MAX};
use std::fmt;
use std::str::FromStr;

/// Longest name of a class.
pub const CLASS_NAME_BYTES_MAX: usize = 64;
/// Longest text of a list of label expressions.
pub const EXPRESSION_BYTES_MAX: usize = 1024;
/// Most classes at one time.
pub const CLASSES_MAX: usize = 1024;
/// The longest time that a class can state: a hundred years.
pub const CLASS_SECONDS_MAX: u64 = 100 * 366 * 86_400;

/// A checked name of a class.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassName(Box<str>);

/// What is wrong with the name of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassNameError {
    /// Nothing at all.
    #[error("the name of a class cannot be empty")]
    Empty,
    /// More than [`CLASS_NAME_BYTES_MAX`] bytes.
    #[error("the name of a class has at most {CLASS_NAME_BYTES_MAX} characters, this one has {bytes}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Not a letter, digit, `-`, `_` or `.`, or it begins with one of the last three.
    #[error(
        "character {} is {found:?}, but the name of a class has letters, digits, -, _ and . and begins with a letter or digit",
        at + 1
    )]
    BadCharacter {
        /// Where; counted from 0.
        at: usize,
        /// What is there.
        found: char,
    },
}

impl ClassName {
    /// The class that everything has for which nothing else was said.
    pub fn default_class() -> Self {
        Self("default".into())
    }

    /// Checks and keeps a name.
    pub fn new(text: &str) -> Result<Self, ClassNameError> {
        if text.is_empty() {
            return Err(ClassNameError::Empty);
        }
        if text.len() > CLASS_NAME_BYTES_MAX {
            return Err(ClassNameError::TooLong { bytes: text.len() });
        }
        let bad = |(at, found): &(usize, char)| match found {
            '-' | '_' | '.' => *at == 0,
            _ => !found.is_ascii_alphanumeric(),
        };
        match text.char_indices().find(bad) {
            Some((at, found)) => Err(ClassNameError::BadCharacter { at, found }),
            None => Ok(Self(text.into())),
        }
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A list of label expressions as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expression(Box<str>);

/// What is wrong with the text of an expression, whatever it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Nothing at all.
    #[error("an expression cannot be empty")]
    Empty,
    /// More than [`EXPRESSION_BYTES_MAX`] bytes.
    #[error("an expression has at most {EXPRESSION_BYTES_MAX} characters, this one has {bytes}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Not printable ASCII.
    #[error("character {} is {found:?}, which no expression has", at + 1)]
    BadCharacter {
        /// Where; counted from 0.
        at: usize,
        /// What is there.
        found: char,
    },
}

impl Expression {
    /// Checks length and characters.
    pub fn new(text: &str) -> Result<Self, ExpressionError> {
        if text.is_empty() {
            return Err(ExpressionError::Empty);
        }
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(ExpressionError::TooLong { bytes: text.len() });
        }
        match text.char_indices().find(|(_, found)| !matches!(found, ' '..='~')) {
            Some((at, found)) => Err(ExpressionError::BadCharacter { at, found }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! shown_as_text {
    ($name:ident, $error:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }
    };
}
shown_as_text!(ClassName, ClassNameError);
shown_as_text!(Expression, ExpressionError);

/// A word of a short list, in commands, in JSON and in messages.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($(#[$of:meta])* $variant:ident = $code:literal $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $variant = $code,)*
        }
        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// The word for people.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
            /// The number in records.
            pub fn code(self) -> u32 {
                self as u32
            }
            /// The inverse of the code.
            pub fn from_code(code: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.code() == code)
            }
        }
        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let words: &[&str] = &[$($word,)*];
                let found = Self::ALL.iter().copied().find(|one| one.word() == text);
                found.ok_or(UnknownWord { what: $what, known: words })
            }
        }
    };
}

/// A word that is none of those known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is one of: {}", known.join(", "))]
pub struct UnknownWord {
    /// What was wanted.
    pub what: &'static str,
    /// The words there are.
    pub known: &'static [&'static str],
}

words!(
    /// What happens when no disk with the label is free.
    Mode, "the mode":
    /// Wait, and fail when they are full: never another label.
    Strict = 1 "strict",
    /// Wait for one that is busy; take another label when they are full.
    #[default]
    Standard = 2 "standard",
    /// Take another label at once.
    Loose = 3 "loose",
);

words!(
    /// By which of a file's times its age counts.
    AgeBy, "the time":
    /// The last change, also of attributes.
    #[default]
    Changed = 1 "ctime",
    /// The last change of content.
    Modified = 2 "mtime",
    /// The last read.
    Accessed = 3 "atime",
);

/// What two replicas of one chunk may not share.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spread {
    /// A disk.
    Disk,
    /// A server.
    #[default]
    Host,
    /// The value of a label with this key; a disk without it counts as a domain of its server.
    Label(Label),
}

/// Why a word is no failure domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpreadError {
    /// It could be no key of a label.
    #[error("replicas are spread over disk, host or the key of a label: {0}")]
    Label(#[from] LabelError),
    /// A key with a value.
    #[error("replicas are spread over disk, host or the key of a label, without a value")]
    Value,
}

impl FromStr for Spread {
    type Err = SpreadError;
    fn from_str(text: &str) -> Result<Self, SpreadError> {
        match text {
            "disk" => Ok(Self::Disk),
            "host" => Ok(Self::Host),
            key => {
                let key = Label::new(key)?;
                if key.key().is_some() { Err(SpreadError::Value) } else { Ok(Self::Label(key)) }
            }
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("disk"),
            Self::Host => f.write_str("host"),
            Self::Label(key) => key.fmt(f),
        }
    }
}

/// Where chunks live once their file has not changed for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The disks.
    pub to: Expression,
    /// For how long nothing must have happened.
    pub after_s: u64,
    /// What must not have happened.
    pub by: AgeBy,
    /// Shorter files stay.
    pub min_size: u64,
    /// A write brings them back.
    pub reversible: bool,
}

/// A storage class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClass {
    /// What people call it.
    pub name: ClassName,
    /// Where chunks are written first; `None`: as `keep`.
    pub create: Option<Expression>,
    /// Where they live.
    pub keep: Expression,
    /// Where they live once they are old.
    pub archive: Option<Archive>,
    /// Where chunks of deleted files wait; `None`: where they are.
    pub trash: Option<Expression>,
    /// For how long deleted files are kept; 0: not at all.
    pub trash_keep_s: u64,
    /// What to do when no disk with the label is free.
    pub mode: Mode,
    /// What replicas may not share.
    pub spread: Spread,
    /// Fewest replicas that may acknowledge a write; `None`: 1 of one or two, else 2.
    pub min_write: Option<u8>,
    /// Disks to read from only when nothing else is left.
    pub read_last: Option<Expression>,
}

impl StorageClass {
    /// A class of which only the disks are said.
    pub fn new(name: ClassName, keep: Expression) -> Self {
        Self {
            name,
            create: None,
            keep,
            archive: None,
            trash: None,
            trash_keep_s: 0,
            mode: Mode::default(),
            spread: Spread::default(),
            min_write: None,
            read_last: None,
        }
    }

    /// Whether its numbers are in range, whatever its expressions mean.
    pub fn in_range(&self) -> bool {
        let after_s = self.archive.as_ref().map_or(0, |archive| archive.after_s);
        after_s.max(self.trash_keep_s) <= CLASS_SECONDS_MAX
            && self.min_write.is_none_or(|count| (1..=REPLICAS_MAX).contains(&usize::from(count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_class_needs_no_quotes() {
        for good in ["default", "2tb", "a-b_c.d", &"x".repeat(CLASS_NAME_BYTES_MAX)] {
            assert_eq!(ClassName::new(good).map(|name| name.to_string()).as_deref(), Ok(good));
        }
        let cases = [
            ("", ClassNameError::Empty),
            (&"x".repeat(65), ClassNameError::TooLong { bytes: 65 }),
            ("-a", ClassNameError::BadCharacter { at: 0, found: '-' }),
            ("a b", ClassNameError::BadCharacter { at: 1, found: ' ' }),
            ("a/b", ClassNameError::BadCharacter { at: 1, found: '/' }),
            ("ö", ClassNameError::BadCharacter { at: 0, found: 'ö' }),
        ];
        for (text, error) in cases {
            assert_eq!(ClassName::new(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn an_expression_is_printable_and_short() {
        assert_eq!(Expression::new("2*ssd,~backup & !usb").unwrap().as_str(), "2*ssd,~backup & !usb");
        assert_eq!(Expression::new(""), Err(ExpressionError::Empty));
        let bytes = EXPRESSION_BYTES_MAX + 1;
        assert_eq!(Expression::new(&"a".repeat(bytes)), Err(ExpressionError::TooLong { bytes }));
        for (text, at, found) in [("a\nb", 1, '\n'), ("é", 0, 'é'), ("a\u{7f}", 1, '\u{7f}')] {
            assert_eq!(Expression::new(text), Err(ExpressionError::BadCharacter { at, found }));
        }
    }

    #[test]
    fn replicas_are_spread_over_disks_hosts_or_a_key() {
        for text in ["disk", "host", "site"] {
            assert_eq!(text.parse::<Spread>().unwrap().to_string(), text);
        }
        assert_eq!("site".parse(), Ok(Spread::Label(Label::new("site").unwrap())));
        assert_eq!("site=home".parse::<Spread>(), Err(SpreadError::Value));
        assert!(matches!("a b".parse::<Spread>(), Err(SpreadError::Label(_))));
    }

    #[test]
    fn words_and_codes_come_back() {
        for mode in Mode::ALL {
            assert_eq!((mode.word().parse(), Mode::from_code(mode.code())), (Ok(*mode), Some(*mode)));
        }
        for by in AgeBy::ALL {
            assert_eq!((by.word().parse(), AgeBy::from_code(by.code())), (Ok(*by), Some(*by)));
        }
        let error = "lose".parse::<Mode>().unwrap_err();
        assert_eq!(error.to_string(), "the mode is one of: strict, standard, loose");
        assert_eq!(Mode::from_code(0), None);
    }

    #[test]
    fn numbers_have_a_range() {
        let class = StorageClass::new(ClassName::default_class(), Expression::new("2*any").unwrap());
        assert!(class.in_range());
        for min_write in [0, 10] {
            assert!(!StorageClass { min_write: Some(min_write), ..class.clone() }.in_range());
        }
        assert!(
            StorageClass { min_write: Some(9), trash_keep_s: CLASS_SECONDS_MAX, ..class.clone() }.in_range()
        );
        assert!(!StorageClass { trash_keep_s: CLASS_SECONDS_MAX + 1, ..class }.in_range());
    }
}
