//! Where it is measured, and what `/proc` tells of processes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::figures::Samples;
use crate::instance::PROGRAM;
use crate::{Fail, clock};

/// Unit of the times in `/proc/*/stat`: fixed for user space by the kernel on every machine this runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Files made durable to see what that costs here.
const SYNCS: usize = 50;

/// A directory that is thrown away.
pub fn folder() -> Result<tempfile::TempDir, Fail> {
    Ok(tempfile::Builder::new().prefix("standin-bench").tempdir()?)
}

/// Has a directory removed by a process of its own: where the file system tells the disk of each file that goes, a hundred
/// thousand of them take minutes.
pub fn remove_behind(folder: std::path::PathBuf) {
    // Without it the folder stays; nothing else can be done here.
    let _ = std::process::Command::new("nice").args(["-n", "19", "rm", "-rf"]).arg(folder).spawn();
}

/// Waits until the disk has what was written to the file system of `folder`, so that nothing measured next pays for it.
pub fn write_back(folder: &Path) -> Result<(), Fail> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

/// This program.
pub fn own_program() -> Result<String, Fail> {
    let program = std::env::current_exe()?;
    Ok(program.to_str().ok_or("the path of this program is no UTF-8")?.to_owned())
}

/// A paragraph: what the figures depend on.
pub fn describe() -> Result<String, Fail> {
    let folder = folder()?;
    let cpu = value_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let syncs = sync_times(folder.path())?;
    let profile = if cfg!(debug_assertions) { "DEBUG BUILD, no figures" } else { "release build" };
    Ok(format!(
        "{cores} x {cpu}, Linux {}, {} at {}; write and fsync of 4 KB there: p50 {:.2} ms, max {:.2} ms; {profile}, \
         {:.1} MB; load at the beginning: {}.\n",
        kernel.trim(),
        file_system(folder.path()).unwrap_or_else(|| "unknown file system".into()),
        std::env::temp_dir().display(),
        syncs.median(),
        syncs.max(),
        megabytes(fs::metadata(PROGRAM)?.len()),
        load(),
    ))
}

/// Of 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn sync_times(folder: &Path) -> Result<Samples, Fail> {
    let mut values = Vec::new();
    for number in 0..SYNCS {
        let begin_ns = clock::now_ns();
        let mut file = File::create(folder.join(number.to_string()))?;
        file.write_all(&[b'x'; 4096])?;
        file.sync_all()?;
        values.push(clock::ms_between(begin_ns, clock::now_ns()));
    }
    Ok(Samples::new(values))
}

/// The type of the longest mount point above `path`.
fn file_system(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        path.starts_with(point).then_some((point.len(), kind))
    });
    above.max_by_key(|(length, _)| *length).map(|(_, kind)| kind.to_owned())
}

/// The rest of the first line `key: rest`.
fn value_of(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Resident memory, MB.
pub fn resident_mb(process: u32) -> Result<f64, Fail> {
    let value = value_of(&format!("/proc/{process}/status"), "VmRSS").ok_or("no VmRSS")?;
    let kilobytes: u64 = value.trim_end_matches(" kB").parse()?;
    Ok(megabytes(kilobytes * 1024))
}

/// The most memory that was resident since the start, or since it was told to forget, MB.
pub fn peak_mb(process: u32) -> Result<f64, Fail> {
    let value = value_of(&format!("/proc/{process}/status"), "VmHWM").ok_or("no VmHWM")?;
    let kilobytes: u64 = value.trim_end_matches(" kB").parse()?;
    Ok(megabytes(kilobytes * 1024))
}

/// Processor time used so far in user and kernel mode, ended threads included, s.
pub fn processor_s(process: u32) -> Result<f64, Fail> {
    /// In the list that begins behind the name: fields 14 and 15 of the manual.
    const UTIME: usize = 11;
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let rest = stat.rsplit_once(") ").ok_or("a strange stat")?.1;
    let mut ticks = 0.0;
    for field in rest.split(' ').skip(UTIME).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / TICKS_PER_SECOND)
}

/// Processes that `process` started, whichever of its threads did.
pub fn children(process: u32) -> Result<Vec<u32>, Fail> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    Ok(found)
}

/// Lives, and is no zombie.
pub fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
