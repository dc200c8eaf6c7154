//! Names of records: which instance, which place in its sequence.
//!
//! Owns the byte layout of keys (instance padded to 16 bytes, epoch u32 big-endian, sequence number u64 big-endian),
//! so that the order of keys is the order of time within an instance. Promises that a key read back is either parsed
//! whole or refused. Never touches a disk.

use std::fmt;

/// Bytes of an instance id in a key.
pub const INSTANCE_BYTES: usize = 16;
/// Bytes of a fact's key: instance, epoch, sequence number.
pub const FACT_KEY_BYTES: usize = INSTANCE_BYTES + 4 + 8;

/// Why a text is no instance id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty or longer than 16 bytes.
    #[error("instance id {id:?} has {} bytes, allowed are 1 to 16", .id.len())]
    Length {
        /// What was given.
        id: String,
    },
    /// Something other than printable ASCII without spaces.
    #[error("instance id {id:?} may hold printable ASCII without spaces only")]
    Character {
        /// What was given.
        id: String,
    },
}

/// An instance id as it stands in keys: 1 to 16 printable ASCII bytes, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey([u8; INSTANCE_BYTES]);

impl InstanceKey {
    /// Pads `id`; wider than the ids users may give, so that the process has names of its own.
    pub fn new(id: &str) -> Result<Self, KeyError> {
        if id.is_empty() || id.len() > INSTANCE_BYTES {
            return Err(KeyError::Length { id: id.to_string() });
        }
        if !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Character { id: id.to_string() });
        }
        let mut padded = [0; INSTANCE_BYTES];
        padded[..id.len()].copy_from_slice(id.as_bytes());
        Ok(Self(padded))
    }

    /// The id without its padding.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(INSTANCE_BYTES);
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    /// The padded bytes.
    pub fn as_bytes(&self) -> &[u8; INSTANCE_BYTES] {
        &self.0
    }
}

impl TryFrom<&str> for InstanceKey {
    type Error = KeyError;

    fn try_from(id: &str) -> Result<Self, KeyError> {
        Self::new(id)
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceKey({:?})", self.as_str())
    }
}

/// The place of a fact in its instance's sequence. Ordered as time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactId {
    /// The epoch in which it was written: one per opening of the store.
    pub epoch: u32,
    /// Its number, without holes within an epoch.
    pub seq: u64,
}

impl FactId {
    /// The lowest place there is.
    pub const MIN: Self = Self { epoch: 0, seq: 0 };
    /// The highest place there is.
    pub const MAX: Self = Self { epoch: u32::MAX, seq: u64::MAX };

    /// Whether `self` may directly come after `last`: the next number; or, where a new epoch or an empty sequence
    /// begins, 0 or 1. Everything else is a hole or a repeat.
    pub fn follows(self, last: Option<Self>) -> bool {
        let Some(last) = last else { return self.seq <= 1 };
        let next = last.seq.checked_add(1) == Some(self.seq);
        (self.epoch == last.epoch && next) || (self.epoch > last.epoch && (next || self.seq <= 1))
    }
}

impl fmt::Display for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {} seq {}", self.epoch, self.seq)
    }
}

/// The key of one fact or snapshot.
pub(crate) fn fact_key(instance: &InstanceKey, id: FactId) -> [u8; FACT_KEY_BYTES] {
    let mut key = [0; FACT_KEY_BYTES];
    key[..16].copy_from_slice(instance.as_bytes());
    key[16..20].copy_from_slice(&id.epoch.to_be_bytes());
    key[20..].copy_from_slice(&id.seq.to_be_bytes());
    key
}

/// Parses the first 28 bytes of a key; `None` when they are no key of ours.
pub(crate) fn parse_fact_key(key: &[u8]) -> Option<(InstanceKey, FactId)> {
    let (padded, rest) = key.split_first_chunk::<INSTANCE_BYTES>()?;
    let (epoch, rest) = rest.split_first_chunk::<4>()?;
    let (seq, _) = rest.split_first_chunk::<8>()?;
    let end = padded.iter().position(|byte| *byte == 0).unwrap_or(INSTANCE_BYTES);
    let instance = InstanceKey::new(std::str::from_utf8(&padded[..end]).ok()?).ok()?;
    let id = FactId { epoch: u32::from_be_bytes(*epoch), seq: u64::from_be_bytes(*seq) };
    (instance.as_bytes() == padded).then_some((instance, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_outside_the_range_are_refused() {
        assert!(matches!(InstanceKey::new(""), Err(KeyError::Length { .. })));
        assert!(matches!(InstanceKey::new("seventeen-letters"), Err(KeyError::Length { .. })));
        assert!(matches!(InstanceKey::new("a b"), Err(KeyError::Character { .. })));
        assert!(matches!(InstanceKey::new("a\0"), Err(KeyError::Character { .. })));
        assert_eq!(InstanceKey::new("sixteen-letters!").unwrap().as_str(), "sixteen-letters!");
    }

    #[test]
    fn what_may_follow() {
        let id = |epoch, seq| FactId { epoch, seq };
        assert!(id(1, 0).follows(None) && id(1, 1).follows(None) && !id(1, 2).follows(None));
        assert!(id(2, 8).follows(Some(id(2, 7))), "next");
        assert!(!id(2, 7).follows(Some(id(2, 7))), "repeat");
        assert!(!id(2, 9).follows(Some(id(2, 7))), "hole");
        assert!(!id(2, 1).follows(Some(id(2, 7))), "a restart needs a new epoch");
        assert!(id(3, 8).follows(Some(id(2, 7))) && id(3, 1).follows(Some(id(2, 7))));
        assert!(!id(3, 9).follows(Some(id(2, 7))) && !id(1, 8).follows(Some(id(2, 7))));
        assert!(!id(2, 0).follows(Some(id(2, u64::MAX))));
    }

    #[test]
    fn keys_that_are_not_ours_are_refused() {
        let mut key = fact_key(&InstanceKey::new("grid").unwrap(), FactId { epoch: 1, seq: 2 });
        assert!(parse_fact_key(&key).is_some());
        assert_eq!(parse_fact_key(&key[..27]), None);
        key[10] = b'x';
        assert_eq!(parse_fact_key(&key), None, "bytes after the padding");
    }

    proptest! {
        #[test]
        fn keys_sort_as_time_does(id in "[a-z0-9-]{1,16}", a: (u32, u64), b: (u32, u64)) {
            let instance = InstanceKey::new(&id).unwrap();
            let (a, b) = (FactId { epoch: a.0, seq: a.1 }, FactId { epoch: b.0, seq: b.1 });
            prop_assert_eq!(fact_key(&instance, a).cmp(&fact_key(&instance, b)), a.cmp(&b));
            prop_assert_eq!(parse_fact_key(&fact_key(&instance, a)), Some((instance, a)));
        }
    }
}
