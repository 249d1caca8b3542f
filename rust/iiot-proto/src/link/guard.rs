//! Decides which commands a node obeys, and which answers the other commands get.

use crate::mac::Key;
use crate::packet::{Action, Answer, Command, Outcome};

/// What to do with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Obey the command, then offer the answer that [`CommandGuard::finish`] creates.
    Obey(Action),
    /// Do nothing except offer this answer.
    Reply(Answer),
}

/// Remembers the commands that one run of a node has received.
#[derive(Clone, Debug)]
pub struct CommandGuard {
    key: Key,
    node: u8,
    boot: u16,
    /// Counter and code of the last genuine command, and the answer to it as soon as the answer exists.
    last: Option<(u32, u32, Option<Answer>)>,
}

impl CommandGuard {
    /// The guard of the node with this address and boot id.
    pub const fn new(key: Key, node: u8, boot: u16) -> Self {
        Self {
            key,
            node,
            boot,
            last: None,
        }
    }

    /// Judge a command. `newest_seq` is the newest sequence number that the node has used.
    ///
    /// If the gateway repeats the last command because the answer was lost, it gets the same answer again. Nothing is done twice.
    pub fn judge(&mut self, command: &Command, is_retry: bool, newest_seq: u16) -> Judgement {
        if !command.is_genuine(&self.key, self.node) {
            return self.refuse(command, Outcome::Forged);
        }
        if let Some((counter, mac, answer)) = self.last
            && command.counter <= counter
        {
            let same = is_retry && command.counter == counter && command.mac == mac;
            return match answer {
                Some(answer) if same => Judgement::Reply(answer),
                _ => self.refuse(command, Outcome::Repeated),
            };
        }
        // Half of the sequence numbers lie ahead, so a command is valid for at most 32,767 packets.
        let is_over = command.until_seq.wrapping_sub(newest_seq) > 0x7FFF;
        if command.boot != self.boot || is_over {
            return self.refuse(command, Outcome::Expired);
        }
        self.last = Some((command.counter, command.mac, None));
        match Action::from_wire(command.code, command.argument) {
            Ok(action) => Judgement::Obey(action),
            Err(outcome) => Judgement::Reply(self.finish(outcome, 0)),
        }
    }

    /// Create the answer to the last command that was to be obeyed: `outcome` says what happened to the command, and `value` is the current value of
    /// the setting.
    pub fn finish(&mut self, outcome: Outcome, value: u16) -> Answer {
        let counter = self.last.map_or(0, |(counter, ..)| counter);
        let answer = Answer::sign(&self.key, self.node, counter, outcome, value);
        if let Some((_, _, kept)) = &mut self.last {
            *kept = Some(answer);
        }
        answer
    }

    fn refuse(&self, command: &Command, outcome: Outcome) -> Judgement {
        Judgement::Reply(Answer::sign(
            &self.key,
            self.node,
            command.counter,
            outcome,
            0,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: u8 = 3;
    const BOOT: u16 = 0xB007;
    const LED: Action = Action::SetLed { on: true };

    fn key() -> Key {
        Key::new([9; 16])
    }

    fn guard() -> CommandGuard {
        CommandGuard::new(key(), NODE, BOOT)
    }

    fn command(counter: u32, action: Action) -> Command {
        Command::sign(&key(), NODE, BOOT, 100, counter, action)
    }

    fn outcome(judgement: Judgement) -> Outcome {
        match judgement {
            Judgement::Reply(answer) => {
                assert!(answer.is_genuine(&key(), NODE));
                answer.outcome
            }
            Judgement::Obey(action) => panic!("obeyed {action:?}"),
        }
    }

    /// A genuine command is obeyed once. If the gateway itself repeats the command, it gets the same answer again; a repeat by anyone else is refused.
    #[test]
    fn a_command_is_obeyed_once() {
        let mut guard = guard();
        let led = command(7, LED);
        assert_eq!(guard.judge(&led, false, 100), Judgement::Obey(LED));
        assert_eq!(
            outcome(guard.judge(&led, true, 100)),
            Outcome::Repeated,
            "before it was finished"
        );
        let answer = guard.finish(Outcome::Done, 1);
        assert_eq!(guard.judge(&led, true, 101), Judgement::Reply(answer));
        assert_eq!(outcome(guard.judge(&led, false, 101)), Outcome::Repeated);
        assert_eq!(
            outcome(guard.judge(&command(6, Action::Reboot), false, 100)),
            Outcome::Repeated
        );
        assert_eq!(
            guard.judge(&command(8, Action::Reboot), false, 100),
            Judgement::Obey(Action::Reboot)
        );
    }

    /// A command is refused after its last sequence number. Every other run of the node refuses it, too.
    #[test]
    fn a_command_expires() {
        assert_eq!(
            outcome(guard().judge(&command(1, LED), false, 101)),
            Outcome::Expired
        );
        let earlier = Command::sign(&key(), NODE, BOOT - 1, 100, 1, LED);
        assert_eq!(
            outcome(guard().judge(&earlier, false, 100)),
            Outcome::Expired
        );
        let wrapped = Command::sign(&key(), NODE, BOOT, 3, 1, LED);
        assert_eq!(guard().judge(&wrapped, false, 65_535), Judgement::Obey(LED));
    }

    /// A refused command does not use up its counter: a valid command with this counter is obeyed afterwards.
    #[test]
    fn a_refused_command_changes_nothing() {
        let mut guard = guard();
        assert_eq!(
            outcome(guard.judge(&command(5, LED), false, 101)),
            Outcome::Expired
        );
        let forged = Command {
            counter: 9,
            ..command(5, LED)
        };
        assert_eq!(outcome(guard.judge(&forged, false, 100)), Outcome::Forged);
        assert_eq!(
            guard.judge(&command(5, LED), false, 100),
            Judgement::Obey(LED)
        );
    }

    /// If any single bit of a command is changed, the command counts as forged.
    #[test]
    fn a_changed_command_is_forged() {
        let genuine = command(1, Action::SetInterval { interval_s: 30 });
        let changed = [
            Command {
                boot: genuine.boot ^ 1,
                ..genuine
            },
            Command {
                until_seq: genuine.until_seq ^ 0x80,
                ..genuine
            },
            Command {
                counter: genuine.counter ^ 1 << 31,
                ..genuine
            },
            Command {
                code: genuine.code ^ 2,
                ..genuine
            },
            Command {
                argument: genuine.argument ^ 4,
                ..genuine
            },
            Command {
                mac: genuine.mac ^ 1,
                ..genuine
            },
        ];
        for command in changed {
            assert_eq!(outcome(guard().judge(&command, false, 0)), Outcome::Forged);
        }
        assert_eq!(
            outcome(CommandGuard::new(Key::new([8; 16]), NODE, BOOT).judge_for_test(&genuine)),
            Outcome::Forged
        );
        assert!(
            !genuine.is_genuine(&key(), NODE + 1),
            "another node's command"
        );
    }

    impl CommandGuard {
        fn judge_for_test(&mut self, command: &Command) -> Judgement {
            match self.judge(command, false, 0) {
                Judgement::Reply(answer) => Judgement::Reply(Answer::sign(
                    &key(),
                    NODE,
                    answer.counter,
                    answer.outcome,
                    answer.value,
                )),
                obeyed @ Judgement::Obey(_) => obeyed,
            }
        }
    }

    /// A command that the node does not know is refused as unknown, and one that it cannot carry out as out of range. A repeat gets the same answer.
    #[test]
    fn unknown_and_impossible_commands_are_refused() {
        let mut guard = guard();
        let mut unknown = Command {
            code: 77,
            ..command(1, LED)
        };
        unknown.mac = unknown.expected_mac(&key(), NODE);
        assert_eq!(outcome(guard.judge(&unknown, false, 0)), Outcome::Unknown);
        assert_eq!(outcome(guard.judge(&unknown, true, 0)), Outcome::Unknown);
        assert_eq!(
            outcome(guard.judge(&command(2, Action::SetInterval { interval_s: 0 }), false, 0)),
            Outcome::OutOfRange
        );
    }
}
