//! The keys, certificates and tokens of one control plane, and kubeconfigs that use them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Error;

/// The certificate authority of one control plane: its server's certificate and its users' are signed by it, so that both sides verify.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    server: SocketAddr,
    /// The token of `admin`, a member of `system:masters`.
    pub admin_token: String,
    folder: PathBuf,
}

impl Authority {
    /// Makes all files that the API server and the controller manager read:
    /// `ca.crt`, `server.{crt,key}`, `service-account.{key,pub}`, `tokens.csv`, `kubeconfig`, `controller-manager.kubeconfig`.
    pub fn create(folder: &Path, server: SocketAddr) -> Result<Self, Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "control-plane");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let authority = Self {
            issuer: Issuer::new(params, key),
            certificate,
            server,
            admin_token: Uuid::new_v4().simple().to_string(),
            folder: folder.to_owned(),
        };
        authority.write("ca.crt", &authority.certificate)?;
        let names = [
            server.ip().to_string(),
            "localhost".to_owned(),
            "kubernetes.default.svc".to_owned(),
        ];
        let (certificate, key) = authority.sign(
            names.to_vec(),
            "kube-apiserver",
            ExtendedKeyUsagePurpose::ServerAuth,
        )?;
        authority.write("server.crt", &certificate)?;
        authority.write("server.key", &key)?;
        let accounts = KeyPair::generate()?;
        authority.write("service-account.key", &accounts.serialize_pem())?;
        authority.write("service-account.pub", &accounts.public_key_pem())?;

        let controllers_token = Uuid::new_v4().simple().to_string();
        let tokens = format!(
            "{},admin,admin,system:masters\n{controllers_token},system:kube-controller-manager,controllers,system:masters\n",
            authority.admin_token
        );
        authority.write("tokens.csv", &tokens)?;
        authority.kubeconfig("kubeconfig", &json!({ "token": authority.admin_token }))?;
        authority.kubeconfig(
            "controller-manager.kubeconfig",
            &json!({ "token": controllers_token }),
        )?;
        Ok(authority)
    }

    /// A kubeconfig for the user `name`, known to the API server by a client certificate. Such a user may do nothing until RBAC allows it.
    pub fn user(&self, name: &str) -> Result<PathBuf, Error> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte);
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(Error::Name(name.to_owned()));
        }
        let (certificate, key) =
            self.sign(Vec::new(), name, ExtendedKeyUsagePurpose::ClientAuth)?;
        self.kubeconfig(
            &format!("user-{name}.kubeconfig"),
            &json!({ "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key) }),
        )
    }

    fn sign(
        &self,
        names: Vec<String>,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<(String, String), Error> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        Ok((
            params.signed_by(&key, &self.issuer)?.pem(),
            key.serialize_pem(),
        ))
    }

    /// JSON is YAML, so it will do for a kubeconfig.
    fn kubeconfig(&self, file: &str, user: &Value) -> Result<PathBuf, Error> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": {
                "server": format!("https://{}", self.server),
                "certificate-authority-data": STANDARD.encode(&self.certificate),
            }}],
            "users": [{ "name": "test", "user": user }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "current-context": "test",
        });
        self.write(file, &format!("{config:#}\n"))
    }

    fn write(&self, file: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.folder.join(file);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::io("write", &path))?;
        Ok(path)
    }
}
