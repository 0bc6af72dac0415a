//! Launches `/usr/bin/true` in hakoniwa's sandbox when it is told to, and says how many seconds that took.
//!
//! The first line says how many bytes are to be resident. Then come mounts, a line each, and an empty line; then a line a launch: an empty one, or
//! how many threads are to launch and how often each.

#[path = "../../../common/many.rs"]
mod many;

use std::io::{BufRead, stdin};
use std::path::Path;
use std::time::Instant;

use hakoniwa::{Container, Namespace, Stdio};

fn main() {
    let mut lines = stdin().lock().lines().map(Result::unwrap);
    let ballast = vec![1_u8; lines.next().unwrap().parse().unwrap()];
    let mounts: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    println!("ready {}", std::hint::black_box(ballast.len()));
    for line in lines {
        if let Some((_, each)) = line.split_once(' ') {
            let (took, longest) = many::many(each.parse().unwrap(), &|_| launch(&mounts));
            println!("{} {}", took.as_secs_f64(), longest.as_secs_f64());
            continue;
        }
        let start = Instant::now();
        launch(&mounts);
        println!("{}", start.elapsed().as_secs_f64());
    }
}

fn launch(mounts: &[String]) {
    let mut container = Container::new();
    for namespace in [Namespace::Ipc, Namespace::Uts, Namespace::Cgroup] {
        container.unshare(namespace);
    }
    for mount in mounts {
        describe(&mut container, mount);
    }
    let mut command = container.command("/usr/bin/true");
    let status = command.stdout(Stdio::piped()).output().unwrap().status;
    assert!(status.success(), "{status:?}");
}

fn describe(container: &mut Container, mount: &str) {
    let words: Vec<&str> = mount.splitn(3, ' ').collect();
    match words[..] {
        ["ro", source, place] if Path::new(source).exists() => container.bindmount_ro(source, place),
        ["rw", source, place] => container.bindmount_rw(source, place),
        ["tmpfs", place] => container.tmpfsmount(place),
        ["dir", place] => container.dir(place, 0o755),
        ["file", place, text] => container.file(place, text),
        ["dev", place] => container.devfsmount(place),
        _ => container,
    };
}
