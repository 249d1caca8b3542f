// Asks for a key: without one nothing of a device is shown.

import { useState } from "preact/hooks";
import { Fault } from "./fault";

export function KeyForm({ error, onGiven }: { error: unknown; onGiven: (key: string) => void }) {
  const [key, set] = useState("");
  const given = (event: Event) => {
    event.preventDefault();
    onGiven(key.trim());
  };
  return (
    <form class="keyform" onSubmit={given}>
      <p>
        Devices are shown with a reader’s key, and changed with an administrator’s. <code>iiot-gateway devices keys create --type administrator</code> makes
        one. It is kept until this tab is closed.
      </p>
      <div class="row">
        <input
          type="password"
          aria-label="Key for devices"
          autocomplete="off"
          value={key}
          aria-invalid={Boolean(error)}
          onInput={(event) => set(event.currentTarget.value)}
        />
        <button type="submit" class="main" disabled={!key.trim()}>
          Show the devices
        </button>
      </div>
      <Fault error={error} />
    </form>
  );
}
