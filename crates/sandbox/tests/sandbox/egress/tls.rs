//! https: the certificate must be of the name that was asked for.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::server::{Server, ok};
use super::world::{ask, get, refused, world, world_of};

fn certificate() -> (CertificateDer<'static>, TlsAcceptor) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["api.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    (cert.der().clone(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_of_the_name() {
    let (root, acceptor) = certificate();
    let server = Server::at("127.0.0.1:0".parse().unwrap(), Some(acceptor), |_| async { ok("sealed") }).await;
    let trusting = world_of(&[server.address], |parts| parts.roots.push(root));
    trusting.names.say("other.test", &[&["127.0.0.1"]]);
    let (api, other) = (format!("https://api.test:{}", server.port()), format!("https://other.test:{}", server.port()));
    let egress = trusting.attempt(&[&api, &other]);
    for _ in 0..2 {
        assert_eq!(ask(&egress, get(&api)).await.unwrap().text(), "sealed");
    }
    assert_eq!(server.connections(), 1, "a sealed connection is kept too");
    let why = refused(&egress, get(&other)).await;
    assert!(why.contains("its certificate is not trusted"), "{why}");
    let why = refused(&world(&[server.address]).attempt(&[&api]), get(&api)).await;
    assert!(why.starts_with("fetch failed"), "{why}");
    assert_eq!(server.seen().len(), 2);
}
