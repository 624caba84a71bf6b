//! The audit log's table refuses what the verbs would never do.

use rusqlite::Connection;
use sublet_model::KeyId;
use sublet_store::{Audit, AuditEnd, AuditFilter, KeyRole, KeyScope, NewAudit, Page};
use tempfile::TempDir;

use super::support::{START, open};

#[tokio::test]
async fn a_line_of_the_audit_log_is_never_changed_not_even_by_another_program() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let line = NewAudit {
        key: KeyId::from_raw(1),
        label: "ops".to_owned(),
        scope: KeyScope::Operator,
        role: KeyRole::Admin,
        operation: "put_tenant".to_owned(),
        target: "/v1/tenants/acme".to_owned(),
        tenant: None,
        request: "req_1".to_owned(),
        from: [192, 0, 2, 1].into(),
    };
    let ended = store.begin_audit(line.clone(), START).await.unwrap();
    store.end_audit(ended, AuditEnd { at: START, status: 200 }, None).await.unwrap();
    store.begin_audit(line, START).await.unwrap();
    let before = store.audit(AuditFilter::default(), Page::default()).await.unwrap();

    let other = Connection::open(folder.path().join("sublet.db")).unwrap();
    for sql in [
        "UPDATE audit SET status = 403 WHERE status = 200",
        "UPDATE audit SET tenant = 5 WHERE status = 200",
        "UPDATE audit SET operation = 'get_tenant' WHERE status IS NULL",
        "UPDATE audit SET origin = '192.0.2.2', status = 200 WHERE status IS NULL",
    ] {
        let refused = other.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("never changed"), "{sql}: {refused}");
    }
    assert_eq!(store.audit(AuditFilter::default(), Page::default()).await.unwrap(), before);
}
