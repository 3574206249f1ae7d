//! How much memory this process may have: what the machine has, or what its container allows if that is less.
//!
//! A container's limit stands in a file of its control group, version 2 (`memory.max`) or 1 (`memory.limit_in_bytes`), and
//! every group above may have a lower one. Without limits the files say `max`, or a number larger than any machine.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes this process may have, with files the kernel keeps for it; `None` where nothing says so.
pub fn limit_bytes() -> Option<u64> {
    limit_under(Path::new("/"))
}

fn limit_under(root: &Path) -> Option<u64> {
    let of_machine = read(&root.join("proc/meminfo")).and_then(|text| total_of(&text));
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().filter_map(limit_files).flat_map(|(file, mount, group)| {
        let mount = root.join(mount);
        // Inside a container the group's path is that of the host and not there; its files are at the mount itself.
        let above: Vec<PathBuf> =
            Path::new(group.trim_start_matches('/')).ancestors().map(|dir| mount.join(dir)).collect();
        above.into_iter().filter_map(move |dir| read(&dir.join(file))?.trim().parse::<u64>().ok())
    });
    of_groups.chain(of_machine).min()
}

/// The file that holds the limit, where the groups are mounted, and the group, of a line of `/proc/self/cgroup`.
fn limit_files(line: &str) -> Option<(&'static str, &'static str, &str)> {
    let (number, rest) = line.split_once(':')?;
    let (controllers, group) = rest.split_once(':')?;
    if number == "0" && controllers.is_empty() {
        return Some(("memory.max", "sys/fs/cgroup", group));
    }
    let has_memory = controllers.split(',').any(|controller| controller == "memory");
    has_memory.then_some(("memory.limit_in_bytes", "sys/fs/cgroup/memory", group))
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       16384 kB\nMemFree:  1 kB\n");

    #[test]
    fn without_a_container_it_is_the_machine() {
        let root = machine(&[MEMINFO, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "max\n")]);
        assert_eq!(limit_under(root.path()), Some(16 << 20));
        assert_eq!(limit_under(machine(&[]).path()), None);
    }

    #[test]
    fn the_lowest_limit_of_the_groups_above_counts() {
        let root = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/system.slice/milena.service\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "4194304\n"),
            ("sys/fs/cgroup/system.slice/milena.service/memory.max", "8388608\n"),
        ]);
        assert_eq!(limit_under(root.path()), Some(4 << 20));
    }

    #[test]
    fn the_older_groups_are_understood() {
        let root = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/docker/0123\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n"),
        ]);
        assert_eq!(limit_under(root.path()), Some(2 << 20));
    }
}
