use super::*;

fn key(id: &str) -> InstanceKey {
    InstanceKey::new(id).unwrap()
}

fn id(epoch: u32, seq: u64) -> FactId {
    FactId { epoch, seq }
}

fn known(epoch: u32) -> Known {
    let latches = Some(LatchMark { settled: LatchSum::default().with(b"kill", b"x"), next: None });
    Known { epoch: Some(epoch), schema: Some(2), latches, instances: BTreeMap::new() }
}

#[test]
fn marks_rise_and_never_fall() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read(dir.path()).unwrap(), None);
    let mut marks = Marks::create(dir.path(), known(3)).unwrap();
    let mut reached = Reached::default();
    (1..=9).for_each(|seq| reached.fact(key("a"), id(3, seq)));
    reached.snapshot(key("a"), id(3, 7));
    reached.fact(key("b"), id(3, 1));
    marks.publish(reached);
    let mut lower = Reached::default();
    lower.fact(key("a"), id(2, 50));
    lower.snapshot(key("a"), id(3, 7));
    marks.publish(lower);
    let (found, damaged) = read(dir.path()).unwrap().unwrap();
    assert_eq!(damaged, 0);
    let a = Mark { last: Some(id(3, 9)), snapshot: Some(id(3, 7)), snapshots: 1 };
    let b = Mark { last: Some(id(3, 1)), ..Mark::default() };
    assert_eq!(found.instances.into_iter().collect::<Vec<_>>(), [(key("a"), a), (key("b"), b)]);
    assert_eq!((found.epoch, found.schema, found.latches), (Some(3), Some(2), known(3).latches));
    for seq in [20, 30, 40] {
        let mut next = Reached::default();
        next.snapshot(key("a"), id(3, seq));
        marks.publish(next);
    }
    assert_eq!(marks.known().instances[&key("a")].snapshots, 2);
}

#[test]
fn more_instances_than_spare_slots_find_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut marks = Marks::create(dir.path(), known(1)).unwrap();
    for i in 0..200 {
        let mut reached = Reached::default();
        reached.fact(key(&format!("bot-{i}")), id(1, i));
        marks.publish(reached);
    }
    let (found, damaged) = read(dir.path()).unwrap().unwrap();
    assert_eq!((found.instances.len(), damaged), (200, 0));
    assert_eq!(&found, marks.known());
    drop(marks);
    let again = Marks::create(dir.path(), found.clone()).unwrap();
    assert_eq!((again.known(), read(dir.path()).unwrap().unwrap().0), (&found, found.clone()));
}

#[test]
fn a_change_of_latches_is_announced_and_settled() {
    let dir = tempfile::tempdir().unwrap();
    let mut marks = Marks::create(dir.path(), known(1)).unwrap();
    let before = known(1).latches.unwrap().settled;
    let after = before.with(b"paused/a", b"").without(b"kill", b"x");
    assert!(before.kill && !after.kill && after.count == 1);
    marks.announce(before, after);
    let mark = read(dir.path()).unwrap().unwrap().0.latches.unwrap();
    assert!(mark.accepts(before) && mark.accepts(after) && !mark.accepts(LatchSum::default()));
    marks.settle(after);
    let mark = read(dir.path()).unwrap().unwrap().0.latches.unwrap();
    assert!(!mark.accepts(before) && mark.accepts(after));
}

#[test]
fn the_sum_of_latches_does_not_depend_on_their_order_and_tells_rows_apart() {
    let sum = |rows: &[(&str, &str)]| {
        rows.iter().fold(LatchSum::default(), |sum, (name, value)| sum.with(name.as_bytes(), value.as_bytes()))
    };
    assert_eq!(sum(&[("a", "1"), ("b", "2")]), sum(&[("b", "2"), ("a", "1")]));
    assert_ne!(sum(&[("a", "1"), ("b", "2")]), sum(&[("a", "2"), ("b", "1")]));
    assert_ne!(sum(&[("ab", "c")]), sum(&[("a", "bc")]));
    assert_eq!(sum(&[("a", "1"), ("b", "2")]).without(b"b", b"2"), sum(&[("a", "1")]));
}

/// Three instances at their fifth fact.
fn three(dir: &Path) -> (Marks, Vec<u8>) {
    let mut marks = Marks::create(dir, known(1)).unwrap();
    ["a", "b", "c"].into_iter().for_each(|name| reach(&mut marks, name, 5));
    (marks, fs::read(path(dir)).unwrap())
}

fn reach(marks: &mut Marks, name: &str, seq: u64) {
    let mut reached = Reached::default();
    reached.fact(key(name), id(1, seq));
    marks.publish(reached);
}

type Step<'a> = (&'a str, &'a dyn Fn(&mut Marks));

/// What the file says when its bytes are these.
fn read_as(dir: &Path, bytes: &[u8]) -> (Known, usize) {
    fs::write(path(dir), bytes).unwrap();
    read(dir).unwrap().unwrap()
}

#[test]
fn damaged_slots_are_counted_and_the_others_read() {
    let dir = tempfile::tempdir().unwrap();
    let (_, whole) = three(dir.path());
    for slot in 0..5 {
        let mut bytes = whole.clone();
        for copy in 0..2 {
            bytes[(2 * slot + copy) * SLOT_BYTES + 20] ^= 1;
        }
        let (found, damaged) = read_as(dir.path(), &bytes);
        assert_eq!(damaged, 1);
        let there = (found.epoch.is_some(), found.latches.is_some(), found.instances.len());
        assert_eq!(there, (slot != 0, slot != 1, if slot < 2 { 3 } else { 2 }));
    }
    assert_eq!(read_as(dir.path(), &whole[..150]).1, 1 + 3);
    assert_eq!(read_as(dir.path(), b""), (Known::default(), 1));
}

#[test]
fn a_slot_that_is_torn_leaves_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut marks, _) = three(dir.path());
    let (before, after) = (LatchSum::default().with(b"kill", b"x"), LatchSum::default().with(b"paused/a", b""));
    let steps: [Step<'_>; 6] = [
        ("a fact", &|marks| reach(marks, "b", 6)),
        ("another", &|marks| reach(marks, "b", 7)),
        ("a new instance", &|marks| reach(marks, "d", 1)),
        ("a change announced", &|marks| marks.announce(before, after)),
        ("and settled", &|marks| marks.settle(after)),
        ("and one more", &|marks| marks.announce(after, before)),
    ];
    for (what, step) in steps {
        let (old, was) = (fs::read(path(dir.path())).unwrap(), marks.known().clone());
        step(&mut marks);
        let (new, now) = (fs::read(path(dir.path())).unwrap(), marks.known().clone());
        let changed: Vec<usize> = (0..new.len() / SLOT_BYTES)
            .filter(|place| old[place * SLOT_BYTES..][..SLOT_BYTES] != new[place * SLOT_BYTES..][..SLOT_BYTES])
            .collect();
        assert!(!changed.is_empty(), "{what}");
        for place in changed {
            let mut torn = old.clone();
            torn[place * SLOT_BYTES..][..SLOT_BYTES / 2].copy_from_slice(&new[place * SLOT_BYTES..][..SLOT_BYTES / 2]);
            let (found, damaged) = read_as(dir.path(), &torn);
            assert_eq!(damaged, 0, "{what}: place {place}");
            assert!([&was, &now].contains(&&found), "{what}: place {place}: {found:?}");
        }
        assert_eq!(read_as(dir.path(), &new), (now, 0), "{what}");
    }
}

#[test]
fn marks_of_before_the_slots_were_doubled_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let known = known(4);
    let latches = Slot::Latches { mark: known.latches.unwrap(), turn: 0 };
    let mark = Mark { last: Some(id(4, 9)), ..Mark::default() };
    let mut header = Slot::Header { epoch: 4, schema: 2, instances: 2 }.bytes(0);
    header[9..13].copy_from_slice(&1u32.to_be_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&0u64.to_be_bytes());
    hasher.update(&header[..SLOT_BYTES - 4]);
    header[SLOT_BYTES - 4..].copy_from_slice(&hasher.finalize().to_be_bytes());
    let of = |name: &str, place| Slot::Instance(key(name), mark).bytes(place);
    let whole = [header, latches.bytes(1), of("a", 2), of("b", 3), [0; SLOT_BYTES]].concat();
    let (found, damaged) = read_as(dir.path(), &whole);
    assert_eq!((found.epoch, found.latches, found.instances.len(), damaged), (Some(4), known.latches, 2, 0));
    for slot in 0..4 {
        let mut bytes = whole.clone();
        bytes[slot * SLOT_BYTES + 30] ^= 1;
        let (found, damaged) = read_as(dir.path(), &bytes);
        assert_eq!((found.instances.len(), damaged), (if slot < 2 { 2 } else { 1 }, 1), "slot {slot}");
    }
}

#[test]
fn slots_that_were_cut_off_or_zeroed_are_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (marks, whole) = three(dir.path());
    drop(Marks::create(dir.path(), marks.known().clone()).unwrap());
    assert_eq!(read(dir.path()).unwrap().unwrap(), (marks.known().clone(), 0));
    let damaged = |bytes: &[u8]| read_as(dir.path(), bytes).1;
    for kept in 2..=5 {
        let mut zeroed = whole.clone();
        zeroed[kept * 2 * SLOT_BYTES..].fill(0);
        assert_eq!((damaged(&whole[..kept * 2 * SLOT_BYTES]), damaged(&zeroed)), (5 - kept, 5 - kept));
    }
}

#[test]
fn marks_that_cannot_be_written_are_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut marks = Marks::create(dir.path(), known(1)).unwrap();
    // A file opened for reading refuses every write.
    let writable = std::mem::replace(&mut marks.file, File::open(path(dir.path())).unwrap());
    let mut reached = Reached::default();
    reached.fact(key("a"), id(1, 5));
    marks.publish(reached);
    assert!(marks.failed);
    assert!(read(dir.path()).unwrap().unwrap().0.instances.is_empty());
    marks.file = writable;
    marks.sync();
    assert!(!marks.failed && !marks.dirty);
    assert_eq!(read(dir.path()).unwrap().unwrap().0.instances[&key("a")].last, Some(id(1, 5)));
}
