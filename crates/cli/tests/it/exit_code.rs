//! The exit code says what a script would do about it.

use std::process::{Command, Stdio};

use anyhow::Result;
use sublet_testkit::Home;

use crate::scene::{PROGRAM, serve};
use crate::terminal::Terminal;

#[tokio::test]
async fn the_exit_code_tells_why_a_command_failed() -> Result<()> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let operator = Terminal::new(server.url(), home.key());
    operator.ok(&["tenant", "put", "acme"]).await?;
    operator.ok(&["tenant", "put", "globex"]).await?;
    let made = operator.json(&["key", "create", "--tenant", "acme"]).await?;
    let acme = Terminal::new(server.url(), made["secret"].as_str().unwrap());
    let stranger = Terminal::new(server.url(), "slo_nobody-knows-this-key-0123456789");
    // Nothing listens on port 1 of this machine.
    let nowhere = Terminal::new("http://127.0.0.1:1", home.key());

    let cases: &[(&Terminal, &[&str], i32)] = &[
        (&operator, &["tenant", "get", "acme"], 0),
        (&operator, &["tenant", "get", "nobody"], 3),
        (&operator, &["event", "explain", "evt_0000000000000"], 3),
        (&operator, &["event", "publish", "{not json"], 2),
        (&operator, &["tenant", "put", "Not A Name"], 2),
        (&operator, &["no-such-command"], 2),
        (&operator, &["rule", "put", "r", "--pattern", r#"{"source": "x"}"#, "--target", "tenant=f"], 2),
        (&stranger, &["tenant", "list"], 4),
        (&acme, &["tenant", "list"], 4),
        (&acme, &["logs", "--tenant", "acme"], 0),
        // Another tenant's anything is as if it were not there.
        (&acme, &["logs", "--tenant", "globex"], 3),
        (&nowhere, &["tenant", "list"], 5),
    ];
    for (terminal, arguments, code) in cases {
        let said = terminal.run(arguments).await?;
        assert_eq!(said.code, *code, "sublet {}: {said:?}", arguments.join(" "));
        assert_eq!(said.err.is_empty(), *code == 0, "an error is said on standard error: {said:?}");
    }
    server.stop().await
}

#[test]
fn a_reader_that_has_read_enough_ends_the_command_without_a_word() -> Result<()> {
    for arguments in [&["config", "default"][..], &["serve", "--print-config"], &["completions", "bash"], &["man"]] {
        let mut command = Command::new(PROGRAM);
        let (_, unread) = std::io::pipe()?;
        let said = command.args(arguments).stdin(Stdio::null()).stdout(unread).stderr(Stdio::piped()).output()?;
        let err = String::from_utf8_lossy(&said.stderr);
        assert_eq!((said.status.code(), err.as_ref()), (Some(128 + libc::SIGPIPE), ""), "{arguments:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_by_name() -> Result<()> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let second = serve(&home).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(second.contains(home.data().to_str().unwrap()), "{second}");
    server.stop().await
}
