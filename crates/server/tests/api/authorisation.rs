//! Every operation with no key, an unknown key, and another tenant's key. The table must name each operation of the
//! OpenAPI document, so that a new endpoint without its case fails here.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Api, OPERATOR_KEY};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No key.
    Open,
    /// The operator's alone, about no one tenant: a tenant's key is 403.
    Operator,
    /// The operator's alone, about one tenant: that tenant's key is 403, another's 404.
    TenantAdmin,
    /// The operator's and the tenant's own: another's key is 404.
    Tenant,
    /// Any key; what is another tenant's is 404 when it is asked for by name, as with this query.
    Any(&'static str),
    /// Any key; it is about no tenant.
    Harmless,
}

use Reach::{Any, Harmless, Open, Operator, Tenant, TenantAdmin};

pub(crate) const TABLE: &[(&str, &str, Reach)] = &[
    ("POST", "/v1/events", Operator),
    ("GET", "/v1/events", Any("?tenant=acme")),
    ("GET", "/v1/events/{id}", Any("")),
    ("GET", "/v1/stream", Any("?tenant=acme")),
    ("POST", "/v1/patterns/test", Harmless),
    ("GET", "/v1/rules", Operator),
    ("PUT", "/v1/rules/{rule}", Operator),
    ("GET", "/v1/rules/{rule}", Operator),
    ("DELETE", "/v1/rules/{rule}", Operator),
    ("GET", "/v1/tenants", Operator),
    ("PUT", "/v1/tenants/{tenant}", TenantAdmin),
    ("GET", "/v1/tenants/{tenant}", Tenant),
    ("PATCH", "/v1/tenants/{tenant}", TenantAdmin),
    ("DELETE", "/v1/tenants/{tenant}", TenantAdmin),
    ("POST", "/v1/tenants/{tenant}/stop", TenantAdmin),
    ("POST", "/v1/tenants/{tenant}/start", TenantAdmin),
    ("GET", "/v1/tenants/{tenant}/balance", Tenant),
    ("GET", "/v1/tenants/{tenant}/rules", Tenant),
    ("PUT", "/v1/tenants/{tenant}/rules/{rule}", Tenant),
    ("GET", "/v1/tenants/{tenant}/rules/{rule}", Tenant),
    ("DELETE", "/v1/tenants/{tenant}/rules/{rule}", Tenant),
    ("GET", "/v1/tenants/{tenant}/functions", Tenant),
    ("PUT", "/v1/tenants/{tenant}/functions/{function}", Tenant),
    ("GET", "/v1/tenants/{tenant}/functions/{function}", Tenant),
    ("DELETE", "/v1/tenants/{tenant}/functions/{function}", Tenant),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/versions", Tenant),
    ("GET", "/v1/tenants/{tenant}/functions/{function}/versions", Tenant),
    ("GET", "/v1/tenants/{tenant}/functions/{function}/versions/{version}", Tenant),
    ("GET", "/v1/tenants/{tenant}/functions/{function}/aliases", Tenant),
    ("PUT", "/v1/tenants/{tenant}/functions/{function}/aliases/{alias}", Tenant),
    ("GET", "/v1/tenants/{tenant}/functions/{function}/aliases/{alias}", Tenant),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/invoke", Tenant),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/stop", Tenant),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/start", Tenant),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/release", TenantAdmin),
    ("GET", "/v1/tenants/{tenant}/invocations", Tenant),
    ("GET", "/v1/tenants/{tenant}/invocations/{id}", Tenant),
    ("POST", "/v1/tenants/{tenant}/invocations/cancel", Tenant),
    ("GET", "/v1/tenants/{tenant}/dead-letters", Tenant),
    ("POST", "/v1/tenants/{tenant}/dead-letters/redrive", Tenant),
    ("GET", "/v1/tenants/{tenant}/usage", Tenant),
    ("GET", "/v1/usage", Operator),
    ("GET", "/v1/webhooks", Operator),
    ("PUT", "/v1/webhooks/{webhook}", Operator),
    ("GET", "/v1/webhooks/{webhook}", Operator),
    ("DELETE", "/v1/webhooks/{webhook}", Operator),
    ("POST", "/v1/webhooks/{webhook}/rotate", Operator),
    ("POST", "/v1/webhooks/{webhook}/disable", Operator),
    ("POST", "/v1/webhooks/{webhook}/enable", Operator),
    ("POST", "/v1/webhooks/{webhook}/replay", Operator),
    ("GET", "/v1/deliveries", Operator),
    ("GET", "/v1/deliveries/balance", Operator),
    ("GET", "/v1/deliveries/{id}", Operator),
    ("POST", "/v1/deliveries/{id}/replay", Operator),
    ("GET", "/v1/queues", Operator),
    ("PUT", "/v1/queues/{queue}", Operator),
    ("GET", "/v1/queues/{queue}", Operator),
    ("DELETE", "/v1/queues/{queue}", Operator),
    ("POST", "/v1/queues/{queue}/receive", Operator),
    ("POST", "/v1/queues/{queue}/ack", Operator),
    ("POST", "/v1/queues/{queue}/extend", Operator),
    ("POST", "/v1/queues/{queue}/release", Operator),
    ("GET", "/v1/queues/{queue}/dead-letters", Operator),
    ("DELETE", "/v1/queues/{queue}/dead-letters", Operator),
    ("POST", "/v1/queues/{queue}/dead-letters/redrive", Operator),
    ("GET", "/v1/layers", Operator),
    ("POST", "/v1/layers/{layer}/versions", Operator),
    ("GET", "/v1/layers/{layer}/versions", Operator),
    ("GET", "/v1/tenants/{tenant}/secrets", Tenant),
    ("PUT", "/v1/tenants/{tenant}/secrets/{secret}", Tenant),
    ("GET", "/v1/tenants/{tenant}/secrets/{secret}", Tenant),
    ("DELETE", "/v1/tenants/{tenant}/secrets/{secret}", Tenant),
    ("POST", "/v1/secrets/reseal", Operator),
    ("GET", "/v1/layers/{layer}/rollout", Operator),
    ("POST", "/v1/layers/{layer}/rollback", Operator),
    ("POST", "/v1/keys", Operator),
    ("GET", "/v1/keys", Operator),
    ("GET", "/v1/keys/{id}", Operator),
    ("DELETE", "/v1/keys/{id}", Operator),
    ("POST", "/v1/keys/{id}/rotate", Operator),
    ("GET", "/v1/audit", Operator),
    ("GET", "/v1/tenants/{tenant}/audit", Tenant),
    ("GET", "/healthz", Open),
    ("GET", "/readyz", Open),
    ("GET", "/metrics", Open),
    ("GET", "/openapi.json", Open),
];

const UNKNOWN_KEY: &str = "slo_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A server where the tenant `acme` has one of everything, so that a 404 is never for want of the thing.
pub(crate) struct Scene {
    pub(crate) api: Api,
    event: String,
    invocation: String,
    pub(crate) own_key: String,
    pub(crate) others_key: String,
}

impl Scene {
    pub(crate) async fn set() -> Scene {
        let api = Api::start().await;
        api.tenant("acme", "v1").await;
        api.put("/v1/tenants/other", json!({})).await.expect(201);
        let (own_key, others_key) = (api.key_of("acme").await, api.key_of("other").await);
        let rule = json!({"pattern": {"source": ["x"]}, "targets": [{"function": {"name": "enrich"}}]});
        api.put("/v1/tenants/acme/rules/own", rule).await.expect(201);
        api.put("/v1/tenants/acme/secrets/stripe", json!({"value": "sk_live_0123"})).await.expect(201);
        api.dispatch().await;
        let mut stream = api.stream(OPERATOR_KEY, "").await;
        let published = api.publish("acme", json!({})).await;
        let result = stream.result().await.data;
        Scene {
            event: published["id"].as_str().unwrap().to_owned(),
            invocation: result["detail"]["invocation"].as_str().unwrap().to_owned(),
            api,
            own_key,
            others_key,
        }
    }

    pub(crate) fn path(&self, template: &str, reach: Reach) -> String {
        let id = match template {
            "/v1/events/{id}" => &self.event,
            "/v1/tenants/{tenant}/invocations/{id}" => &self.invocation,
            _ => "key_0000000000001",
        };
        let rule = if template.contains("/tenants/") { "own" } else { "dispatch" };
        let query = if let Any(query) = reach { query } else { "" };
        let filled = [
            ("{tenant}", "acme"),
            ("{function}", "enrich"),
            ("{version}", "1"),
            ("{alias}", "live"),
            ("{rule}", rule),
            ("{webhook}", "hook"),
            ("{layer}", "helpers"),
            ("{queue}", "results"),
            ("{secret}", "stripe"),
            ("{id}", id),
        ];
        let path = filled.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value));
        format!("{path}{query}")
    }

    pub(crate) async fn status(&self, key: Option<&str>, method: &str, path: &str) -> u16 {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.api.send(self.api.request(key, method, path)).await.status
    }
}

#[tokio::test]
async fn the_table_names_every_operation_of_the_document() {
    let api = Api::start().await;
    let mut described = api.document.operations();
    let mut tabled: Vec<(String, String)> =
        TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    described.sort();
    tabled.sort();
    assert_eq!(tabled, described);
}

#[tokio::test]
async fn nothing_but_the_open_operations_answers_without_a_known_key() {
    let scene = Scene::set().await;
    for (method, template, reach) in TABLE {
        let path = scene.path(template, *reach);
        for key in [None, Some(UNKNOWN_KEY), Some("short"), Some("slt_")] {
            let status = scene.status(key, method, &path).await;
            if *reach == Open {
                assert_eq!(status, 200, "{method} {path} with {key:?}");
            } else {
                assert_eq!(status, 401, "{method} {path} with {key:?}");
            }
        }
    }
}

#[tokio::test]
async fn another_tenants_key_finds_nothing_and_may_nothing() {
    let scene = Scene::set().await;
    for (method, template, reach) in TABLE {
        let path = scene.path(template, *reach);
        let status = scene.status(Some(&scene.others_key), method, &path).await;
        let wanted = match reach {
            Operator => 403,
            TenantAdmin | Tenant | Any(_) => 404,
            // It is refused for its missing body, not for its key.
            Harmless => 415,
            Open => 200,
        };
        assert_eq!(status, wanted, "{method} {path}");
    }
}

#[tokio::test]
async fn a_tenants_key_reaches_its_own_and_may_not_administer_it() {
    let scene = Scene::set().await;
    for (method, template, reach) in TABLE {
        // What deletes would take the next rows' things away.
        if *method == "DELETE" && *reach == Tenant {
            continue;
        }
        let path = scene.path(template, *reach);
        let status = scene.status(Some(&scene.own_key), method, &path).await;
        match reach {
            Operator | TenantAdmin => assert_eq!(status, 403, "{method} {path}"),
            Tenant | Any(_) | Harmless if *method == "GET" => assert_eq!(status, 200, "{method} {path}"),
            Tenant | Any(_) | Harmless => assert!(![401, 403, 404].contains(&status), "{method} {path}: {status}"),
            Open => assert_eq!(status, 200, "{method} {path}"),
        }
    }
    for path in ["/v1/tenants/acme/rules/own", "/v1/tenants/acme/secrets/stripe", "/v1/tenants/acme/functions/enrich"] {
        assert_eq!(scene.status(Some(&scene.own_key), "DELETE", path).await, 204, "{path}");
    }
}

/// What each role but `admin` may, as docs/keys.md tells it: said once more, apart from the table in the code.
const PUBLISHES: &[(&str, &str)] = &[
    ("POST", "/v1/events"),
    ("GET", "/v1/events"),
    ("GET", "/v1/events/{id}"),
    ("GET", "/v1/stream"),
    ("POST", "/v1/patterns/test"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/invoke"),
    ("POST", "/v1/queues/{queue}/receive"),
    ("POST", "/v1/queues/{queue}/ack"),
    ("POST", "/v1/queues/{queue}/extend"),
    ("POST", "/v1/queues/{queue}/release"),
];
const DEPLOYS: &[(&str, &str)] = &[
    ("POST", "/v1/patterns/test"),
    ("PUT", "/v1/tenants/{tenant}/functions/{function}"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/versions"),
    ("PUT", "/v1/tenants/{tenant}/functions/{function}/aliases/{alias}"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/invoke"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/stop"),
    ("POST", "/v1/tenants/{tenant}/functions/{function}/start"),
];
const READS: &[(&str, &str)] = &[("POST", "/v1/patterns/test")];
const UNSEEN: &[&str] = &["/v1/audit", "/v1/tenants/{tenant}/audit", "/v1/keys", "/v1/keys/{id}"];

#[tokio::test]
async fn each_role_opens_what_is_documented_and_nothing_else() {
    let scene = Scene::set().await;
    let looks = |method: &str, path: &str| method == "GET" && !UNSEEN.contains(&path);
    for (tenant, role) in [(None, "publish"), (None, "read"), (Some("acme"), "deploy"), (Some("acme"), "read")] {
        let made = scene.api.post("/v1/keys", json!({"tenant": tenant, "role": role})).await.expect(201);
        let key = made["secret"].as_str().unwrap();
        for (method, template, reach) in TABLE {
            let opens = match role {
                "publish" => PUBLISHES.contains(&(method, template)),
                "deploy" => looks(method, template) || DEPLOYS.contains(&(method, template)),
                _ => looks(method, template) || READS.contains(&(method, template)),
            };
            let is_others = tenant.is_some() && matches!(reach, Operator | TenantAdmin);
            let path = scene.path(template, *reach);
            let status = scene.status(Some(key), method, &path).await;
            if *reach == Open {
                assert_eq!(status, 200, "{role} {method} {path}");
            } else if opens && !is_others {
                assert!(![401, 403].contains(&status), "{role} {method} {path}: {status}");
            } else {
                assert_eq!(status, 403, "{role} {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_role_that_may_not_learns_nothing_of_another_tenant() {
    let scene = Scene::set().await;
    let made = scene.api.post("/v1/keys", json!({"tenant": "other", "role": "read"})).await.expect(201);
    let key = made["secret"].as_str().unwrap();
    for path in ["/v1/tenants/acme/functions/enrich", "/v1/tenants/nobody/functions/enrich"] {
        assert_eq!(scene.status(Some(key), "DELETE", path).await, 404, "{path}");
    }
    assert_eq!(scene.status(Some(key), "DELETE", "/v1/tenants/other/functions/enrich").await, 403);
}

#[tokio::test]
async fn a_tenants_listing_shows_its_own_events_alone() {
    let scene = Scene::set().await;
    let own = scene.api.get_as(&scene.own_key, "/v1/events").await.expect(200);
    assert!(own["items"].as_array().unwrap().iter().any(|event| event["id"] == scene.event.as_str()));
    let others = scene.api.get_as(&scene.others_key, "/v1/events").await.expect(200);
    assert_eq!(others["items"], json!([]));
}

#[tokio::test]
async fn whether_another_tenant_has_an_event_of_that_id_does_not_show() {
    let scene = Scene::set().await;
    let event = json!({"id": "there", "source": "todo", "detail-type": "d", "tenant": "acme", "detail": {}});
    scene.api.post("/v1/events", event).await.expect(202);
    let look = async |id: &str| {
        let path = format!("/v1/events?tenant=acme&source=todo&id={id}");
        let mut answer = scene.api.get_as(&scene.others_key, &path).await.expect(404);
        answer["request_id"] = json!(null);
        answer
    };
    assert_eq!(look("there").await, look("missing").await);
}

#[tokio::test]
async fn a_name_that_no_tenant_has_is_answered_like_another_tenants() {
    let scene = Scene::set().await;
    let missing = scene.api.get_as(&scene.others_key, "/v1/tenants/nobody").await;
    let anothers = scene.api.get_as(&scene.others_key, "/v1/tenants/acme").await;
    assert_eq!((missing.status, anothers.status), (404, 404));
    assert_eq!(missing.body["detail"].as_str().unwrap().replace("nobody", "acme"), anothers.body["detail"]);
}
