//! Filling the changelog of a master whose disk is full: its segments have room for more changes than a whole run makes.

use super::{Answer, Driver, Violation, nothing};
use crate::cluster::Program;
use types::{Status, XattrMode};

const NAME: &[u8] = b"user.flood";
/// Sizes of changes: each until it is refused.
const SIZES: [usize; 4] = [60_000, 6_000, 600, 1];
/// Most changes of one size: more than all segments hold.
const CHANGES_MAX: usize = 600;

impl Driver<'_> {
    /// Fills the changelog to the last small change, then truncates or punches.
    pub(super) async fn flood(&mut self, program: &Program) -> Result<(), Violation> {
        let root = self.roots[self.tree];
        for bytes in SIZES {
            let value = vec![0; bytes];
            for _ in 0..CHANGES_MAX {
                if !self.stage.master_is_full.get() {
                    return Ok(());
                }
                let call = program.client.set_xattr(root, NAME, &value, XattrMode::Set);
                let what = format_args!("a change of {bytes} bytes");
                match self.ask_in_doubt(program, what, nothing, call).await? {
                    Answer::Done(()) => {}
                    Answer::Unknown(Status::NoSpace) => break,
                    _ => return Ok(()),
                }
            }
        }
        if self.chance.percent(50) { self.truncate(program).await } else { self.punch(program).await }
    }
}
