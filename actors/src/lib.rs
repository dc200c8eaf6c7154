//! supervisor-actors
