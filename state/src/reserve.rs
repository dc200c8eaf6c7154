//! The reserve: a file that can be given up when the disk is full, so that what has to be written still can be.
//!
//! Owns `<state dir>/reserve`. Promises that a reserve that is there holds its bytes on the device (allocated, not
//! merely promised by a length), and that it is never made out of the last free bytes. Never decides when to give up.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// How much is set aside: enough for the close-out of every instance and for opening the store again.
pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

const RESERVE: &str = "reserve";
const NEW_RESERVE: &str = "reserve.new";
static BLOCK: [u8; 64 * 1024] = [0; 64 * 1024];

/// Why the reserve is not there, or could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// The system refused.
    #[error("reserve {} cannot be {during}: {source}", .path.display())]
    Io {
        /// The reserve's file.
        path: PathBuf,
        /// Made, removed or measured.
        during: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// With the reserve the disk would be full again at once.
    #[error("reserve {} needs {needed} bytes and as many again to spare, free are {free}", .path.display())]
    Scarce {
        /// The reserve's file.
        path: PathBuf,
        /// Its length in bytes.
        needed: u64,
        /// What the file system has for us, in bytes.
        free: u64,
    },
    /// What is to be written could use up the space that a full disk needs.
    #[error("{} needs {needed} bytes (what is to be written, and twice the reserve to spare), free are {free}: free \
        some space or choose another file system", .dir.display())]
    NoRoom {
        /// Where it was to be written.
        dir: PathBuf,
        /// What has to be free, in bytes.
        needed: u64,
        /// What the file system has for us, in bytes.
        free: u64,
    },
}

/// The reserve of a state directory.
#[derive(Debug, Clone)]
pub struct Reserve {
    dir: PathBuf,
}

impl Reserve {
    /// The reserve in the state directory `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    /// The reserve of the state directory that holds the store `store_dir`.
    pub fn beside(store_dir: &Path) -> Self {
        Self::new(store_dir.parent().unwrap_or(store_dir))
    }

    /// Its file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(RESERVE)
    }

    /// Whether it is there in full length.
    pub fn is_whole(&self, bytes: u64) -> bool {
        fs::metadata(self.path()).is_ok_and(|file| file.is_file() && file.len() >= bytes)
    }

    /// Whether `bytes` can be written to `dir` so that twice the reserve stays free; where there is no reserve, the
    /// usual one counts.
    pub fn spares(&self, dir: &Path, bytes: u64) -> Result<(), ReserveError> {
        let reserve = fs::metadata(self.path()).map_or(RESERVE_BYTES, |file| file.len());
        let needed = reserve.saturating_mul(2).saturating_add(bytes);
        let free = free_bytes(dir).map_err(|source| self.error("compared with what is free", source))?;
        if free < needed { Err(ReserveError::NoRoom { dir: dir.to_path_buf(), needed, free }) } else { Ok(()) }
    }

    /// Sets `bytes` aside, durable when it returns; nothing to do if they are. Refused while fewer than twice as many
    /// are free.
    pub fn make(&self, bytes: u64) -> Result<(), ReserveError> {
        if self.is_whole(bytes) {
            return Ok(());
        }
        let free = free_bytes(&self.dir).map_err(|source| self.error("measured", source))?;
        if free < bytes.saturating_mul(2) {
            return Err(ReserveError::Scarce { path: self.path(), needed: bytes, free });
        }
        let new = self.dir.join(NEW_RESERVE);
        self.fill(&new, bytes).map_err(|source| {
            // Half a reserve only takes space away.
            let _ = fs::remove_file(&new);
            self.error("made", source)
        })
    }

    /// Gives it up; no error if there is none.
    pub fn release(&self) -> Result<(), ReserveError> {
        let removed = [NEW_RESERVE, RESERVE].map(|name| match fs::remove_file(self.dir.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        });
        removed.into_iter().collect::<io::Result<()>>().map_err(|source| self.error("removed", source))
    }

    fn fill(&self, new: &Path, bytes: u64) -> io::Result<()> {
        let file = File::create(new)?;
        allocate(&file, bytes)?;
        file.sync_all()?;
        fs::rename(new, self.path())?;
        File::open(&self.dir)?.sync_all()
    }

    fn error(&self, during: &'static str, source: io::Error) -> ReserveError {
        ReserveError::Io { path: self.path(), during, source }
    }
}

/// What an unprivileged process may still write to the file system of `dir`, in bytes.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Some file systems allocate on writing only.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, bytes),
        Err(error) => Err(error.into()),
    }
}

fn write_zeros(mut file: &File, bytes: u64) -> io::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK.len(), |left| left.min(BLOCK.len()));
        file.write_all(&BLOCK[..length])?;
        left -= length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_reserve_is_allocated_once_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path());
        reserve.release().unwrap();
        reserve.make(300_000).unwrap();
        let file = fs::metadata(reserve.path()).unwrap();
        assert_eq!(file.len(), 300_000);
        assert!(file.blocks() * 512 >= 300_000, "allocated, not only promised");
        reserve.make(200_000).unwrap();
        assert_eq!(fs::metadata(reserve.path()).unwrap().len(), 300_000, "enough is there");
        assert!(!reserve.is_whole(300_001));
        reserve.release().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_would_come_near_the_reserve_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path());
        reserve.make(4096).unwrap();
        reserve.spares(dir.path(), 1).unwrap();
        let error = reserve.spares(dir.path(), u64::MAX / 2).unwrap_err();
        assert!(matches!(error, ReserveError::NoRoom { needed, .. } if needed == u64::MAX / 2 + 8192), "{error}");
        reserve.release().unwrap();
        let error = reserve.spares(dir.path(), u64::MAX / 2).unwrap_err();
        assert!(matches!(error, ReserveError::NoRoom { needed, .. } if needed == u64::MAX / 2 + 2 * RESERVE_BYTES));
    }

    /// The file is as long as all that is free, and twice that is to stay free.
    #[test]
    fn a_backup_that_could_use_up_the_reserve_is_not_written() {
        let root = tempfile::tempdir().unwrap();
        let lock = crate::lock::StateDir::acquire(root.path()).unwrap();
        let store = crate::store::Store::open(&lock).unwrap();
        let reserve = Reserve::new(root.path());
        File::create(reserve.path()).unwrap().set_len(free_bytes(root.path()).unwrap()).unwrap();
        let backups = root.path().join("backups");
        let error = crate::backup::create(&store, &backups, 0, 3).unwrap_err().to_string();
        assert!(error.contains("free are") && error.contains(&backups.display().to_string()), "{error}");
        assert_eq!(fs::read_dir(&backups).unwrap().count(), 0);
        reserve.release().unwrap();
        reserve.make(4096).unwrap();
        crate::backup::create(&store, &backups, 0, 3).unwrap();
    }

    #[test]
    fn zeros_do_where_nothing_can_be_allocated() {
        let file = tempfile::tempfile().unwrap();
        write_zeros(&file, 150_001).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 150_001);
    }

    #[test]
    fn the_last_free_bytes_are_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let free = free_bytes(dir.path()).unwrap();
        assert!(free > 0);
        let reserve = Reserve::new(dir.path());
        let error = reserve.make(u64::MAX / 4).unwrap_err();
        assert!(matches!(error, ReserveError::Scarce { needed, .. } if needed == u64::MAX / 4), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let gone = Reserve::new(&dir.path().join("gone")).make(1).unwrap_err();
        assert!(matches!(gone, ReserveError::Io { during: "measured", .. }), "{gone}");
    }
}
