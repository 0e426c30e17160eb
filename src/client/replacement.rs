//! Files that are replaced by whole ones.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What takes a file's place once it is whole. What is no file (a pipe, a terminal) is written to.
pub(crate) struct Replacement {
    path: PathBuf,
    /// Where it grows until then.
    part: PathBuf,
    file: File,
}

impl Replacement {
    /// A link stays one: what it leads to is replaced. One that the kernel makes up (/dev/stdout) leads to
    /// what somebody has open, which is written to.
    pub(crate) fn of(given: &Path) -> Result<Self, String> {
        let path = fs::canonicalize(given).unwrap_or_else(|_| given.to_owned());
        let is_link = fs::symlink_metadata(given).is_ok_and(|it| it.is_symlink());
        let is_open_file = is_link && fs::read_link(given).is_ok_and(|to| to.starts_with("/proc"));
        let is_other = is_open_file || fs::metadata(given).is_ok_and(|it| !it.is_file());
        let part = if is_other {
            given.to_owned()
        } else {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}.part", std::process::id()));
            path.with_file_name(name)
        };
        let file = File::options()
            .append(is_other)
            .write(true)
            .create(!is_other)
            .truncate(!is_other)
            .open(&part)
            .map_err(|error| cannot_write(given, &error))?;
        let path = if is_other { part.clone() } else { path };
        Ok(Self { path, part, file })
    }

    pub(crate) fn write(mut self, text: &str) -> Result<(), String> {
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| {
                if self.part == self.path {
                    Ok(())
                } else {
                    fs::rename(&self.part, &self.path)
                }
            })
            .map_err(|error| cannot_write(&self.path, &error))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // It is there only where something went wrong.
        if self.part != self.path {
            let _ = fs::remove_file(&self.part);
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}
