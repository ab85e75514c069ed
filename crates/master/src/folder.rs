//! A folder of the data directory as a directory of its own, for crates that expect one.

use env::{Dir, DirEntry, File, Identity, OpenMode, Space};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// See the module.
pub(crate) struct Folder {
    parent: Arc<dyn Dir>,
    name: &'static str,
}

impl Folder {
    /// Makes the folder if it is not there; its entry is durable then.
    pub(crate) fn make(parent: &Arc<dyn Dir>, name: &'static str) -> io::Result<Arc<dyn Dir>> {
        if !parent.exists(name)? {
            parent.create_dir_all(name)?;
            parent.sync_dir("")?;
        }
        Ok(Arc::new(Self { parent: Arc::clone(parent), name }))
    }

    fn path(&self, below: &str) -> String {
        if below.is_empty() { self.name.to_owned() } else { format!("{}/{below}", self.name) }
    }
}

impl Dir for Folder {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.parent.open(&self.path(path), mode)
    }
    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.parent.create_dir_all(&self.path(path))
    }
    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.parent.list(&self.path(path))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.parent.rename(&self.path(from), &self.path(to))
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.parent.remove(&self.path(path))
    }
    fn remove_dir_all(&self, path: &str) -> io::Result<()> {
        self.parent.remove_dir_all(&self.path(path))
    }
    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.parent.sync_dir(&self.path(path))
    }
    fn sync_all(&self) -> io::Result<()> {
        self.parent.sync_all()
    }
    fn exists(&self, path: &str) -> io::Result<bool> {
        self.parent.exists(&self.path(path))
    }
    fn space(&self) -> io::Result<Space> {
        self.parent.space()
    }
    fn identity(&self) -> io::Result<Identity> {
        self.parent.identity()
    }
    fn lock(&self, path: &str) -> io::Result<Box<dyn Send + Sync>> {
        self.parent.lock(&self.path(path))
    }
    fn real_path(&self) -> Option<PathBuf> {
        self.parent.real_path().map(|path| path.join(self.name))
    }
}
