//! One slot of the marks file: 64 bytes, the last four of them a checksum.
//!
//! Owns the layout: a letter that says what it is, then the fields, big-endian. Promises that a slot at another place
//! than its own, or with any changed bit, is refused. Never touches a disk.

use super::{LatchMark, LatchSum, Mark};
use crate::key::{FactId, INSTANCE_BYTES, InstanceKey};

pub(super) const SLOT_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"highmark";
const VERSION: u32 = 1;
const CHECKSUM_AT: usize = SLOT_BYTES - 4;

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Not used yet: zeros.
    Empty,
    /// The first one. `instances` is how many slots of instances there are at least; 0 when it was not counted yet.
    Header { epoch: u32, schema: u32, instances: u32 },
    /// The second one.
    Latches(LatchMark),
    /// All others.
    Instance(InstanceKey, Mark),
}

impl Slot {
    pub(super) fn bytes(self, number: u64) -> [u8; SLOT_BYTES] {
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
            Slot::Latches(LatchMark { settled, next }) => {
                out.put(b"L");
                out.sum(Some(settled));
                out.sum(next);
            }
            Slot::Instance(instance, Mark { last, snapshot, snapshots }) => {
                out.put(b"I");
                out.put(instance.as_bytes());
                out.id(last);
                out.id(snapshot);
                out.put(&[snapshots]);
            }
        }
        let crc = checksum(number, &out.bytes[..CHECKSUM_AT]);
        out.bytes[CHECKSUM_AT..].copy_from_slice(&crc.to_be_bytes());
        out.bytes
    }

    /// The slot at place `number`; `None` when it is damaged.
    pub(super) fn parse(number: u64, bytes: &[u8]) -> Option<Self> {
        if bytes.len() == SLOT_BYTES && bytes.iter().all(|byte| *byte == 0) {
            return Some(Slot::Empty);
        }
        let (body, crc) = bytes.split_at_checked(CHECKSUM_AT)?;
        if crc != checksum(number, body).to_be_bytes() {
            return None;
        }
        let mut from = Reader(body);
        match (from.take::<1>()?, number) {
            ([b'H'], 0) => {
                let known = from.take::<8>()? == MAGIC && from.u32()? == VERSION;
                let (epoch, schema, instances) = (from.u32()?, from.u32()?, from.u32()?);
                known.then_some(Slot::Header { epoch, schema, instances })
            }
            ([b'L'], 1) => {
                let (settled, next) = (from.sum()?, from.sum()?);
                Some(Slot::Latches(LatchMark { settled: settled?, next }))
            }
            ([b'I'], 2..) => {
                let padded = from.take::<INSTANCE_BYTES>()?;
                let instance = InstanceKey::new(std::str::from_utf8(padded).ok()?.trim_end_matches('\0')).ok()?;
                let (last, snapshot, [snapshots]) = (from.id()?, from.id()?, *from.take::<1>()?);
                Some(Slot::Instance(instance, Mark { last, snapshot, snapshots }))
            }
            _ => None,
        }
    }
}

fn checksum(number: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_be_bytes());
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
            (1, Slot::Latches(LatchMark { settled: sum(7), next: Some(sum(8)) })),
            (1, Slot::Latches(LatchMark::default())),
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
