//! A small disk in memory that keeps no history: what a target needs to open a log a hundred thousand times.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use milena::file::ReadAt;
use milena::storage::disk::{Disk, DiskFile};

#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Bytes>,
    dirs: BTreeSet<PathBuf>,
}

#[derive(Default)]
pub struct MemoryDisk(Mutex<State>);

impl MemoryDisk {
    /// Another disk with the same content.
    pub fn copy(&self) -> MemoryDisk {
        let state = self.state();
        let files = state.files.iter().map(|(path, bytes)| {
            let content = bytes.content().clone();
            (path.clone(), Bytes(Arc::new(Mutex::new(content))))
        });
        MemoryDisk(Mutex::new(State { files: files.collect(), dirs: state.dirs.clone() }))
    }

    pub fn set(&self, path: &Path, content: &[u8]) {
        self.state().files.insert(path.to_path_buf(), Bytes(Arc::new(Mutex::new(content.to_vec()))));
    }

    pub fn get(&self, path: &Path) -> Option<Vec<u8>> {
        self.state().files.get(path).map(|bytes| bytes.content().clone())
    }

    /// Every file there is: for the test that damages them.
    #[allow(dead_code)]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().files.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no target panics while it holds the disk")
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        if !create && !state.files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(state.files.entry(path.to_path_buf()).or_default().clone()))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.state().dirs.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let all = state.files.keys().chain(&state.dirs).filter(|found| found.parent() == Some(path));
        let names = all.filter_map(|found| Some(found.file_name()?.to_str()?.to_owned()));
        Ok(names.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.state();
        state.files.contains_key(path) || state.dirs.contains(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        if let Some(bytes) = state.files.remove(from) {
            state.files.insert(to.to_path_buf(), bytes);
            return Ok(());
        }
        let moved = |path: &Path| Some(to.join(path.strip_prefix(from).ok()?));
        let State { files, dirs } = std::mem::take(&mut *state);
        state.files = files.into_iter().map(|(path, bytes)| (moved(&path).unwrap_or(path), bytes)).collect();
        state.dirs = dirs.into_iter().map(|path| moved(&path).unwrap_or(path)).collect();
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state().files.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.files.retain(|found, _| !found.starts_with(path));
        state.dirs.retain(|found| !found.starts_with(path));
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_all_under(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }

    fn space(&self, _path: &Path) -> io::Result<(u64, u64)> {
        Ok((1 << 30, 1 << 30))
    }
}

impl Bytes {
    fn content(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().expect("no target panics while it holds a file")
    }
}

impl ReadAt for Bytes {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        let content = self.content();
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let wanted = start.checked_add(buf.len()).and_then(|end| content.get(start..end));
        buf.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl DiskFile for Bytes {
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut content = self.content();
        let mut at = usize::try_from(position).map_err(io::Error::other)?;
        for slice in slices {
            let end = at + slice.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[at..end].copy_from_slice(slice);
            at = end;
        }
        Ok(())
    }

    fn preallocate(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.content().resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content().len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
