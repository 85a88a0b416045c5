//! Positions and readers from other lives of the log, and the snapshots that carry one life into the next.

use pushcore::*;

use crate::story::{NOW, after, hub, publish, read, retain, subscribe, topic};

#[test]
fn a_position_of_another_life_is_an_epoch_gap_and_then_everything() {
    let hub = hub(retain(2));
    publish(&hub, "a a a", NOW);
    let foreign = Position {
        epoch: Epoch(7),
        offset: 5,
        tag: Tag(9),
    };
    let mut reader = subscribe(&hub, "a", Start::After(foreign));
    assert_eq!(reader.position(), foreign, "until it is given an event");
    assert_eq!(read(&mut reader), "epoch(a:5-0) gap(a:1-1)=1 a2 a3");
}

#[test]
fn a_position_the_log_never_gave_is_rewound() {
    let hub = hub(retain(9));
    let seen = publish(&hub, "a a a", NOW)[1];
    let beyond = Position { offset: 9, ..seen };
    assert_eq!(
        read(&mut subscribe(&hub, "a", Start::After(beyond))),
        "rewound(a:9-0) a1 a2 a3"
    );
    let other = Position {
        tag: Tag(seen.tag.0 ^ 1),
        ..seen
    };
    assert_eq!(
        read(&mut subscribe(&hub, "a", Start::After(other))),
        "rewound(a:2-0) a1 a2 a3"
    );
    assert_eq!(read(&mut subscribe(&hub, "a", Start::After(seen))), "a3");
}

fn restored(hub: &Hub, seed: u64) -> Hub {
    let mut file = Vec::new();
    hub.snapshot().write_to(&mut file).unwrap();
    Hub::restore(&mut file.as_slice(), retain(9), seed, NOW).unwrap()
}

#[test]
fn a_restored_log_goes_on_where_it_stopped() {
    let first = hub(retain(3));
    let mut keyed = NewEvent::new(topic("a"), "a1");
    keyed.idempotency = Some(IdempotencyKey::parse("key").unwrap());
    keyed.key = Some(Key::parse("k").unwrap());
    let one = first
        .publish(vec![keyed.clone()], None, NOW)
        .try_ready()
        .ok()
        .unwrap();
    let seen = publish(&first, "b a a a c", NOW)[1];
    first.end_topic(&topic("c"), NOW).unwrap();
    let second = restored(&first, 2);
    assert_eq!(second.head(), first.head());
    assert_eq!(
        read(&mut subscribe(&second, "a", Start::After(seen))),
        "a4 a5"
    );
    assert_eq!(
        read(&mut subscribe(&second, "**", after(&second, 0))),
        "gap(**:1-1) b2 a3 a4 a5 c6 ended(c)"
    );
    let again = second
        .publish(vec![keyed], None, NOW)
        .try_ready()
        .ok()
        .unwrap();
    assert_eq!(
        again[0].as_ref().unwrap().position,
        one[0].as_ref().unwrap().position
    );
    assert!(again[0].as_ref().unwrap().duplicate);
    publish(&second, "a", NOW);
    assert_eq!(
        read(&mut subscribe(&second, "a", Start::After(first.head()))),
        "a8"
    );
}

#[test]
fn a_reader_from_a_life_that_was_lost_is_told_and_reads_on_from_what_was_common() {
    let first = hub(retain(9));
    publish(&first, "a a", NOW);
    let second = restored(&first, 2);
    let lost = publish(&second, "a a a", NOW);
    let third = restored(&first, 3);
    publish(&third, "a a", NOW);
    assert_eq!(
        read(&mut subscribe(&third, "a", Start::After(lost[0]))),
        "rewound(a:3-2) a3 a4"
    );
    assert_eq!(
        read(&mut subscribe(&third, "a", Start::After(lost[2]))),
        "rewound(a:5-2) a3 a4"
    );
    assert_eq!(
        read(&mut subscribe(&third, "a", Start::After(first.head()))),
        "a3 a4"
    );
}

#[test]
fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
    let hub = hub(retain(9));
    publish(&hub, "a b a c/d", NOW);
    hub.end_topic(&topic("b"), NOW).unwrap();
    let mut file = Vec::new();
    hub.snapshot().write_to(&mut file).unwrap();
    let restore = |mut file: &[u8]| Hub::restore(&mut file, retain(9), 2, NOW).map(|_| ());
    assert!(restore(&file).is_ok());
    for at in 0..file.len() {
        assert!(restore(&file[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            assert!(restore(&damaged).is_err(), "bit {bit} of byte {at}");
        }
    }
}
