//! The Unix socket: the program's only door.
//!
//! Owns the socket file. Promises: it has mode 0600 before a name leads to it, so there is no moment in which another
//! user could connect; a path that is too long for the system is refused by name; a stale socket is replaced (the
//! caller holds the lock of the directory), anything else in its place is left alone and refused.

use std::any::Any;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use supervisor_actors::Fleet;
use tokio::net::UnixStream;

use crate::caller::Caller;
use crate::guard::guard;
use crate::once::Answers;
use crate::routes::configure;

/// Longest path of a socket on Linux, bytes: `sun_path` has 108, one of them for the end.
pub const SOCKET_PATH_MAX: usize = 107;

/// Name of the private directory in which the socket is made ready.
const STAGE: &str = ".s";

/// Why the door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The system has a limit.
    #[error("socket path {} has {len} bytes, the system allows {SOCKET_PATH_MAX}; choose a shorter --state-dir",
        .path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Something that is no socket lies where the socket belongs.
    #[error("{} is in the way of the socket and is no socket; move it", .path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
    /// A step failed.
    #[error("socket {}: {during} failed: {source}", .path.display())]
    Failed {
        /// The socket.
        path: PathBuf,
        /// Which step.
        during: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// The open door. Dropping it does not close it; [`ServerHandle::stop`] does.
#[derive(Debug)]
pub struct ServerHandle {
    server: actix_web::dev::ServerHandle,
    socket: PathBuf,
}

impl ServerHandle {
    /// Lets requests under way end (at most some seconds), takes no new ones and removes the socket.
    pub async fn stop(self) {
        // First the name: who comes now learns at once that nobody is there.
        let _ = fs::remove_file(&self.socket);
        self.server.stop(true).await;
    }
}

/// Checks the length of a socket's path.
///
/// # Errors
/// [`ApiError::PathTooLong`].
pub fn check_path(socket: &Path) -> Result<(), ApiError> {
    let len = socket.as_os_str().as_bytes().len();
    if len > SOCKET_PATH_MAX {
        return Err(ApiError::PathTooLong { path: socket.to_path_buf(), len });
    }
    Ok(())
}

/// Opens the door of a fleet at `socket`. Call it inside an actix system, while holding the lock of the socket's
/// directory.
///
/// # Errors
/// [`ApiError`] when the path is too long, occupied, or the system refuses a step.
pub fn serve(fleet: Fleet, socket: &Path) -> Result<ServerHandle, ApiError> {
    let (fleet, answers) = (Data::new(fleet), Data::new(Answers::default()));
    open(socket, move |config| configure(config, fleet.clone(), answers.clone()))
}

/// Opens a door to any routes.
pub(crate) fn open(
    socket: &Path,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> Result<ServerHandle, ApiError> {
    let (listener, own) = bind(socket)?;
    let server = HttpServer::new(move || App::new().wrap(from_fn(guard)).configure(routes.clone()))
        .on_connect(move |stream: &dyn Any, data: &mut Extensions| identify(stream, own, data))
        .workers(1)
        .max_connections(256)
        .keep_alive(Duration::from_secs(15))
        .client_request_timeout(Duration::from_secs(5))
        .client_disconnect_timeout(Duration::from_secs(1))
        .shutdown_timeout(3)
        .disable_signals()
        .listen_uds(listener)
        .map_err(|source| ApiError::Failed { path: socket.to_path_buf(), during: "listening", source })?
        .run();
    let handle = ServerHandle { server: server.handle(), socket: socket.to_path_buf() };
    actix_web::rt::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(event = "api.ended", %error, "the door has closed by itself");
        }
    });
    Ok(handle)
}

/// Puts the peer on its connection.
fn identify(stream: &dyn Any, own: u32, data: &mut Extensions) {
    if let Some(Ok(peer)) = stream.downcast_ref::<UnixStream>().map(UnixStream::peer_cred) {
        data.insert(Caller::of_uid(peer.uid(), own));
    }
}

/// A listener at `socket`, and the user that owns it. The socket is made in a directory of its own that only we can
/// enter, gets its mode there, and is then moved to its name, over a stale one.
fn bind(socket: &Path) -> Result<(UnixListener, u32), ApiError> {
    check_path(socket)?;
    let failed = |during| move |source| ApiError::Failed { path: socket.to_path_buf(), during, source };
    if fs::symlink_metadata(socket).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(ApiError::InTheWay { path: socket.to_path_buf() });
    }
    let stage = socket.parent().unwrap_or(Path::new(".")).join(STAGE);
    let staged = stage.join("s");
    // What a crash between two of these steps has left.
    let _ = fs::remove_file(&staged);
    let _ = fs::remove_dir(&stage);
    DirBuilder::new().mode(0o700).create(&stage).map_err(failed("making a private directory"))?;
    let listener = UnixListener::bind(&staged).map_err(failed("binding"))?;
    fs::set_permissions(&staged, Permissions::from_mode(0o600)).map_err(failed("setting the mode"))?;
    let own = fs::metadata(&staged).map_err(failed("checking the mode"))?;
    if own.permissions().mode() & 0o777 != 0o600 {
        let source = io::Error::other(format!("the mode is {:o} instead of 600", own.permissions().mode() & 0o777));
        return Err(failed("setting the mode")(source));
    }
    listener.set_nonblocking(true).map_err(failed("setting up"))?;
    fs::rename(&staged, socket).map_err(failed("moving it to its name"))?;
    let _ = fs::remove_dir(&stage);
    Ok((listener, own.uid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream as Client;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_socket_is_private_and_replaces_a_stale_one() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("x.sock");
        drop(UnixListener::bind(&socket).unwrap());
        assert!(socket.exists() && Client::connect(&socket).is_err(), "stale");
        let (listener, own) = bind(&socket).unwrap();
        assert_eq!(mode(&socket), 0o600);
        assert_eq!(own, fs::metadata(&socket).unwrap().uid());
        Client::connect(&socket).unwrap();
        listener.accept().unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["x.sock"], "nothing else stays");
    }

    #[test]
    fn what_a_crash_left_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(STAGE)).unwrap();
        drop(UnixListener::bind(dir.path().join(STAGE).join("s")).unwrap());
        bind(&dir.path().join("x.sock")).unwrap();
    }

    #[test]
    fn a_path_over_the_limit_is_named_with_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let room = SOCKET_PATH_MAX - dir.path().as_os_str().len() - 1;
        bind(&dir.path().join("s".repeat(room))).unwrap();
        let error = bind(&dir.path().join("s".repeat(room + 1))).unwrap_err().to_string();
        assert!(error.contains("has 108 bytes, the system allows 107") && error.contains("--state-dir"), "{error}");
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(ApiError::InTheWay { path: named }) if named == path));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
