// Asks for the token of a gateway that others can reach.

import { useState } from "preact/hooks";
import { setToken } from "./api";

export function TokenForm({ wrong, onGiven }: { wrong: boolean; onGiven: () => void }) {
  const [token, set] = useState("");
  const given = (event: Event) => {
    event.preventDefault();
    setToken(token.trim());
    onGiven();
  };
  return (
    <form class="token card" onSubmit={given}>
      <h1>This gateway asks for a token</h1>
      <p>
        It is <code>[http] token</code> of the gateway’s configuration, or the variable <code>IIOT_HTTP__TOKEN</code>. It is kept until this tab is closed.
      </p>
      <input
        type="password"
        aria-label="Token"
        autocomplete="current-password"
        autofocus
        value={token}
        aria-invalid={wrong}
        onInput={(event) => set(event.currentTarget.value)}
      />
      {wrong ? (
        <p class="error" role="alert">
          The gateway does not take this token.
        </p>
      ) : null}
      <button type="submit" disabled={!token.trim()}>
        Show the gateway
      </button>
    </form>
  );
}
