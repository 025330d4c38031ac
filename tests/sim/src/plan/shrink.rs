//! Leaves out of a plan whatever it fails without: halves first, then quarters, then single items.

use super::Plan;

/// The smallest plan found that still `fails`, within so many tries.
pub(crate) fn shrink(plan: &Plan, mut tries: usize, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut best = plan.clone();
    let mut size = best.items.len().div_ceil(2).max(1);
    loop {
        let before = best.items.len();
        let mut at = 0;
        while at < best.items.len() && tries > 0 {
            tries -= 1;
            let mut smaller = best.clone();
            let end = (at + size).min(smaller.items.len());
            smaller.items.drain(at..end);
            if fails(&smaller) {
                best = smaller;
            } else {
                at = end;
            }
        }
        if tries == 0 || size == 1 && best.items.len() == before {
            return best;
        }
        size = size.div_ceil(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::MessageNumber;
    use crate::plan::Item;

    fn has(plan: &Plan, number: u32) -> bool {
        plan.items
            .iter()
            .any(|item| matches!(item, Item::Send(send) if send.message == MessageNumber(number)))
    }

    #[test]
    fn what_a_failure_needs_is_all_that_is_left() {
        let plan = Plan::draw(3);
        let shrunk = shrink(&plan, 1_000, |plan| has(plan, 2) && has(plan, 7));
        assert_eq!(shrunk.items.len(), 2);
        assert!(has(&shrunk, 2) && has(&shrunk, 7));
    }

    #[test]
    fn tries_are_bounded() {
        let mut tried = 0;
        shrink(&Plan::draw(3), 5, |_| {
            tried += 1;
            false
        });
        assert_eq!(tried, 5);
    }
}
