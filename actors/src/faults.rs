//! Faults that tests plant: panics and hangs inside the actors. Not part of the program: feature `faults` only.
//!
//! `SUPERVISOR_FAULTS="panic INSTANCE STAGE AFTER TIMES; hang ..."`: the actor of that stage fails when it takes its
//! message number AFTER (counted from the start of the process), TIMES times in a row; STAGE as in the names of the
//! actors. `conductor` is no stage and cannot be hit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use supervisor_core::domain::InstanceId;
use supervisor_core::instance::Stage;

#[derive(Debug)]
struct Plan {
    hangs: bool,
    instance: String,
    stage: Stage,
    after: u64,
    times: u64,
    taken: u64,
}

static ARMED: AtomicBool = AtomicBool::new(false);
static PLANS: Mutex<Vec<Plan>> = Mutex::new(Vec::new());

/// Reads the environment; a plan that cannot be read is an error, so that no test passes because nothing was planted.
///
/// # Errors
/// The part that cannot be read.
pub fn arm_from_env() -> Result<(), String> {
    std::env::var("SUPERVISOR_FAULTS").map_or(Ok(()), |text| arm(&text))
}

/// Plants what the text says besides what is planted already; see the module.
///
/// # Errors
/// The part that cannot be read.
pub fn arm(text: &str) -> Result<(), String> {
    let plans: Result<Vec<Plan>, String> = text.split(';').map(str::trim).filter(|s| !s.is_empty()).map(plan).collect();
    let plans = plans?;
    PLANS.lock().unwrap_or_else(PoisonError::into_inner).extend(plans);
    ARMED.store(true, Ordering::Release);
    Ok(())
}

fn plan(text: &str) -> Result<Plan, String> {
    let wrong = || format!("'{text}' is no fault");
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind, instance, stage, after, times] = words[..] else { return Err(wrong()) };
    let stage = Stage::ALL.into_iter().find(|known| known.word() == stage).ok_or_else(wrong)?;
    let number = |word: &str| word.parse().map_err(|_| wrong());
    let hangs = match kind {
        "panic" => false,
        "hang" => true,
        _ => return Err(wrong()),
    };
    Ok(Plan { hangs, instance: instance.to_owned(), stage, after: number(after)?, times: number(times)?, taken: 0 })
}

/// An actor takes a message: fails if that is planned.
///
/// # Panics
/// When that is planned.
pub fn strike(instance: InstanceId, stage: Stage) {
    if !ARMED.load(Ordering::Acquire) {
        return;
    }
    let mut hit = None;
    for plan in PLANS.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
        if plan.stage == stage && plan.instance == instance.as_str() {
            plan.taken += 1;
            if plan.taken >= plan.after && plan.times > 0 {
                plan.times -= 1;
                hit = Some(plan.hangs);
            }
        }
    }
    match hit {
        Some(true) => std::thread::sleep(Duration::from_secs(3_600)),
        #[allow(clippy::panic)]
        Some(false) => panic!("planted fault in {instance}, {}", stage.word()),
        None => {}
    }
}
