//! Disks that operators add: a server is asked to serve a directory, and the operator is answered when the disk is registered.
//!
//! # Invariants
//! 1. An operator who is told that a disk is in service finds it in the metadata, with the labels he gave, also after a restart.

use super::classes::{ChangeAnswerer, refuse};
use super::{Core, Out};
use codec::admin::{Changed, Refusal, RefusalKind};
use codec::control::ToServer;
use rpc::admin::AdminError;
use types::{DiskId, Holder, Labels, ServerId};

/// A server that has not said for so long what became of a directory is not waited for.
const WAIT_MAX_MS: u64 = 60_000;
/// One that is not connected is waited for so long: it may be about to register anew, with the disk added before.
const CONNECTED_MAX_MS: u64 = 5_000;
/// Disks that are being added at the same time; more operators are told to try again.
const ADDITIONS_MAX: usize = 64;

/// Those that are asked for and not registered yet.
#[derive(Default)]
pub(super) struct Additions(Vec<Addition>);

struct Addition {
    server: ServerId,
    path: String,
    labels: Labels,
    /// The server was asked.
    asked: bool,
    until_ms: u64,
    answer: ChangeAnswerer,
}

impl Additions {
    fn take(&mut self, is: impl Fn(&Addition) -> bool) -> Vec<Addition> {
        self.0.extract_if(.., |one| is(one)).collect()
    }
}

fn not_taken(subject: String, why: String, next: String) -> AdminError {
    AdminError::NotDone(Refusal { kind: RefusalKind::DiskNotTaken, subject, why, near: next })
}

impl Core {
    /// Asks a server to serve a directory.
    pub(super) fn add_disk(&mut self, name: &str, path: &str, labels: Labels, answer: ChangeAnswerer) {
        let server = match self.find_named(name, false) {
            Ok(Holder::Server(server)) => server,
            Ok(Holder::Disk(_)) => {
                return self.refuse_addition(answer, refuse(RefusalKind::NoSuchServer, name));
            }
            Err(error) => return self.refuse_addition(answer, error),
        };
        if self.additions.0.len() >= ADDITIONS_MAX {
            return self.refuse_addition(answer, refuse(RefusalKind::TooMany, "disks being added"));
        }
        // One directory, one name.
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path }.to_owned();
        let until_ms = self.now_ms() + CONNECTED_MAX_MS;
        self.additions.0.push(Addition { server, path, labels, asked: false, until_ms, answer });
        self.ask_for_additions(server);
    }

    /// Asks a server, if it is registered, for what it was not asked for yet.
    pub(super) fn ask_for_additions(&mut self, server: ServerId) {
        let Some(link) = self.link_in_service(server) else { return };
        let until_ms = self.now_ms() + WAIT_MAX_MS;
        for addition in self.additions.0.iter_mut().filter(|one| one.server == server && !one.asked) {
            (addition.asked, addition.until_ms) = (true, until_ms);
            self.out.push(Out::ToServer(link, ToServer::AddDisk { path: addition.path.clone() }));
        }
    }

    fn refuse_addition(&mut self, answer: ChangeAnswerer, error: AdminError) {
        self.out.push(Out::Changed(answer, Err(error)));
    }

    /// A server does not take a directory.
    pub(super) fn disk_not_added(&mut self, server: ServerId, path: &str, why: &str, next: &str) {
        let holder = self.name_of(Holder::Server(server));
        for addition in self.additions.take(|one| one.server == server && one.path == path) {
            let error = not_taken(format!("{holder}:{path}"), why.to_owned(), next.to_owned());
            self.refuse_addition(addition.answer, error);
        }
    }

    /// A server has registered, durably, with this disk.
    pub(super) fn disk_registered(&mut self, server: ServerId, disk: DiskId, path: &str) {
        for addition in self.additions.take(|one| one.server == server && one.path == path) {
            let name = self.name_of(Holder::Disk(disk));
            let is_lacking = |label: &types::Label| !self.labels_of(Holder::Disk(disk)).has(label.as_str());
            let labelled = match addition.labels.iter().any(is_lacking) {
                true => {
                    self.change_labels(&disk.to_string(), true, &addition.labels, &Labels::default(), false)
                }
                false => Ok(Changed::Done),
            };
            let out = Out::Changed(addition.answer, labelled.map(|_| Changed::Disk(name)));
            self.leave_when_stable(self.applied(), out);
        }
    }

    /// Gives up waiting for servers that say nothing.
    pub(super) fn expire_additions(&mut self) {
        let now_ms = self.now_ms();
        for Addition { server, path, asked, answer, .. } in self.additions.take(|one| one.until_ms <= now_ms)
        {
            if !asked {
                let name = self.name_of(Holder::Server(server));
                self.refuse_addition(answer, refuse(RefusalKind::NotConnected, name));
                continue;
            }
            let why = "the server has not said what became of it; it may come yet".to_owned();
            let subject = format!("{}:{path}", self.name_of(Holder::Server(server)));
            self.refuse_addition(answer, not_taken(subject, why, "muskox disk ls".to_owned()));
        }
    }
}
