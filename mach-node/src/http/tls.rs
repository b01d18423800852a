//! TLS by rustls.

use std::{path::PathBuf, sync::Arc};

use mach_core::ports::BoxError;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::TlsConfig;

/// Reads certificate and key.
pub(super) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let unread = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::Unreadable { path, source }
    };
    let certificates = CertificateDer::pem_file_iter(&config.certificates)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unread(&config.certificates)(error.into()))?;
    let key = PrivateKeyDer::from_pem_file(&config.key)
        .map_err(|error| unread(&config.key)(error.into()))?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Unusable(error.into()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| TlsError::Unusable(error.into()))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// Why a server cannot speak TLS.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or is not what it should be.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// There is no certificate, or the key is not the certificate's.
    #[error("certificate and key cannot be used")]
    Unusable(#[source] BoxError),
}
