//! Evidence that verifiers have kept on this machine, for whoever replays it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, ChainId};
use axum::{
    Json,
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

/// Entries of a folder that are looked at.
const MAX_ENTRIES: usize = 1 << 16;
/// Bundles against one block that are told.
const MAX_BUNDLES: usize = 64;
/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// Where the verifiers of this machine keep bundles of evidence, for each rollup.
///
/// A bundle is a file `<chain>-<number>-<block>-<fault>-<what>.json.gz`, with the first 4 bytes of the
/// block's hash. It is served as it is; `mach-cli verify` replays it.
#[derive(Clone, Debug, Default)]
pub struct EvidenceFolders(BTreeMap<ChainId, PathBuf>);

impl EvidenceFolders {
    /// Each rollup's folder, which need not be there.
    pub fn new(folders: impl IntoIterator<Item = (ChainId, PathBuf)>) -> Self {
        Self(folders.into_iter().collect())
    }

    /// Bundles against a block, in the order of their names.
    async fn bundles(&self, rollup: ChainId, block: B256) -> Vec<EvidenceFile> {
        let Some(folder) = self.0.get(&rollup).cloned() else {
            return Vec::new();
        };
        let looked = spawn_blocking(move || look(&folder, rollup, block));
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

/// A bundle of evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub(super) struct EvidenceFile {
    /// Name of the file.
    name: String,
    /// Its size.
    bytes: u64,
}

fn look(folder: &Path, rollup: ChainId, block: B256) -> io::Result<Vec<EvidenceFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_ENTRIES) {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if is_about(&name, rollup, block) && entry.file_type()?.is_file() {
            let bytes = entry.metadata()?.len();
            found.push(EvidenceFile { name, bytes });
        }
    }
    found.sort();
    found.truncate(MAX_BUNDLES);
    Ok(found)
}

/// Whether a file of this name is a bundle against the block.
fn is_about(name: &str, rollup: ChainId, block: B256) -> bool {
    let mut parts = name.split('-');
    let short: String = block.to_string().chars().skip(2).take(8).collect();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    parts.next() == Some(rollup.to_string().as_str())
        && parts.next().is_some_and(|it| it.parse::<u64>().is_ok())
        && parts.next() == Some(short.as_str())
        && name.ends_with(".json.gz")
        && name.bytes().all(is_plain)
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
    Ok(Json(api.evidence.bundles(rollup, block).await))
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
    let listed = api.evidence.bundles(rollup, block).await;
    let listed = listed.into_iter().find(|it| it.name == name);
    let listed = listed.ok_or_else(missing)?;
    let folder = api.evidence.0.get(&rollup).ok_or_else(missing)?;
    let file = folder.join(&listed.name);
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
    Ok((headers, Body::from_stream(stream::try_unfold(file, chunk))).into_response())
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
