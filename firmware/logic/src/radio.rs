//! The radio module behind its UART. It is set up one command at a time, and then receives one frame at a time to send. If it falls silent or
//! restarts, it is set up again.
//!
//! ```text
//!            probe, then each setting         all accepted
//!   Down ──────────────────────────► Setup ─────────────────► Ready ◄──► Sending
//!    ▲  (later each time)              │ refused or silent       │ +READY, or no answer to a frame
//!    └─────────────────────────────────┴─────────────────────────┘
//! ```

use iiot_proto::rylr998::{Command, Event, MAX_COMMAND_BYTES, ModuleError, Setup};

/// The time within which the module answers a setting.
const SETTING_MS: u64 = 400;

/// The time within which the module answers a frame, in addition to the frame's time on air.
const SENDING_MS: u64 = 600;

/// The pause after a failure. It doubles with each further failure, up to [`MOST_PAUSE_MS`].
const FIRST_PAUSE_MS: u64 = 500;
const MOST_PAUSE_MS: u64 = 30_000;

/// The number of failures in a row after which the module is told to restart.
const RESET_EVERY: u8 = 3;

/// The counts of the module's faults. Each stops at its highest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RadioCounters {
    /// The number of commands that the module refused.
    pub refused: u16,
    /// The number of commands that the module did not answer.
    pub silent: u16,
    /// The number of times that the module reported a restart without a command.
    pub restarted: u16,
    /// The number of stretches of invalid bytes.
    pub damaged: u16,
}

impl RadioCounters {
    /// The number of errors that the module made.
    pub const fn errors(&self) -> u16 {
        self.refused
            .saturating_add(self.silent)
            .saturating_add(self.restarted)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The module is left alone until this time.
    Down { until_ms: u64 },
    /// The command of this step was sent. Step 0 is the probe; the settings follow.
    Setup { step: u8, until_ms: u64 },
    /// `AT+RESET` was sent, and `+READY` must follow until this time.
    Resetting { until_ms: u64 },
    /// The command of this step is the next one to send.
    Next { step: u8 },
    /// The module accepts frames.
    Ready,
    /// The module has received a frame to send, and must answer until this time.
    Sending { until_ms: u64 },
}

/// A radio module.
#[derive(Clone, Debug)]
pub struct Radio {
    setup: Setup,
    state: State,
    /// The module is on air until this time, and would refuse another frame.
    hold_until_ms: u64,
    failures: u8,
    counters: RadioCounters,
}

impl Radio {
    /// A module that has not received any command yet.
    pub const fn new(setup: Setup) -> Self {
        Self {
            setup,
            state: State::Next { step: 0 },
            hold_until_ms: 0,
            failures: 0,
            counters: RadioCounters {
                refused: 0,
                silent: 0,
                restarted: 0,
                damaged: 0,
            },
        }
    }

    /// The settings of the module.
    pub const fn setup(&self) -> Setup {
        self.setup
    }

    /// The counts of faults so far.
    pub const fn counters(&self) -> RadioCounters {
        self.counters
    }

    /// Whether the module was set up and has not failed since.
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Ready | State::Sending { .. })
    }

    /// Whether the module accepts a frame now.
    pub const fn is_free(&self, now_ms: u64) -> bool {
        matches!(self.state, State::Ready) && now_ms >= self.hold_until_ms
    }

    /// The time of the next call of [`Radio::poll`], if nothing arrives before; `None` if nothing needs to be done until something arrives.
    pub const fn next_ms(&self) -> Option<u64> {
        match self.state {
            State::Down { until_ms }
            | State::Setup { until_ms, .. }
            | State::Resetting { until_ms }
            | State::Sending { until_ms } => Some(until_ms),
            State::Next { .. } => Some(0),
            State::Ready => None,
        }
    }

    /// The time from which on the module accepts a frame, if it is known.
    pub const fn free_ms(&self) -> Option<u64> {
        match self.state {
            State::Ready => Some(self.hold_until_ms),
            _ => None,
        }
    }

    /// Continue the setup, or notice that the module is silent. Returns the number of bytes to write to the module.
    pub fn poll(&mut self, now_ms: u64, out: &mut [u8; MAX_COMMAND_BYTES]) -> Option<usize> {
        match self.state {
            State::Setup { until_ms, .. }
            | State::Sending { until_ms }
            | State::Resetting { until_ms }
                if now_ms >= until_ms =>
            {
                count(&mut self.counters.silent);
                self.fail(now_ms);
                None
            }
            State::Down { until_ms } if now_ms >= until_ms => {
                if self.failures.is_multiple_of(RESET_EVERY) {
                    self.state = State::Resetting {
                        until_ms: now_ms.saturating_add(3 * SETTING_MS),
                    };
                    Command::Reset.write(out).ok()
                } else {
                    self.give(0, now_ms, out)
                }
            }
            State::Next { step } => self.give(step, now_ms, out),
            _ => None,
        }
    }

    fn give(&mut self, step: u8, now_ms: u64, out: &mut [u8; MAX_COMMAND_BYTES]) -> Option<usize> {
        let commands = self.setup.commands();
        let command = match step.checked_sub(1) {
            None => Some(&Command::Probe),
            Some(index) => commands.get(usize::from(index)),
        };
        let Some(command) = command else {
            self.state = State::Ready;
            self.failures = 0;
            return None;
        };
        self.state = State::Setup {
            step,
            until_ms: now_ms.saturating_add(SETTING_MS),
        };
        command.write(out).ok()
    }

    /// Send a frame, if the module is free. Returns the number of bytes to write to the module; `None` if the module is not free or the length of the
    /// frame is invalid.
    pub fn send(
        &mut self,
        to: u16,
        frame: &[u8],
        now_ms: u64,
        out: &mut [u8; MAX_COMMAND_BYTES],
    ) -> Option<usize> {
        if !self.is_free(now_ms) {
            return None;
        }
        let command = Command::Send {
            address: to,
            data: frame,
        };
        let bytes = command.write(out).ok()?;
        let modulation = self.setup.modulation;
        self.hold_until_ms = now_ms.saturating_add(u64::from(modulation.hold_ms(frame.len())));
        self.state = State::Sending {
            until_ms: now_ms
                .saturating_add(u64::from(modulation.airtime_ms(frame.len())))
                .saturating_add(SENDING_MS),
        };
        Some(bytes)
    }

    /// Process an event of the module. Received frames are ignored here.
    pub fn hear(&mut self, event: &Event<'_>, now_ms: u64) {
        match (event, self.state) {
            (Event::Ok, State::Setup { step, .. }) => {
                self.state = State::Next {
                    step: step.saturating_add(1),
                };
            }
            (Event::Ok, State::Sending { .. }) => self.state = State::Ready,
            (Event::Error(error), _) if error.is_unasked() => {}
            (Event::Error(error), State::Sending { .. }) => {
                count(&mut self.counters.refused);
                self.state = State::Ready;
                if *error == ModuleError::StillSending {
                    let hold_ms = self.setup.modulation.hold_ms(0);
                    self.hold_until_ms = now_ms.saturating_add(u64::from(hold_ms));
                }
            }
            (Event::Error(_), State::Setup { .. } | State::Resetting { .. }) => {
                count(&mut self.counters.refused);
                self.fail(now_ms);
            }
            (Event::Error(_), _) => count(&mut self.counters.refused),
            (Event::Ready, State::Resetting { .. }) => self.state = State::Next { step: 0 },
            (Event::Ready, _) => {
                count(&mut self.counters.restarted);
                self.state = State::Next { step: 0 };
            }
            (Event::Damaged { .. }, _) => count(&mut self.counters.damaged),
            _ => {}
        }
    }

    fn fail(&mut self, now_ms: u64) {
        let doublings = u32::from(self.failures.min(6));
        let pause_ms = (FIRST_PAUSE_MS << doublings).min(MOST_PAUSE_MS);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Down {
            until_ms: now_ms.saturating_add(pause_ms),
        };
    }
}

fn count(counter: &mut u16) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use std::string::String;
    use std::vec::Vec;

    fn radio() -> Radio {
        Radio::new(Settings::default().radio(1))
    }

    fn poll(radio: &mut Radio, now_ms: u64) -> Option<String> {
        let mut out = [0; MAX_COMMAND_BYTES];
        let bytes = radio.poll(now_ms, &mut out)?;
        Some(String::from_utf8(out[..bytes].to_vec()).unwrap())
    }

    fn up() -> Radio {
        let mut radio = radio();
        while poll(&mut radio, 0).is_some() {
            radio.hear(&Event::Ok, 0);
        }
        assert!(radio.is_free(0));
        radio
    }

    /// Each setting waits for the answer to the one before, and all settings are sent.
    #[test]
    fn the_module_is_set_up_in_order() {
        let (mut radio, mut said) = (radio(), Vec::new());
        while let Some(command) = poll(&mut radio, 0) {
            assert_eq!(poll(&mut radio, 1), None, "before the answer");
            said.push(command);
            radio.hear(&Event::Ok, 2);
        }
        assert_eq!(
            said,
            [
                "AT\r\n",
                "AT+ADDRESS=1\r\n",
                "AT+NETWORKID=18\r\n",
                "AT+BAND=869525000\r\n",
                "AT+PARAMETER=7,7,1,12\r\n",
                "AT+CRFOP=14\r\n"
            ]
        );
        assert!(radio.is_up());
    }

    /// A silent module is probed again for ever, after longer and longer pauses, and is told to restart now and then.
    #[test]
    fn a_silent_module_is_asked_less_and_less_often() {
        let (mut radio, mut asked) = (radio(), Vec::new());
        let mut now_ms = 0;
        while now_ms < 600_000 {
            if let Some(command) = poll(&mut radio, now_ms) {
                asked.push((now_ms, command));
            }
            now_ms = radio.next_ms().unwrap().max(now_ms + 1);
        }
        let resets = asked
            .iter()
            .filter(|(_, command)| command == "AT+RESET\r\n")
            .count();
        assert!((15..40).contains(&asked.len()), "{}", asked.len());
        assert!((4..12).contains(&resets), "{resets}");
        assert_eq!(usize::from(radio.counters().silent), asked.len());
        assert!(!radio.is_up());

        radio.state = State::Next { step: 0 };
        while poll(&mut radio, now_ms).is_some() {
            radio.hear(&Event::Ok, now_ms);
        }
        assert!(radio.is_up(), "it comes back by itself");
    }

    /// A module that refuses everything is treated like a silent one.
    #[test]
    fn a_refusing_module_is_left_alone() {
        let mut radio = radio();
        poll(&mut radio, 0).unwrap();
        radio.hear(&Event::Error(ModuleError::UnknownCommand), 10);
        assert_eq!(poll(&mut radio, 20), None);
        assert_eq!(radio.counters().refused, 1);
        assert_eq!(
            poll(&mut radio, 10 + FIRST_PAUSE_MS).as_deref(),
            Some("AT\r\n")
        );
    }

    /// While a frame is on air, the module accepts no other.
    #[test]
    fn a_frame_holds_the_module_for_its_time_on_air() {
        let (mut radio, mut out) = (up(), [0; MAX_COMMAND_BYTES]);
        assert!(radio.send(2, &[7; 24], 1000, &mut out).is_some());
        assert!(!radio.is_free(1001));
        radio.hear(&Event::Ok, 1005);
        assert!(!radio.is_free(1005) && !radio.is_free(1100));
        assert!(radio.is_free(1000 + 76 + 8 + 20 + 1));
        assert_eq!(radio.send(2, &[7; 24], 1010, &mut out), None);
    }

    /// After the module refuses a frame, it is still up. If it does not answer a frame at all, it is down.
    #[test]
    fn a_refused_frame_leaves_the_module_up() {
        let (mut radio, mut out) = (up(), [0; MAX_COMMAND_BYTES]);
        radio.send(2, &[7; 24], 1000, &mut out).unwrap();
        radio.hear(&Event::Error(ModuleError::StillSending), 1010);
        assert!(radio.is_up());
        let free_ms = radio.free_ms().unwrap();
        radio.send(2, &[7; 24], free_ms, &mut out).unwrap();
        radio.hear(&Event::Error(ModuleError::ReceivedDamaged), free_ms + 1);
        assert_eq!(radio.free_ms(), None, "that error is not about the frame");
        assert_eq!(poll(&mut radio, free_ms + 5_000), None);
        assert!(!radio.is_up());
    }

    /// A module that lost its power has lost its settings, so it is set up again.
    #[test]
    fn a_restarted_module_is_set_up_anew() {
        let mut radio = up();
        radio.hear(&Event::Ready, 50);
        assert!(!radio.is_up());
        assert_eq!(poll(&mut radio, 51).as_deref(), Some("AT\r\n"));
        assert_eq!(radio.counters().errors(), 1);
    }
}
