//! Why the fleet did not do something.

/// Why the fleet did not do it. Each has an HTTP status and an exit code of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// 404, exit 4.
    #[error("no bot named '{id}'{}", suggestion.as_ref().map(|s| format!("; did you mean '{s}'?")).unwrap_or_default())]
    UnknownInstance {
        /// The name.
        id: String,
        /// The nearest known one.
        suggestion: Option<String>,
    },
    /// 404, exit 4.
    #[error("no order '{id}'")]
    UnknownOrder {
        /// The id.
        id: String,
    },
    /// 409, exit 8.
    #[error("{text}")]
    Conflict {
        /// Why.
        text: String,
        /// Stable code: `kill_switch`, `wrong_state`, `id_taken`.
        code: &'static str,
    },
    /// 422, exit 3.
    #[error("{}", problems.join("\n"))]
    Invalid {
        /// One line each.
        problems: Vec<String>,
    },
    /// 504, exit 9.
    #[error("no answer within {ms} ms")]
    Timeout {
        /// How long was waited.
        ms: u64,
    },
    /// 500, exit 1. The kill switch is on in this process, but not on disk.
    #[error(
        "the kill switch is ON and holds in this process, but it could not be stored: a restart would forget it; \
         {open_after} orders are still open"
    )]
    KillNotStored {
        /// Orders whose cancels are under way.
        open_after: u64,
    },
    /// 500, exit 1. It was tried and did not work, and the asker can do something about it: he is told why.
    #[error("{text}")]
    Failed {
        /// Why.
        text: String,
        /// Stable code: `not_backed_up`, `not_checked`.
        code: &'static str,
    },
    /// 500, exit 1. The reason stands in the log only.
    #[error("{text}")]
    Internal {
        /// Why.
        text: String,
    },
}

impl FleetError {
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal { text: error.to_string() }
    }
}
