//! Plays a scenario in every way.

use supervisor_core::domain::{Notional, OrderKind, OrderNo, Qty, Side};
use supervisor_core::instance::{Input, OutsideState};
use supervisor_core::orders::{Intent, Report, Standing};

use crate::bench::{Bench, Counted, MINUTE, SECOND, Truth};
use crate::common::price;
use crate::script::{Scenario, Step};

/// Pauses between two pieces of news, ms: one within the time for an answer, with no question answered before all is
/// told; one long enough for questions, each answered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Quick,
    Slow,
}

/// Longer than it takes until everything is settled: doubts end within a minute or two, then it is quiet for ten.
const SETTLED_MS: i64 = 15 * MINUTE;
/// So many pieces of news are also told with parts of them lost in every order, and all of them twice in every order.
const FEW: usize = 4;

/// Plays a script of steps and what follows from each, then in every other way. The last line, `later`, is what happens
/// as time passes.
pub fn play(intent: Intent, script: &[(&str, &str)], ends: &str) {
    play_all(vec![intent], script, None, ends);
}

/// The same, with what the venue's books have the order as in the end.
pub fn play_booked(intent: Intent, script: &[(&str, &str)], books: &str, ends: &str) {
    play_all(vec![intent], script, Some(books), ends);
}

/// The same with several orders.
pub fn play_all(intents: Vec<Intent>, script: &[(&str, &str)], books: Option<&str>, ends: &str) {
    play_with(intents, script, books, ends, |_| {});
}

/// The same with another spec.
pub fn play_with(
    intents: Vec<Intent>,
    script: &[(&str, &str)],
    books: Option<&str>,
    ends: &str,
    change: impl Fn(&mut Scenario),
) {
    let ((last, later), steps) = script.split_last().unwrap();
    assert_eq!(*last, "later");
    let words: Vec<&str> = steps.iter().map(|(step, _)| *step).collect();
    let mut scenario = Scenario::new(intents, &words, books, ends);
    change(&mut scenario);
    scenario.as_written(steps, later);
    let mut played = scenario.in_every_order();
    if steps.len() <= FEW {
        played += scenario.doubled_in_every_order();
    }
    let sum = |up_to: usize| (1..=up_to).product::<usize>();
    assert!(played >= 3 * sum(steps.len()), "every order, and there are so many");
    scenario.with_losses();
    scenario.with_restarts();
    scenario.with_torn_facts();
}

/// All orders of `0..len`, each told to `each`.
fn permute(len: usize, mut each: impl FnMut(&[usize])) {
    let mut order: Vec<usize> = (0..len).collect();
    let mut turns = vec![0; len];
    each(&order);
    let mut at = 0;
    while at < len {
        if turns[at] < at {
            order.swap(if at % 2 == 0 { 0 } else { turns[at] }, at);
            each(&order);
            turns[at] += 1;
            at = 0;
        } else {
            turns[at] = 0;
            at += 1;
        }
    }
}

#[test]
fn every_order_comes_once() {
    for len in 1..=7_usize {
        let mut orders = std::collections::BTreeSet::new();
        permute(len, |order| assert!(orders.insert(order.to_vec()), "{order:?} came before"));
        assert_eq!(orders.len(), (1..=len).product::<usize>());
    }
}

impl Scenario {
    /// What must be counted in the end, by the venue's books alone.
    fn expected(&self) -> Counted {
        let sums = |truth: &Truth| {
            let value: Notional = truth.trades.iter().map(|fill| fill.notional()).sum();
            let fees: Notional = truth.trades.iter().map(|fill| fill.fee).sum();
            (truth.filled(), value, fees)
        };
        let base = self.spec.capital.base;
        let mut position = (base, price("100") * base);
        let mut cash = self.spec.capital.quote;
        let (mut held, mut held_value) = (Qty::ZERO, Notional::ZERO);
        let mut orders = Vec::new();
        for ((intent, truth), life) in self.intents.iter().zip(&self.venue).zip(&self.ends) {
            let (filled, value, fees) = sums(truth);
            match intent.side {
                Side::Buy => {
                    position = (position.0 + filled, position.1 + value + fees);
                    cash -= value + fees;
                }
                Side::Sell => {
                    position = (position.0 - filled, position.1 - price("100") * filled);
                    cash += value - fees;
                }
            }
            if let (false, OrderKind::Limit(price)) = (life.is_over(), intent.kind) {
                held += intent.qty - filled;
                held_value += price * (intent.qty - filled);
            }
            orders.push((*life, filled, value, fees));
        }
        Counted { orders, position, cash, held: (held, held_value) }
    }

    fn take(bench: &mut Bench, step: Step) {
        match step {
            Step::Withdraw(order) => bench.withdraw(order),
            Step::Tell(report) => bench.put(Input::Report(report)),
        }
        bench.wake();
    }

    fn deliver(&self, bench: &mut Bench, pace: Pace, order: impl IntoIterator<Item = usize>) {
        for nth in order {
            match pace {
                Pace::Quick => bench.now += SECOND / 10,
                Pace::Slow => bench.pass(3 * SECOND / 2),
            }
            bench.wake();
            Self::take(bench, self.steps[nth]);
            if pace == Pace::Quick {
                bench.lose_questions();
            }
        }
    }

    fn settle(&self, bench: &mut Bench) {
        if self.polled {
            bench.pass_polled(SETTLED_MS);
        } else {
            bench.pass(SETTLED_MS);
        }
    }

    fn ends(&self, bench: &Bench, about: impl Fn() -> String) {
        assert_eq!(bench.counted(), self.expected(), "{}", about());
        let standing = bench.standing();
        let disputed = self.ends.iter().any(|life| life.word() == "disputed");
        assert_eq!(standing, Standing { disputed, ..Standing::default() }, "{}", about());
        let asked = bench.bot.stages.orders.desk().unsettled().find(|order| order.doubt.is_some());
        assert!(asked.is_none(), "still in doubt: {asked:?}; {}", about());
        let live_there = bench.venue.iter().map(Truth::is_live);
        assert!(live_there.eq(self.ends.iter().map(|life| !life.is_over())), "at the venue; {}", about());
    }

    fn names(&self, order: &[usize]) -> String {
        order.iter().map(|nth| self.words[*nth].as_str()).collect::<Vec<_>>().join(", ")
    }

    /// In the order of the script, with every line.
    fn as_written(&self, steps: &[(&str, &str)], later: &str) {
        let mut bench = self.begin();
        bench.listen();
        for (nth, (step, follows)) in steps.iter().enumerate() {
            bench.now += SECOND / 10;
            Self::take(&mut bench, self.steps[nth]);
            bench.lose_questions();
            assert_eq!(bench.told(), *follows, "after {step}");
        }
        self.settle(&mut bench);
        assert_eq!(bench.told(), later, "later");
        self.ends(&bench, || "as written".to_owned());
    }

    /// Every order: at both paces; with all of it told again; and with a restart in its course, at another place each
    /// time. Answers how often it was played.
    fn in_every_order(&self) -> usize {
        let begun = self.begin();
        let state = begun.bot.state();
        let mut played = 0;
        permute(self.steps.len(), |order| {
            let cuts = if self.steps.len() < 6 { 0..=order.len() } else { played % order.len()..=played % order.len() };
            for pace in [Pace::Quick, Pace::Slow] {
                let mut bench = begun.again(&state);
                self.deliver(&mut bench, pace, order.iter().copied());
                self.settle(&mut bench);
                self.ends(&bench, || format!("{pace:?}: {}", self.names(order)));
            }
            let mut bench = begun.again(&state);
            self.deliver(&mut bench, Pace::Quick, order.iter().chain(order).copied());
            self.settle(&mut bench);
            self.ends(&bench, || format!("all of it again: {}", self.names(order)));
            played += 3;
            for cut in cuts {
                let mut bench = begun.again(&state);
                self.deliver(&mut bench, Pace::Quick, order[..cut].iter().copied());
                let mut bench = bench.restarted(Some(&state), &bench.facts);
                bench.reconcile();
                self.deliver(&mut bench, Pace::Quick, order[cut..].iter().copied());
                self.settle(&mut bench);
                self.ends(&bench, || format!("restarted before {cut}: {}", self.names(order)));
                played += 1;
            }
        });
        played
    }

    /// Each piece of news comes twice, and the second ones fall anywhere.
    fn doubled_in_every_order(&self) -> usize {
        let begun = self.begin();
        let state = begun.bot.state();
        let (mut played, len) = (0, self.steps.len());
        permute(2 * len, |order| {
            // The two are alike: of each pair of orders one is enough.
            let place = |nth: usize| order.iter().position(|other| *other == nth);
            if (0..len).any(|nth| place(nth) > place(nth + len)) {
                return;
            }
            played += 1;
            let mut bench = begun.again(&state);
            let order: Vec<usize> = order.iter().map(|nth| nth % len).collect();
            self.deliver(&mut bench, Pace::Quick, order.iter().copied());
            self.settle(&mut bench);
            self.ends(&bench, || format!("doubled: {}", self.names(&order)));
        });
        played
    }

    /// Any part of the news is lost, and the rest comes in any order if it is not much; the account's ledger reads open
    /// orders and executions as ever. Of a void execution a list says nothing, so that news is not lost.
    fn with_losses(&self) {
        let begun = self.begin();
        let state = begun.bot.state();
        for lost in 1..1_u32 << self.steps.len() {
            let is_told = |nth: &usize| match self.steps[*nth] {
                Step::Withdraw(_) | Step::Tell(Report::Bust(_)) => true,
                Step::Tell(_) => lost >> *nth & 1 == 0,
            };
            let told: Vec<usize> = (0..self.steps.len()).filter(is_told).collect();
            let play = |told: &[usize]| {
                let mut bench = begun.again(&state);
                self.deliver(&mut bench, Pace::Quick, told.iter().copied());
                bench.pass_polled(SETTLED_MS);
                self.ends(&bench, || format!("only {}", self.names(told)));
            };
            if told.len() > FEW {
                play(&told);
                continue;
            }
            permute(told.len(), |order| play(&order.iter().map(|nth| told[*nth]).collect::<Vec<_>>()));
        }
    }

    /// A restart before each step and after the last, with and without a snapshot; what is left of the news comes, or
    /// is lost.
    fn with_restarts(&self) {
        for cut in 0..=self.steps.len() {
            let mut bench = self.begin();
            let (early, before) = (bench.bot.state(), bench.facts.len());
            self.deliver(&mut bench, Pace::Quick, 0..cut);
            let late = bench.bot.state();
            let digest = bench.bot.digest(self.spec.id).unwrap();
            let all = bench.facts.len();
            let ways: [(Option<&OutsideState>, usize); 3] = [(None, 0), (Some(&early), before), (Some(&late), all)];
            for (state, from) in ways {
                for lost in [false, true] {
                    let mut back = bench.restarted(state, &bench.facts[from..]);
                    assert_eq!(back.bot.digest(self.spec.id).unwrap(), digest, "what comes back is what there was");
                    back.reconcile();
                    self.go_on(&mut back, cut, lost);
                    self.ends(&back, || {
                        format!("restarted before step {cut}, the rest lost: {lost}, facts from {from}")
                    });
                }
            }
        }
    }

    fn go_on(&self, bench: &mut Bench, cut: usize, lost: bool) {
        let comes = |nth: &usize| !lost || matches!(self.steps[*nth], Step::Withdraw(_));
        self.deliver(bench, Pace::Quick, (cut..self.steps.len()).filter(comes));
        self.settle(bench);
    }

    /// The journal ends after any of its facts. An order whose facts were not all durable never left: nothing is told
    /// of it, and it is proven absent.
    fn with_torn_facts(&self) {
        let mut bench = self.begin();
        self.deliver(&mut bench, Pace::Quick, 0..self.steps.len());
        for durable in 1..=bench.facts.len() {
            let facts = &bench.facts[..durable];
            let mut back = bench.restarted(None, facts);
            back.reconcile();
            if durable < bench.left && self.intents.len() > 1 {
                continue;
            }
            if durable < bench.left {
                back.venue.clear();
                back.pass(SETTLED_MS);
                self.never_left(&back);
            } else {
                self.wish_again(&mut back);
                self.settle(&mut back);
                self.ends(&back, || format!("{durable} facts were durable"));
            }
        }
    }

    fn wish_again(&self, bench: &mut Bench) {
        for step in &self.steps {
            if let Step::Withdraw(order) = step {
                bench.withdraw(*order);
            }
        }
    }

    fn never_left(&self, bench: &Bench) {
        assert!(bench.bot.stages.risk.gate().exposure().holds().is_empty());
        assert_eq!(bench.bot.stages.orders.standing(), Standing::default());
        for order in bench.bot.stages.orders.desk().closed() {
            assert_eq!((order.shown().word(), order.filled), ("never-accepted", Qty::ZERO));
        }
        let numbers = bench.bot.stages.orders.desk().unsettled().map(|order| order.terms.order);
        assert_eq!(numbers.collect::<Vec<OrderNo>>(), []);
    }
}
