use super::*;
use crate::chunks::chunk_key;
use crate::journal::{NewFact, StateStore};
use crate::lock::StateDir;

type Spoil<'a> = &'a dyn Fn(&Store);

struct Place {
    store: Store,
    _lock: StateDir,
    _root: tempfile::TempDir,
}

fn lived() -> Place {
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    let store = Store::open(&lock).unwrap();
    for name in ["grid", "trend"] {
        append(&store, name, 1..=20);
        store.write_snapshot(&key(name), 10, &[7; 20_000]).unwrap();
        store.write_snapshot(&key(name), 20, &[8; 20_000]).unwrap();
        append(&store, name, 21..=30);
    }
    store.put_latch("kill", b"x").unwrap();
    Place { store, _lock: lock, _root: root }
}

fn append(store: &Store, name: &str, seqs: std::ops::RangeInclusive<u64>) {
    let payload = |seq: u64| vec![seq as u8; if seq.is_multiple_of(10) { 15_000 } else { 15 }];
    let facts = seqs.map(|seq| NewFact { instance: key(name), seq, payload: payload(seq) });
    store.append(facts.collect()).unwrap();
    store.sync().unwrap();
}

fn key(name: &str) -> InstanceKey {
    InstanceKey::new(name).unwrap()
}

fn at(name: &str, seq: u64) -> Vec<u8> {
    fact_key(&key(name), FactId { epoch: 1, seq }).to_vec()
}

fn remove(store: &Store, room: Room, keys: Vec<Vec<u8>>) {
    store.disk().write(room, Vec::new(), keys).unwrap();
}

/// Verifies after a change behind the store's back.
fn problems(spoil: impl FnOnce(&Store)) -> Vec<String> {
    let place = lived();
    spoil(&place.store);
    place.store.verify().problems().collect()
}

#[test]
fn a_whole_store_is_described() {
    let place = lived();
    let report = place.store.verify();
    assert!(report.is_whole());
    assert_eq!((report.instances.len(), report.latches, report.scope), (2, 1, Scope::Everything));
    let grid = &report.instances[0];
    let id = |seq| FactId { epoch: 1, seq };
    assert_eq!((grid.facts, grid.first, grid.last), (30, Some(id(1)), Some(id(30))));
    assert_eq!(grid.snapshots, [id(10), id(20)]);
}

#[test]
fn the_tail_is_what_a_start_needs() {
    let place = lived();
    let report = place.store.verify_tail(59);
    assert_eq!((report.scope, report.instances[0].facts), (Scope::Tail, 21), "from fact 10 on");
    assert_eq!(place.store.verify_tail(60).scope, Scope::Everything);
    remove(&place.store, Room::Facts, vec![at("grid", 5)]);
    assert!(place.store.verify_tail(1).is_whole());
    remove(&place.store, Room::Facts, vec![at("grid", 11)]);
    assert!(!place.store.verify_tail(1).is_whole());
}

#[test]
fn each_kind_of_loss_is_named() {
    let cases: [(Spoil, &str); 9] = [
        (&|s| remove(s, Room::Facts, vec![at("grid", 15)]), "instance grid: a hole: epoch 1 seq 14 is followed by"),
        (&|s| remove(s, Room::Facts, vec![at("grid", 1)]), "instance grid: facts are missing at the beginning"),
        (&|s| remove(s, Room::Facts, vec![at("grid", 30)]), "instance grid: facts are missing at the end"),
        (
            &|s| remove(s, Room::LongFacts, vec![chunk_key(&at("trend", 20), 1)]),
            "instance trend: fact epoch 1 seq 20 is damaged: chunk 1 of 3 is missing",
        ),
        (
            &|s| remove(s, Room::Snapshots, vec![chunk_key(&at("grid", 10), 2)]),
            "instance grid: snapshot epoch 1 seq 10 is damaged",
        ),
        (
            &|s| remove(s, Room::Snapshots, (0..9).map(|chunk| chunk_key(&at("grid", 20), chunk)).collect()),
            "instance grid: its newest snapshot is missing",
        ),
        (
            &|s| remove(s, Room::Snapshots, (0..9).map(|chunk| chunk_key(&at("grid", 10), chunk)).collect()),
            "instance grid: it had 2 snapshots, whole are 1",
        ),
        (&|s| remove(s, Room::Latches, vec![b"kill".to_vec()]), "the latches are damaged: 1 were stored, 0 are there"),
        (&|s| remove(s, Room::Meta, vec![b"epoch".to_vec()]), "its epoch is missing"),
    ];
    for (spoil, expected) in cases {
        let problems = problems(spoil);
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:?}");
    }
}

#[test]
fn an_instance_that_is_gone_is_missed() {
    let problems = problems(|store| {
        remove(store, Room::Facts, (1..=30).map(|seq| at("trend", seq)).collect());
        let pieces = |seq| (0..9).map(move |chunk| chunk_key(&at("trend", seq), chunk));
        remove(store, Room::Snapshots, pieces(10).chain(pieces(20)).collect());
    });
    assert!(problems.iter().any(|problem| problem.starts_with("instance trend: facts are missing")), "{problems:?}");
}

#[test]
fn the_first_problem_does_not_end_the_search() {
    let problems = problems(|store| {
        let mut value = store.disk().get(Room::Facts, &at("grid", 3)).unwrap().unwrap();
        value[7] ^= 1;
        store.disk().write(Room::Facts, vec![(at("grid", 3), value)], vec![at("grid", 12)]).unwrap();
        remove(store, Room::Facts, vec![at("trend", 8)]);
        store.disk().write(Room::Facts, vec![(b"foreign".to_vec(), vec![1])], Vec::new()).unwrap();
        store.disk().write(Room::Snapshots, vec![([at("grid", 20), vec![9]].concat(), vec![1])], Vec::new()).unwrap();
    });
    let told = |text: &str| problems.iter().filter(|problem| problem.contains(text)).count();
    assert_eq!((told("fact epoch 1 seq 3 is damaged"), told("a hole"), told("foreign key")), (1, 2, 2), "{problems:?}");
}

#[test]
fn many_problems_are_counted() {
    let problems = problems(|store| remove(store, Room::Facts, (4..=28).step_by(2).map(|n| at("grid", n)).collect()));
    assert_eq!(problems.len(), 13);
    let mut many = Problems::default();
    (0..50).for_each(|at| many.add(at));
    assert_eq!(many.told().last().unwrap(), "and 30 more");
}
