//! Every row of the table, from every standing: refused by killing under the worker's profile, refused by an error under
//! one that answers, and not refused outside. And each by itself: that is what makes the table honest.

use crate::child::{self, Talk};
use crate::standing::{self, Standing};
use std::os::unix::process::ExitStatusExt;
use sublet_jail::{Action, HostileCall, Outside, Profile, Refused, Victim, hostile_calls};

/// In the child: makes the attempts that the parent names, sealed as the parent wishes.
pub(crate) fn attempts(talk: &mut Talk) {
    let own = i64::from(std::process::id());
    let victim = Victim { parent: std::env::var("VICTIM").unwrap().parse().unwrap(), own };
    let profile = Profile::worker();
    let profile = match std::env::var("SEAL").unwrap().as_str() {
        "kill" => Some(profile),
        "errno" => Some(profile.on_refused(Action::Errno(libc::EPERM))),
        _ => None,
    };
    if let Some(profile) = profile {
        child::enter(&child::plan()).seal(&profile).unwrap();
    }
    talk.say("ready");
    loop {
        let named = talk.hear();
        if named == "end" {
            return;
        }
        let attempt = hostile_calls().nth(named.parse().unwrap()).unwrap();
        let result = attempt.make(&victim);
        if i64::from(std::process::id()) != own {
            // The child of an attempt that got as far as having one.
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) };
        }
        talk.say(result.to_string());
    }
}

fn start(seal: &str, standing: Standing) -> child::Child {
    let facts = [("SEAL", seal.to_owned()), ("VICTIM", std::process::id().to_string())];
    let mut child = child::start("attempts", standing, &facts);
    assert_eq!(child.hear(), "ready");
    child
}

fn result_of(child: &mut child::Child, index: usize) -> i64 {
    child.say(&index.to_string());
    child.hear().parse().unwrap()
}

fn rows() -> impl Iterator<Item = (usize, &'static HostileCall)> {
    hostile_calls().enumerate()
}

#[test]
fn hostile_call_ends_the_worker_or_is_refused() {
    for standing in standing::all() {
        for (index, attempt) in rows() {
            let mut child = start("kill", standing);
            child.say(&index.to_string());
            let answer = child.next();
            match attempt.refused {
                Refused::Killed => {
                    assert_eq!(answer, None, "{} ({standing:?})", attempt.promise);
                    let (status, errors) = child.end();
                    assert_eq!(status.signal(), Some(libc::SIGSYS), "{} ({standing:?}): {errors}", attempt.promise);
                }
                Refused::With(errno) => {
                    assert_eq!(answer, Some((-errno).to_string()), "{} ({standing:?})", attempt.promise);
                    child.say("end");
                    child.succeed();
                }
            }
        }
    }
}

#[test]
fn hostile_calls_all_fail_in_one_process_under_a_profile_that_answers() {
    for standing in standing::all() {
        let mut child = start("errno", standing);
        for (index, attempt) in rows() {
            let expected = match attempt.refused {
                Refused::Killed => libc::EPERM,
                Refused::With(errno) => errno,
            };
            let result = result_of(&mut child, index);
            assert_eq!(result, -i64::from(expected), "{} ({standing:?})", attempt.promise);
        }
        child.say("end");
        child.succeed();
    }
}

#[test]
fn same_calls_go_through_without_the_jail() {
    let mut tried = 0;
    for (index, attempt) in rows() {
        if attempt.outside == Outside::Untried {
            continue;
        }
        let mut child = start("none", Standing::AsStarted);
        let result = result_of(&mut child, index);
        match attempt.outside {
            Outside::Succeeds => assert!(result >= 0, "{}: {result}", attempt.promise),
            Outside::Fails(errno) => assert_eq!(result, -i64::from(errno), "{}", attempt.promise),
            Outside::Untried => {}
        }
        child.say("end");
        child.succeed();
        tried += 1;
    }
    assert!(tried > hostile_calls().count() / 3, "many rows prove that they could fail");
}
