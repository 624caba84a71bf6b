//! Deficit round robin in which nobody watches: in every round a tenant is owed its weight, and when it is owed a
//! whole start it may start one. Instead of visiting each tenant in each round, the round of its next start is reckoned
//! at once and the tenant put there, in a wheel of as many rounds as the lightest tenant has to wait. Rounds in which
//! nobody's turn comes are skipped by a bit map. So a turn costs the same however many tenants stand in line and however
//! small their weights are.

use std::collections::VecDeque;

use sublet_model::TenantId;
use sublet_model::quota::WEIGHT_MAX;

/// What one start costs; a tenant is owed its weight per round. The heaviest starts one per round.
pub(super) const START_COST: u32 = WEIGHT_MAX;
/// More rounds than the lightest tenant waits between two starts.
const WHEEL: usize = 1024;
const WORDS: usize = WHEEL / 64;

const _: () = assert!(WHEEL > START_COST as usize && WHEEL.is_multiple_of(64));

/// The round of the next start of a tenant that started one in `round`, and what it is owed beyond it.
pub(super) fn turn_after(round: u64, credit: u32, weight: u32) -> (u64, u32) {
    let missing = START_COST - credit.min(START_COST - 1);
    let rounds = missing.div_ceil(weight.clamp(1, WEIGHT_MAX));
    (round + u64::from(rounds), rounds * weight.clamp(1, WEIGHT_MAX) - missing)
}

#[derive(Debug)]
pub(super) struct Rounds {
    /// The round that is being played.
    round: u64,
    wheel: Vec<VecDeque<TenantId>>,
    /// A bit per place of the wheel: somebody is there.
    taken: [u64; WORDS],
}

impl Default for Rounds {
    fn default() -> Rounds {
        Rounds { round: 0, wheel: (0..WHEEL).map(|_| VecDeque::new()).collect(), taken: [0; WORDS] }
    }
}

impl Rounds {
    /// Puts a tenant in line for round `turn`, or for this one if that has passed; answers which.
    pub(super) fn enter(&mut self, id: TenantId, turn: u64) -> u64 {
        let round = turn.clamp(self.round, self.round + WHEEL as u64 - 1);
        let place = place_of(round);
        self.wheel[place].push_back(id);
        self.taken[place / 64] |= 1 << (place % 64);
        round
    }

    /// The next in line, taken out, and the round it is in.
    pub(super) fn next(&mut self) -> Option<(TenantId, u64)> {
        self.round += self.rounds_to_next()?;
        let place = place_of(self.round);
        let id = self.wheel[place].pop_front()?;
        if self.wheel[place].is_empty() {
            self.taken[place / 64] &= !(1 << (place % 64));
            // A crowd of thousands leaves its room behind only once.
            if self.wheel[place].capacity() > WHEEL {
                self.wheel[place] = VecDeque::new();
            }
        }
        Some((id, self.round))
    }

    /// How far the next taken place is: a look at every word at most once, and at the first one twice.
    fn rounds_to_next(&self) -> Option<u64> {
        let here = place_of(self.round);
        let ahead = self.taken[here / 64] >> (here % 64);
        if ahead != 0 {
            return Some(u64::from(ahead.trailing_zeros()));
        }
        for step in 1..=WORDS {
            let word = (here / 64 + step) % WORDS;
            if self.taken[word] != 0 {
                let place = word * 64 + self.taken[word].trailing_zeros() as usize;
                return Some(((place + WHEEL - here) % WHEEL) as u64);
            }
        }
        None
    }
}

fn place_of(round: u64) -> usize {
    usize::try_from(round % WHEEL as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_waited_out_in_one_step_and_its_rest_is_kept() {
        assert_eq!(turn_after(5, 0, 1_000), (6, 0));
        assert_eq!(turn_after(5, 0, 100), (15, 0));
        assert_eq!(turn_after(5, 0, 300), (9, 200));
        assert_eq!(turn_after(9, 200, 300), (12, 100));
        assert_eq!(turn_after(12, 100, 300), (15, 0), "ten starts at weight 300 take 34 rounds, not 40");
        assert_eq!(turn_after(0, 0, 1), (1_000, 0));
    }

    #[test]
    fn rounds_come_in_order_and_empty_ones_are_skipped() {
        let mut rounds = Rounds::default();
        let id = TenantId::from_raw;
        for (number, turn) in [(1, 700), (2, 3), (3, 1_000), (4, 3), (5, 0)] {
            rounds.enter(id(number), turn);
        }
        let order: Vec<(i64, u64)> = std::iter::from_fn(|| rounds.next()).map(|(t, r)| (t.raw(), r)).collect();
        assert_eq!(order, [(5, 0), (2, 3), (4, 3), (1, 700), (3, 1_000)]);
        assert_eq!(rounds.enter(id(6), 10), 1_000, "a round that has passed is this one");
        assert_eq!(rounds.enter(id(7), 1_500), 1_500);
        assert_eq!(rounds.next(), Some((id(6), 1_000)));
        assert_eq!(rounds.next(), Some((id(7), 1_500)));
        assert_eq!(rounds.next(), None);
    }
}
