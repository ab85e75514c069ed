//! As mount(8) calls us: `mount.muskox SOURCE DIR [-sfnv] [-o OPTIONS]`, by that name or as `mount.fuse.muskox`; or, where
//! mount.fuse(8) of libfuse is installed, `muskox muskox:HOST:PORT DIR -o OPTIONS`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What a source is written with in the table of mounts.
const SOURCE_PREFIX: &[u8] = b"muskox:";

/// The arguments of this process; those of mount(8) become those of `muskox mount`.
pub(crate) fn arguments() -> Vec<OsString> {
    translated(std::env::args_os().collect()).unwrap_or_else(|Nothing| std::process::exit(0))
}

/// mount(8) wants everything done but the mount itself.
#[derive(Debug)]
struct Nothing;

fn translated(mut arguments: Vec<OsString>) -> Result<Vec<OsString>, Nothing> {
    let name = arguments.first().map(Path::new).and_then(Path::file_name).map(OsStr::to_os_string);
    let by_name = name.is_some_and(|name| name == "mount.muskox" || name == "mount.fuse.muskox");
    let by_source = arguments.get(1).is_some_and(|word| word.as_encoded_bytes().starts_with(SOURCE_PREFIX));
    if !by_name && !by_source {
        return Ok(arguments);
    }
    let is_of_mount = |word: &OsString| {
        let letters = word.to_str().and_then(|word| word.strip_prefix('-')).unwrap_or_default();
        !letters.is_empty() && letters.chars().all(|letter| "sfnv".contains(letter))
    };
    if arguments.iter().any(|word| is_of_mount(word) && word.to_string_lossy().contains('f')) {
        return Err(Nothing);
    }
    arguments.retain(|word| !is_of_mount(word));
    if let Some(at) = arguments.iter().position(|word| word == "-t") {
        arguments.drain(at..(at + 2).min(arguments.len()));
    }
    arguments.insert(1, "mount".into());
    arguments.push("--background".into());
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_mount_says_is_understood_by_name_and_by_source() {
        let wanted = words("X mount muskox:h:9 /m -o ro --background");
        for said in [
            "/sbin/mount.muskox muskox:h:9 /m -sv -o ro",
            "mount.fuse.muskox muskox:h:9 /m -o ro -t fuse.muskox",
            "muskox muskox:h:9 /m -o ro",
        ] {
            let mut found = translated(words(said)).unwrap();
            found[0] = "X".into();
            assert_eq!(found, wanted, "{said}");
        }
        for said in ["muskox status", "muskox mount muskox:h:9 /m", "muskox"] {
            assert_eq!(translated(words(said)).unwrap(), words(said));
        }
        assert!(translated(words("mount.muskox h:9 /m -fn")).is_err());
    }
}
