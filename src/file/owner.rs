//! Whose a data directory is, where an image starts as root: it is made the property of the user that Kafka's images run as,
//! and the program goes on as that user. A volume made by Docker, or a directory of the host, belongs to root; the images
//! that were there before run as 1000 or 1001 and so cannot write to it.
//!
//! Only what is ours changes hands: the directory itself, and what lies in it once it has our `meta.properties`. Where
//! nothing can be given away (no such capability, a file system without owners) root goes on as root.

use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// `appuser` of apache/kafka and cp-kafka.
const USER: u32 = 1000;
const GROUP: u32 = 1000;

/// Goes on as [`USER`], with the same arguments and environment; returns only if that cannot be, with the reason, or if this
/// is not root.
pub fn step_down(directory: &Path) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let stays = |why: String| format!("{why}, so the broker runs as root");
    let program = std::env::current_exe().map_err(|error| stays(format!("this program is not found ({error})")))?;
    if let Err(error) = give_away(directory) {
        // One that cannot even be made stops the start a moment later, with its own sentence.
        let told = stays(format!("{} cannot be given to user {USER} ({error})", directory.display()));
        return if directory.is_dir() { Err(told) } else { Ok(()) };
    }
    if let Some(barred) = [directory, &program].into_iter().find_map(barred) {
        return Err(stays(format!("user {USER} may not enter {}", barred.display())));
    }
    // In place of this process, so that its id stays and signals reach it.
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let error = Command::new(program).arg0(name).args(arguments).uid(USER).gid(GROUP).exec();
    Err(format!("this program cannot be run as user {USER} ({error})"))
}

/// The directory above `path` that the user may not enter.
fn barred(path: &Path) -> Option<&Path> {
    let may_enter = |above: &&Path| match std::fs::metadata(above) {
        Ok(found) if found.uid() == USER => found.mode() & 0o100 != 0,
        Ok(found) if found.gid() == GROUP => found.mode() & 0o010 != 0,
        Ok(found) => found.mode() & 0o001 != 0,
        Err(_) => false,
    };
    path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).find(|above| !may_enter(above))
}

fn give_away(directory: &Path) -> io::Result<()> {
    make(directory)?;
    own(directory)?;
    if !directory.join("meta.properties").is_file() {
        // New, or not ours: what else lies there is not touched.
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != "lost+found") {
            own_all(&path)?;
        }
    }
    Ok(())
}

/// The directory and those above it that are missing, all of them the user's.
fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make(parent)?;
    }
    std::fs::create_dir(directory)?;
    own(directory)
}

/// Below something that has its owner already nothing is looked at: a directory of ten thousand partitions starts as fast.
fn own_all(path: &Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.uid() == USER {
        return Ok(());
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            own_all(&entry?.path())?;
        }
    }
    own(path)
}

fn own(path: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.uid() == USER {
        return Ok(());
    }
    lchown(path, Some(USER), Some(GROUP))?;
    // Some file systems say yes and keep the owner.
    if std::fs::symlink_metadata(path)?.uid() == USER { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().uid()
    }

    /// Needs root, as the images have it; elsewhere there is nothing to give away.
    #[test]
    fn only_what_is_ours_changes_hands() {
        if !rustix::process::geteuid().is_root() {
            println!("not run: only root can give files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("volume/data");
        give_away(&data).unwrap();
        assert_eq!((owner(&data), owner(&dir.path().join("volume")), owner(dir.path())), (USER, USER, 0));
        std::fs::create_dir(data.join("a-0")).unwrap();
        std::fs::write(data.join("a-0/segment"), "").unwrap();
        std::os::unix::fs::symlink(dir.path(), data.join("a-0/elsewhere")).unwrap();
        give_away(&data).unwrap();
        assert_eq!(owner(&data.join("a-0")), 0, "without meta.properties it may be anybody's");
        std::fs::create_dir(data.join("lost+found")).unwrap();
        std::fs::write(data.join("meta.properties"), "").unwrap();
        give_away(&data).unwrap();
        for ours in ["a-0", "a-0/segment", "a-0/elsewhere", "meta.properties"] {
            assert_eq!(owner(&data.join(ours)), USER, "{ours}");
        }
        assert_eq!((owner(&data.join("lost+found")), owner(dir.path())), (0, 0));
    }

    #[test]
    fn a_directory_that_keeps_others_out_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let open = |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        open(0o755);
        assert_eq!(barred(&dir.path().join("data")), None);
        open(0o600);
        assert_eq!(barred(&dir.path().join("data")), Some(dir.path()));
    }
}
