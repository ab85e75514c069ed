//! A disk as it is given to a chunkserver: `PATH`, or `PATH=LABEL,...` with its first labels.

use crate::failure::{Exit, Failure, fail};
use std::path::PathBuf;
use types::Label;

/// A directory and the labels its disk has when it is first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiskWords {
    pub(crate) path: PathBuf,
    pub(crate) labels: Vec<String>,
}

impl DiskWords {
    /// Without labels.
    pub(crate) fn plain(path: PathBuf) -> Self {
        Self { path, labels: Vec::new() }
    }

    /// Reads it. The labels begin after the first `=`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let (path, words) = text.split_once('=').unwrap_or((text, ""));
        let labels: Vec<String> =
            words.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        check_labels(&labels).map_err(|failure| failure.of(format!("disk {text}")))?;
        Ok(Self { path: path.into(), labels })
    }
}

/// Refuses what is no label.
pub(crate) fn check_labels(words: &[String]) -> Result<(), Failure> {
    let wrong = words.iter().find_map(|word| Some((word, Label::check(word).err()?)));
    match wrong {
        Some((word, why)) => {
            let next = "write words or key=value, such as ssd,site=home";
            Err(fail("E0223", format!("`{word}` is no label"), next).because(why).exit(Exit::Usage))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_may_come_with_labels() {
        let disk = DiskWords::parse("/mnt/ssd1=ssd, site=home").unwrap();
        assert_eq!(
            (disk.path, disk.labels),
            (PathBuf::from("/mnt/ssd1"), vec!["ssd".into(), "site=home".into()])
        );
        assert_eq!(DiskWords::parse("/mnt/d").unwrap(), DiskWords::plain("/mnt/d".into()));
        let failure = DiskWords::parse("/mnt/d=s sd").unwrap_err();
        assert_eq!((failure.code, failure.exit), ("E0223", Exit::Usage));
        assert!(failure.to_string().contains("/mnt/d=s sd"), "{failure}");
    }
}
