//! A file read front to back, record by record, with its offset at hand.
//!
//! Sections: none.
//! In: bytes from a file or a pipe, perhaps a few at a time.
//! Out: records of known size; or damage, and where.

use std::fmt::Display;
use std::io::{self, Read};

use anyhow::anyhow;

use crate::failure::Failure;

/// A file that is read front to back.
pub(super) struct Stream {
    name: String,
    input: Box<dyn Read>,
    /// Bytes read so far.
    offset: u64,
    /// Where the record being read starts.
    record: u64,
}

impl Stream {
    pub(super) fn new(name: String, input: impl Read + 'static) -> Self {
        Stream { name, input: Box::new(input), offset: 0, record: 0 }
    }

    /// The first `N` bytes of the next record; nothing at the end of the file.
    pub(super) fn start<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Failure> {
        self.record = self.offset;
        let mut bytes = [0; N];
        match self.fill(&mut bytes)? {
            0 => Ok(None),
            n if n == N => Ok(Some(bytes)),
            n => Err(self.damage(format_args!("the file ends {n} bytes into a header of {N}"))),
        }
    }

    /// Appends the record's next `n` bytes to `record`. The caller has made sure that `n` is reasonable.
    pub(super) fn rest(&mut self, record: &mut Vec<u8>, n: usize) -> Result<(), Failure> {
        let start = record.len();
        record.resize(start + n, 0);
        match self.fill(&mut record[start..])? {
            read if read == n => Ok(()),
            read => Err(self.damage(format_args!("the file ends {read} bytes into a record of {n}"))),
        }
    }

    /// An error that names the file and the record's offset.
    pub(super) fn damage(&self, what: impl Display) -> Failure {
        Failure::Failed(anyhow!("{} is damaged at offset {}: {what}", self.name, self.record))
    }

    /// An error that names the file.
    pub(super) fn refused(&self, what: impl Display) -> Failure {
        Failure::refused(format_args!("{}: {what}", self.name))
    }

    /// Reads until `bytes` are full or the file ends; says how many.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.input.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let offset = self.offset;
                    return Err(Failure::Failed(anyhow!(e).context(format!("{} at offset {offset}", self.name))));
                }
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }
}
