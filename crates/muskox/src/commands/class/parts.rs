//! The parts of a class as arguments.

use crate::commands::completion::live;
use crate::failure::{Exit, Failure, fail};
use admin::units::{parse_size, parse_span};
use clap::Args;
use clap_complete::ArgValueCompleter;
use std::str::FromStr;
use types::{AgeBy, Archive, Expression, ExpressionError, Mode, Spread, StorageClass};

/// An expression, or nothing at all.
#[derive(Clone, Debug)]
pub(crate) struct Part(Option<Expression>);

impl FromStr for Part {
    type Err = ExpressionError;
    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        if text.is_empty() { Ok(Self(None)) } else { Expression::new(text).map(|text| Self(Some(text))) }
    }
}

/// Each is left as it is if it is not given.
#[derive(Debug, Args)]
pub(crate) struct Parts {
    /// Where chunks live, such as '2*ssd,backup' (labels joined by &, |, ! and parentheses; any)
    #[arg(long, value_name = "LABELS", add = ArgValueCompleter::new(live::expressions))]
    pub(crate) keep: Option<Expression>,
    /// Where chunks are written first; '': as keep
    #[arg(long, value_name = "LABELS", add = ArgValueCompleter::new(live::expressions))]
    create: Option<Part>,
    /// Where chunks of old files live; '': nowhere else
    #[arg(long, value_name = "LABELS", add = ArgValueCompleter::new(live::expressions))]
    archive: Option<Part>,
    /// When a file is old, such as 30d or 36h
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    archive_after: Option<u64>,
    /// By which time it is old: ctime, mtime or atime
    #[arg(long, value_name = "WHICH")]
    archive_by: Option<AgeBy>,
    /// Shorter files stay where they are, such as 1MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    min_size: Option<u64>,
    /// Whether a write brings archived chunks back
    #[arg(long, value_name = "true|false")]
    reversible: Option<bool>,
    /// Where chunks of deleted files wait; '': where they are
    #[arg(long, value_name = "LABELS", add = ArgValueCompleter::new(live::expressions))]
    trash: Option<Part>,
    /// For how long they wait; 0s: not at all
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    trash_keep: Option<u64>,
    /// What to do when no disk with the label is free: strict, standard or loose
    #[arg(long)]
    mode: Option<Mode>,
    /// What replicas may not share: disk, host, or the key of a label
    #[arg(long, value_name = "disk|host|KEY")]
    spread: Option<Spread>,
    /// Fewest replicas that may acknowledge a write; 0: 1 of one or two replicas, else 2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    min_write: Option<u8>,
    /// Labels to read from only when nothing else is left; '': none
    #[arg(long, value_name = "LABELS", add = ArgValueCompleter::new(live::expressions))]
    read_last: Option<Part>,
    /// Take labels that no disk has, and replicas that no disk can hold
    #[arg(long)]
    pub(crate) allow_unsatisfiable: bool,
}

impl Parts {
    /// A class with these parts instead of its own.
    pub(crate) fn over(&self, class: StorageClass) -> Result<StorageClass, Failure> {
        let or = |part: &Option<Part>, old: Option<Expression>| part.clone().map_or(old, |Part(new)| new);
        let mut class = StorageClass {
            keep: self.keep.clone().unwrap_or(class.keep),
            create: or(&self.create, class.create),
            trash: or(&self.trash, class.trash),
            read_last: or(&self.read_last, class.read_last),
            trash_keep_s: self.trash_keep.unwrap_or(class.trash_keep_s),
            mode: self.mode.unwrap_or(class.mode),
            spread: self.spread.clone().unwrap_or(class.spread),
            min_write: self.min_write.map_or(class.min_write, |count| (count > 0).then_some(count)),
            ..class
        };
        class.archive = self.archive_over(class.archive)?;
        if class.in_range() {
            return Ok(class);
        }
        let next = "muskox class create --help   (times are at most a hundred years)";
        Err(fail("E0216", "a number of the class is out of range", next).exit(Exit::Usage))
    }

    fn archive_over(&self, old: Option<Archive>) -> Result<Option<Archive>, Failure> {
        let to = match (&self.archive, &old) {
            (Some(Part(to)), _) => to.clone(),
            (None, old) => old.as_ref().map(|old| old.to.clone()),
        };
        let after_s = self.archive_after.or(old.as_ref().map(|old| old.after_s));
        let said = self.archive_after.is_some()
            || self.archive_by.is_some()
            || self.min_size.is_some()
            || self.reversible.is_some();
        match (to, after_s) {
            (None, _) if !said => Ok(None),
            (Some(to), Some(after_s)) => Ok(Some(Archive {
                to,
                after_s,
                by: self.archive_by.or(old.as_ref().map(|old| old.by)).unwrap_or_default(),
                min_size: self.min_size.or(old.as_ref().map(|old| old.min_size)).unwrap_or(0),
                reversible: self.reversible.or(old.as_ref().map(|old| old.reversible)).unwrap_or(true),
            })),
            _ => {
                let what = "an archive needs labels and an age: where to, and when";
                Err(fail("E0217", what, "--archive LABELS --archive-after 30d").exit(Exit::Usage))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use types::ClassName;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        parts: Parts,
    }

    fn over(line: &str, class: StorageClass) -> Result<StorageClass, Failure> {
        let words = std::iter::once("class").chain(line.split_whitespace());
        let words = words.map(|word| word.trim_matches('\''));
        Line::try_parse_from(words).unwrap().parts.over(class)
    }

    fn plain() -> StorageClass {
        StorageClass::new(ClassName::default_class(), Expression::new("2*any").unwrap())
    }

    #[test]
    fn what_is_not_given_stays_and_what_is_empty_goes() {
        let full = "--keep 2*ssd --create ssd --archive hdd --archive-after 30d --archive-by atime --min-size 1MiB \
                    --reversible false --trash hdd --trash-keep 14d --mode strict --spread site --min-write 2 --read-last usb";
        let made = over(full, plain()).unwrap();
        assert_eq!(over("", made.clone()).unwrap(), made);
        let archive = made.archive.clone().unwrap();
        assert_eq!((archive.after_s, archive.min_size, archive.reversible), (2_592_000, 1 << 20, false));
        let edited = over("--archive-after 1d --min-write 0 --create ''", made.clone()).unwrap();
        assert_eq!(edited.archive, Some(Archive { after_s: 86_400, ..archive }));
        assert_eq!((edited.min_write, edited.create, edited.trash), (None, None, made.trash.clone()));
        assert_eq!(over("--archive ''", made).unwrap().archive, None);
    }

    #[test]
    fn half_an_archive_is_refused() {
        for line in ["--archive hdd", "--archive-after 30d", "--min-size 1MiB"] {
            assert_eq!(over(line, plain()).unwrap_err().code, "E0217", "{line}");
        }
        assert_eq!(over("--trash-keep 99999d", plain()).unwrap_err().code, "E0216");
    }
}
