//! Facts on their way to disk and to the log.

use supervisor_core::instance::FactRecord;
use supervisor_core::spec::InstanceSpec;

use crate::explain::{order_id, sentence};

/// The bytes of one fact. Serialising plain data into memory cannot fail; an empty record would be refused on reading.
pub fn encode(record: &FactRecord) -> Vec<u8> {
    postcard::to_allocvec(record).unwrap_or_default()
}

/// Writes facts as structured log events under stable names.
pub fn log(spec: &InstanceSpec, life: u32, records: &[FactRecord]) {
    if !tracing::enabled!(target: "supervisor::fact", tracing::Level::INFO) {
        return;
    }
    for FactRecord { seq, at, cause, fact } in records {
        let order = fact.order().map(|order| order_id(spec.id, life, order));
        tracing::info!(
            target: "supervisor::fact",
            event = fact.word(),
            instance = spec.id.as_str(),
            cause,
            seq,
            at = %at,
            order = order.as_deref(),
            "{}",
            sentence(fact, spec)
        );
    }
}
