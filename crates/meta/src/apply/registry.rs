//! Servers and disks: who they are, and what operators say of them. Health codes that they mute.

use super::{Context, Done};
use crate::api::{Effect, KnownDisk, KnownServer};
use crate::sessions::Answer;
use crate::state::Meta;
use types::{DiskId, HealthCode, Holder, Labels, LimitScope, Mark, Mute, ServerId, Status};

const DONE: Result<Done, Status> = Ok(Done::Changed(Answer::Done));
const NOTHING: Result<Done, Status> = Ok(Done::Nothing(Answer::Done));

impl Meta {
    pub(super) fn register_disk(
        &mut self,
        server: ServerId,
        disk: DiskId,
        registrations: u64,
        path: &str,
    ) -> Result<Done, Status> {
        let known = self.disks.get(disk);
        if known.is_some_and(|known| registrations <= known.registrations) {
            return Err(Status::Invalid);
        }
        let known = known.cloned().unwrap_or_default();
        self.disks.set(disk, KnownDisk { server, registrations, path: path.to_owned(), ..known });
        DONE
    }

    pub(super) fn register_server(
        &mut self,
        server: ServerId,
        name: &str,
        address: &str,
    ) -> Result<Done, Status> {
        let known = self.servers.get(server).cloned();
        if known.as_ref().is_some_and(|known| known.name == name && known.address == address) {
            return NOTHING;
        }
        let (name, address) = (name.to_owned(), address.to_owned());
        self.servers.set(server, KnownServer { name, address, ..known.unwrap_or_default() });
        DONE
    }

    pub(super) fn set_labels(
        &mut self,
        holder: Holder,
        labels: &Labels,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        self.edit_holder(holder, |of, _| *of = labels.clone(), Effect::Labelled { holder }, cx)
    }

    pub(super) fn set_mark(&mut self, holder: Holder, mark: Mark, cx: &mut Context) -> Result<Done, Status> {
        self.edit_holder(holder, |_, of| *of = mark, Effect::Marked { holder }, cx)
    }

    fn edit_holder(
        &mut self,
        holder: Holder,
        edit: impl FnOnce(&mut Labels, &mut Mark),
        effect: Effect,
        cx: &mut Context,
    ) -> Result<Done, Status> {
        match holder {
            Holder::Server(server) => {
                let known = self.servers.get(server).ok_or(Status::NotFound)?;
                let mut new = known.clone();
                edit(&mut new.labels, &mut new.mark);
                if new == *known {
                    return NOTHING;
                }
                self.servers.set(server, new);
            }
            Holder::Disk(disk) => {
                let known = self.disks.get(disk).ok_or(Status::NotFound)?;
                let mut new = known.clone();
                edit(&mut new.labels, &mut new.mark);
                if new == *known {
                    return NOTHING;
                }
                self.disks.set(disk, new);
            }
        }
        cx.effects.push(effect);
        DONE
    }

    pub(super) fn set_mute(&mut self, code: HealthCode, mute: Option<&Mute>) -> Result<Done, Status> {
        if self.mutes.get(code) == mute {
            return NOTHING;
        }
        self.mutes.set(code, mute.cloned());
        DONE
    }

    pub(super) fn forget(&mut self, holder: Holder, cx: &mut Context) -> Result<Done, Status> {
        match holder {
            Holder::Server(server) => {
                self.servers.get(server).ok_or(Status::NotFound)?;
                if self.disks.iter().any(|(_, disk)| disk.server == server) {
                    return Err(Status::NotEmpty);
                }
                self.servers.remove(server);
                if self.limits.remove(&LimitScope::Server(server)) {
                    cx.effects.push(Effect::LimitsSet);
                }
            }
            Holder::Disk(disk) => {
                self.disks.get(disk).ok_or(Status::NotFound)?;
                self.disks.remove(disk);
            }
        }
        self.end_holds(&self.holds.of_holder(holder), cx);
        cx.effects.push(Effect::Forgotten { holder });
        DONE
    }
}
