//! `sublet bench` as an operator runs it.

use anyhow::{Context, Result};
use serde_json::json;
use sublet_testkit::Home;

use crate::scene::serve;
use crate::terminal::Terminal;

#[tokio::test]
async fn a_benchmark_of_an_existing_server_says_figures_and_leaves_nothing_behind() -> Result<()> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let operator = Terminal::new(server.url(), home.key());
    operator.ok(&["tenant", "put", "acme"]).await?;

    let picture = home.path().join("figures.svg");
    let svg = picture.to_str().context("not UTF-8")?;
    let report = operator.json(&["bench", "deploy", "publish", "--quick", "--existing", "--svg", svg]).await?;
    let figures = report["figures"].as_array().context("no figures")?;
    assert_eq!(figures.len(), 3, "{report}");
    for figure in figures {
        let number = |key: &str| figure[key].as_f64().with_context(|| format!("no {key} in {figure}"));
        assert!(number("low")? > 0.0 && number("low")? <= number("value")? && number("value")? <= number("high")?);
        assert!(number("yardstick_value")? > 0.0 && number("ratio")? > 0.0, "{figure}");
        assert!(figure["rounds"].as_array().is_some_and(|rounds| rounds.len() >= 3), "{figure}");
    }
    assert!(std::fs::read_to_string(&picture)?.contains("deploy of a small function"));

    let tenants = operator.json(&["tenant", "list"]).await?;
    let left: Vec<_> = tenants["items"].as_array().context("no list")?.iter().map(|tenant| &tenant["name"]).collect();
    assert_eq!(left, [&json!("acme")], "the benchmark's tenants are gone and nobody else's");
    assert_eq!(operator.json(&["rule", "list"]).await?["items"], json!([]));

    // What looks at a process or starts one cannot be measured from afar.
    assert_ne!(operator.run(&["bench", "idle-tenants", "--quick", "--existing"]).await?.code, 0);
    server.stop().await
}
