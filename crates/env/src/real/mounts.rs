//! What is mounted where: `/proc/self/mountinfo`, read in this one place.
//!
//! ```text
//! 36 35 98:0 /root /mountpoint options optional... - type source options
//! ```

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The type that the kernel shows for our own mounts.
pub const FILESYSTEM: &str = "fuse.muskox";

/// Something that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The kernel's number of the mount.
    pub id: u64,
    /// The device, as stat(2) shows it.
    pub device: u64,
    /// Where.
    pub mountpoint: PathBuf,
    /// Its type.
    pub filesystem: String,
    /// What was mounted.
    pub source: String,
}

/// Everything that is mounted, in the order of mounting.
pub fn mounted() -> io::Result<Vec<Mounted>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// Lines that make no sense are left out.
fn parse(table: &[u8]) -> Vec<Mounted> {
    table.split(|byte| *byte == b'\n').filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<Mounted> {
    let text = |field: &[u8]| std::str::from_utf8(field).ok().map(str::to_owned);
    let mut fields = line.split(|byte| *byte == b' ');
    let id = text(fields.next()?)?.parse().ok()?;
    let device = text(fields.nth(1)?)?;
    let (major, minor) = device.split_once(':')?;
    let mountpoint = PathBuf::from(OsString::from_vec(unescape(fields.nth(1)?)));
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    Some(Mounted {
        id,
        device: device_number(major.parse().ok()?, minor.parse().ok()?),
        mountpoint,
        filesystem: text(rest.next()?)?,
        source: String::from_utf8_lossy(&unescape(rest.next()?)).into_owned(),
    })
}

/// Linux's `makedev`, as stat(2) shows it in 64 bits.
fn device_number(major: u64, minor: u64) -> u64 {
    ((major & 0xffff_f000) << 32) | ((major & 0xfff) << 8) | ((minor & 0xffff_ff00) << 12) | (minor & 0xff)
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if first == b'\\' => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    #[test]
    fn lines_are_read_with_escapes_and_nonsense_is_left_out() {
        let table = b"22 1 8:2 / / rw - ext4 /dev/sda2 rw\n\
            90 22 0:61 / /home/ann/musk\\040ox rw,nosuid shared:5 - fuse.muskox muskox:10.0.0.1:9421 rw\n\
            broken line\n91 22 x / /a rw - ext4 /dev/b rw\n";
        let found = parse(table);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].id, found[0].device), (22, device_number(8, 2)));
        assert_eq!(found[1].mountpoint, Path::new("/home/ann/musk ox"));
        assert_eq!((found[1].filesystem.as_str(), found[1].device), ("fuse.muskox", 61));
        assert_eq!(found[1].source, "muskox:10.0.0.1:9421");
        assert_eq!(unescape(b"a\\0"), b"a\\0");
    }

    #[test]
    fn device_numbers_are_those_of_stat() {
        let proc = std::fs::metadata("/proc").unwrap().dev();
        let found = mounted().unwrap().into_iter().find(|m| m.mountpoint == Path::new("/proc")).unwrap();
        assert_eq!((found.device, found.filesystem.as_str()), (proc, "proc"));
        assert_eq!(device_number(0x12345, 0xabcde), 0x1_2000_abc3_45de);
    }
}
