//! The classes of a fresh cluster: ordinary classes, which may be edited, and deleted but for `default`.

use types::{ClassId, ClassName, Expression, Op, StorageClass};

/// Records that make them. `default` asks for `goal` replicas, since that is what every chunk gets for which nothing
/// else was said.
pub(crate) fn classes(goal: usize) -> impl Iterator<Item = Op> {
    let classes = [("default", goal.max(1)), ("single", 1), ("triple", 3)];
    (ClassId::DEFAULT.0..).zip(classes).map(|(id, (name, replicas))| {
        let keep = if replicas == 1 { "any".to_owned() } else { format!("{replicas}*any") };
        let name = ClassName::new(name).expect("a word of this file");
        let keep = Expression::new(&keep).expect("a number and a word");
        Op::SetClass { class: ClassId(id), definition: Box::new(StorageClass::new(name, keep)) }
    })
}
