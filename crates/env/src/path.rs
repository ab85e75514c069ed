//! Which relative paths a [`crate::Dir`] takes.
//!
//! Real and simulated directories share this check, so a path that works in a simulation works on a disk.

use std::io;

/// Longest path below a directory.
const PATH_BYTES_MAX: usize = 1024;

/// The components of a relative path; the empty path is the directory itself.
pub(crate) fn components(path: &str) -> io::Result<Vec<&str>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(refused(path, "it is too long"));
    }
    let parts: Vec<&str> = path.split('/').collect();
    for part in &parts {
        if part.is_empty() || *part == "." || *part == ".." || part.contains('\0') {
            return Err(refused(path, "it must be relative, without empty parts, `.` or `..`"));
        }
    }
    Ok(parts)
}

/// The components of a path that must not be the directory itself: (parent, name).
pub(crate) fn parent_and_name(path: &str) -> io::Result<(Vec<&str>, &str)> {
    let mut parts = components(path)?;
    match parts.pop() {
        Some(name) => Ok((parts, name)),
        None => Err(refused(path, "a name is needed")),
    }
}

fn refused(path: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the path {path:?} is refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_taken() {
        assert_eq!(components("a/b").unwrap(), ["a", "b"]);
        assert!(components("").unwrap().is_empty());
        for bad in ["/a", "a/", "a//b", ".", "a/./b", "..", "a/../b", "a\0b"] {
            assert!(components(bad).is_err(), "{bad:?}");
        }
        assert!(components(&"x".repeat(PATH_BYTES_MAX + 1)).is_err());
        assert_eq!(parent_and_name("a/b").unwrap(), (vec!["a"], "b"));
        assert!(parent_and_name("").is_err());
    }
}
