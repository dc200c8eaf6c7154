//! Migration: a store written by an earlier version becomes one of this version, by copy.
//!
//! Owns the contract with whoever knows what payloads mean. Promises that the old store is left as it was, under a
//! name that tells its version, and that a payload which cannot be migrated stops the start before anything is
//! changed. A newer store is never touched. Never looks into a payload itself.

use crate::journal::StoreError;
use crate::key::{FactId, InstanceKey};
use crate::store::SCHEMA_VERSION;

/// Turns payloads of earlier schema versions into those of this one ([`SCHEMA_VERSION`]). The text of an error is
/// shown to the operator.
pub trait Migration {
    /// A fact of an instance that version `from` wrote.
    fn fact(&self, from: u32, instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String>;

    /// A snapshot of an instance that version `from` wrote.
    fn snapshot(&self, from: u32, instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String>;
}

/// The migration that leaves payloads as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unchanged;

impl Migration for Unchanged {
    fn fact(&self, _from: u32, _instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        Ok(payload.to_vec())
    }

    fn snapshot(&self, _from: u32, _instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        Ok(payload.to_vec())
    }
}

/// A migration from one version; none at all from the present one.
#[derive(Clone, Copy)]
pub(crate) struct Converter<'a> {
    migration: &'a dyn Migration,
    from: u32,
}

impl<'a> Converter<'a> {
    pub(crate) fn new(migration: &'a dyn Migration, from: u32) -> Self {
        Self { migration, from }
    }

    pub(crate) fn fact(&self, instance: &InstanceKey, id: FactId, payload: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        if self.from == SCHEMA_VERSION {
            return Ok(payload);
        }
        self.migration
            .fact(self.from, instance, &payload)
            .map_err(|message| self.refused(instance, "fact", id, message))
    }

    pub(crate) fn snapshot(&self, instance: &InstanceKey, id: FactId, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        if self.from == SCHEMA_VERSION {
            return Ok(bytes);
        }
        self.migration
            .snapshot(self.from, instance, &bytes)
            .map_err(|message| self.refused(instance, "snapshot", id, message))
    }

    fn refused(&self, instance: &InstanceKey, kind: &'static str, id: FactId, message: String) -> StoreError {
        StoreError::Migration { instance: *instance, kind, id, from: self.from, message }
    }
}
