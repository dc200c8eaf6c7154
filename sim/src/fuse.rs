//! Where a process dies: a point of its work, and how often it passes that before it does.
//!
//! Promises: every kind of point gets its turn. Never: a crash that nobody lit.

use crate::plan::Dice;
use crate::store::StoreError;

/// A point that the work of a process passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// An input is there, nothing is done with it.
    Input,
    /// It is worked off, nothing of it is written.
    Worked,
    /// Its facts are written, not synced.
    Written,
    /// They are synced, nothing has left.
    Synced,
    /// Something has left, something else of the same input has not.
    Sent,
    /// A start has brought a bot back, others not yet.
    Recovering,
    /// A start has written its epoch.
    Epoch,
    /// A bot asks its venue about everything.
    Reconciling,
    /// The kill latch is durable, nobody has been told.
    Killed,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Input,
        Self::Worked,
        Self::Written,
        Self::Synced,
        Self::Sent,
        Self::Recovering,
        Self::Epoch,
        Self::Reconciling,
        Self::Killed,
    ];

    /// Its name in a histogram.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Input => "crash: at an input",
            Self::Worked => "crash: before the append",
            Self::Written => "crash: before the sync",
            Self::Synced => "crash: before the send",
            Self::Sent => "crash: between two sends",
            Self::Recovering => "crash: while recovering",
            Self::Epoch => "crash: before the epoch is durable",
            Self::Reconciling => "crash: while reconciling",
            Self::Killed => "crash: kill durable, untold",
        }
    }
}

/// Why a process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Died {
    /// It was killed at this point.
    #[error("killed at {0:?}")]
    At(Point),
    /// Its disk failed: it must not go on.
    #[error("{0}")]
    Disk(#[from] StoreError),
    /// It could not be brought back: a violation tells why.
    #[error("what was stored cannot be brought back")]
    Lost,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fuse {
    lit: Option<(Point, u64)>,
}

impl Fuse {
    /// Draws a point and how often it is passed first.
    pub fn light(&mut self, dice: &mut Dice) {
        let often = if dice.is(700) { 0 } else { dice.0.below(8) };
        self.lit = Some((dice.pick(&Point::ALL), often));
    }

    /// The same with the point given.
    pub const fn light_at(&mut self, point: Point) {
        self.lit = Some((point, 0));
    }

    /// Nobody dies of it any more.
    pub const fn put_out(&mut self) {
        self.lit = None;
    }

    /// True while a crash is to come.
    #[must_use]
    pub const fn is_lit(&self) -> bool {
        self.lit.is_some()
    }

    /// The work passes a point.
    ///
    /// # Errors
    /// [`Died::At`] when this is where it ends.
    pub fn pass(&mut self, point: Point) -> Result<(), Died> {
        match &mut self.lit {
            Some((at, left)) if *at == point && *left > 0 => *left -= 1,
            Some((at, _)) if *at == point => {
                self.lit = None;
                return Err(Died::At(point));
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_burns_at_its_point_and_once() {
        let mut fuse = Fuse::default();
        assert_eq!(fuse.pass(Point::Input), Ok(()));
        fuse.light_at(Point::Sent);
        assert_eq!((fuse.pass(Point::Input), fuse.is_lit()), (Ok(()), true));
        assert_eq!((fuse.pass(Point::Sent), fuse.is_lit()), (Err(Died::At(Point::Sent)), false));
        assert_eq!(fuse.pass(Point::Sent), Ok(()));
    }
}
