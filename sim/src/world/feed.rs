//! Prices for the bots, and what the wild ones want.

use supervisor_core::domain::{InstrumentIx, Symbol};
use supervisor_core::instance::{Input, MarketIn};

use super::World;
use crate::fuse::Died;
use crate::ground::Event;
use crate::plan::Mind;

impl World {
    /// What is new of the market reaches the bots, in the order of their places.
    pub(super) fn on_feed(&mut self) -> Result<(), Died> {
        self.ground.after(self.plan.point_ms, Event::Feed);
        // Without new prices no strategy wants anything more: what is under way comes to its end.
        if self.is_calm && self.ground.now.since(self.calm_since) > super::CALM_MS / 4 {
            return Ok(());
        }
        let news = self.feed.take(self.ground.now);
        for bot in 0..self.plan.bots.len() {
            for (symbol, price, candles) in &news {
                let Some((ix, is_wild)) = self.place_of(bot, *symbol) else { continue };
                if !is_wild {
                    for candle in candles {
                        self.put(bot, Input::Market(MarketIn::Candle(ix, *candle)))?;
                    }
                }
                if let Some(price) = price {
                    self.put(bot, Input::Market(MarketIn::Point(ix, *price)))?;
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, bot: usize, input: Input) -> Result<(), Died> {
        self.with(|process, ground| process.put(ground, bot, input))
    }

    /// Which instrument of the bot that is, and whether it decides by its candles.
    fn place_of(&self, bot: usize, symbol: Symbol) -> Option<(InstrumentIx, bool)> {
        let bot = self.plan.bots.get(bot)?;
        let at = bot.spec.instruments.iter().position(|instrument| instrument.symbol == symbol)?;
        Some((InstrumentIx(u16::try_from(at).ok()?), matches!(bot.mind, Mind::Wild(_))))
    }

    /// A wild bot wants something.
    pub(super) fn on_act(&mut self, at: usize) -> Result<(), Died> {
        if self.is_calm {
            return Ok(());
        }
        let Some(Mind::Wild(mean_ms)) = self.plan.bots.get(at).map(|bot| bot.mind) else { return Ok(()) };
        let Some(wild) = self.wild.get_mut(&at) else { return Ok(()) };
        self.ground.after(wild.wait(mean_ms), Event::Act(at));
        let Some(bot) = self.process.as_ref().and_then(|process| process.bots.get(at)) else { return Ok(()) };
        match wild.act(&bot.spec, &bot.it) {
            Some(input) => self.put(at, input),
            None => Ok(()),
        }
    }
}
