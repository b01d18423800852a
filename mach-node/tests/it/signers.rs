//! A remote signer over real gRPC, with the tonic server in its place.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use alloy_primitives::B256;
use mach_bls::{LocalSigner, bn254::SecretKey};
use mach_core::ports::StatementSigner;
use mach_node::signers::{CerberusConfig, CerberusError, CerberusSigner};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use crate::ports::{DOMAIN, statement};

mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::missing_const_for_fn,
        reason = "generated"
    )]
    tonic::include_proto!("signer.v1");
}

use proto::{
    SignGenericRequest, SignGenericResponse,
    signer_server::{Signer, SignerServer},
};

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Right,
    OtherMessage,
    Short,
    Identity,
    NoPoint,
    Refused,
}

struct Script {
    key: SecretKey,
    answer: Arc<Mutex<Answer>>,
}

#[tonic::async_trait]
impl Signer for Script {
    async fn sign_generic(
        &self,
        request: Request<SignGenericRequest>,
    ) -> Result<Response<SignGenericResponse>, Status> {
        let token = request.metadata().get("authorization");
        if token.and_then(|token| token.to_str().ok()) != Some("key of the api") {
            return Err(Status::unauthenticated("missing authorization header"));
        }
        let request = request.into_inner();
        // The key of Cerberus's own test, as its keystore's file is named.
        let name = "a3111a2232584734d526d62cbb7c9a0d4ce1984a92b7ecb85bde8878fea5d1b0";
        if (request.public_key_g1.as_str(), request.password.as_str()) != (name, "p@$$w0rd") {
            return Err(Status::internal("no such key"));
        }
        let digest = B256::try_from(request.data.as_slice()).unwrap();
        let signed = |digest| self.key.sign(digest).to_bytes().0.to_vec();
        let signature = match *self.answer.lock().unwrap() {
            Answer::Right => signed(digest),
            Answer::OtherMessage => signed(!digest),
            Answer::Short => vec![1; 63],
            Answer::Identity => vec![0; 64],
            Answer::NoPoint => vec![1; 64],
            Answer::Refused => return Err(Status::internal("the vault is sealed")),
        };
        Ok(Response::new(SignGenericResponse { signature }))
    }
}

/// The secret of Cerberus's own test.
fn key() -> SecretKey {
    let bytes =
        alloy_primitives::hex!("040ad69253b921aca71dd714cccc3095576fbe1a21f86c9b10cb5b119b1c6899");
    SecretKey::from_bytes(&bytes).unwrap()
}

fn serve(answer: Arc<Mutex<Answer>>) -> SocketAddr {
    let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = incoming.local_addr().unwrap();
    let signer = SignerServer::new(Script { key: key(), answer });
    tokio::spawn(async move {
        let server = Server::builder().add_service(signer);
        server.serve_with_incoming(incoming).await.unwrap();
    });
    address
}

fn config(url: String) -> CerberusConfig {
    CerberusConfig {
        url,
        key: key().public_key().clone(),
        password: Some("p@$$w0rd".to_owned().into()),
        api_key: Some("key of the api".to_owned().into()),
        authority: None,
    }
}

#[tokio::test]
async fn a_remote_key_signs_as_a_local_one_and_its_answers_are_checked() {
    let answer = Arc::new(Mutex::new(Answer::Right));
    let address = serve(Arc::clone(&answer));
    let remote = CerberusSigner::new(config(format!("http://{address}"))).unwrap();
    let local = LocalSigner::new(key());
    let statement = statement(5);
    assert_eq!(remote.operator(), local.operator());
    assert_eq!(
        remote.sign(&statement, &DOMAIN).await.unwrap(),
        local.sign(&statement, &DOMAIN).await.unwrap()
    );

    for (wrong, text) in [
        (Answer::OtherMessage, "not of this statement and this key"),
        (Answer::Short, "is no signature"),
        (Answer::Identity, "is no signature"),
        (Answer::NoPoint, "is no signature"),
        (Answer::Refused, "the vault is sealed"),
    ] {
        *answer.lock().unwrap() = wrong;
        let error = remote.sign(&statement, &DOMAIN).await.unwrap_err();
        assert!(error.is_transient());
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(text), "{cause}");
    }
    *answer.lock().unwrap() = Answer::Right;
    remote.sign(&statement, &DOMAIN).await.unwrap();

    let away = CerberusSigner::new(config("http://127.0.0.1:1".to_owned())).unwrap();
    assert!(
        away.sign(&statement, &DOMAIN)
            .await
            .unwrap_err()
            .is_transient()
    );
}

#[tokio::test]
async fn secrets_stand_nowhere_and_bad_settings_are_named() {
    let shown = format!("{:?}", config("http://127.0.0.1:1".to_owned()));
    let signer = CerberusSigner::new(config("http://127.0.0.1:1".to_owned())).unwrap();
    for shown in [shown, format!("{signer:?}")] {
        assert!(
            !shown.contains("p@$$w0rd") && !shown.contains("key of the api"),
            "{shown}"
        );
    }
    for url in ["ftp://host", "no url", "127.0.0.1:50051"] {
        let error = CerberusSigner::new(config(url.to_owned())).unwrap_err();
        assert!(matches!(error, CerberusError::Url), "{url}: {error}");
    }
    let config = CerberusConfig {
        api_key: Some("line\nbreak".to_owned().into()),
        ..config("http://127.0.0.1:1".to_owned())
    };
    assert!(matches!(
        CerberusSigner::new(config),
        Err(CerberusError::ApiKey)
    ));
}
