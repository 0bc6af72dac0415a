//! An agent that was talked into something.

use std::fs;
use std::path::{Path, PathBuf};

use bwrap_launch::Sandbox;
use bwrap_launch::profile::agent::{PROTECTED, in_project};

use crate::common::Here;
use crate::kit::{
    directory, ends_with_the_caller, fails, has_no_privileges, holds, homes_are_empty, inherits_nothing,
    is_alone, reachable, sees_only_itself, unwritten,
};

/// A project with all that is to be protected.
fn project(here: &Here) -> PathBuf {
    let project = directory(here, "project");
    fs::create_dir_all(project.join(".git/hooks")).unwrap();
    fs::write(project.join(".git/config"), "[core]\n").unwrap();
    for name in PROTECTED {
        fs::create_dir_all(project.join(name)).unwrap();
    }
    fs::create_dir_all(project.join("deploy/keys")).unwrap();
    for name in
        [".env", "deploy/.env.production", "deploy/keys/server.key", "id_ed25519", "main.c", ".env.example"]
    {
        fs::write(project.join(name), "hunter2\n").unwrap();
    }
    project
}

fn agent(here: &Here) -> Sandbox {
    in_project(project(here)).unwrap()
}

pub(crate) fn changes_only_the_project(here: &Here) {
    let sandbox = agent(here);
    holds(
        here,
        &sandbox,
        &["echo edited > main.c", "mkdir new", "mv deploy elsewhere && mv elsewhere deploy"],
    );
    assert_eq!(fs::read_to_string(here.scratch.join("project/main.c")).unwrap(), "edited\n");
    unwritten(here, &sandbox);
    fails(
        here,
        &sandbox,
        &[
            "touch .git/hooks/pre-commit",
            "echo x >> .git/config",
            "mv .git old",
            "rm -r .git/hooks",
            "chmod 777 .git",
            "mv ../project ../other",
            "umount .git",
        ],
    );
    for name in PROTECTED {
        fails(
            here,
            &sandbox,
            &[&format!("touch {name}/new"), &format!("mv {name} old"), &format!("rmdir {name}")],
        );
    }
    assert!(fs::read_dir(here.scratch.join("project/.git/hooks")).unwrap().next().is_none());
}

pub(crate) fn reads_no_secrets(here: &Here) {
    let sandbox = agent(here);
    let secrets = [".env", "deploy/.env.production", "deploy/keys/server.key", "id_ed25519"];
    for name in secrets {
        fails(
            here,
            &sandbox,
            &[
                &format!("grep -q . {name}"),
                &format!("echo x > {name}"),
                &format!("mv {name} other && grep -q . other"),
                &format!("ln {name} other && grep -q . other"),
            ],
        );
    }
    // nor after the directory has another name
    fails(here, &sandbox, &["mv deploy other && grep -q . other/keys/server.key"]);
    fs::rename(here.scratch.join("project/other"), here.scratch.join("project/deploy")).unwrap();
    assert_eq!(here.prints(&sandbox, "cat .env.example main.c"), "hunter2\nhunter2\n");
    for name in secrets {
        assert_eq!(fs::read_to_string(here.scratch.join("project").join(name)).unwrap(), "hunter2\n");
    }
    inherits_nothing(here, &sandbox);
    homes_are_empty(here, &sandbox);
}

pub(crate) fn talks_to_nobody(here: &Here) {
    let sandbox = agent(here);
    is_alone(here, &sandbox);
    sees_only_itself(here, &sandbox);
    ends_with_the_caller(here, "agent", &project(here));
}

pub(crate) fn gains_nothing_at_all(here: &Here) {
    let sandbox = agent(here);
    has_no_privileges(here, &sandbox);
    reachable(here, "command -v unshare");
    if here.bwrap.accepts("--disable-userns") {
        fails(here, &sandbox, &["unshare --user true"]);
    }
}

pub(crate) fn is_used_on_repositories_only(here: &Here) {
    let project = directory(here, "plain");
    assert!(in_project(&project).unwrap_err().to_string().contains("git init"));
    std::os::unix::fs::symlink("/etc", project.join(".git")).unwrap();
    assert!(in_project(&project).unwrap_err().to_string().contains("link"));
    assert!(in_project("/").is_err());
    assert!(in_project(project.join("none")).is_err());
    if let Some(home) = std::env::home_dir().filter(|home| home.is_dir()) {
        assert!(in_project(home).is_err());
    }
    // a link where settings would be is left alone, and what it leads to as well
    fs::remove_file(project.join(".git")).unwrap();
    fs::create_dir(project.join(".git")).unwrap();
    std::os::unix::fs::symlink("/etc", project.join(".vscode")).unwrap();
    holds(here, &in_project(&project).unwrap(), &["test -L .vscode"]);
}

pub(crate) fn worktrees_have_their_repository(here: &Here) {
    let (repository, tree) = (directory(here, "repository"), directory(here, "tree"));
    let own = repository.join(".git/worktrees/tree");
    fs::create_dir_all(&own).unwrap();
    fs::create_dir_all(repository.join(".git/objects")).unwrap();
    fs::write(own.join("HEAD"), "ref: refs/heads/tree\n").unwrap();
    fs::write(own.join("commondir"), "../..\n").unwrap();
    let names = |directory: &Path| {
        fs::write(tree.join(".git"), format!("gitdir: {}\n", directory.display())).unwrap();
    };
    names(&own);
    let sandbox = in_project(&tree).unwrap();
    holds(here, &sandbox, &[&format!("cat {}/HEAD", own.display()), "cat .git"]);
    fails(here, &sandbox, &[&format!("touch {}/new", own.display()), "echo x > .git", "rm .git"]);
    // what is no repository is not shown, whoever says so
    let other = directory(here, "other");
    fs::write(other.join("secret"), "hunter2\n").unwrap();
    names(&other);
    fails(here, &in_project(&tree).unwrap(), &[&format!("cat {}/secret", other.display())]);
}
