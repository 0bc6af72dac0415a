//! What a launch waits for next, whom it has to kill, and when it gives up: a state machine without I/O.
//!
//! It is turned by what was [`Seen`] and by time, and answers with what is to be done ([`Act`]) and what to wait for
//! ([`Wants`]). Whoever has a poll loop can carry that out: a thread that waits, the keeper, an asynchronous runtime, a test.

use std::time::{Duration, Instant};

use super::handshake::{Caveats, End, Handshake, Outcome, Phase, Ready};
use crate::bwrap::status::Status;

/// How long a killed process may take to disappear before we go on without it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait for an event that may never come, before looking for its effect.
const NOW_AND_THEN: Duration = Duration::from_millis(50);

/// The same where nobody waits for the set-up: a launch that takes as long on a busy machine is not woken for nothing.
const SELDOM: Duration = Duration::from_millis(500);

/// How long bwrap may take to notice that its process has ended, before it is continued. It takes far less than a millisecond; a
/// stopped one never does.
const NOTICE: Duration = Duration::from_millis(200);

/// How often is looked whether the command has stopped its parent, which is bwrap's own and passes on how it ended.
const GLANCE: Duration = Duration::from_secs(1);

/// How long a bwrap may take to notice it at all: a debugger can hold it, and continuing does not help then.
const GRACE: Duration = Duration::from_secs(10);

/// What the process is that bwrap clones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloned {
    /// Process 1 of a PID namespace, which ends with it.
    Init,
    /// The command's parent, whose death ends nothing.
    Parent,
    /// The command.
    Command,
}

/// How the process stands that bwrap cloned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    /// bwrap has not reported it, or no handle on it could be had.
    Unknown,
    Alive,
    Gone,
}

/// What was seen, all of it at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) status: Status,
    pub(crate) ready: Ready,
    /// How bwrap ended, once it has.
    pub(crate) end: Option<End>,
    pub(crate) child: Child,
    /// That process is bwrap's own, and somebody has stopped it.
    pub(crate) stopped: bool,
    /// Somebody has changed bwrap's resource limits, or processes of the PID namespace are left when bwrap has ended.
    pub(crate) tampered: bool,
}

/// What is to be done. The machine is then turned again, except after the last two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Kill the process that bwrap cloned, and the command with it.
    KillChild,
    /// Kill what descends from the process that bwrap cloned, and that was killed: one of these holds up its end by tracing it.
    KillBelow,
    /// Kill whoever still holds the other end of the ready socket.
    KillHolders,
    /// Continue the process that bwrap cloned.
    ContinueChild,
    /// Continue bwrap, which somebody has stopped.
    ContinueBwrap,
    KillBwrap,
    /// Wait for what [`Conduct::wants`] says.
    Wait,
    /// Nothing is left to do.
    Over(Outcome),
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wants {
    /// The end of bwrap.
    pub(crate) process: bool,
    /// The end of the ready socket.
    pub(crate) ready: bool,
    /// The end of the process that bwrap cloned.
    pub(crate) child: bool,
    /// At this time there is something to do in any case.
    pub(crate) until: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Conduct {
    handshake: Handshake,
    cloned: Cloned,
    /// What loses its parent becomes our child, to be reaped.
    adopts: bool,
    /// Since when what runs inside is killed by us.
    killed: Option<Instant>,
    child: Child,
    /// Since when everything is known to be set up.
    ready: Option<Instant>,
    /// When a process of bwrap's own was last looked at that the command can stop.
    looked: Option<Instant>,
    /// Somebody waits for the end of the set-up.
    heeds_ready: bool,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Watching,
    /// What bwrap cloned has ended, and bwrap does not say so: it was stopped, or is not that process's parent.
    Unnoticed {
        since: Instant,
        again: Instant,
    },
    /// bwrap was killed, for it was not going to end.
    Given,
    /// bwrap has ended, and somebody still holds its end of the ready socket: a child of its own that waits for ever. Most often
    /// that is just about to end by itself.
    Freeing {
        until: Instant,
        again: Instant,
    },
    /// Only the end of what bwrap cloned is missing.
    SeeingOff {
        until: Instant,
        again: Instant,
    },
    Over,
}

impl Conduct {
    pub(crate) fn new(caveats: Caveats, cloned: Cloned, adopts: bool) -> Self {
        let (handshake, state) = (Handshake::new(caveats), State::Watching);
        Self {
            handshake,
            cloned,
            adopts,
            killed: None,
            child: Child::Unknown,
            ready: None,
            looked: None,
            heeds_ready: false,
            state,
        }
    }

    /// Has the end of the set-up wake whoever waits.
    pub(crate) fn heed_ready(&mut self) {
        self.heeds_ready = true;
    }

    pub(crate) fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    pub(crate) fn cloned(&self) -> Cloned {
        self.cloned
    }

    /// What loses its parent becomes our child, to be reaped.
    pub(crate) fn adopts(&self) -> bool {
        self.adopts
    }

    /// What runs inside has been killed by us.
    pub(crate) fn on_kill(&mut self, since: Instant) {
        self.killed.get_or_insert(since);
    }

    /// Whether the command shares a PID namespace with bwrap, and so can do things to it.
    pub(crate) fn is_exposed(&self) -> bool {
        self.cloned != Cloned::Init
    }

    pub(crate) fn turn(&mut self, seen: &Seen, now: Instant) -> Act {
        self.handshake.on_status(seen.status);
        self.handshake.on_ready(seen.ready);
        self.child = seen.child;
        if self.handshake.phase() >= Phase::Ready {
            self.ready.get_or_insert(now);
        }
        let watching = matches!((self.state, seen.end), (State::Watching, None));
        if watching
            && self.cloned == Cloned::Parent
            && self.looked.is_none_or(|looked| now >= looked + GLANCE)
        {
            self.looked = Some(now);
            if seen.stopped {
                return Act::ContinueChild;
            }
        }
        match (self.state, seen.end) {
            (State::Watching | State::Unnoticed { .. } | State::Given, Some(end)) => {
                return self.ended(end, seen, now);
            }
            (State::Watching, None) if seen.child == Child::Gone => {
                self.state = State::Unnoticed { since: now, again: now + NOTICE };
            }
            (State::Unnoticed { since, again }, None) => {
                if now >= since + self.patience() {
                    self.state = State::Given;
                    return Act::KillBwrap;
                }
                if now >= again {
                    self.state = State::Unnoticed { since, again: now + NOTICE };
                    return Act::ContinueBwrap;
                }
            }
            (State::Freeing { until, again }, _) => {
                if self.handshake.ready() != Ready::Open || now >= until {
                    return self.see_off_until(until, now);
                }
                if now >= again {
                    self.state = State::Freeing { until, again: now + Duration::from_millis(20) };
                    return Act::KillHolders;
                }
            }
            (State::SeeingOff { until, again }, _) => {
                if seen.child == Child::Alive && (again..until).contains(&now) {
                    self.state = State::SeeingOff { until, again: now + NOW_AND_THEN };
                    return Act::KillBelow;
                }
                return self.see_off_until(until, now);
            }
            (State::Over, _) => return Act::Over(self.outcome()),
            (State::Watching | State::Given, None) => {}
        }
        Act::Wait
    }

    /// bwrap has ended.
    fn ended(&mut self, end: End, seen: &Seen, now: Instant) -> Act {
        let outlived = self.is_exposed() && seen.child != Child::Gone;
        self.handshake.on_end(end, outlived || seen.tampered);
        let open = self.handshake.ready() == Ready::Open;
        let until = now + self.grace(now);
        self.state = if open {
            State::Freeing { until, again: now + Duration::from_millis(2) }
        } else {
            State::SeeingOff { until, again: now + NOW_AND_THEN }
        };
        let settled = matches!(self.outcome(), Outcome::Ended(_) | Outcome::NotExecuted { .. });
        let init = self.cloned == Cloned::Init && seen.child != Child::Gone;
        if open || init || !settled || self.adopts {
            return Act::KillChild;
        }
        self.see_off_until(until, now)
    }

    /// How long what bwrap has left may still take to disappear. What was killed long ago does not.
    fn grace(&self, now: Instant) -> Duration {
        let spent = self.killed.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        PATIENCE.saturating_sub(spent)
    }

    /// Waits for the end of what bwrap cloned: with process 1 all of a PID namespace ends.
    fn see_off_until(&mut self, until: Instant, now: Instant) -> Act {
        if self.child == Child::Alive && now < until {
            let again = match self.state {
                State::SeeingOff { again, .. } => again,
                _ => now + NOW_AND_THEN,
            };
            self.state = State::SeeingOff { until, again };
            return Act::Wait;
        }
        self.state = State::Over;
        Act::Over(self.outcome())
    }

    pub(crate) fn wants(&self, now: Instant) -> Wants {
        let child = self.child == Child::Alive;
        match self.state {
            State::Watching => {
                let open = self.handshake.phase() < Phase::Ready && self.handshake.ready() == Ready::Open;
                // with a PID namespace its process 1 can be found after the end, too: one wake-up less
                let heeds_ready = self.heeds_ready || self.is_exposed();
                // now and then the socket itself is asked, whose other end may be kept open elsewhere
                let ask = open.then(|| now + if heeds_ready { NOW_AND_THEN } else { SELDOM });
                // bwrap ends with what it cloned, most often: for a short command that saves a wake-up
                let together = self.ready.map(|ready| ready + NOW_AND_THEN);
                let together = together.filter(|until| child && self.killed.is_none() && now < *until);
                // the command's parent gives no sign when the command stops it
                let glance =
                    (child && self.cloned == Cloned::Parent).then_some(self.looked.unwrap_or(now) + GLANCE);
                let until = [ask.or(together), glance].into_iter().flatten().min();
                let ready = open && heeds_ready;
                Wants { process: true, ready, child: child && together.is_none(), until }
            }
            State::Unnoticed { since, again } => {
                let until = Some(again.min(since + self.patience()));
                Wants { process: true, until, ..Wants::default() }
            }
            State::Given => Wants { process: true, ..Wants::default() },
            State::Freeing { until, again } => {
                Wants { ready: true, until: Some(again.min(until)), ..Wants::default() }
            }
            State::SeeingOff { until, again } => {
                Wants { child, until: Some(again.min(until)), ..Wants::default() }
            }
            State::Over => Wants { until: Some(now), ..Wants::default() },
        }
    }

    /// How long bwrap may go on when what it cloned has ended. What we killed ourselves may never have been its to wait for.
    fn patience(&self) -> Duration {
        if self.killed.is_some() { 2 * NOTICE } else { GRACE }
    }

    /// The outcome, once bwrap has ended.
    fn outcome(&self) -> Outcome {
        // without an end there is nothing to judge, and nobody asks
        self.handshake.outcome().unwrap_or(Outcome::Refused { signal: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::ExitStatus;

    const RAN: &str = "{\"child-pid\": 9}\n{\"exit-code\": 0}";
    const CHILD: &str = "{\"child-pid\": 9}";

    fn conduct(cloned: Cloned) -> Conduct {
        Conduct::new(Caveats::default(), cloned, false)
    }

    fn seen(json: &str, ready: Ready, end: Option<End>, child: Child) -> Seen {
        Seen { status: Status::parse(json.as_bytes()), ready, end, child, stopped: false, tampered: false }
    }

    #[test]
    fn the_end_is_that_of_process_1() {
        let (mut conduct, now) = (conduct(Cloned::Init), Instant::now());
        let ran = |child| seen(RAN, Ready::Read, Some(End::Exited(0)), child);
        assert_eq!(conduct.turn(&ran(Child::Alive), now), Act::KillChild);
        assert_eq!(conduct.turn(&ran(Child::Alive), now), Act::Wait);
        let wants = conduct.wants(now);
        let again = now + NOW_AND_THEN;
        assert_eq!((wants.process, wants.child, wants.until), (false, true, Some(again)));
        assert_eq!(conduct.turn(&ran(Child::Alive), again), Act::KillBelow, "one of them may trace it");
        assert_eq!(conduct.turn(&ran(Child::Alive), again), Act::Wait);
        assert_eq!(conduct.wants(now).until, Some(again + NOW_AND_THEN));
        let over = Act::Over(Outcome::Ended(ExitStatus::from_bwrap(0)));
        assert_eq!(conduct.turn(&ran(Child::Gone), now), over);
    }

    #[test]
    fn what_does_not_die_is_left_behind() {
        let (mut conduct, now) = (conduct(Cloned::Init), Instant::now());
        let ran = seen(RAN, Ready::Read, Some(End::Exited(0)), Child::Alive);
        assert_eq!(conduct.turn(&ran, now), Act::KillChild);
        let over = Act::Over(Outcome::Ended(ExitStatus::from_bwrap(0)));
        assert_eq!(conduct.turn(&ran, now + PATIENCE), over);
        // nor is it waited for once more when bwrap had to be killed for it
        let mut conduct = self::conduct(Cloned::Init);
        conduct.on_kill(now);
        let killed = seen(RAN, Ready::Read, Some(End::Signaled(9)), Child::Alive);
        assert_eq!(conduct.turn(&killed, now + PATIENCE), Act::KillChild);
        assert_eq!(conduct.turn(&killed, now + PATIENCE), over);
    }

    #[test]
    fn a_bwrap_that_does_not_notice_is_continued_and_then_killed() {
        for (killed, patience) in [(false, GRACE), (true, 2 * NOTICE)] {
            let (mut conduct, now) = (conduct(Cloned::Command), Instant::now());
            let gone = seen(CHILD, Ready::Read, None, Child::Gone);
            if killed {
                conduct.on_kill(now);
            }
            assert_eq!(conduct.turn(&gone, now), Act::Wait);
            assert_eq!(conduct.wants(now).until, Some(now + NOTICE));
            assert_eq!(conduct.turn(&gone, now + NOTICE), Act::ContinueBwrap);
            assert_eq!(conduct.wants(now).until, Some(now + 2 * NOTICE), "again and again");
            assert_eq!(conduct.turn(&gone, now + NOTICE), Act::Wait);
            assert_eq!(conduct.turn(&gone, now + patience), Act::KillBwrap);
            assert_eq!(conduct.turn(&gone, now + patience), Act::Wait);
            let end = seen(CHILD, Ready::Read, Some(End::Signaled(9)), Child::Gone);
            assert!(matches!(conduct.turn(&end, now), Act::KillChild));
            assert!(matches!(conduct.turn(&end, now), Act::Over(Outcome::Undecided(_))));
        }
    }

    #[test]
    fn a_parent_of_the_command_is_continued() {
        let now = Instant::now();
        let stopped = Seen { stopped: true, ..seen(CHILD, Ready::Read, None, Child::Alive) };
        let mut parent = conduct(Cloned::Parent);
        assert_eq!(parent.turn(&stopped, now), Act::ContinueChild);
        assert_eq!(parent.turn(&stopped, now), Act::Wait, "as often as that, and no oftener");
        assert_eq!(parent.wants(now + GLANCE).until, Some(now + GLANCE));
        assert_eq!(parent.turn(&stopped, now + GLANCE), Act::ContinueChild);
        assert_eq!(conduct(Cloned::Command).turn(&stopped, now), Act::Wait);
    }

    #[test]
    fn who_holds_the_socket_after_the_end_is_killed() {
        let (mut conduct, now) = (conduct(Cloned::Init), Instant::now());
        let stuck = seen("", Ready::Open, Some(End::Exited(1)), Child::Unknown);
        assert_eq!(conduct.turn(&stuck, now), Act::KillChild);
        assert_eq!(conduct.turn(&stuck, now), Act::Wait, "it is most often about to end by itself");
        assert_eq!(conduct.turn(&stuck, now + Duration::from_millis(2)), Act::KillHolders);
        let free = seen("", Ready::Unread, Some(End::Exited(1)), Child::Unknown);
        assert_eq!(conduct.turn(&free, now), Act::Over(Outcome::Refused { signal: None }));
    }

    #[test]
    fn without_a_pid_namespace_it_counts_who_ended_first() {
        for (child, suspect) in [(Child::Gone, false), (Child::Alive, true), (Child::Unknown, true)] {
            let (mut conduct, now) = (conduct(Cloned::Command), Instant::now());
            let end = seen(CHILD, Ready::Read, Some(End::Exited(1)), child);
            let act = conduct.turn(&end, now);
            assert_eq!(act == Act::KillChild, suspect, "{child:?}: what runs on is killed");
            assert_eq!(matches!(conduct.outcome(), Outcome::Undecided(_)), suspect, "{child:?}");
        }
    }

    #[test]
    fn the_socket_is_asked_now_and_then_until_all_is_set_up() {
        let (mut conduct, now) = (conduct(Cloned::Init), Instant::now());
        assert_eq!(conduct.turn(&seen("", Ready::Open, None, Child::Unknown), now), Act::Wait);
        let wants = Wants { process: true, until: Some(now + SELDOM), ..Wants::default() };
        assert_eq!(conduct.wants(now), wants, "nobody waits for it");
        conduct.heed_ready();
        assert_eq!(conduct.wants(now), Wants { ready: true, until: Some(now + NOW_AND_THEN), ..wants });
        assert_eq!(conduct.turn(&seen(CHILD, Ready::Read, None, Child::Alive), now), Act::Wait);
        let wants = Wants { process: true, ..Wants::default() };
        let soon = now + NOW_AND_THEN;
        assert_eq!(conduct.wants(now), Wants { until: Some(soon), ..wants }, "both end together at first");
        assert_eq!(conduct.wants(soon), Wants { child: true, ..wants });
        conduct.on_kill(now);
        assert_eq!(conduct.wants(now), Wants { child: true, ..wants }, "what was killed may be alone");
    }
}
