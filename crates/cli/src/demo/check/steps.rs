//! Steps, each a line: `ok   3 acme's item got a due date and tags: due 2026-03-06 (12 ms)`, or `FAIL …` with the reason.

use std::time::Instant;

use anyhow::Result;

#[derive(Debug, Default)]
pub(super) struct Steps {
    number: u32,
    failed: u32,
}

impl Steps {
    /// A step that finds something worth saying, or nothing (`""`).
    pub(super) async fn step(&mut self, what: &str, work: impl Future<Output = Result<String>>) {
        let began = Instant::now();
        let done = work.await;
        self.line(what, began, done.as_ref().map(String::as_str));
    }

    /// A step that the following ones stand on: `None` when it failed.
    pub(super) async fn need<T>(&mut self, what: &str, work: impl Future<Output = Result<T>>) -> Option<T> {
        let began = Instant::now();
        let done = work.await;
        self.line(what, began, done.as_ref().map(|_| ""));
        done.ok()
    }

    fn line(&mut self, what: &str, began: Instant, done: Result<&str, &anyhow::Error>) {
        self.number += 1;
        let (number, ms) = (self.number, began.elapsed().as_millis());
        match done {
            Ok("") => println!("ok   {number:2} {what} ({ms} ms)"),
            Ok(found) => println!("ok   {number:2} {what}: {found} ({ms} ms)"),
            Err(error) => {
                self.failed += 1;
                println!("FAIL {number:2} {what}: {error:#} ({ms} ms)");
            }
        }
    }

    /// Prints the verdict.
    pub(super) fn all_held(&self) -> bool {
        match self.failed {
            0 => println!("all {} steps held", self.number),
            failed => println!("{failed} of {} steps failed", self.number),
        }
        self.failed == 0
    }
}
