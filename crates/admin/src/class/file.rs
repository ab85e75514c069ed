//! Classes as a TOML file: `muskox class export` writes it, `muskox class import` reads it.

use crate::units::{exact_size, parse_size, parse_span, span};
use crate::{Exit, Failure};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use types::{AgeBy, Archive, Expression, Mode, Spread, StorageClass};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    class: Vec<Class>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Class {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    create: Option<String>,
    keep: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trash_keep: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_write: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_last: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<Aged>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Aged {
    to: String,
    after: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reversible: Option<bool>,
}

/// A file with these classes.
pub fn export<'a>(classes: impl IntoIterator<Item = &'a StorageClass>) -> String {
    let file = File { class: classes.into_iter().map(written).collect() };
    toml::to_string(&file).expect("a list of tables of strings and numbers is TOML")
}

fn written(class: &StorageClass) -> Class {
    let text = |part: &Option<Expression>| part.as_ref().map(Expression::to_string);
    Class {
        name: class.name.to_string(),
        create: text(&class.create),
        keep: class.keep.to_string(),
        trash: text(&class.trash),
        trash_keep: (class.trash_keep_s > 0).then(|| span(class.trash_keep_s)),
        mode: Some(class.mode.word().to_owned()),
        spread: Some(class.spread.to_string()),
        min_write: class.min_write,
        read_last: text(&class.read_last),
        archive: class.archive.as_ref().map(|archive| Aged {
            to: archive.to.to_string(),
            after: span(archive.after_s),
            by: Some(archive.by.word().to_owned()),
            min_size: (archive.min_size > 0).then(|| exact_size(archive.min_size)),
            reversible: Some(archive.reversible),
        }),
    }
}

/// The classes of a file.
pub fn import(text: &str) -> Result<Vec<StorageClass>, Failure> {
    let bad = |what: String| {
        Failure::new("E0221", Exit::Usage, what, "muskox class export   (shows how a file looks)")
    };
    let file: File =
        toml::from_str(text).map_err(|error| bad(format!("the file has no classes: {error}")))?;
    let read = |class: Class| {
        let name = class.name.clone();
        read(class).map_err(|(key, why)| bad(format!("class {name}: {key}")).because(why))
    };
    file.class.into_iter().map(read).collect()
}

type Wrong = (&'static str, String);

fn parse<T: std::str::FromStr>(key: &'static str, text: &str) -> Result<T, Wrong>
where
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| (key, error.to_string()))
}

fn maybe<T: std::str::FromStr>(key: &'static str, text: Option<&str>) -> Result<Option<T>, Wrong>
where
    T::Err: Display,
{
    text.map(|text| parse(key, text)).transpose()
}

fn read(class: Class) -> Result<StorageClass, Wrong> {
    let archive = class.archive.map(|aged| {
        Ok::<_, Wrong>(Archive {
            to: parse("archive to", &aged.to)?,
            after_s: parse_span(&aged.after).map_err(|why| ("archive after", why))?,
            by: maybe::<AgeBy>("archive by", aged.by.as_deref())?.unwrap_or_default(),
            min_size: aged
                .min_size
                .map_or(Ok(0), |text| parse_size(&text))
                .map_err(|why| ("archive min-size", why))?,
            reversible: aged.reversible.unwrap_or(true),
        })
    });
    let keep = class.trash_keep.map_or(Ok(0), |text| parse_span(&text));
    let read = StorageClass {
        name: parse("name", &class.name)?,
        create: maybe("create", class.create.as_deref())?,
        keep: parse("keep", &class.keep)?,
        archive: archive.transpose()?,
        trash: maybe("trash", class.trash.as_deref())?,
        trash_keep_s: keep.map_err(|why| ("trash-keep", why))?,
        mode: maybe::<Mode>("mode", class.mode.as_deref())?.unwrap_or_default(),
        spread: maybe::<Spread>("spread", class.spread.as_deref())?.unwrap_or_default(),
        min_write: class.min_write,
        read_last: maybe("read-last", class.read_last.as_deref())?,
    };
    if read.in_range() { Ok(read) } else { Err(("min-write or a time", "it is out of range".to_owned())) }
}
