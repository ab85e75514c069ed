//! `muskox class create`.

use super::parts::Parts;
use super::{put, shown};
use crate::commands::{Talk, ask};
use crate::config::Config;
use crate::failure::{Exit, Failure, fail};
use clap::Args;
use std::process::ExitCode;
use types::{ClassName, StorageClass};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its name
    name: ClassName,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let Some(keep) = arguments.parts.keep.clone() else {
        let next = format!("muskox class create {} --keep 2*any", arguments.name);
        return Err(fail("E0218", "a class must say where its chunks live", next).exit(Exit::Usage));
    };
    let class = arguments.parts.over(StorageClass::new(arguments.name.clone(), keep))?;
    ask(&arguments.talk, config, async |master| {
        let status = put(&master, None, class, arguments.parts.allow_unsatisfiable).await?;
        Ok(shown(&status, arguments.talk.json))
    })
}
