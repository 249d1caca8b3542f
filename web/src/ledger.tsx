// The ledger: what became of everything received. Every line adds up.

import { count } from "./format";
import type { Status } from "./types";

export function Ledger({ status }: { status: Status }) {
  const { intake } = status;
  const sinks = Object.entries(status.sinks);
  return (
    <section class="ledger card" aria-labelledby="ledger">
      <h2 id="ledger">Ledger</h2>
      <p class="equation" data-testid="intake">
        <b>{count(intake.received)}</b> received = <b>{count(intake.accepted)}</b> accepted + <b>{count(intake.duplicate)}</b> duplicate +{" "}
        <b class={intake.rejected ? "warn" : ""}>{count(intake.rejected)}</b> rejected
      </p>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Sink</th>
              <th>Accepted</th>
              <th>Delivered</th>
              <th>Waiting</th>
              <th>Rejected</th>
              <th>Dropped</th>
              <th>Superseded</th>
            </tr>
          </thead>
          <tbody>
            {sinks.map(([name, sink]) => (
              <tr key={name}>
                <th scope="row">
                  {name} {sink.state === "removed" ? <small>(removed)</small> : null}
                </th>
                <td data-label="Accepted">{count(sink.accepted)}</td>
                <td data-label="Delivered">{count(sink.delivered)}</td>
                <td data-label="Waiting">{count(sink.queued)}</td>
                <td data-label="Rejected" class={sink.rejected ? "warn" : ""}>{count(sink.rejected)}</td>
                <td data-label="Dropped" class={sink.dropped ? "warn" : ""}>{count(sink.dropped)}</td>
                <td data-label="Superseded">{count(sink.superseded)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="note">In frames, over all starts of this journal. Lost on air, as the nodes’ own numbering tells: {count(intake.lost_on_air)}.
        {intake.ignored ? ` Documents that the profile ignores, beside the frames: ${count(intake.ignored)}.` : ""}
      </p>
    </section>
  );
}
