//! The look at everything once the faults have stopped.

use super::{Answer, Driver, Violation};
use crate::cluster::Program;
use crate::invariants::once;
use crate::oracle::TREES;
use crate::oracle::tree::{Change, FileId, Node};
use types::Status;

/// Longest single read of a look.
const READ_BYTES_MAX: u64 = 1 << 20;

impl Driver<'_> {
    /// Closes what is open and makes everything stable. Whatever fails is asked for again, and must not fail then.
    pub(crate) async fn finish(&mut self) -> Result<(), Violation> {
        if let Some(program) = self.program().await? {
            // What is on a disk that is away may still be synced, so each fsync waits for it.
            let status = self.stage.cluster.status().await;
            let all_here = status.is_some_and(|status| status.disks.iter().all(|disk| disk.reported));
            for at in 0..self.held.len() {
                self.flush_one(&program, at).await?;
                // Until an fsync was told of a loss, each close is. The first one tells of all that was lost.
                let handle = self.held[at].handle;
                let first = program.client.fsync(handle).await;
                let again = program.client.fsync(handle).await;
                // A file whose creation was lost with the master's power is gone for whoever has it open, and stays so.
                let is_gone = first == Err(Status::Stale) && first == again;
                if all_here && !is_gone {
                    once::check("fsync(2)", again).map_err(|reason| self.stage.violation(reason))?;
                }
                let again = program.client.flush(handle).await;
                once::check("close(2)", again).map_err(|reason| self.stage.violation(reason))?;
            }
            self.close_all(&program).await?;
            self.finish_log(&program).await?;
            self.sync_all(&program).await?;
            let again = program.client.sync_all().await;
            if all_here {
                once::check("syncfs(2)", again).map_err(|reason| self.stage.violation(reason))?;
            }
        }
        Ok(())
    }

    /// Reads all names and all files of both trees, and compares.
    pub(crate) async fn look(&mut self) -> Result<(), Violation> {
        let Some(program) = self.program().await? else {
            return Err(self.stage.violation("the client was refused"));
        };
        for tree in 0..TREES {
            let what = format_args!("list tree {tree}");
            let shown = |found: &super::names::Found| format!("{found:?}");
            match self.ask(&program, what, shown, self.walk(&program, tree)).await? {
                Answer::Done(found) => self.seen(tree, &found)?,
                _ => return Err(self.stage.violation(format_args!("tree {tree} cannot be listed"))),
            }
            for (path, file) in self.names_of_files(tree) {
                self.look_at(&program, tree, &path, file).await?;
            }
        }
        self.look_at_log(&program).await
    }

    /// Reads the files of both trees of which several contents were possible, once replicas have been compared: all can be read, and all readers
    /// are told the same from now on.
    pub(crate) async fn look_at_uncertain(&mut self) -> Result<(), Violation> {
        let Some(program) = self.program().await? else {
            return Err(self.stage.violation("the client was refused"));
        };
        let uncertain = self.stage.oracle.borrow().uncertain_files();
        for tree in 0..TREES {
            for (path, file) in self.names_of_files(tree) {
                if uncertain.contains(&file) {
                    self.look_at(&program, tree, &path, file).await?;
                }
            }
        }
        self.look_at_log(&program).await
    }

    fn names_of_files(&self, tree: usize) -> Vec<(String, FileId)> {
        let oracle = self.stage.oracle.borrow();
        let Some(state) = oracle.trees[tree].possible().next() else { return Vec::new() };
        state
            .iter()
            .filter_map(|(path, node)| match node {
                Node::File(file) => Some((path.clone(), *file)),
                Node::Directory => None,
            })
            .collect()
    }

    async fn look_at(
        &self,
        program: &Program,
        tree: usize,
        path: &str,
        file: FileId,
    ) -> Result<(), Violation> {
        let regions = self.stage.oracle.borrow_mut().file(file).content.regions();
        let ranges: Vec<(u64, u64)> = regions
            .into_iter()
            .flat_map(|(from, to)| {
                let starts = (from..to).step_by(READ_BYTES_MAX as usize);
                starts.map(move |start| (start, (to - start).min(READ_BYTES_MAX)))
            })
            .collect();
        match self.read_file(program, tree, path, file, &ranges).await? {
            Some(status) => Err(self.stage.violation(format_args!("{path} cannot be opened: {status:?}"))),
            None => Ok(()),
        }
    }

    /// Unlinks the files of its tree of which several contents were possible, when all has been seen of them: what a loss of power took of
    /// them is missing for good, and healing would be waited for in vain.
    pub(crate) async fn drop_uncertain(&mut self) -> Result<(), Violation> {
        let Some(program) = self.program().await? else { return Ok(()) };
        let uncertain = self.stage.oracle.borrow().uncertain_files();
        for (path, file) in self.names_of_files(self.tree) {
            if uncertain.contains(&file) {
                self.do_change(&program, &Change::Unlink(path)).await?;
            } else {
                self.stage.oracle.borrow_mut().file(file).doubtful = false;
            }
        }
        if self.number == 0 {
            self.renew_log(&program).await?;
        }
        self.barrier(&program).await
    }
}
