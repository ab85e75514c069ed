//! What no compiler checks: crate arrows, purity of the brains, module docs, file sizes, documents.

use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our crates a crate may use (`ARCHITECTURE.md` has the reasons).
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("codec", &["types"]),
    ("env", &[]),
    ("meta", &["types", "codec"]),
    ("placement", &["types"]),
    ("fleet", &["types", "placement"]),
    ("wire", &["types", "codec"]),
    ("journal", &["types", "env"]),
    ("store", &["types", "env"]),
    ("link", &["types", "env", "wire"]),
    ("rpc", &["types", "codec", "env", "link"]),
    ("master", &["types", "codec", "env", "meta", "fleet", "placement", "wire", "journal", "link", "rpc"]),
    ("chunkserver", &["types", "codec", "env", "wire", "store", "link", "rpc"]),
    ("client", &["types", "codec", "env", "wire", "link"]),
    ("mount", &["types", "placement", "env", "client"]),
    ("admin", &["types", "env", "rpc"]),
    ("muskox", &["types", "env", "admin", "master", "chunkserver", "client", "mount", "rpc"]),
    (
        "sim",
        &[
            "types",
            "codec",
            "env",
            "meta",
            "fleet",
            "wire",
            "journal",
            "store",
            "link",
            "rpc",
            "master",
            "chunkserver",
            "client",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that are plain synchronous Rust without I/O, clock, randomness or a random order.
const PURE: &[&str] = &["types", "codec", "meta", "placement", "fleet", "wire"];
const PURE_BANS: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "SystemTime::now",
    "Instant::now",
    "async fn",
    "rand::",
    "std::collections::HashMap",
    "std::collections::HashSet",
];
/// Words that mean unfinished. Split so that this file does not name them itself.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("unimpl", "emented!("),
    concat!("to", "do!("),
];
const LINES_MAX: usize = 700;
/// A crate of benches, apart from the others: nothing may depend on it, so it has no arrows.
const MICRO: &str = "benches/micro";
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "docs/glossary.md",
    "docs/semantics.md",
    "docs/roadmap.md",
    "docs/format",
    "docs/protocol",
    "docs/decisions",
];

/// Runs every check and reports all findings at once.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut findings = String::new();
    for document in DOCUMENTS {
        if !root.join(document).exists() {
            writeln!(findings, "{document} is missing")?;
        }
    }
    let mut crates: Vec<String> = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        crates.push(entry?.file_name().to_string_lossy().into_owned());
    }
    crates.sort();
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    for name in &crates {
        if !architecture.contains(&format!("`{name}`")) {
            writeln!(findings, "ARCHITECTURE.md does not speak of `{name}`")?;
        }
        check_arrows(root, name, &crates, &mut findings)?;
        let mut files = Vec::new();
        rust_files(&root.join("crates").join(name).join("src"), &mut files)?;
        for file in &files {
            check_file(root, name, file, &mut findings)?;
        }
    }
    let mut files = Vec::new();
    rust_files(&root.join(MICRO), &mut files)?;
    for file in &files {
        check_file(root, MICRO, file, &mut findings)?;
    }
    if findings.is_empty() {
        return Ok(());
    }
    bail!("tidy found:\n{findings}");
}

fn check_arrows(root: &Path, name: &str, crates: &[String], findings: &mut String) -> Result<()> {
    let Some((_, allowed)) = ARROWS.iter().find(|(n, _)| *n == name) else {
        writeln!(findings, "crates/{name} has no arrows in xtask/src/tidy.rs")?;
        return Ok(());
    };
    let path = root.join("crates").join(name).join("Cargo.toml");
    let manifest = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.starts_with("dependencies");
            continue;
        }
        let dependency: String =
            line.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect();
        if in_dependencies && crates.contains(&dependency) && !allowed.contains(&dependency.as_str()) {
            writeln!(findings, "crates/{name} must not use {dependency}")?;
        }
    }
    if !manifest.contains("[lints]\nworkspace = true") {
        writeln!(findings, "crates/{name}/Cargo.toml does not take the workspace's lints")?;
    }
    Ok(())
}

fn check_file(root: &Path, name: &str, file: &Path, findings: &mut String) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let shown = file.strip_prefix(root).unwrap_or(file).display().to_string();
    let is_test = shown.ends_with("tests.rs") || shown.contains("/tests/");
    if !is_test && !text.starts_with("//!") {
        writeln!(findings, "{shown} does not open with a module doc (//!)")?;
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        writeln!(findings, "{shown} has {lines} lines: one idea per file, at most {LINES_MAX}")?;
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for word in UNFINISHED {
            if line.contains(word) {
                writeln!(findings, "{shown}:{}: {word}", number + 1)?;
            }
        }
        if PURE.contains(&name) && !is_test {
            for ban in PURE_BANS {
                if code.contains(ban) {
                    writeln!(findings, "{shown}:{}: {ban} in a pure crate", number + 1)?;
                }
            }
        }
        if code.contains(concat!("sl", "ed::")) && !shown.starts_with("crates/store/src/index") {
            writeln!(findings, "{shown}:{}: sled outside the index", number + 1)?;
        }
    }
    Ok(())
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}
