//! Damage to the files of a state directory: bits, pages, ends and whole files, one file or several at once.
//!
//! Promises: every choice comes out of the seed. At least one of several files is left in some form, so that what was
//! damaged never looks like a directory that was not used yet.

use std::fs;
use std::path::Path;

use super::chance::Chance;

const DATA: &str = "store/db";
const MARKS: &str = "marks";
const EPOCH: &str = "epoch";
/// Files of a state directory; the database the more often, as it is nearly all of it.
const FILES: [&str; 8] = [DATA, DATA, DATA, DATA, DATA, "store/conf", MARKS, EPOCH];
/// Files that may go missing at once.
const REMOVED_MAX: usize = 2;

/// What was done to a state directory.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    /// Which files, and how.
    pub done: Vec<String>,
    files: Vec<&'static str>,
    removed: usize,
}

impl Damage {
    /// Damages one file, or in a third of the cases two or three, then most often the marks among them.
    pub fn new(state: &Path, chance: &mut Chance) -> Self {
        let mut damage = Self::default();
        let wanted = if chance.below(3) == 0 { 2 + chance.below(2) } else { 1 };
        if wanted > 1 && chance.below(3) > 0 {
            damage.strike(state, MARKS, chance);
        }
        while damage.files.len() < wanted as usize {
            let there: Vec<&str> = FILES.into_iter().filter(|name| state.join(name).exists()).collect();
            let name = *chance.pick(&there);
            if !damage.files.contains(&name) {
                damage.strike(state, name, chance);
            }
        }
        damage
    }

    /// True when more than one file is damaged.
    pub fn is_several(&self) -> bool {
        self.files.len() > 1
    }

    /// True when what tells how far the data reached is damaged along with the data: what was lost since the newest
    /// backup cannot be told then.
    pub fn is_blinding(&self) -> bool {
        self.files.contains(&MARKS) && self.files.contains(&DATA)
    }

    /// True when that there ever was anything may be forgotten as well: what is left may look like a first start that
    /// ended at once. Only a backup tells then.
    pub fn is_blank(&self) -> bool {
        self.is_blinding() && self.files.contains(&EPOCH)
    }

    fn strike(&mut self, state: &Path, name: &'static str, chance: &mut Chance) {
        let path = state.join(name);
        let size = fs::metadata(&path).unwrap().len();
        let kinds = if self.removed < REMOVED_MAX { 5 } else { 4 };
        let what = match chance.below(kinds) {
            4 => {
                fs::remove_file(&path).unwrap();
                self.removed += 1;
                "removed".to_owned()
            }
            kind => spoil(&path, kind, chance),
        };
        self.files.push(name);
        self.done.push(format!("{name} ({size} bytes): {what}"));
    }
}

/// Damages the content; says how.
fn spoil(path: &Path, kind: u64, chance: &mut Chance) -> String {
    let mut bytes = fs::read(path).unwrap();
    let size = bytes.len() as u64;
    let at = chance.below(size.max(1));
    let end = |length: u64| (at + length).min(size) as usize;
    let what = match kind {
        0 => {
            let flips = 1 + chance.below(8);
            for _ in 0..flips {
                bytes[chance.below(size) as usize] ^= 1 << chance.below(8);
            }
            format!("{flips} bits flipped")
        }
        1 => {
            bytes[at as usize..end(4096)].fill_with(|| chance.bits() as u8);
            format!("a page of garbage at {at}")
        }
        2 => {
            bytes[at as usize..end(1024)].fill(0);
            format!("zeroes at {at}")
        }
        _ => {
            bytes.truncate(at as usize);
            format!("cut to {at}")
        }
    };
    fs::write(path, bytes).unwrap();
    what
}
