//! What reaches the process: answers, silence, news. Each becomes an input of the bot it is about, or of a ledger.

use supervisor_core::domain::{OrderNo, Timestamp};
use supervisor_core::instance::Input;
use supervisor_core::ledger::BalanceNews;
use supervisor_core::orders::{OrderView, Report, Request};

use super::{Process, Told};
use crate::books::Heard;
use crate::fuse::Died;
use crate::ground::{Event, Ground};
use crate::port::{Asker, Pending, Said};
use crate::store::Write;
use crate::venue::{Answer, Ask, News};

impl Process {
    /// An answer arrives. `venue_now` is the venue's clock at that answer.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn on_answer(&mut self, ground: &mut Ground, id: u64, answer: Answer) -> Result<(), Died> {
        let window_ms = self.bots.first().map_or(0, |bot| bot.spec.venue.window_ms);
        let said = self.port.answered(ground, id, answer, window_ms);
        match said {
            None => Ok(()),
            Some(Said::Nothing(pending)) => self.on_silence(ground, &pending),
            Some(Said::Answer(pending, answer)) => self.on_said(ground, &pending, &answer),
        }
    }

    /// A request has had its time.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn on_time_out(&mut self, ground: &mut Ground, id: u64) -> Result<(), Died> {
        let Some(pending) = self.port.timed_out(id) else { return Ok(()) };
        ground.tally.count("requests without an answer");
        if let (true, Ask::Place { .. }) = (crate::planted::resends(), pending.ask) {
            let signed = ground.reads();
            let answer_ms = self.bots.first().map_or(2_000, |bot| bot.spec.venue.answer_ms);
            let ask = signed_anew(pending.ask, signed);
            self.port.send(ground, Pending { ask, ..pending }, answer_ms);
            return Ok(());
        }
        self.on_silence(ground, &pending)
    }

    /// The way is free for a request that was refused for the number of requests.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn on_again(&mut self, ground: &mut Ground, id: u64) -> Result<(), Died> {
        let Some(pending) = self.port.again(id) else { return Ok(()) };
        let bot = match pending.asker {
            Asker::Order(bot, ..) => Some(bot),
            Asker::Ledger(_) => None,
        };
        let is_order = matches!(pending.ask, Ask::Place { .. });
        // The kill switch may have been thrown meanwhile: the desk then finds out what became of the order.
        if is_order && self.killed {
            return self.on_silence(ground, &pending);
        }
        ground.tally.count("requests sent again after a limit");
        let answer_ms = bot.and_then(|bot| self.bots.get(bot)).map_or(2_000, |bot| bot.spec.venue.answer_ms);
        self.port.send(ground, pending, answer_ms);
        Ok(())
    }

    /// Nobody knows what became of a request. The ledger asks again by itself.
    fn on_silence(&mut self, ground: &mut Ground, pending: &Pending) -> Result<(), Died> {
        match pending.asker {
            Asker::Order(bot, order, request) => self.report(ground, bot, Report::NoAnswer(order, request)),
            Asker::Ledger(_) => Ok(()),
        }
    }

    fn on_said(&mut self, ground: &mut Ground, pending: &Pending, answer: &Answer) -> Result<(), Died> {
        match pending.asker {
            Asker::Order(bot, order, request) => {
                let Some(report) = report_of(order, request, answer, ground.now) else { return Ok(()) };
                self.report(ground, bot, report)
            }
            Asker::Ledger(account) => {
                let at = ground.reads();
                let Some(books) = self.books.get_mut(account) else { return Ok(()) };
                let heard = books.on_answer(at, pending.decided, &pending.ask, answer);
                let has_opened = books.news.iter().any(|news| matches!(news, BalanceNews::Opened(_)));
                for news in std::mem::take(&mut books.news) {
                    ground.note("balance", &[account as u64], || format!("account {account}: {news:?}"));
                }
                if has_opened {
                    self.keep_books(ground, account)?;
                }
                self.pass_on(ground, at, heard)
            }
        }
    }

    /// Writes the ledger of an account.
    pub(super) fn keep_books(&mut self, ground: &mut Ground, account: usize) -> Result<(), Died> {
        let Some(bytes) = self.books.get(account).and_then(crate::books::Books::encode) else { return Ok(()) };
        ground.write(self.life, Write::Ledger { account, bytes }).map(drop)
    }

    fn report(&mut self, ground: &mut Ground, bot: usize, report: Report) -> Result<(), Died> {
        self.put(ground, bot, Input::Report(report))
    }

    /// News of the private stream.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn on_news(&mut self, ground: &mut Ground, account: usize, news: &News) -> Result<(), Died> {
        if !self.is_up() {
            return Ok(());
        }
        let at = ground.reads();
        let Some(books) = self.books.get_mut(account) else { return Ok(()) };
        let heard = books.on_news(at, news);
        self.pass_on(ground, at, heard)
    }

    /// What a ledger has found to be news goes to its owners.
    pub(super) fn pass_on(&mut self, ground: &mut Ground, at: Timestamp, heard: Vec<Heard>) -> Result<(), Died> {
        for Heard { instance, report } in heard {
            let Some(bot) = self.bot_named(instance) else { continue };
            ground.pass(crate::fuse::Point::Input)?;
            self.tell(ground, bot, Told::Input(at, Input::Report(report)))?;
        }
        Ok(())
    }

    /// The private stream is cut or back.
    ///
    /// # Errors
    /// [`Died`]: the process is gone.
    pub fn on_stream(&mut self, ground: &mut Ground, is_connected: bool) -> Result<(), Died> {
        let at = ground.reads();
        self.is_connected = is_connected;
        if !self.is_up() {
            return Ok(());
        }
        for books in &mut self.books {
            books.on_stream(at, is_connected);
        }
        self.on_polls(ground);
        Ok(())
    }

    /// The ledgers ask what is due, and are looked at again when something is due next.
    pub fn on_polls(&mut self, ground: &mut Ground) {
        if !self.is_up() {
            return;
        }
        let at = ground.reads();
        let answer_ms = self.bots.first().map_or(2_000, |bot| bot.spec.venue.answer_ms);
        let mut asks = Vec::new();
        for (account, books) in self.books.iter_mut().enumerate() {
            asks.extend(books.polls(at).into_iter().map(|ask| (account, ask)));
        }
        for (account, ask) in asks {
            let asker = Asker::Ledger(account);
            self.port.send(ground, Pending { asker, account, ask, decided: at, waits: false }, answer_ms);
        }
        self.arm_polls(ground);
    }

    /// The heap looks at the ledgers when something is due next.
    pub(super) fn arm_polls(&mut self, ground: &mut Ground) {
        let at = ground.reads();
        let Some(due) = self.books.iter().map(crate::books::Books::next_poll).min() else { return };
        let wait = due.since(at).max(1);
        let then = ground.now + wait;
        if self.polls_armed.is_none_or(|armed| armed <= ground.now || then < armed) {
            self.polls_armed = Some(then);
            let life = self.life;
            ground.after(wait, Event::Polls(life));
        }
    }
}

/// What an answer says about an order.
fn report_of(order: OrderNo, request: Request, answer: &Answer, venue_now: Timestamp) -> Option<Report> {
    Some(match answer {
        Answer::Order(view) => {
            Report::State(OrderView { order, state: view.state, filled: view.filled, seq: view.seq })
        }
        Answer::Rejected(code) => Report::Rejected(order, *code),
        Answer::TooOld => Report::Rejected(order, supervisor_core::orders::RejectCode::Other),
        Answer::CancelRefused(refusal) => Report::CancelRejected(order, *refusal),
        Answer::NotFound if request == Request::Query => Report::NotFound(order, venue_now),
        Answer::NotFound | Answer::Busy | Answer::Limited { .. } => Report::NoAnswer(order, request),
        Answer::OpenOrders { .. } | Answer::Trades { .. } | Answer::Balances { .. } => return None,
    })
}

/// The same request, signed at another moment.
const fn signed_anew(ask: Ask, signed: Timestamp) -> Ask {
    match ask {
        Ask::Place { client, symbol, side, kind, qty, post_only, immediate, signed: _ } => {
            Ask::Place { client, symbol, side, kind, qty, post_only, immediate, signed }
        }
        Ask::Cancel { .. } | Ask::Query { .. } | Ask::OpenOrders | Ask::Trades { .. } | Ask::Balances => ask,
    }
}
