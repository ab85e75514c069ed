//! Labels of servers and disks, as operators set them, and where a configuration says something else.

use super::Core;
use super::classes::unmet;
use super::registration::checked_labels;
use codec::admin::{Changed, Refusal, RefusalKind, Severity, Warning};
use rpc::admin::AdminError;
use types::{ClassName, Holder, Labels, Op};

impl Core {
    /// The labels that a server or a disk has, and is to have.
    pub(super) fn labels_to_set(
        &self,
        name: &str,
        disk: bool,
        add: &Labels,
        remove: &Labels,
        replace: bool,
    ) -> Result<(Holder, Labels, Labels), AdminError> {
        let holder = self.find_named(name, disk)?;
        let before = self.labels_of(holder);
        let mut after = if replace { Labels::default() } else { before.clone() };
        for label in remove {
            after.remove(label.as_str());
        }
        for label in add {
            // A key has one value: the new one.
            if let Some((key, old)) = label.key().and_then(|key| Some((key, after.value_of(key)?.to_owned())))
            {
                after.remove(&format!("{key}={old}"));
            }
            after.insert(label.clone()).map_err(|error| {
                let (subject, near) = (name.to_owned(), String::new());
                let why = error.to_string();
                AdminError::NotDone(Refusal { kind: RefusalKind::BadLabels, subject, why, near })
            })?;
        }
        Ok((holder, before, after))
    }

    /// Sets labels, live.
    pub(super) fn change_labels(
        &mut self,
        name: &str,
        disk: bool,
        add: &Labels,
        remove: &Labels,
        replace: bool,
    ) -> Result<Changed, AdminError> {
        let (holder, before, after) = self.labels_to_set(name, disk, add, remove, replace)?;
        let could = self.classes_that_can_be_met();
        if before != after {
            self.hold_for_labels(holder, before.clone())?;
        }
        self.log_change(Op::SetLabels { holder, labels: after.clone() })?;
        let can = self.classes_that_can_be_met();
        let unmet: Vec<ClassName> = could.into_iter().filter(|name| !can.contains(name)).collect();
        let holder = self.name_of(holder);
        tracing::info!(%holder, %before, %after, ?unmet, "labels were changed");
        Ok(Changed::Labels { holder, before, after, unmet })
    }

    fn classes_that_can_be_met(&self) -> Vec<ClassName> {
        let mut prospect = self.fleet.prospect();
        let met = self.meta.classes().filter(|(_, class)| unmet(class, &mut prospect).is_empty());
        met.map(|(_, class)| class.name.clone()).collect()
    }

    pub(super) fn labels_of(&self, holder: Holder) -> Labels {
        match holder {
            Holder::Server(server) => self.meta.server(server).map(|known| known.labels.clone()),
            Holder::Disk(disk) => self.meta.disk(disk).map(|known| known.labels.clone()),
        }
        .unwrap_or_default()
    }

    /// What people call a server or a disk.
    pub(super) fn name_of(&self, holder: Holder) -> String {
        match holder {
            Holder::Server(server) => match self.meta.server(server) {
                Some(known) if !known.name.is_empty() => known.name.clone(),
                _ => server.to_string(),
            },
            Holder::Disk(disk) => match self.meta.disk(disk) {
                Some(known) if !known.path.is_empty() => {
                    format!("{}:{}", self.name_of(Holder::Server(known.server)), known.path)
                }
                _ => disk.to_string(),
            },
        }
    }

    /// The server or disk that an operator means.
    pub(super) fn find_named(&self, name: &str, disk: bool) -> Result<Holder, AdminError> {
        if disk { self.find_disk(name) } else { self.find_server(name) }
    }

    fn find_server(&self, name: &str) -> Result<Holder, AdminError> {
        let all = self.meta.servers().map(|(server, _)| (Holder::Server(server), server.to_string()));
        self.find_holder(name, all, RefusalKind::NoSuchServer)
    }

    fn find_disk(&self, name: &str) -> Result<Holder, AdminError> {
        let all = self.meta.disks().map(|(disk, _)| (Holder::Disk(disk), disk.to_string()));
        self.find_holder(name, all, RefusalKind::NoSuchDisk)
    }

    fn find_holder(
        &self,
        name: &str,
        all: impl Iterator<Item = (Holder, String)>,
        none: RefusalKind,
    ) -> Result<Holder, AdminError> {
        let all: Vec<(Holder, String, String)> =
            all.map(|(holder, id)| (holder, id, self.name_of(holder))).collect();
        let named: Vec<Holder> =
            all.iter().filter(|(_, id, called)| called == name || id == name).map(|(one, ..)| *one).collect();
        match *named {
            [holder] => Ok(holder),
            [] => {
                let called = all.iter().map(|(_, _, called)| called.as_str());
                let near = nearest(name, called).unwrap_or_default().to_owned();
                let (subject, why) = (name.to_owned(), String::new());
                Err(AdminError::NotDone(Refusal { kind: none, subject, why, near }))
            }
            _ => {
                let ids = all.iter().filter(|(_, _, called)| called == name).map(|(_, id, _)| id.as_str());
                let why = format!("these have it: {}", ids.collect::<Vec<_>>().join(", "));
                let (kind, subject, near) = (RefusalKind::Ambiguous, name.to_owned(), String::new());
                Err(AdminError::NotDone(Refusal { kind, subject, why, near }))
            }
        }
    }

    /// A server or a disk whose configuration names other labels than the metadata.
    pub(super) fn label_warnings(&self) -> Vec<Warning> {
        let servers =
            self.servers.heard.iter().map(|(server, heard)| (Holder::Server(*server), &heard.labels));
        let disks = self.servers.disk_labels.iter().map(|(disk, labels)| (Holder::Disk(*disk), labels));
        let differs = servers.chain(disks).filter_map(|(holder, words)| {
            let (said, counts) = (checked_labels(words), self.labels_of(holder));
            // What is not configured is left to the commands.
            if said.is_empty() || said == counts {
                return None;
            }
            let name = self.name_of(holder);
            let noun = if matches!(holder, Holder::Server(_)) { "server" } else { "disk" };
            let counted = if counts.is_empty() { "none".to_owned() } else { counts.to_string() };
            Some(Warning {
                code: format!("LABELS_DIFFER {name}"),
                severity: Severity::Note,
                message: format!(
                    "the configuration gives {noun} {name} the labels {said}; those that count are: {counted}"
                ),
                next: format!(
                    "muskox {noun} label {name} --replace {said}   (or say the same in the configuration)"
                ),
                amount: 1,
            })
        });
        differs.collect()
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let best = all.map(|one| (strsim::jaro_winkler(name, one), one)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}
