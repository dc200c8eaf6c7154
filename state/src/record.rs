//! The seal around each stored value: `[schema u8][crc32 u32 big-endian][payload]`.
//!
//! Owns that layout. The checksum covers the key as well, so a value that turns up under another key is noticed.
//! Promises that any bytes at all are either opened or refused with a reason. Never looks into the payload.

const HEADER_BYTES: usize = 5;

/// The value holds its payload itself.
pub const SCHEMA_INLINE: u8 = 1;
/// The value stands for a payload that lies in chunks elsewhere.
pub const SCHEMA_CHUNKED: u8 = 2;

/// What is wrong with a sealed value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// Shorter than its header.
    #[error("it has {bytes} bytes, a record has at least 5")]
    Short {
        /// Its length.
        bytes: usize,
    },
    /// Bytes of the key, the schema or the payload have changed.
    #[error("its checksum is {stored:08x}, its bytes say {computed:08x}")]
    Checksum {
        /// As stored.
        stored: u32,
        /// As the bytes say.
        computed: u32,
    },
    /// The bytes are whole but of a kind that this version does not know.
    #[error("its schema is {found}, this version knows {SCHEMA_INLINE} and {SCHEMA_CHUNKED}")]
    UnknownSchema {
        /// The schema byte.
        found: u8,
    },
}

/// Seals `payload` for `key`.
pub fn seal(schema: u8, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
    value.push(schema);
    value.extend_from_slice(&checksum(schema, key, payload).to_be_bytes());
    value.extend_from_slice(payload);
    value
}

/// Opens what [`seal`] made: the schema and the payload.
pub fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<(u8, &'a [u8]), RecordFault> {
    let short = RecordFault::Short { bytes: value.len() };
    let (header, payload) = value.split_first_chunk::<HEADER_BYTES>().ok_or(short)?;
    let [schema, crc @ ..] = *header;
    let (stored, computed) = (u32::from_be_bytes(crc), checksum(schema, key, payload));
    if stored != computed {
        return Err(RecordFault::Checksum { stored, computed });
    }
    match schema {
        SCHEMA_INLINE | SCHEMA_CHUNKED => Ok((schema, payload)),
        found => Err(RecordFault::UnknownSchema { found }),
    }
}

fn checksum(schema: u8, key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&[schema]);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_under_another_key_is_refused() {
        let value = seal(SCHEMA_INLINE, b"one", b"payload");
        assert_eq!(open(b"one", &value), Ok((SCHEMA_INLINE, b"payload".as_slice())));
        assert!(matches!(open(b"two", &value), Err(RecordFault::Checksum { .. })));
    }

    #[test]
    fn a_later_schema_is_named() {
        assert_eq!(open(b"k", &seal(9, b"k", b"")), Err(RecordFault::UnknownSchema { found: 9 }));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let mut value = seal(SCHEMA_INLINE, b"key", &payload);
            let at = at.index(value.len());
            value[at] ^= 1 << bit;
            prop_assert!(open(b"key", &value).is_err());
        }

        #[test]
        fn any_bytes_are_answered(value: Vec<u8>) {
            let _ = open(b"key", &value);
        }
    }
}
