//! Latches: small named values that survive restarts and are changed by an operator or a rule, such as a halt.
//!
//! Owns their rows. Promises that a change is durable when it returns. Never clears one by itself.

use std::collections::BTreeMap;

use super::Store;
use crate::chunks::CHUNK_BYTES;
use crate::disk::Room;
use crate::journal::StoreError;
use crate::record::{self, SCHEMA_INLINE};

/// Longest name of a latch, in bytes.
pub const LATCH_NAME_BYTES_MAX: usize = 200;

impl Store {
    /// Sets a latch (name 1 to 200 bytes, value up to one chunk); durable when it returns.
    pub fn put_latch(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        check_length(name, "name", name.len(), 1, LATCH_NAME_BYTES_MAX)?;
        check_length(name, "value", value.len(), 0, CHUNK_BYTES)?;
        let row = (name.into(), record::seal(SCHEMA_INLINE, name.as_bytes(), value));
        self.disk.write(Room::Latches, vec![row], Vec::new())?;
        Ok(self.disk.sync()?)
    }

    /// The value of a latch, if it is set.
    pub fn get_latch(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.disk.get(Room::Latches, name.as_bytes())?;
        value.map(|value| open(name, &value)).transpose()
    }

    /// Removes a latch; durable when it returns. Removing one that is not set is no error.
    pub fn remove_latch(&self, name: &str) -> Result<(), StoreError> {
        self.disk.write(Room::Latches, Vec::new(), vec![name.into()])?;
        Ok(self.disk.sync()?)
    }

    /// All latches by name.
    pub fn latches(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let mut latches = BTreeMap::new();
        let highest = [u8::MAX];
        for row in self.disk.rows(Room::Latches, &[]..=&highest)? {
            let (key, value) = row?;
            let name = String::from_utf8(key)
                .map_err(|error| StoreError::ForeignKey { kind: "latch", key: error.into_bytes() })?;
            let value = open(&name, &value)?;
            latches.insert(name, value);
        }
        Ok(latches)
    }
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
