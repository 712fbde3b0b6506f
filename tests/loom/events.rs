//! What threads hear of a pool's trims and generations: `src/pool/exchange/events.rs` as it stands.
//!
//! What the models check: no event is missed for ever, whichever of two came first; who knows the
//! event of a generation knows the generation, and who knows that sees what went before it. The
//! orderings are weakened by `sync.rs`.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::pool::exchange::events::{Event, Events};
use crate::pool::stock::drops::Drops;
use crate::pool::stock::id::next_id;

fn trim(events: &Events) {
    let (keep, reason) = (0, Drops::Trimmed);
    events.announce(Event::Trim { keep, reason });
}

fn is_trim(event: Option<Event>) -> bool {
    matches!(event, Some(Event::Trim { keep: 0, .. }))
}

#[test]
fn no_event_hides_behind_another_one() {
    loom::model(|| {
        let first = next_id();
        let events = Arc::new(Events::new(first));
        let (trims, ticks) = (events.clone(), events.clone());
        let trims = thread::spawn(move || trim(&trims));
        let ticks = thread::spawn(move || ticks.announce(Event::Tick));
        // As a shard catches up, now and when all is over.
        let (mut seen, mut heard) = (first, false);
        let mut catch_up = || {
            let last = events.last_seen();
            heard |= is_trim(events.missed(seen));
            seen = last;
        };
        catch_up();
        trims.join().unwrap();
        ticks.join().unwrap();
        catch_up();
        assert!(heard, "missed for ever");
    });
}

#[test]
fn who_has_the_event_of_a_generation_has_seen_it() {
    loom::model(|| {
        let first = next_id();
        let events = Arc::new(Events::new(first));
        // What the user's `create` builds by.
        let plan = Arc::new(AtomicUsize::new(0));
        let begins = {
            let (events, plan) = (events.clone(), plan.clone());
            thread::spawn(move || {
                plan.store(1, Ordering::Relaxed);
                events.begin_generation();
                trim(&events);
            })
        };
        if events.generation() > first {
            let built_by = plan.load(Ordering::Relaxed);
            assert_eq!(built_by, 1, "noted as new, and built by the old plan");
        }
        if events.last_seen() != first {
            assert!(events.generation() > first, "seated past a generation");
            assert!(is_trim(events.missed(first)), "seated past its trim");
        }
        begins.join().unwrap();
    });
}

/// Of two generations that begin at once an object of the later one is built by what went before
/// either.
#[test]
fn two_generations_at_once() {
    loom::model(|| {
        let events = Arc::new(Events::new(next_id()));
        let plan = Arc::new(AtomicUsize::new(0));
        let (one, other) = (events.clone(), events.clone());
        let planned = plan.clone();
        let one = thread::spawn(move || {
            planned.store(1, Ordering::Relaxed);
            one.begin_generation();
        });
        let other = thread::spawn(move || other.begin_generation());
        let noted = events.generation();
        let built_by = plan.load(Ordering::Relaxed);
        one.join().unwrap();
        other.join().unwrap();
        let is_present = noted == events.generation();
        assert!(
            !is_present || built_by == 1,
            "present, and built by the old plan"
        );
    });
}
