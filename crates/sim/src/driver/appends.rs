//! Appending to one file that belongs to nobody.

use super::{Answer, Driver, Violation, nothing};
use crate::cluster::Program;
use crate::oracle::log::{Log, RECORD_BYTES, record};
use client::{FileHandle, OpenFlags};
use types::{FileKind, InodeId, Status};

/// Its name in the root directory.
pub(crate) const NAME: &[u8] = b"log";
const APPEND: OpenFlags = OpenFlags { read: true, write: true, truncate: false };
const READ: OpenFlags = OpenFlags { read: true, write: false, truncate: false };
/// Most records of one append.
const RECORDS_MAX: u64 = 20;
/// More than is ever appended in a round.
const READ_BYTES_MAX: u32 = 4 << 20;

impl Driver<'_> {
    /// Appends a few records, and closes or syncs the file now and then.
    pub(super) async fn append(&mut self, program: &Program) -> Result<(), Violation> {
        let Some((inode, handle)) = self.log(program).await? else { return Ok(()) };
        let ids: Vec<_> = {
            let mut oracle = self.stage.oracle.borrow_mut();
            (0..self.chance.within(1, RECORDS_MAX)).map(|_| oracle.new_write()).collect()
        };
        let data: Vec<u8> = ids.iter().flat_map(|id| record(*id)).collect();
        let what = format_args!("append records {}..={}", ids[0], ids[ids.len() - 1]);
        let call = program.client.append(handle, &data);
        match self.ask(program, what, u64::to_string, call).await? {
            Answer::Done(at) => {
                let put = self.stage.oracle.borrow_mut().log.appended(at, &ids, self.incarnation);
                put.map_err(|reason| self.stage.violation(reason))?;
            }
            answer => {
                let mut oracle = self.stage.oracle.borrow_mut();
                oracle.log.adrift(&ids);
                oracle.log.failed(self.incarnation);
                if let Answer::Died = answer {
                    return Ok(());
                }
            }
        }
        if self.chance.percent(40) {
            let answer =
                self.ask(program, format_args!("fsync the log"), nothing, program.client.fsync(handle));
            self.log_stored(&answer.await?, Log::synced);
        }
        if self.chance.percent(40) {
            self.close_log(program, inode, handle).await?;
        }
        Ok(())
    }

    fn log_stored<T>(&self, answer: &Answer<T>, stored: impl FnOnce(&mut Log, u64)) {
        let log = &mut self.stage.oracle.borrow_mut().log;
        match answer {
            Answer::Done(_) => stored(log, self.incarnation),
            _ => log.failed(self.incarnation),
        }
    }

    async fn log(&mut self, program: &Program) -> Result<Option<(InodeId, FileHandle)>, Violation> {
        if self.log.is_none() {
            self.log = self.open_log(program, APPEND).await?;
        }
        Ok(self.log)
    }

    async fn open_log(
        &self,
        program: &Program,
        flags: OpenFlags,
    ) -> Result<Option<(InodeId, FileHandle)>, Violation> {
        let client = &program.client;
        let call = async {
            let inode = client.lookup(InodeId::ROOT, NAME).await?.attributes.inode.id;
            Ok((inode, client.open(inode, flags).await?.handle))
        };
        let answer = self.ask(program, format_args!("open the log"), |(i, _)| i.to_string(), call).await?;
        Ok(if let Answer::Done(opened) = answer { Some(opened) } else { None })
    }

    async fn close_log(
        &mut self,
        program: &Program,
        inode: InodeId,
        handle: FileHandle,
    ) -> Result<(), Violation> {
        let call = program.client.flush(handle);
        let answer = self.ask(program, format_args!("close the log"), nothing, call).await?;
        self.log_stored(&answer, Log::closed);
        program.client.release(handle);
        program.client.forget(inode, 1);
        self.log = None;
        Ok(())
    }

    /// Closes the log, if it is open here.
    pub(super) async fn finish_log(&mut self, program: &Program) -> Result<(), Violation> {
        match self.log {
            Some((inode, handle)) => self.close_log(program, inode, handle).await,
            None => Ok(()),
        }
    }

    /// Reads the whole log and compares.
    pub(super) async fn look_at_log(&mut self, program: &Program) -> Result<(), Violation> {
        // A handle that writes would be told of what another one lost.
        let Some((inode, handle)) = self.open_log(program, READ).await? else {
            return Err(self.stage.violation("the log cannot be opened"));
        };
        let call = program.client.read(handle, 0, READ_BYTES_MAX);
        let shown = |bytes: &bytes::Bytes| format!("{} records", bytes.len() as u64 / RECORD_BYTES);
        match self.ask_in_doubt(program, format_args!("read the log"), shown, call).await? {
            Answer::Done(bytes) => {
                let log = &mut self.stage.oracle.borrow_mut().log;
                let mut checked = log.check(&bytes);
                if self.stage.settled.get() {
                    checked = checked.and_then(|()| log.agrees(&bytes));
                }
                checked.map_err(|reason| self.stage.violation(format_args!("the log: {reason}")))?;
            }
            Answer::Died => return Ok(()),
            Answer::Refused(status) | Answer::Unknown(status) => {
                // What was never synced may be gone altogether.
                let lost = self.stage.lost.borrow().contains(&inode);
                if self.stage.oracle.borrow().log.is_certain() || self.stage.settled.get() && !lost {
                    return Err(self.stage.violation(format_args!("the log cannot be read: {status:?}")));
                }
            }
        }
        program.client.release(handle);
        program.client.forget(inode, 1);
        Ok(())
    }

    /// Begins a new log if what is in this one is not certain: replicas may differ in it until they are compared.
    pub(super) async fn renew_log(&mut self, program: &Program) -> Result<(), Violation> {
        if self.stage.oracle.borrow().log.is_certain() {
            return Ok(());
        }
        let made = make(&program.client, true).await;
        made.map_err(|status| self.stage.violation(format_args!("no new log: {status:?}")))?;
        self.stage.oracle.borrow_mut().new_log();
        Ok(())
    }
}

/// Makes the log, durably.
pub(crate) async fn make(client: &client::Client, anew: bool) -> Result<(), Status> {
    if anew {
        client.unlink(InodeId::ROOT, NAME).await?;
    }
    let node = super::files::node(FileKind::File);
    let made = client.create(InodeId::ROOT, NAME, node, true, APPEND).await?;
    client.fsync(made.opened.handle).await?;
    client.release(made.opened.handle);
    client.forget(made.known.attributes.inode.id, 1);
    client.fsync_directory(InodeId::ROOT).await
}
