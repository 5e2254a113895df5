//! The handler of the signals by which a process ends itself.
//!
//! Unsafe, because only C knows how to install one, and because it looks at the
//! registers and the stack of a thread that has gone wrong. It runs at any moment, on
//! any thread: it takes no lock, allocates nothing, calls only what is
//! async-signal-safe (signal-safety(7)), and reads foreign memory through the kernel,
//! which says so where there is none. Afterwards the signal takes the way it would
//! have taken: the handler before this one, then a core.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use wpk_loader::suspects::{Suspect, of_address, of_this_thread};

/// By these a process ends itself.
const SIGNALS: [(c_int, &str); 5] = [
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGSEGV, "SIGSEGV"),
];
/// Words of a stack that are looked at at a time, and how often.
const WORDS: usize = 512;
const PIECES: usize = 8;

/// The handlers before this one, in the order of [`SIGNALS`].
static BEFORE: [OnceLock<libc::sigaction>; SIGNALS.len()] =
    [const { OnceLock::new() }; SIGNALS.len()];
/// Where reports go beside standard error; -1: nowhere.
static REPORTS: AtomicI32 = AtomicI32::new(-1);
/// A crash is being reported.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Of whoever has taken it; too large for the small stack a handler may have.
static STACK: [AtomicUsize; WORDS] = [const { AtomicUsize::new(0) }; WORDS];

/// From now on crashes are reported.
pub(crate) fn watch() {
    for ((signal, _), before) in SIGNALS.iter().zip(&BEFORE) {
        // SAFETY: a sigaction of zeroes is a valid one, and the handler has the
        // signature that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_crash;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            let mut old: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(*signal, std::ptr::null(), &mut old) == 0 {
                // First, so that the handler finds it.
                let _ = before.set(old);
                libc::sigaction(*signal, &action, std::ptr::null_mut());
            }
        }
    }
}

/// Reports are written to this file as well, which stays open for ever.
pub(super) fn report_to(file: RawFd) {
    REPORTS.store(file, Ordering::Relaxed);
}

extern "C" fn on_crash(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel hands over both for SA_SIGINFO.
    let (code, sender) = unsafe { ((*info).si_code, (*info).si_pid()) };
    // A fault has a positive code; what was sent says by whom.
    let sent = code <= 0;
    // SAFETY: getpid(2) has no conditions.
    let from_outside = sent && sender != unsafe { libc::getpid() };
    if !from_outside {
        if TAKEN.swap(true, Ordering::AcqRel) {
            // Another thread is about to end the process; it needs a moment.
            // SAFETY: poll(2) of nothing waits.
            unsafe { libc::poll(std::ptr::null_mut(), 0, 2_000) };
        } else {
            report(signal, context);
        }
    }
    let place = SIGNALS.iter().position(|(known, _)| *known == signal);
    let before = place.and_then(|place| BEFORE.get(place)?.get());
    // SAFETY: what is put back was there before; raise(3) waits until this returns.
    unsafe {
        match before {
            Some(before) => libc::sigaction(signal, before, std::ptr::null_mut()),
            None => libc::sigaction(signal, &std::mem::zeroed(), std::ptr::null_mut()),
        };
        // A fault comes again by itself.
        if sent {
            libc::raise(signal);
        }
    }
}

fn report(signal: c_int, context: *mut c_void) {
    let known = SIGNALS.iter().find(|(known, _)| *known == signal);
    let name = known.map_or("a signal", |(_, name)| name);
    let suspect = suspect(context);
    let mut text = Text::new();
    text.line("signal ", name);
    if let Some(suspect) = suspect {
        text.line("plugin ", suspect.name());
        text.line("file ", suspect.file());
    }
    text.write_to(REPORTS.load(Ordering::Relaxed));
    let mut words = Text::new();
    words.add("wpkd crashed: ");
    words.add(name);
    if let Some(suspect) = suspect {
        words.add(" while the code of plugin ");
        words.add(suspect.name());
        words.line(" was running: ", suspect.file());
    } else {
        words.line(" in no code of a plugin, as far as was seen", "");
    }
    words.write_to(libc::STDERR_FILENO);
}

/// The plugin whose code is running: the one this thread has called into, the one
/// whose code the fault is in, or the one that is found first on the stack.
fn suspect(context: *mut c_void) -> Option<&'static Suspect> {
    if let Some(marked) = of_this_thread() {
        return Some(marked);
    }
    let (at, stack) = registers(context)?;
    of_address(at).or_else(|| on_stack(stack))
}

/// Where the thread was, and the top of its stack.
fn registers(context: *mut c_void) -> Option<(usize, usize)> {
    if context.is_null() {
        return None;
    }
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel hands it over for SA_SIGINFO.
    let machine = unsafe { &(*context).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let found = {
        let register = |number: c_int| machine.gregs.get(number as usize).map(|it| *it as usize);
        (register(libc::REG_RIP)?, register(libc::REG_RSP)?)
    };
    #[cfg(target_arch = "aarch64")]
    let found = (machine.pc as usize, machine.sp as usize);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found = {
        let _ = machine;
        return None;
    };
    Some(found)
}

/// The first word on a stack that leads into a plugin's code.
fn on_stack(top: usize) -> Option<&'static Suspect> {
    const WORD: usize = size_of::<usize>();
    let mut from = top & !(WORD - 1);
    for _ in 0..PIECES {
        let local = libc::iovec {
            iov_base: STACK.as_ptr().cast_mut().cast::<c_void>(),
            iov_len: WORDS * WORD,
        };
        let remote = libc::iovec {
            iov_base: from as *mut c_void,
            iov_len: WORDS * WORD,
        };
        // SAFETY: the local side is ours alone (TAKEN) and made of atomics; the kernel
        // checks the other and copies what is there.
        let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
        let words = usize::try_from(read).unwrap_or(0) / WORD;
        let words = STACK.iter().take(words);
        let found = words.map(|word| of_address(word.load(Ordering::Relaxed)));
        if let Some(found) = found.flatten().next() {
            return Some(found);
        }
        if read <= 0 {
            return None;
        }
        from = from.checked_add(WORDS * WORD)?;
    }
    None
}

/// A text that is put together without an allocation; what does not fit is left out.
struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    const fn new() -> Self {
        Self {
            bytes: [0; 1024],
            len: 0,
        }
    }

    fn line(&mut self, key: &str, value: &str) {
        self.add(key);
        self.add(value);
        self.add("\n");
    }

    fn add(&mut self, text: &str) {
        let free = self.bytes.get_mut(self.len..).unwrap_or_default();
        for (place, byte) in free.iter_mut().zip(text.bytes()) {
            *place = byte;
            self.len += 1;
        }
    }

    fn write_to(&self, file: RawFd) {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        if file >= 0 {
            // SAFETY: the bytes are there; whether they could be written is nobody's
            // business any more.
            unsafe { libc::write(file, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
        }
    }
}
