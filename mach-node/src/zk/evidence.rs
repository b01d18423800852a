use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{Alert, ports::BoxError};
use mach_verify::{Bundle, Evidence, EvidenceFolder, source::recorded_files};

/// Where the evidence of an alert is found again, also by another process.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait EvidenceSource: Send + Sync {
    /// The bundle of `alert`.
    ///
    /// Errors: [`EvidenceMissing`].
    async fn evidence(&self, alert: &Alert) -> Result<Evidence, EvidenceMissing>;
}

/// Why there is no evidence.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EvidenceMissing {
    /// It is not there: it is being made, or there was none to be made.
    #[error("there is no evidence yet")]
    NotYet,
    /// It cannot be read.
    #[error("the evidence cannot be read")]
    Backend(#[source] BoxError),
}

impl EvidenceMissing {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        true
    }
}

#[async_trait]
impl EvidenceSource for EvidenceFolder {
    async fn evidence(&self, alert: &Alert) -> Result<Evidence, EvidenceMissing> {
        let (path, alert) = (self.path().to_owned(), alert.clone());
        let read = tokio::task::spawn_blocking(move || {
            if !path.exists() {
                return Err(EvidenceMissing::NotYet);
            }
            let backend = |error: BoxError| EvidenceMissing::Backend(error);
            let files = recorded_files(&path).map_err(|error| backend(error.into()))?;
            let hash = alert.block.hash.to_string();
            let short = hash.get(2..10).unwrap_or_default();
            // As a folder names its bundles; what a name says is compared below.
            let start = format!("{}-{}-{short}-", alert.rollup_chain_id, alert.block.number);
            let named = files.into_iter().filter(|file| {
                let name = file.file_name().map(|name| name.to_string_lossy());
                name.is_some_and(|name| name.starts_with(&start))
            });
            let mut bundles = named.filter_map(|file| Evidence::read(file).ok());
            let found = bundles.find(|it| Alert::new(it.block(), it.fault()) == alert);
            found.ok_or(EvidenceMissing::NotYet)
        });
        read.await
            .map_err(|error| EvidenceMissing::Backend(error.into()))?
    }
}
