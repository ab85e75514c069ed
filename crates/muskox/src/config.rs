//! `muskox.toml`: one file, a section per role, every key optional, unknown keys refused with the nearest known one.
//!
//! Order of precedence: default, file, environment, flag. The file is `--config`, else `MUSKOX_CONFIG`, else
//! `/etc/muskox/muskox.toml` if it exists.

use crate::failure::{Exit, Failure, fail};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The file that is read when nothing else is said.
pub(crate) const DEFAULT_PATH: &str = "/etc/muskox/muskox.toml";

/// Everything the file can say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// `[master]`
    pub(crate) master: MasterSection,
    /// `[chunkserver]`
    pub(crate) chunkserver: ChunkserverSection,
    /// `[mount]`
    pub(crate) mount: MountSection,
    /// `[admin]`
    pub(crate) admin: AdminSection,
}

/// `[master]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct MasterSection {
    /// `host:port` to listen on; default `127.0.0.1:9421`.
    pub(crate) listen: Option<String>,
    /// Directory of changelog and checkpoints.
    pub(crate) data: Option<PathBuf>,
    /// A name for people; default the host's name.
    pub(crate) name: Option<String>,
    /// Allow listening beyond loopback without authentication.
    pub(crate) insecure: Option<bool>,
    /// `local` (default: answered once written) or `stable` (answered once on stable storage).
    pub(crate) ack: Option<String>,
    /// Seconds without a word after which a client's session ends; default 60.
    pub(crate) session_lease_seconds: Option<u64>,
    /// Seconds of a server's silence after which its chunks with one replica left get another; default 10.
    pub(crate) heal_after_endangered_seconds: Option<u64>,
    /// Seconds of a server's silence after which its other chunks get another replica; default 60.
    pub(crate) heal_after_seconds: Option<u64>,
    /// The same for servers that fell silent together, where the network is the likelier cause; default 600.
    pub(crate) heal_after_together_seconds: Option<u64>,
    /// Seconds for which replicas are kept that an edit of a class or of labels made dispensable; default 3600.
    pub(crate) hold_surplus_seconds: Option<u64>,
    /// Records between two checkpoints; default 1,000,000.
    pub(crate) checkpoint_records: Option<u64>,
}

/// `[chunkserver]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ChunkserverSection {
    /// `host:port` to listen on; default `127.0.0.1:9422`.
    pub(crate) listen: Option<String>,
    /// `host:port` told to others; default the listening address.
    pub(crate) advertise: Option<String>,
    /// Directory of the server's own small state.
    pub(crate) data: Option<PathBuf>,
    /// A name for people; default the host's name.
    pub(crate) name: Option<String>,
    /// Directories, one per device, perhaps with first labels: `PATH=LABEL,...`.
    pub(crate) disks: Vec<String>,
    /// First labels of the server.
    pub(crate) labels: Vec<String>,
    /// Every master and candidate, `host:port`.
    pub(crate) masters: Vec<String>,
    /// Allow listening beyond loopback without authentication.
    pub(crate) insecure: Option<bool>,
}

/// `[mount]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct MountSection {
    /// Every master and candidate, `host:port`.
    pub(crate) masters: Vec<String>,
    /// Seconds an operation waits for an absent cluster before it fails; 0 waits for ever. Default 60.
    pub(crate) timeout_seconds: Option<u64>,
    /// MiB of writes held before the writer waits; default 128.
    pub(crate) write_buffer_mib: Option<u64>,
    /// MiB of read-ahead; default 64.
    pub(crate) read_cache_mib: Option<u64>,
    /// Labels of disks to read from rather than from others, as in `-o prefer=`; default none.
    pub(crate) prefer: Option<String>,
}

/// `[admin]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct AdminSection {
    /// Every master and candidate, `host:port`.
    pub(crate) masters: Vec<String>,
}

const KEYS: &[(&str, &[&str])] = &[
    (
        "master",
        &[
            "listen",
            "data",
            "name",
            "insecure",
            "ack",
            "session-lease-seconds",
            "heal-after-endangered-seconds",
            "heal-after-seconds",
            "heal-after-together-seconds",
            "hold-surplus-seconds",
            "checkpoint-records",
        ],
    ),
    ("chunkserver", &["listen", "advertise", "data", "name", "disks", "labels", "masters", "insecure"]),
    ("mount", &["masters", "timeout-seconds", "write-buffer-mib", "read-cache-mib", "prefer"]),
    ("admin", &["masters"]),
];

impl Config {
    /// Reads the file that applies. A file named explicitly must exist.
    pub(crate) fn load(explicit: Option<&Path>) -> Result<Self, Failure> {
        let path = match explicit {
            Some(path) => path,
            None if Path::new(DEFAULT_PATH).exists() => Path::new(DEFAULT_PATH),
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            fail(
                "E0101",
                format!("cannot read the configuration {}: {error}", path.display()),
                "check the path given by --config or MUSKOX_CONFIG",
            )
            .exit(Exit::Usage)
        })?;
        Self::parse(&text).map_err(|failure| failure.of(path.display()))
    }

    /// Parses the text of a file.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| bad(format!("the configuration is not TOML: {error}")))?;
        for (section, value) in &table {
            let Some((_, keys)) = KEYS.iter().find(|(name, _)| name == section) else {
                let names: Vec<_> = KEYS.iter().map(|(name, _)| *name).collect();
                return Err(unknown("section", section, &names));
            };
            let Some(inner) = value.as_table() else {
                return Err(bad(format!("`{section}` must be a section: [{section}]")));
            };
            if let Some(key) = inner.keys().find(|key| !keys.contains(&key.as_str())) {
                return Err(unknown("key", key, keys));
            }
        }
        let config: Self = toml::from_str(text)
            .map_err(|error| bad(format!("the configuration cannot be used: {}", error.message())))?;
        match config.master.ack.as_deref() {
            None | Some("local" | "stable") => Ok(config),
            Some(other) => Err(bad(format!("`ack` is `{other}`, but must be \"local\" or \"stable\""))),
        }
    }
}

fn bad(what: String) -> Failure {
    fail("E0102", what, "muskox config example").exit(Exit::Usage)
}

fn unknown(kind: &str, word: &str, known: &[&str]) -> Failure {
    let nearest =
        known.iter().max_by(|a, b| strsim::jaro_winkler(word, a).total_cmp(&strsim::jaro_winkler(word, b)));
    let hint = nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    bad(format!("unknown {kind} `{word}` in the configuration{hint}"))
}

/// A commented file with every key, for `muskox config example`.
pub(crate) const EXAMPLE: &str = r#"# muskox.toml: every key is optional; what stands here are the defaults.

[master]
# listen = "127.0.0.1:9421"      # beyond loopback only with `insecure = true`
# data = "/var/lib/muskox/master"
# name = "tiger"                 # default: the host's name
# insecure = false               # true: listen beyond loopback without authentication
# ack = "local"                  # "stable": every change waits for stable storage
# session-lease-seconds = 60     # a silent client's session ends after this
# heal-after-endangered-seconds = 10   # a silent server is waited for so long: chunks with one replica left
# heal-after-seconds = 60        # the same, other chunks
# heal-after-together-seconds = 600    # the same, if several servers fell silent together
# hold-surplus-seconds = 3600    # replicas that an edit of a class or label made dispensable are kept so long
# checkpoint-records = 1000000   # changelog records between two checkpoints

[chunkserver]
# listen = "127.0.0.1:9422"
# advertise = "10.7.0.2:9422"    # what others connect to; default: the listening address
# data = "/var/lib/muskox/chunkserver"
# name = "tiger"
# disks = ["/mnt/disk1=ssd", "/mnt/disk2"]   # one directory per device; labels count when it is first seen
# labels = ["site=home"]         # of the server, inherited by its disks; count when it is first seen
# masters = ["127.0.0.1:9421"]
# insecure = false

[mount]
# masters = ["127.0.0.1:9421"]
# timeout-seconds = 60           # how long an operation waits for an absent cluster; 0: for ever
# write-buffer-mib = 48          # writes held before the writer waits
# read-cache-mib = 64            # read-ahead
# prefer = "site=home&!usb"      # labels of disks to read from rather than from others

[admin]
# masters = ["127.0.0.1:9421"]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        let failure = Config::parse("[master]\nlisen = \"127.0.0.1:1\"\n").unwrap_err();
        assert!(
            failure.to_string().contains("`lisen`") && failure.to_string().contains("`listen`"),
            "{failure}"
        );
        let failure = Config::parse("[chunkservers]\n").unwrap_err();
        assert!(failure.to_string().contains("did you mean `chunkserver`"), "{failure}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        for bad in ["[master]\nlisten = 7", "master = 3", "[master\n", "[master]\nack = \"never\""] {
            assert!(Config::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_example_is_valid_with_every_key_uncommented() {
        Config::parse(EXAMPLE).unwrap();
        let uncommented: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let config = Config::parse(&uncommented).unwrap();
        assert_eq!(config.chunkserver.disks.len(), 2);
        let table: toml::Table = uncommented.parse().unwrap();
        for (section, keys) in KEYS {
            assert_eq!(table[*section].as_table().unwrap().len(), keys.len(), "{section} lacks a key");
        }
    }
}
