//! A file system of our own in a file, whose power can be cut: a loop device, and the ioctl by which ext4 and xfs stop at once
//! without writing their log or anything else that waits in memory.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};

use crate::broker::Ground;

/// `_IOR('X', 125, __u32)`: EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number.
const SHUTDOWN: u64 = 0x8004_587d;
/// "no log flush" of both.
const WITHOUT_LOG_FLUSH: u32 = 2;

/// `BLKFLSBUF`, `_IO(0x12, 97)`.
const FORGET: u64 = 0x1261;

pub struct Image {
    kind: String,
    device: Device,
    pub at: PathBuf,
}

/// A loop device that goes when nobody uses it any more, however this process ends.
pub struct Device {
    pub path: String,
    open: File,
}

impl Device {
    pub fn on(file: &Path) -> Result<Self, String> {
        let path = said(Command::new("losetup").args(["--find", "--show"]).arg(file))?.trim().to_owned();
        let open = File::open(&path).map_err(|error| format!("{path}: {error}"))?;
        // While it is open, this only says that its last user takes it along.
        said(Command::new("losetup").arg("--detach").arg(&path))?;
        Ok(Device { path, open })
    }
}

impl Device {
    /// The kernel reads everything anew: what lies below the device is about to be another disk. Nobody has it mounted.
    pub fn forget(&self) {
        // SAFETY: the call takes no argument.
        let answer = unsafe { libc::ioctl(self.open.as_raw_fd(), FORGET) };
        assert_eq!(answer, 0, "a block device forgets: {}", std::io::Error::last_os_error());
    }
}

/// What this process mounts is seen by itself and its children only, and goes with them.
pub fn own_mounts() -> Result<(), String> {
    // SAFETY: no other thread has been started, and no descriptor is taken away from anybody.
    let own = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) };
    own.map_err(|error| format!("no mount namespace of its own: {error}"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| format!("mounts cannot be made private: {error}"))
}

impl Image {
    /// Makes a file of that size below `directory`, a file system in it, and mounts it.
    pub fn make(kind: &str, directory: &Path, mebibytes: u64) -> Result<Self, String> {
        let file = directory.join("disk");
        let disk = File::create(&file).and_then(|disk| disk.set_len(mebibytes << 20));
        disk.map_err(|error| format!("{}: {error}", file.display()))?;
        let quiet: &[&str] = if kind == "xfs" { &["-q", "-f"] } else { &["-q", "-F"] };
        said(Command::new(format!("mkfs.{kind}")).args(quiet).arg(&file))?;
        let device = Device::on(&file)?;
        let at = directory.join("mounted");
        std::fs::create_dir(&at).map_err(|error| error.to_string())?;
        let image = Image { kind: kind.to_owned(), device, at };
        image.mount();
        Ok(image)
    }

    fn mount(&self) {
        let mounted = mount(&self.device.path, &self.at, &*self.kind, MountFlags::empty(), None);
        mounted.unwrap_or_else(|error| panic!("the {} image cannot be mounted: {error}", self.kind));
    }
}

impl Ground for Image {
    fn settle(&self) {
        let directory = File::open(&self.at).expect("a mounted image can be opened");
        rustix::fs::syncfs(directory).expect("a sound file system can be flushed");
    }

    fn cut(&self) {
        let directory = File::open(&self.at).expect("a mounted image can be opened");
        let how = WITHOUT_LOG_FLUSH;
        // SAFETY: the kernel reads one u32 behind the pointer, which lives until the call returns.
        let answer = unsafe { libc::ioctl(directory.as_raw_fd(), SHUTDOWN, &raw const how) };
        assert_eq!(answer, 0, "the power can be cut: {}", std::io::Error::last_os_error());
    }

    fn restore(&self) {
        unmount(&self.at, UnmountFlags::empty()).expect("nobody uses the image any more");
        self.mount();
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}

/// Runs a command to its end; what it printed, or why it failed.
pub fn said(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
