//! A user of the control plane, as small as it can be: starts one in the folder that is given, tells what there is, and
//! holds it until it is killed.

use std::path::PathBuf;

use control_plane::Supervised;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(supervisor), Some(parent)) = (arguments.next(), arguments.next()) else {
        return Err("usage: user SUPERVISOR FOLDER".into());
    };
    let plane = Supervised::start(&supervisor, Some(&parent)).await?;
    println!("{}", serde_json::to_string(plane.ready())?);
    std::future::pending().await
}
