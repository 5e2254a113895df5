//! The program on a terminal.
#![allow(dead_code, unreachable_pub)]

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::program;

/// The longest that anything is waited for.
pub const LONG: Duration = Duration::from_secs(120);

/// The tool on a terminal of this size.
pub struct Terminal {
    pub child: Child,
    pub keys: File,
    said: Receiver<Vec<u8>>,
    pub text: String,
}

impl Terminal {
    pub fn start(socket: &Path, columns: u16, lines: u16, arguments: &[&str]) -> Self {
        let socket = socket.to_str().unwrap();
        let tool = program(&[&["--socket", socket][..], arguments].concat());
        Self::of(tool, columns, lines)
    }

    /// Any program, likewise.
    pub fn of(mut program: Command, columns: u16, lines: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        tcsetwinsize(&controller, size(columns, lines)).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let path = name.to_str().unwrap();
        let terminal = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        let child = program
            .env("TERM", "xterm")
            .stdin(terminal())
            .stdout(terminal())
            .stderr(terminal())
            .spawn()
            .unwrap();
        let keys = File::from(controller);
        let mut screen = keys.try_clone().unwrap();
        let (tell, said) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal that nobody has open any more cannot be read.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if tell.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            said,
            text: String::new(),
        }
    }

    /// Waits until this was said.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) {
        while !self.text.contains(words) {
            self.hear();
        }
    }

    /// Waits for a picture with these words.
    #[track_caller]
    pub fn picture_with(&mut self, words: &str) -> Vec<String> {
        loop {
            let has = |picture: &Vec<String>| picture.iter().any(|line| line.contains(words));
            let drawn = self.text.contains(ENTER).then(|| pictures(&self.text));
            if let Some(picture) = drawn.into_iter().flatten().rfind(has) {
                return picture;
            }
            self.hear();
        }
    }

    /// Waits until more was said.
    #[track_caller]
    pub fn hear(&mut self) {
        let said = self.said.recv_timeout(LONG);
        let said = said.unwrap_or_else(|_| panic!("nothing more after {:?}", self.text));
        self.text += &String::from_utf8_lossy(&said);
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Another size, of which the tool is told as by a terminal.
    pub fn resize(&self, columns: u16, lines: u16) {
        tcsetwinsize(&self.keys, size(columns, lines)).unwrap();
        kill_process(Pid::from_child(&self.child), Signal::WINCH).unwrap();
    }

    /// All that was said, and the exit status.
    pub fn end(mut self) -> (String, Option<i32>) {
        let status = self.child.wait().unwrap().code();
        while let Ok(said) = self.said.recv_timeout(LONG) {
            self.text += &String::from_utf8_lossy(&said);
        }
        (self.text, status)
    }
}

/// The size of a terminal.
fn size(columns: u16, lines: u16) -> Winsize {
    Winsize {
        ws_row: lines,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

pub const ENTER: &str = "\u{1b}[?1049h";
pub const LEAVE: &str = "\u{1b}[?1049l";

/// The pictures that were drawn, each as its lines.
pub fn pictures(text: &str) -> Vec<Vec<String>> {
    let (_, rest) = text.split_once(ENTER).unwrap();
    let drawn = rest.split(LEAVE).next().unwrap();
    let pictures = drawn.split("\u{1b}[H").skip(1);
    // The last one may not be there as a whole.
    let pictures = pictures.filter(|picture| picture.contains("\u{1b}[J"));
    let lines = |picture: &str| -> Vec<String> {
        let picture = picture.split("\u{1b}[J").next().unwrap();
        let lines = picture.split("\r\n");
        let wiped = |line: &str| line.replace("\u{1b}[K", "");
        lines.map(|line| without_colours(&wiped(line))).collect()
    };
    pictures.map(lines).collect()
}

fn without_colours(line: &str) -> String {
    let (mut plain, mut rest) = (String::new(), line);
    while let Some((before, code)) = rest.split_once("\u{1b}[") {
        plain += before;
        rest = code.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}
