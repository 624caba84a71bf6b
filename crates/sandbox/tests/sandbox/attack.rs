//! The escape suite, as `sublet doctor --attack` runs it. How fast a neighbour answered meanwhile is shown, not asserted:
//! these tests run beside others.

use std::path::PathBuf;

use sublet_sandbox::attack::{Group, Range, Settings, attacks};

use crate::support::config;

fn settings() -> Settings {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_sublet-sandbox-worker"));
    Settings { pool: config(), attack_program: program, attack_arguments: Vec::new() }
}

/// Makes every attack of the group; fails with all that did not hold.
async fn all_hold(group: Group) {
    let range = Range::new(settings());
    let mut broken = Vec::new();
    let mut made = 0;
    let only = std::env::var("SUBLET_ATTACK").ok();
    for attack in attacks().iter().filter(|attack| attack.group == group) {
        if only.as_ref().is_some_and(|only| !attack.name.contains(only)) {
            continue;
        }
        let verdict = attack.run(&range).await.unwrap_or_else(|error| panic!("{}: {error}", attack.name));
        let latency = verdict.latency();
        let mark = if verdict.held() { "held" } else { "BROKEN" };
        let (before, during) = (latency.before, latency.during);
        let line = format!(
            "{mark} {} in {} ms: {} [{before} → {during}{}]",
            attack.name,
            verdict.took().as_millis(),
            verdict.seen(),
            if verdict.is_flat() { "" } else { ", NOT FLAT" },
        );
        println!("{line}");
        made += 1;
        if !verdict.held() {
            broken.push(line);
        }
    }
    range.close().await;
    assert!(made > 0 || only.is_some());
    assert!(broken.is_empty(), "{} of {made} attacks did not hold:\n{}", broken.len(), broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_memory_hold() {
    all_hold(Group::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_the_stack_hold() {
    all_hold(Group::Stack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_time_hold() {
    all_hold(Group::Time).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_output_hold() {
    all_hold(Group::Output).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_the_wrapper_hold() {
    all_hold(Group::Wrapper).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_wrapper_layers_hold() {
    all_hold(Group::Layer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_by_modules_hold() {
    all_hold(Group::Module).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_cordons_hold() {
    all_hold(Group::Cordon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_the_next_event_hold() {
    all_hold(Group::State).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_the_api_hold() {
    all_hold(Group::Api).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_what_is_outside_hold() {
    all_hold(Group::Outside).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_past_the_gateway_hold() {
    all_hold(Group::Network).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_at_deploy_hold() {
    all_hold(Group::Deploy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_by_system_calls_hold() {
    all_hold(Group::SystemCalls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_within_the_process_hold() {
    all_hold(Group::Process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_by_lies_hold() {
    all_hold(Group::Lies).await;
}
