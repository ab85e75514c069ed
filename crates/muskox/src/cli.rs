//! The command line. Noun then verb; every command that talks to the cluster takes `--master`.

use crate::commands::chunk::ChunkCommand;
use crate::commands::class::ClassCommand;
use crate::commands::client::ClientCommand;
use crate::commands::completion;
use crate::commands::disk::DiskCommand;
use crate::commands::explain;
use crate::commands::health;
use crate::commands::limit::LimitCommand;
use crate::commands::server::ServerCommand;
use crate::commands::task::TaskCommand;
use crate::commands::trash::TrashCommand;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use types::Label;

/// A replicating, distributed chunk filesystem.
#[derive(Debug, Parser)]
#[command(name = "muskox", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Configuration file [default: /etc/muskox/muskox.toml if it exists]
    #[arg(long, global = true, env = "MUSKOX_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Log level: error, warn, info, debug, trace, or a tracing filter
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// Log lines as text or json
    #[arg(long, global = true, default_value = "text", value_parser = ["text", "json"])]
    pub(crate) log_format: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A whole local cluster with a mounted directory
    Demo(DemoArgs),
    /// Run the master
    Master(MasterArgs),
    /// Run a chunkserver
    Chunkserver(ChunkserverArgs),
    /// Mount the cluster
    Mount(MountArgs),
    /// Show the cluster's state
    Status(StatusArgs),
    /// Look at files
    File {
        #[command(subcommand)]
        command: FileCommand,
    },
    /// Whether anything needs somebody: codes, reasons and next steps
    Health(health::Arguments),
    /// Why the chunks of a file are where they are: its class, where it wants them, and what is in the way
    Explain(explain::Arguments),
    /// Storage classes: where chunks of a path live
    Class {
        #[command(subcommand)]
        command: ClassCommand,
    },
    /// Disks and their labels
    Disk {
        #[command(subcommand)]
        command: DiskCommand,
    },
    /// Chunkservers and their labels
    Server {
        #[command(subcommand)]
        command: ServerCommand,
    },
    /// Mounts
    Client {
        #[command(subcommand)]
        command: ClientCommand,
    },
    /// How much healing may copy
    Limit {
        #[command(subcommand)]
        command: LimitCommand,
    },
    /// Chunks, and which of them are not as they should be
    Chunk {
        #[command(subcommand)]
        command: ChunkCommand,
    },
    /// Large changes under way
    Task {
        #[command(subcommand)]
        command: TaskCommand,
    },
    /// Deleted files that are kept
    Trash {
        #[command(subcommand)]
        command: TrashCommand,
    },
    /// Look at a master's metadata
    Meta {
        #[command(subcommand)]
        command: MetaCommand,
    },
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// A script that has a shell complete commands, with the names of the running cluster
    Completion(completion::Arguments),
    /// What may come next (asked by those scripts)
    #[command(hide = true)]
    Complete(completion::Question),
    /// Build a checkpoint from a master's directory (run by the master itself)
    #[command(hide = true)]
    CheckpointBuild {
        /// The master's data directory
        #[arg(long)]
        data: PathBuf,
        /// The changelog position of the checkpoint
        #[arg(long)]
        index: u64,
    },
}

/// Where the cluster is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Target {
    /// The master, `host:port`, several separated by commas [default: MUSKOX_MASTER, the configuration, a running demo]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) master: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MasterArgs {
    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Directory of changelog and checkpoints
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A name for people
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Allow listening beyond loopback without authentication
    #[arg(long)]
    pub(crate) insecure: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChunkserverArgs {
    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Address told to others
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// Directory of the server's own small state
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A name for people
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A disk: one directory on one device, perhaps with its first labels; may be repeated
    #[arg(long = "disk", value_name = "PATH[=LABEL,...]")]
    pub(crate) disks: Vec<String>,
    /// First labels of the server, which its disks inherit: words, or key=value
    #[arg(long = "label", value_name = "LABEL", value_delimiter = ',')]
    pub(crate) labels: Vec<Label>,
    /// Stamp blank disk directories; without it a blank one is refused, for its device may not be mounted
    #[arg(long)]
    pub(crate) format: bool,
    /// Allow listening beyond loopback without authentication
    #[arg(long)]
    pub(crate) insecure: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct MountArgs {
    /// The master, `host:port` (several separated by commas), and the mountpoint; the master may be left out
    #[arg(value_name = "[MASTER] DIR", num_args = 1..=2, required = true)]
    pub(crate) places: Vec<String>,
    /// Mount options, separated by commas: ro, timeout=SECONDS, mount-timeout=SECONDS, write-buffer=MIB, read-cache=MIB, prefer=LABELS and those of mount(8)
    #[arg(short = 'o', value_name = "OPTIONS", value_delimiter = ',')]
    pub(crate) options: Vec<String>,
    /// Return once the root answers and go on serving in a process of its own, as mount(8) wants it
    #[arg(long)]
    pub(crate) background: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Machine-readable
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Chunks, versions and replicas of a file
    Info {
        /// A path on a mount, or from the root of the cluster
        path: PathBuf,
        /// Every chunk, also of a large file
        #[arg(long)]
        all: bool,
        /// Machine-readable
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetaCommand {
    /// Read all checkpoints and the log of a master that does not run, and look for contradictions; changes nothing
    Check {
        /// The master's data directory [default: that of the configuration]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a commented file with every key and its default
    Example,
    /// Check the file that would be used
    Check,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DemoCommand>,
    #[command(flatten)]
    pub(crate) data: DemoData,
    /// Where to mount [default: ~/muskox]
    #[arg(long, value_name = "DIR")]
    pub(crate) mountpoint: Option<PathBuf>,
    /// Number of chunkservers [default: 3, or as many as hold data]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) chunkservers: Option<u16>,
    /// Disk directories of each chunkserver [default: 2, or as many as hold data]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) disks: Option<u16>,
    /// All roles in one process (nothing can be killed singly)
    #[arg(long)]
    pub(crate) in_process: bool,
    /// Do not mount
    #[arg(long)]
    pub(crate) no_mount: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DemoData {
    /// Where the demo keeps its data [default: muskox/demo in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DemoCommand {
    /// Kill one process of the running demo (SIGKILL)
    Kill {
        /// `master`, `cs1`, `cs2`..., `mount`
        name: String,
        #[command(flatten)]
        data: DemoData,
    },
    /// Start a killed process again
    Start {
        /// `master`, `cs1`, `cs2`..., `mount`
        name: String,
        #[command(flatten)]
        data: DemoData,
    },
    /// Stop the running demo
    Stop {
        #[command(flatten)]
        data: DemoData,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
