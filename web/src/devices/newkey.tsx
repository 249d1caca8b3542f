// A key that was just made: shown once, to be copied.

import { useEffect, useRef, useState } from "preact/hooks";

export function NewKey({ apiKey, of, note, onDone }: { apiKey: string; of: string; note?: string; onDone: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const [said, say] = useState("");
  useEffect(() => field.current?.focus(), [apiKey]);
  const copy = async () => {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(apiKey);
      say("Copied.");
    } catch {
      // Without TLS a browser keeps its clipboard to itself.
      say(document.execCommand("copy") ? "Copied." : "Select the key and copy it.");
    }
  };
  return (
    <div class="newkey" role="group" aria-label="A new key" data-testid="new-key">
      <p>
        <b>The key of {of}.</b> It is shown only now. {note}
      </p>
      <div class="row">
        <input readonly ref={field} value={apiKey} aria-label={`Key of ${of}`} onFocus={(event) => event.currentTarget.select()} />
        <button type="button" class="main" onClick={copy}>
          Copy
        </button>
        <button type="button" onClick={onDone}>
          Done
        </button>
      </div>
      <p class="note" role="status">
        {said || "\u00a0"}
      </p>
    </div>
  );
}
