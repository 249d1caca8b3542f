// The commands of a device with their states, and the sending of another one.

import { useEffect, useState } from "preact/hooks";
import { age, moment } from "../format";
import { call, type Command } from "./calls";
import { Fault } from "./fault";

const LOOK_MS = 2000;
const SHOWN = 8;

interface Props {
  apiKey: string;
  deviceId: string;
  mayChange: boolean;
  nowMs: number;
}

export function Commands({ apiKey, deviceId, mayChange, nowMs }: Props) {
  const [commands, setCommands] = useState<Command[] | null>(null);
  const [type, setType] = useState("");
  const [payload, setPayload] = useState("");
  const [error, fail] = useState<unknown>(null);
  const [lost, setLost] = useState<unknown>(null);
  const [looks, look] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    const ask = () =>
      call<{ commands: Command[] }>(apiKey, "GET", `devices/${deviceId}/commands`, undefined, abort.signal)
        .then((found) => {
          setCommands(found.commands);
          setLost(null);
        })
        .catch((refused) => abort.signal.aborted || setLost(refused));
    void ask();
    const timer = setInterval(() => document.hidden || void ask(), LOOK_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [apiKey, deviceId, looks]);

  const send = async (event: Event) => {
    event.preventDefault();
    fail(null);
    try {
      if (payload.trim()) JSON.parse(payload);
    } catch (wrong) {
      fail(`The payload is no JSON: ${(wrong as Error).message}`);
      return;
    }
    try {
      // The payload goes as it was written: a browser would round long numbers.
      await call(apiKey, "POST", `devices/${deviceId}/commands/${encodeURIComponent(type.trim())}`, payload.trim() ? `{"payload":${payload}}` : "{}");
      setType("");
      setPayload("");
      look(looks + 1);
    } catch (refused) {
      fail(refused);
    }
  };

  return (
    <section aria-labelledby="device-commands">
      <h4 id="device-commands">Commands</h4>
      {mayChange ? (
        <form class="row command" onSubmit={send}>
          <input
            aria-label="Type of the command"
            placeholder="restart"
            required
            pattern="[A-Za-z0-9_\-]{1,64}"
            title="1 to 64 letters, digits, - and _"
            value={type}
            onInput={(event) => setType(event.currentTarget.value)}
          />
          <input
            aria-label="Payload of the command, JSON"
            placeholder={'{"after_s": 5}'}
            value={payload}
            onInput={(event) => setPayload(event.currentTarget.value)}
          />
          <button type="submit">Send</button>
        </form>
      ) : null}
      <Fault error={error ?? lost} />
      {commands?.length === 0 ? <p class="empty">No command was sent to it yet.</p> : null}
      {/* Ages change every second, so not the list but this line is read aloud. */}
      <p class="aloud" role="status">
        {commands?.[0] ? `${commands[0].type} is ${commands[0].state}` : ""}
      </p>
      <ul class="commands">
        {commands?.slice(0, SHOWN).map((command) => (
          <li key={command.id} data-testid={`command-${command.id}`}>
            <b>{command.type}</b>
            <span class={`state ${command.state}`}>{command.state}</span>
            <span class="age" title={moment(command.created_at * 1000)}>
              {age(nowMs - (command.acknowledged_at ?? command.sent_at ?? command.created_at) * 1000)}
            </span>
            {command.payload === null ? null : <code>{JSON.stringify(command.payload)}</code>}
          </li>
        ))}
      </ul>
      {commands && commands.length > SHOWN ? <p class="note">The newest {SHOWN} of {commands.length}.</p> : null}
    </section>
  );
}
