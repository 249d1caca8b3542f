// Alerts: what holds now, since when and with which value, and whether those who are told can be reached.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { count, duration, moment, words } from "./format";
import type { Alerts as AlertsDocument, AlertReceiver, AlertRule, Status } from "./types";

const NOTHING: AlertsDocument = { rules: [], receivers: {} };

/** What changes whenever the document may have changed. */
function edition(status: Status): string | null {
  const sink = status.sinks["alerts"];
  if (!sink || sink.state === "removed") return null;
  return JSON.stringify([sink.version, sink.changes_waiting, sink.notifications_sent, sink.attempts_failed, sink.receiver_errors]);
}

function Holding({ rules, nowMs }: { rules: AlertRule[]; nowMs: number }) {
  const holding = rules.flatMap((rule) => rule.alerts.map((alert) => ({ rule, alert })));
  // Those that fire first, of these the critical ones, of these the oldest.
  const rank = ({ rule, alert }: (typeof holding)[0]) => (alert.state === "firing" ? 0 : 2) + (rule.severity === "critical" ? 0 : 1);
  holding.sort((a, b) => rank(a) - rank(b) || a.alert.since_ms - b.alert.since_ms);
  return (
    <ul>
      {holding.map(({ rule, alert }) => (
        <li key={`${rule.name} ${JSON.stringify(alert.labels)}`} class={alert.state === "firing" ? rule.severity : "pending"} data-testid={`alert-${rule.name}`}>
          <b class="state">{alert.state === "firing" ? words(rule.severity) : "Pending"}</b>
          <span class="text">{alert.text}</span>
          <span class="since" title={moment(alert.since_ms)}>
            for {duration((nowMs - alert.since_ms) / 1000)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Receivers({ receivers, nowMs }: { receivers: Record<string, AlertReceiver>; nowMs: number }) {
  const names = Object.keys(receivers);
  if (!names.length) return null;
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Receiver</th>
            <th>Told</th>
            <th>Waiting</th>
            <th>Failed attempts</th>
            <th>Never told</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(receivers).map(([name, receiver]) => (
            <tr key={name} data-testid={`receiver-${name}`}>
              <th scope="row">
                {name}
                {receiver.last_error ? <small class="warn">{receiver.last_error}</small> : null}
              </th>
              <td data-label="Told">{count(receiver.sent)}</td>
              <td data-label="Waiting" class={receiver.last_error ? "warn" : ""}>
                {count(receiver.waiting)}
                {receiver.oldest_ms === null ? null : <small> for {duration((nowMs - receiver.oldest_ms) / 1000)}</small>}
              </td>
              <td data-label="Failed attempts">{count(receiver.failed)}</td>
              <td data-label="Never told" class={receiver.expired + receiver.dropped ? "warn" : ""}>
                {count(receiver.expired + receiver.dropped)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Alerts({ status, nowMs }: { status: Status; nowMs: number }) {
  const [document, setDocument] = useState<AlertsDocument>(NOTHING);
  const known = edition(status);

  // Asked for again when something has changed.
  useEffect(() => {
    if (known === null) return undefined;
    const abort = new AbortController();
    get<AlertsDocument>("/api/v1/alerts", abort.signal)
      .then(setDocument)
      .catch(() => undefined);
    return () => abort.abort();
  }, [known]);

  if (known === null) return null;
  const { rules, receivers } = document;
  const firing = rules.reduce((sum, rule) => sum + rule.firing, 0);
  const shown = rules.reduce((sum, rule) => sum + rule.alerts.length, 0);
  const held = rules.reduce((sum, rule) => sum + rule.firing + rule.pending, 0);
  const series = rules.reduce((sum, rule) => sum + rule.series, 0);
  return (
    <section class="alerts card" aria-labelledby="alerts">
      <h2 id="alerts">
        Alerts {firing ? <span class="number">{count(firing)}</span> : null}
      </h2>
      {held ? <Holding rules={rules} nowMs={nowMs} /> : <p class="empty">Nothing is out of bounds.</p>}
      {held > shown ? <p class="note">{count(held - shown)} more are not shown.</p> : null}
      <Receivers receivers={receivers} nowMs={nowMs} />
      <p class="note">
        {count(rules.length)} rules watch {count(series)} series. `iiot-gateway alerts test NAME` tries a receiver.
      </p>
    </section>
  );
}
