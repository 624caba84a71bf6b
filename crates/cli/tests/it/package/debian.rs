//! The Debian package: made from the program under test, unpacked, and its parts tried.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use sublet_testkit::{Home, Server, is_there};
use tokio::process::Command;

use super::root;
use crate::scene::PROGRAM;

/// The most that `systemd-analyze security` may find the service exposed, in tenths: 3.0 of 10.
const EXPOSURE_MAX: &str = "30";

/// What a command printed; anything but success is an error that shows what it said.
async fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let run = Command::new(program).args(arguments).current_dir(root()).stdin(Stdio::null()).output().await;
    let said = run.with_context(|| format!("cannot start {program}"))?;
    let errors = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success(), "`{program} {}` ended with {}: {errors}", arguments.join(" "), said.status);
    Ok(format!("{}{errors}", String::from_utf8_lossy(&said.stdout)))
}

/// Makes the package and unpacks it into `scratch`: its files below `root`, what belongs to dpkg below `control`.
async fn unpacked(scratch: &Path) -> Result<PathBuf> {
    ensure!(PROGRAM.ends_with("target/release/sublet"), "packages are made of the release build: test with --release");
    output(env!("CARGO"), &["xtask", "package", "--no-build", "--fast"]).await?;
    let mut files = std::fs::read_dir(root().join("target/package"))?.flatten().map(|entry| entry.path());
    let package = files.find(|file| file.extension().is_some_and(|ending| ending == "deb")).context("no .deb")?;
    let (package, scratch) = (package.to_str().context("not UTF-8")?, scratch.to_str().context("not UTF-8")?);
    output("dpkg-deb", &["--extract", package, &format!("{scratch}/root")]).await?;
    output("dpkg-deb", &["--control", package, &format!("{scratch}/control")]).await?;
    Ok(PathBuf::from(package))
}

#[tokio::test]
async fn the_debian_package_holds_program_service_configuration_completions_and_pages() -> Result<()> {
    let cargo_deb = root().join("target/tools/cargo-deb/bin/cargo-deb");
    if !is_there(cargo_deb.to_str().context("not UTF-8")?, "the Debian package")
        || !is_there("dpkg-deb", "the Debian package")
    {
        return Ok(());
    }
    let home = Home::new()?;
    let package = unpacked(home.path()).await?;
    let (files, control) = (home.path().join("root"), home.path().join("control"));

    for (file, mode) in [
        ("usr/bin/sublet", 0o755),
        ("etc/sublet/sublet.toml", 0o644),
        ("usr/lib/systemd/system/sublet.service", 0o644),
        ("usr/lib/sysusers.d/sublet.conf", 0o644),
        ("usr/share/man/man1/sublet.1.gz", 0o644),
        ("usr/share/man/man1/sublet-tenant-put.1.gz", 0o644),
        ("usr/share/bash-completion/completions/sublet", 0o644),
        ("usr/share/zsh/vendor-completions/_sublet", 0o644),
        ("usr/share/fish/vendor_completions.d/sublet.fish", 0o644),
        ("usr/share/doc/sublet/copyright", 0o644),
        ("usr/share/doc/sublet/operating.md", 0o644),
    ] {
        let about = std::fs::metadata(files.join(file)).with_context(|| format!("no {file}"))?;
        assert_eq!(about.permissions().mode() & 0o7777, mode, "{file}");
        assert!(about.len() > 0, "{file} is empty");
    }
    let file = |path: &str| files.join(path).to_str().map(str::to_owned).context("not UTF-8");
    output("bash", &["-n", &file("usr/share/bash-completion/completions/sublet")?]).await?;

    // What an operator changed outlives the next version.
    assert_eq!(std::fs::read_to_string(control.join("conffiles"))?.trim(), "/etc/sublet/sublet.toml");
    let after = std::fs::read_to_string(control.join("postinst"))?;
    assert!(after.contains("systemd-sysusers") && after.contains("sublet.conf"), "{after}");
    let package = package.to_str().context("not UTF-8")?;
    let depends = output("dpkg-deb", &["--field", package, "Depends"]).await?;
    assert!(depends.contains("libc6") && depends.contains("ca-certificates"), "{depends}");

    // The program in it starts with the configuration in it; only what the machine's own service would hold is the test's.
    let mut command = Command::new(files.join("usr/bin/sublet"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--config", &file("etc/sublet/sublet.toml")?, "--data"]);
    command.arg(home.data());
    let server = Server::start_command(command, &home).await?;
    assert_eq!(server.http()?.get("/readyz").await?.ok()?["status"], "ready");
    server.stop().await
}

#[tokio::test]
async fn the_service_file_is_sound_and_gives_up_what_it_does_not_use() -> Result<()> {
    if !is_there("systemd-analyze", "the service file") {
        return Ok(());
    }
    let home = Home::new()?;
    let text = std::fs::read_to_string(root().join("packaging/debian/sublet.service"))?;
    // The program is not installed where the package puts it.
    let unit = home.path().join("sublet.service");
    std::fs::write(&unit, text.replace("/usr/bin/sublet", PROGRAM))?;
    let unit = unit.to_str().context("not UTF-8")?;
    let complaints = output("systemd-analyze", &["verify", "--man=no", unit]).await?;
    assert!(!complaints.contains("sublet.service"), "{complaints}");
    let judged = output("systemd-analyze", &["security", "--offline=true", "--threshold", EXPOSURE_MAX, unit]).await;
    // Its table is longer than an error should be.
    assert!(judged.is_ok(), "more exposed than {EXPOSURE_MAX}: see `systemd-analyze security --offline=true {unit}`");
    Ok(())
}
