//! Between process and venue: requests, answers, news, and the venue's own time.

use supervisor_core::domain::Timestamp;

use super::World;
use crate::fuse::Died;
use crate::ground::{Event, Outgoing};
use crate::network::{Fate, Stream};
use crate::venue::{AccountIx, Answer, Ask, News};

/// A request on its way to the venue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    account: usize,
    ask: Ask,
    /// How long the answer takes; `None`: there is none.
    back_ms: Option<i64>,
}

impl World {
    /// Gives what has left to the network, and what the venue has to tell.
    pub(super) fn carry(&mut self) {
        for outgoing in std::mem::take(&mut self.ground.outgoing) {
            self.send(&outgoing);
        }
        self.spread();
        self.arm_venue();
    }

    fn send(&mut self, outgoing: &Outgoing) {
        let Outgoing { id, account, ask } = *outgoing;
        let fate = self.network.request(self.ground.now);
        self.ground
            .note("send", &[id, account as u64], || format!("request {id} of account {account}: {ask:?} {fate:?}"));
        let (there_ms, back_ms) = match fate {
            Fate::Deliver { there_ms, back_ms } => (Some(there_ms), Some(back_ms)),
            Fate::LostRequest => (None, None),
            Fate::LostAnswer { there_ms } => (Some(there_ms), None),
            Fate::Busy { worked, there_ms, back_ms } => {
                self.ground.after(back_ms, Event::Answer(id, Answer::Busy));
                (worked.then_some(there_ms), None)
            }
            Fate::Limited { back_ms, retry_ms } => {
                self.ground.after(back_ms, Event::Answer(id, Answer::Limited { retry_ms }));
                return;
            }
        };
        match there_ms {
            Some(there_ms) => {
                self.flights.insert(id, Flight { account, ask, back_ms });
                self.ground.after(there_ms, Event::Arrive(id));
            }
            None => {
                if let Ask::Place { client, .. } = ask {
                    self.ground.check.on_lost(client);
                }
            }
        }
    }

    /// A request arrives; the venue works on it at once.
    pub(super) fn on_arrival(&mut self, id: u64) {
        let Some(Flight { account, ask, back_ms }) = self.flights.remove(&id) else { return };
        let answer = self.venue.handle(self.ground.now, AccountIx(account), &ask);
        self.ground.note("arrive", &[id], || format!("request {id}: {answer:?}"));
        if let (Ask::Place { client, .. }, Answer::Rejected(_) | Answer::TooOld) = (ask, &answer) {
            self.ground.check.on_lost(client);
        }
        if let Some(back_ms) = back_ms {
            self.ground.after(back_ms, Event::Answer(id, answer));
        }
    }

    /// Something is due at the venue.
    pub(super) fn on_venue(&mut self) {
        self.venue_armed = None;
        self.venue.advance(self.ground.now);
    }

    /// The heap wakes the venue when something is due there.
    pub(super) fn arm_venue(&mut self) {
        let due = self.venue.next_step().max(self.ground.now);
        if self.venue_armed.is_none_or(|armed| due < armed) {
            self.venue_armed = Some(due);
            self.ground.heap.put(due, Event::Venue);
        }
    }

    /// What the venue tells goes on its way to whoever listens.
    fn spread(&mut self) {
        let life = self.life;
        for (at, account, news) in self.venue.drain_news() {
            if let (Some(account), News::Bust(trade)) = (account, &news) {
                self.ground.check.on_bust(account, trade);
            }
            if let Some(account) = account {
                self.ground.note("truth", &[account.0 as u64], || format!("account {}: {news:?}", account.0));
            }
            let stream = if account.is_some() { Stream::Private } else { Stream::Public };
            if !self.network.is_connected(self.ground.now, stream) {
                continue;
            }
            for delay in self.network.news(self.ground.now, &news) {
                let then: Timestamp = at.max(self.ground.now) + delay;
                self.ground.heap.put(then, Event::News(life, account.map(|account| account.0), news));
            }
        }
    }

    /// News arrives, if the stream is up and somebody listens.
    pub(super) fn on_news(&mut self, life: u64, account: Option<usize>, news: &News) -> Result<(), Died> {
        let now = self.ground.now;
        match (account, news) {
            (None, News::Price { symbol, price }) => {
                self.feed.on_price(now, *symbol, *price);
                Ok(())
            }
            (Some(account), _) if life == self.life && self.is_private_up() => {
                self.ground.note("news", &[account as u64], || format!("account {account}: {news:?}"));
                self.with(|process, ground| process.on_news(ground, account, news))
            }
            _ => Ok(()),
        }
    }
}
