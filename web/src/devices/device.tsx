// One device: who it is, what it sends, its configuration and commands; and with an administrator's key, what can be done with it.

import { useEffect, useRef, useState } from "preact/hooks";
import { moment } from "../format";
import type { Store } from "../store";
import { call, type Device } from "./calls";
import { Commands } from "./commands";
import { ConfigurationOf } from "./configuration";
import { Fault } from "./fault";
import { Newest } from "./newest";
import { focusLater } from "./focus";
import { NewKey } from "./newkey";
import { Presence } from "./presence";

interface Props {
  store: Store;
  apiKey: string;
  device: Device;
  mayChange: boolean;
  onChanged: () => void;
  onClose: () => void;
}

export function DevicePanel({ store, apiKey, device, mayChange, onChanged, onClose }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { id } = device;
  useEffect(() => heading.current?.focus(), [id]);
  const nowMs = store.nowMs();
  return (
    <section class="device" aria-labelledby="device-name" data-testid="device">
      <div class="head">
        <h3 id="device-name" tabIndex={-1} ref={heading}>
          {device.name} <Presence presence={device.presence} />
        </h3>
        <button type="button" class="quiet" aria-label="Close the device" onClick={onClose}>
          ✕
        </button>
      </div>
      <dl class="facts">
        {factsOf(device).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {mayChange ? <Actions key={id} apiKey={apiKey} device={device} onChanged={onChanged} /> : null}
      <div class="parts">
        <Newest key={`values ${id}`} store={store} apiKey={apiKey} deviceId={id} nowMs={nowMs} />
        <Commands key={`commands ${id}`} apiKey={apiKey} deviceId={id} mayChange={mayChange} nowMs={nowMs} />
        <ConfigurationOf key={`configuration ${id}`} apiKey={apiKey} deviceId={id} newestVersion={device.configuration_version} mayChange={mayChange} />
      </div>
    </section>
  );
}

function Actions({ apiKey, device, onChanged }: { apiKey: string; device: Device; onChanged: () => void }) {
  const [asks, ask] = useState(false);
  const [made, setMade] = useState<{ api_key: string; old_key_valid_until: number | null } | null>(null);
  const [error, fail] = useState<unknown>(null);
  const path = `devices/${device.id}`;
  const isEnabled = device.state !== "inactive";
  const rotate = async () => {
    ask(false);
    fail(null);
    try {
      setMade(await call(apiKey, "POST", `${path}/keys`));
    } catch (refused) {
      fail(refused);
    }
  };
  const turn = async () => {
    fail(null);
    try {
      await call(apiKey, "PATCH", path, JSON.stringify({ state: isEnabled ? "inactive" : "active" }));
      onChanged();
    } catch (refused) {
      fail(refused);
    }
  };
  const until = made?.old_key_valid_until;
  return (
    <div class="actions">
      {made ? (
        <NewKey
          apiKey={made.api_key}
          of={device.name}
          note={until ? `The old one stays valid until ${moment(until * 1000)}.` : "The old one is valid no more."}
          onDone={() => {
            setMade(null);
            focusLater("rotate-key");
          }}
        />
      ) : asks ? (
        <div class="row" role="group" aria-label="Give it a new key">
          <span>A new key for {device.name}? The old one stays valid for a while.</span>
          <button type="button" class="main" autofocus onClick={rotate}>
            Give it a new key
          </button>
          <button
            type="button"
            onClick={() => {
              ask(false);
              focusLater("rotate-key");
            }}
          >
            Cancel
          </button>
        </div>
      ) : (
        <div class="row">
          <button type="button" id="rotate-key" onClick={() => ask(true)} disabled={!isEnabled} title={isEnabled ? undefined : "A disabled device gets no key."}>
            Rotate its key
          </button>
          <button type="button" class={isEnabled ? "danger" : "main"} onClick={turn}>
            {isEnabled ? "Disable" : "Enable"}
          </button>
        </div>
      )}
      <Fault error={error} />
    </div>
  );
}

function factsOf(device: Device): [string, string][] {
  const tags = Object.entries(device.tags).map(([name, value]) => `${name} = ${value}`);
  const facts: [string, string | null][] = [
    ["Id", device.id],
    ["Type", device.device_type],
    ["Location", device.location],
    ["Firmware", device.firmware_version],
    ["Hardware", device.hardware_version],
    ["MQTT user", device.user_name],
    ["Tags", tags.join(", ") || null],
    ["Registered", moment(device.created_at * 1000)],
    ["Last heard", device.last_seen === null ? "never" : moment(device.last_seen * 1000)],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== null);
}
