//! Where a client takes its credentials from, call by call.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Credentials;
use super::ecs::EcsSource;
use super::environment::Origin;
use super::keeper::{Keeper, Observer, Source, World};
use super::sts::OidcSource;
use crate::live::client::ClientError;
use crate::live::endpoint::Endpoint;
use crate::live::http;
use crate::live::outcome::{Failure, credentials_missing};

/// Where credentials come from. Cheap to clone; clones share what they hold.
#[derive(Debug, Clone)]
pub struct Provider(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Fixed(Option<Arc<Credentials>>),
    Kept(Arc<Keeper>),
    /// These, of those.
    Held(Arc<Credentials>, Arc<Keeper>),
}

/// What a provider needs to fetch credentials.
pub struct Surroundings {
    /// Where STS is.
    pub sts: Endpoint,
    /// Where the machine's metadata server is.
    pub metadata_server: Endpoint,
    /// The most that one request may take.
    pub deadline: Duration,
    /// Requests to STS go through the proxy that the environment names.
    pub proxy_from_environment: bool,
    /// Told of every fetch.
    pub observer: Observer,
}

impl Provider {
    /// Always these; without any, every call fails as [`CredentialsMissing`](crate::live::Class::CredentialsMissing).
    #[must_use]
    pub fn fixed(credentials: Option<Credentials>) -> Self {
        Self(Kind::Fixed(credentials.map(Arc::new)))
    }

    /// Those of `origin`. What expires is fetched when it is first asked for, and again ahead of its end. The process must have a TLS provider
    /// installed before, and the async runtime must be tokio's.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn of(origin: Origin, surroundings: Surroundings) -> Result<Self, ClientError> {
        let Surroundings {
            sts,
            metadata_server,
            deadline,
            proxy_from_environment,
            observer,
        } = surroundings;
        let source: Box<dyn Source> = match origin {
            Origin::Nowhere => return Ok(Self::fixed(None)),
            Origin::Key(credentials) => return Ok(Self::fixed(Some(credentials))),
            Origin::Oidc(role) => Box::new(OidcSource {
                role,
                endpoint: sts,
                http: http::client(deadline, proxy_from_environment)?,
                deadline,
            }),
            Origin::EcsRole(role) => Box::new(EcsSource {
                role,
                server: metadata_server,
                // It is the machine's own, behind no proxy.
                http: http::client(deadline, false)?,
                deadline,
            }),
        };
        let keeper = Keeper::new(source, observer, World::real());
        Ok(Self(Kind::Kept(keeper)))
    }

    /// What to sign with now. Waits only where nothing usable is held and a fetch is under way or due, and then for the same one as everybody else.
    ///
    /// # Errors
    /// When there is nothing to sign with: a failure of a call that was never sent, which says what to do.
    pub async fn current(&self) -> Result<Arc<Credentials>, Failure> {
        match &self.0 {
            Kind::Fixed(credentials) => credentials.clone().ok_or_else(credentials_missing),
            Kind::Kept(keeper) => keeper.current().await,
            Kind::Held(credentials, _) => Ok(credentials.clone()),
        }
    }

    /// A provider of what is to be signed with now, for which no call waits; `None` where that is being fetched, and [`Provider::ends`] tells when
    /// it is worth asking again.
    ///
    /// # Errors
    /// As those of [`Provider::current`].
    #[must_use]
    pub fn at_hand(&self) -> Option<Result<Self, Failure>> {
        match &self.0 {
            Kind::Fixed(None) => Some(Err(credentials_missing())),
            Kind::Fixed(Some(_)) => Some(Ok(self.clone())),
            Kind::Kept(keeper) | Kind::Held(_, keeper) => {
                let held = keeper.at_hand()?;
                Some(held.map(|credentials| Self(Kind::Held(credentials, keeper.clone()))))
            }
        }
    }

    /// Changes at the end of each fetch; closed where nothing is ever fetched.
    #[must_use]
    pub fn ends(&self) -> watch::Receiver<()> {
        match &self.0 {
            Kind::Fixed(_) => watch::channel(()).1,
            Kind::Kept(keeper) | Kind::Held(_, keeper) => keeper.ends(),
        }
    }

    /// The service refused these. Whether others are held already or will be fetched for the next call; not where what was just fetched is refused
    /// too, so that this cannot become a storm.
    #[must_use]
    pub fn rejected(&self, refused: &Credentials) -> bool {
        match &self.0 {
            Kind::Fixed(_) => false,
            Kind::Kept(keeper) | Kind::Held(_, keeper) => keeper.refused(refused),
        }
    }

    /// Fetches what expires ahead of its end, whether anybody asks for it or not. Never ends where there is something to do.
    pub async fn keep_fresh(&self) {
        match &self.0 {
            Kind::Fixed(_) => {}
            Kind::Kept(keeper) | Kind::Held(_, keeper) => keeper.keep_fresh().await,
        }
    }
}
