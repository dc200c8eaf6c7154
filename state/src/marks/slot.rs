//! One slot of the marks file: 64 bytes, the last four of them a checksum.
//!
//! Owns the layout: a letter that says what it is, then the fields, big-endian. Promises that a slot at another place
//! than its own, or with any changed bit, is refused. Each is there twice, written in turn, so that one that is torn or
//! damaged leaves the one before, which is still true. Never touches a disk.

use super::{LatchMark, LatchSum, Mark};
use crate::key::{FactId, INSTANCE_BYTES, InstanceKey};

pub(super) const SLOT_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"highmark";
/// In the first version each slot was there once.
const VERSION: u32 = 2;
const CHECKSUM_AT: usize = SLOT_BYTES - 4;

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Not used yet: zeros.
    Empty,
    /// The first one. `instances` is how many slots of instances there are at least; 0 when it was not counted yet.
    Header { epoch: u32, schema: u32, instances: u32 },
    /// The second one. `turn` grows with each that is written.
    Latches { mark: LatchMark, turn: u64 },
    /// All others.
    Instance(InstanceKey, Mark),
}

impl Slot {
    /// Its bytes at `place`, counted in slots from the beginning of the file.
    pub(super) fn bytes(self, place: u64) -> [u8; SLOT_BYTES] {
        let mut out = Writer { bytes: [0; SLOT_BYTES], at: 0 };
        match self {
            Slot::Empty => return out.bytes,
            Slot::Header { epoch, schema, instances } => {
                out.put(b"H");
                out.put(MAGIC);
                out.put(&VERSION.to_be_bytes());
                out.put(&epoch.to_be_bytes());
                out.put(&schema.to_be_bytes());
                out.put(&instances.to_be_bytes());
            }
            Slot::Latches { mark: LatchMark { settled, next }, turn } => {
                out.put(b"L");
                out.sum(Some(settled));
                out.sum(next);
                out.put(&turn.to_be_bytes());
            }
            Slot::Instance(instance, Mark { last, snapshot, snapshots }) => {
                out.put(b"I");
                out.put(instance.as_bytes());
                out.id(last);
                out.id(snapshot);
                out.put(&[snapshots]);
            }
        }
        let crc = checksum(place, &out.bytes[..CHECKSUM_AT]);
        out.bytes[CHECKSUM_AT..].copy_from_slice(&crc.to_be_bytes());
        out.bytes
    }

    /// The slot at `place`; `None` when it is damaged.
    pub(super) fn parse(place: u64, bytes: &[u8]) -> Option<Self> {
        if bytes.len() == SLOT_BYTES && bytes.iter().all(|byte| *byte == 0) {
            return Some(Slot::Empty);
        }
        let (body, crc) = bytes.split_at_checked(CHECKSUM_AT)?;
        if crc != checksum(place, body).to_be_bytes() {
            return None;
        }
        let mut from = Reader(body);
        match from.take::<1>()? {
            b"H" => {
                let known = from.take::<8>()? == MAGIC && (1..=VERSION).contains(&from.u32()?);
                let (epoch, schema, instances) = (from.u32()?, from.u32()?, from.u32()?);
                known.then_some(Slot::Header { epoch, schema, instances })
            }
            b"L" => {
                let (settled, next, turn) = (from.sum()?, from.sum()?, from.u64()?);
                Some(Slot::Latches { mark: LatchMark { settled: settled?, next }, turn })
            }
            b"I" => {
                let padded = from.take::<INSTANCE_BYTES>()?;
                let instance = InstanceKey::new(std::str::from_utf8(padded).ok()?.trim_end_matches('\0')).ok()?;
                let (last, snapshot, [snapshots]) = (from.id()?, from.id()?, *from.take::<1>()?);
                Some(Slot::Instance(instance, Mark { last, snapshot, snapshots }))
            }
            _ => None,
        }
    }

    /// The newer one of the two at a place; `None` when both are damaged. The first that is written goes to both, so
    /// one that is damaged beside an empty one was torn then, and says nothing yet.
    pub(super) fn newer(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (None, other) | (other, None) => other,
            (Some(Slot::Empty), other) | (other, Some(Slot::Empty)) => other,
            (Some(one), Some(other)) => Some(if other.age() > one.age() { other } else { one }),
        }
    }

    /// Grows from one slot to the next that is written to a place.
    fn age(&self) -> (u64, Option<FactId>, Option<FactId>, u8) {
        match self {
            Slot::Empty => (0, None, None, 0),
            Slot::Header { instances, .. } => (u64::from(*instances), None, None, 0),
            Slot::Latches { turn, .. } => (*turn, None, None, 0),
            Slot::Instance(_, Mark { last, snapshot, snapshots }) => (0, *last, *snapshot, *snapshots),
        }
    }
}

/// Whether the file is of the first version: the latches stand in its second slot, or its header says so.
pub(super) fn is_single(bytes: &[u8]) -> bool {
    let slot = |place: usize| bytes.get(place * SLOT_BYTES..(place + 1) * SLOT_BYTES);
    let is_latches = |bytes: &[u8]| matches!(Slot::parse(1, bytes), Some(Slot::Latches { .. }));
    let says_so = |bytes: &[u8]| {
        let is_header = matches!(Slot::parse(0, bytes), Some(Slot::Header { .. }));
        is_header && bytes[1 + MAGIC.len()..].starts_with(&1u32.to_be_bytes())
    };
    slot(1).is_some_and(is_latches) || slot(0).is_some_and(says_so)
}

fn checksum(place: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_be_bytes());
    hasher.update(body);
    hasher.finalize()
}

struct Writer {
    bytes: [u8; SLOT_BYTES],
    at: usize,
}

impl Writer {
    fn put(&mut self, field: &[u8]) {
        self.bytes[self.at..self.at + field.len()].copy_from_slice(field);
        self.at += field.len();
    }

    fn id(&mut self, id: Option<FactId>) {
        self.put(&[u8::from(id.is_some())]);
        let FactId { epoch, seq } = id.unwrap_or(FactId::MIN);
        self.put(&epoch.to_be_bytes());
        self.put(&seq.to_be_bytes());
    }

    fn sum(&mut self, sum: Option<LatchSum>) {
        self.put(&[u8::from(sum.is_some())]);
        let LatchSum { count, sum, kill } = sum.unwrap_or_default();
        self.put(&count.to_be_bytes());
        self.put(&sum.to_be_bytes());
        self.put(&[u8::from(kill)]);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take::<4>().map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        self.take::<8>().map(|bytes| u64::from_be_bytes(*bytes))
    }

    fn id(&mut self) -> Option<Option<FactId>> {
        let [there] = *self.take::<1>()?;
        let id = FactId { epoch: self.u32()?, seq: self.u64()? };
        Some((there == 1).then_some(id))
    }

    fn sum(&mut self) -> Option<Option<LatchSum>> {
        let [there] = *self.take::<1>()?;
        let (count, sum, [kill]) = (self.u32()?, self.u64()?, *self.take::<1>()?);
        Some((there == 1).then_some(LatchSum { count, sum, kill: kill == 1 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_comes_back_and_any_flipped_bit_is_noticed() {
        let id = |epoch, seq| Some(FactId { epoch, seq });
        let sum = |count| LatchSum { count, sum: u64::MAX - 3, kill: count == 7 };
        let grid = InstanceKey::new("sixteen-letters!").unwrap();
        let slots = [
            (0, Slot::Header { epoch: 9, schema: 2, instances: 0 }),
            (0, Slot::Header { epoch: 9, schema: 2, instances: 70_000 }),
            (1, Slot::Latches { mark: LatchMark { settled: sum(7), next: Some(sum(8)) }, turn: u64::MAX }),
            (1, Slot::Latches { mark: LatchMark::default(), turn: 0 }),
            (5, Slot::Instance(grid, Mark { last: id(3, u64::MAX), snapshot: id(2, 40), snapshots: 2 })),
            (6, Slot::Instance(grid, Mark::default())),
        ];
        for (number, slot) in slots {
            let bytes = slot.bytes(number);
            assert_eq!(Slot::parse(number, &bytes), Some(slot));
            assert_eq!(Slot::parse(number + 1, &bytes), None, "at a place that is not its own");
            assert_eq!(Slot::parse(number, &bytes[..60]), None);
            for bit in 0..SLOT_BYTES * 8 {
                let mut flipped = bytes;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Slot::parse(number, &flipped), None, "bit {bit}");
            }
        }
        assert_eq!(Slot::parse(3, &[0; SLOT_BYTES]), Some(Slot::Empty));
    }
}
