//! What a demo consists of and where its parts are: `demo.json`, directories, names.

use crate::failure::{Exit, Failure, fail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The contents of `demo.json`, written once everything is ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DemoFile {
    /// Where the cluster is mounted; empty without a mount.
    pub(crate) mountpoint: String,
    /// `host:port` of the master.
    pub(crate) master: String,
    /// One entry a process.
    pub(crate) processes: Vec<DemoProcess>,
}

/// One process of a demo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DemoProcess {
    /// `master`, `cs1`, `mount`...
    pub(crate) name: String,
    /// `master`, `chunkserver` or `mount`.
    pub(crate) role: String,
    /// Process id; the demo's own with `--in-process`.
    pub(crate) pid: u32,
    /// `host:port`; empty for the mount.
    pub(crate) address: String,
    /// Directories that it keeps data in.
    pub(crate) directories: Vec<String>,
}

/// The directory of one demo.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// `--data DIR`.
    pub(crate) data: PathBuf,
}

impl Layout {
    /// For an explicit directory, or the default one.
    pub(crate) fn new(data: Option<&Path>) -> Result<Self, Failure> {
        let data = match data {
            Some(dir) => std::path::absolute(dir).map_err(|error| {
                fail("E0110", format!("{}: {error}", dir.display()), "muskox demo --data OTHER_DIR")
                    .exit(Exit::Usage)
            })?,
            None => user_directory("XDG_DATA_HOME", ".local/share")?.join("muskox").join("demo"),
        };
        Ok(Self { data })
    }
    pub(crate) fn json(&self) -> PathBuf {
        self.data.join("demo.json")
    }
    pub(crate) fn lock(&self) -> PathBuf {
        self.data.join("demo.lock")
    }
    pub(crate) fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }
    pub(crate) fn disk(&self, server: &str, number: u16) -> PathBuf {
        self.data.join(server).join(format!("d{number}"))
    }

    /// Reads `demo.json`.
    pub(crate) fn read(&self) -> Result<DemoFile, Failure> {
        let path = self.json();
        let text = std::fs::read_to_string(&path).map_err(|_| {
            fail("E0111", format!("no demo is running in {}", self.data.display()), "muskox demo")
                .exit(Exit::NotFound)
        })?;
        serde_json::from_str(&text).map_err(|error| {
            fail(
                "E0112",
                format!("{} is damaged: {error}", path.display()),
                "stop the demo with Ctrl-C and start it again: muskox demo",
            )
        })
    }

    /// Writes `demo.json` so that a reader sees the old or the new one whole.
    pub(crate) fn write(&self, file: &DemoFile) -> Result<(), Failure> {
        let path = self.json();
        let temporary = path.with_extension("json.new");
        let text = serde_json::to_string_pretty(file).expect("strings and numbers are always JSON");
        std::fs::write(&temporary, text + "\n").and_then(|()| std::fs::rename(&temporary, &path)).map_err(
            |error| {
                fail(
                    "E0113",
                    format!("cannot write {}: {error}", path.display()),
                    "see that the disk is not full: df -h; or muskox demo --data OTHER_DIR",
                )
            },
        )
    }
}

/// A directory of the user by the XDG variable, or below the home directory.
pub(crate) fn user_directory(variable: &str, below_home: &str) -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    set(variable).or_else(|| set("HOME").map(|home| home.join(below_home))).ok_or_else(|| {
        fail(
            "E0114",
            "neither HOME nor the XDG directories are set",
            "muskox demo --data DIR --mountpoint DIR",
        )
    })
}

/// Who holds the lock of a demo's directory: `None` if nobody does.
pub(crate) fn holder(lock: &Path) -> Option<u32> {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(lock).ok()?;
    match file.try_lock() {
        Ok(()) => None,
        Err(_) => std::fs::read_to_string(lock).ok()?.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_file_has_the_documented_shape() {
        let file = DemoFile {
            mountpoint: "/m".into(),
            master: "127.0.0.1:1".into(),
            processes: vec![DemoProcess {
                name: "cs1".into(),
                role: "chunkserver".into(),
                pid: 7,
                ..Default::default()
            }],
        };
        let value: serde_json::Value = serde_json::to_value(&file).unwrap();
        assert_eq!(value["processes"][0]["name"], "cs1");
        for key in ["name", "role", "pid", "address", "directories"] {
            assert!(value["processes"][0].get(key).is_some(), "{key}");
        }
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path())).unwrap();
        assert!(layout.read().is_err());
        layout.write(&file).unwrap();
        assert_eq!(layout.read().unwrap(), file);
    }
}
