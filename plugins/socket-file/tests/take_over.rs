//! Beside a built-in module: the exchange, its restarts, the end, and what a kill leaves.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::{Duration, Instant};

use common::{DEADLINE, Ours, inode, kill, names, taking_over, until, wanted, who};
use wpk_socket_file::{
    GivenBack, Names, SocketError, SocketFile, Standing, builtin_path, give_back, own_path,
    standing,
};
use wpk_testkit::{Client, FakeModulesd, Home, wait_until};

async fn beside_a_module() -> (Home, FakeModulesd) {
    let home = Home::new().unwrap();
    let mut modulesd = FakeModulesd::at(home.upgrade_socket());
    modulesd.start().await.unwrap();
    (home, modulesd)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_exchanged_and_given_back() {
    let (home, modulesd) = beside_a_module().await;
    let path = home.upgrade_socket();
    let (theirs, about) = (inode(&path), std::fs::metadata(&path).unwrap());
    assert!(matches!(standing(&path).unwrap(), Standing::Another));
    let ours = Ours::serve(taking_over(&home).unwrap());
    assert_eq!(who(&path).await.unwrap(), "ours");
    assert_eq!(who(builtin_path(&path)).await.unwrap(), "modulesd");
    assert_eq!(
        names(&path),
        [".upgrade.builtin", ".upgrade.wpk", "upgrade"]
    );
    let told = standing(&path).unwrap().told(&path, Names::MANAGER);
    let behind = builtin_path(&path);
    assert_eq!(
        told,
        format!(
            "{}: served by wpkd, the manager's own module is behind it at {}",
            path.display(),
            behind.display()
        )
    );
    ours.stop().await;
    assert_eq!(who(&path).await.unwrap(), "modulesd");
    assert_eq!(names(&path), ["upgrade"]);
    // The same file with its own rights.
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!(inode(&path), theirs);
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (about.mode(), about.uid(), about.gid())
    );
    drop(modulesd);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_had_back_after_each_start_of_the_module() {
    let (home, mut modulesd) = beside_a_module().await;
    modulesd.pauses = (Duration::from_millis(30), Duration::from_millis(30));
    let path = home.upgrade_socket();
    let ours = Ours::serve(taking_over(&home).unwrap());
    let mut before = Client::connect(&path).await.unwrap();
    let mut took = Vec::new();
    for times in 1..=5 {
        modulesd.restart().await.unwrap();
        let listening = Instant::now();
        until(&path, "ours").await;
        took.push(listening.elapsed());
        let counted = wait_until(DEADLINE, async || (ours.backs() == times).then_some(()));
        assert!(counted.await.is_some(), "{times}: {}", ours.backs());
        assert_eq!(who(builtin_path(&path)).await.unwrap(), "modulesd");
    }
    assert!(modulesd.broken().is_empty(), "its path was grabbed");
    // In the middle, since this machine may be busy with something else for a moment.
    took.sort();
    assert!(took[2] < Duration::from_millis(100), "{took:?}");
    // Who was connected is served.
    assert_eq!(
        before.ask("{}").await.unwrap().unwrap(),
        br#"{"by":"ours"}"#
    );
    ours.stop().await;
    assert_eq!(who(&path).await.unwrap(), "modulesd");
    assert_eq!(names(&path), ["upgrade"]);
}

/// Between its unlink and its bind the module must find its path free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_in_the_middle_of_a_start_of_the_module_waits() {
    for pauses in [(300, 0), (0, 300), (150, 150)] {
        let (home, mut modulesd) = beside_a_module().await;
        let path = home.upgrade_socket();
        let (bind, listen) = pauses;
        modulesd.pauses = (Duration::from_millis(bind), Duration::from_millis(listen));
        modulesd.stop().await;
        let starting = tokio::spawn(async move {
            modulesd.start().await.unwrap();
            modulesd
        });
        let begun = wait_until(DEADLINE, async || {
            let free = bind > 0 && !path.exists();
            let deaf = bind == 0 && path.exists();
            (free || deaf).then_some(())
        });
        begun.await.unwrap();
        let opening = tokio::task::spawn_blocking({
            let (path, runtime) = (path.clone(), tokio::runtime::Handle::current());
            move || {
                let _inside = runtime.enter();
                SocketFile::open(wanted(path, true))
            }
        });
        let ours = Ours::serve(opening.await.unwrap().unwrap());
        let modulesd = starting.await.unwrap();
        assert!(modulesd.broken().is_empty(), "{pauses:?}");
        assert_eq!(who(&path).await.unwrap(), "ours");
        assert_eq!(who(builtin_path(&path)).await.unwrap(), "modulesd");
        ours.stop().await;
        assert_eq!(who(&path).await.unwrap(), "modulesd");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_module_it_is_put_there_and_removed() {
    let home = Home::new().unwrap();
    let path = home.upgrade_socket();
    let ours = Ours::serve(taking_over(&home).unwrap());
    assert_eq!(who(&path).await.unwrap(), "ours");
    assert_eq!(names(&path), [".upgrade.wpk", "upgrade"]);
    // Removed by nobody who starts: after the grace it is there again.
    std::fs::remove_file(&path).unwrap();
    until(&path, "ours").await;
    assert_eq!(ours.backs(), 1);
    // The module comes later.
    let mut modulesd = FakeModulesd::at(&path);
    modulesd.start().await.unwrap();
    until(&path, "ours").await;
    assert_eq!(who(builtin_path(&path)).await.unwrap(), "modulesd");
    // And goes for good: nothing is left at the end.
    modulesd.stop().await;
    ours.stop().await;
    assert!(names(&path).is_empty(), "{:?}", names(&path));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kill_left_is_given_back() {
    let (home, modulesd) = beside_a_module().await;
    let path = home.upgrade_socket();
    assert_eq!(give_back(&path).unwrap(), GivenBack::NotOurs);
    kill(taking_over(&home).unwrap());
    assert!(who(&path).await.is_none());
    assert!(matches!(
        standing(&path).unwrap(),
        Standing::Left { behind: true }
    ));
    assert_eq!(give_back(&path).unwrap(), GivenBack::Yes);
    assert_eq!(who(&path).await.unwrap(), "modulesd");
    assert_eq!(names(&path), ["upgrade"]);
    assert_eq!(give_back(&path).unwrap(), GivenBack::NotOurs);
    assert_eq!(
        give_back(&home.path("no/folder")).unwrap(),
        GivenBack::NotOurs
    );

    // One that runs is left alone.
    let ours = Ours::serve(taking_over(&home).unwrap());
    assert_eq!(give_back(&path).unwrap(), GivenBack::Running);
    assert_eq!(who(&path).await.unwrap(), "ours");
    ours.stop().await;
    drop(modulesd);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_the_next_start_goes_on() {
    let (home, mut modulesd) = beside_a_module().await;
    let path = home.upgrade_socket();
    kill(taking_over(&home).unwrap());
    kill(taking_over(&home).unwrap());
    let ours = Ours::serve(taking_over(&home).unwrap());
    assert_eq!(who(&path).await.unwrap(), "ours");
    assert_eq!(who(builtin_path(&path)).await.unwrap(), "modulesd");
    ours.stop().await;
    assert_eq!(who(&path).await.unwrap(), "modulesd");

    // The module was started again, or has ended, meanwhile.
    kill(taking_over(&home).unwrap());
    modulesd.restart().await.unwrap();
    assert_eq!(give_back(&path).unwrap(), GivenBack::NotOurs);
    assert_eq!(names(&path), ["upgrade"]);
    kill(taking_over(&home).unwrap());
    modulesd.stop().await;
    assert_eq!(give_back(&path).unwrap(), GivenBack::NobodyBehind);
    assert!(names(&path).is_empty());
    // A start does not wait for what it knows to be left over.
    kill(taking_over(&home).unwrap());
    let begun = Instant::now();
    let ours = taking_over(&home).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(500));
    drop(ours);
    assert!(names(&path).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_ours_that_runs_is_never_pushed_aside() {
    for takes_over in [true, false] {
        let home = Home::new().unwrap();
        let path = home.upgrade_socket();
        let first = SocketFile::open(wanted(&path, takes_over)).unwrap();
        for second in [true, false] {
            let error = SocketFile::open(wanted(&path, second)).unwrap_err();
            assert!(matches!(error, SocketError::Ours { .. }), "{error}");
            assert!(error.to_string().contains("another daemon"), "{error}");
        }
        // Also while the module has the path for a moment.
        let mut modulesd = FakeModulesd::at(&path);
        modulesd.start().await.unwrap();
        assert!(matches!(standing(&path).unwrap(), Standing::AnotherInFront));
        let error = SocketFile::open(wanted(&path, true)).unwrap_err();
        assert!(matches!(error, SocketError::Ours { .. }), "{error}");
        drop(first);
        assert_eq!(
            who(&path).await.unwrap(),
            "modulesd",
            "it was not ours to remove"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_take_over_a_module_is_left_alone_and_the_key_named() {
    let (home, _modulesd) = beside_a_module().await;
    let path = home.upgrade_socket();
    let error = SocketFile::open(wanted(&path, false)).unwrap_err();
    assert!(matches!(error, SocketError::Served(_)), "{error}");
    assert!(error.to_string().contains("take_over = true"), "{error}");
    assert_eq!(who(&path).await.unwrap(), "modulesd");
    assert_eq!(names(&path), ["upgrade"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_socket_is_refused() {
    let home = Home::new().unwrap();
    let path = home.upgrade_socket();
    std::fs::write(&path, "precious").unwrap();
    let error = taking_over(&home).unwrap_err();
    assert!(matches!(error, SocketError::NoSocket(_)), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert_eq!(names(&path), ["upgrade"]);
    std::fs::remove_file(&path).unwrap();

    let _datagrams = UnixDatagram::bind(&path).unwrap();
    let error = taking_over(&home).unwrap_err();
    assert!(matches!(error, SocketError::NoSocket(_)), "{error}");
    assert_eq!(names(&path), ["upgrade"]);
    std::fs::remove_file(&path).unwrap();

    // Nor are the names beside it used where something else has them.
    let mut modulesd = FakeModulesd::at(&path);
    modulesd.start().await.unwrap();
    for name in [own_path(&path), builtin_path(&path)] {
        std::fs::write(&name, "precious").unwrap();
        let error = taking_over(&home).unwrap_err();
        assert!(
            error.to_string().contains(name.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(std::fs::read(&name).unwrap(), b"precious");
        std::fs::remove_file(&name).unwrap();
        assert_eq!(who(&path).await.unwrap(), "modulesd");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_socket_of_the_module_is_replaced_after_a_moment() {
    let home = Home::new().unwrap();
    let path = home.upgrade_socket();
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(standing(&path).unwrap(), Standing::Nobody));
    let ours = Ours::serve(taking_over(&home).unwrap());
    assert_eq!(who(&path).await.unwrap(), "ours");
    assert_eq!(names(&path), [".upgrade.wpk", "upgrade"]);
    ours.stop().await;
    assert!(names(&path).is_empty());
}

/// A name one byte too long for an address is reached all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_path_is_good_enough() {
    let home = Home::new().unwrap();
    let room = 107 - home.root().join("f/upgrade").as_os_str().len();
    let folder = home.root().join("f".repeat(room + 1));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("upgrade");
    assert_eq!(path.as_os_str().len(), 107);
    let mut modulesd = FakeModulesd::at(&path);
    modulesd.start().await.unwrap();
    let ours = Ours::serve(SocketFile::open(wanted(&path, true)).unwrap());
    assert_eq!(who(&path).await.unwrap(), "ours");
    ours.stop().await;
    assert_eq!(who(&path).await.unwrap(), "modulesd");
    assert!(matches!(
        SocketFile::open(wanted(folder.join("upgrade22"), true)),
        Err(SocketError::TooLong(_))
    ));
}
