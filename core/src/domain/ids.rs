//! Names and numbers of things. Small, `Copy`, ordered; a name is checked once, where it enters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SHORT_MAX: usize = 15;

/// Why a name is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Wrong length.
    #[error("'{name}' has {len} characters; allowed: 1 to {max}")]
    Length {
        /// The text.
        name: String,
        /// Its length.
        len: usize,
        /// The longest allowed.
        max: usize,
    },
    /// A character outside the alphabet.
    #[error("'{name}' contains '{bad}'; allowed: {allowed}")]
    Character {
        /// The text.
        name: String,
        /// The first offending character.
        bad: char,
        /// The alphabet.
        allowed: &'static str,
    },
}

fn check(name: &str, max: usize, allowed: &'static str, ok: fn(char) -> bool) -> Result<(), IdError> {
    if let Some(bad) = name.chars().find(|c| !ok(*c)) {
        return Err(IdError::Character { name: name.to_owned(), bad, allowed });
    }
    if name.is_empty() || name.len() > max {
        return Err(IdError::Length { name: name.to_owned(), len: name.len(), max });
    }
    Ok(())
}

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident, $max:expr, $allowed:expr, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            bytes: [u8; 16],
        }

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                let len = self.bytes.iter().position(|b| *b == 0).unwrap_or(self.bytes.len());
                std::str::from_utf8(&self.bytes[..len]).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(name: &str) -> Result<Self, IdError> {
                check(name, $max, $allowed, $ok)?;
                let mut bytes = [0; 16];
                bytes[..name.len()].copy_from_slice(name.as_bytes());
                Ok(Self { bytes })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

short_name! {
    /// Name of a bot: `[a-z0-9-]`, 1 to 16 characters.
    InstanceId, 16, "a-z, 0-9 and -", |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}
short_name! {
    /// Venue symbol such as `BTCUSDT`: `[A-Z0-9_]`, 1 to 15 characters.
    Symbol, SHORT_MAX, "A-Z, 0-9 and _", |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
}
short_name! {
    /// Asset such as `USDT`: `[A-Z0-9]`, 1 to 15 characters.
    Asset, SHORT_MAX, "A-Z and 0-9", |c| c.is_ascii_uppercase() || c.is_ascii_digit()
}

/// Position of an instrument in its instance's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstrumentIx(pub u16);

impl InstrumentIx {
    /// As an index.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// Number of an intent within its instance, dense from 1; an approved intent's order keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderNo(pub u64);

/// The name of an order at its venue: instance, epoch and number, at most 36 characters of `[a-z0-9-]`.
///
/// The epoch grows with each start that may have lost news, so an id never repeats, not even after a store was restored
/// from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId {
    /// Whose.
    pub instance: InstanceId,
    /// In which epoch it was sent.
    pub epoch: u32,
    /// Its number.
    pub order: OrderNo,
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}-{}", self.instance, self.epoch, self.order.0))
    }
}

impl FromStr for ClientId {
    type Err = IdError;
    fn from_str(name: &str) -> Result<Self, IdError> {
        let bad = || IdError::Character { name: name.to_owned(), bad: '-', allowed: "INSTANCE-EPOCH-NUMBER" };
        let (rest, order) = name.rsplit_once('-').ok_or_else(bad)?;
        let (instance, epoch) = rest.rsplit_once('-').ok_or_else(bad)?;
        let number = |digits: &str| digits.parse::<u64>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        let epoch = number(epoch).and_then(|epoch| u32::try_from(epoch).ok()).ok_or_else(bad)?;
        let order = OrderNo(number(order).ok_or_else(bad)?);
        Ok(Self { instance: instance.parse()?, epoch, order })
    }
}

/// The venue's number of one execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TradeId(pub u64);

/// What the author of an intent calls it (a grid line, a monitor slot); comes back with every answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_door() {
        assert_eq!("grid-btc".parse::<InstanceId>().unwrap().as_str(), "grid-btc");
        assert_eq!("sixteen-chars-ok".parse::<InstanceId>().unwrap().as_str(), "sixteen-chars-ok");
        assert!(matches!("seventeen-chars-x".parse::<InstanceId>(), Err(IdError::Length { len: 17, max: 16, .. })));
        assert!(matches!("Grid".parse::<InstanceId>(), Err(IdError::Character { bad: 'G', .. })));
        assert!(matches!("".parse::<Symbol>(), Err(IdError::Length { len: 0, .. })));
    }
}
