//! Mutes of health codes, as operators set them. Whether one still counts is the master's to judge.

use crate::digest::{LongItem, Sum, Tag};
use std::collections::BTreeMap;
use types::{HealthCode, Mute};

/// All mutes there are.
#[derive(Debug, Default)]
pub(crate) struct Mutes {
    mutes: BTreeMap<HealthCode, Mute>,
    sum: Sum,
}

fn hash(code: HealthCode, mute: &Mute) -> u128 {
    let Mute { since, until, amount, sticky, reason } = mute;
    LongItem::new(Tag::Mute)
        .text(code.word().as_bytes())
        .u64(since.to_bits())
        .u64(until.is_some().into())
        .u64(until.map_or(0, |until| until.to_bits()))
        .u64(*amount)
        .u64((*sticky).into())
        .text(reason.as_bytes())
        .hash()
}

impl Mutes {
    pub(crate) fn get(&self, code: HealthCode) -> Option<&Mute> {
        self.mutes.get(&code)
    }
    /// Sets it, or takes it away.
    pub(crate) fn set(&mut self, code: HealthCode, mute: Option<Mute>) {
        if let Some(mute) = &mute {
            self.sum.add(hash(code, mute));
        }
        let old = match mute {
            Some(mute) => self.mutes.insert(code, mute),
            None => self.mutes.remove(&code),
        };
        if let Some(old) = old {
            self.sum.take(hash(code, &old));
        }
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (HealthCode, &Mute)> {
        self.mutes.iter().map(|(code, mute)| (*code, mute))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(code, mute)| sum.add(hash(code, mute)));
        sum
    }
}
