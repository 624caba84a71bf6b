//! Keys, the audit log and TLS as an operator meets them, over the real program.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use sublet_testkit::{Home, Server};
use tokio::process::Command;

use crate::scene::PROGRAM;
use crate::terminal::Terminal;

/// An authority's certificate in `ca.pem`, and one that it signed for this machine in `chain.pem` and `key.pem`.
fn certificates(folder: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    std::fs::write(folder.join("chain.pem"), leaf.pem())?;
    std::fs::write(folder.join("key.pem"), key.serialize_pem())?;
    Ok(())
}

#[tokio::test]
async fn over_tls_keys_are_made_rotated_and_deleted_and_the_audit_log_tells_of_it() -> Result<()> {
    let home = Home::new()?;
    certificates(home.path())?;
    let config = home.path().join("sublet.toml");
    let file = |name: &str| home.path().join(name).display().to_string();
    std::fs::write(
        &config,
        format!("[server.tls]\ncertificate = {:?}\nkey = {:?}\n", file("chain.pem"), file("key.pem")),
    )?;
    let server = Server::start_with(PROGRAM, &home, &["--config", config.to_str().context("a path")?]).await?;
    assert!(server.url().starts_with("https://"), "{}", server.url());
    let mode = std::fs::metadata(home.data())?.permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else reads the data");

    let stranger = Terminal::new(server.url(), home.key());
    let refused = stranger.run(&["tenant", "list"]).await?;
    assert_eq!(refused.code, 5, "this machine does not know the authority: {refused:?}");

    let (operator, ca) = (Terminal::new(server.url(), home.key()), file("ca.pem"));
    let run = async |words: &[&str]| operator.json(&[words, &["--ca-file", &ca]].concat()).await;
    run(&["tenant", "put", "acme"]).await?;
    let words = ["key", "create", "--tenant", "acme", "--label", "ci", "--role", "deploy", "--expires", "30d"];
    let made = run(&words).await?;
    assert_eq!((&made["role"], &made["expired"]), (&json!("deploy"), &json!(false)));
    let id = made["id"].as_str().context("an id")?;
    let rotated = run(&["key", "rotate", id, "--overlap", "1h"]).await?;
    assert_ne!(rotated["secret"], made["secret"]);
    let shown = run(&["key", "show", id]).await?;
    assert_eq!((&shown["label"], shown.get("secret")), (&json!("ci"), None));
    assert!(shown["former_until"].is_string());
    run(&["key", "delete", id]).await?;
    let listed = run(&["key", "list", "--tenant", "acme"]).await?;
    assert_eq!(listed["items"], json!([]));

    let audit = run(&["audit", "list", "--tenant", "acme"]).await?;
    let operations: Vec<_> =
        audit["items"].as_array().context("items")?.iter().map(|line| &line["operation"]).collect();
    assert_eq!(operations, ["delete_key", "rotate_key", "make_key", "put_tenant"]);
    let by_operation = run(&["audit", "list", "--operation", "rotate_key"]).await?;
    assert_eq!(by_operation["items"][0]["status"], 200);
    server.stop().await
}

#[tokio::test]
async fn a_start_in_the_clear_on_an_open_address_is_refused_with_the_ways_out() -> Result<()> {
    let home = Home::new()?;
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--listen", "0.0.0.0:0", "--data"]).arg(home.data()).kill_on_drop(true);
    let ended = command.output().await?;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for way_out in ["[server.tls]", "trusted_proxies", "--insecure-plain-http"] {
        assert!(said.contains(way_out), "{said}");
    }
    assert!(!home.data().exists(), "nothing was made yet");
    Ok(())
}
