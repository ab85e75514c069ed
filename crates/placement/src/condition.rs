//! A condition on the labels of a disk: labels joined by `&`, `|`, `!` and parentheses, or `any`.
//!
//! # Invariants
//! 1. A condition is kept in one form: no `&` directly within a `&`, no `|` within a `|`, no `!` of a `!`. So what is
//!    printed and read again is the same value.
//! 2. It is printed with as few parentheses as its meaning needs, and without blanks.
//! 3. It is no deeper than [`crate::NESTING_MAX`] parentheses can make it, so that walking it needs little stack.
//!
//! # Elsewhere
//! Reading one: `parse`. Several, with numbers of replicas: `layout`.

use std::fmt;
use types::{ANY_WORD, Label, Labels};

/// A condition. It holds for a disk or not, by the disk's labels alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition(Node);

/// The kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Node {
    Any,
    Label(Label),
    Not(Box<Node>),
    All(Vec<Node>),
    Either(Vec<Node>),
}

impl Condition {
    /// Every disk.
    pub const ANY: Self = Self(Node::Any);

    /// Disks with this label.
    pub fn label(label: Label) -> Self {
        Self(Node::Label(label))
    }

    /// Disks for which this one does not hold.
    pub(crate) fn not(self) -> Self {
        match self.0 {
            Node::Not(inner) => Self(*inner),
            node => Self(Node::Not(Box::new(node))),
        }
    }

    /// Disks for which all of these hold.
    pub(crate) fn all(parts: Vec<Self>) -> Self {
        Self::joined(parts, Node::All, |node| match node {
            Node::All(inner) => Ok(inner),
            node => Err(node),
        })
    }

    /// Disks for which one of these holds.
    pub(crate) fn either(parts: Vec<Self>) -> Self {
        Self::joined(parts, Node::Either, |node| match node {
            Node::Either(inner) => Ok(inner),
            node => Err(node),
        })
    }

    fn joined(
        parts: Vec<Self>,
        join: fn(Vec<Node>) -> Node,
        open: fn(Node) -> Result<Vec<Node>, Node>,
    ) -> Self {
        let mut nodes = Vec::with_capacity(parts.len());
        for part in parts {
            match open(part.0) {
                Ok(inner) => nodes.extend(inner),
                Err(node) => nodes.push(node),
            }
        }
        match nodes.pop() {
            Some(only) if nodes.is_empty() => Self(only),
            Some(last) => {
                nodes.push(last);
                Self(join(nodes))
            }
            None => Self::ANY,
        }
    }

    /// Whether a disk with these labels will do.
    pub fn holds(&self, labels: &Labels) -> bool {
        self.0.holds(labels)
    }
}

impl Node {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Self::Any => true,
            Self::Label(label) => labels.has(label.as_str()),
            Self::Not(inner) => !inner.holds(labels),
            Self::All(parts) => parts.iter().all(|part| part.holds(labels)),
            Self::Either(parts) => parts.iter().any(|part| part.holds(labels)),
        }
    }

    /// How tightly its parts belong together: what binds less than its surroundings needs parentheses.
    fn binding(&self) -> u8 {
        match self {
            Self::Either(_) => 0,
            Self::All(_) => 1,
            Self::Not(_) => 2,
            Self::Any | Self::Label(_) => 3,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |f: &mut fmt::Formatter<'_>, part: &Self| {
            if part.binding() <= self.binding() {
                f.write_str("(")?;
                part.write(f)?;
                f.write_str(")")
            } else {
                part.write(f)
            }
        };
        match self {
            Self::Any => f.write_str(ANY_WORD),
            Self::Label(label) => fmt::Display::fmt(label, f),
            Self::Not(inner) => {
                f.write_str("!")?;
                within(f, inner)
            }
            Self::All(parts) | Self::Either(parts) => {
                let sign = if matches!(self, Self::All(_)) { "&" } else { "|" };
                for (number, part) in parts.iter().enumerate() {
                    f.write_str(if number == 0 { "" } else { sign })?;
                    within(f, part)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f)
    }
}
