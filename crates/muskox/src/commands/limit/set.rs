//! `muskox limit set`.

use super::{What, change};
use crate::commands::Talk;
use crate::config::Config;
use crate::failure::{Exit, Failure, fail};
use admin::units::{exact_size, parse_size};
use clap::Args;
use std::process::ExitCode;
use types::{LIMIT_BYTES_PER_S_MAX, LIMIT_BYTES_PER_S_MIN, LIMIT_COPIES_MAX, Limit};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    what: What,
    /// Copies at one time
    #[arg(long, value_name = "COUNT")]
    copies: Option<u32>,
    /// Bytes per second, such as 10MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    rate: Option<u64>,
    /// Also with labels that no disk has
    #[arg(long)]
    allow_unsatisfiable: bool,
    #[command(flatten)]
    talk: Talk,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let limit = Limit { copies: arguments.copies, bytes_per_s: arguments.rate };
    if !limit.in_range() {
        let what = format!(
            "a limit has 1 to {LIMIT_COPIES_MAX} copies, or {} to {} per second, or both",
            exact_size(LIMIT_BYTES_PER_S_MIN),
            exact_size(LIMIT_BYTES_PER_S_MAX)
        );
        return Err(fail("E0246", what, "muskox limit set --help").exit(Exit::Usage));
    }
    change(&arguments.what, Some(limit), arguments.allow_unsatisfiable, &arguments.talk, config)
}
