//! `-o` options: ours, those that become mount flags, and those that mount(8) and fstab put there for themselves.

use placement::Condition;
use rustix::mount::MountFlags;
use std::time::Duration;
use types::Expression;

/// How to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOptions {
    /// How long an operation waits for an absent cluster; `None` waits for ever.
    pub timeout: Option<Duration>,
    /// How long mounting waits for a master: mount(8) should fail, not hang.
    pub mount_timeout: Duration,
    /// Bytes of writes held before the writer waits.
    pub write_buffer_bytes: u64,
    /// Bytes of read-ahead.
    pub read_cache_bytes: u64,
    /// Labels of disks to read from rather than from others.
    pub prefer: Option<Expression>,
    /// Only root and the mounting user may enter.
    pub private: bool,
    /// What is mounted there gets other flags.
    pub remount: bool,
    /// Flags of mount(2).
    pub(crate) flags: Flags,
}

/// The flags of mount(2) that a user may set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) read_only: bool,
    pub(crate) no_suid: bool,
    pub(crate) no_dev: bool,
    pub(crate) no_exec: bool,
    pub(crate) dir_sync: bool,
    pub(crate) sync: bool,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(60)),
            mount_timeout: Duration::from_secs(10),
            write_buffer_bytes: 48 << 20,
            read_cache_bytes: 64 << 20,
            prefer: None,
            private: false,
            remount: false,
            flags: Flags::default(),
        }
    }
}

/// A word after `-o` that means nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mount option `{option}` {what}")]
pub struct BadOption {
    /// The word.
    pub option: String,
    /// What is wrong with it.
    pub what: String,
}

/// Words with which fstab, mount(8) and systemd speak to themselves.
const FOR_OTHERS: &[&str] = &[
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "_netdev",
    "nofail",
    "defaults",
    "suid",
    "dev",
    "exec",
    "async",
    "allow_other",
    "default_permissions",
    "user_id",
    "group_id",
];
/// What is so in any case: reading changes no access time, and no time waits in this machine's memory alone.
const ANYWAY: &[&str] = &["noatime", "nodiratime", "norelatime", "nostrictatime", "nolazytime"];
const ACCESS_TIMES: &str =
    "asks for access times, which reading does not change here; write noatime instead, or leave it out";
/// What is not done, with what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("atime", ACCESS_TIMES),
    ("diratime", ACCESS_TIMES),
    ("relatime", ACCESS_TIMES),
    ("strictatime", ACCESS_TIMES),
    ("lazytime", "is not done: the master is told of times with what they belong to; leave it out"),
];
const OURS: &[&str] = &[
    "timeout=",
    "mount-timeout=",
    "write-buffer=",
    "read-cache=",
    "prefer=",
    "private",
    "remount",
    "ro",
    "nosuid",
    "nodev",
    "noexec",
    "noatime",
];

impl MountOptions {
    /// Takes words from `-o`.
    pub fn apply<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> Result<(), BadOption> {
        for word in words {
            let word = word.trim();
            let (key, value) = word.split_once('=').map_or((word, None), |(k, v)| (k, Some(v)));
            match (key, value) {
                ("", None) => {}
                ("timeout", Some(value)) => {
                    let seconds = number(word, value)?;
                    self.timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
                }
                ("mount-timeout", Some(value)) => match number(word, value)? {
                    0 => {
                        let what = "must be at least one second".to_owned();
                        return Err(BadOption { option: word.to_owned(), what });
                    }
                    seconds => self.mount_timeout = Duration::from_secs(seconds),
                },
                ("write-buffer", Some(value)) => self.write_buffer_bytes = mebibytes(word, value)?,
                ("read-cache", Some(value)) => self.read_cache_bytes = mebibytes(word, value)?,
                ("prefer", Some(value)) => self.prefer = preference(word, value)?,
                ("private", None) => self.private = true,
                ("remount", None) => self.remount = true,
                ("ro", None) => self.flags.read_only = true,
                ("rw", None) => self.flags.read_only = false,
                ("nosuid", None) => self.flags.no_suid = true,
                ("nodev", None) => self.flags.no_dev = true,
                ("noexec", None) => self.flags.no_exec = true,
                ("sync", None) => self.flags.sync = true,
                ("dirsync", None) => self.flags.dir_sync = true,
                (key, None) if ANYWAY.contains(&key) => {}
                (key, _)
                    if FOR_OTHERS.contains(&key) || key.starts_with("x-") || key.starts_with("comment") => {}
                (key, _) => {
                    let refused = REFUSED.iter().find(|(option, _)| *option == key);
                    let unknown =
                        || format!("is unknown; known are {} and those of mount(8)", OURS.join(", "));
                    let what = refused.map_or_else(unknown, |(_, why)| (*why).to_owned());
                    return Err(BadOption { option: word.to_owned(), what });
                }
            }
        }
        Ok(())
    }
}

impl Flags {
    /// For mount(2). The table of mounts says what is so: access times stay as they are.
    pub(crate) fn bits(self) -> MountFlags {
        let mut flags = MountFlags::NOATIME;
        for (set, flag) in [
            (self.read_only, MountFlags::RDONLY),
            (self.no_suid, MountFlags::NOSUID),
            (self.no_dev, MountFlags::NODEV),
            (self.no_exec, MountFlags::NOEXEC),
            (self.dir_sync, MountFlags::DIRSYNC),
            (self.sync, MountFlags::SYNCHRONOUS),
        ] {
            flags.set(flag, set);
        }
        flags
    }
}

fn number(option: &str, value: &str) -> Result<u64, BadOption> {
    value
        .parse()
        .map_err(|_| BadOption { option: option.to_owned(), what: "needs a whole number".to_owned() })
}

fn mebibytes(option: &str, value: &str) -> Result<u64, BadOption> {
    match number(option, value)? {
        mib @ 4..=65_536 => Ok(mib << 20),
        _ => Err(BadOption { option: option.to_owned(), what: "must be from 4 to 65536 MiB".to_owned() }),
    }
}

/// A condition on labels as it is printed. Whether any disk has the labels is not asked: that may change.
fn preference(option: &str, value: &str) -> Result<Option<Expression>, BadOption> {
    let bad = |what: String| BadOption { option: option.to_owned(), what };
    if value.is_empty() {
        return Ok(None);
    }
    let condition = Condition::parse(value).map_err(|error| bad(format!("cannot be read: {error}")))?;
    Expression::new(&condition.to_string()).map(Some).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood_or_refused_by_name() {
        let mut options = MountOptions::default();
        options.apply("rw,_netdev,nofail,x-systemd.automount,timeout=0,ro,noatime".split(',')).unwrap();
        assert_eq!(options.timeout, None);
        assert!(options.flags.read_only && !options.remount);
        options.apply("ro,remount,rw,user_id=0".split(',')).unwrap();
        assert!(!options.flags.read_only && options.remount);
        options.apply(["timeout=7", "mount-timeout=3", "write-buffer=16"]).unwrap();
        assert_eq!(options.timeout, Some(Duration::from_secs(7)));
        assert_eq!(options.mount_timeout, Duration::from_secs(3));
        assert_eq!(options.write_buffer_bytes, 16 << 20);
        let bad = options.apply(["tiemout=7"]).unwrap_err();
        assert!(bad.to_string().contains("`tiemout=7`") && bad.to_string().contains("timeout="), "{bad}");
        assert!(options.apply(["timeout=soon"]).is_err());
        assert!(options.apply(["mount-timeout=0"]).is_err());
        assert!(options.apply(["read-cache=1"]).is_err());
    }

    #[test]
    fn what_is_preferred_is_a_condition_on_labels_and_a_mistake_is_told_by_its_place() {
        let prefers = |word: &str| {
            let mut options = MountOptions::default();
            options.apply([word]).map(|()| options.prefer.map(|text| text.to_string()))
        };
        assert_eq!(prefers("prefer=site=home&( ! usb )"), Ok(Some("site=home&!usb".to_owned())));
        assert_eq!(prefers("prefer="), Ok(None));
        let bad = prefers("prefer=(ssd|nvme").unwrap_err().to_string();
        assert!(bad.contains("`prefer=(ssd|nvme` cannot be read: character 10: expected"), "{bad}");
        assert!(prefers("prefer=2*ssd").is_err() && prefers("prefer").is_err());
    }

    #[test]
    fn an_option_about_times_is_so_or_is_refused_with_what_to_write_instead() {
        let mut options = MountOptions::default();
        assert!(options.flags.bits().contains(MountFlags::NOATIME));
        options.apply("noatime,nodiratime,norelatime,nostrictatime,nolazytime".split(',')).unwrap();
        for refused in ["atime", "diratime", "relatime", "strictatime"] {
            let bad = options.apply([refused]).unwrap_err().to_string();
            assert!(bad.contains(refused) && bad.contains("write noatime instead"), "{bad}");
        }
        let bad = options.apply(["lazytime"]).unwrap_err().to_string();
        assert!(bad.contains("`lazytime` is not done") && bad.contains("leave it out"), "{bad}");
    }
}
