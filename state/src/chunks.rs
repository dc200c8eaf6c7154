//! Values too long for one record, as rows of bounded length: a header row and then the pieces.
//!
//! Owns that layout: row 0 holds the length in bytes (u64), the number of pieces (u32) and a checksum over the whole
//! (u32), all big-endian; rows 1.. hold the pieces, each sealed for its own key. Promises that a missing, foreign,
//! changed or surplus row is named. Never touches a disk.

use crate::record::{self, RecordFault, SCHEMA_INLINE};

/// Longest piece in bytes. The database keeps up to 17 values in one page and moves a page of 128 kB and more into a
/// separate file that it never syncs; 17 pieces of 6 kB stay below that.
pub const CHUNK_BYTES: usize = 6 * 1024;

const HEADER_BYTES: usize = 16;

/// What is wrong with a chunked value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    /// Row 0 is not there.
    #[error("its header is missing")]
    NoHeader,
    /// Row 0 is whole but of another length.
    #[error("its header has {bytes} bytes instead of 16")]
    HeaderLength {
        /// Its length.
        bytes: usize,
    },
    /// A row's seal does not hold.
    #[error("chunk {chunk} is damaged: {fault}")]
    Chunk {
        /// Number of the row, 0 for the header.
        chunk: u32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// A row is missing.
    #[error("chunk {chunk} of {count} is missing")]
    Missing {
        /// The first number that should have come and did not.
        chunk: u32,
        /// How many pieces the header promises.
        count: u32,
    },
    /// There are more rows than the header promises.
    #[error("it has more than the {count} chunks that its header promises")]
    Surplus {
        /// How many pieces the header promises.
        count: u32,
    },
    /// The pieces do not add up.
    #[error("its chunks hold {found} bytes, its header says {expected}")]
    Length {
        /// As stored in the header.
        expected: u64,
        /// As the pieces say.
        found: u64,
    },
    /// The pieces are each whole, but not together.
    #[error("its checksum is {stored:08x}, its chunks say {computed:08x}")]
    Checksum {
        /// As stored in the header.
        stored: u32,
        /// As the pieces say.
        computed: u32,
    },
}

/// One row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The key of row `chunk` of the value named `name`.
pub fn chunk_key(name: &[u8], chunk: u32) -> Vec<u8> {
    [name, &chunk.to_be_bytes()].concat()
}

/// Cuts `bytes` into rows under `name`.
pub fn split(name: &[u8], bytes: &[u8]) -> Vec<Row> {
    let pieces = bytes.chunks(CHUNK_BYTES);
    let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    header.extend_from_slice(&count.to_be_bytes());
    header.extend_from_slice(&crc32fast::hash(bytes).to_be_bytes());
    let numbered = (0..).zip(std::iter::once(header.as_slice()).chain(pieces));
    numbered.map(|(chunk, piece)| row(name, chunk, piece)).collect()
}

/// Joins the rows of `name`, in the order of their keys.
pub fn join(name: &[u8], rows: &[Row]) -> Result<Vec<u8>, ChunkFault> {
    let (first, rest) = rows.split_first().ok_or(ChunkFault::NoHeader)?;
    if first.0 != chunk_key(name, 0) {
        return Err(ChunkFault::NoHeader);
    }
    let (length, count, stored) = read_header(piece(0, first)?)?;
    let mut bytes = Vec::new();
    let mut rest = rest.iter();
    for chunk in 1..=count {
        let row = rest.next().filter(|row| row.0 == chunk_key(name, chunk));
        bytes.extend_from_slice(piece(chunk, row.ok_or(ChunkFault::Missing { chunk, count })?)?);
    }
    if rest.next().is_some() {
        return Err(ChunkFault::Surplus { count });
    }
    if bytes.len() as u64 != length {
        return Err(ChunkFault::Length { expected: length, found: bytes.len() as u64 });
    }
    let computed = crc32fast::hash(&bytes);
    if computed != stored {
        return Err(ChunkFault::Checksum { stored, computed });
    }
    Ok(bytes)
}

fn row(name: &[u8], chunk: u32, piece: &[u8]) -> Row {
    let key = chunk_key(name, chunk);
    let value = record::seal(SCHEMA_INLINE, &key, piece);
    (key, value)
}

fn piece(chunk: u32, (key, value): &Row) -> Result<&[u8], ChunkFault> {
    let (_, payload) = record::open(key, value).map_err(|fault| ChunkFault::Chunk { chunk, fault })?;
    Ok(payload)
}

fn read_header(header: &[u8]) -> Result<(u64, u32, u32), ChunkFault> {
    let wrong = ChunkFault::HeaderLength { bytes: header.len() };
    let header: &[u8; HEADER_BYTES] = header.try_into().map_err(|_| wrong)?;
    let [a, b, c, d, e, f, g, h, count @ .., w, x, y, z] = *header;
    let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    Ok((length, u32::from_be_bytes(count), u32::from_be_bytes([w, x, y, z])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn lengths_around_the_border_come_back() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 300_000] {
            let rows = split(b"name", &sample(length));
            assert_eq!(rows.len(), 1 + length.div_ceil(CHUNK_BYTES));
            assert_eq!(join(b"name", &rows), Ok(sample(length)));
        }
    }

    #[test]
    fn missing_swapped_and_surplus_rows_are_named() {
        let rows = split(b"name", &sample(3 * CHUNK_BYTES));
        assert_eq!(join(b"name", &[]), Err(ChunkFault::NoHeader));
        assert_eq!(join(b"name", &rows[1..]), Err(ChunkFault::NoHeader));
        assert_eq!(join(b"name", &rows[..3]), Err(ChunkFault::Missing { chunk: 3, count: 3 }));
        let holed = [rows[0].clone(), rows[1].clone(), rows[3].clone()];
        assert_eq!(join(b"name", &holed), Err(ChunkFault::Missing { chunk: 2, count: 3 }));
        let surplus = [rows.clone(), vec![row(b"name", 4, b"x")]].concat();
        assert_eq!(join(b"name", &surplus), Err(ChunkFault::Surplus { count: 3 }));
        let mut of_another = rows;
        of_another[2] = row(b"name", 2, &sample(CHUNK_BYTES - 1));
        assert!(matches!(join(b"name", &of_another), Err(ChunkFault::Length { .. })));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(length in 0..20_000usize, row: prop::sample::Index, at: prop::sample::Index, bit in 0..8u8) {
            let mut rows = split(b"name", &sample(length));
            let row = row.index(rows.len());
            let at = at.index(rows[row].1.len());
            rows[row].1[at] ^= 1 << bit;
            prop_assert!(join(b"name", &rows).is_err());
        }
    }
}
