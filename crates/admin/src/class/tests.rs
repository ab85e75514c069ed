//! Tables, files and JSON of classes.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use super::*;
use rpc::admin::Unmet;
use types::{AgeBy, Archive, ClassId, ClassName, Mode, Spread};

fn expression(text: &str) -> Expression {
    Expression::new(text).unwrap()
}

fn plain() -> StorageClass {
    StorageClass::new(ClassName::default_class(), expression("2*any"))
}

fn photos() -> StorageClass {
    StorageClass {
        name: ClassName::new("photos").unwrap(),
        create: Some(expression("ssd")),
        keep: expression("2*ssd,~backup"),
        archive: Some(Archive {
            to: expression("hdd,cloud"),
            after_s: 30 * 86_400,
            by: AgeBy::Accessed,
            min_size: 1 << 20,
            reversible: true,
        }),
        trash: Some(expression("hdd")),
        trash_keep_s: 14 * 86_400,
        mode: Mode::Strict,
        spread: Spread::Label(types::Label::new("site").unwrap()),
        min_write: Some(2),
        read_last: Some(expression("backup")),
    }
}

fn status(id: u16, class: StorageClass, unmet: Vec<Unmet>) -> ClassStatus {
    ClassStatus { id: ClassId(id), class, inodes: 18_204, bytes: 41 << 30, unmet }
}

fn lacking() -> Unmet {
    let (part, condition) = ("keep".into(), "ssd".into());
    Unmet { part, condition, wanted: 2, lacking: 1, disks: 1, domains: 1 }
}

#[test]
fn the_list_says_what_each_class_asks_for_and_lacks() {
    let text = list(&[status(0, plain(), Vec::new()), status(11, photos(), vec![lacking()])]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("NAME     KEEP           CREATE"), "{text}");
    assert!(lines[1].contains("2*any") && lines[1].ends_with("ok"), "{text}");
    assert!(lines[2].contains("site") && lines[2].ends_with("lacks 1 replica on ssd"), "{text}");
    assert_eq!(lines[3], "next  muskox class show photos   (what it lacks)");
    assert!(list(&[status(0, plain(), Vec::new())]).ends_with("inherits the class)\n"));
}

#[test]
fn one_class_is_shown_with_what_it_lacks_and_what_helps() {
    let text = show(&status(11, photos(), vec![lacking()]));
    for part in [
        "class photos (id 11)   18,204 inodes, 41.0 GiB",
        "new chunks    ssd   ok",
        "keep          2*ssd,~backup   cannot be met",
        "over values of site",
        "hdd,cloud after 30d by atime (mounts tell no reads: as ctime), from 1MiB on, and back by a write   ok\n",
        "lagging (~)   kept, and not acted upon",
        "read-last     backup   (read only when nothing else is left)\n",
        "trash         hdd for 14d   ok\n",
        "lacks         keep: 1 of 2 replicas on ssd",
        "next  muskox disk label SERVER:PATH ssd",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = show(&status(0, plain(), Vec::new()));
    assert!(text.ends_with("next  muskox class set default PATH   (-r: with all that is below)\n"), "{text}");
    assert!(!text.contains("archive") && !text.contains("not acted upon"));
}

#[test]
fn a_file_of_classes_comes_back_equal() {
    let classes = [plain(), photos()];
    let file = export(&classes);
    assert_eq!(import(&file).unwrap(), classes, "{file}");
    assert!(file.contains("[[class]]\nname = \"default\"\nkeep = \"2*any\"\n"), "{file}");
    assert_eq!(import("[[class]]\nname = \"a\"\nkeep = \"2*any\"\n").unwrap()[0].mode, Mode::Standard);
}

#[test]
fn a_file_that_cannot_be_used_says_where_and_why() {
    for (file, says) in [
        ("[[class]]\nname = \"a\"\n", "keep"),
        ("[[class]]\nname = \"a b\"\nkeep = \"any\"\n", "character 2 is ' '"),
        ("[[class]]\nname = \"a\"\nkeep = \"any\"\nkepp = \"x\"\n", "kepp"),
        ("[[class]]\nname = \"a\"\nkeep = \"any\"\ntrash-keep = \"x\"\n", "class a: trash-keep"),
        ("[[class]]\nname = \"a\"\nkeep = \"any\"\nmin-write = 12\n", "out of range"),
        (
            "[[class]]\nname = \"a\"\nkeep = \"any\"\n[class.archive]\nto = \"hdd\"\nafter = \"1x\"\n",
            "archive after",
        ),
    ] {
        let failure = import(file).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("E0221", Exit::Usage));
        assert!(failure.to_string().contains(says), "{says}\n{failure}");
    }
}

#[test]
fn json_has_a_version_and_numbers_in_seconds_and_bytes() {
    let text = json(&[status(11, photos(), vec![lacking()])]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["apiVersion"], &value["kind"]), (&crate::API_VERSION.into(), &"Classes".into()));
    let class = &value["classes"][0];
    assert_eq!((&class["name"], &class["id"], &class["met"]), (&"photos".into(), &11.into(), &false.into()));
    assert_eq!(class["archive"]["afterSeconds"], 2_592_000);
    assert_eq!((&class["unmet"][0]["lacking"], &class["spread"]), (&1.into(), &"site".into()));
    let one: serde_json::Value = serde_json::from_str(&json_one(&status(0, plain(), Vec::new()))).unwrap();
    assert_eq!((&one["kind"], &one["class"]["create"]), (&"Class".into(), &serde_json::Value::Null));
}

use crate::Exit;
