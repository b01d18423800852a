//! A web page on the finality API: rollups, heads, attested stake, rounds, alerts.
//!
//! [`router`] serves files that are compiled in: plain HTML, CSS and ES modules, nothing from
//! elsewhere. The page reads `/v1/rollups`, `/v1/rounds`, `/v1/alerts` and `/v1/events` of the server
//! that it came from, so it is merged with [`finality::router`](crate::finality::router).

use axum::{
    Router,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::get,
};

/// Nothing but what this server sends, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, media type and text of every file.
const FILES: [(&str, &str, &str); 8] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("assets/index.html"),
    ),
    (
        "/dashboard/style.css",
        "text/css; charset=utf-8",
        include_str!("assets/style.css"),
    ),
    (
        "/dashboard/icon.svg",
        "image/svg+xml",
        include_str!("assets/icon.svg"),
    ),
    ("/dashboard/app.js", MODULE, include_str!("assets/app.js")),
    (
        "/dashboard/chart.js",
        MODULE,
        include_str!("assets/chart.js"),
    ),
    ("/dashboard/dom.js", MODULE, include_str!("assets/dom.js")),
    (
        "/dashboard/state.js",
        MODULE,
        include_str!("assets/state.js"),
    ),
    ("/dashboard/view.js", MODULE, include_str!("assets/view.js")),
];

const MODULE: &str = "text/javascript; charset=utf-8";

/// The page at `/`, and its files under `/dashboard`.
pub fn router() -> Router {
    FILES
        .into_iter()
        .fold(Router::new(), |router, (path, kind, text)| {
            router.route(path, get(async move || file(kind, text)))
        })
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A newer node has newer files under the same names.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (
        headers.map(|(name, value)| (name, HeaderValue::from_static(value))),
        text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    use mach_core::Fault;
    use serde_json::{Value, json};

    /// A fault of every rule that there is.
    fn faults() -> impl Iterator<Item = Fault> {
        let read = |fault: Value| serde_json::from_value::<Fault>(fault);
        let unknown = read(json!({ "rule": "" })).unwrap_err().to_string();
        let known = unknown.split('`').skip(3).step_by(2).map(str::to_owned);
        let known: Vec<_> = known.collect();
        let (word, bloom) = ("0".repeat(64), "0".repeat(512));
        let values = [
            json!(0),
            format!("0x{word}").into(),
            format!("0x{bloom}").into(),
        ];
        known.into_iter().map(move |rule| {
            let mut faults = values.iter().filter_map(|it| {
                read(json!({
                    "rule": rule, "claimed": it, "computed": it, "field": "", "reason": "",
                    "values": { "claimed": it, "computed": it }, "index": 0, "hash": it,
                }))
                .ok()
            });
            faults.next().unwrap_or_else(|| panic!("{rule}"))
        })
    }

    #[test]
    fn every_rule_has_the_name_that_faults_have() {
        let (_, _, view) = FILES[7];
        let (_, rules) = view.split_once("const RULES = {").unwrap();
        let (rules, _) = rules.split_once('}').unwrap();
        let named = rules.split(',').filter_map(|it| it.trim().split_once(": "));
        let named = named.map(|(code, name)| (code.parse().unwrap(), name.trim_matches('"')));
        let named: BTreeMap<u16, _> = named.collect();
        let faults: Vec<_> = faults().collect();
        let expected = faults.iter().map(|it| (it.code(), it.name()));
        let expected: BTreeMap<_, _> = expected.collect();
        assert!(expected.len() >= 34);
        assert_eq!(named, expected);
    }

    /// Every file that is named is there, every file is named, and nothing is fetched from elsewhere.
    #[test]
    fn the_page_needs_its_own_files_only() {
        let there: BTreeSet<_> = FILES.iter().map(|(path, ..)| (*path).to_owned()).collect();
        let mut named = BTreeSet::from(["/".to_owned()]);
        for (path, _, text) in FILES {
            for part in text.split('"') {
                if let Some(name) = part.strip_prefix("./") {
                    named.insert(format!("/dashboard/{name}"));
                } else if part.starts_with("/dashboard/") {
                    named.insert(part.to_owned());
                }
            }
            let foreign = text.matches("//").count() - text.matches("http://www.w3.org/").count();
            // Comments of modules begin like that, too.
            let comments = text
                .lines()
                .filter(|line| line.trim_start().starts_with("//"));
            assert_eq!(foreign, comments.count(), "{path}");
            assert!(
                !text.contains("innerHTML") && !text.contains("style=\""),
                "{path}"
            );
        }
        assert_eq!(named, there);
    }
}
