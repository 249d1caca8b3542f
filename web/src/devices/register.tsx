// Registers a device.

import { useState } from "preact/hooks";
import { call, type Device } from "./calls";
import { Fault } from "./fault";

interface Given {
  name: string;
  device_type: string;
  id: string;
  location: string;
}

const FIELDS: [keyof Given, string, string, boolean][] = [
  ["name", "Name", "Boiler room", true],
  ["device_type", "Type", "esp32", true],
  ["id", "Id", "next number", false],
  ["location", "Location", "Building 2", false],
];

export function Register({ apiKey, onDone, onCancel }: { apiKey: string; onDone: (device: Device & { api_key: string }) => void; onCancel: () => void }) {
  const [given, set] = useState<Given>({ name: "", device_type: "", id: "", location: "" });
  const [error, fail] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    fail(null);
    const { id, ...rest } = given;
    const body = JSON.stringify(id.trim() ? { ...rest, id: id.trim() } : rest);
    try {
      onDone((await call<{ device: Device & { api_key: string } }>(apiKey, "POST", "devices/register", body)).device);
    } catch (refused) {
      fail(refused);
      setBusy(false);
    }
  };
  return (
    <form class="register" onSubmit={send} aria-label="Register a device">
      <div class="fields">
        {FIELDS.map(([name, label, example, needed], number) => (
          <label key={name}>
            <span>
              {label}
              {needed ? "" : " (optional)"}
            </span>
            <input
              value={given[name]}
              placeholder={example}
              required={needed}
              maxLength={name === "id" ? 64 : 200}
              pattern={name === "id" ? "[A-Za-z0-9_\\-]{1,64}" : undefined}
              title={name === "id" ? "1 to 64 letters, digits, - and _" : undefined}
              autofocus={number === 0}
              onInput={(event) => set({ ...given, [name]: event.currentTarget.value })}
            />
          </label>
        ))}
      </div>
      <Fault error={error} />
      <div class="row">
        <button type="submit" class="main" disabled={busy}>
          Register
        </button>
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
