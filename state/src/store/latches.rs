//! Latches: small named values that survive restarts and are changed by an operator or a rule, such as a halt.
//!
//! Owns their rows. Promises that a change is durable when it returns, and that the high-water marks know the table
//! before and after it. Never clears one by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{Store, locked};
use crate::chunks::CHUNK_BYTES;
use crate::disk::Room;
use crate::journal::StoreError;
use crate::marks::{LatchMark, LatchSum, Marks};
use crate::record::{self, SCHEMA_INLINE};
use crate::verify::Problems;

/// Longest name of a latch, in bytes.
pub const LATCH_NAME_BYTES_MAX: usize = 200;

/// No name is higher: a text in UTF-8 has no such byte.
const LAST_KEY: [u8; 1] = [u8::MAX];

/// Latches as far as they can be read.
#[derive(Debug, Default)]
pub(crate) struct Readable {
    /// Those whose names and seals hold.
    pub(crate) latches: BTreeMap<String, Vec<u8>>,
    /// Names of those whose seals do not hold.
    pub(crate) damaged: BTreeSet<String>,
    /// Over all rows; `None` when not all could be read.
    pub(crate) sum: Option<LatchSum>,
    /// What the marks of an open store said at that moment.
    pub(crate) mark: Option<LatchMark>,
}

impl Store {
    /// Sets a latch (name 1 to 200 bytes, value up to one chunk); durable when it returns.
    pub fn put_latch(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        check_length(name, "name", name.len(), 1, LATCH_NAME_BYTES_MAX)?;
        check_length(name, "value", value.len(), 0, CHUNK_BYTES)?;
        self.change(name.as_bytes(), Some(record::seal(SCHEMA_INLINE, name.as_bytes(), value)))
    }

    /// The value of a latch, if it is set.
    pub fn get_latch(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.disk.get(Room::Latches, name.as_bytes())?;
        value.map(|value| open(name, &value)).transpose()
    }

    /// Removes a latch; durable when it returns. Removing one that is not set is no error.
    pub fn remove_latch(&self, name: &str) -> Result<(), StoreError> {
        self.change(name.as_bytes(), None)
    }

    /// The marks learn of a change before it happens and once it has: a crash in between leaves one of two tables.
    fn change(&self, name: &[u8], value: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.disk.wait_until_open();
        let mut known = locked(&self.latching);
        // Forgotten until the change is done: after a failure the table may be either.
        let settled = known.take().map_or_else(|| self.latch_sum(), Ok)?;
        let before = self.disk.get(Room::Latches, name)?;
        let less = before.map_or(settled, |before| settled.without(name, &before));
        let next = value.as_ref().map_or(less, |value| less.with(name, value));
        self.with_marks(|marks| marks.announce(settled, next));
        // Of all rooms this one is synced with each write.
        match value {
            Some(value) => self.disk.write(Room::Latches, vec![(name.into(), value)], Vec::new())?,
            None => self.disk.write(Room::Latches, Vec::new(), vec![name.into()])?,
        }
        self.with_marks(|marks| marks.settle(next));
        *known = Some(next);
        Ok(())
    }

    fn with_marks(&self, work: impl FnOnce(&mut Marks)) {
        if let Some(marks) = &self.marks {
            work(&mut locked(marks));
        }
    }

    /// The sum over the rows as they are stored, whole or not.
    pub(crate) fn latch_sum(&self) -> Result<LatchSum, StoreError> {
        let mut sum = LatchSum::default();
        for row in self.disk.rows(Room::Latches, &[]..=&LAST_KEY)? {
            let (name, value) = row?;
            sum = sum.with(&name, &value);
        }
        Ok(sum)
    }

    /// The latches whose names and seals hold, and what is known about the whole table.
    pub(crate) fn readable_latches(&self, problems: &mut Problems) -> Readable {
        // A change under way is waited for: its rows and its mark are compared.
        let _turn = locked(&self.latching);
        let mut readable = Readable { mark: self.marked().latches, ..Readable::default() };
        let mut sum = LatchSum::default();
        let read = self.disk.rows(Room::Latches, &[]..=&LAST_KEY).and_then(|mut rows| {
            rows.try_for_each(|row| {
                let (key, value) = row?;
                sum = sum.with(&key, &value);
                match named(key).map(|name| (open(&name, &value), name)) {
                    Ok((Ok(value), name)) => drop(readable.latches.insert(name, value)),
                    Ok((Err(error), name)) => {
                        problems.add(error);
                        readable.damaged.insert(name);
                    }
                    Err(error) => problems.add(error),
                }
                Ok(())
            })
        });
        match read {
            Ok(()) => readable.sum = Some(sum),
            Err(error) => problems.add(error),
        }
        readable
    }

    /// All latches by name.
    pub fn latches(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let mut latches = BTreeMap::new();
        for row in self.disk.rows(Room::Latches, &[]..=&LAST_KEY)? {
            let (key, value) = row?;
            let name = named(key)?;
            let value = open(&name, &value)?;
            latches.insert(name, value);
        }
        Ok(latches)
    }
}

fn named(key: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(key).map_err(|error| StoreError::ForeignKey { kind: "latch", key: error.into_bytes() })
}

fn open(name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
    let opened = record::open(name.as_bytes(), value);
    let (_, payload) = opened.map_err(|fault| StoreError::DamagedLatch { name: name.to_string(), fault })?;
    Ok(payload.to_vec())
}

fn check_length(name: &str, what: &'static str, bytes: usize, min: usize, max: usize) -> Result<(), StoreError> {
    if (min..=max).contains(&bytes) {
        return Ok(());
    }
    Err(StoreError::LatchLength { name: name.to_string(), what, bytes, min, max })
}
