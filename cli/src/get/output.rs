//! Where a fetched file goes, opened before rights are given up.
//!
//! Sections: none; names are chosen as wget does.
//! In: a name, or a URL.
//! Out: an open file, and how much of it is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::url::Url;
use crate::on::plain;

/// A file in the making.
pub(super) struct Output {
    /// `None` for standard output.
    file: Option<File>,
    pub(super) name: String,
    /// It was made by us, and nothing is in it.
    is_new: bool,
    /// It takes several URLs, one behind the other.
    is_shared: bool,
}

impl Output {
    /// The file that -O names.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let file = if name == "-" { None } else { Some(File::create(name).map_err(|e| cannot(name, &e))?) };
        Ok(Output { file, name: name.to_owned(), is_new: false, is_shared: true })
    }

    /// A file in the current directory, named after the URL. If one is there, it is gone on with, or the next free
    /// of `NAME.1`, `NAME.2`... is taken.
    pub(super) fn of(url: &Url, resume: bool) -> Result<Self, String> {
        let base = url.file_name();
        let mut options = OpenOptions::new();
        options.write(true);
        if resume {
            let is_new = !PathBuf::from(&base).exists();
            let file = options.create(true).truncate(false).open(&base).map_err(|e| cannot(&base, &e))?;
            return Ok(Output { file: Some(file), name: base, is_new, is_shared: false });
        }
        let mut name = base.clone();
        for n in 1_u64.. {
            match options.create_new(true).open(&name) {
                Ok(file) => return Ok(Output { file: Some(file), name, is_new: true, is_shared: false }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => name = format!("{base}.{n}"),
                Err(e) => return Err(cannot(&name, &e)),
            }
        }
        Err(format!("every name like {base} is taken"))
    }

    /// Where the next byte goes: the file's length. Standard output begins anew with each URL.
    pub(super) fn begin(&mut self) -> io::Result<u64> {
        self.file.as_mut().map_or(Ok(0), |file| file.seek(SeekFrom::End(0)))
    }

    /// Whether bytes that are there already belong to this URL.
    pub(super) fn may_resume(&self) -> bool {
        !self.is_shared
    }

    /// Forgets everything from `at` on. False if it has gone where nobody can take it back.
    pub(super) fn rewind(&mut self, at: u64) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        file.set_len(at)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(true)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.is_new = false;
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => io::stdout().lock().write_all(bytes),
        }
    }

    /// A file that was made for nothing goes again.
    pub(super) fn discard_if_empty(&mut self) {
        if self.is_new {
            // If it cannot go, it stays: the trouble that led here is told anyway.
            let _ = fs::remove_file(&self.name);
        }
    }
}

fn cannot(name: &str, error: &io::Error) -> String {
    format!("cannot write {name}: {}", plain(error))
}
