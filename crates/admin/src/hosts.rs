//! `muskox server ls`, `muskox disk ls` and `muskox client ls`, and what is told of labels that were set.

use crate::status::{disk_table, disk_values};
use crate::units::{age, count, printable};
use crate::{API_VERSION, table};
use rpc::admin::{ClusterStatus, ServerState};
use serde::Serialize;
use types::{ClassName, Labels};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<T: Serialize> {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<T>,
}

fn document<T: Serialize>(kind: &'static str, items: Vec<T>) -> String {
    crate::json_text(&Document { api_version: API_VERSION, kind, items })
}

fn text(mut lines: Vec<String>, next: &str) -> String {
    lines.push(format!("next  {next}\n"));
    lines.join("\n")
}

/// `muskox disk ls`.
pub fn disks(status: &ClusterStatus) -> String {
    text(disk_table(status), "muskox disk label SERVER:DISK LABEL   (live; classes see it at once)")
}

/// `muskox disk ls --json`.
pub fn disks_json(status: &ClusterStatus) -> String {
    document("Disks", disk_values(status))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server<'a> {
    id: String,
    name: &'a str,
    address: &'a str,
    state: &'static str,
    labels: &'a [String],
    disks: u64,
    heard_ms_ago: u64,
    version: &'a str,
    removing: bool,
    maintenance: bool,
    maintenance_left_ms: Option<u64>,
}

fn server_values(status: &ClusterStatus) -> Vec<Server<'_>> {
    let disks = |id| status.disks.iter().filter(|disk| disk.server == id).count() as u64;
    let values = status.servers.iter().map(|server| Server {
        id: server.server.to_string(),
        name: &server.name,
        address: &server.address,
        state: if server.state == ServerState::Up { "up" } else { "down" },
        labels: &server.labels,
        disks: disks(server.server),
        heard_ms_ago: server.heard_ms_ago,
        version: &server.version,
        removing: server.removing,
        maintenance: server.maintenance.is_some(),
        maintenance_left_ms: server.maintenance.and_then(|one| one.left_ms),
    });
    let mut values: Vec<Server<'_>> = values.collect();
    values.sort_by(|one, other| (one.name, &one.id).cmp(&(other.name, &other.id)));
    values
}

fn server_state(server: &Server<'_>) -> String {
    let left = server.maintenance_left_ms.map(|ms| format!(" for {}", age(ms.max(1_000))));
    match (server.maintenance, server.removing) {
        (true, _) => format!("{}, maintenance{}", server.state, left.unwrap_or_default()),
        (false, true) => format!("{}, leaving", server.state),
        (false, false) => server.state.to_owned(),
    }
}

/// `muskox server ls`.
pub fn servers(status: &ClusterStatus) -> String {
    let row = |server: &Server<'_>| {
        vec![
            if server.name.is_empty() { server.id.clone() } else { printable(server.name.as_bytes()) },
            printable(server.address.as_bytes()),
            printable(server.labels.join(",").as_bytes()),
            server_state(server),
            count(server.disks),
            format!("{} ago", age(server.heard_ms_ago)),
            printable(server.version.as_bytes()),
        ]
    };
    let rows: Vec<Vec<String>> = server_values(status).iter().map(row).collect();
    let head = ["SERVER", "ADDRESS", "LABELS", "STATE", "DISKS", "HEARD", "VERSION"];
    text(table::lines(&head, &rows), "muskox server label SERVER LABEL   (its disks inherit it)")
}

/// `muskox server ls --json`.
pub fn servers_json(status: &ClusterStatus) -> String {
    document("Servers", server_values(status))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Client<'a> {
    name: &'a str,
    session: String,
    address: &'a str,
    connected: bool,
    since_ms_ago: u64,
}

fn client_values(status: &ClusterStatus) -> Vec<Client<'_>> {
    let values = status.clients.iter().map(|client| Client {
        name: &client.name,
        session: format!("{:016x}", client.session.0),
        address: &client.address,
        connected: client.connected,
        since_ms_ago: client.since_ms_ago,
    });
    values.collect()
}

/// `muskox client ls`.
pub fn clients(status: &ClusterStatus) -> String {
    let row = |client: &Client<'_>| {
        vec![
            printable(client.name.as_bytes()),
            if client.connected { printable(client.address.as_bytes()) } else { "not connected now".into() },
            client.session.clone(),
            age(client.since_ms_ago),
        ]
    };
    let rows: Vec<Vec<String>> = client_values(status).iter().map(row).collect();
    text(table::lines(&["CLIENT", "ADDRESS", "SESSION", "SINCE"], &rows), "muskox status")
}

/// `muskox client ls --json`.
pub fn clients_json(status: &ClusterStatus) -> String {
    document("Clients", client_values(status))
}

/// What became of labels.
pub fn labelled(holder: &str, before: &Labels, after: &Labels, unmet: &[ClassName]) -> String {
    let shown = |labels: &Labels| if labels.is_empty() { "(none)".to_owned() } else { labels.to_string() };
    let change =
        if before == after { shown(after) } else { format!("{} → {}", shown(before), shown(after)) };
    let line = format!("{}   labels: {change}   effective now", printable(holder.as_bytes()));
    let mut lines = vec![line];
    lines.extend(unmet.iter().map(|class| format!("class {class} cannot be met now: nothing of it goes")));
    let next = unmet
        .first()
        .map_or_else(|| "muskox class ls".to_owned(), |class| format!("muskox class show {class}"));
    text(lines, &next)
}

/// The same for programs.
pub fn labelled_json(holder: &str, before: &Labels, after: &Labels, unmet: &[ClassName]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Labelled<'a> {
        api_version: &'static str,
        kind: &'static str,
        holder: &'a str,
        before: Vec<String>,
        after: Vec<String>,
        unmet_classes: Vec<String>,
    }
    let words = |labels: &Labels| labels.iter().map(ToString::to_string).collect();
    crate::json_text(&Labelled {
        api_version: API_VERSION,
        kind: "Labels",
        holder,
        before: words(before),
        after: words(after),
        unmet_classes: unmet.iter().map(ToString::to_string).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc::admin::{ClientStatus, ServerStatus};
    use types::{Label, ServerId, SessionId};

    fn cluster() -> ClusterStatus {
        let server = |n: u8, state| ServerStatus {
            server: ServerId([n; 16]),
            name: format!("cs{n}"),
            address: format!("10.0.0.{n}:9422"),
            state,
            heard_ms_ago: 1_500,
            labels: vec!["site=home".into()],
            version: "0.1.0".into(),
            ..ServerStatus::default()
        };
        let client = |name: &str, connected| ClientStatus {
            name: name.into(),
            session: SessionId(7),
            address: "10.0.0.9:5000".into(),
            since_ms_ago: 61_000,
            connected,
        };
        ClusterStatus {
            servers: vec![server(2, ServerState::Down), server(1, ServerState::Up)],
            clients: vec![client("ann\n", true), client("bob", false)],
            ..Default::default()
        }
    }

    #[test]
    fn servers_and_clients_are_listed() {
        let text = servers(&cluster());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("cs1     10.0.0.1:9422  site=home  up     0      1 s ago"), "{text}");
        assert!(lines[2].starts_with("cs2") && lines[2].contains("down"), "{text}");
        let text = clients(&cluster());
        assert!(text.contains("ann\\n   10.0.0.9:5000      0000000000000007  61 s"), "{text}");
        assert!(text.contains("bob     not connected now"), "{text}");
        for json in [servers_json(&cluster()), clients_json(&cluster()), disks_json(&cluster())] {
            let value: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
            assert_eq!(value["apiVersion"], API_VERSION);
            assert!(value["items"].is_array());
        }
    }

    #[test]
    fn a_change_of_labels_is_told_with_the_classes_that_suffer() {
        let labels = |words: &[&str]| {
            Labels::new(words.iter().map(|word| Label::new(word).expect("a label")))
                .expect("they go together")
        };
        let (none, some) = (labels(&[]), labels(&["ssd", "fast"]));
        let text = labelled("falcon:/mnt/ssd1", &none, &some, &[]);
        assert!(text.starts_with("falcon:/mnt/ssd1   labels: (none) → fast ssd   effective now\n"), "{text}");
        let text = labelled("falcon:/mnt/ssd1", &some, &none, &[ClassName::default_class()]);
        assert!(text.ends_with(
            "class default cannot be met now: nothing of it goes\nnext  muskox class show default\n"
        ));
        let json = labelled_json("falcon:/mnt/ssd1", &some, &none, &[ClassName::default_class()]);
        let value: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
        assert_eq!((&value["before"][0], &value["unmetClasses"][0]), (&"fast".into(), &"default".into()));
    }
}
