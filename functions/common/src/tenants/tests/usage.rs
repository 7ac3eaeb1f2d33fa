use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::tenants::ledger::{self, Ledger, MAXIMUM_DAYS, SETTLES_SECONDS};
use crate::tenants::vault::TenantVault;

/// Takes all steps of summing up.
fn tidy(world: &World, principal: &Principal) {
    let vault = TenantVault::of(principal, &world.settings.keys).unwrap();
    for _ in 0..5 {
        world.now.set(world.now.get() + SETTLES_SECONDS);
        run(async {
            let ledger = Ledger::read(&vault, &world.store).await.unwrap();
            ledger.tidy(&vault, &world.store, world.now.get()).await.unwrap();
        });
    }
}

/// Writes down what came, without tidying up by chance.
fn record(world: &World, principal: &Principal) {
    let vault = TenantVault::of(principal, &world.settings.keys).unwrap();
    let counts = Counts { requests: 1, ..Counts::default() };
    run(ledger::record(&vault, &world.store, counts, world.now.get())).unwrap();
}

#[test]
fn a_request_is_one_write_and_no_read() {
    let world = World::new(&[]);
    let alice = member("alice", Some("acme"));
    for count in 1..=20 {
        world.record(&alice, 1);
        assert_eq!(world.store.writes.get(), count);
    }
    // One request in some hundreds tidies up.
    assert!(world.store.reads.get() <= 4);
}

#[test]
fn usage_is_told_by_day_and_month() {
    let world = World::new(&[]);
    let root = administrator("acme");
    let counts =
        Counts { requests: 1, texts: 2, characters: 300, scams: 1, adversarial: 1, errors: 0 };
    for (now, times) in [(NOW, 2), (NOW + DAY, 1), (NOW + 40 * DAY, 1)] {
        for _ in 0..times {
            run(world.tenants().record(&member("alice", Some("acme")), counts, now)).unwrap();
        }
    }
    let answer = world.get(&root, "/v1/usage?month=2023-11");
    let day = |day: &str, times: u64| {
        json!({
            "day": day, "requests": times, "texts": 2 * times, "characters": 300 * times,
            "scams": times, "adversarial": times, "errors": 0,
        })
    };
    assert_eq!(answer["days"], json!([day("2023-11-14", 2), day("2023-11-15", 1)]));
    assert_eq!(
        (&answer["total"]["characters"], &answer["month"]),
        (&json!(900), &json!("2023-11"))
    );
    assert_eq!(world.get(&root, "/v1/usage"), answer);
    assert_eq!(world.get(&root, "/v1/usage?month=2023-12")["total"]["requests"], 1);
    assert_eq!(world.get(&root, "/v1/usage?month=2024-01")["days"], json!([]));
    world.refused(&member("alice", Some("acme")), ("GET", "/v1/usage"), 403, "role-missing");
}

#[test]
fn a_thousand_requests_become_one_entry() {
    let world = World::new(&[]);
    let root = administrator("acme");
    for _ in 0..1000 {
        record(&world, &root);
    }
    tidy(&world, &root);
    tidy(&world, &root);
    assert_eq!(world.store.names_now().len(), 1);
    assert_eq!(world.requests(&root), 1000);
    for _ in 0..40 {
        record(&world, &root);
    }
    tidy(&world, &root);
    assert_eq!((world.requests(&root), world.store.names_now().len()), (1040, 1));
}

#[test]
fn so_many_days_are_kept_and_no_more() {
    let world = World::new(&[]);
    let root = administrator("acme");
    for day in 0..u64::from(MAXIMUM_DAYS) + 50 {
        world.now.set(NOW + day * DAY);
        record(&world, &root);
    }
    tidy(&world, &root);
    let vault = TenantVault::of(&root, &world.settings.keys).unwrap();
    let days = run(Ledger::read(&vault, &world.store)).unwrap().days();
    assert_eq!(days.len(), usize::from(MAXIMUM_DAYS));
    assert_eq!(world.get(&root, "/v1/usage?month=2023-11")["days"], json!([]));
    assert_eq!(world.get(&root, "/v1/usage?month=2024-12")["total"]["requests"], 31);
    let names = world.store.names_now();
    assert!(names.len() <= 2, "{names:?}");
}

/// Who comes tidies up after those who do not come any more.
#[test]
fn of_who_comes_no_more_nothing_is_kept_for_ever() {
    let world = World::new(&[]);
    let (root, globex) = (administrator("acme"), administrator("globex"));
    for _ in 0..100 {
        record(&world, &root);
    }
    tidy(&world, &root);
    record(&world, &member("carol", None));
    let kept = world.store.names_now();
    world.now.set(NOW + u64::from(MAXIMUM_DAYS) * DAY);
    world.get(&globex, "/v1/usage");
    assert_eq!((world.store.names_now(), kept.len()), (kept, 2));
    world.now.set(world.now.get() + 2 * DAY);
    world.get(&globex, "/v1/usage");
    assert!(world.store.names_now().is_empty());
}

#[test]
fn a_clock_that_goes_back_loses_nothing() {
    let world = World::new(&[]);
    let root = administrator("acme");
    let total = || {
        let vault = TenantVault::of(&root, &world.settings.keys).unwrap();
        let days = run(Ledger::read(&vault, &world.store)).unwrap().days();
        days.values().map(|counts| counts.requests).sum::<u64>()
    };
    let mut expected = 0;
    for now in [NOW, NOW + 900 * DAY, NOW - DAY, NOW, 0, NOW + 60] {
        world.now.set(now);
        for _ in 0..40 {
            record(&world, &root);
            expected += 1;
        }
        tidy(&world, &root);
        assert_eq!(total(), expected);
    }
    assert!(world.store.names_now().len() <= 80, "sums are made again");
}

#[test]
fn an_entry_that_is_changed_or_moved_is_not_counted() {
    let world = World::new(&[]);
    let (acme, globex) = (administrator("acme"), administrator("globex"));
    world.record(&globex, 1);
    let name = world.store.names_now().remove(0);
    let moved = name.replace(&world.base(&globex), &world.base(&acme));
    let mut changed = name.clone();
    let last = if changed.pop() == Some('A') { 'Q' } else { 'A' };
    changed.push(last);
    for (principal, forged) in [(&acme, moved), (&globex, changed)] {
        world.store.entries.borrow_mut().insert(forged.clone(), vec![1]);
        world.refused(principal, ("GET", "/v1/usage"), 503, "storage-unavailable");
        world.store.entries.borrow_mut().remove(&forged);
    }
    assert_eq!(world.requests(&globex), 1);
}

#[test]
fn a_store_that_fails_loses_nothing() {
    let world = World::new(&[]);
    let root = administrator("acme");
    let vault = TenantVault::of(&root, &world.settings.keys).unwrap();
    let mut expected = 0;
    for after in 0..60 {
        for _ in 0..20 {
            record(&world, &root);
            expected += 1;
        }
        world.now.set(world.now.get() + SETTLES_SECONDS);
        world.store.fails_after.set(Some(after));
        run(async {
            if let Ok(ledger) = Ledger::read(&vault, &world.store).await {
                let _ = ledger.tidy(&vault, &world.store, world.now.get()).await;
            }
        });
        world.store.fails_after.set(Some(0));
        let counts = Counts { requests: 1, ..Counts::default() };
        assert!(run(world.tenants().record(&root, counts, NOW)).is_err());
        world.refused(&root, ("GET", "/v1/usage"), 503, "storage-unavailable");
        world.store.fails_after.set(None);
        let ledger = run(Ledger::read(&vault, &world.store)).unwrap();
        assert_eq!(ledger.days().values().map(|counts| counts.requests).sum::<u64>(), expected);
    }
}

/// What an instance does.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Writes this many entries.
    Record(u8),
    /// Begins to tidy up.
    Tidy,
    /// One of those that tidy up or read gets a turn.
    Turn(u8),
    /// One of them is gone, with what it was about to do.
    Die(u8),
    /// Begins to read.
    Read,
    /// Time passes.
    Wait(u8),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (1..30_u8).prop_map(Act::Record),
        2 => Just(Act::Tidy),
        12 => any::<u8>().prop_map(Act::Turn),
        1 => any::<u8>().prop_map(Act::Die),
        1 => Just(Act::Read),
        2 => any::<u8>().prop_map(Act::Wait),
    ]
}

/// Somebody at work: since when, and on what. A reader tells what it has read.
type Work = Pin<Box<dyn Future<Output = Option<u64>>>>;

struct Worker {
    since: u64,
    /// What was written down when it began.
    recorded: u64,
    work: Work,
}

fn total(ledger: &Ledger) -> u64 {
    ledger.days().values().map(|counts| counts.requests).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However instances take turns, each request counts once.
    #[test]
    fn nothing_is_lost_or_counted_twice(acts in prop::collection::vec(any_act(), 0..150)) {
        let world = Rc::new(World::new(&[]));
        let root = Rc::new(administrator("acme"));
        let mut workers: Vec<Worker> = Vec::new();
        let mut recorded = 0;
        for act in acts {
            let now = world.now.get();
            let (work_world, work_root) = (world.clone(), root.clone());
            match act {
                Act::Record(number) => {
                    for _ in 0..number {
                        record(&world, &root);
                        recorded += 1;
                    }
                }
                Act::Tidy | Act::Read => {
                    let is_reader = matches!(act, Act::Read);
                    let work: Work = Box::pin(async move {
                        let World { store, settings, .. } = &*work_world;
                        let vault = TenantVault::of(&work_root, &settings.keys).unwrap();
                        // Sums that come and go too fast: somebody asks again.
                        let ledger = Ledger::read(&vault, store).await.ok()?;
                        if is_reader {
                            return Some(total(&ledger));
                        }
                        ledger.tidy(&vault, store, now).await.unwrap();
                        None
                    });
                    workers.push(Worker { since: now, recorded, work });
                }
                Act::Turn(which) if !workers.is_empty() => {
                    let which = usize::from(which) % workers.len();
                    if let Some(read) = step(workers[which].work.as_mut()) {
                        let worker = workers.swap_remove(which);
                        if let Some(read) = read {
                            prop_assert!((worker.recorded..=recorded).contains(&read));
                        }
                    }
                }
                Act::Die(which) if !workers.is_empty() => {
                    workers.swap_remove(usize::from(which) % workers.len());
                }
                Act::Turn(_) | Act::Die(_) => {}
                Act::Wait(seconds) => {
                    let later = now + u64::from(seconds);
                    // Nobody works for longer than that.
                    for worker in workers.extract_if(.., |worker| later >= worker.since + SETTLES_SECONDS) {
                        if let Some(read) = run(worker.work) {
                            prop_assert!((worker.recorded..=recorded).contains(&read));
                        }
                    }
                    world.now.set(later);
                }
            }
            world.store.waits.set(false);
            let vault = TenantVault::of(&root, &world.settings.keys).unwrap();
            let ledger = run(Ledger::read(&vault, &world.store)).unwrap();
            prop_assert_eq!(total(&ledger), recorded);
            world.store.waits.set(true);
        }
    }
}
