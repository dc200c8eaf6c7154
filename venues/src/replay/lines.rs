//! Lines of a plain or compressed text file: bounded, numbered, UTF-8.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{LoadError, RowFault};

/// Bytes of the longest line that is read.
pub(super) const LINE_MAX: usize = 4_096;
const CHUNK: usize = 1 << 17;
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// A file read line by line.
pub(super) struct Lines {
    path: PathBuf,
    source: BufReader<Box<dyn Read>>,
    compressed: bool,
    line: Vec<u8>,
    number: u64,
    /// The line is to be given once more.
    held: bool,
    /// Bytes on disk.
    size: u64,
}

impl Lines {
    /// Opens a file and looks whether it is compressed.
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        let name = path.to_string_lossy();
        if !name.ends_with(".csv") && !name.ends_with(".csv.gz") {
            return Err(LoadError::Extension { path: path.to_owned() });
        }
        let fail = |source| LoadError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        let mut plain = BufReader::with_capacity(CHUNK, file);
        let compressed = plain.fill_buf().map_err(fail)?.starts_with(&GZIP_MAGIC);
        if name.ends_with(".gz") && !compressed {
            return Err(LoadError::NotGzip { path: path.to_owned() });
        }
        let source: Box<dyn Read> = if compressed { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
        Ok(Self {
            path: path.to_owned(),
            source: BufReader::with_capacity(CHUNK, source),
            compressed,
            line: Vec::with_capacity(256),
            number: 0,
            held: false,
            size,
        })
    }

    /// The next line without its end; `None` at the end of the file. Blank lines may only end the file.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, LoadError> {
        if std::mem::take(&mut self.held) {
            return Ok(Some(&self.line));
        }
        if !self.read()? {
            return Ok(None);
        }
        if self.line.is_empty() {
            let blank = self.number;
            while self.read()? {
                if !self.line.is_empty() {
                    return Err(self.at(blank, RowFault::Blank));
                }
            }
            return Ok(None);
        }
        Ok(Some(&self.line))
    }

    /// Gives the last line once more.
    pub(super) const fn again(&mut self) {
        self.held = true;
    }

    /// Number of the last line, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// About how many rows of so many bytes the file may hold; exact knowledge costs a pass.
    pub(super) fn rows_about(&self, bytes: u64) -> usize {
        let rows = if self.compressed { self.size / (bytes / 4) } else { self.size / bytes };
        usize::try_from(rows).unwrap_or(usize::MAX).min(1 << 20)
    }

    /// The last line's fault as an error of this file.
    pub(super) fn here(&self, fault: RowFault) -> LoadError {
        self.at(self.number, fault)
    }

    /// A line's fault as an error of this file.
    pub(super) fn at(&self, line: u64, fault: RowFault) -> LoadError {
        LoadError::Row { path: self.path.clone(), line, fault }
    }

    /// The last line's columns mean nothing.
    pub(super) fn unknown_layout(&self) -> LoadError {
        let found: String = String::from_utf8_lossy(&self.line).chars().take(100).collect();
        LoadError::Layout { path: self.path.clone(), line: self.number, found }
    }

    /// Fills `line`; false at the end of the file.
    fn read(&mut self) -> Result<bool, LoadError> {
        self.line.clear();
        let bound = LINE_MAX as u64 + 1;
        let read = (&mut self.source).take(bound).read_until(b'\n', &mut self.line).map_err(|e| self.failed(e))?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
        }
        if self.line.len() > LINE_MAX {
            return Err(self.here(RowFault::Long { max: LINE_MAX }));
        }
        if !self.line.is_ascii() {
            self.check_text()?;
        }
        Ok(true)
    }

    /// Text beyond ASCII: a byte order mark goes, the rest must be UTF-8.
    fn check_text(&mut self) -> Result<(), LoadError> {
        if self.number == 1 && self.line.starts_with(b"\xEF\xBB\xBF") {
            self.line.drain(..3);
        }
        match std::str::from_utf8(&self.line) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.here(RowFault::NotUtf8 { byte: error.valid_up_to() + 1 })),
        }
    }

    fn failed(&self, source: io::Error) -> LoadError {
        let (path, line) = (self.path.clone(), self.number);
        match (self.compressed, source.kind()) {
            (true, io::ErrorKind::UnexpectedEof) => LoadError::GzipCut { path, line },
            (true, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                LoadError::GzipDamaged { path, line, source }
            }
            (true | false, _) => LoadError::Read { path, line, source },
        }
    }
}
