// What a device is configured to do: read, and with an administrator's key written, as JSON.

import { useEffect, useState } from "preact/hooks";
import { call, type Configuration } from "./calls";
import { Fault } from "./fault";

interface Props {
  apiKey: string;
  deviceId: string;
  /** As the list of devices has it; another one than that shown means that somebody else has saved. */
  newestVersion: number;
  mayChange: boolean;
}

export function ConfigurationOf({ apiKey, deviceId, newestVersion, mayChange }: Props) {
  const [known, setKnown] = useState<Configuration | null>(null);
  const [text, setText] = useState("");
  const [error, fail] = useState<unknown>(null);
  const [said, say] = useState("");
  const [looks, look] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    call<Configuration>(apiKey, "GET", `devices/${deviceId}/config`, undefined, abort.signal)
      .then((found) => {
        setKnown(found);
        setText(written(found));
        fail(null);
      })
      .catch((refused) => abort.signal.aborted || fail(refused));
    return () => abort.abort();
  }, [apiKey, deviceId, looks]);

  const save = async (event: Event) => {
    event.preventDefault();
    say("");
    fail(null);
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("expected an object in braces");
    } catch (wrong) {
      fail(`This is no configuration: ${(wrong as Error).message}`);
      return;
    }
    try {
      const saved = await call<Configuration>(apiKey, "PUT", `devices/${deviceId}/config`, text);
      setKnown(saved);
      setText(written(saved));
      say(`Saved as version ${saved.version}.`);
    } catch (refused) {
      fail(refused);
    }
  };

  const isLost = known !== null && losesDigits(known.configuration);
  const changed = known !== null && text !== written(known);
  return (
    <section aria-labelledby="device-configuration">
      <h4 id="device-configuration">
        Configuration {known ? <small>version {known.version}</small> : null}
      </h4>
      {mayChange && !isLost ? (
        <form onSubmit={save}>
          <textarea
            aria-label="Configuration, JSON"
            rows={6}
            spellcheck={false}
            value={text}
            disabled={!known}
            aria-invalid={Boolean(error)}
            onInput={(event) => {
              say("");
              setText(event.currentTarget.value);
            }}
          />
          <div class="row">
            <button type="submit" disabled={!changed}>
              Save
            </button>
            <span class="note" role="status">
              {said}
            </span>
          </div>
        </form>
      ) : (
        <pre>{text || "…"}</pre>
      )}
      {isLost ? <p class="note">Its numbers are longer than a browser keeps, so it can be changed with the API only.</p> : null}
      {known && newestVersion > known.version ? (
        <p class="note">
          Version {newestVersion} was saved meanwhile.{" "}
          <button type="button" onClick={() => look(looks + 1)}>
            Show it
          </button>
        </p>
      ) : null}
      <Fault error={error} />
    </section>
  );
}

function written({ configuration }: Configuration): string {
  return JSON.stringify(configuration, null, 2);
}

/** Whether a number has lost digits, which saving would then lose for everybody. */
function losesDigits(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  return typeof value === "object" && value !== null && Object.values(value).some(losesDigits);
}
