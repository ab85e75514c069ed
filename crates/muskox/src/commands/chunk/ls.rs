//! `muskox chunk ls`.

use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rpc::admin::{AdminApi, AdminClient, ChunkEntry, ChunkQuery, ChunkState};
use std::collections::BTreeSet;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only chunks that stand so; several separated by commas
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = state(), conflicts_with = "all")]
    states: Vec<ChunkState>,
    /// Also those that are as they should be
    #[arg(long)]
    all: bool,
    /// As many at most
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    talk: Talk,
}

/// A state by its word.
fn state() -> impl TypedValueParser<Value = ChunkState> {
    let of = |word: String| ChunkState::ALL.into_iter().find(|state| state.word() == word);
    PossibleValuesParser::new(ChunkState::ALL.map(ChunkState::word))
        .map(move |word| of(word).unwrap_or_default())
}

impl Arguments {
    fn wanted(&self) -> BTreeSet<ChunkState> {
        let is_wanted = |state: &ChunkState| match self.states.as_slice() {
            [] => self.all || *state != ChunkState::Ok,
            some => some.contains(state),
        };
        ChunkState::ALL.into_iter().filter(is_wanted).collect()
    }
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    ask(&arguments.talk, config, async |master| {
        let (chunks, more) = find(&master, arguments.wanted(), arguments.limit).await?;
        Ok(if arguments.talk.json {
            admin::chunk::json(&chunks, more)
        } else {
            admin::chunk::list(&chunks, more)
        })
    })
}

/// The first of them, and whether there are more.
async fn find(
    master: &AdminClient,
    states: BTreeSet<ChunkState>,
    limit: usize,
) -> Result<(Vec<ChunkEntry>, bool), Failure> {
    let mut found = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next.filter(|_| found.len() <= limit) {
        let page = master.chunks(ChunkQuery { from, states: states.clone() }).await?;
        found.extend(page.chunks);
        next = page.next;
    }
    let more = found.len() > limit;
    found.truncate(limit);
    Ok((found, more))
}
