//! What classes ask for, judged by a few lines of its own: the checks do not believe the placement that they check.

use fleet::ClassPolicies;
use placement::{Layout, Policy};
use types::{Label, Spread, Stage};

/// Which disks a wanted replica accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Any,
    Ssd,
    Hdd,
}

/// A layout, and whether replicas go to different sites or only to different servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    text: &'static str,
    asks: Vec<Ask>,
    pub(crate) by_site: bool,
}

/// Where a replica is: its failure domain, and whether its disk is an `ssd`.
pub(crate) type Place = (u16, bool);

impl Wish {
    pub(crate) fn new(text: &'static str, by_site: bool) -> Self {
        let mut asks = Vec::new();
        for item in text.split(',') {
            let (count, word) = item.split_once('*').unwrap_or(("1", item));
            let ask = match word {
                "any" => Ask::Any,
                "ssd" => Ask::Ssd,
                "hdd" => Ask::Hdd,
                _ => panic!("no such label: {word}"),
            };
            asks.extend(std::iter::repeat_n(ask, count.parse().unwrap()));
        }
        Self { text, asks, by_site }
    }

    pub(crate) fn goal(&self) -> usize {
        self.asks.len()
    }

    /// Whether the wanted replica of this number accepts an `ssd`, or what is none.
    pub(crate) fn accepts(&self, number: usize, is_ssd: bool) -> bool {
        match self.asks[number] {
            Ask::Any => true,
            Ask::Ssd => is_ssd,
            Ask::Hdd => !is_ssd,
        }
    }

    /// Wanted replicas that these can be at the same time, each in a domain of its own.
    pub(crate) fn met(&self, places: &[Place]) -> usize {
        self.met_from(0, places, 0)
    }

    fn met_from(&self, number: usize, places: &[Place], taken: u32) -> usize {
        if number == self.asks.len() {
            return 0;
        }
        let mut best = 0;
        let is_taken =
            |domain: u16| (0..places.len()).any(|at| taken >> at & 1 == 1 && places[at].0 == domain);
        for (at, (domain, is_ssd)) in places.iter().enumerate() {
            if self.accepts(number, *is_ssd) && !is_taken(*domain) {
                best = best.max(1 + self.met_from(number + 1, places, taken | 1 << at));
                if best == self.asks.len() - number {
                    return best;
                }
            }
        }
        best.max(self.met_from(number + 1, places, taken))
    }

    /// Different domains among these, as many as count.
    pub(crate) fn apart(&self, places: &[Place]) -> usize {
        let first = |at: usize| places[..at].iter().all(|(domain, _)| *domain != places[at].0);
        (0..places.len()).filter(|at| first(*at)).count().min(self.goal())
    }

    pub(crate) fn policy(&self) -> Policy {
        let layout = Layout::parse(self.text).unwrap();
        let site = || Spread::Label(Label::new("site").unwrap());
        let spread = if self.by_site { site() } else { Spread::Host };
        Policy { spread, ..Policy::new(layout) }
    }
}

/// A storage class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) keep: Wish,
    pub(crate) archive: Option<Wish>,
    pub(crate) trash: Option<Wish>,
}

impl Class {
    pub(crate) fn new(keep: &'static str, by_site: bool) -> Self {
        Self { keep: Wish::new(keep, by_site), archive: None, trash: None }
    }

    /// What is asked of chunks in a stage.
    pub(crate) fn wish(&self, stage: Stage) -> &Wish {
        let archive = self.archive.as_ref().filter(|_| stage.archived);
        let trash = self.trash.as_ref().filter(|_| stage.trashed);
        trash.or(archive).unwrap_or(&self.keep)
    }

    pub(crate) fn policies(&self) -> ClassPolicies {
        ClassPolicies {
            archive: self.archive.as_ref().map(Wish::policy),
            trash: self.trash.as_ref().map(Wish::policy),
            ..ClassPolicies::same(self.keep.policy())
        }
    }
}

/// Classes that a day begins with, and how many of a thousand chunks each has. The small ones at the end are edited.
pub(crate) const FIRST: [(&str, bool, u64); 12] = [
    ("2*any", false, 500),
    ("2*ssd", false, 150),
    ("2*hdd", false, 150),
    ("ssd,hdd", false, 80),
    ("2*any", true, 60),
    ("3*any", false, 30),
    ("2*any", false, 5),
    ("3*any", false, 5),
    ("2*ssd", false, 5),
    ("2*hdd", true, 5),
    ("ssd,2*hdd", false, 5),
    ("2*any", true, 5),
];

/// The first class that is edited.
pub(crate) const EDITED_FROM: u16 = 6;

/// What an edit makes of a class.
pub(crate) const LAYOUTS: [&str; 7] =
    ["2*any", "3*any", "2*ssd", "2*hdd", "ssd,hdd", "ssd,2*hdd", "2*ssd,hdd"];

#[test]
fn a_wish_is_met_by_as_many_replicas_as_fit_together() {
    let wish = Wish::new("ssd,2*hdd", false);
    assert_eq!(wish.met(&[(1, true), (2, false), (3, false)]), 3);
    assert_eq!(wish.met(&[(1, true), (2, true), (3, false)]), 2, "two of one label");
    assert_eq!(wish.met(&[(1, true), (1, false), (3, false)]), 2, "two in one domain");
    assert_eq!(wish.met(&[(1, false), (1, true), (2, false), (3, false)]), 3, "the other one of the domain");
    assert_eq!((wish.met(&[]), wish.apart(&[(1, true), (1, true), (2, true)])), (0, 2));
}
