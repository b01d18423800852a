//! A log of attempts in a file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, Keccak256};
use serde::{Deserialize, Serialize};

use super::log::{Account, AttemptLog, LogError, Record};

/// Largest file that is read or written, in bytes. It is rewritten long before: what is finished
/// takes a few hundred bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// How each line starts.
const LINE_START: &[u8] = br#"{"sum":"0x"#;

/// [`AttemptLog`] in a file of JSON lines.
///
/// The first line names the account, each other one is a [`Record`]. Every line carries a checksum over
/// itself and all before it, and is on disk before the transaction is sent. A last line that was
/// not written to its end is dropped; a line that was changed, lost or moved is an error.
///
/// A lock on `<path>.lock` keeps other processes out for as long as the value lives.
#[derive(Debug)]
pub struct FileLog {
    path: PathBuf,
    file: File,
    _lock: Held,
    sum: B256,
    length: u64,
    failed: bool,
}

/// A lock on a file, until it is dropped. Closing the file would not do: a child that another thread has
/// just forked holds a copy of it until it becomes another program.
#[derive(Debug)]
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// What stands in a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Account(Account),
    #[serde(untagged)]
    Record(Record),
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Of the line before and the entry.
    sum: B256,
    entry: Entry,
}

impl FileLog {
    /// Opens the log at `path`, which is created if there is none.
    ///
    /// Errors: [`LogError::InUse`], [`LogError::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, LogError> {
        let path = path.into();
        let lock = open(&beside(&path, "lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LogError::InUse(shown(&path))),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let file = open(&path)?;
        sync_directory(&path)?;
        Ok(Self {
            path,
            file,
            _lock: Held(lock),
            sum: B256::ZERO,
            length: 0,
            failed: false,
        })
    }

    /// Reads and checks every line; leaves the file without its torn end.
    fn read(&mut self) -> Result<Vec<Entry>, LogError> {
        let size = self.file.metadata()?.len();
        if size > MAX_BYTES {
            return Err(LogError::Full(size));
        }
        self.file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        (&self.file).take(MAX_BYTES).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        // Without a whole line it is a log only if its first one was torn. Anything else, such as a key
        // file, must not be cut.
        let foreign = bytes.iter().zip(LINE_START).any(|(is, ought)| is != ought);
        if whole.is_none() && foreign {
            return Err(LogError::Damaged {
                log: shown(&self.path),
                line: 1,
                reason: "this is not a log".to_owned(),
            });
        }
        bytes.truncate(whole.map_or(0, |end| end + 1));
        let mut sum = B256::ZERO;
        let mut entries = Vec::new();
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let damaged = |reason: String| LogError::Damaged {
                log: shown(&self.path),
                line: index + 1,
                reason,
            };
            let line: Line =
                serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
            let expected = checksum(sum, &line.entry)?;
            if line.sum != expected {
                return Err(damaged("the checksum does not fit".to_owned()));
            }
            if matches!(line.entry, Entry::Account(_)) != (index == 0) {
                return Err(damaged("the account stands in the first line".to_owned()));
            }
            sum = expected;
            entries.push(line.entry);
        }
        self.sum = sum;
        self.cut(bytes.len() as u64)?;
        Ok(entries)
    }

    fn write(&mut self, entry: Entry) -> Result<(), LogError> {
        if self.failed {
            return Err(std::io::Error::other("an earlier write was not undone").into());
        }
        let (sum, line) = encode(self.sum, entry)?;
        let length = self.length.saturating_add(line.len() as u64);
        if length > MAX_BYTES {
            return Err(LogError::Full(self.length));
        }
        let written = self
            .file
            .write_all(&line)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line in the middle would make the whole file unreadable.
            self.failed = self.cut(self.length).is_err();
            return Err(error.into());
        }
        (self.sum, self.length) = (sum, length);
        Ok(())
    }

    fn cut(&mut self, length: u64) -> Result<(), LogError> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.file.sync_data()?;
        self.length = length;
        Ok(())
    }
}

impl AttemptLog for FileLog {
    fn load(&mut self, account: Account) -> Result<Vec<Record>, LogError> {
        let mut entries = self.read()?.into_iter();
        match entries.next() {
            Some(Entry::Account(recorded)) if recorded != account => {
                return Err(LogError::Account { recorded, account });
            }
            Some(_) => {}
            None => self.write(Entry::Account(account))?,
        }
        let records = entries.filter_map(|entry| match entry {
            Entry::Record(record) => Some(record),
            Entry::Account(_) => None,
        });
        Ok(records.collect())
    }

    fn append(&mut self, record: &Record) -> Result<(), LogError> {
        self.write(Entry::Record(record.clone()))
    }

    fn replace(&mut self, records: &[Record]) -> Result<(), LogError> {
        let Some(Entry::Account(account)) = self.read()?.into_iter().next() else {
            return Err(std::io::Error::other("the log was not loaded").into());
        };
        let (mut sum, mut lines) = encode(B256::ZERO, Entry::Account(account))?;
        for record in records {
            let (next, line) = encode(sum, Entry::Record(record.clone()))?;
            sum = next;
            lines.extend(line);
        }
        let path = beside(&self.path, "new");
        let mut file = open(&path)?;
        file.set_len(0)?;
        file.write_all(&lines)?;
        file.sync_all()?;
        std::fs::rename(&path, &self.path)?;
        // From here on the old file has no name: what is written to it would be lost.
        (self.file, self.sum, self.length) = (file, sum, lines.len() as u64);
        sync_directory(&self.path)
    }
}

/// The line of an entry and the checksum that the next line builds on.
fn encode(before: B256, entry: Entry) -> Result<(B256, Vec<u8>), LogError> {
    let sum = checksum(before, &entry)?;
    let mut line = serde_json::to_vec(&Line { sum, entry }).map_err(std::io::Error::other)?;
    line.push(b'\n');
    Ok((sum, line))
}

fn checksum(before: B256, entry: &Entry) -> Result<B256, LogError> {
    let mut hasher = Keccak256::new();
    hasher.update(before);
    hasher.update(serde_json::to_vec(entry).map_err(std::io::Error::other)?);
    Ok(hasher.finalize())
}

fn open(path: &Path) -> Result<File, LogError> {
    let mut options = OpenOptions::new();
    Ok(options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?)
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A new name is on disk once its directory is.
fn sync_directory(path: &Path) -> Result<(), LogError> {
    if cfg!(unix) {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::log::{Finished, Outcome},
        *,
    };
    use alloy_primitives::{Address, Bytes};

    const ACCOUNT: Account = Account {
        chain_id: 1,
        address: Address::repeat_byte(0xaa),
    };

    fn attempt(number: u8) -> Record {
        Record::Attempt {
            intent: B256::repeat_byte(number),
            raw: Bytes::from(vec![number; 3]),
        }
    }

    fn finished(number: u8) -> Record {
        Record::Finished(Finished {
            intent: B256::repeat_byte(number),
            nonce: number.into(),
            transaction: B256::repeat_byte(0xff),
            outcome: Outcome::Succeeded,
        })
    }

    fn load(path: &Path) -> Result<Vec<Record>, LogError> {
        FileLog::open(path)?.load(ACCOUNT)
    }

    /// A log of three records, and its text.
    fn written(directory: &tempfile::TempDir) -> (PathBuf, String) {
        let path = directory.path().join("attempts.jsonl");
        let mut log = FileLog::open(&path).unwrap();
        assert_eq!(log.load(ACCOUNT).unwrap(), []);
        for record in [attempt(1), attempt(2), finished(1)] {
            log.append(&record).unwrap();
        }
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (path, text) = written(&directory);
        assert_eq!(text.lines().count(), 4);
        let mut log = FileLog::open(&path).unwrap();
        let records = [attempt(1), attempt(2), finished(1)];
        assert_eq!(log.load(ACCOUNT).unwrap(), records);
        log.append(&attempt(3)).unwrap();
        log.replace(&[finished(1), attempt(3)]).unwrap();
        log.append(&finished(3)).unwrap();
        drop(log);
        assert_eq!(load(&path).unwrap(), [finished(1), attempt(3), finished(3)]);
    }

    #[test]
    fn a_torn_end_is_dropped_wherever_it_is_torn() {
        let directory = tempfile::tempdir().unwrap();
        let (path, text) = written(&directory);
        for length in (0..text.len()).step_by(29) {
            std::fs::write(&path, &text[..length]).unwrap();
            let mut log = FileLog::open(&path).unwrap();
            let records = log.load(ACCOUNT).unwrap();
            let lines = text[..length].matches('\n').count();
            assert_eq!(records.len(), lines.saturating_sub(1), "at {length}");
            log.append(&attempt(9)).unwrap();
            drop(log);
            assert_eq!(load(&path).unwrap().last(), Some(&attempt(9)));
        }
    }

    #[test]
    fn damage_is_refused_and_its_line_named() {
        let directory = tempfile::tempdir().unwrap();
        let (path, text) = written(&directory);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let changed = text.replacen("0x0202", "0x0203", 1);
        let cases = [
            (changed.as_str(), 3),
            (&[lines[0], lines[2], lines[3]].concat(), 2),
            (&[lines[0], lines[2], lines[1], lines[3]].concat(), 2),
            (&[lines[0], lines[1], "{}\n", lines[3]].concat(), 3),
            (&[lines[0], lines[0]].concat(), 2),
            (lines[1], 1),
            ("\n", 1),
            // A key file whose path was given by mistake.
            (r#"{"crypto":{"kdf":"scrypt"},"version":3}"#, 1),
            ("0", 1),
        ];
        for (text, expected) in cases {
            std::fs::write(&path, text).unwrap();
            match load(&path) {
                Err(LogError::Damaged { line, .. }) => assert_eq!(line, expected, "{text}"),
                other => panic!("{other:?} for {text}"),
            }
            // Nothing is lost that somebody could still read.
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_log_has_one_user_and_one_account() {
        let directory = tempfile::tempdir().unwrap();
        let (path, _) = written(&directory);
        let log = FileLog::open(&path).unwrap();
        assert!(matches!(FileLog::open(&path), Err(LogError::InUse(_))));
        // As a child has one between its fork and its exec.
        let _copy = log._lock.0.try_clone().unwrap();
        drop(log);
        let other = Account {
            chain_id: 2,
            ..ACCOUNT
        };
        let error = FileLog::open(&path).unwrap().load(other).unwrap_err();
        assert!(matches!(error, LogError::Account { .. }), "{error}");
    }
}
