//! Whose a data directory is, where an image starts as root: it is made the property of the user that Kafka's images run as,
//! and the program goes on as that user. A volume made by Docker, or a directory of the host, belongs to root; the images
//! that were there before run as 1000 or 1001 and so cannot write to it.
//!
//! Only what is ours changes hands: the directory itself, and what lies in it once it has our `meta.properties`. Where
//! nothing can be given away (no such capability, a file system without owners) root goes on as root.
//!
//! Groups that the container was given (`--group-add`, `fsGroup` and `supplementalGroups` in Kubernetes) are how it gets at a
//! volume that others share. They stay, and so does a file's group that is one of them; what goes are root's own.

use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Gid, Uid, getegid, geteuid, getgroups};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

/// `appuser` of apache/kafka and cp-kafka.
const USER: u32 = 1000;
const GROUP: u32 = 1000;

/// Goes on as [`USER`], with the same arguments and environment; returns only if that cannot be, with the reason, or if this
/// is not root.
pub fn step_down(directory: &Path) -> Result<(), String> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let stays = |why: String| format!("{why}, so the broker runs as root");
    let program = std::env::current_exe().map_err(|error| stays(format!("this program is not found ({error})")))?;
    let groups = given_groups();
    if let Err(error) = give_away(directory, &groups) {
        // One that cannot even be made stops the start a moment later, with its own sentence.
        let told = stays(format!("{} cannot be given to user {USER} ({error})", directory.display()));
        return if directory.is_dir() { Err(told) } else { Ok(()) };
    }
    if let Some(barred) = [directory, &program].into_iter().find_map(|path| barred(path, &groups)) {
        return Err(stays(format!("user {USER} may not enter {}", barred.display())));
    }
    let cannot = |error: io::Error| format!("this program cannot be run as user {USER} ({error})");
    become_user(&groups).map_err(|error| cannot(error.into()))?;
    // In place of this process, so that its id stays and signals reach it.
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    Err(cannot(Command::new(program).arg0(name).args(arguments).exec()))
}

/// Before there are threads: each would have to do it for itself.
fn become_user(groups: &[u32]) -> rustix::io::Result<()> {
    let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    set_thread_groups(&groups)?;
    set_thread_gid(Gid::from_raw(GROUP))?;
    set_thread_uid(Uid::from_raw(USER))
}

/// The groups of this process that are not root's anyway.
fn given_groups() -> Vec<u32> {
    let has = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
    let table = std::fs::read_to_string("/etc/group").unwrap_or_default();
    given(has, getegid().as_raw(), &table)
}

/// Docker adds those that `/etc/group` names root in; nobody asked for them. Group 0 was given where it is not root's first.
fn given(has: Vec<u32>, first: u32, table: &str) -> Vec<u32> {
    let is_roots = |group: u32| {
        let mut lines = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
        lines.any(|line| matches!(line[..], [_, _, id, members] if id == group.to_string() && members.split(',').any(|name| name == "root")))
    };
    let mut groups: Vec<u32> = has.into_iter().chain([first]).filter(|group| !is_roots(*group)).collect();
    if first == 0 {
        groups.retain(|group| *group != 0);
    }
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// The directory above `path` that the user may not enter.
fn barred<'a>(path: &'a Path, groups: &[u32]) -> Option<&'a Path> {
    let may_enter = |above: &&Path| match std::fs::metadata(above) {
        Ok(found) if found.uid() == USER => found.mode() & 0o100 != 0,
        Ok(found) if found.gid() == GROUP || groups.contains(&found.gid()) => found.mode() & 0o010 != 0,
        Ok(found) => found.mode() & 0o001 != 0,
        Err(_) => false,
    };
    path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).find(|above| !may_enter(above))
}

fn give_away(directory: &Path, groups: &[u32]) -> io::Result<()> {
    make(directory, groups)?;
    own(directory, groups)?;
    if !directory.join("meta.properties").is_file() {
        // New, or not ours: what else lies there is not touched.
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != "lost+found") {
            own_all(&path, groups)?;
        }
    }
    Ok(())
}

/// The directory and those above it that are missing, all of them the user's.
fn make(directory: &Path, groups: &[u32]) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make(parent, groups)?;
    }
    std::fs::create_dir(directory)?;
    own(directory, groups)
}

/// Below something that has its owner already nothing is looked at: a directory of ten thousand partitions starts as fast.
fn own_all(path: &Path, groups: &[u32]) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.uid() == USER {
        return Ok(());
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            own_all(&entry?.path(), groups)?;
        }
    }
    own(path, groups)
}

fn own(path: &Path, groups: &[u32]) -> io::Result<()> {
    let found = std::fs::symlink_metadata(path)?;
    if found.uid() == USER {
        return Ok(());
    }
    // A group that was given is shared with others.
    let group = (!groups.contains(&found.gid())).then_some(GROUP);
    lchown(path, Some(USER), group)?;
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
        if !geteuid().is_root() {
            println!("not run: only root can give files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("volume/data");
        give_away(&data, &[]).unwrap();
        assert_eq!((owner(&data), owner(&dir.path().join("volume")), owner(dir.path())), (USER, USER, 0));
        std::fs::create_dir(data.join("a-0")).unwrap();
        std::fs::write(data.join("a-0/segment"), "").unwrap();
        std::os::unix::fs::symlink(dir.path(), data.join("a-0/elsewhere")).unwrap();
        give_away(&data, &[]).unwrap();
        assert_eq!(owner(&data.join("a-0")), 0, "without meta.properties it may be anybody's");
        std::fs::create_dir(data.join("lost+found")).unwrap();
        std::fs::write(data.join("meta.properties"), "").unwrap();
        give_away(&data, &[]).unwrap();
        for ours in ["a-0", "a-0/segment", "a-0/elsewhere", "meta.properties"] {
            assert_eq!(owner(&data.join(ours)), USER, "{ours}");
        }
        assert_eq!((owner(&data.join("lost+found")), owner(dir.path())), (0, 0));
    }

    #[test]
    fn a_group_that_was_given_keeps_its_files() {
        if !geteuid().is_root() {
            println!("not run: only root can give files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        lchown(dir.path(), Some(0), Some(2000)).unwrap();
        give_away(dir.path(), &[2000]).unwrap();
        let found = std::fs::metadata(dir.path()).unwrap();
        assert_eq!((found.uid(), found.gid()), (USER, 2000));
    }

    #[test]
    fn groups_that_were_given_stay() {
        let table = "root:x:0:\nbin:x:1:root,bin,daemon\nshared:x:2000:somebody\nbroken\n";
        for (has, first, kept) in [
            (vec![], 0, vec![]),
            (vec![0], 0, vec![]),
            (vec![0, 1, 2000], 0, vec![2000]),
            (vec![2000, 3000], 0, vec![2000, 3000]),
            // docker run --user 0:2000 --group-add 0
            (vec![0, 2000], 2000, vec![0, 2000]),
            (vec![], 3000, vec![3000]),
        ] {
            assert_eq!(given(has.clone(), first, table), kept, "{has:?} {first}");
        }
    }

    #[test]
    fn a_directory_that_keeps_others_out_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let open = |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        open(0o755);
        assert_eq!(barred(&dir.path().join("data"), &[]), None);
        open(0o600);
        assert_eq!(barred(&dir.path().join("data"), &[]), Some(dir.path()));
        open(0o710);
        let group = std::fs::metadata(dir.path()).unwrap().gid();
        assert_eq!(barred(&dir.path().join("data"), &[group]), None, "a group that was given");
    }
}
