//! `sublet config`, as an operator types it.

use anyhow::{Context, Result};
use serde_json::Value;
use sublet_testkit::Home;

use crate::terminal::Terminal;

fn terminal() -> Terminal {
    Terminal::new("http://127.0.0.1:1", "unused")
}

#[tokio::test]
async fn a_configuration_is_checked_with_its_mistakes_by_line() -> Result<()> {
    let home = Home::new()?;
    let file = home.path().join("sublet.toml");
    let path = file.to_str().context("not UTF-8")?;
    let data = home.data();
    let check = ["config", "check", "--config", path, "--data", data.to_str().context("not UTF-8")?];
    std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:0\"\ndrain = \"5s\"\n")?;
    let said = terminal().run(&check).await?;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.contains("can run"), "{said:?}");
    assert!(!data.exists(), "nothing is made");

    let shown = terminal().ok(&[&check[..], &["--show"]].concat()).await?;
    assert!(shown.contains("drain = \"5s\"") && shown.contains("retention = \"7d\""), "{shown}");
    let json = terminal().json(&[&check[..], &["--show"]].concat()).await?;
    assert_eq!((&json["ok"], &json["settings"]["server"]["drain"]), (&Value::Bool(true), &"5s".into()));

    std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:0\"\n[sandbox]\nworkrs = 3\nslots_per_worker = \"x\"\n")?;
    let said = terminal().run(&check).await?;
    assert_eq!(said.code, 2, "{said:?}");
    for part in
        [path, "line 4: `sandbox.workrs` is not known; did you mean `workers`?", "line 5: `sandbox.slots_per_worker`"]
    {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    std::fs::write(&file, "[telemetry]\notlp_endpoint = \"nowhere\"\n[sandbox]\ninsecure_no_jail = true\n")?;
    let said = terminal().run(&check).await?;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("telemetry.otlp_endpoint") && said.out.contains("sandbox.insecure_no_jail"), "{said:?}");
    let said = terminal().run(&["config", "check", "--config", "/no/such/file"]).await?;
    assert!(said.code == 2 && said.err.contains("/no/such/file"), "{said:?}");
    Ok(())
}

#[tokio::test]
async fn the_default_configuration_that_is_printed_is_a_configuration() -> Result<()> {
    let home = Home::new()?;
    let file = home.path().join("default.toml");
    std::fs::write(&file, terminal().ok(&["config", "default"]).await?)?;
    let data = home.data();
    let paths = (file.to_str().context("not UTF-8")?, data.to_str().context("not UTF-8")?);
    let arguments = ["config", "check", "--config", paths.0, "--data", paths.1, "--listen", "127.0.0.1:0"];
    terminal().ok(&arguments).await?;
    Ok(())
}
