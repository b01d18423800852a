//! The methods over HTTP.

use std::sync::Arc;

use alloy_primitives::Address;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    response::{IntoResponse, Response},
    routing::any,
};
use mach_core::OperatorId;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use tracing::warn;

use super::{
    AlertRefusal, LegacyAlerts,
    answer::{Answer, Failure, Taken},
    request::Call,
};

/// Largest request, in bytes: an alert has less than 400.
const MAX_BYTES: usize = 16 * 1024;

/// What an operator tells of itself.
#[derive(Clone, Debug)]
pub struct LegacyNode {
    /// Name of the node.
    pub name: String,
    /// Its AVSs. One that names none is about the first.
    pub avs: Vec<LegacyAvs>,
}

/// One AVS of an operator.
#[derive(Clone, Debug)]
pub struct LegacyAvs {
    /// Name, as in the path that verifiers are given.
    pub name: String,
    /// The service manager.
    pub contract: Address,
    /// Who the operator is there.
    pub operator: OperatorId,
    /// Its account.
    pub address: Address,
    /// What `operator_getConfig` answers, as it stands.
    pub config: Option<Box<RawValue>>,
}

/// The methods `alert_blockMismatch`, `alert_blockOutputOracleMismatch`, `alert_blockHash`,
/// `health_check`, `operator_getConfig` and `operator_operatorStatus`, at every path; `/NAME` is
/// about the AVS of that name, if the parameters name none. Says in the log what it weakens.
pub fn verifier_router(node: LegacyNode, alerts: Arc<dyn LegacyAlerts>) -> Router {
    warn!(
        "serving verifiers of the original MACH AVS: whoever reaches this endpoint can raise alerts, \
         which come without a proof"
    );
    let served = Arc::new(Served { node, alerts });
    Router::new()
        .route("/{avs}", any(named))
        .fallback(unnamed)
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .with_state(served)
}

struct Served {
    node: LegacyNode,
    alerts: Arc<dyn LegacyAlerts>,
}

async fn named(
    State(served): State<Arc<Served>>,
    Path(avs): Path<String>,
    body: Bytes,
) -> Response {
    // What is no AVS is any other path.
    let is_one = served.node.avs.iter().any(|known| known.name == avs);
    served.answer(is_one.then_some(avs), &body).await
}

async fn unnamed(State(served): State<Arc<Served>>, body: Bytes) -> Response {
    served.answer(None, &body).await
}

impl Served {
    async fn answer(&self, path: Option<String>, body: &[u8]) -> Response {
        let call = match Call::read(body) {
            Ok(call) => call,
            Err(failure) => {
                let (id, outcome) = (Value::Null, Err::<(), _>(failure));
                return Answer { id, outcome }.into_response();
            }
        };
        let id = call.id.clone();
        if let Some(alert) = call.alert() {
            let outcome = self.alert(path, alert).await;
            return Answer { id, outcome }.into_response();
        }
        match call.method.as_str() {
            "health_check" => {
                let outcome = self.health(path, call.health()).await;
                Answer { id, outcome }.into_response()
            }
            "operator_getConfig" => {
                let outcome = call.name().and_then(|name| self.config(&name));
                Answer { id, outcome }.into_response()
            }
            "operator_operatorStatus" => {
                let outcome = Ok(self.status());
                Answer { id, outcome }.into_response()
            }
            other => {
                let outcome = Err::<(), _>(Failure::unknown_method(other));
                Answer { id, outcome }.into_response()
            }
        }
    }

    async fn alert(
        &self,
        path: Option<String>,
        alert: Result<super::request::NamedAlert, Failure>,
    ) -> Result<Taken, Failure> {
        let alert = alert?;
        let avs = self.avs(alert.avs.or(path))?;
        let taken = self.alerts.alert(&avs.name, &alert.alert).await;
        match taken {
            Ok(answer) => Ok(answer.into()),
            Err(refusal) => {
                warn!(avs = avs.name, alert = ?alert.alert, %refusal, "alert of a verifier refused");
                Err(refusal.into())
            }
        }
    }

    async fn health(
        &self,
        path: Option<String>,
        block: Result<mach_core::BlockRef, Failure>,
    ) -> Result<bool, Failure> {
        let block = block?;
        let avs = self.avs(path)?;
        self.alerts.alive(&avs.name, block).await;
        Ok(true)
    }

    fn config(&self, name: &str) -> Result<Config, Failure> {
        let avs = self.avs(Some(name.to_owned()))?;
        let unset = || Config::Unset(serde_json::Map::new());
        Ok(avs.config.clone().map_or_else(unset, Config::Set))
    }

    fn status(&self) -> Status<'_> {
        let avs = self.node.avs.iter().map(|avs| AvsStatus {
            avs_name: &avs.name,
            avs_contract_address: avs.contract,
            operator_id: avs.operator,
            operator_address: avs.address,
        });
        Status {
            node_name: &self.node.name,
            version: env!("CARGO_PKG_VERSION"),
            avs: avs.collect(),
        }
    }

    /// The AVS of that name, or the first.
    fn avs(&self, name: Option<String>) -> Result<&LegacyAvs, Failure> {
        let found = match &name {
            Some(name) => self.node.avs.iter().find(|avs| avs.name == *name),
            None => self.node.avs.first(),
        };
        found.ok_or_else(|| AlertRefusal::Refused("there is no AVS of that name".into()).into())
    }
}

/// As it stands, or an empty object.
#[derive(Serialize)]
#[serde(untagged)]
enum Config {
    Set(Box<RawValue>),
    Unset(serde_json::Map<String, Value>),
}

#[derive(Serialize)]
struct Status<'a> {
    node_name: &'a str,
    version: &'static str,
    avs: Vec<AvsStatus<'a>>,
}

#[derive(Serialize)]
struct AvsStatus<'a> {
    avs_name: &'a str,
    avs_contract_address: Address,
    operator_id: OperatorId,
    operator_address: Address,
}
