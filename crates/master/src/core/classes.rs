//! Storage classes as operators make and change them.
//!
//! # Invariants
//! 1. What goes into the log was read by `placement` and is written the way it prints it.
//! 2. A change says what it was made from; if that is no longer so, it is refused, and nothing of anybody's is lost.

use super::{Core, Out};
use codec::admin::{Change, Changed, ClassStatus, Refusal, RefusalKind, Severity, Unmet, Warning};
use fleet::Prospect;
use placement::{Condition, Layout, Policy};
use rpc::admin::AdminError;
use std::collections::BTreeSet;
use tokio::sync::oneshot;
use types::{ClassId, ClassName, Expression, InodeRef, Label, Op, Status, StorageClass};

/// Answers an operator who wants something changed.
pub(crate) type ChangeAnswerer = oneshot::Sender<Result<Changed, AdminError>>;

/// A refusal with a subject alone.
pub(super) fn refuse(kind: RefusalKind, subject: impl ToString) -> AdminError {
    let (why, near) = (String::new(), String::new());
    AdminError::NotDone(Refusal { kind, subject: subject.to_string(), why, near })
}

/// The parts of a class that ask for replicas.
pub(super) fn parts(class: &StorageClass) -> [(&'static str, Option<&Expression>); 4] {
    let archive = class.archive.as_ref().map(|archive| &archive.to);
    [
        ("create", class.create.as_ref()),
        ("keep", Some(&class.keep)),
        ("archive", archive),
        ("trash", class.trash.as_ref()),
    ]
}

impl Core {
    /// Carries out what an operator wants. Refusals leave after this batch's write, all else when it is stable.
    pub(super) fn change(&mut self, change: Change, answer: ChangeAnswerer) {
        let result = match change {
            Change::AddDisk { server, path, labels } => {
                return self.add_disk(&server, &path, labels, answer);
            }
            Change::PutClass { before, class, allow_unsatisfiable } => {
                self.put_class(before.as_deref(), *class, allow_unsatisfiable)
            }
            Change::DeleteClass(name) => self.delete_class(&name),
            Change::GiveClass { target, class, from, recursive } => {
                self.give_class(target, &class, from.as_ref(), recursive)
            }
            Change::SetLabels { holder, disk, add, remove, replace } => {
                self.change_labels(&holder, disk, &add, &remove, replace)
            }
            Change::CancelTask(task) => self.cancel_task(task),
            Change::SetMark { holder, disk, mark } => self.change_mark(&holder, disk, mark),
            Change::ForgetServer(server) => self.forget_server(&server),
            Change::RestoreTrash { wishes, overwrite } => Ok(self.restore_trash(&wishes, overwrite)),
            Change::Mute { code, mute } => self.change_mute(&code, mute),
            Change::PurgeTrash(inodes) => self.purge_trash(inodes),
            Change::SetLimit { target, limit, allow_unknown } => {
                self.change_limit(target, limit, allow_unknown)
            }
            Change::EndHold(hold) => self.end_hold(hold),
        };
        let done = result.is_ok();
        let out = Out::Changed(answer, result);
        if done {
            self.leave_when_stable(self.applied(), out);
        } else {
            self.out.push(out);
        }
    }

    /// Logs a change of an operator.
    pub(super) fn log_change(&mut self, op: Op) -> Result<(), AdminError> {
        self.log(None, op).reply.map(|_| ()).map_err(AdminError::Refused)
    }

    pub(super) fn find_class(&self, name: &ClassName) -> Result<ClassId, AdminError> {
        let found = self.meta.find_class(name.as_str());
        found.ok_or_else(|| refuse(RefusalKind::NoSuchClass, name))
    }

    /// The name of an inode's class.
    pub(super) fn class_name(&self, inode: InodeRef) -> Result<String, Status> {
        let class = self.meta.class(self.meta.class_of(inode)?);
        Ok(class.map_or_else(String::new, |class| class.name.to_string()))
    }

    /// All classes, by name, and what becomes of them.
    pub(super) fn class_statuses(&self) -> Vec<ClassStatus> {
        let mut prospect = self.fleet.prospect();
        let status = |(id, class): (ClassId, &StorageClass)| self.class_status(id, class, &mut prospect);
        let mut all: Vec<ClassStatus> = self.meta.classes().map(status).collect();
        all.sort_by(|one, other| one.class.name.cmp(&other.class.name));
        all
    }

    fn class_status(&self, id: ClassId, class: &StorageClass, prospect: &mut Prospect) -> ClassStatus {
        let meta::ClassUse { inodes, bytes } = self.meta.class_use(id);
        ClassStatus { id, class: class.clone(), inodes, bytes, unmet: unmet(class, prospect) }
    }

    /// What a class is to be, checked, and its id.
    pub(super) fn class_to_put(
        &self,
        before: Option<&StorageClass>,
        class: StorageClass,
        allow_unsatisfiable: bool,
    ) -> Result<(ClassId, StorageClass), AdminError> {
        let taken = self.meta.find_class(class.name.as_str());
        let id = match before {
            None => self.meta.next_class().ok_or_else(|| refuse(RefusalKind::TooMany, "classes"))?,
            Some(before) => {
                let id = self.find_class(&before.name)?;
                if self.meta.class(id) != Some(before) {
                    return Err(refuse(RefusalKind::ClassChanged, &before.name));
                }
                if id == ClassId::DEFAULT && before.name != class.name {
                    return Err(refuse(RefusalKind::ClassStays, &before.name));
                }
                id
            }
        };
        if taken.is_some_and(|taken| taken != id) {
            return Err(refuse(RefusalKind::ClassExists, &class.name));
        }
        Ok((id, self.checked(before, class, allow_unsatisfiable)?))
    }

    fn put_class(
        &mut self,
        before: Option<&StorageClass>,
        class: StorageClass,
        allow_unsatisfiable: bool,
    ) -> Result<Changed, AdminError> {
        let (id, class) = self.class_to_put(before, class, allow_unsatisfiable)?;
        let places = |class: &StorageClass| {
            (parts(class).map(|(_, text)| text.cloned()), class.mode, class.spread.clone())
        };
        if self.meta.class(id).is_some_and(|before| places(before) != places(&class)) {
            self.hold_for_class(id)?;
        }
        match self.log_change(Op::SetClass { class: id, definition: Box::new(class.clone()) }) {
            Err(AdminError::Refused(Status::TooBig)) => return Err(refuse(RefusalKind::TooMany, "classes")),
            other => other?,
        }
        match before {
            None => {
                tracing::info!(class = %class.name, id = %id, keep = %class.keep, "a storage class was created")
            }
            Some(before) => tracing::info!(
                class = %class.name, id = %id, keep = %class.keep, before = %before.name, "a storage class was changed"
            ),
        }
        Ok(Changed::Class(self.class_status(id, &class, &mut self.fleet.prospect())))
    }

    fn delete_class(&mut self, name: &ClassName) -> Result<Changed, AdminError> {
        let id = self.find_class(name)?;
        let inodes = self.meta.class_use(id).inodes;
        match self.log_change(Op::DeleteClass { class: id }) {
            Err(AdminError::Refused(Status::NotPermitted)) => Err(refuse(RefusalKind::ClassStays, name)),
            Err(AdminError::Refused(Status::Busy)) => {
                let why = match inodes {
                    0 => "a task is giving it to files".to_owned(),
                    count => format!(
                        "{count} files and directories have it, deleted ones that are kept among them"
                    ),
                };
                let (subject, near) = (name.to_string(), String::new());
                Err(AdminError::NotDone(Refusal { kind: RefusalKind::ClassInUse, subject, why, near }))
            }
            other => {
                other?;
                tracing::info!(class = %name, %id, "a storage class was deleted");
                Ok(Changed::Done)
            }
        }
    }

    /// Reads the expressions of a class, and writes them anew the way `placement` prints them. What was there before and
    /// did not change is not asked for again whether it can be had.
    fn checked(
        &self,
        before: Option<&StorageClass>,
        mut class: StorageClass,
        allow_unsatisfiable: bool,
    ) -> Result<StorageClass, AdminError> {
        let labels = self.labels_in_use();
        let check = |part: &'static str, text: &mut Expression| -> Result<usize, AdminError> {
            let (printed, replicas) = read(part, text.as_str())?;
            if !allow_unsatisfiable && before.is_none_or(|before| !mentions(before, text)) {
                known_labels(part, text.as_str(), &labels)?;
            }
            *text = Expression::new(&printed).map_err(|error| bad(part, text.as_str(), error))?;
            Ok(replicas)
        };
        let mut fewest = check("keep", &mut class.keep)?;
        if let Some(create) = &mut class.create {
            fewest = fewest.min(check("create", create)?);
        }
        if let Some(archive) = &mut class.archive {
            check("archive", &mut archive.to)?;
        }
        if let Some(trash) = &mut class.trash {
            check("trash", trash)?;
        }
        if let Some(read_last) = &mut class.read_last {
            check("read-last", read_last)?;
        }
        if let Some(min_write) = class.min_write.map(usize::from).filter(|count| *count > fewest) {
            let why =
                format!("min-write is {min_write}, but only {fewest} replicas are written that do not lag");
            let (subject, near) = (class.name.to_string(), String::new());
            return Err(AdminError::NotDone(Refusal { kind: RefusalKind::BadClass, subject, why, near }));
        }
        let unmet = unmet(&class, &mut self.fleet.prospect());
        let asked_before = |part: &str| {
            before.is_some_and(|before| {
                let of = |class| {
                    parts(class).into_iter().find(|(one, _)| *one == part).and_then(|(_, text)| text.cloned())
                };
                before.spread == class.spread && of(before) == of(&class)
            })
        };
        let unmet: Vec<String> =
            unmet.iter().filter(|unmet| !asked_before(&unmet.part)).map(Unmet::to_string).collect();
        if !unmet.is_empty() && !allow_unsatisfiable {
            let (subject, why, near) = (class.name.to_string(), unmet.join("; "), String::new());
            return Err(AdminError::NotDone(Refusal {
                kind: RefusalKind::Unsatisfiable,
                subject,
                why,
                near,
            }));
        }
        Ok(class)
    }

    /// Labels that a server or a disk has.
    pub(super) fn labels_in_use(&self) -> BTreeSet<Label> {
        let of_disks = self.meta.disks().flat_map(|(_, disk)| disk.labels.iter());
        let of_servers = self.meta.servers().flat_map(|(_, server)| server.labels.iter());
        of_disks.chain(of_servers).cloned().collect()
    }

    /// Classes with files in them that the disks cannot give what they ask for.
    pub(super) fn class_warnings(&self) -> Vec<Warning> {
        let mut prospect = self.fleet.prospect();
        let used = self.meta.classes().filter(|(id, _)| self.meta.class_use(*id).bytes > 0);
        let warning = |(_, class): (ClassId, &StorageClass)| {
            let lacks: Vec<String> = unmet(class, &mut prospect).iter().map(Unmet::to_string).collect();
            (!lacks.is_empty()).then(|| Warning {
                code: format!("CLASS_UNSATISFIABLE {}", class.name),
                severity: Severity::Warning,
                message: format!("class {} cannot be met: {}", class.name, lacks.join("; ")),
                next: format!(
                    "muskox class show {}   (then label a disk, add one, or edit the class)",
                    class.name
                ),
                amount: 1,
            })
        };
        used.filter_map(warning).collect()
    }
}

/// A part of a class, or another expression, that cannot be read.
pub(super) fn bad(part: &str, text: &str, why: impl ToString) -> AdminError {
    let (subject, near) = (format!("{part} '{text}'"), String::new());
    AdminError::NotDone(Refusal { kind: RefusalKind::BadExpression, subject, why: why.to_string(), near })
}

/// The text as `placement` prints it, and how many replicas it asks for that do not lag.
fn read(part: &'static str, text: &str) -> Result<(String, usize), AdminError> {
    if part == "read-last" {
        let condition = Condition::parse(text).map_err(|error| bad(part, text, error))?;
        return Ok((condition.to_string(), 0));
    }
    let layout = Layout::parse(text).map_err(|error| bad(part, text, error))?;
    Ok((layout.to_string(), layout.replicas()))
}

/// Refuses a label that no disk has.
pub(super) fn known_labels(part: &str, text: &str, known: &BTreeSet<Label>) -> Result<(), AdminError> {
    let Some(unknown) = placement::unknown_labels(text, known).into_iter().next() else { return Ok(()) };
    let why = format!("no disk has the label {} (character {})", unknown.label, unknown.at + 1);
    let near = unknown.nearest.map(|label| label.to_string()).unwrap_or_default();
    Err(AdminError::NotDone(Refusal {
        kind: RefusalKind::UnknownLabel,
        subject: format!("{part} '{text}'"),
        why,
        near,
    }))
}

/// Whether a part of the class says just this.
fn mentions(class: &StorageClass, text: &Expression) -> bool {
    let mut said = parts(class).into_iter().filter_map(|(_, said)| said).chain(class.read_last.as_ref());
    said.any(|said| said == text)
}

/// What the disks cannot give of what a class asks for.
pub(super) fn unmet(class: &StorageClass, prospect: &mut Prospect) -> Vec<Unmet> {
    let mut all = Vec::new();
    for (part, text) in parts(class) {
        // What was read once can be read again.
        let Some(layout) = text.and_then(|text| Layout::parse(text.as_str()).ok()) else { continue };
        let policy = Policy { spread: class.spread.clone(), mode: class.mode, ..Policy::new(layout) };
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        all.extend(prospect.unmet(&policy).into_iter().map(|unmet| Unmet {
            part: part.to_owned(),
            condition: format!("{}{}", if unmet.lagging { "~" } else { "" }, unmet.condition),
            wanted: small(unmet.wanted),
            lacking: small(unmet.lacking),
            disks: small(unmet.disks),
            domains: small(unmet.domains),
        }));
    }
    all
}
