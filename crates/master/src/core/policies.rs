//! What the metadata has of classes, labels and marks, told to the fleet: all of it at the start, then what changes.

use super::Core;
use fleet::{ClassPolicies, Event};
use types::{ClassId, Holder, InodeRef, Status};

impl Core {
    /// All classes, labels, marks and limits. Before the chunks, so that none of them is judged by a class that was not told.
    pub(super) fn introduce_policies(&mut self) {
        let classes: Vec<ClassId> = self.meta.classes().map(|(class, _)| class).collect();
        let servers = self.meta.servers().map(|(server, _)| Holder::Server(server));
        let disks = self.meta.disks().map(|(disk, _)| Holder::Disk(disk));
        let holders: Vec<Holder> = servers.chain(disks).collect();
        classes.into_iter().for_each(|class| self.tell_class(class));
        for holder in holders {
            self.tell_labels(holder);
            self.tell_mark(holder);
        }
        self.tell_limits();
    }

    /// What a class asks for. One that cannot be read, which only another release could have written, changes nothing.
    pub(super) fn tell_class(&mut self, class: ClassId) {
        let Some(definition) = self.meta.class(class) else { return };
        match ClassPolicies::of(definition) {
            Ok(policies) => self.tell(Event::ClassSet { class, policies: Box::new(policies) }),
            Err(error) => {
                tracing::error!(class = %definition.name, %error, "a storage class cannot be read");
            }
        }
    }

    /// The labels of a server or of a disk.
    pub(super) fn tell_labels(&mut self, holder: Holder) {
        let event = match holder {
            Holder::Server(server) => {
                let known = self.meta.server(server);
                known.map(|known| Event::ServerLabels { server, labels: known.labels.clone() })
            }
            Holder::Disk(disk) => {
                let known = self.meta.disk(disk);
                known.map(|known| Event::DiskLabels { disk, labels: known.labels.clone() })
            }
        };
        if let Some(event) = event {
            self.tell(event);
        }
    }

    /// Replicas that an inode's class asks for, in the stage in which the inode is.
    pub(super) fn goal_of(&self, inode: InodeRef) -> Result<u32, Status> {
        let class = self.meta.class(self.meta.class_of(inode)?);
        let policies = class.and_then(|class| ClassPolicies::of(class).ok());
        let stage = self.meta.stage(inode)?;
        let replicas = policies.map(|policies| policies.of_stage(stage).layout.replicas());
        Ok(replicas.map_or(self.goal(), |replicas| u32::try_from(replicas).unwrap_or(u32::MAX)))
    }
}
