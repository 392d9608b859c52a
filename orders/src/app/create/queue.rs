//! Who waits, and who is let in next.

use std::collections::{HashSet, VecDeque};
use std::mem;

use common_contract::ProductId;

/// How many groups are in work at a time. The fewer they are, the more orders wait for the next one and share its COMMIT;
/// the more, the less an order notices of a group that has to wait for a row.
const MAX_GROUPS: usize = 4;
/// How many orders are made together. More would make the first of them wait for long.
const MAX_ORDERS: usize = 32;

/// Somebody who waits.
pub(super) trait Wants {
    /// The products whose rows it will lock.
    fn products(&self) -> impl Iterator<Item = ProductId>;

    /// The idempotency key that it has, and whose it is.
    fn key(&self) -> Option<(&str, &str)>;

    /// Whether nobody wants to know any more what comes of it.
    fn is_given_up(&self) -> bool;
}

/// Those who wait, first come first served, and what is in work.
pub(super) struct Queue<W> {
    waiting: VecDeque<(Ticket, W)>,
    last_ticket: Ticket,
    groups_in_work: usize,
    in_work: Hold,
    /// Products that others have locked, and for which a group waits.
    awaited: HashSet<ProductId>,
}

/// Names somebody who waits.
pub(super) type Ticket = u64;

/// What a group keeps others from.
#[derive(Default)]
pub(super) struct Hold {
    products: HashSet<ProductId>,
    keys: HashSet<(String, String)>,
    /// Whether it waits for its products, and is none of the groups that may be in work at a time.
    is_waiting: bool,
}

fn owned((whose, key): (&str, &str)) -> (String, String) {
    (whose.to_owned(), key.to_owned())
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            last_ticket: 0,
            groups_in_work: 0,
            in_work: Hold::default(),
            awaited: HashSet::new(),
        }
    }
}

impl<W: Wants> Queue<W> {
    /// Lets somebody wait.
    pub(super) fn join(&mut self, newcomer: W) -> Ticket {
        self.last_ticket += 1;
        self.waiting.push_back((self.last_ticket, newcomer));
        self.last_ticket
    }

    /// Lets somebody go. Says whether they still waited.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
        self.waiting.len() < before
    }

    /// Lets everybody go who has this key.
    pub(super) fn leave_with(&mut self, key: (&str, &str)) -> Vec<W> {
        let (leaving, waiting) = mem::take(&mut self.waiting).into_iter().partition(|(_, one)| one.key() == Some(key));
        self.waiting = waiting;
        VecDeque::into_iter(leaving).map(|(_, one)| one).collect()
    }

    /// The next group that can begin, with what it keeps others from: the first of those who want no product that is in work.
    /// Nobody overtakes those who came before and want the same product, unless they want one that others have locked. No key
    /// is in work twice.
    pub(super) fn next_group(&mut self) -> Option<(Hold, Vec<W>)> {
        if self.groups_in_work == MAX_GROUPS {
            return None;
        }
        let (mut hold, mut group) = (Hold::default(), Vec::new());
        let mut taken = self.in_work.products.clone();
        for (ticket, next) in mem::take(&mut self.waiting).into_iter().filter(|(_, next)| !next.is_given_up()) {
            let key = next.key().map(owned);
            let has_key = key.as_ref().is_some_and(|key| self.in_work.keys.contains(key) || hold.keys.contains(key));
            let is_blocked = has_key || next.products().any(|product| self.awaited.contains(&product));
            if is_blocked || group.len() == MAX_ORDERS || next.products().any(|product| taken.contains(&product)) {
                // Who waits for an answer under their key, or for others to end, keeps nobody from a product.
                taken.extend(next.products().filter(|_| !is_blocked));
                self.waiting.push_back((ticket, next));
            } else {
                hold.products.extend(next.products());
                hold.keys.extend(key);
                group.push(next);
            }
        }
        if group.is_empty() {
            return None;
        }
        self.groups_in_work += 1;
        self.in_work.products.extend(&hold.products);
        self.in_work.keys.extend(hold.keys.iter().cloned());
        Some((hold, group))
    }

    /// From now on the rest of a group waits for these products, which others have locked: it keeps others from those and from
    /// its keys, and is not counted.
    pub(super) fn wait(&mut self, hold: &mut Hold, rest: &[W], locked: HashSet<ProductId>) {
        self.release(hold);
        let keys = rest.iter().filter_map(Wants::key).map(owned).collect();
        *hold = Hold { products: locked, keys, is_waiting: true };
        self.awaited.extend(&hold.products);
        self.in_work.keys.extend(hold.keys.iter().cloned());
    }

    /// A group has ended.
    pub(super) fn release(&mut self, hold: &Hold) {
        let (products, ended) = if hold.is_waiting { (&mut self.awaited, 0) } else { (&mut self.in_work.products, 1) };
        products.retain(|product| !hold.products.contains(product));
        self.groups_in_work -= ended;
        self.in_work.keys.retain(|key| !hold.keys.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Order {
        products: &'static [i64],
        key: Option<&'static str>,
    }

    impl Wants for Order {
        fn products(&self) -> impl Iterator<Item = ProductId> {
            self.products.iter().copied().map(ProductId::stored)
        }

        fn key(&self) -> Option<(&str, &str)> {
            self.key.map(|key| ("ann", key))
        }

        fn is_given_up(&self) -> bool {
            self.products.is_empty()
        }
    }

    fn of(products: &'static [i64]) -> Order {
        Order { products, key: None }
    }

    fn keyed(key: &'static str, products: &'static [i64]) -> Order {
        Order { products, key: Some(key) }
    }

    fn queue(orders: impl IntoIterator<Item = Order>) -> Queue<Order> {
        let mut queue = Queue::default();
        for order in orders {
            queue.join(order);
        }
        queue
    }

    fn group(queue: &mut Queue<Order>) -> Vec<Order> {
        queue.next_group().map(|(_, group)| group).unwrap_or_default()
    }

    #[test]
    fn those_who_wait_for_a_product_go_together_when_it_is_free() {
        let mut queue = queue([of(&[1])]);
        let (hold, first) = queue.next_group().unwrap();
        assert_eq!(first, [of(&[1])]);
        for order in [of(&[1]), of(&[1, 2]), of(&[3])] {
            queue.join(order);
        }
        assert_eq!(group(&mut queue), [of(&[3])], "nobody waits for a product that they do not want");
        assert_eq!(group(&mut queue), []);
        queue.release(&hold);
        assert_eq!(group(&mut queue), [of(&[1]), of(&[1, 2])]);
    }

    #[test]
    fn nobody_overtakes_whoever_waits_for_the_same_product() {
        let mut queue = queue([of(&[1])]);
        let (hold, _) = queue.next_group().unwrap();
        for order in [of(&[1, 2]), of(&[2])] {
            queue.join(order);
        }
        assert_eq!(group(&mut queue), []);
        queue.release(&hold);
        assert_eq!(group(&mut queue), [of(&[1, 2]), of(&[2])]);
    }

    #[test]
    fn a_key_is_in_work_once_and_keeps_nobody_from_a_product() {
        let mut queue = queue([keyed("k", &[1]), keyed("k", &[1]), of(&[1])]);
        let (hold, first) = queue.next_group().unwrap();
        assert_eq!(first, [keyed("k", &[1]), of(&[1])]);
        queue.release(&hold);
        assert_eq!(group(&mut queue), [keyed("k", &[1])]);
    }

    #[test]
    fn those_with_one_key_leave_together() {
        let mut queue = queue([keyed("k", &[1]), of(&[1]), keyed("k", &[2]), keyed("K", &[1])]);
        assert_eq!(queue.leave_with(("ann", "k")), [keyed("k", &[1]), keyed("k", &[2])]);
        assert_eq!(group(&mut queue), [of(&[1]), keyed("K", &[1])]);
    }

    #[test]
    fn whoever_has_gone_is_left_out() {
        let mut queue = queue([of(&[]), of(&[1])]);
        let gone = queue.join(of(&[2]));
        assert!(queue.leave(gone));
        let (_, group) = queue.next_group().unwrap();
        assert_eq!(group, [of(&[1])]);
        assert!(!queue.leave(gone));
    }

    #[test]
    fn a_group_that_waits_keeps_others_from_locked_products_alone() {
        let mut queue = queue([keyed("k", &[1, 2]), keyed("l", &[4])]);
        let (mut hold, mut rest) = queue.next_group().unwrap();
        for order in [of(&[1, 3]), of(&[2]), of(&[3]), keyed("k", &[5]), keyed("l", &[6])] {
            queue.join(order);
        }
        rest.truncate(1);
        queue.wait(&mut hold, &rest, [1].map(ProductId::stored).into());
        assert_eq!(queue.groups_in_work, 0);
        let (others, second) = queue.next_group().unwrap();
        assert_eq!(second, [of(&[2]), of(&[3]), keyed("l", &[6])]);
        queue.release(&others);
        assert_eq!(group(&mut queue), []);
        queue.release(&hold);
        assert_eq!(group(&mut queue), [of(&[1, 3]), keyed("k", &[5])]);
    }

    #[test]
    fn groups_and_their_number_have_a_limit() {
        let mut queue = queue((0..=MAX_ORDERS).map(|_| of(&[1])));
        assert_eq!(group(&mut queue).len(), MAX_ORDERS);
        for product in [&[2], &[3], &[4], &[5]] {
            queue.join(of(product));
            queue.next_group();
        }
        assert_eq!(queue.groups_in_work, MAX_GROUPS);
        assert_eq!(group(&mut queue), []);
    }
}
