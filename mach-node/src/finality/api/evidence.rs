//! Evidence that verifiers have kept on this machine, for whoever replays it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use alloy_primitives::{B256, ChainId};
use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::warn;
use utoipa::ToSchema;

use super::{
    Api,
    ask::{self, Segments, segments},
    problem::Problem,
};
use crate::http::Streamed;

/// Entries of a folder that are looked at.
const MAX_ENTRIES: usize = 1 << 16;
/// Bundles against one block that are told.
const MAX_BUNDLES: usize = 64;
/// Longest time that a file system takes for two changes to be at one: FAT's.
const GRAIN: Duration = Duration::from_secs(2);
/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// Where the verifiers of this machine keep bundles of evidence, for each rollup.
///
/// A bundle is a file `<chain>-<number>-<block>-<fault>-<what>.json.gz`, with the first 4 bytes of the
/// block's hash. It is served as it is; `mach-cli verify` replays it. A folder is read again when
/// something in it has changed.
#[derive(Clone, Debug, Default)]
pub struct EvidenceFolders(BTreeMap<ChainId, Arc<Folder>>);

impl EvidenceFolders {
    /// Each rollup's folder, which need not be there.
    pub fn new(folders: impl IntoIterator<Item = (ChainId, PathBuf)>) -> Self {
        let folders = folders.into_iter().map(|(rollup, path)| {
            let listing = Mutex::default();
            (rollup, Arc::new(Folder { path, listing }))
        });
        Self(folders.collect())
    }

    /// Bundles against a block, in the order of their names.
    async fn bundles(&self, rollup: ChainId, block: B256) -> Vec<EvidenceFile> {
        let Some(folder) = self.0.get(&rollup).cloned() else {
            return Vec::new();
        };
        let looked = spawn_blocking(move || folder.about(rollup, block));
        match looked.await.map_err(io::Error::other).flatten() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                warn!(rollup, %error, "the folder of evidence is not read");
                Vec::new()
            }
        }
    }
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    listing: Mutex<Option<Listing>>,
}

/// What is in a folder.
#[derive(Debug)]
struct Listing {
    /// When the folder was changed last; `None` if it is so short ago that a change may have come since
    /// without another time.
    changed: Option<SystemTime>,
    /// Bundles, by what their names say of the block.
    bundles: BTreeMap<String, Vec<EvidenceFile>>,
}

impl Folder {
    fn about(&self, rollup: ChainId, block: B256) -> io::Result<Vec<EvidenceFile>> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = fs::metadata(&self.path)?.modified()?;
        let known = listing.as_ref().and_then(|it| it.changed);
        if known != Some(changed) {
            *listing = None;
        }
        let listing = match &mut *listing {
            Some(listing) => listing,
            empty => empty.insert(Listing::read(&self.path, rollup, changed)?),
        };
        let found = listing.bundles.get(&short(block));
        Ok(found.cloned().unwrap_or_default())
    }
}

impl Listing {
    fn read(path: &Path, rollup: ChainId, changed: SystemTime) -> io::Result<Self> {
        let is_settled = changed.elapsed().is_ok_and(|age| age > GRAIN);
        let mut bundles: BTreeMap<String, Vec<EvidenceFile>> = BTreeMap::new();
        for entry in fs::read_dir(path)?.take(MAX_ENTRIES) {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let Some(block) = about(&name, rollup) else {
                continue;
            };
            if entry.file_type()?.is_file() {
                let bytes = entry.metadata()?.len();
                bundles
                    .entry(block.to_owned())
                    .or_default()
                    .push(EvidenceFile { name, bytes });
            }
        }
        for of_block in bundles.values_mut() {
            of_block.sort();
            of_block.truncate(MAX_BUNDLES);
        }
        Ok(Self {
            changed: is_settled.then_some(changed),
            bundles,
        })
    }
}

/// A bundle of evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub(super) struct EvidenceFile {
    /// Name of the file.
    name: String,
    /// Its size.
    bytes: u64,
}

/// What the names of bundles say of a block.
fn short(block: B256) -> String {
    block.to_string().chars().skip(2).take(8).collect()
}

/// What a file of this name says of its block, if it is a bundle against one of the rollup.
fn about(name: &str, rollup: ChainId) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if !name.ends_with(".json.gz") || !name.bytes().all(is_plain) {
        return None;
    }
    let mut parts = name.split('-');
    let is_of_rollup = parts.next()? == rollup.to_string();
    let has_number = parts.next()?.parse::<u64>().is_ok();
    let block = parts.next()?;
    (is_of_rollup && has_number && block.len() == 8).then_some(block)
}

/// Bundles of evidence against a block that verifiers beside this server have kept.
#[utoipa::path(
    get, path = "/v1/rollups/{rollup}/evidence/{block}", tag = "alerts",
    params(
        ("rollup" = u64, Path, description = "EIP-155 id of the rollup"),
        ("block" = String, Path, description = "Hash of the block", pattern = "^0x[0-9a-fA-F]{64}$"),
    ),
    responses(
        (status = 200, description = "The bundles, none where nothing was found wrong", body = Vec<EvidenceFile>),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn bundles(
    State(api): State<Api>,
    path: Segments<(String, String)>,
) -> Result<Json<Vec<EvidenceFile>>, Problem> {
    let (rollup, block) = segments(path)?;
    let (rollup, block) = (ask::rollup(&rollup)?, ask::hash(&block)?);
    api.index.rollup(rollup)?;
    Ok(Json(api.beside.evidence.bundles(rollup, block).await))
}

/// A bundle of evidence as the verifier wrote it, which `mach-cli verify` replays without a node.
#[utoipa::path(
    get, path = "/v1/rollups/{rollup}/evidence/{block}/{name}", tag = "alerts",
    params(
        ("rollup" = u64, Path, description = "EIP-155 id of the rollup"),
        ("block" = String, Path, description = "Hash of the block", pattern = "^0x[0-9a-fA-F]{64}$"),
        ("name" = String, Path, description = "Name of the bundle"),
    ),
    responses(
        (status = 200, description = "The bundle", body = Vec<u8>, content_type = "application/gzip"),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such rollup or bundle", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn bundle(
    State(api): State<Api>,
    path: Segments<(String, String, String)>,
) -> Result<Response, Problem> {
    let (rollup, block, name) = segments(path)?;
    let (rollup, block) = (ask::rollup(&rollup)?, ask::hash(&block)?);
    api.index.rollup(rollup)?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no such bundle");
    // What is not in the list is no bundle, whatever the name means to the system.
    let listed = api.beside.evidence.bundles(rollup, block).await;
    let listed = listed.into_iter().find(|it| it.name == name);
    let listed = listed.ok_or_else(missing)?;
    let folder = api.beside.evidence.0.get(&rollup).ok_or_else(missing)?;
    let file = folder.path.join(&listed.name);
    let opened = spawn_blocking(move || File::open(file)).await;
    let file = (opened.map_err(|_| missing())?).map_err(|_| missing())?;
    let disposition = format!("attachment; filename=\"{}\"", listed.name);
    let disposition = HeaderValue::from_str(&disposition).map_err(|_| missing())?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/gzip"),
        ),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    let body = Body::from_stream(stream::try_unfold(file, chunk));
    Ok((Extension(Streamed), headers, body).into_response())
}

/// The next bytes of a file.
async fn chunk(mut file: File) -> io::Result<Option<(Bytes, File)>> {
    let read = spawn_blocking(move || {
        let mut bytes = Vec::with_capacity(CHUNK);
        (&mut file).take(CHUNK as u64).read_to_end(&mut bytes)?;
        Ok((bytes, file))
    });
    let (bytes, file) = read.await.map_err(io::Error::other).flatten()?;
    Ok((!bytes.is_empty()).then(|| (bytes.into(), file)))
}
