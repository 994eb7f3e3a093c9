//! A real Kubernetes control plane for tests and the demo: etcd, kube-apiserver and kube-controller-manager, no nodes.
//!
//! * [`binaries`] finds the programs or builds them from the pinned Go modules in `tools/` and `kstatus/`, into a cache folder.
//! * [`ControlPlane`] runs them in a temporary folder, on loopback alone.
//! * The binary `control-plane` is the supervisor of one control plane; [`Supervised`] starts it and gives it orders.
//!
//! **Nothing outlives its user.** The user holds the supervisor's standard input; when that closes, however the user ended,
//! the supervisor kills its programs and removes the folder. The programs are tied to the supervisor by the kernel (see
//! [`tied`]), so that they end even when the supervisor is killed; the folder that it then leaves is swept by the next start
//! (see [`folder`]).

pub mod binaries;
mod component;
mod credentials;
mod error;
pub mod folder;
mod go;
mod module;
mod plane;
mod port;
mod supervised;
mod supervisor;
pub mod tied;

pub use component::Component;
pub use error::Error;
pub use plane::{ControlPlane, client};
pub use supervised::{Ready, Supervised};
pub use supervisor::supervise;
