//! The bytes of a backup: a magic number, then sealed records up to the end record, and nothing behind it.
//!
//! Owns the layout of a record: kind (one byte), length (u32), payload, checksum (u32) over its place in the file and
//! all of that; numbers are big-endian. The end record holds counts and a checksum over everything before it. Promises
//! that any bytes at all are either read or refused with a reason. Never knows what a payload means.

use std::io::{self, Read, Write};

use super::BackupError;
use crate::key::{FactId, InstanceKey};

pub(super) const MAGIC: &[u8; 8] = b"SUPVBAK\x01";
/// The version of this layout.
pub(super) const FORMAT: u32 = 1;

/// What a backup holds, in this order: header; per instance its snapshots and its facts; latches; end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Header { format: u32, schema: u32, created_ms: i64, epoch: u32 },
    Instance(InstanceKey),
    Snapshot { id: FactId, bytes: Vec<u8> },
    Fact { id: FactId, payload: Vec<u8> },
    Latch { name: String, value: Vec<u8> },
    End(Counts),
}

/// How much a backup holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) instances: u64,
    pub(crate) snapshots: u64,
    pub(crate) facts: u64,
    pub(crate) latches: u64,
}

impl Counts {
    pub(super) fn add(&mut self, record: &Record) {
        match record {
            Record::Instance(_) => self.instances += 1,
            Record::Snapshot { .. } => self.snapshots += 1,
            Record::Fact { .. } => self.facts += 1,
            Record::Latch { .. } => self.latches += 1,
            Record::Header { .. } | Record::End(_) => {}
        }
    }
}

/// Where the writer is; a copy of it leads back to that place.
#[derive(Clone)]
pub(super) struct Progress {
    records: u64,
    pub(super) bytes: u64,
    whole: crc32fast::Hasher,
    pub(super) counts: Counts,
}

pub(super) struct Writer<W> {
    pub(super) out: W,
    pub(super) at: Progress,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let at = Progress { records: 0, bytes: 0, whole: crc32fast::Hasher::new(), counts: Counts::default() };
        let mut writer = Self { out, at };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    pub(super) fn write(&mut self, record: &Record) -> io::Result<()> {
        self.at.counts.add(record);
        let (kind, payload) = encode(record, &self.at.whole);
        let length = u32::try_from(payload.len()).map_err(|_| io::Error::other("a record of 4 GiB or more"))?;
        let crc = checksum(self.at.records, kind, &payload);
        self.at.records += 1;
        let head = [&[kind], length.to_be_bytes().as_slice()].concat();
        [head.as_slice(), &payload, &crc.to_be_bytes()].into_iter().try_for_each(|part| self.put(part))
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at.whole.update(bytes);
        self.at.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Reads records one by one; an error ends it.
pub(super) struct Reader<R> {
    input: R,
    left: u64,
    records: u64,
    whole: crc32fast::Hasher,
}

/// What is wrong with the bytes.
pub(super) enum Fault {
    Io(io::Error),
    Damaged(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Damaged("it ends too early".to_string()),
            _ => Fault::Io(error),
        }
    }
}

impl Fault {
    pub(super) fn at(self, path: &std::path::Path) -> BackupError {
        let path = path.to_path_buf();
        match self {
            Fault::Io(source) => BackupError::Io { path, during: "read", source },
            Fault::Damaged(what) => BackupError::Damaged { path, what },
        }
    }
}

impl<R: Read> Reader<R> {
    /// Begins to read `bytes` bytes.
    pub(super) fn begin(input: R, bytes: u64) -> Result<Self, Fault> {
        let mut reader = Self { input, left: bytes, records: 0, whole: crc32fast::Hasher::new() };
        if reader.take(MAGIC.len() as u64)? != MAGIC {
            return Err(Fault::Damaged("it does not begin as a backup does".to_string()));
        }
        Ok(reader)
    }

    /// The next record; an end record is answered only if nothing is missing before and nothing comes behind it.
    pub(super) fn next(&mut self) -> Result<Record, Fault> {
        let number = self.records;
        let damaged = |what: &str| Fault::Damaged(format!("record {number}: {what}"));
        let before = self.whole.clone().finalize();
        let head = self.take(5)?;
        let [kind, length @ ..] = head.as_slice() else { return Err(damaged("it ends too early")) };
        let length = length.try_into().map(u32::from_be_bytes).map_err(|_| damaged("it ends too early"))?;
        let payload = self.take(u64::from(length))?;
        let crc = self.take(4)?;
        if crc != checksum(number, *kind, &payload).to_be_bytes() {
            return Err(damaged("its checksum does not hold"));
        }
        self.records += 1;
        let (record, whole) = decode(*kind, &payload).ok_or_else(|| damaged("it is of an unknown kind"))?;
        match (&record, whole) {
            (Record::End(_), Some(whole)) if whole != before => Err(damaged("the checksum of the whole does not hold")),
            (Record::End(_), _) if self.left > 0 => Err(damaged("something comes behind the end")),
            _ => Ok(record),
        }
    }

    /// Never makes room for more than the file has.
    fn take(&mut self, bytes: u64) -> Result<Vec<u8>, Fault> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| Fault::Damaged("it ends too early".to_string()))?;
        let mut taken = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        self.input.read_exact(&mut taken)?;
        self.whole.update(&taken);
        Ok(taken)
    }
}

fn checksum(number: u64, kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.update(&[kind]);
    hasher.update(&(payload.len() as u64).to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn encode(record: &Record, whole: &crc32fast::Hasher) -> (u8, Vec<u8>) {
    let placed = |id: &FactId, rest: &[u8]| [&id.epoch.to_be_bytes(), id.seq.to_be_bytes().as_slice(), rest].concat();
    match record {
        Record::Header { format, schema, created_ms, epoch } => {
            let [format, schema, epoch] = [format, schema, epoch].map(|number| number.to_be_bytes());
            (1, [format.as_slice(), &schema, &created_ms.to_be_bytes(), &epoch].concat())
        }
        Record::Instance(instance) => (2, instance.as_bytes().to_vec()),
        Record::Snapshot { id, bytes } => (3, placed(id, bytes)),
        Record::Fact { id, payload } => (4, placed(id, payload)),
        Record::Latch { name, value } => {
            (5, [&(name.len() as u64).to_be_bytes(), name.as_bytes(), value.as_slice()].concat())
        }
        Record::End(Counts { instances, snapshots, facts, latches }) => {
            let counts = [instances, snapshots, facts, latches].map(|number| number.to_be_bytes());
            (6, [counts.as_flattened(), &whole.clone().finalize().to_be_bytes()].concat())
        }
    }
}

/// The record, and the checksum over the whole if it is the last one.
fn decode(kind: u8, payload: &[u8]) -> Option<(Record, Option<u32>)> {
    let mut from = Fields(payload);
    let record = match kind {
        1 => {
            let (format, schema) = (from.u32()?, from.u32()?);
            Record::Header { format, schema, created_ms: from.u64()?.cast_signed(), epoch: from.u32()? }
        }
        2 => {
            let padded = std::str::from_utf8(from.rest()).ok()?;
            Record::Instance(InstanceKey::new(padded.trim_end_matches('\0')).ok()?)
        }
        3 => Record::Snapshot { id: from.id()?, bytes: from.rest().to_vec() },
        4 => Record::Fact { id: from.id()?, payload: from.rest().to_vec() },
        5 => {
            let length = usize::try_from(from.u64()?).ok()?;
            let (name, value) = from.rest().split_at_checked(length)?;
            Record::Latch { name: std::str::from_utf8(name).ok()?.to_string(), value: value.to_vec() }
        }
        6 => {
            let (instances, snapshots) = (from.u64()?, from.u64()?);
            let counts = Counts { instances, snapshots, facts: from.u64()?, latches: from.u64()? };
            return Some((Record::End(counts), Some(from.u32()?))).filter(|_| from.0.is_empty());
        }
        _ => return None,
    };
    from.0.is_empty().then_some((record, None))
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn u32(&mut self) -> Option<u32> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*field))
    }

    fn u64(&mut self) -> Option<u64> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*field))
    }

    fn id(&mut self) -> Option<FactId> {
        Some(FactId { epoch: self.u32()?, seq: self.u64()? })
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// The counts of an end record, whose own checksum cannot be told without its place in the file.
pub(super) fn end_counts(bytes: &[u8]) -> Option<Counts> {
    let (head, rest) = bytes.split_first_chunk::<5>()?;
    let payload = rest.get(..rest.len().checked_sub(4)?)?;
    let [kind, length @ ..] = *head;
    match decode(kind, payload)? {
        (Record::End(counts), _) if u32::from_be_bytes(length) as usize == payload.len() => Some(counts),
        _ => None,
    }
}
