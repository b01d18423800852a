use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// Writes a file that appears whole or not at all, and is there after a power failure too.
///
/// Errors: what the system says; the file is then the one that was there before, or the new one.
pub fn write_whole(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&partial, path)?;
    // Its name is in the folder, which is written by itself.
    if cfg!(unix) {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        for bytes in [b"one".as_slice(), b"", b"another"] {
            write_whole(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // What cannot be replaced stays as it was.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(write_whole(&taken, b"bytes").is_err());
        assert!(taken.is_dir());
        assert!(write_whole(folder.path().join("absent/note"), b"bytes").is_err());
    }
}
