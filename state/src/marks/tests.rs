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

#[test]
fn damaged_slots_are_counted_and_the_others_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut marks = Marks::create(dir.path(), known(1)).unwrap();
    for name in ["a", "b", "c"] {
        let mut reached = Reached::default();
        reached.fact(key(name), id(1, 5));
        marks.publish(reached);
    }
    let whole = fs::read(path(dir.path())).unwrap();
    for slot in 0..5 {
        let mut bytes = whole.clone();
        bytes[slot * SLOT_BYTES + 20] ^= 1;
        fs::write(path(dir.path()), bytes).unwrap();
        let (found, damaged) = read(dir.path()).unwrap().unwrap();
        assert_eq!(damaged, 1);
        let there = (found.epoch.is_some(), found.latches.is_some(), found.instances.len());
        assert_eq!(there, (slot != 0, slot != 1, if slot < 2 { 3 } else { 2 }));
    }
    fs::write(path(dir.path()), &whole[..100]).unwrap();
    assert_eq!(read(dir.path()).unwrap().unwrap().1, 1 + 3);
    fs::write(path(dir.path()), b"").unwrap();
    assert_eq!(read(dir.path()).unwrap().unwrap(), (Known::default(), 1));
}

#[test]
fn slots_that_were_cut_off_or_zeroed_are_missed() {
    let dir = tempfile::tempdir().unwrap();
    let mut marks = Marks::create(dir.path(), known(1)).unwrap();
    for name in ["a", "b", "c"] {
        let mut reached = Reached::default();
        reached.fact(key(name), id(1, 5));
        marks.publish(reached);
    }
    let (whole, found) = (fs::read(path(dir.path())).unwrap(), marks.known().clone());
    drop(Marks::create(dir.path(), found).unwrap());
    assert_eq!(fs::read(path(dir.path())).unwrap(), whole, "counted when they are made as when they are added");
    let damaged = |bytes: &[u8]| {
        fs::write(path(dir.path()), bytes).unwrap();
        read(dir.path()).unwrap().unwrap().1
    };
    for kept in 2..=5 {
        let mut zeroed = whole.clone();
        zeroed[kept * SLOT_BYTES..].fill(0);
        assert_eq!((damaged(&whole[..kept * SLOT_BYTES]), damaged(&zeroed)), (5 - kept, 5 - kept));
    }
    // An earlier program did not count.
    let header = Slot::Header { epoch: 1, schema: 2, instances: 0 }.bytes(0);
    assert_eq!(damaged(&[header.as_slice(), &whole[SLOT_BYTES..2 * SLOT_BYTES]].concat()), 0);
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
