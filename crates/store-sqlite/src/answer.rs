//! Giving the answers of a commit back, many at once.
//!
//! Waking a task from a thread outside its runtime takes the runtime's lock and often a system call; from a task inside
//! it takes neither. So the writer wakes one task, and that one answers all who waited for the commit, while the writer
//! is at the next. What the commands brought (events, results) is freed there as well, by the threads that allocated it.
//!
//! Invariant: a command that was given is answered exactly once, whatever becomes of the runtime.

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::command::Command;
use crate::option::{ANSWERS_TOGETHER_MIN, BATCH_COMMANDS_MAX};

/// Commands that are durable and not yet answered. Answered when dropped, so that a runtime that ends with its task in
/// the middle leaves nobody waiting.
struct Answers(Vec<Box<dyn Command>>);

impl Drop for Answers {
    fn drop(&mut self) {
        for command in self.0.drain(..) {
            command.answer(Ok(()));
        }
    }
}

pub(crate) struct Answerer {
    /// `None`: the store was opened outside a runtime.
    task: Option<UnboundedSender<Answers>>,
}

impl Answerer {
    /// In the runtime of the caller, if there is one. The channel holds at most what the callers of one queue wait for.
    pub(crate) fn start() -> Answerer {
        let Ok(runtime) = Handle::try_current() else { return Answerer { task: None } };
        let (task, mut commits) = unbounded_channel::<Answers>();
        runtime.spawn(async move {
            while let Some(answers) = commits.recv().await {
                drop(answers);
            }
        });
        Answerer { task: Some(task) }
    }

    /// Answers `commands`, which a commit made durable; leaves the vector empty.
    pub(crate) fn give(&self, commands: &mut Vec<Box<dyn Command>>) {
        match &self.task {
            Some(task) if commands.len() >= ANSWERS_TOGETHER_MIN => {
                let next = Vec::with_capacity(BATCH_COMMANDS_MAX);
                // A runtime that is gone gives them back, and they are answered here.
                drop(task.send(Answers(std::mem::replace(commands, next))));
            }
            _ => commands.drain(..).for_each(|command| command.answer(Ok(()))),
        }
    }
}
