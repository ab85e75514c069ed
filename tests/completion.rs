//! Completion by real shells, with the names of a running cluster.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use std::process::Command;

/// What readline makes of a line: words broken at blanks, and at : and =, which are words of their own.
fn broken(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in line.chars() {
        let last = words.last_mut().unwrap();
        let is_break = |word: &str| word == ":" || word == "=";
        match letter {
            ' ' if !last.is_empty() => words.push(String::new()),
            ' ' => {}
            ':' | '=' if last.is_empty() => last.push(letter),
            ':' | '=' => words.push(letter.to_string()),
            _ if is_break(last) => words.push(letter.to_string()),
            _ => last.push(letter),
        }
    }
    words
}

/// What bash would offer at the end of a line.
fn in_bash(demo: &Demo, line: &str) -> Vec<String> {
    let script = "source <(muskox completion bash)
        COMP_LINE=$1; COMP_POINT=${#1}; shift
        COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))
        _muskox; ((${#COMPREPLY[@]})) && printf '%s\\n' \"${COMPREPLY[@]}\"; true";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash", line]).args(broken(line));
    let mut found = shell(demo, bash);
    found.sort();
    found
}

/// Runs a shell that finds this muskox and this test's cluster.
fn shell(demo: &Demo, mut shell: Command) -> Vec<String> {
    let muskox = demo.muskox(&[]);
    for (name, value) in muskox.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let bin = std::path::Path::new(MUSKOX).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let output = shell.env("PATH", path).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The disk of each server, as `disk ls` shows it.
fn disk(demo: &Demo, server: &str) -> String {
    demo.data.join(server).join("d1").display().to_string()
}

/// The numbers of the holds, as `class hold ls` shows them.
fn holds(demo: &Demo) -> Vec<String> {
    let known: serde_json::Value =
        serde_json::from_str(&demo.ask(&["class", "hold", "ls", "--json"])).unwrap();
    let holds = known["holds"].as_array().unwrap();
    assert_eq!(holds.len(), 2, "{known}");
    let mut ids: Vec<String> = holds.iter().map(|hold| hold["id"].to_string()).collect();
    ids.sort();
    ids
}

fn furnished() -> Demo {
    let demo = Demo::start_with(&["--no-mount", "--chunkservers", "2", "--disks", "1"]);
    let of = |server: &str| format!("{server}:{}", disk(&demo, server));
    demo.ask(&["disk", "label", &of("cs1"), "ssd", "site=home"]);
    demo.ask(&["disk", "label", &of("cs2"), "hdd"]);
    demo.ask(&["class", "create", "photos", "--keep", "ssd"]);
    demo
}

#[test]
fn bash_completes_verbs_options_and_names_of_the_cluster() {
    if !has_program("bash_completes_verbs_options_and_names_of_the_cluster", "bash") {
        return;
    }
    let demo = furnished();
    let data = demo.data.to_str().unwrap();
    assert_eq!(in_bash(&demo, "muskox cl"), ["class", "client"]);
    assert!(!in_bash(&demo, "muskox ").contains(&"complete".to_owned()), "it is for scripts");
    assert_eq!(in_bash(&demo, "muskox server forget --ma"), ["--master"]);
    assert_eq!(in_bash(&demo, "muskox server forget "), ["cs1", "cs2"]);
    assert_eq!(in_bash(&demo, "muskox class show p"), ["photos"]);
    assert_eq!(in_bash(&demo, "muskox class set photos --recursive d"), Vec::<String>::new());
    // Readline takes what stands before the last colon or equals sign for another word, which is not replaced.
    assert_eq!(
        in_bash(&demo, "muskox disk keep "),
        [format!("cs1:{}", disk(&demo, "cs1")), format!("cs2:{}", disk(&demo, "cs2"))]
    );
    assert_eq!(in_bash(&demo, "muskox disk keep cs1:"), [disk(&demo, "cs1")]);
    assert_eq!(in_bash(&demo, &format!("muskox disk remove cs2:{data}")), [disk(&demo, "cs2")]);
    assert_eq!(in_bash(&demo, &format!("muskox disk label cs2:{data}/cs2/d1 s")), ["site=home", "ssd"]);
    assert_eq!(in_bash(&demo, &format!("muskox disk label cs2:{data}/cs2/d1 site=")), ["home"]);
    assert_eq!(in_bash(&demo, "muskox class edit photos --keep 2*ssd,h"), ["2*ssd,hdd"]);
    assert_eq!(in_bash(&demo, "muskox health mute LABELS"), ["LABELS_DIFFER"]);
    assert_eq!(in_bash(&demo, "muskox limit "), ["help", "ls", "rm", "set"]);
    assert_eq!(in_bash(&demo, "muskox limit set --server "), ["cs1", "cs2"]);
    assert_eq!(in_bash(&demo, "muskox limit set --from hdd --to s"), ["site=home", "ssd"]);
    assert_eq!(in_bash(&demo, "muskox limit rm --from a"), ["any"]);
    assert_eq!(in_bash(&demo, "muskox class hold "), ["end", "help", "ls"]);
    assert_eq!(in_bash(&demo, "muskox class hold end "), holds(&demo), "one for each disk that got labels");
    // A directory of this host.
    std::fs::create_dir(demo.data.join("only one")).unwrap();
    assert_eq!(in_bash(&demo, &format!("muskox class get {data}/onl")), [format!("{data}/only\\ one/")]);
}

#[test]
fn without_a_master_there_are_no_names_and_nobody_is_told() {
    if !has_program("without_a_master_there_are_no_names_and_nobody_is_told", "bash") {
        return;
    }
    let demo = Demo::prepared();
    assert_eq!(in_bash(&demo, "muskox server keep --js"), ["--json"]);
    assert_eq!(in_bash(&demo, "muskox server keep cs"), Vec::<String>::new());
    // Nobody listens there.
    assert_eq!(in_bash(&demo, "muskox --master 127.0.0.1:1 server keep cs"), Vec::<String>::new());
    assert_eq!(in_bash(&demo, "muskox health mute TRASH"), ["TRASH_LARGE"]);
}

#[test]
fn zsh_offers_the_names_of_the_cluster() {
    if !has_program("zsh_offers_the_names_of_the_cluster", "zsh") {
        return;
    }
    let demo = furnished();
    // Without its line editor: what it would be given.
    let script = "compdef() { : }; compadd() { print -rl -- ${(P)@[-1]} }
        source <(muskox completion zsh)
        words=(muskox server keep ''); CURRENT=4; _muskox";
    let mut zsh = Command::new("zsh");
    zsh.args(["-f", "-c", script]);
    let mut found = shell(&demo, zsh);
    found.sort();
    assert_eq!(found, ["cs1", "cs2"]);
}

#[test]
fn fish_offers_the_names_of_the_cluster() {
    if !has_program("fish_offers_the_names_of_the_cluster", "fish") {
        return;
    }
    let demo = furnished();
    let mut fish = Command::new("fish");
    fish.args(["--no-config", "-c", "muskox completion fish | source; complete -C 'muskox disk keep cs1:'"]);
    let found = shell(&demo, fish);
    let names: Vec<&str> = found.iter().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(names, [format!("cs1:{}", disk(&demo, "cs1"))]);
}
