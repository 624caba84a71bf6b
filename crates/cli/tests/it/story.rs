//! From nothing to one's own tenant and function, by the commands that the README names.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use sublet_testkit::{Home, Http, Server};

use crate::scene::{DEADLINE, serve, settled};
use crate::terminal::Terminal;

const HELLO: &str = "export const handler = async (event) => {\n  console.log('order', event.detail.order);\n  \
    return { thanks: event.detail.order };\n};\n";

struct Scene {
    home: Home,
    server: Server,
    operator: Terminal,
    /// Acme's developer.
    developer: Terminal,
}

/// A server, the tenant acme and a key of its own.
async fn scene() -> Result<Scene> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let operator = Terminal::new(server.url(), home.key());
    operator.ok(&["tenant", "put", "acme"]).await?;
    let made = operator.json(&["key", "create", "--tenant", "acme", "--label", "laptop"]).await?;
    let developer = Terminal::new(server.url(), made["secret"].as_str().context("the key is not shown")?);
    Ok(Scene { home, server, operator, developer })
}

impl Scene {
    fn write(&self, file: &str, text: &str) -> Result<String> {
        let path = self.home.path().join(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(&path, text)?;
        Ok(path.to_str().context("not UTF-8")?.to_owned())
    }

    fn http(&self) -> Result<Http> {
        self.server.http()
    }
}

#[tokio::test]
async fn a_tenants_function_answers_an_event_by_the_quick_start() -> Result<()> {
    let scene = scene().await?;
    let (operator, developer) = (&scene.operator, &scene.developer);
    let file = scene.write("hello.mjs", HELLO)?;
    developer.ok(&["deploy", &file, "--tenant", "acme", "--function", "hello"]).await?;
    let pattern = r#"{"source": ["shop"], "detail-type": ["Order Placed"]}"#;
    operator.ok(&["rule", "put", "orders", "--pattern", pattern, "--target", "tenant=hello"]).await?;

    let http = scene.http()?;
    let mut news = http.stream("/v1/stream").await?;
    let publish = ["event", "publish", "--source", "shop", "--type", "Order Placed", "--tenant", "acme"];
    let receipt = operator.json(&[&publish[..], &["--detail", r#"{"order": 7}"#, "--id", "o-7"]].concat()).await?;
    assert_eq!(receipt["status"], "matched");
    let result = news.find(DEADLINE, |event| event["detail"]["event"] == "o-7").await?;
    assert_eq!(result["detail"]["result"], json!({"thanks": 7}));

    let id = receipt["id"].as_str().context("no id")?;
    let explained = developer.json(&["event", "explain", id]).await?;
    assert_eq!(explained["invocations"][0]["state"], "Succeeded", "{explained}");
    let for_people = operator.ok(&["event", "explain", id]).await?;
    assert!(for_people.contains("orders") && for_people.contains("Succeeded"), "{for_people}");
    let log = developer.ok(&["logs", "hello", "--tenant", "acme"]).await?;
    assert!(log.contains("order 7"), "{log}");
    let usage = developer.json(&["usage", "--tenant", "acme"]).await?;
    assert_eq!(usage["total"]["attempts"], 1, "{usage}");
    let for_people = operator.ok(&["usage"]).await?;
    assert!(for_people.contains("acme"), "{for_people}");
    scene.server.stop().await
}

#[tokio::test]
async fn a_folder_is_deployed_invoked_and_rolled_back() -> Result<()> {
    let scene = scene().await?;
    let developer = &scene.developer;
    let file = scene.write("hello.mjs", HELLO)?;
    let deploy = |path| ["deploy", path, "--tenant", "acme", "--function", "hello"];
    assert_eq!(developer.json(&deploy(&file)).await?["version"], 1);

    scene.write(
        "shop/index.mjs",
        "import { price } from './lib/price.mjs';\nexport const handler = async (e) => price(e.n);",
    )?;
    scene.write("shop/lib/price.mjs", "export const price = (n) => ({ cents: n * 250 });")?;
    let folder = scene.home.path().join("shop");
    let version = developer.json(&deploy(folder.to_str().context("not UTF-8")?)).await?;
    assert_eq!((&version["version"], &version["live"]), (&json!(2), &json!(true)));

    let invoke = ["invoke", "hello", "--tenant", "acme", "--event"];
    let priced = developer.json(&[&invoke[..], &[r#"{"n": 3}"#]].concat()).await?;
    assert_eq!(priced, json!({"cents": 750}));
    developer.ok(&["rollback", "hello", "--tenant", "acme"]).await?;
    let counting = [&invoke[..], &[r#"{"detail": {"order": 1}}"#, "--count"]].concat();
    let (first, again) = (developer.run(&counting).await?, developer.run(&counting).await?);
    let count: u64 = first.err.strip_suffix(" instructions\n").context("no count")?.parse()?;
    assert!(count > 1_000 && first.err == again.err, "{first:?} {again:?}");
    let thanked = developer.json(&[&invoke[..], &[r#"{"detail": {"order": 1}}"#]].concat()).await?;
    assert_eq!(thanked, json!({"thanks": 1}));
    // What no version ever was cannot become live.
    assert_eq!(developer.run(&["rollback", "hello", "--tenant", "acme", "--to", "9"]).await?.code, 3);

    let broken = scene.write("broken.mjs", "export const handler = async (event) => {\n  return event.;\n};\n")?;
    let said = developer.run(&deploy(&broken)).await?;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("SyntaxError") && said.err.contains(":2"), "the place is named: {said:?}");
    scene.server.stop().await
}

#[tokio::test]
async fn a_module_is_deployed_and_invoked_and_what_is_none_says_so() -> Result<()> {
    let scene = scene().await?;
    let developer = &scene.developer;
    let words = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/wasm-c/words.wasm");
    let deploy = |path| ["deploy", path, "--tenant", "acme", "--function", "words", "--env", "GREETING=hi"];
    let version = developer.json(&deploy(words)).await?;
    assert_eq!((&version["version"], &version["config"]["runtime"]), (&json!(1), &json!("wasm")));
    let event = r#"{"detail": {"title": "buy milk today"}}"#;
    let counted = developer.json(&["invoke", "words", "--tenant", "acme", "--event", event]).await?;
    assert_eq!(counted, json!({"words": 3, "greeting": "hi buy milk today"}));
    let said = developer.run(&["invoke", "words", "--tenant", "acme", "--event", event, "--count"]).await?;
    assert!(said.code == 0 && said.err.ends_with(" instructions\n"), "{said:?}");
    let log = developer.ok(&["logs", "words", "--tenant", "acme"]).await?;
    assert!(log.contains("counted 3 words"), "{log}");

    let broken = scene.write("broken.wasm", "(module)")?;
    let said = developer.run(&deploy(&broken)).await?;
    assert!(said.code == 2 && said.err.contains("no WebAssembly module"), "{said:?}");
    let script = scene.write("hello.mjs", HELLO)?;
    let said = developer.run(&deploy(&script)).await?;
    assert!(said.code == 2 && said.err.contains("runtime"), "{said:?}");
    scene.server.stop().await
}

#[tokio::test]
async fn a_dead_letter_is_seen_and_redriven_once_the_code_is_mended() -> Result<()> {
    let scene = scene().await?;
    let (operator, developer) = (&scene.operator, &scene.developer);
    let broken =
        scene.write("broken.mjs", "export const handler = async () => { throw new TypeError('no price'); };\n")?;
    let deploy = |path| ["deploy", path, "--tenant", "acme", "--function", "hello"];
    developer.ok(&deploy(&broken)).await?;
    let rule = json!({"pattern": {"source": ["shop"]}, "targets": [{"tenant": "hello", "retry": {"attempts": 1}}]});
    let http = scene.http()?;
    http.put("/v1/rules/orders", &rule).await?.ok()?;

    let mut news = http.stream("/v1/stream").await?;
    let event =
        r#"{"id": "o-1", "source": "shop", "detail-type": "Order Placed", "tenant": "acme", "detail": {"order": 1}}"#;
    operator.ok(&["event", "publish", event]).await?;
    let failed = news.find(DEADLINE, |event| event["detail"]["event"] == "o-1").await?;
    assert_eq!(failed["detail-type"], "Invocation Failed");
    assert_eq!(failed["detail"]["error"]["errorMessage"], "no price", "{failed}");

    let letters = developer.json(&["dlq", "list", "--tenant", "acme"]).await?;
    assert_eq!(letters["items"].as_array().map(Vec::len), Some(1), "{letters}");
    let log = developer.ok(&["logs", "--tenant", "acme"]).await?;
    assert!(log.contains("TypeError: no price") && log.contains("index"), "with the place in the code: {log}");

    let mended = scene.write("hello.mjs", HELLO)?;
    developer.ok(&deploy(&mended)).await?;
    let mut news = http.stream("/v1/stream?type=succeeded").await?;
    developer.ok(&["dlq", "redrive", "--all", "--tenant", "acme"]).await?;
    news.find(DEADLINE, |event| event["detail"]["event"] == "o-1").await?;
    settled(&http, &["acme"], &mut news).await?;
    let letters = developer.json(&["dlq", "list", "--tenant", "acme"]).await?;
    assert_eq!(letters["items"], json!([]));
    scene.server.stop().await
}

#[tokio::test]
async fn every_reading_command_prints_json_when_asked() -> Result<()> {
    let scene = scene().await?;
    let file = scene.write("hello.mjs", HELLO)?;
    scene.developer.ok(&["deploy", &file, "--tenant", "acme", "--function", "hello"]).await?;
    let commands: &[&[&str]] = &[
        &["tenant", "list"],
        &["tenant", "get", "acme"],
        &["rule", "list"],
        &["rule", "list", "--tenant", "acme"],
        &["event", "list"],
        &["function", "list", "--tenant", "acme"],
        &["function", "get", "hello", "--tenant", "acme"],
        &["function", "versions", "hello", "--tenant", "acme"],
        &["logs", "--tenant", "acme"],
        &["dlq", "list", "--tenant", "acme"],
        &["usage"],
        &["usage", "--tenant", "acme"],
        &["key", "list"],
        &["webhook", "list"],
        &["layer", "list"],
        &["doctor"],
    ];
    for command in commands {
        scene.operator.json(command).await?;
        let table = scene.operator.ok(command).await?;
        assert!(!table.trim().is_empty(), "sublet {} prints nothing for people", command.join(" "));
    }
    scene.server.stop().await
}
