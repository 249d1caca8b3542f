// The section "Devices": locked until a key is given; then the list, and one device of it.

import { useEffect, useState } from "preact/hooks";
import { Refused } from "../api";
import { age, count, moment } from "../format";
import type { Store } from "../store";
import { call, type Device, isAdministrator, keepKey, storedKey } from "./calls";
import { DevicePanel } from "./device";
import { Fault } from "./fault";
import { focusLater } from "./focus";
import { KeyForm } from "./keyform";
import { NewKey } from "./newkey";
import { Presence } from "./presence";
import { Register } from "./register";

const LOOK_MS = 3000;
const SHOWN = 50;

interface Found {
  devices: Device[];
  after: string | null;
}

export function Devices({ store }: { store: Store }) {
  const [key, setKey] = useState(storedKey);
  const [found, setFound] = useState<Found | null>(null);
  const [error, fail] = useState<unknown>(null);
  const [looks, look] = useState(0);
  const lock = (why: unknown) => {
    keepKey("");
    setKey("");
    setFound(null);
    fail(why);
  };

  useEffect(() => {
    if (!key) return;
    const abort = new AbortController();
    const ask = () =>
      call<Found>(key, "GET", "devices?limit=1000", undefined, abort.signal)
        .then((answer) => {
          keepKey(key);
          setFound(answer);
          fail(null);
        })
        .catch((refused) => {
          if (abort.signal.aborted) return;
          if (refused instanceof Refused && (refused.status === 401 || refused.status === 403)) lock(refused);
          else fail(refused);
        });
    void ask();
    const timer = setInterval(() => document.hidden || void ask(), LOOK_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [key, looks]);

  return (
    <section class="devices card" aria-labelledby="devices">
      <div class="head">
        <h2 id="devices">
          Devices {found ? <small data-testid="devices-count">{tally(found)}</small> : null}
        </h2>
        {key ? (
          <button type="button" onClick={() => lock(null)}>
            Forget the key
          </button>
        ) : null}
      </div>
      {!key ? <KeyForm error={error} onGiven={setKey} /> : null}
      {key && found ? <List store={store} apiKey={key} found={found} onChanged={() => look(looks + 1)} /> : null}
      {key ? <Fault error={error} /> : null}
      {key && !found && !error ? <p class="empty">Asking for the devices.</p> : null}
    </section>
  );
}

function List({ store, apiKey, found, onChanged }: { store: Store; apiKey: string; found: Found; onChanged: () => void }) {
  const [chosen, choose] = useState<string | null>(null);
  const [registers, setRegisters] = useState(false);
  const [made, setMade] = useState<{ name: string; api_key: string } | null>(null);
  const [wanted, setWanted] = useState("");
  const [all, setAll] = useState(false);
  const mayChange = isAdministrator(apiKey);
  const matching = found.devices.filter((device) => matches(device, wanted));
  const shown = all ? matching : matching.slice(0, SHOWN);
  const device = found.devices.find((each) => each.id === chosen);
  const nowMs = store.nowMs();
  const doneWithKey = () => {
    setMade(null);
    focusLater("register-device");
  };
  const close = () => {
    document.getElementById(`open-${chosen}`)?.focus();
    choose(null);
  };
  return (
    <>
      <div class="row tools">
        {mayChange && !registers ? (
          <button type="button" class="main" id="register-device" onClick={() => setRegisters(true)}>
            Register a device
          </button>
        ) : null}
        {found.devices.length > 8 ? (
          <input
            type="search"
            placeholder="Filter, e.g. boiler"
            aria-label="Filter the devices"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        ) : null}
      </div>
      {registers ? (
        <Register
          apiKey={apiKey}
          onCancel={() => {
            setRegisters(false);
            focusLater("register-device");
          }}
          onDone={(registered) => {
            setRegisters(false);
            setMade({ name: registered.name, api_key: registered.api_key });
            onChanged();
          }}
        />
      ) : null}
      {made ? <NewKey apiKey={made.api_key} of={made.name} onDone={doneWithKey} /> : null}
      {found.devices.length === 0 ? <p class="empty">No device is registered yet.</p> : null}
      {found.devices.length > 0 && matching.length === 0 ? <p class="empty">Nothing matches “{wanted}”.</p> : null}
      {shown.length ? (
        <table>
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col">Presence</th>
              <th scope="col">Last heard</th>
              <th scope="col">Type</th>
              <th scope="col">Location</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((each) => (
              <tr key={each.id} class={each.id === chosen ? "chosen" : ""} data-testid={`device-${each.id}`}>
                <th scope="row">
                  <button
                    type="button"
                    class="link"
                    id={`open-${each.id}`}
                    aria-expanded={each.id === chosen}
                    onClick={() => choose(each.id === chosen ? null : each.id)}
                  >
                    {each.name}
                  </button>{" "}
                  <small>{each.id}</small>
                </th>
                <td data-label="Presence">
                  <Presence presence={each.presence} />
                </td>
                <td data-label="Last heard" title={each.last_seen === null ? undefined : moment(each.last_seen * 1000)}>
                  {each.last_seen === null ? "never" : age(nowMs - each.last_seen * 1000)}
                </td>
                <td data-label="Type">{each.device_type}</td>
                <td data-label="Location">{each.location ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      {matching.length > shown.length ? (
        <button type="button" class="more" onClick={() => setAll(true)}>
          Show all {count(matching.length)}
        </button>
      ) : null}
      {found.after ? <p class="note">These are the first {count(found.devices.length)}; `iiot-gateway devices list` shows all.</p> : null}
      {device ? <DevicePanel store={store} apiKey={apiKey} device={device} mayChange={mayChange} onChanged={onChanged} onClose={close} /> : null}
    </>
  );
}

function tally({ devices, after }: Found): string {
  const online = devices.filter((device) => device.presence === "online").length;
  return `${count(devices.length)}${after ? "+" : ""}, ${count(online)} online`;
}

function matches(device: Device, wanted: string): boolean {
  const text = `${device.id} ${device.name} ${device.device_type} ${device.location ?? ""} ${Object.values(device.tags).join(" ")}`.toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
