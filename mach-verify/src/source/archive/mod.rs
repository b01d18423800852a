//! Many blocks in one file.

mod format;

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, BlockNumber, ChainId};
use mach_core::ports::BoxError;

use self::format::{FILE_HEADER_BYTES, RECORD_HEADER_BYTES, RecordHeader};
use super::{MAX_FILE_BYTES, RecordedBlock};

/// Blocks of one chain with their witnesses, compressed, in one file that grows at its end.
///
/// | bytes | |
/// |---|---|
/// | 24 | once: `mach-arc`, version 1 (u32), chain id (u64), CRC-32 of these |
/// | 52 | for each block: height (u64), hash (32 bytes), length of the payload (u32), CRC-32 of the payload, CRC-32 of these |
/// | length | payload: gzip of an RLP list of block, claimed state root of the parent, nodes, codes, keys, headers, claimed block hashes, who recorded it |
///
/// Numbers are big-endian. The index is made by stepping over the records when the file is opened
/// and takes about 100 bytes of memory a block. A record that a crash left unfinished at the end
/// is passed over, and written again by whoever goes on recording; damage anywhere else is an
/// error that names the place.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: File,
    chain_id: ChainId,
    index: BTreeMap<BlockNumber, Place>,
    /// Where the next record goes.
    end: u64,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: B256,
    payload: u64,
    length: u32,
    checksum: u32,
}

impl Archive {
    /// Opens an archive to read it.
    ///
    /// Errors: [`ArchiveError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ArchiveError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(ArchiveError::io(path))?;
        Self::index(path, file)
    }

    /// Opens an archive to add to it, or makes one. While it is open nobody else can add.
    ///
    /// What a crash left unfinished at the end is cut off.
    ///
    /// Errors: [`ArchiveError`]; also if the archive is of another chain.
    pub fn append_to(path: impl AsRef<Path>, chain_id: ChainId) -> Result<Self, ArchiveError> {
        let path = path.as_ref();
        let io = ArchiveError::io(path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(&io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ArchiveError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        if file.metadata().map_err(&io)?.len() < FILE_HEADER_BYTES {
            let mut start = Vec::new();
            file.read_to_end(&mut start).map_err(&io)?;
            let header = format::file_header(chain_id);
            if !header.starts_with(&start) {
                return Err(ArchiveError::NotAnArchive(path.to_owned()));
            }
            file.rewind().map_err(&io)?;
            file.write_all(&header).map_err(&io)?;
            file.sync_all().map_err(&io)?;
        }
        let archive = Self::index(path, file)?;
        if archive.chain_id != chain_id {
            return Err(ArchiveError::OtherChain {
                archive: archive.chain_id,
                block: chain_id,
            });
        }
        archive.file.set_len(archive.end).map_err(&io)?;
        Ok(archive)
    }

    /// The chain.
    pub const fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Heights that are there, ascending.
    pub fn numbers(&self) -> impl DoubleEndedIterator<Item = BlockNumber> {
        self.index.keys().copied()
    }

    /// Hash of the block at a height, if it is there.
    pub fn hash(&self, number: BlockNumber) -> Option<B256> {
        self.index.get(&number).map(|place| place.hash)
    }

    /// Block and witness at a height; `None` if it is not there.
    ///
    /// Errors: [`ArchiveError`].
    pub fn read(&self, number: BlockNumber) -> Result<Option<RecordedBlock>, ArchiveError> {
        let Some(place) = self.index.get(&number) else {
            return Ok(None);
        };
        let payload = self.payload(place)?;
        let record = format::decode(self.chain_id, &payload)
            .map_err(|source| ArchiveError::Record { number, source })?;
        if record.block.number() != number || record.block.hash() != place.hash {
            return Err(ArchiveError::Record {
                number,
                source: "it holds another block".into(),
            });
        }
        Ok(Some(record))
    }

    /// Adds a block. One that is there already is not added again.
    ///
    /// The block is on the disk when this returns.
    ///
    /// Errors: [`ArchiveError`]; the archive is as it was.
    pub fn append(&mut self, record: &RecordedBlock) -> Result<(), ArchiveError> {
        let block = &record.block;
        if block.chain_id != self.chain_id {
            return Err(ArchiveError::OtherChain {
                archive: self.chain_id,
                block: block.chain_id,
            });
        }
        let number = block.number();
        match self.hash(number) {
            Some(held) if held == block.hash() => return Ok(()),
            Some(held) => return Err(ArchiveError::OtherBlock { number, held }),
            None => {}
        }
        let payload =
            format::encode(record).map_err(|source| ArchiveError::Record { number, source })?;
        let header = RecordHeader {
            number,
            hash: block.hash(),
            length: u32::try_from(payload.len()).map_err(|source| ArchiveError::Record {
                number,
                source: source.into(),
            })?,
            checksum: format::checksum(&payload),
        };
        let io = ArchiveError::io(&self.path);
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(&payload);
        let written = (self.file.seek(SeekFrom::Start(self.end)))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a record would look like damage to whoever appends after it.
            let _ = self.file.set_len(self.end);
            return Err(io(error));
        }
        self.index.insert(number, Place::of(&header, self.end));
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn index(path: &Path, file: File) -> Result<Self, ArchiveError> {
        let io = ArchiveError::io(path);
        let length = file.metadata().map_err(&io)?.len();
        let mut reader = BufReader::new(&file);
        reader.rewind().map_err(&io)?;
        let mut start = [0; FILE_HEADER_BYTES as usize];
        reader
            .read_exact(&mut start)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ArchiveError::NotAnArchive(path.to_owned()),
                _ => io(error),
            })?;
        let chain_id = format::parse_file_header(&start)
            .ok_or_else(|| ArchiveError::NotAnArchive(path.to_owned()))?
            .map_err(ArchiveError::Version)?;

        let mut index = BTreeMap::new();
        let mut end = FILE_HEADER_BYTES;
        let mut last = None;
        while length - end >= RECORD_HEADER_BYTES {
            let mut bytes = [0; RECORD_HEADER_BYTES as usize];
            reader.read_exact(&mut bytes).map_err(&io)?;
            let Some(header) = RecordHeader::parse(&bytes) else {
                // A file system may have made the file longer and have written little of it, or
                // nothing: no header ends with a checksum of zero and has nothing behind it.
                if is_zero(bytes.last_chunk::<4>().unwrap_or(&[1; 4]))
                    && rest_is_zero(&mut reader).map_err(&io)?
                {
                    break;
                }
                return Err(ArchiveError::Damaged { offset: end });
            };
            if u64::from(header.length) > MAX_FILE_BYTES {
                return Err(ArchiveError::Damaged { offset: end });
            }
            let place = Place::of(&header, end);
            let next = place.payload + u64::from(header.length);
            if next > length {
                break;
            }
            if index.insert(header.number, place).is_some() {
                return Err(ArchiveError::Twice(header.number));
            }
            last = Some((header.number, place, end));
            end = next;
            reader
                .seek_relative(i64::from(header.length))
                .map_err(&io)?;
        }
        let mut archive = Self {
            path: path.to_owned(),
            file,
            chain_id,
            index,
            end,
        };
        // Only the last payload can be unfinished without the file being too short for it.
        if let Some((number, place, offset)) = last
            && matches!(archive.payload(&place), Err(ArchiveError::Damaged { .. }))
        {
            archive.index.remove(&number);
            archive.end = offset;
        }
        Ok(archive)
    }

    fn payload(&self, place: &Place) -> Result<Vec<u8>, ArchiveError> {
        let io = ArchiveError::io(&self.path);
        // `index` has compared the length with that of the file, and with its bound.
        let mut payload = vec![0; place.length as usize];
        let mut file = &self.file;
        read_at(&mut file, place.payload, &mut payload).map_err(io)?;
        if format::checksum(&payload) != place.checksum {
            return Err(ArchiveError::Damaged {
                offset: place.payload,
            });
        }
        Ok(payload)
    }
}

impl Place {
    const fn of(header: &RecordHeader, offset: u64) -> Self {
        Self {
            hash: header.hash,
            payload: offset + RECORD_HEADER_BYTES,
            length: header.length,
            checksum: header.checksum,
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn rest_is_zero(reader: &mut impl Read) -> io::Result<bool> {
    let mut buffer = [0; 8192];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(true),
            count if is_zero(buffer.get(..count).unwrap_or_default()) => {}
            _ => return Ok(false),
        }
    }
}

/// Reads whole at a place, without a cursor that others move.
#[cfg(unix)]
fn read_at(file: &mut &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(*file, bytes, offset)
}

#[cfg(not(unix))]
fn read_at(file: &mut &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    let mut own = file.try_clone()?;
    own.seek(SeekFrom::Start(offset))?;
    own.read_exact(bytes)
}

/// Why an archive cannot be read or added to.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file does not begin like an archive.
    #[error("{} is not an archive of blocks", .0.display())]
    NotAnArchive(PathBuf),
    /// The archive was made by a later version of mach.
    #[error("version {0} of the archive format is not known")]
    Version(u32),
    /// Somebody else adds to the archive.
    #[error("{} is open for writing elsewhere", .0.display())]
    InUse(PathBuf),
    /// The archive is of another chain.
    #[error("the archive is of chain {archive}, not of chain {block}")]
    OtherChain {
        /// Chain of the archive.
        archive: ChainId,
        /// Chain of the block, or the chain asked for.
        block: ChainId,
    },
    /// The archive holds another block at this height.
    #[error("the archive holds another block {number}: {held}")]
    OtherBlock {
        /// The height.
        number: BlockNumber,
        /// Hash of the block that is there.
        held: B256,
    },
    /// A height is there twice.
    #[error("block {0} is in the archive twice")]
    Twice(BlockNumber),
    /// Bytes are not what was written.
    #[error("the archive is damaged at byte {offset}")]
    Damaged {
        /// Place in the file.
        offset: u64,
    },
    /// A record is whole and does not hold the block that it says.
    #[error("block {number} in the archive is malformed")]
    Record {
        /// Height that the record says.
        number: BlockNumber,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
}

impl ArchiveError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path: path.clone(),
            source,
        }
    }
}
