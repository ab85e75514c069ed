//! A process that makes system calls one after the other, as a test tells it to, and tells what each returned.
//!
//! What a program learns of its files depends on who else has them open, on which process it is, and on the signals that wait
//! for it. The threads of a test cannot show that: they are one process, and each program that one of them starts holds
//! the files of all others for a moment (`shell.rs`). A hand makes its calls on one thread, and has nothing open but what it was told to open.
//!
//! A call is a line of words: its name (`Served::call`), then what it takes. Handles and mappings have names of their own.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test may stop"
)]

#[path = "aio.rs"]
mod aio;

use super::common::*;
use rustix::fs::{self as sys, AtFlags, CWD, FallocateFlags, Mode, OFlags, SeekFrom, XattrFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const TOLD: &str = "MUSKOX_TEST_HAND";
const PAGE: usize = 4096;
/// Longer than any limit of a mount in these tests.
const ANSWER_WAIT: Duration = Duration::from_secs(90);
/// Between two tries of a call that is to fail.
const RETRY: Duration = Duration::from_millis(20);
/// Who sleeps so long in one call waits.
const ASLEEP: Duration = Duration::from_millis(100);

/// The test's end of a hand. It is killed when dropped.
pub struct Hand {
    child: Child,
    /// The thread that makes the calls.
    thread: String,
    stdin: ChildStdin,
    answers: mpsc::Receiver<String>,
    /// Since when it has been asleep in the same call, and by what that is known.
    asleep: Option<(Instant, String)>,
}

/// What a call returned.
pub type Answer = Result<String, Errno>;

impl Hand {
    pub fn start() -> Self {
        let mut command = Command::new("env");
        // Whoever runs this test may ignore signals, and the harness has a thread of its own, which is to leave them alone.
        command.args(["--default-signal=INT,TERM", "--block-signal"]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "hand::a_process_of_the_test", "--nocapture"]);
        command.env(TOLD, "1").current_dir("/");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(answer) = line.strip_prefix("= ") {
                    let _ = send.send(answer.to_owned());
                }
            }
        });
        let mut hand = Self { child, thread: String::new(), stdin, answers, asleep: None };
        hand.thread = hand.ok("thread");
        hand
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Begins a call.
    pub fn tell(&mut self, call: &str) {
        self.asleep = None;
        let _ = writeln!(self.stdin, "{call}");
    }

    /// What the call that was begun returned; `None`: the process has ended.
    pub fn answer(&mut self) -> Option<Answer> {
        match self.answers.recv_timeout(ANSWER_WAIT) {
            Ok(line) => Some(parsed(&line)),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("a call was not answered within {ANSWER_WAIT:?}"),
        }
    }

    /// The same, if it has returned.
    pub fn answered(&mut self) -> Option<Answer> {
        self.answers.try_recv().ok().map(|line| parsed(&line))
    }

    pub fn call(&mut self, call: &str) -> Answer {
        self.tell(call);
        self.answer().unwrap_or_else(|| panic!("the process has ended in {call:?}"))
    }

    /// A call that must succeed.
    pub fn ok(&mut self, call: &str) -> String {
        self.call(call).unwrap_or_else(|error| panic!("{call:?}: {error}"))
    }

    pub fn send(&self, what: Signal) {
        signal(self.pid(), what);
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Whether it has been asleep for a while within one call, and not between two tries of it.
    pub fn waits(&mut self) -> bool {
        let now = self.sleeps_in();
        match (&self.asleep, now) {
            (Some((since, before)), Some(now)) if *before == now => since.elapsed() > ASLEEP,
            (_, now) => {
                self.asleep = now.map(|now| (Instant::now(), now));
                false
            }
        }
    }

    /// The call it sleeps in, and how often it slept; `None` if it runs, has ended, sleeps by itself or waits for the test.
    fn sleeps_in(&self) -> Option<String> {
        let told = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.thread)).ok();
        let call = told("syscall")?;
        let number = call.split(' ').next()?.trim().parse::<i64>().ok()?;
        let own = number == libc::SYS_nanosleep || number == libc::SYS_clock_nanosleep;
        let idle = number == libc::SYS_read && call.split(' ').nth(1) == Some("0x0");
        let state = told("stat")?;
        if own || idle || !state.rsplit_once(") ")?.1.starts_with(['S', 'D']) {
            return None;
        }
        let status = told("status")?;
        let slept = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        Some(format!("{call} {slept}"))
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parsed(line: &str) -> Answer {
    let (errno, text) = line.split_once(' ').unwrap_or((line, ""));
    match errno.parse().unwrap() {
        0 => Ok(text.to_owned()),
        errno => Err(Errno::from_raw_os_error(errno)),
    }
}

/// The hand itself: it does nothing unless a test started it.
#[test]
fn a_process_of_the_test() {
    if std::env::var_os(TOLD).is_none() {
        return;
    }
    take_signals();
    let mut served = Served::default();
    // The harness has begun a line of its own.
    let _ = writeln!(std::io::stdout());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let (errno, text) = match served.call(&words) {
            Ok(text) => (0, text),
            Err(error) => (error.raw_os_error(), String::new()),
        };
        let _ = writeln!(std::io::stdout(), "= {errno} {text}");
    }
}

static CAUGHT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

/// From now on a signal for the process is one for this thread: no other one takes any.
#[allow(unsafe_code, reason = "no safe call changes the mask")]
fn take_signals() {
    // SAFETY: the set is initialised by sigemptyset, and outlives the call.
    let done = unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    assert_eq!(done, 0);
}

#[allow(unsafe_code, reason = "no safe call waits for signals")]
fn pause() -> Answer {
    // SAFETY: it touches no memory.
    said(unsafe { libc::pause() }).map(|()| String::new())
}

#[allow(unsafe_code, reason = "no safe call sets a handler")]
fn handle(number: Signal, handler: libc::sighandler_t) {
    // SAFETY: all zeroes are a valid sigaction: no flags, so that calls end with EINTR.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the handler does nothing but count, and the structure outlives the call.
    let done = unsafe { libc::sigaction(number.as_raw(), &raw const action, std::ptr::null_mut()) };
    assert_eq!(done, 0);
}

/// What the hand has.
#[derive(Default)]
struct Served {
    files: BTreeMap<String, File>,
    listings: BTreeMap<String, sys::Dir>,
    mappings: BTreeMap<String, (usize, usize)>,
    begun: Option<aio::Begun>,
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(word: &str) -> T {
    word.parse().unwrap()
}

/// Bytes of a seed in memory that begins so far behind a page's border.
struct Placed {
    memory: Vec<u8>,
    from: usize,
    length: usize,
}

impl Placed {
    fn new(seed: &str, length: &str, behind: usize) -> Self {
        let length = number(length);
        let mut memory = vec![0; length + 2 * PAGE];
        let from = memory.as_ptr().align_offset(PAGE) + behind;
        memory[from..from + length].copy_from_slice(&bytes(number(seed), length));
        Self { memory, from, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.from..self.from + self.length]
    }
}

fn flags_of(words: &str) -> OFlags {
    let flag = |word: &str| match word {
        "r" => OFlags::RDONLY,
        "w" => OFlags::WRONLY,
        "rw" => OFlags::RDWR,
        "create" => OFlags::CREATE,
        "excl" => OFlags::EXCL,
        "append" => OFlags::APPEND,
        "direct" => OFlags::DIRECT,
        "sync" => OFlags::SYNC,
        "dsync" => OFlags::DSYNC,
        "trunc" => OFlags::TRUNC,
        "directory" => OFlags::DIRECTORY,
        other => panic!("{other} is no flag"),
    };
    words.split('+').map(flag).fold(OFlags::CLOEXEC, |all, one| all | one)
}

fn mode(word: &str) -> Mode {
    Mode::from_raw_mode(u32::from_str_radix(word, 8).unwrap())
}

/// How many bytes were moved: a call that moved fewer than it was to is told apart.
fn moved(count: usize) -> String {
    count.to_string()
}

impl Served {
    fn call(&mut self, words: &[&str]) -> Answer {
        let done = |()| String::new();
        match *words {
            // Until it fails.
            ["until", ref call @ ..] => loop {
                self.call(call)?;
                std::thread::sleep(RETRY);
            },
            ["catch", signal] => {
                handle(Signal::from_named_raw(number(signal)).unwrap(), count as *const () as usize);
                Ok(String::new())
            }
            // Until a signal that is caught.
            ["pause"] => pause(),
            ["caught"] => Ok(CAUGHT.load(Ordering::Relaxed).to_string()),
            ["thread"] => Ok(rustix::thread::gettid().as_raw_nonzero().to_string()),
            ["exit"] => std::process::exit(0),
            ["as", uid] => {
                let uid = rustix::process::Uid::from_raw(number(uid));
                rustix::thread::set_thread_res_uid(uid, uid, uid).map(done)
            }
            // Files by handle.
            ["open", name, path, flags] => {
                let file = File::from(sys::open(path, flags_of(flags), Mode::from_raw_mode(0o666))?);
                self.files.insert(name.to_owned(), file);
                Ok(String::new())
            }
            ["close", name] => close(self.files.remove(name).unwrap()).map(done),
            ["write", name, seed, length] => self.write(name, seed, length, 0),
            ["write", name, seed, length, behind] => self.write(name, seed, length, number(behind)),
            // The bytes of so many seeds, each in one call.
            ["writes", name, first, count, length, behind] => {
                let first: u64 = number(first);
                for seed in first..first + number::<u64>(count) {
                    let written = self.write(name, &seed.to_string(), length, number(behind))?;
                    assert_eq!(written, length, "a short write");
                }
                Ok(String::new())
            }
            // From now on what is written goes behind the end.
            ["append", name] => {
                let flags = sys::fcntl_getfl(&self.files[name])?;
                sys::fcntl_setfl(&self.files[name], flags | OFlags::APPEND).map(done)
            }
            ["pwrite", name, at, seed, length] => {
                let data = Placed::new(seed, length, 0);
                rustix::io::pwrite(&self.files[name], data.bytes(), number(at)).map(moved)
            }
            ["read", name, at, length] => {
                let mut found = vec![0; number(length)];
                rustix::io::pread(&self.files[name], &mut found[..], number(at)).map(moved)
            }
            ["hash", name, at, length] => {
                let mut found = vec![0; number(length)];
                let count = rustix::io::pread(&self.files[name], &mut found[..], number(at))?;
                Ok(blake3::hash(&found[..count]).to_string())
            }
            // A read by a thread that ends at once, and what came of it.
            ["begin-read", name, at, length] => {
                self.begun = Some(aio::begin_read(&self.files[name], number(at), number(length))?);
                Ok(String::new())
            }
            ["end-read"] => aio::end(self.begun.as_ref().unwrap()).map(|count| count.to_string()),
            ["fsync", name] => sys::fsync(&self.files[name]).map(done),
            ["fdatasync", name] => sys::fdatasync(&self.files[name]).map(done),
            ["ftruncate", name, length] => sys::ftruncate(&self.files[name], number(length)).map(done),
            ["fstat", name] => sys::fstat(&self.files[name]).map(|stat| stat.st_size.to_string()),
            ["punch", name, at, length] => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                sys::fallocate(&self.files[name], flags, number(at), number(length)).map(done)
            }
            ["data", name, at] => {
                sys::seek(&self.files[name], SeekFrom::Data(number(at))).map(|at| at.to_string())
            }
            ["drop-pages", name] => sys::fadvise(&self.files[name], 0, None, sys::Advice::DontNeed).map(done),
            ["copy", from, to, length] => {
                let (from, to) = (&self.files[from], &self.files[to]);
                sys::copy_file_range(from, Some(&mut 0), to, Some(&mut 0), number(length)).map(moved)
            }
            ["sendfile", from, to, length] => {
                sys::sendfile(&self.files[to], &self.files[from], Some(&mut 0), number(length)).map(moved)
            }
            // Mappings.
            ["map", name, file, kind, length] => self.map(name, file, kind, number(length)),
            ["peek", name, at] => {
                let at = number::<usize>(at);
                Ok(volatile(self.mapped(name)[at..].first().unwrap()).to_string())
            }
            ["poke", name, at, byte] => {
                let at = number::<usize>(at);
                self.mapped(name)[at] = number(byte);
                Ok(String::new())
            }
            // The first byte of each page.
            ["peek-pages", name] => {
                let sum: u64 =
                    self.mapped(name).iter().step_by(PAGE).map(|first| u64::from(volatile(first))).sum();
                Ok(sum.to_string())
            }
            ["poke-pages", name, byte] => {
                self.mapped(name).iter_mut().step_by(PAGE).for_each(|first| *first = number(byte));
                Ok(String::new())
            }
            ["msync", name] => self.msync(name).map(done),
            ["unmap", name] => self.unmap(name).map(done),
            // Locks.
            [wanted @ ("setlk" | "setlkw" | "getlk"), name, kind, from, length] => {
                record_lock(&self.files[name], wanted, kind, number(from), number(length))
            }
            ["flock", name, how] => {
                use sys::FlockOperation as Lock;
                let how = match how {
                    "shared" => Lock::LockShared,
                    "exclusive" => Lock::LockExclusive,
                    "try-shared" => Lock::NonBlockingLockShared,
                    "try-exclusive" => Lock::NonBlockingLockExclusive,
                    _ => Lock::Unlock,
                };
                sys::flock(&self.files[name], how).map(done)
            }
            // Directory streams.
            ["listing", name, path] => {
                let file = sys::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
                self.listings.insert(name.to_owned(), sys::Dir::new(file)?);
                Ok(String::new())
            }
            ["seek", name, place] => self.listings.get_mut(name).unwrap().seek(number(place)).map(done),
            // The next so many entries: their names, and the place behind each.
            ["next", name, count] => {
                let entries = self.listings.get_mut(name).unwrap().take(number(count));
                let named: Result<Vec<String>, Errno> = entries
                    .map(|entry| entry.map(|e| format!("{}@{}", e.file_name().to_str().unwrap(), e.offset())))
                    .collect();
                Ok(named?.join(" "))
            }
            _ => on_path(words),
        }
    }

    fn write(&self, name: &str, seed: &str, length: &str, behind: usize) -> Answer {
        let data = Placed::new(seed, length, behind);
        rustix::io::write(&self.files[name], data.bytes()).map(moved)
    }

    #[allow(unsafe_code, reason = "memory is mapped")]
    fn map(&mut self, name: &str, file: &str, kind: &str, length: usize) -> Answer {
        let flags = if kind == "shared" { MapFlags::SHARED } else { MapFlags::PRIVATE };
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place.
        let at =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, flags, &self.files[file], 0) }?;
        self.mappings.insert(name.to_owned(), (at as usize, length));
        Ok(String::new())
    }

    #[allow(unsafe_code, reason = "memory is mapped")]
    fn mapped(&mut self, name: &str) -> &mut [u8] {
        let (at, length) = self.mappings[name];
        // SAFETY: mapped until `unmap`, which takes it out of the table; nobody else here writes there.
        unsafe { std::slice::from_raw_parts_mut(at as *mut u8, length) }
    }

    #[allow(unsafe_code, reason = "memory is mapped")]
    fn msync(&self, name: &str) -> rustix::io::Result<()> {
        let (at, length) = self.mappings[name];
        // SAFETY: the range is mapped.
        unsafe { rustix::mm::msync(at as *mut _, length, MsyncFlags::SYNC) }
    }

    #[allow(unsafe_code, reason = "memory is mapped")]
    fn unmap(&mut self, name: &str) -> rustix::io::Result<()> {
        let (at, length) = self.mappings.remove(name).unwrap();
        // SAFETY: the range is mapped, and nobody has a reference to it.
        unsafe { rustix::mm::munmap(at as *mut _, length) }
    }
}

/// Calls that take paths.
fn on_path(words: &[&str]) -> Answer {
    let done = |()| String::new();
    let stat = |stat: sys::Stat| format!("{:o} {}", stat.st_mode, stat.st_size);
    match *words {
        ["stat", path] => sys::stat(path).map(stat),
        ["access", path] => sys::access(path, sys::Access::READ_OK).map(done),
        ["chdir", path] => rustix::process::chdir(path).map(done),
        ["mkdir", path] => sys::mkdir(path, mode("755")).map(done),
        ["rmdir", path] => sys::rmdir(path).map(done),
        ["unlink", path] => sys::unlink(path).map(done),
        ["rename", from, to] => sys::rename(from, to).map(done),
        ["link", from, to] => sys::link(from, to).map(done),
        ["symlink", target, path] => sys::symlink(target, path).map(done),
        ["readlink", path] => {
            sys::readlink(path, Vec::new()).map(|target| target.to_string_lossy().into_owned())
        }
        ["fifo", path] => sys::mknodat(CWD, path, sys::FileType::Fifo, mode("600"), 0).map(done),
        ["truncate", path, length] => {
            let file = sys::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            sys::ftruncate(&file, number(length)).map(done)
        }
        ["chmod", path, bits] => sys::chmod(path, mode(bits)).map(done),
        ["chown", path, group] => {
            let group = Some(rustix::process::Gid::from_raw(number(group)));
            sys::chownat(CWD, path, None, group, AtFlags::empty()).map(done)
        }
        ["utimens", path, seconds] => {
            let time = sys::Timespec { tv_sec: number(seconds), tv_nsec: 0 };
            let times = sys::Timestamps { last_access: time, last_modification: time };
            sys::utimensat(CWD, path, &times, AtFlags::empty()).map(done)
        }
        ["statfs", path] => sys::statfs(path).map(|stat| stat.f_blocks.to_string()),
        ["setxattr", path, name, value] => {
            sys::setxattr(path, name, value.as_bytes(), XattrFlags::empty()).map(done)
        }
        ["getxattr", path, name] => sys::getxattr(path, name, &mut [0; 4096][..]).map(moved),
        ["listxattr", path] => sys::listxattr(path, &mut [0; 4096][..]).map(moved),
        ["removexattr", path, name] => sys::removexattr(path, name).map(done),
        ["list", path] => {
            let directory = sys::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            // A `Dir` would go on after a signal.
            let mut room = [MaybeUninit::uninit(); 4096];
            let (mut entries, mut count) = (sys::RawDir::new(directory, &mut room), 0);
            while let Some(entry) = entries.next() {
                entry.map(|_| count += 1)?;
            }
            Ok(count.to_string())
        }
        _ => panic!("no such call: {words:?}"),
    }
}

/// A read that is done, and done now.
#[allow(unsafe_code, reason = "the compiler must not leave it out")]
fn volatile(byte: &u8) -> u8 {
    // SAFETY: a reference is a valid pointer.
    unsafe { std::ptr::read_volatile(byte) }
}

#[allow(unsafe_code, reason = "std closes a file without telling whether that succeeded")]
fn close(file: File) -> rustix::io::Result<()> {
    let descriptor = std::os::fd::IntoRawFd::into_raw_fd(file);
    // SAFETY: the descriptor was just given up by its owner and is closed once.
    said(unsafe { libc::close(descriptor) })
}

fn said(done: libc::c_int) -> rustix::io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap()),
    }
}

/// A lock of fcntl(2), as the process's own. What `getlk` finds: the kind, and who has it.
#[allow(unsafe_code, reason = "no safe binding of these locks exists")]
fn record_lock(file: &File, wanted: &str, kind: &str, from: i64, length: i64) -> Answer {
    let kinds = [("read", libc::F_RDLCK), ("write", libc::F_WRLCK), ("none", libc::F_UNLCK)];
    let kind = kinds.iter().find(|(name, _)| *name == kind).unwrap().1;
    let command = match wanted {
        "setlk" => libc::F_SETLK,
        "setlkw" => libc::F_SETLKW,
        _ => libc::F_GETLK,
    };
    // SAFETY: all zeroes are a valid flock.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
    (lock.l_start, lock.l_len) = (from, length);
    // SAFETY: the descriptor is open and the structure outlives the call.
    said(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) })?;
    let kind = kinds.iter().find(|(_, number)| *number as libc::c_short == lock.l_type).unwrap().0;
    Ok(format!("{kind} {} {} {}", lock.l_pid, lock.l_start, lock.l_len))
}
