//! Ways to reach a chain.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use alloy_network::{EthereumWallet, Network};
use alloy_provider::{Provider, ProviderBuilder, RootProvider, WalletProvider};
use alloy_rpc_client::RpcClient;

use super::{DevnetTransport, Handler, Rpc, RpcServer, ServeError};
use crate::{
    DevAccount,
    chain::{Chain, Role},
};

/// How often a client of the in-process transport looks for news. A look costs microseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

impl<R: Role> Chain<R> {
    /// The chain as an alloy transport, without a socket.
    pub fn transport(&self) -> DevnetTransport {
        DevnetTransport::new(self.handler())
    }

    /// An alloy client without a socket.
    pub fn client(&self) -> RpcClient {
        RpcClient::new(self.transport(), true).with_poll_interval(POLL_INTERVAL)
    }

    /// An alloy provider without a socket, for reading.
    pub fn provider<N: Network>(&self) -> RootProvider<N> {
        RootProvider::new(self.client())
    }

    /// An alloy provider without a socket that fills in and signs transactions of `account`.
    pub fn signing_provider(
        &self,
        account: &DevAccount,
    ) -> impl Provider + WalletProvider<Wallet = EthereumWallet> + Clone + use<R> {
        ProviderBuilder::new()
            .with_simple_nonce_management()
            .wallet(account.signer())
            .connect_client(self.client())
    }

    /// Serves the chain over HTTP and WebSocket until the result is dropped; port 0 lets the
    /// system choose.
    ///
    /// Errors: [`ServeError`].
    pub async fn serve(&self, address: SocketAddr) -> Result<RpcServer, ServeError> {
        RpcServer::start(self.handler(), address).await
    }

    pub(crate) fn handler(&self) -> Arc<dyn Handler> {
        Arc::new(Rpc::new(self.clone()))
    }
}
