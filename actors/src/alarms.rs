//! Facts that a person should look at: doubt that lasts, and news that no order should bring.

use supervisor_core::instance::{Fact, FactRecord};
use supervisor_core::orders::{Life, TOLD_AT_MS};
use supervisor_core::spec::InstanceSpec;

use crate::explain::{order_id, sentence};

/// One thing to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// `warning` or `critical`.
    pub severity: &'static str,
    /// Stable code.
    pub code: &'static str,
    /// In words.
    pub text: String,
}

/// What of these facts is to be looked at.
pub fn alarms(spec: &InstanceSpec, life: u32, records: &[FactRecord]) -> Vec<Alarm> {
    records.iter().filter_map(|record| alarm(spec, life, &record.fact)).collect()
}

fn alarm(spec: &InstanceSpec, life: u32, fact: &Fact) -> Option<Alarm> {
    let [_, longest] = TOLD_AT_MS;
    let (severity, code) = match fact {
        Fact::InDoubt(_, age) if *age >= longest => ("critical", "order.in_doubt"),
        Fact::InDoubt(..) => ("warning", "order.in_doubt"),
        Fact::LateFill(..) => ("warning", "order.late_fill"),
        Fact::Bust(_) => ("critical", "order.bust"),
        Fact::Reopened(_) => ("critical", "order.reopened"),
        Fact::OrderMoved(_, Life::Disputed) => ("critical", "order.disputed"),
        Fact::OrderMoved(..)
        | Fact::Gap(_)
        | Fact::GridPlanned(_)
        | Fact::Note(..)
        | Fact::Approved { .. }
        | Fact::Vetoed { .. }
        | Fact::WouldSubmit { .. }
        | Fact::CancelWanted(_)
        | Fact::OrderRefused(..)
        | Fact::Fill(_)
        | Fact::Ended(_)
        | Fact::Guarded(..)
        | Fact::RoundTrip(_)
        | Fact::DayClosed(_)
        | Fact::Control(_)
        | Fact::Revised(_)
        | Fact::Withheld { .. }
        | Fact::Input { .. }
        | Fact::Crossed { .. }
        | Fact::Standing(_)
        | Fact::Reconciled(_) => return None,
    };
    let order = fact.order().map(|order| order_id(spec.id, life, order)).unwrap_or_default();
    let advice = if code == "order.disputed" {
        format!("; look at it, then: supervisor resolve-order {order} --as filled|canceled|expired|rejected")
    } else {
        String::new()
    };
    Some(Alarm { severity, code, text: format!("{order}: {}{advice}", sentence(fact, spec)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use supervisor_core::domain::{OrderNo, Timestamp};

    #[test]
    fn doubt_is_a_warning_first_and_critical_when_it_is_old() {
        let text = "id = \"bot\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n[capital]\nquote = 10000\n[feed]\n\
            kind = \"synthetic\"\nstart_price = 100\n[strategy]\nkind = \"trend_following\"\n";
        let caps = supervisor_config::Caps { max_total_exposure: 1.into(), max_capital_per_symbol: 1.into() };
        let (venue, crossing) = ("paper".to_owned(), supervisor_config::Crossing::Allow);
        let account = supervisor_config::Account { venue, balances: [].into(), caps, crossing };
        let accounts = [("paper".to_owned(), account)].into();
        let path = std::path::Path::new("bot.toml");
        let config = supervisor_config::instance_from_text(text, path, &accounts, &[], &[].into()).unwrap();
        let record = |fact| FactRecord { seq: 1, at: Timestamp::default(), cause: 1, fact };
        let order = OrderNo(7);
        let facts = [
            Fact::InDoubt(order, 30_000),
            Fact::OrderMoved(order, Life::Unknown),
            Fact::InDoubt(order, 120_000),
            Fact::LateFill(order, Life::Canceled),
            Fact::OrderMoved(order, Life::Disputed),
            Fact::Reopened(order),
        ];
        let told = alarms(&config.spec, 3, &facts.map(record));
        let words: Vec<_> = told.iter().map(|alarm| (alarm.severity, alarm.code)).collect();
        let expected = [
            ("warning", "order.in_doubt"),
            ("critical", "order.in_doubt"),
            ("warning", "order.late_fill"),
            ("critical", "order.disputed"),
            ("critical", "order.reopened"),
        ];
        assert_eq!(words, expected);
        assert!(told[0].text.starts_with("bot-3-7: IN DOUBT for 30 s"), "{}", told[0].text);
        assert!(told[3].text.contains("supervisor resolve-order bot-3-7 --as filled"), "{}", told[3].text);
    }
}
