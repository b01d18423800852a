//! EigenLayer's node API: who a node is, and whether it does its work.
//!
//! | path | answer |
//! |---|---|
//! | `GET /eigen/node` | name and versions |
//! | `GET /eigen/node/health` | 200 everything works, 206 some of it, 503 the node does not do its work |
//! | `GET /eigen/node/services` | the services with their states |
//! | `GET /eigen/node/services/{id}/health` | 200 up, 206 initializing, 503 down, 404 there is none |
//!
//! Source: AVS node specification v0.0.1,
//! <https://docs.eigencloud.xyz/products/eigenlayer/developers/nodes/eigenlayer-avs-nodes-specification>.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

/// Version of the specification.
const SPEC_VERSION: &str = "v0.0.1";

/// Whether a service works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ServiceState {
    /// It works.
    Up,
    /// It does not.
    Down,
    /// It does not yet.
    Initializing,
}

impl ServiceState {
    const fn code(self) -> StatusCode {
        match self {
            Self::Up => StatusCode::OK,
            Self::Down => StatusCode::SERVICE_UNAVAILABLE,
            Self::Initializing => StatusCode::PARTIAL_CONTENT,
        }
    }
}

/// A service of a node, and how to find out how it is.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a closure")]
pub struct Service {
    /// What it is called in paths.
    pub id: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Whether the node does not do its work without it.
    pub is_vital: bool,
    /// How it is now. Asked at every request, so it has to be quick.
    pub state: Arc<dyn Fn() -> ServiceState + Send + Sync>,
}

/// A node that the API tells of.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds closures")]
pub struct NodeApi {
    /// Name of the node.
    pub name: String,
    /// Version of its software.
    pub version: &'static str,
    /// What it consists of.
    pub services: Vec<Service>,
}

impl NodeApi {
    /// The API, to be served.
    pub fn router(self) -> Router {
        Router::new()
            .route("/eigen/node", get(node))
            .route("/eigen/node/health", get(health))
            .route("/eigen/node/services", get(services))
            .route("/eigen/node/services/{id}/health", get(service))
            .with_state(Arc::new(self))
    }

    fn health(&self) -> StatusCode {
        let states: Vec<_> = (self.services.iter())
            .map(|service| (service.is_vital, (service.state)()))
            .collect();
        if states.contains(&(true, ServiceState::Down)) {
            StatusCode::SERVICE_UNAVAILABLE
        } else if states.iter().all(|(_, state)| *state == ServiceState::Up) {
            StatusCode::OK
        } else {
            StatusCode::PARTIAL_CONTENT
        }
    }
}

async fn node(State(api): State<Arc<NodeApi>>) -> Response {
    #[derive(Serialize)]
    struct Node<'a> {
        node_name: &'a str,
        spec_version: &'a str,
        node_version: &'a str,
    }

    Json(Node {
        node_name: &api.name,
        spec_version: SPEC_VERSION,
        node_version: api.version,
    })
    .into_response()
}

async fn health(State(api): State<Arc<NodeApi>>) -> StatusCode {
    api.health()
}

async fn services(State(api): State<Arc<NodeApi>>) -> Response {
    #[derive(Serialize)]
    struct Described {
        id: &'static str,
        name: &'static str,
        description: &'static str,
        status: ServiceState,
    }
    #[derive(Serialize)]
    struct Services {
        services: Vec<Described>,
    }

    let services = api.services.iter().map(|service| Described {
        id: service.id,
        name: service.name,
        description: service.description,
        status: (service.state)(),
    });
    Json(Services {
        services: services.collect(),
    })
    .into_response()
}

async fn service(State(api): State<Arc<NodeApi>>, Path(id): Path<String>) -> StatusCode {
    match api.services.iter().find(|service| service.id == id) {
        Some(service) => (service.state)().code(),
        None => StatusCode::NOT_FOUND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use ServiceState::{Down, Initializing, Up};

    fn api(states: [ServiceState; 2]) -> Router {
        let service = |id, is_vital, state| Service {
            id,
            name: "a name",
            description: "a description",
            is_vital,
            state: Arc::new(move || state),
        };
        NodeApi {
            name: "mach".to_owned(),
            version: "1.2.3",
            services: vec![
                service("ServiceOperator", true, states[0]),
                service("ServiceOperatorAggregator", false, states[1]),
            ],
        }
        .router()
    }

    async fn get(router: Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The expected texts and codes are those of the specification.
    #[tokio::test]
    async fn a_node_tells_of_itself() {
        assert_eq!(
            get(api([Up, Up]), "/eigen/node").await,
            (
                200,
                r#"{"node_name":"mach","spec_version":"v0.0.1","node_version":"1.2.3"}"#.to_owned()
            )
        );
        let (status, body) = get(api([Up, Initializing]), "/eigen/node/services").await;
        assert_eq!(status, 200);
        assert_eq!(
            body,
            r#"{"services":[{"id":"ServiceOperator","name":"a name","description":"a description","status":"Up"},{"id":"ServiceOperatorAggregator","name":"a name","description":"a description","status":"Initializing"}]}"#
        );
    }

    #[tokio::test]
    async fn health_is_told_by_codes() {
        let cases = [
            ([Up, Up], 200),
            ([Up, Initializing], 206),
            ([Up, Down], 206),
            ([Initializing, Up], 206),
            ([Down, Up], 503),
            ([Down, Down], 503),
        ];
        for (states, expected) in cases {
            let (status, body) = get(api(states), "/eigen/node/health").await;
            assert_eq!((status, body.as_str()), (expected, ""), "{states:?}");
            for (id, state) in ["ServiceOperator", "ServiceOperatorAggregator"]
                .iter()
                .zip(states)
            {
                let path = format!("/eigen/node/services/{id}/health");
                let expected = match state {
                    Up => 200,
                    Initializing => 206,
                    Down => 503,
                };
                assert_eq!(get(api(states), &path).await.0, expected);
            }
        }
        let path = "/eigen/node/services/other/health";
        assert_eq!(get(api([Up, Up]), path).await.0, 404);
    }
}
