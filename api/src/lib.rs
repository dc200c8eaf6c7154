//! supervisor-api
