//! `muskox health mute`.

use crate::commands::completion::live;
use crate::commands::{Talk, ask, some_time, surprised};
use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use clap_complete::ArgValueCandidates;
use rpc::admin::{AdminApi, Change, Changed, MuteWish};
use std::process::ExitCode;
use types::MUTE_REASON_BYTES_MAX;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A health code, as `muskox health` shows it
    #[arg(value_name = "CODE", add = ArgValueCandidates::new(live::codes))]
    code: String,
    /// No longer than this, such as 30m
    #[arg(long = "for", value_name = "TIME", value_parser = some_time)]
    time: Option<u64>,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = reason, hide_default_value = true)]
    reason: String,
    /// Also if nothing has the code now, and with more things than have it now
    #[arg(long)]
    sticky: bool,
    #[command(flatten)]
    talk: Talk,
}

fn reason(text: &str) -> Result<String, String> {
    match text.len() {
        0..=MUTE_REASON_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(format!("a reason has at most {MUTE_REASON_BYTES_MAX} bytes")),
    }
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Failure> {
    let Arguments { code, time, reason, sticky, talk } = arguments;
    let wish = MuteWish { for_s: *time, sticky: *sticky, reason: reason.clone() };
    ask(talk, config, async |master| {
        let Changed::Done = master.change(Change::Mute { code: code.clone(), mute: Some(wish) }).await?
        else {
            return Err(surprised());
        };
        if talk.json {
            return Ok(admin::done_json("Muted", code));
        }
        Ok(admin::health::muted_text(&master.status().await?, code))
    })
}
