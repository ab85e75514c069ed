//! One network namespace for each process of a cluster, all on one bridge in a namespace of its own.
//!
//! One way between two of them is closed by a neighbour entry that leads nowhere: packets leave and never arrive, as with a
//! broken route, and the other way stays open. No firewall is needed for it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

use super::common::*;
use super::shell::Shell;
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether namespaces can be made here; says loudly if not.
pub fn can_namespace(test: &str) -> bool {
    let can = can_mount(test) && is_root(test) && has_program(test, "ip") && has_program(test, "nsenter");
    let namespace = || Command::new("unshare").args(["-n", "true"]).status();
    can && runs(namespace().is_ok_and(|status| status.success()), test, "network namespaces")
}

const NOWHERE: &str = "02:00:00:00:00:99";
const HUB: &str = "hub";

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub struct Namespaces {
    prefix: String,
    names: Vec<&'static str>,
    shell: Rc<Shell>,
}

impl Namespaces {
    pub fn new(shell: &Rc<Shell>, names: &[&'static str]) -> Self {
        let prefix = format!("mx{}-{}-", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let made = Self { prefix, names: names.to_vec(), shell: Rc::clone(shell) };
        let run = |arguments: &str| drop(made.shell.ok(&format!("ip {arguments}")));
        let hub = made.full(HUB);
        run(&format!("netns add {hub}"));
        run(&format!("-n {hub} link add br0 type bridge"));
        run(&format!("-n {hub} addr add 10.77.0.254/24 dev br0"));
        run(&format!("-n {hub} link set br0 up"));
        for (place, name) in names.iter().enumerate() {
            let full = made.full(name);
            run(&format!("netns add {full}"));
            run(&format!("-n {full} link set lo up"));
            run(&format!("-n {hub} link add p{place} type veth peer name eth0 netns {full}"));
            run(&format!("-n {hub} link set p{place} master br0 up"));
            run(&format!("-n {full} addr add {}/24 dev eth0", Self::address(place)));
            run(&format!("-n {full} link set eth0 up"));
        }
        made
    }

    pub fn address(place: usize) -> String {
        format!("10.77.0.{}", place + 1)
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What makes a command run in the network of one of them, or beside all of them. Files and mounts are everybody's.
    pub fn within(&self, name: Option<&str>) -> String {
        format!("nsenter --net=/run/netns/{} ", self.full(name.unwrap_or(HUB)))
    }

    fn address_of(&self, name: &str) -> String {
        Self::address(self.names.iter().position(|other| *other == name).unwrap())
    }

    pub fn cut(&self, from: &str, to: &str) {
        let (full, address) = (self.full(from), self.address_of(to));
        self.shell
            .ok(&format!("ip -n {full} neigh replace {address} lladdr {NOWHERE} dev eth0 nud permanent"));
    }

    pub fn join(&self, from: &str, to: &str) {
        let (full, address) = (self.full(from), self.address_of(to));
        self.shell.ok(&format!("ip -n {full} neigh del {address} dev eth0"));
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in self.names.iter().chain([&HUB]) {
            self.shell.run(&format!("ip netns del {} 2>/dev/null", self.full(name)));
        }
    }
}
