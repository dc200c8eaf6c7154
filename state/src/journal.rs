//! The contract between the recorder and whatever keeps facts.
//!
//! Owns [`StateStore`], the facts that cross it and the errors of stores. Promises nothing itself; the store on disk
//! and the one in memory keep the contract, and tests break it on purpose.

use std::path::PathBuf;

use crate::backup::BackupError;
use crate::chunks::ChunkFault;
use crate::disk::DiskError;
use crate::key::{FactId, InstanceKey};
use crate::mark::MarkError;
use crate::marks::MarksError;
use crate::record::RecordFault;
use crate::reserve::ReserveError;

/// How many snapshots of an instance stay: the newest and one to fall back on.
pub const SNAPSHOTS_KEPT: usize = 2;

/// A fact to be written; its epoch is the store's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFact {
    /// Whose fact it is.
    pub instance: InstanceKey,
    /// Its number in the instance's sequence.
    pub seq: u64,
    /// Its bytes, which the store does not read.
    pub payload: Vec<u8>,
}

/// A fact as it was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFact {
    /// The epoch in which it was written.
    pub epoch: u32,
    /// Its number in the instance's sequence.
    pub seq: u64,
    /// Its bytes, as they were given.
    pub payload: Vec<u8>,
}

impl StoredFact {
    /// Its place in the sequence.
    pub fn id(&self) -> FactId {
        FactId { epoch: self.epoch, seq: self.seq }
    }
}

/// Where the recorder writes.
pub trait StateStore: Send + Sync + 'static {
    /// The epoch that new facts belong to.
    fn epoch(&self) -> u32;

    /// The newest fact of an instance, written but perhaps not yet durable.
    fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError>;

    /// Writes all of `facts` or none. They are durable after the next [`StateStore::sync`]. Whether the sequence is
    /// dense is the caller's care.
    fn append(&self, facts: Vec<NewFact>) -> Result<(), StoreError>;

    /// Returns when everything written so far is on the device.
    fn sync(&self) -> Result<(), StoreError>;

    /// Writes the state of an instance after fact `seq` (in the store's epoch) and forgets all but the two newest, in
    /// one atomic write; a snapshot of the same place is replaced. Durable after the next [`StateStore::sync`].
    fn write_snapshot(&self, instance: &InstanceKey, seq: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Removes up to `rows_max` rows of facts that are older than each kept snapshot and not among the `facts_kept`
    /// newest. Without a snapshot to fall back on nothing is removed.
    fn prune(&self, instance: &InstanceKey, facts_kept: u64, rows_max: usize) -> Result<Pruned, StoreError>;

    /// Whether the store still takes writes; an error once one of them has failed, whoever asked for it.
    fn check(&self) -> Result<(), StoreError>;

    /// After a full disk: gives the reserve back to the file system and opens the store again. What was not synced
    /// may be gone, wholly or from some write on.
    fn relieve(&self) -> Result<(), StoreError>;

    /// Sets `bytes` aside for [`StateStore::relieve`]; done already if they are.
    fn replenish(&self, bytes: u64) -> Result<(), StoreError>;
}

/// What a step of pruning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Facts removed.
    pub facts: u64,
    /// Whether more could be removed at once.
    pub more: bool,
}

impl StoreError {
    /// Whether the disk, or this user's share of it, is full: the one failure after which writing may go on.
    pub fn is_storage_full(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_storage_full())
    }
}

fn place(id: &Option<FactId>) -> String {
    id.map_or_else(|| "none".to_string(), |id| id.to_string())
}

/// What a store refuses or finds damaged.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database or the system below it failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The reserve for a full disk could not be made or given back.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// The epoch mark failed or is damaged.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// The high-water marks could not be read or made.
    #[error(transparent)]
    Marks(#[from] MarksError),
    /// An instance has lost records: its mark says that it had more.
    #[error("instance {instance} has lost records: {} was durable, the newest fact is {}",
        place(.known), place(.found))]
    BelowMark {
        /// Whose records they are.
        instance: InstanceKey,
        /// Its last durable fact, as marked; the loss may be one of snapshots only.
        known: Option<FactId>,
        /// Its newest fact.
        found: Option<FactId>,
    },
    /// The latches are not those that were stored.
    #[error("the latches are damaged: {known} were stored, {found} are there, or others than those")]
    LatchesLost {
        /// How many were marked.
        known: u32,
        /// How many are there.
        found: u32,
    },
    /// An earlier version of this program wrote the store: it has to be migrated.
    #[error("store {} has schema version {found}, this version writes {supported}: it has to be migrated",
        .dir.display())]
    OlderSchema {
        /// The store's directory.
        dir: PathBuf,
        /// The version that it names.
        found: u32,
        /// The version written now.
        supported: u32,
    },
    /// A record of an earlier version could not be migrated; nothing was changed.
    #[error("instance {instance}: the {kind} at {id} cannot be migrated from schema version {from}: {message}")]
    Migration {
        /// Whose record it is.
        instance: InstanceKey,
        /// Fact or snapshot.
        kind: &'static str,
        /// Its place.
        id: FactId,
        /// The version that wrote it.
        from: u32,
        /// What the migration says.
        message: String,
    },
    /// The keys of the store cannot be read through.
    #[error("store {} cannot be read: {problem}", .dir.display())]
    Unreadable {
        /// The store's directory.
        dir: PathBuf,
        /// The first thing that is wrong.
        problem: String,
    },
    /// A backup could not be used.
    #[error(transparent)]
    Backup(Box<BackupError>),
    /// A file or directory beside the store could not be handled.
    #[error("{} cannot be {during}: {source}", .path.display())]
    Beside {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        during: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A store that was built to replace a damaged one is damaged itself; nothing was changed.
    #[error("a new store was built in {} and does not verify: {problem}; the disk may be failing", .dir.display())]
    BadCopy {
        /// Where it was built.
        dir: PathBuf,
        /// The first thing that is wrong with it.
        problem: String,
    },
    /// The store is older than its state directory: it was lost, damaged or replaced, and order ids would repeat.
    #[error(
        "store {} is at epoch {stored}, but this state directory has seen epoch {marked}: the store was lost, damaged \
         or replaced; restore it, or remove {} and the marks beside it to begin anew without its history",
        .dir.display(), .mark.display()
    )]
    Rewound {
        /// The store's directory.
        dir: PathBuf,
        /// The epoch that the store names, 0 if it is empty.
        stored: u32,
        /// The epoch that was marked.
        marked: u32,
        /// The mark's file.
        mark: PathBuf,
    },
    /// The store's directory could not be created.
    #[error("store {} cannot be created: {source}", .dir.display())]
    Create {
        /// The store's directory.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A later version of this program wrote the store.
    #[error(
        "store {} has schema version {found}, this version knows up to {supported}: a newer supervisor wrote it, \
         start that one or choose another --state-dir", .dir.display()
    )]
    NewerSchema {
        /// The store's directory.
        dir: PathBuf,
        /// The version that it names.
        found: u32,
        /// The newest version known here.
        supported: u32,
    },
    /// The store names a schema version that never existed.
    #[error("store {} has schema version {found}, which never existed", .dir.display())]
    UnknownSchema {
        /// The store's directory.
        dir: PathBuf,
        /// The version that it names.
        found: u32,
    },
    /// The store holds records and lacks its own description: rows were lost.
    #[error("store {} holds records but its {name} is missing", .dir.display())]
    MetaMissing {
        /// The store's directory.
        dir: PathBuf,
        /// Which entry.
        name: &'static str,
    },
    /// An entry of the store's own description is damaged.
    #[error("store {}: its {name} is damaged: {fault}", .dir.display())]
    MetaDamaged {
        /// The store's directory.
        dir: PathBuf,
        /// Which entry.
        name: &'static str,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// Facts are newer than the epoch counter: it was lost or restored, and order ids could repeat.
    #[error("the store's epoch is {epoch}, but instance {instance} has facts of {found}")]
    EpochBehind {
        /// The counter as stored.
        epoch: u32,
        /// An instance that is ahead of it.
        instance: InstanceKey,
        /// Its newest fact.
        found: FactId,
    },
    /// The epoch counter has reached its end.
    #[error("the store's epoch counter is used up")]
    EpochsUsedUp,
    /// A key that this program does not write.
    #[error("a {kind} has the foreign key {key:02x?}")]
    ForeignKey {
        /// What the row should be.
        kind: &'static str,
        /// The key.
        key: Vec<u8>,
    },
    /// A fact's seal does not hold.
    #[error("fact {id} of instance {instance} is damaged: {fault}")]
    DamagedFact {
        /// Whose fact it is.
        instance: InstanceKey,
        /// Which one.
        id: FactId,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// A long fact's pieces do not hold.
    #[error("fact {id} of instance {instance} is damaged: {fault}")]
    DamagedLongFact {
        /// Whose fact it is.
        instance: InstanceKey,
        /// Which one.
        id: FactId,
        /// What is wrong with it.
        fault: ChunkFault,
    },
    /// Facts are missing between two that are there.
    #[error("the facts of instance {instance} have a hole: {after} is followed by {found}")]
    Hole {
        /// Whose facts they are.
        instance: InstanceKey,
        /// The last one before the hole.
        after: FactId,
        /// The first one behind it.
        found: FactId,
    },
    /// A snapshot's pieces do not hold.
    #[error("snapshot {id} of instance {instance} is damaged: {fault}")]
    DamagedSnapshot {
        /// Whose snapshot it is.
        instance: InstanceKey,
        /// After which fact it was taken.
        id: FactId,
        /// What is wrong with it.
        fault: ChunkFault,
    },
    /// A latch's seal does not hold.
    #[error("latch {name:?} is damaged: {fault}")]
    DamagedLatch {
        /// Its name.
        name: String,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// A latch's name or value has a length that is not allowed.
    #[error("latch {name:?}: its {what} has {bytes} bytes, allowed are {min} to {max}")]
    LatchLength {
        /// Its name.
        name: String,
        /// Name or value.
        what: &'static str,
        /// The length given.
        bytes: usize,
        /// The shortest allowed.
        min: usize,
        /// The longest allowed.
        max: usize,
    },
}
