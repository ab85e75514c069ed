//! Where the cluster is: `--master`, then `MUSKOX_MASTER`, then the configuration, then a running demo of this user.

use crate::cli::Target;
use crate::demo;
use crate::failure::{Exit, Failure, fail};

/// The masters to try, in order. `section` is the part of the configuration that concerns the caller.
pub(crate) fn masters(target: &Target, section: &[&[String]]) -> Result<Vec<String>, Failure> {
    let clean = |words: Vec<String>| -> Vec<String> {
        words.iter().map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect()
    };
    let flag = clean(target.master.clone());
    if !flag.is_empty() {
        return checked(flag);
    }
    if let Ok(variable) = std::env::var("MUSKOX_MASTER") {
        let words = clean(variable.split(',').map(str::to_owned).collect());
        if !words.is_empty() {
            return checked(words);
        }
    }
    for part in section {
        let words = clean(part.to_vec());
        if !words.is_empty() {
            return checked(words);
        }
    }
    match demo::running()? {
        Some(file) => Ok(vec![file.master]),
        None => Err(fail(
            "E0103",
            "no master is known: none was named, and no demo of this user is running",
            "muskox demo   or   --master HOST:PORT",
        )
        .exit(Exit::Usage)),
    }
}

fn checked(masters: Vec<String>) -> Result<Vec<String>, Failure> {
    match masters.iter().find(|address| !is_address(address)) {
        None => Ok(masters),
        Some(bad) => {
            Err(fail("E0104", format!("`{bad}` is not an address"), "write HOST:PORT").exit(Exit::Usage))
        }
    }
}

/// Whether this is `host:port`.
pub(crate) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Refuses to listen beyond loopback unless the operator accepted that nothing is authenticated.
pub(crate) fn allow_listening(address: &str, insecure: bool) -> Result<(), Failure> {
    if !is_address(address) {
        return Err(
            fail("E0104", format!("`{address}` is not an address"), "write HOST:PORT").exit(Exit::Usage)
        );
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if loopback || insecure {
        return Ok(());
    }
    Err(fail(
        "E0105",
        format!("listening on {address} would let anybody who reaches it read and write everything"),
        "write `insecure = true` in the role's section, or --insecure, if the network itself is trusted",
    )
    .exit(Exit::Refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_beyond_loopback_needs_consent() {
        for address in ["127.0.0.1:1", "[::1]:9421", "localhost:0", "127.3.2.1:5"] {
            assert!(allow_listening(address, false).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:1", "10.0.0.1:9421", "[::]:1", "example:9421"] {
            assert!(allow_listening(address, false).is_err(), "{address}");
            assert!(allow_listening(address, true).is_ok(), "{address}");
        }
        for address in ["127.0.0.1", "127.0.0.1:", ":1", "127.0.0.1:99999"] {
            assert!(allow_listening(address, true).is_err(), "{address}");
        }
    }

    #[test]
    fn the_flag_wins_and_lists_are_split() {
        let target = Target { master: vec!["a:1".into(), " b:2 ".into(), String::new()] };
        assert_eq!(masters(&target, &[]).unwrap(), ["a:1", "b:2"]);
        let configured = vec!["c:3".to_owned()];
        let target = Target::default();
        if std::env::var_os("MUSKOX_MASTER").is_none() {
            assert_eq!(masters(&target, &[&[], &configured]).unwrap(), ["c:3"]);
        }
        assert!(masters(&Target { master: vec!["nonsense".into()] }, &[]).is_err());
    }
}
