//! What people and programs read of deleted files.

use super::*;
use types::{Attributes, FileKind, Generation, InodeId, InodeRef, Owner, TruncateGeneration};

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::new(NOW, 0)
}

/// Deleted so many seconds ago, kept for an hour.
pub(super) fn entry(id: u64, path: &str, ago_s: i64) -> TrashEntry {
    let deleted = Timestamp::new(NOW - ago_s, 0);
    let attributes = Attributes {
        inode: InodeRef { id: InodeId(id), generation: Generation(1) },
        kind: FileKind::File,
        mode: 0o644,
        links: 0,
        owner: Owner { uid: 1_000, gid: 100 },
        device: 0,
        length: 3 << 30,
        chunks: 48,
        accessed: deleted,
        modified: deleted,
        changed: deleted,
        created: deleted,
        change_counter: 1,
        truncate_generation: TruncateGeneration(0),
    };
    TrashEntry {
        attributes,
        class: "photos".into(),
        path: path.as_bytes().to_vec(),
        deleted,
        until: deleted.after(3_600),
    }
}

#[test]
fn files_are_meant_by_pattern_and_by_age() {
    let file = entry(5, "/photos/a.jpg", 60);
    let meant = |patterns: &[&str], older_s, newer_s| {
        let patterns = patterns.iter().map(|text| text.parse().unwrap()).collect();
        Wanted { patterns, older_s, newer_s }.matches(&file, now())
    };
    assert!(meant(&[], None, None) && meant(&["music", "photos"], None, None));
    assert!(!meant(&["music"], None, None));
    assert!(meant(&[], Some(60), Some(60)) && !meant(&[], Some(61), None) && !meant(&[], None, Some(59)));
    assert!(!meant(&["music"], Some(1), None));
}

#[test]
fn the_list_says_what_was_where_and_for_how_long_it_is_kept() {
    let text = list(&[entry(5, "/photos/a.jpg", 120), entry(6, "x/cut", 60)], now());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["ID", "DELETED", "OWNER", "SIZE", "KEPT", "FOR", "WAS"]
    );
    assert!(
        lines[1].starts_with('5') && lines[1].contains("2 min ago") && lines[1].contains("58 min"),
        "{text}"
    );
    assert!(lines[1].ends_with("/photos/a.jpg") && lines[2].ends_with("…/x/cut"), "{text}");
    assert!(
        lines[3].contains("2 files, 6.0 GiB") && lines[4].starts_with("next  muskox trash restore"),
        "{text}"
    );
    assert!(list(&[], now()).contains("next  muskox class ls"));
    let json: serde_json::Value =
        serde_json::from_str(&json(&[entry(5, "/photos/a.jpg", 120)], now())).unwrap();
    assert_eq!(json["apiVersion"], API_VERSION);
    let file = &json["files"][0];
    assert_eq!(
        (&file["id"], &file["deletedMsAgo"], &file["keptMs"]),
        (&5.into(), &120_000.into(), &3_480_000.into())
    );
    assert_eq!(
        (&file["path"], &file["class"], &file["wholePath"]),
        (&"/photos/a.jpg".into(), &"photos".into(), &true.into())
    );
}

#[test]
fn of_several_files_of_one_name_the_last_one_is_restored() {
    let files = [entry(7, "/a", 10), entry(5, "/a", 60), entry(6, "/b", 60)];
    let paths = |plan: &Plan| -> Vec<(u64, String)> {
        let all = plan.batches.iter().flatten();
        all.map(|wish| (wish.inode.id.0, String::from_utf8(wish.path.clone()).unwrap())).collect()
    };
    let plain = plan(&files, None);
    assert_eq!((paths(&plain), plain.older), (vec![(7, "/a".into()), (6, "/b".into())], 1));
    let below = plan(&[entry(7, "/a/b", 1), entry(8, "x/cut", 1)], Some("/back"));
    assert_eq!(paths(&below), [(7, "/back//a/b".into()), (8, "/back/x/cut".into())]);
}

#[test]
fn questions_are_small_however_many_files_there_are() {
    let mut files: Vec<TrashEntry> = (0..1_000).map(|n| entry(n, &format!("/f{n}"), 1)).collect();
    let plan_of =
        |files: &[TrashEntry]| -> Vec<usize> { plan(files, None).batches.iter().map(Vec::len).collect() };
    assert!(plan_of(&files).iter().all(|batch| *batch * 48 <= 4_096 + 48), "by chunks");
    files.iter_mut().for_each(|file| file.attributes.chunks = 1);
    assert_eq!(plan_of(&files), [256, 256, 256, 232]);
    files.iter_mut().for_each(|file| file.path = [file.path.clone(), vec![b'x'; 4_000]].concat());
    assert!(plan_of(&files).iter().all(|batch| *batch <= 11), "by bytes");
    assert_eq!(plan_of(&files).iter().sum::<usize>(), 1_000);
    assert_eq!(plan_of(&[]), [0usize; 0]);
}

#[test]
fn what_did_not_come_back_is_named_with_its_reason() {
    let mut restored = Restored { files: 2, ..Restored::default() };
    assert_eq!(restored.told(), "restored 2 files, with owner, times and class\nnext  muskox trash ls\n");
    restored.older = 1;
    restored.refused = vec![(b"/a".to_vec(), Status::Exists); 12];
    let text = restored.told();
    assert!(
        text.contains("1 file deleted earlier") && text.contains("not restored  /a: something has that name"),
        "{text}"
    );
    assert!(text.contains("… 2 more") && text.contains("--overwrite"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&restored.json()).unwrap();
    assert_eq!((&json["restored"], json["refused"].as_array().map(Vec::len)), (&2.into(), Some(12)));
    for status in Status::ALL {
        assert!(!why(*status).is_empty());
    }
}
