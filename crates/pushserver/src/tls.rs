//! TLS: the certificate, reread when its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;
use std::{fs, io};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::Config;

/// What connections are encrypted with
///
/// Connections keep what they began with; a certificate that was renewed is for those that come after.
pub(crate) struct Tls(RwLock<Arc<State>>);

struct State {
    certificate: PathBuf,
    private_key: PathBuf,
    /// ALPN: what is offered, the most wanted first (RFC 7301)
    protocols: Vec<Vec<u8>>,
    acceptor: TlsAcceptor,
    seen: Seen,
}

/// What files looked like when they were read
type Seen = [Option<(SystemTime, u64)>; 2];

/// Why there is no TLS
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file holds no certificate or no key, or cannot be read
    #[error("{}: {reason}", path.display())]
    File {
        /// Which
        path: PathBuf,
        /// What is wrong with it
        reason: pem::Error,
    },
    /// The certificate and the key do not fit each other, or are of no use
    #[error("the certificate and its key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

impl Tls {
    /// Reads the files that `config` names; `None` if it names none
    ///
    /// # Errors
    /// When a file cannot be read, or the two do not belong together.
    pub(crate) fn from_config(config: &Config) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(private_key)) =
            (&config.tls.certificate, &config.tls.private_key)
        else {
            return Ok(None);
        };
        let state = State::read(certificate, private_key, protocols(config))?;
        Ok(Some(Self(RwLock::new(Arc::new(state)))))
    }

    /// What the next connection is accepted with
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.state().acceptor.clone()
    }

    /// Reads the files that `config` names now; on an error everything stays as it was
    pub(crate) fn reload(&self, config: &Config) -> Result<(), TlsError> {
        let tls = &config.tls;
        if let (Some(certificate), Some(private_key)) = (&tls.certificate, &tls.private_key) {
            self.replace(State::read(certificate, private_key, protocols(config))?);
        }
        Ok(())
    }

    /// Reads the files again if one has changed; says whether it did
    ///
    /// While the one is renewed and the other not yet, they do not fit, and the old pair stays.
    pub(crate) fn reread_changed(&self) -> Result<bool, TlsError> {
        let state = self.state();
        let (certificate, private_key) = (&state.certificate, &state.private_key);
        if look(certificate, private_key) == state.seen {
            return Ok(false);
        }
        self.replace(State::read(
            certificate,
            private_key,
            state.protocols.clone(),
        )?);
        Ok(true)
    }

    fn replace(&self, state: State) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn read(
        certificate: &Path,
        private_key: &Path,
        protocols: Vec<Vec<u8>>,
    ) -> Result<Self, TlsError> {
        // Before they are read, so that a change while they are is seen as one.
        let seen = look(certificate, private_key);
        let of = |path: &Path| {
            let path = path.to_owned();
            move |reason| TlsError::File { path, reason }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .and_then(|chain| match chain.is_empty() {
                true => Err(pem::Error::NoItemsFound),
                false => Ok(chain),
            })
            .map_err(of(certificate))?;
        let key = PrivateKeyDer::from_pem_file(private_key).map_err(of(private_key))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols.clone_from(&protocols);
        Ok(Self {
            certificate: certificate.to_owned(),
            private_key: private_key.to_owned(),
            protocols,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            seen,
        })
    }
}

fn protocols(config: &Config) -> Vec<Vec<u8>> {
    let http2 = config.http2.enabled.then(|| b"h2".to_vec());
    http2.into_iter().chain([b"http/1.1".to_vec()]).collect()
}

fn look(certificate: &Path, private_key: &Path) -> Seen {
    let one = |path| -> io::Result<_> {
        let metadata = fs::metadata(path)?;
        Ok((metadata.modified()?, metadata.len()))
    };
    [one(certificate).ok(), one(private_key).ok()]
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Writes a fresh certificate and its key, and names them in a configuration
    fn renew(folder: &Path) -> Config {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut config = Config::default();
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        config.tls.certificate = Some(certificate);
        config.tls.private_key = Some(key);
        config
    }

    /// Makes a file look as if it had been written a while ago, whatever the grain of the file system's clock
    fn age(path: &Path) {
        let file = fs::File::options().write(true).open(path).unwrap();
        let then = SystemTime::now() - Duration::from_secs(60);
        file.set_modified(then).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_read_and_half_of_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = renew(folder.path());
        let (certificate, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        age(&certificate);
        age(&key);
        let tls = Tls::from_config(&config).unwrap().unwrap();
        assert!(!tls.reread_changed().unwrap(), "nothing has changed");
        let old_key = fs::read(&key).unwrap();
        renew(folder.path());
        let new_key = fs::read(&key).unwrap();
        fs::write(&key, old_key).unwrap();
        assert!(
            tls.reread_changed().is_err(),
            "a new certificate with an old key"
        );
        fs::write(&key, new_key).unwrap();
        assert!(tls.reread_changed().unwrap());
        assert!(!tls.reread_changed().unwrap());
    }

    #[test]
    fn files_that_hold_nothing_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = renew(folder.path());
        fs::write(folder.path().join("cert.pem"), "nothing").unwrap();
        let error = Tls::from_config(&config).unwrap_err().to_string();
        assert!(error.contains("cert.pem"), "{error}");
    }

    #[test]
    fn without_files_there_is_no_tls() {
        assert!(Tls::from_config(&Config::default()).unwrap().is_none());
    }
}
