//! Which deleted files are meant: a path, a path with `*`, `?` and `**`, or a number.
//!
//! A pattern is laid to a path from the root on, with or without a slash before it. What matches a directory's path means all
//! that was deleted below it.

use rpc::admin::TrashEntry;
use std::str::FromStr;
use types::InodeId;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The file with this number.
    Number(InodeId),
    /// Parts between slashes; none: everything.
    Path(Vec<Vec<u8>>),
}

impl FromStr for Pattern {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty pattern means nothing; / means everything".into());
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(InodeId(number)));
        }
        let parts = text.split('/').filter(|part| !part.is_empty());
        Ok(Self::Path(parts.map(|part| part.as_bytes().to_vec()).collect()))
    }
}

impl Pattern {
    /// Whether this file is meant.
    pub fn matches(&self, entry: &TrashEntry) -> bool {
        match self {
            Self::Number(inode) => entry.attributes.inode.id == *inode,
            Self::Path(parts) => {
                let path: Vec<&[u8]> =
                    entry.path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
                begins(&path, parts)
            }
        }
    }
}

/// Whether a path, or one of the directories that it leads through, matches.
fn begins(path: &[&[u8]], parts: &[Vec<u8>]) -> bool {
    // How many parts of the pattern can have been used up; moved on by one name of the path at a time.
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    pass_over(parts, &mut reached);
    for name in path {
        if reached[parts.len()] {
            return true;
        }
        let mut next = vec![false; parts.len() + 1];
        for (at, part) in parts.iter().enumerate().filter(|(at, _)| reached[*at]) {
            if part == b"**" {
                next[at] = true;
            } else if is_like(name, part) {
                next[at + 1] = true;
            }
        }
        pass_over(parts, &mut next);
        reached = next;
    }
    reached[parts.len()]
}

/// `**` may also stand for nothing.
fn pass_over(parts: &[Vec<u8>], reached: &mut [bool]) {
    for (at, part) in parts.iter().enumerate() {
        if reached[at] && part == b"**" {
            reached[at + 1] = true;
        }
    }
}

/// Whether a name is what a part with `*` and `?` says.
fn is_like(name: &[u8], part: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    // Where the last star is, and up to where it stands for what.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match part.get(of) {
            Some(b'*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[at] => {
                at += 1;
                of += 1;
            }
            _ => match star {
                Some((stands, until)) => {
                    star = Some((stands, until + 1));
                    (of, at) = (stands + 1, until + 1);
                }
                None => return false,
            },
        }
    }
    part[of..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(pattern: &str, path: &str) -> bool {
        let pattern: Pattern = pattern.parse().unwrap();
        pattern.matches(&super::super::tests::entry(5, path, 0))
    }

    #[test]
    fn a_pattern_means_a_path_and_all_below_it() {
        for pattern in ["/a/b", "a/b", "/a", "a/", "/", "/a/b/c.txt", "a/*/c.txt", "a/?/*.txt", "5"] {
            assert!(meant(pattern, "/a/b/c.txt"), "{pattern}");
        }
        for pattern in ["/b", "/a/b/c", "c.txt", "*.txt", "/a/b/c.txt/d", "a/??", "A", "7"] {
            assert!(!meant(pattern, "/a/b/c.txt"), "{pattern}");
        }
    }

    #[test]
    fn two_stars_stand_for_any_number_of_directories() {
        for pattern in ["**/*.txt", "**", "a/**/c.txt", "**/b", "a/b/**/c.txt", "/**/a/**/**/c.*"] {
            assert!(meant(pattern, "/a/b/c.txt"), "{pattern}");
        }
        assert!(!meant("**/*.jpg", "/a/b/c.txt") && !meant("b/**", "/a/b/c.txt"));
    }

    #[test]
    fn stars_within_a_name_take_as_much_as_they_must() {
        for (part, name) in [("*a*b", "xaab"), ("a*", "a"), ("*", "x"), ("a*a", "aXaYa"), ("?*?", "ab")] {
            assert!(is_like(name.as_bytes(), part.as_bytes()), "{part} {name}");
        }
        for (part, name) in [("*a*b", "xaba"), ("a*a", "a"), ("?*?", "a"), ("", "a")] {
            assert!(!is_like(name.as_bytes(), part.as_bytes()), "{part} {name}");
        }
        let (stars, long) = ("a*".repeat(40) + "b", "a".repeat(4_000));
        assert!(!is_like(long.as_bytes(), stars.as_bytes()), "in time that is bounded");
    }

    #[test]
    fn nothing_is_no_pattern() {
        assert!("".parse::<Pattern>().is_err());
        assert_eq!("/".parse(), Ok(Pattern::Path(Vec::new())));
    }
}
