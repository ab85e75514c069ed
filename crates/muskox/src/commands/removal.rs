//! `muskox disk remove` and `muskox server remove`, and their `keep`.

use super::{Talk, ask, surprised};
use crate::config::Config;
use crate::failure::{Exit, Failure, fail};
use crate::roles::{admin as files, on_this_thread};
use clap::Args;
use rpc::admin::{
    AdminApi, AdminClient, AdminError, Change, Changed, MarkWish, RefusalKind, Removal, RemovalTarget,
};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often a removal is asked how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// How often that is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(5);
/// A master that is away is waited for so long: it may have been started anew.
const AWAY_MAX: Duration = Duration::from_secs(300);
/// What can go nowhere for so long is told rather than waited for.
const STUCK_MAX: Duration = Duration::from_secs(10);

/// How a removal is to go.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Only show what it would take, or how far it is
    #[arg(long, conflicts_with_all = ["wait", "drain_only"])]
    pub(super) plan: bool,
    /// Wait until it is safe and done, and show how far it is
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this, such as 30m
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = admin::units::parse_span)]
    timeout: Option<u64>,
    /// Empty it, and let it stay in service
    #[arg(long)]
    drain_only: bool,
    #[command(flatten)]
    pub(super) talk: Talk,
}

/// A server or a disk, as the commands name it.
pub(super) struct Holder<'a> {
    pub(super) name: &'a str,
    pub(super) disk: bool,
}

impl Holder<'_> {
    fn noun(&self) -> &'static str {
        if self.disk { "disk" } else { "server" }
    }

    fn target(&self) -> RemovalTarget {
        RemovalTarget { holder: self.name.to_owned(), disk: self.disk }
    }

    async fn mark(&self, master: &AdminClient, mark: MarkWish) -> Result<(), Failure> {
        let change = Change::SetMark { holder: self.name.to_owned(), disk: self.disk, mark };
        match master.change(change).await? {
            Changed::Done => Ok(()),
            _ => Err(surprised()),
        }
    }
}

/// Plans a removal, or begins it, and waits for it if that is wanted. `with`: the disk that takes its place, if there is one.
pub(super) fn remove(
    holder: &Holder<'_>,
    with: &str,
    wanted: &Wanted,
    config: &Config,
) -> Result<ExitCode, Failure> {
    let (noun, json) = (holder.noun(), wanted.talk.json);
    let mut text = String::new();
    let mut exit = Exit::Done;
    on_this_thread(async {
        let master = files::first_answer(&wanted.talk.target, config).await?;
        if !wanted.plan {
            let mark = MarkWish::Remove { drain_only: wanted.drain_only, with: with.to_owned() };
            holder.mark(&master, mark).await?;
        }
        if wanted.wait {
            let name = wait(holder, wanted, master, config).await?;
            text = if json {
                admin::done_json("Removed", &name)
            } else {
                admin::removal::removed(noun, &name, wanted.drain_only)
            };
            return Ok(());
        }
        let removal = match master.removal(holder.target()).await {
            // An empty disk may be gone by now.
            Err(error) if is_gone(&error) && !wanted.plan => {
                text = if json {
                    admin::done_json("Removed", holder.name)
                } else {
                    admin::removal::removed(noun, holder.name, wanted.drain_only)
                };
                return Ok(());
            }
            other => other?,
        };
        if wanted.plan && removal.obstacles_total > 0 {
            exit = Exit::Refused;
        }
        text = if json { admin::removal::json(&removal) } else { admin::removal::render(noun, &removal) };
        Ok(())
    })?;
    files::write_text(&text);
    Ok(ExitCode::from(exit.code()))
}

fn is_gone(error: &AdminError) -> bool {
    matches!(error, AdminError::NotDone(refusal) if refusal.kind == RefusalKind::NoSuchDisk)
}

/// Waits until it is done, also while the master is started anew. The name that people use.
async fn wait(
    holder: &Holder<'_>,
    wanted: &Wanted,
    master: AdminClient,
    config: &Config,
) -> Result<String, Failure> {
    let noun = holder.noun();
    let began = Instant::now();
    let mut master = Some(master);
    let mut name = holder.name.to_owned();
    let (mut answered, mut moving) = (began, began);
    let mut shown = Shown::default();
    loop {
        let asked = match &master {
            Some(master) => master.removal(holder.target()).await.map_err(Some),
            None => Err(None),
        };
        match asked {
            Ok(removal) => {
                answered = Instant::now();
                name.clone_from(&removal.holder);
                shown.progress(&removal);
                let is_over = if wanted.drain_only { removal.safe } else { removal.disks.is_empty() };
                if is_over {
                    break;
                }
                if !admin::removal::is_stuck(&removal) {
                    moving = answered;
                } else if moving.elapsed() > STUCK_MAX {
                    shown.end();
                    return Err(stuck(noun, &removal));
                }
            }
            Err(Some(error)) if is_gone(&error) => break,
            Err(Some(AdminError::NotDone(refusal))) => return Err(refusal.into()),
            Err(error) => {
                master = files::first_answer(&wanted.talk.target, config).await.ok();
                if let Some(error) = error.filter(|_| answered.elapsed() > AWAY_MAX) {
                    shown.end();
                    return Err(Failure::from(error).next(format!(
                        "muskox {noun} remove {name} --wait   (it goes on in the master, also after its restart)"
                    )));
                }
                if answered.elapsed() > AWAY_MAX {
                    files::first_answer(&wanted.talk.target, config).await?;
                }
            }
        }
        if wanted.timeout.is_some_and(|seconds| began.elapsed() > Duration::from_secs(seconds)) {
            shown.end();
            let what = format!("{name} is not empty yet: {}", shown.last);
            let next = format!("muskox {noun} remove {name} --wait   (it goes on by itself)");
            return Err(fail("E0227", what, next).exit(Exit::TimedOut));
        }
        tokio::time::sleep(LOOK).await;
    }
    shown.end();
    Ok(name)
}

fn stuck(noun: &str, removal: &Removal) -> Failure {
    let name = &removal.holder;
    let what = format!("{name} cannot be emptied: {} chunks can go nowhere", removal.obstacles_total);
    let next = format!("muskox {noun} remove {name} --plan   (shows them; undo: muskox {noun} keep {name})");
    fail("E0226", what, next).exit(Exit::Refused)
}

/// Progress on stderr: one line that changes on a terminal, now and then a line elsewhere.
#[derive(Default)]
struct Shown {
    last: String,
    printed: Option<Instant>,
}

impl Shown {
    fn progress(&mut self, removal: &Removal) {
        let line = admin::removal::progress(removal);
        let is_terminal = std::io::stderr().is_terminal();
        let is_due = self.printed.is_none_or(|at| at.elapsed() >= LINE);
        if line != self.last && (is_terminal || is_due) {
            self.printed = Some(Instant::now());
            // Who does not take it misses nothing.
            let _ = match is_terminal {
                true => write!(std::io::stderr(), "\rleaving {line:70}"),
                false => writeln!(std::io::stderr(), "leaving {line}"),
            };
        }
        self.last = line;
    }

    fn end(&self) {
        if self.printed.is_some() && std::io::stderr().is_terminal() {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// Takes a mark away.
pub(super) fn unmark(
    holder: &Holder<'_>,
    mark: MarkWish,
    told: &str,
    talk: &Talk,
    config: &Config,
) -> Result<ExitCode, Failure> {
    ask(talk, config, async |master| {
        holder.mark(&master, mark).await?;
        Ok(if talk.json {
            admin::done_json("Mark", holder.name)
        } else {
            format!("{} {told}\nnext  muskox {} ls\n", holder.name, holder.noun())
        })
    })
}
